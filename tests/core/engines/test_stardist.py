import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from segapp.core.engines.model import Model
from segapp.core.engines.options import FLOOR, StardistParams
from segapp.core.engines.prepare import equalize
from segapp.core.engines.stardist import predict
from segapp.core.engines.stardist.predict import apply, fit, network, reach
from segapp.core.types import Cancelled, InputError

PLAIN = StardistParams(equalize=0, scale=1.0)


def same(a, b):
    return np.array_equal(a.labels, b.labels) and np.allclose(a.scores, b.scores, atol=1e-6)


@pytest.mark.parametrize(("tilesize", "scale"), [(64, 1.0), (130, 1.0), (256, 1.0), (130, 0.8), (200, 1.3)])
def test_tiles_leave_no_trace(tiny, stain, tilesize, scale):
    whole = fit(stain, PLAIN.with_(scale=scale), tiny)
    cut = fit(stain, PLAIN.with_(scale=scale, tilesize=tilesize), tiny)
    assert len(whole.prob) == len(cut.prob) > 500
    found = apply(whole, PLAIN)
    assert found.labels.max() > 30
    assert same(found, apply(cut, PLAIN))


def test_too_little_context_shows(tiny, stain):
    whole = fit(stain, PLAIN, tiny)
    cut = fit(stain, PLAIN.with_(tilesize=64, context=0), tiny)
    assert np.abs(whole.chance - cut.chance).max() > 1e-3


def test_the_network_looks_no_farther_than_its_reach(tiny):
    import torch

    module = network(tiny)
    far = reach(module)
    image = torch.zeros(1, 1, 256, 256)
    middle = 128 // module.grid
    with torch.inference_mode():
        before = [part[..., middle, middle].clone() for part in module(image)]
        image[:] = torch.rand(256, 256)
        image[..., 128 - far : 129 + far, 128 - far : 129 + far] = 0
        after = [part[..., middle, middle] for part in module(image)]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_folding_the_normalisation_changes_nothing(tiny, stain):
    import torch

    from segapp.core.engines.stardist.unet import build

    plain = build(tiny.config["architecture"]).eval()
    plain.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tiny.weights.items()})
    image = torch.from_numpy(stain[:256, :256].astype(np.float32) / 255)[None, None]
    with torch.inference_mode():
        for one, other in zip(plain(image), network(tiny)(image), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_thresholds_choose_among_what_the_network_said(tiny, stain):
    candidates = fit(stain, PLAIN, tiny)
    assert candidates.prob.min() >= FLOOR - 1e-5
    few, many = (apply(candidates, PLAIN.with_(prob_thresh=value)) for value in (0.7, 0.2))
    assert 0 < few.labels.max() < many.labels.max()
    assert few.probability[1:].min() >= 0.7 and few.probability[0] == 0
    assert (np.diff(few.probability[1:]) <= 0).all(), "the surest nucleus is the first"
    assert len(few.probability) == few.labels.max() + 1
    auto, named = (apply(candidates, PLAIN.with_(prob_thresh=value)) for value in ("auto", 0.4))
    assert same(auto, named)


def test_scaling_is_undone(tiny, stain):
    """A stain of twice the pixels under half the scale is the same to the network: nuclei are twice as wide."""
    large = np.kron(stain, np.ones((2, 2), np.uint8))
    small, doubled = apply(fit(stain, PLAIN, tiny), PLAIN), apply(fit(large, PLAIN.with_(scale=0.5), tiny), PLAIN)
    assert doubled.labels.shape == doubled.scores.shape == large.shape
    middle = ndimage.center_of_mass(small.labels > 0, small.labels, range(1, small.labels.max() + 1))
    twice = ndimage.center_of_mass(doubled.labels > 0, doubled.labels, range(1, doubled.labels.max() + 1))
    np.testing.assert_allclose((np.array(middle) + 0.5) * 2, np.array(twice) + 0.5, atol=1)
    areas = [np.bincount(found.labels.ravel())[1:] for found in (small, doubled)]
    np.testing.assert_allclose(areas[1] / areas[0], 4, rtol=0.25)
    np.testing.assert_allclose(doubled.scores[::2, ::2], small.scores, atol=0.25)


def test_brightness_is_scaled_between_percentiles(tiny, stain):
    expected = np.percentile(stain, (1.0, 99.8))
    found = fit(stain, PLAIN, tiny).statistics
    np.testing.assert_allclose([found["black"], found["white"]], expected)
    moved = fit(stain.astype(np.uint16) * 100 + 500, PLAIN, tiny)
    np.testing.assert_allclose(moved.chance, fit(stain, PLAIN, tiny).chance, atol=1e-4)
    other = fit(stain, PLAIN.with_(pmin=5.0, pmax=90.0), tiny).statistics
    np.testing.assert_allclose([other["black"], other["white"]], np.percentile(stain, (5, 90)))
    off = fit(stain, PLAIN.with_(normalizer="off"), tiny).statistics
    assert (off["black"], off["white"]) == (0, 1)


def test_contrast_is_equalised_first(tiny, stain):
    found = fit(stain, PLAIN.with_(equalize=2.0), tiny)
    np.testing.assert_array_equal(found.chance, fit(equalize(stain, 2.0), PLAIN, tiny).chance)


def test_the_stain_is_not_written_to(tiny, stain):
    before = stain.copy()
    apply(fit(stain, StardistParams(scale=1.0), tiny), PLAIN)
    np.testing.assert_array_equal(stain, before)


def test_a_cancel_does_not_wait_for_the_tile(tiny, stain):
    ticks = []

    def tick(done, total):
        ticks.append((done, total))
        if len(ticks) == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        fit(stain, PLAIN, tiny, tick)
    assert ticks[-1][0] < ticks[-1][1]
    seen = []
    fit(stain, PLAIN.with_(tilesize=128), tiny, lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1
    assert len(ticks) == 4, "who cancelled is not asked again"


def test_a_small_stain_is_enough(tiny):
    image = np.arange(15, dtype=np.uint8).reshape(3, 5)
    found = apply(fit(image, PLAIN, tiny), PLAIN)
    assert found.labels.shape == found.scores.shape == (3, 5)


def test_weights_that_do_not_fit_are_one_sentence(tiny):
    wrong = Model("wrong", "segapp", {"architecture": {"channels": [4, 8], "grid": 2}}, tiny.weights)
    with pytest.raises(InputError, match="the weights of the model wrong do not fit"):
        network(wrong)
    with pytest.raises(InputError, match=r"wrong .* describes no network"):
        network(Model("wrong", "segapp", {}, tiny.weights))


def test_no_tensorflow_is_needed(tiny, stain, tmp_path):
    """Prediction in a process in which TensorFlow cannot be imported."""
    np.savez(tmp_path / "weights.npz", **tiny.weights)
    np.save(tmp_path / "stain.npy", stain)
    code = f"""
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Wall())
import numpy as np
from segapp.core.engines import ENGINES, Model
from segapp.core.engines.options import StardistParams
from segapp.core.types import Unavailable
model = Model("tiny", "segapp", {dict(tiny.config)!r}, dict(np.load({str(tmp_path / "weights.npz")!r})))
stain = np.load({str(tmp_path / "stain.npy")!r})
found = ENGINES["stardist"].predict(stain, StardistParams(equalize=0, scale=1.0), model)
print(found.labels.max())
try:
    ENGINES["stardist"].predict(stain, StardistParams(model="2D_versatile_fluo"), Model("2D_versatile_fluo", "package"))
except Unavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found, sentence = done.stdout.splitlines()
    assert int(found) == apply(fit(stain, PLAIN, tiny), PLAIN).labels.max()
    assert "2D_versatile_fluo" in sentence and "pip install 'segapp[tensorflow]'" in sentence


def test_a_model_is_made_once(tiny):
    assert network(tiny) is network(tiny)
    assert predict.reach(network(tiny)) % 2 == 0
