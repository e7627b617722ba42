import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

from segapp.core import _bands, _seams, convolve
from segapp.core.convolve import circle_kernel, circle_sum, circle_sum_by_bin, gauss_blur, gauss_blur_by_bin
from segapp.core.types import InputError


def test_a_circle_is_what_its_radius_says() -> None:
    assert circle_kernel(1).tolist() == [[1]]
    assert circle_kernel(3).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert circle_kernel(7).sum() == 29


def test_one_hot_pixel_draws_the_kernel() -> None:
    counts = np.zeros((9, 9), int)
    counts[4, 4] = 3
    assert np.array_equal(circle_sum(counts, 5)[2:7, 2:7], 3 * circle_kernel(5))


@settings(max_examples=25, deadline=None)
@given(
    k=st.sampled_from([1, 3, 5, 7, 9, 11, 17, 25]),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    top=st.sampled_from([1, 19, 20, 255, 70_000, 10_000_000]),
    seed=st.integers(0, 99),
)
def test_circle_sums_are_exact_for_every_diameter_shape_and_magnitude(
    k: int, shape: tuple[int, int], top: int, seed: int
) -> None:
    counts = np.random.default_rng(seed).integers(0, top, shape, endpoint=True)
    padded = np.pad(counts, k // 2, mode="symmetric")
    truth = signal.convolve2d(padded, circle_kernel(k), mode="valid")
    found = circle_sum(counts, k)
    assert found.dtype == np.uint32
    assert np.array_equal(found, truth)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32])
def test_sums_never_wrap(dtype: type) -> None:
    counts = np.full((20, 20), 255, dtype)
    assert (circle_sum(counts, 5) == 255 * 13).all()
    assert (circle_sum(counts, 19) == 255 * circle_kernel(19).sum()).all()
    assert (circle_sum_by_bin(counts, np.ones((20, 20), np.uint8), 5) == 255 * 13).all()


def test_a_circle_of_one_pixel_is_the_count_in_every_bin() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (40, 50)).astype(np.uint32)
    bins = np.random.default_rng(1).integers(0, 3, counts.shape)
    assert np.array_equal(circle_sum_by_bin(counts, bins, 1), np.where(bins > 0, counts, 0))
    assert np.array_equal(circle_sum(counts, 1), counts)


def test_sums_above_65535_in_one_pixel_are_exact() -> None:
    counts = np.full((8, 8), 70_001, np.uint32)
    counts[3, 3] = 300_000_000
    assert circle_sum(counts, 3)[3, 3] == 300_000_000 + 4 * 70_001


@pytest.mark.parametrize("brightest", [15, 50, 2**16, 2**29])
@pytest.mark.parametrize("k", [3, 5, 7])
def test_bands_meet_without_a_seam_in_8_to_64_bits(k: int, brightest: int) -> None:
    counts = np.random.default_rng(0).integers(0, min(brightest, 50), (1600, 400))
    bands = _bands.bands(counts.shape, k - 1)
    assert len(bands) > 3
    for first, last in bands[1:3]:
        counts[first, 200] = counts[last - 1, 0] = brightest
    truth = ndimage.convolve(counts, circle_kernel(k), mode="reflect")
    assert np.array_equal(circle_sum(counts, k), truth)


def test_a_sum_beyond_32_bits_is_refused_instead_of_wrapped() -> None:
    counts = np.full((4, 4), 2**32 - 1, np.uint32)
    with pytest.raises(InputError, match="above 4294967295"):
        circle_sum(counts, 3)
    counts = np.zeros((9, 9), np.uint32)
    counts[4, 4] = 2**32 - 1
    assert circle_sum(counts, 3).max() == 2**32 - 1


@pytest.mark.parametrize("k", [3, 5, 11])
def test_a_flat_image_stays_flat_across_a_bin_seam(k: int) -> None:
    bins = np.repeat(np.repeat(np.array([[1, 2, 0], [3, 1, 2]]), 9, axis=0), 7, axis=1)
    inside = bins > 0
    sums = circle_sum_by_bin(np.full(bins.shape, 4), bins, k)
    assert (sums[inside] == 4 * circle_kernel(k).sum()).all()
    assert (sums[~inside] == 0).all()
    blurred = gauss_blur_by_bin(np.full(bins.shape, 4.5), bins, k)
    assert np.allclose(blurred[inside], 4.5, rtol=1e-6)
    assert (blurred[~inside] == 0).all()


@pytest.mark.parametrize("k", [3, 7])
def test_bins_do_not_leak_and_far_from_a_seam_nothing_changes(k: int) -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 9, (40, 41))
    bins = np.ones((40, 41), np.int64)
    bins[:, 20:] = 2**25
    other = counts.copy()
    other[:, 20:] = 1000
    assert np.array_equal(circle_sum_by_bin(counts, bins, k)[:, :20], circle_sum_by_bin(other, bins, k)[:, :20])
    assert np.allclose(gauss_blur_by_bin(counts, bins, k)[:, :20], gauss_blur_by_bin(other, bins, k)[:, :20])
    far = 20 - k // 2
    assert np.array_equal(circle_sum_by_bin(counts, bins, k)[:, :far], circle_sum(counts, k)[:, :far])
    # the seam itself, by the definition
    one = np.pad(np.where(bins == 1, counts, 0), k // 2, mode="symmetric")
    n = np.pad((bins == 1).astype(int), k // 2, mode="symmetric")
    kernel = circle_kernel(k)
    amount, area = signal.convolve2d(one, kernel, mode="valid"), signal.convolve2d(n, kernel, mode="valid")
    truth = amount[:, :20] * kernel.sum() / area[:, :20]
    assert np.allclose(circle_sum_by_bin(counts, bins, k)[:, :20], truth)


@pytest.mark.parametrize(
    ("shape", "k", "grain"), [((30, 200), 9, 1), ((500, 700), 15, 60), ((7, 5), 21, 2), ((90, 90), 5, 9)]
)
def test_sums_within_a_bin_are_those_of_the_definition(shape, k, grain) -> None:
    rng = np.random.default_rng(k)
    counts = rng.integers(0, 2**16, shape)
    coarse = rng.integers(0, 5, (shape[0] // grain + 1, shape[1] // grain + 1))
    bins = np.kron(coarse, np.ones((grain, grain), int))[: shape[0], : shape[1]]
    kernel, truth = circle_kernel(k).astype(np.int64), np.zeros(shape, np.float32)
    for bin_ in range(1, 5):
        here = bins == bin_
        amount = ndimage.convolve(np.where(here, counts, 0), kernel, mode="reflect")
        number = ndimage.convolve(here.astype(np.int64), kernel, mode="reflect")
        truth[here] = (amount * kernel.sum())[here] / number[here]
    assert np.array_equal(circle_sum_by_bin(counts, bins, k), truth)


def test_blur_of_an_8_bit_image_is_exact() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 31)).astype(np.uint8)
    line = np.array([1, 4, 6, 4, 1]) / 16
    truth = ndimage.convolve(image.astype(float), np.outer(line, line), mode="mirror")
    assert np.array_equal(gauss_blur(image, 5), truth)


def test_blur_keeps_a_flat_image_and_the_sigma_of_its_diameter() -> None:
    assert np.allclose(gauss_blur(np.full((20, 20), 7.0), 13), 7)
    image = np.zeros((101, 101))
    image[50, 50] = 1
    row = gauss_blur(image, 31)[50]
    sigma = 0.3 * ((31 - 1) / 2 - 1) + 0.8
    assert row[50 + 5] / row[50] == pytest.approx(np.exp(-25 / (2 * sigma**2)), rel=1e-4)


def test_inputs_are_not_written_and_not_returned() -> None:
    counts = np.ones((5, 5), np.uint32)
    image = np.ones((5, 5), np.float32)
    for result, given_ in ((circle_sum(counts, 1), counts), (gauss_blur(image, 1), image)):
        result[0, 0] = 9
        assert given_[0, 0] == 1


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="`k` is 4"):
        circle_sum(np.ones((5, 5)), 4)
    with pytest.raises(InputError, match="`k` is 2"):
        gauss_blur(np.ones((5, 5)), 2)
    with pytest.raises(InputError, match=r"`counts` has shape .* but `bins` has"):
        circle_sum_by_bin(np.ones((5, 5)), np.ones((5, 6), int), 3)
    with pytest.raises(InputError, match="NaN"):
        gauss_blur(np.full((5, 5), np.nan), 3)


def test_warm_compiles_every_kernel() -> None:
    convolve.warm()
    assert convolve.sum_chords.signatures
    assert _seams._chords_at_seams.signatures
    assert convolve._blur_at_seams.signatures
