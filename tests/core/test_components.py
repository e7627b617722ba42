import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from segapp.core.label.components import SplitParams, erode_to_cores, label_components
from segapp.core.params import knobs
from segapp.core.types import InputError

DEFAULTS = {"area_threshold": 500, "k": 3, "min_area": 100, "n_iter": -1, "distance": 8, "max_area": 400}
masks = arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def disc(shape, y, x, r):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= r * r


def cores_by_definition(mask, k, min_area, n_iter):
    """Erode one component at a time, keeping what is small and what would vanish."""
    kernel = disc((k, k), k // 2, k // 2, k // 2).astype(np.uint8)
    kept = np.zeros(mask.shape, bool)
    queue = [(mask, 0)]
    while queue:
        piece, step = queue.pop()
        n, parts = cv2.connectedComponents(piece.astype(np.uint8), connectivity=8)
        for part in (parts == i for i in range(1, n)):
            left = cv2.erode(part.astype(np.uint8), kernel).astype(bool)
            stays = part.sum() <= min_area or step == n_iter or not left.any() or (left == part).all()
            if stays:
                kept |= part
            else:
                queue.append((left, step + 1))
    return kept


@settings(max_examples=60, deadline=None)
@given(masks, st.sampled_from([1, 3, 5, 7]), st.integers(0, 30), st.integers(-1, 3))
def test_cores_equal_the_definition(mask, k, min_area, n_iter):
    found = erode_to_cores(mask, k=k, min_area=min_area, n_iter=n_iter)
    assert (found == cores_by_definition(mask, k, min_area, n_iter)).all()


@pytest.mark.parametrize("k", [3, 5, 7])
@pytest.mark.parametrize("min_area", [0, 20, 80])
def test_cores_of_large_ragged_components_equal_the_definition(k, min_area):
    for seed in range(6):
        noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(150, 170)), 3)
        mask = noise > np.quantile(noise, 0.4)
        found = erode_to_cores(mask, k=k, min_area=min_area, n_iter=-1)
        assert (found == cores_by_definition(mask, k, min_area, -1)).all()


def test_two_peaks_beside_one_pixel_are_two_cores():
    mask = np.ones((5, 14), bool)
    mask[[0, 2, 3, 3], [4, 1, 2, 7]] = False
    found = erode_to_cores(mask, k=3, min_area=0, n_iter=-1)
    assert found[4, 4:6].all()
    assert (found == cores_by_definition(mask, 3, 0, -1)).all()


@settings(max_examples=30, deadline=None)
@given(masks, st.integers(0, 40), st.integers(1, 9), st.integers(0, 30), st.integers(0, 5))
def test_labels_stay_inside_the_mask_and_no_component_is_lost(mask, area_threshold, k, min_area, distance):
    k = k | 1
    result = label_components(
        mask, area_threshold=area_threshold, k=k, min_area=min_area, n_iter=-1, distance=distance, max_area=40
    )
    assert not (result.labels > 0)[~mask].any()
    parts, n = ndimage.label(mask, np.ones((3, 3)))
    assert all((result.labels[parts == i] > 0).any() for i in range(1, n + 1))
    assert int(mask.sum()) == int((result.labels > 0).sum()) + result.unassigned_distance + result.unassigned_area


@pytest.mark.timeout(20)
def test_erosion_always_ends_and_never_loses_a_component():
    full = np.ones((40, 40), bool)
    for k, min_area in ((1, 10), (3, 10), (5, 10), (3, 10_000)):
        assert erode_to_cores(full, k=k, min_area=min_area, n_iter=-1).all()
    square = np.zeros((40, 40), bool)
    square[5:30, 5:30] = True
    assert (erode_to_cores(square, k=1, min_area=10, n_iter=-1) == square).all()
    assert (erode_to_cores(square, k=3, min_area=100_000, n_iter=-1) == square).all()
    line = np.zeros((40, 40), bool)
    line[20] = True
    # one erosion would remove the line, which is above min_area: it is kept as it was
    assert (erode_to_cores(line, k=3, min_area=10, n_iter=-1) == line).all()
    assert erode_to_cores(square, k=31, min_area=10, n_iter=-1).sum() == square.sum()


def test_two_touching_discs_are_split():
    shape = (60, 90)
    mask = disc(shape, 30, 30, 15) | disc(shape, 30, 57, 15)
    result = label_components(mask, **{**DEFAULTS, "distance": 30, "max_area": 2000})
    assert len(np.unique(result.labels)) == 3
    assert result.labels[30, 30] != result.labels[30, 57]
    assert (result.labels > 0)[mask].mean() > 0.99
    plain = label_components(mask, **{**DEFAULTS, "area_threshold": math.inf})
    assert len(np.unique(plain.labels)) == 2
    assert (plain.labels > 0).sum() == mask.sum()


def test_seed_ids_never_add_up():
    mask = np.zeros((12, 30), bool)
    mask[2:8, 2:10] = mask[2:8, 14:22] = True
    seeds = np.zeros(mask.shape, np.uint16)
    seeds[4:6, 3:6] = 7
    # a seed outside the mask, beside a component that has a label of its own
    seeds[3:5, 22:25] = 8
    result = label_components(mask, seeds=seeds, **DEFAULTS)
    assert set(np.unique(result.labels)) == {0, 7, 8, 9}
    assert (result.labels[seeds > 0] == seeds[seeds > 0]).all()
    assert (result.labels[2:8, 14:22] == 9).all()
    assert (result.labels[2:8, 2:10] == 7).all()


def test_pixels_without_a_label_are_counted_by_reason():
    mask = np.zeros((5, 40), bool)
    mask[2, 1:31] = True
    seeds = np.zeros(mask.shape, np.int32)
    seeds[2, 1] = 5
    near = label_components(mask, seeds=seeds, **{**DEFAULTS, "distance": 8})
    assert (near.unassigned_distance, near.unassigned_area) == (21, 0)
    small = label_components(mask, seeds=seeds, **{**DEFAULTS, "distance": 8, "max_area": 4})
    assert (small.unassigned_distance, small.unassigned_area) == (21, 5)


def test_bad_input_and_declared_parameters():
    mask = np.ones((4, 4), bool)
    with pytest.raises(InputError, match="odd"):
        label_components(mask, **{**DEFAULTS, "k": 4})
    with pytest.raises(InputError, match="shape"):
        label_components(mask, seeds=np.zeros((3, 3), int), **DEFAULTS)
    with pytest.raises(InputError, match="renumber"):
        label_components(mask, seeds=np.full((4, 4), 2**31 - 1), **DEFAULTS)
    assert {item.name: item.default for item in knobs(SplitParams)} == DEFAULTS
