"""Torch gives what the kernels give, on every device that there is."""

import numpy as np
import pytest
import torch

from segapp.core import _torch, align
from segapp.core import device as devices
from segapp.core.convolve import circle_kernel, circle_sum, gauss_blur
from segapp.core.score.propagation import neighbour_offsets, propagate
from segapp.core.types import InputError, Unavailable, no_tick

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize(("k", "shape"), [(3, (1, 1)), (5, (2, 40)), (7, (33, 50)), (19, (9, 31))])
def test_circle_sums_are_exactly_those_of_the_kernel(where, k, shape):
    counts = np.random.default_rng(k).integers(0, 2_000_000, shape).astype(np.uint32)
    half = (circle_kernel(k).sum(axis=1, dtype=np.int64) - 1) // 2
    with devices.Using("cpu"):
        expected = circle_sum(counts, k)
    np.testing.assert_array_equal(_torch.circle_sum(counts, half, where), expected)


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize(("k", "square"), [(3, False), (3, True), (5, False)])
def test_beliefs_are_those_of_the_kernel(where, k, square):
    odds = np.random.default_rng(k).normal(-1, 3, (60, 47)).astype(np.float32)
    rules = {"p": 0.6, "q": 0.4, "precision": 1e-6, "max_iter": 100}
    with devices.Using("cpu"):
        expected = propagate(odds, k=k, square=square, **rules)
    found = _torch.propagate(np.exp(odds), neighbour_offsets(k, square), device=where, tick=no_tick, **rules)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - 1 / (1 + np.exp(-odds))).max() > 0.1


@pytest.mark.parametrize("where", DEVICES)
def test_a_bent_stain_is_found_alike(where):
    rng = np.random.default_rng(3)
    rna = np.zeros((144, 144), np.uint32)
    rna[tuple(rng.integers(0, 144, (2, 160)))] = 9
    y, x = np.mgrid[:144, :144]
    stain = np.roll(gauss_blur(rna, 9), 2, 1) * (1 + 0.1 * np.sin(x / 30) * np.sin(y / 30)).astype(np.float32)
    found = []
    for word in ("cpu", where):
        with devices.Using(word):
            found.append(align.align_stain(stain, rna, align.TpsParams(n_epochs=20))[1])
    at = np.array([[10.0, 20.0], [70.0, 70.0], [130.0, 100.0]])
    np.testing.assert_allclose(found[0].positions(at), found[1].positions(at), atol=0.05)


def test_the_device_is_chosen_by_environment_and_block(monkeypatch):
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    assert devices.device() == "cpu"
    monkeypatch.setattr(devices, "has_cuda", lambda: True)
    assert devices.device() == "cpu"
    with devices.Using("auto"):
        assert devices.device() == "cuda"
    monkeypatch.setenv(devices.VARIABLE, "")
    assert devices.device() == "cuda"
    monkeypatch.setattr(devices, "has_cuda", lambda: False)
    assert devices.device() == "cpu"
    with devices.Using("cuda"), pytest.raises(Unavailable, match="no GPU"):
        devices.device()
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        devices.Using("tpu")
    monkeypatch.setenv(devices.VARIABLE, "gpu")
    with pytest.raises(InputError, match="SEGAPP_DEVICE"):
        devices.device()


def test_the_core_functions_compute_where_they_are_told(monkeypatch):
    monkeypatch.setattr(devices, "has_cuda", lambda: True)
    asked = []
    monkeypatch.setattr(
        _torch, "circle_sum", lambda counts, half, where: asked.append(where) or counts.astype(np.int64)
    )
    monkeypatch.setattr(_torch, "propagate", lambda odds, offsets, device, **_: asked.append(device) or odds)
    rules = {"k": 3, "square": False, "p": 0.6, "q": 0.4, "precision": 1e-6, "max_iter": 9}
    with devices.Using("cuda"):
        circle_sum(np.ones((4, 4), np.uint32), 3)
        propagate(np.ones((4, 4), np.float32), **rules)
    assert asked == ["cuda", "cuda"]
