import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core import morphology
from segapp.core.convolve import circle_kernel
from segapp.core.morphology import circle_dilate, circle_erode, close_open, erode_components
from segapp.core.types import Cancelled, InputError

masks = st.integers(0, 9999).map(
    lambda seed: cv2.GaussianBlur(np.random.default_rng(seed).random((45, 50)), (7, 7), 0) > 0.48
)


def disc(shape: tuple[int, int], centre: tuple[int, int], radius: float) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_a_pixel_dilates_to_the_circle_and_erodes_back() -> None:
    mask = np.zeros((60, 60), bool)
    mask[30, 30] = True
    for k in (1, 3, 9, 31, 41):
        grown = circle_dilate(mask, k)
        r = k // 2
        assert np.array_equal(grown[30 - r : 31 + r, 30 - r : 31 + r], circle_kernel(k) == 1)
        assert grown.sum() == circle_kernel(k).sum()
        assert np.array_equal(circle_erode(grown, k), mask)


@settings(max_examples=15, deadline=None)
@given(mask=masks, k=st.sampled_from([3, 7, 31, 35]))
def test_small_and_large_circles_follow_one_definition(mask: np.ndarray, k: int) -> None:
    kernel = circle_kernel(k)
    assert np.array_equal(circle_dilate(mask, k), cv2.dilate(mask.view(np.uint8), kernel) > 0)
    assert np.array_equal(circle_erode(mask, k), cv2.erode(mask.view(np.uint8), kernel) > 0)
    closed = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, kernel)
    assert np.array_equal(close_open(mask, k), cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel) > 0)


def test_closing_fills_a_hole_and_opening_removes_a_speck() -> None:
    mask = disc((40, 40), (20, 20), 10)
    dirty = mask.copy()
    dirty[20, 20] = False
    dirty[2, 2] = True
    assert np.array_equal(close_open(dirty, 3), close_open(mask, 3))


def test_empty_and_full_masks_stay() -> None:
    for value in (False, True):
        mask = np.full((30, 30), value)
        for k in (3, 33):
            assert (close_open(mask, k) == value).all()
            assert (circle_dilate(mask, k) == value).all()
            assert (circle_erode(mask, k) == value).all()


def global_erosion(mask: np.ndarray, kernel: np.ndarray, min_area: int) -> np.ndarray:
    """Erode the whole image, saving what is small; components that vanish in one step are lost."""
    left, saved = mask.copy(), np.zeros_like(mask)
    while left.any():
        n, labels = cv2.connectedComponents(left.astype(np.uint8))
        areas = np.bincount(labels.ravel(), minlength=n)
        small = areas <= min_area
        small[0] = False
        saved |= small[labels]
        left = cv2.erode((left & ~small[labels]).astype(np.uint8), kernel) > 0
    return saved


@settings(max_examples=20, deadline=None)
@given(mask=masks, k=st.sampled_from([3, 5]), min_area=st.integers(5, 80))
def test_components_erode_as_the_whole_image_does_and_none_is_lost(mask: np.ndarray, k: int, min_area: int) -> None:
    mask[[0, -1]] = False
    mask[:, [0, -1]] = False
    left = erode_components(mask, k=k, square=False, min_area=min_area, n_iter=-1)
    n, components = cv2.connectedComponents(mask.astype(np.uint8))
    assert set(np.unique(components[left])) == set(range(1, n))
    # where the plain loop keeps something, it keeps the same; what it loses is what is kept here beyond it
    plain = global_erosion(mask, circle_kernel(k), min_area)
    assert (left | ~plain).all()
    _, pieces = cv2.connectedComponents(left.astype(np.uint8))
    extra = np.unique(pieces[left & ~plain])
    assert not plain[np.isin(pieces, extra[extra > 0])].any()


def test_touching_discs_come_apart() -> None:
    mask = disc((60, 90), (30, 30), 16) | disc((60, 90), (30, 58), 16)
    left = erode_components(mask, k=3, square=False, min_area=120, n_iter=-1)
    assert cv2.connectedComponents(left.astype(np.uint8))[0] - 1 == 2


def test_erosion_stops_after_n_iter() -> None:
    mask = disc((60, 60), (30, 30), 20)
    once = erode_components(mask, k=3, square=False, min_area=1, n_iter=1)
    assert np.array_equal(once, circle_erode(mask, 3))
    square = erode_components(mask, k=3, square=True, min_area=1, n_iter=2)
    assert np.array_equal(square, cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2) > 0)
    assert np.array_equal(erode_components(mask, k=3, square=False, min_area=1, n_iter=0), mask)


@pytest.mark.parametrize(
    ("mask", "k", "min_area"),
    [
        (disc((40, 40), (20, 20), 12), 1, 5),
        (np.ones((40, 40), bool), 3, 5),
        (np.ones((1, 1), bool), 3, 0),
        (disc((40, 40), (20, 20), 12), 3, 10**9),
        (np.zeros((40, 40), bool), 3, 5),
        (disc((40, 40), (20, 20), 12), 3, 0),
        (disc((40, 40), (20, 20), 3), 99, 5),
    ],
)
def test_erosion_always_ends_and_loses_no_component(mask: np.ndarray, k: int, min_area: int) -> None:
    left = erode_components(mask, k=k, square=False, min_area=min_area, n_iter=-1)
    assert left.any() == mask.any()
    assert (mask | ~left).all()


def test_a_component_that_would_vanish_is_kept_as_it_was() -> None:
    line = np.zeros((20, 60), bool)
    line[10, 5:55] = True
    assert np.array_equal(erode_components(line, k=3, square=False, min_area=10, n_iter=-1), line)


def test_arguments_are_not_written_and_work_can_be_stopped() -> None:
    mask = disc((60, 60), (30, 30), 20)
    before = mask.copy()
    erode_components(mask, k=3, square=False, min_area=5, n_iter=-1)
    assert np.array_equal(mask, before)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        erode_components(mask, k=3, square=False, min_area=5, n_iter=-1, tick=stop)


def test_bad_input_is_named() -> None:
    for call in (circle_dilate, circle_erode, close_open):
        with pytest.raises(InputError, match="is 4"):
            call(np.ones((5, 5), bool), 4)
        with pytest.raises(InputError, match="float64"):
            call(np.ones((5, 5)), 3)


def test_warm_compiles_the_kernel() -> None:
    morphology.warm()
    assert morphology._erode_each.signatures
