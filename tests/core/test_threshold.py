import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import filters

from segapp.core.threshold import knee, knee_or_otsu, local_threshold, multi_otsu, otsu
from segapp.core.types import InputError


def two_humps(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(50, 8, 3000), rng.normal(160, 20, 1000)]).clip(0, 255).reshape(40, 100)


def test_otsu_cuts_between_two_humps() -> None:
    assert 70 < otsu(two_humps(0)) < 130


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32, np.float64])
def test_otsu_is_the_field_s(dtype: type) -> None:
    values = two_humps(1).astype(dtype)
    assert otsu(values) == pytest.approx(filters.threshold_otsu(values))


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_multi_otsu_is_the_field_s(classes: int, dtype: type) -> None:
    values = two_humps(2).astype(dtype)
    assert multi_otsu(values, classes) == pytest.approx(filters.threshold_multiotsu(values, classes))


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_multi_otsu_finds_the_best_of_all_pairs_of_cuts(values: list[int]) -> None:
    array = np.array(values)
    levels = np.unique(array)
    if levels.size < 3:
        with pytest.raises(InputError):
            multi_otsu(array, 3)
        return

    def inside(cuts: tuple[float, ...]) -> float:
        parts = np.split(np.sort(array), np.searchsorted(np.sort(array), cuts, side="right"))
        return sum(part.var() * part.size for part in parts if part.size)

    best = min(inside((a, b)) for i, a in enumerate(levels[:-2]) for b in levels[i + 1 : -1])
    assert inside(multi_otsu(array, 3)) == pytest.approx(best, abs=1e-9)


def test_a_16_bit_image_is_cut_where_its_8_bit_twin_is() -> None:
    values = two_humps(3).astype(np.uint8)
    wide = multi_otsu(values.astype(np.uint16) * 257, 3)
    assert np.allclose(np.array(wide) / 257, multi_otsu(values, 3), atol=1.5)


def test_negative_and_large_values_have_a_threshold() -> None:
    assert -90 <= otsu(np.array([-100, -90, 7, 8])) < 7
    assert 5 <= otsu(np.array([1, 5, 4_000_000_000], np.uint32)) < 4_000_000_000


@pytest.mark.parametrize("call", [otsu, knee_or_otsu, lambda image: multi_otsu(image, 3)])
@pytest.mark.parametrize("bad", [np.full((5, 5), 3.0), np.array([[1.0, np.nan]]), np.zeros((0, 3))])
@pytest.mark.filterwarnings("ignore:the distribution has no knee")
def test_constant_empty_and_nan_images_are_refused(call: object, bad: np.ndarray) -> None:
    with pytest.raises(InputError):
        call(bad)  # type: ignore[operator]


def test_a_knee_lies_where_the_cumulative_curve_bends() -> None:
    rng = np.random.default_rng(0)
    counts = np.concatenate([rng.poisson(4, 20_000), rng.integers(0, 100, 2_000)])
    found = knee(counts)
    assert found is not None
    assert 5 <= found <= 15
    assert knee(counts.astype(np.float32)) == found
    assert knee_or_otsu(counts) == found


def test_where_no_knee_exists_otsu_stands_in_with_a_warning() -> None:
    values = np.array([1, 2, 3, 4, 5, 90, 90, 91])
    assert knee(values) is None
    with pytest.warns(UserWarning, match="no knee"):
        assert knee_or_otsu(values) == otsu(values)


def test_a_local_threshold_follows_an_uneven_background() -> None:
    ramp = np.tile(np.linspace(20, 120, 200), (60, 1))
    stain = ramp.copy()
    stain[28:34, [20, 21, 22, 178, 179, 180]] += 40
    for dtype in (np.uint8, np.uint16, np.float64):
        kept = local_threshold(stain.astype(dtype), 31, 5)
        assert np.array_equal(kept, stain > ramp)


def test_a_float_image_is_compared_with_its_gaussian_mean() -> None:
    image = np.random.default_rng(0).normal(100, 30, (50, 60))
    sigma = 0.3 * ((21 - 1) / 2 - 1) + 0.8
    mean = ndimage.gaussian_filter(image, sigma, mode="nearest", radius=10)
    assert (local_threshold(image, 21, 4) == (image - mean > 4)).mean() > 0.999


def test_bad_diameters_are_refused() -> None:
    for k in (1, 4):
        with pytest.raises(InputError):
            local_threshold(np.eye(9), k, 5)
    with pytest.raises(InputError, match="at least 2"):
        multi_otsu(np.eye(9), 1)


def test_values_too_close_for_their_own_precision_are_cut_all_the_same():
    close = np.float32(6.9) + np.linspace(0, 1e-4, 400, dtype=np.float32)
    low, high = multi_otsu(close, 3)
    assert close.min() < low < high < close.max()
    nearly = np.array([1.0, np.nextafter(1.0, 2.0)])
    with pytest.raises(InputError, match="as good as that"):
        otsu(nearly)


@pytest.mark.parametrize("dtype", [np.uint64, np.int64, np.float32, np.float64])
def test_values_so_high_that_one_less_is_the_same_have_a_knee_or_none(dtype) -> None:
    assert knee(np.full(9, 2**62, dtype)) is None
    counts = np.repeat(np.arange(40), np.maximum(1, 2000 // 2 ** np.arange(40)))
    # steps that the dtype tells apart from 2**40 on
    assert knee(2.0**40 + 2.0**18 * counts.astype(dtype)) == 2.0**40 + 2.0**18 * knee(counts)
