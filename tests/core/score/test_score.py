import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal, stats

from segapp.core.params import default_params, knobs
from segapp.core.score import (
    CELL_SCORE,
    METHODS,
    NUCLEI_SCORE,
    ScoreMaskParams,
    apply_score,
    fit_score,
    mask_scores,
    moran,
)
from segapp.core.score._by_count import circle_sums
from segapp.core.score._moran import largest_in_blocks
from segapp.core.score.mixture import histogram_weights
from segapp.core.score.model import Mixture, to_vector
from segapp.core.score.moran import MoranParams, fit_moran, largest_of, moran_kernel
from segapp.core.score.support import must_borrow
from segapp.core.score.vi import fit_vi, mixture_elbo
from segapp.core.types import InputError, ScoreInfo

ALL = METHODS.names()
DTYPES = [np.uint8, np.uint16, np.uint32, np.int32, np.int64, np.float32, np.float64]


def cells(height=64, width=64, seed=0, dark=0.05, bright=1.0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    truth = (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2 < 64
    return rng.poisson(np.where(truth, bright, dark)).astype(np.uint32), truth


def params(method, **changes):
    return METHODS.option(method)(**changes)


def score(counts, method="EM+BP", bins=None, certain=None, **changes):
    chosen = params(method, **changes)
    return apply_score(counts, bins, certain, chosen, fit_score(counts, bins, chosen))


def assert_sane(scores, shape):
    assert scores.shape == shape
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.max() <= 1.0001


# what each method is


@pytest.mark.parametrize("method", ALL)
def test_cells_score_above_the_background(method):
    counts, truth = cells(96, 96)
    scores = score(counts, method)
    assert_sane(scores, counts.shape)
    assert np.median(scores[truth]) > np.median(scores[~truth]) + 0.2


def test_gauss_is_the_blur_scaled():
    counts, _ = cells()
    blurred = cv2.GaussianBlur(counts.astype(float), (5, 5), 0)
    expected = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    np.testing.assert_allclose(score(counts, "gauss"), expected, atol=1e-6)


@pytest.mark.parametrize("statistic", ["lag", "I"])
def test_moran_is_the_textbook_statistic_where_significant(statistic):
    counts, _ = cells()
    x = cv2.GaussianBlur(counts.astype(float), (5, 5), 0)
    n, kernel = x.size, moran_kernel(7)
    z = x - x.mean()
    m2, b2 = (z**2).mean(), (z**4).mean() / (z**2).mean() ** 2
    lag = signal.convolve2d(z, kernel, mode="same", boundary="symm")
    local = z * lag / m2
    cross = np.outer(kernel, kernel).sum()
    variance = (kernel**2).sum() * (n - b2) / (n - 1) + cross * (2 * b2 - n) / ((n - 1) * (n - 2))
    variance -= kernel.sum() ** 2 / (n - 1) ** 2
    p = 2 * stats.norm.sf(np.abs(local + kernel.sum() / (n - 1)) / np.sqrt(variance))
    expected = np.where(p >= 0.05, 0, lag if statistic == "lag" else local)
    found = score(counts, "moran", moran_statistic=statistic)
    assert ((found != 0) == (expected != 0)).all()
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)


@pytest.mark.parametrize("statistic", ["lag", "I"])
@pytest.mark.parametrize("k", [3, 7, 25])
@pytest.mark.parametrize("p", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("binned", [False, True])
def test_the_largest_moran_score_is_that_of_all_pixels(monkeypatch, statistic, k, p, binned):
    searched = []

    def search(*arguments):
        largest, seen = largest_in_blocks(*arguments)
        searched.append(largest > 0 and seen < len(arguments[-1]))
        return largest, seen

    monkeypatch.setattr(moran, "largest_in_blocks", search)
    for seed, shape in enumerate([(600, 500), (290, 940), (811, 477), (9, 7), (1, 300), (560, 700)]):
        rng = np.random.default_rng(seed)
        smooth = ndimage.gaussian_filter(rng.normal(size=shape), 9)
        rate = np.exp(min(seed + 1.0, 3.0) * smooth / smooth.std())  # the brighter some places, the sooner it ends
        counts = rng.poisson(rate).astype(np.uint32)
        bins = (rng.random(shape) < 0.9).astype(np.int32) if binned else None
        chosen = MoranParams(moran_statistic=statistic, moran_k=k, moran_p_threshold=p)
        found = fit_moran(counts, bins, chosen)
        if found["deviation"] == 0:
            assert found["largest"] == 0
            continue
        blurred = moran._blurred(counts, bins, chosen.k)
        assert found["largest"] == moran._score(blurred, chosen, found, moran.WHOLE, 1.0, None)
        part = slice(shape[0] // 4, shape[0]), slice(shape[1] // 5, shape[1] // 5 + 90)
        assert largest_of(counts, bins, chosen, found, part) == moran._score(blurred, chosen, found, part, 1.0, None)
    # where nothing is significant nothing is found
    assert any(searched) or p == 0.0


@pytest.mark.parametrize("binned", [False, True])
def test_warm_compiles_what_moran_needs_for_a_large_section(binned):
    moran.warm()
    kernels = (moran.largest_in_blocks, moran.powers_of, moran.score_band)
    before = [len(kernel.signatures) for kernel in kernels]
    counts, _ = cells(600, 600)
    score(counts, "moran", bins=np.ones(counts.shape, np.int32) if binned else None)
    assert [len(kernel.signatures) for kernel in kernels] == before


def test_a_background_below_the_mean_has_a_low_lag_but_not_a_low_local_i():
    counts = np.zeros((60, 60), np.uint32)
    counts[:30] = 9
    counts[::7, ::5] += 1
    lag, local = (
        score(counts, "moran", moran_p_threshold=1.0),
        score(counts, "moran", moran_p_threshold=1.0, moran_statistic="I"),
    )
    assert np.median(lag[40:]) < 0 < np.median(local[40:])


def test_1_vi_with_gauss_works():
    counts, _ = cells()
    scores = score(counts, "VI+gauss")
    assert_sane(scores, counts.shape)
    np.testing.assert_allclose(scores, score(counts, "EM+gauss"), atol=1e-3)  # the same optimum


def test_vi_ends_at_an_optimum_of_pyros_bound():
    import torch

    rng = np.random.default_rng(0)
    counts = np.concatenate([rng.poisson(2, 5000), rng.negative_binomial(10, 1 / 3, 2000), np.zeros(2000, int)])
    histogram = np.bincount(counts)
    values, weights = histogram_weights(histogram, "none")
    levels = []
    for inflated in (False, True):
        found = fit_vi(histogram, n_epochs=100, zero_inflated=inflated)
        x = torch.tensor(to_vector(found, inflated), requires_grad=True)
        loss = mixture_elbo(values, weights, x)
        loss.backward()
        assert -loss.item() == pytest.approx(found.log_likelihood, abs=1e-4)
        levels.append(found.log_likelihood)
        if not inflated:
            assert x.grad.abs().max() < 1e-5
    assert levels[1] >= levels[0] - 1e-9


def test_zero_inflation_goes_through():
    counts, _ = cells(dark=0.01, bright=0.6)
    assert_sane(score(counts, "VI+BP", vi_zero_inflated=True), counts.shape)


# behaviour that is easy to get wrong


@pytest.mark.parametrize("method", ALL)
def test_2_bin_0_scores_0(method):
    counts, _ = cells()
    bins = np.ones(counts.shape, np.int32)
    bins[:, 40:] = 2
    bins[:10] = 0
    scores = score(counts, method, bins=bins)
    assert_sane(scores, counts.shape)
    assert (scores[:10] == 0).all()
    assert (scores[10:] != 0).any()


@pytest.mark.parametrize("method", ALL)
def test_2_no_bin_at_all_scores_0(method):
    counts, _ = cells()
    assert (score(counts, method, bins=np.zeros(counts.shape, np.int32)) == 0).all()


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("picture", ["hot", "zero", "constant", "binary", "one", "saturated"])
def test_2_no_input_makes_nan_or_infinity(method, picture):
    counts, _ = cells(40, 33)
    counts = {
        "hot": np.where(np.arange(counts.size).reshape(counts.shape) % 500 == 3, 4000, counts),
        "zero": np.zeros_like(counts),
        "constant": np.full_like(counts, 7),
        "binary": np.minimum(counts, 1),
        "one": np.pad([[1]], ((20, 19), (16, 16))),
        "saturated": np.full_like(counts, 4000) + counts,
    }[picture].astype(np.uint32)
    scores = score(counts, method)
    assert_sane(scores, counts.shape)
    if picture in ("zero", "constant"):
        assert (scores == 0).all()


def test_2_hot_pixels_are_occupied():
    counts, _ = cells()
    counts[0, 0] = counts[50, 1] = 4000
    for method in ("EM", "EM+BP"):
        scores = score(counts, method)
        assert scores[0, 0] > 0.99
        assert scores[50, 1] > 0.99


def test_3_small_images_and_small_bins_are_fitted():
    counts, _ = cells(9, 10)
    assert_sane(score(counts), (9, 10))
    counts, _ = cells()
    bins = np.ones(counts.shape, np.int32)
    bins[30:33, 30:33] = 2
    bins[50, 50] = 7  # one pixel has one count: it borrows the fit of all bins together
    info = fit_score(counts, bins, params("EM"))
    assert info.statistics["mixtures"]["7"] is None
    assert info.statistics["pooled"] is not None
    assert_sane(score(counts, "EM", bins=bins), counts.shape)


def bins_of_a_patch(mean, seed=0):
    """Tissue with cells, and a patch of noise without any as a density bin of its own."""
    counts, _ = cells(160, 160, seed=seed, dark=0.1, bright=1.5)
    patch = np.s_[40:100, 50:130]
    counts[patch] = np.random.default_rng(seed + 1).poisson(mean, counts[patch].shape)
    bins = np.ones(counts.shape, np.int32)
    bins[patch] = 2
    return counts, bins, bins == 2


@pytest.mark.parametrize("method", ["EM+BP", "EM", "VI+BP"])
@pytest.mark.parametrize("mean", [0.02, 0.1])
def test_a_bin_of_flat_noise_has_no_occupied_pixel(method, mean):
    counts, bins, patch = bins_of_a_patch(mean)
    chosen = params(method)
    info = fit_score(counts, bins, chosen)
    assert info.statistics["mixtures"]["2"] is None and info.statistics["mixtures"]["1"] is not None
    scores = apply_score(counts, bins, None, chosen, info)
    mask, _ = mask_scores(scores, info, None, ScoreMaskParams())
    inside = ndimage.binary_erosion(patch, iterations=6)  # cells beside the seam reach in
    assert not mask[inside].any()
    assert mask[~patch].mean() > 0.1


@pytest.mark.parametrize("method", ["EM+BP", "EM"])
def test_an_empty_bin_scores_0(method):
    counts, bins, patch = bins_of_a_patch(0.0)
    counts[70, 90] = 1  # one stray UMI does not make a cell
    scores = score(counts, method, bins=bins)
    inside = ndimage.binary_erosion(patch, iterations=6)
    assert scores[inside].max() < 0.1
    assert scores[inside].mean() < 0.01


def test_a_bin_whose_components_lie_on_each_other_borrows():
    apart = Mixture((0.6, 0.4), (3.2, 14.4), (2.5, 8.0))
    assert must_borrow(Mixture((0.7, 0.3), (1.5, 4.1), (29.0, 1.3)), apart)
    assert not must_borrow(Mixture((0.9, 0.1), (1.5, 6.9), (20.0, 8.4)), apart)
    assert must_borrow(Mixture((0.5, 0.5), (0.3, 3.0), (20.0, 8.4)), apart)  # occupied below the field's background
    # a field that does no better has nothing to lend
    assert not must_borrow(Mixture((0.7, 0.3), (1.5, 4.1), (29.0, 1.3)), Mixture((0.7, 0.3), (1.5, 3.9), (29.0, 0.9)))


def test_a_field_of_flat_noise_scores_0():
    counts = np.random.default_rng(3).poisson(0.3, (120, 130))
    assert score(counts).max() == 0
    assert score(counts, borrow="off").max() > 0.5


@pytest.mark.parametrize("bad", [0.5, -1, np.nan, np.inf])
def test_4_counts_that_are_no_counts_are_refused(bad):
    counts = np.zeros((5, 5))
    counts[2, 2] = bad
    with pytest.raises(InputError, match="counts"):
        fit_score(counts, None, params("EM+BP"))


@pytest.mark.parametrize("method", ALL)
def test_5_a_flat_image_stays_flat_across_a_seam(method):
    bins = np.ones((40, 40), np.int32)
    bins[:, 20:] = 2
    scores = score(np.full((40, 40), 6, np.uint32), method, bins=bins)
    assert np.ptp(scores) == 0


def test_5_gauss_scores_are_scaled_in_every_bin():
    counts, _ = cells()
    counts[:, 32:] *= 10
    bins = np.ones(counts.shape, np.int32)
    bins[:, 32:] = 2
    scores = score(counts, "gauss", bins=bins)
    assert scores[bins == 1].max() == pytest.approx(1)
    assert scores[bins == 2].max() == pytest.approx(1)


def test_each_bin_has_a_mixture_of_its_own():
    counts, truth = cells(120, 120)
    dense, _ = cells(120, 120, seed=1, dark=1.2, bright=6)
    counts[:, 60:] = dense[:, 60:]
    bins = np.ones(counts.shape, np.int32)
    bins[:, 60:] = 2
    flat, binned = score(counts, "EM"), score(counts, "EM", bins=bins)
    inside = np.s_[:, 64:]
    assert ((binned[inside] > 0.5) == truth[inside]).mean() > ((flat[inside] > 0.5) == truth[inside]).mean() + 0.02


@pytest.mark.parametrize("dtype", DTYPES)
def test_6_sums_do_not_wrap_in_any_dtype(dtype):
    counts, _ = cells(30, 30, bright=30)
    expected = score(counts)
    np.testing.assert_array_equal(score(counts.astype(dtype)), expected)


@pytest.mark.parametrize("method", ALL)
def test_certain_pixels_score_high_and_pull_their_neighbours(method):
    counts, _ = cells(bright=0.3)
    certain = np.zeros(counts.shape, bool)
    certain[5:12, 40:44] = True
    plain, helped = score(counts, method), score(counts, method, certain=certain)
    assert (helped[certain] >= (0.98 if "BP" in method else 1)).all()
    if "BP" in method:
        ring = np.zeros_like(certain)
        ring[4, 40:44] = True
        assert (helped[ring] >= plain[ring]).all()
    if method in ("EM", "gauss", "moran"):
        np.testing.assert_array_equal(helped[~certain], plain[~certain])


# fit and apply


@pytest.mark.parametrize("method", ALL)
def test_a_window_scores_as_the_whole_does(method):
    counts, _ = cells(96, 96)
    chosen = params(method)
    info = fit_score(counts, None, chosen)
    info = ScoreInfo(info.method, info.k, json.loads(json.dumps(dict(info.statistics))))
    whole = apply_score(counts, None, None, chosen, info)
    window = apply_score(counts[10:80, 20:90], None, None, chosen, info)
    np.testing.assert_allclose(window[16:-16, 16:-16], whole[26:64, 36:74], atol=5e-3)


def test_arguments_stay_as_they_were():
    counts, truth = cells()
    bins = np.ones(counts.shape, np.int32)
    for array in (counts, bins, truth):
        array.flags.writeable = False
    for method in ALL:
        score(counts, method, bins=bins, certain=truth)
        score(counts, method, certain=truth, k=1)


def test_wrong_combinations_are_refused():
    counts, truth = cells()
    info = fit_score(counts, None, params("gauss"))
    with pytest.raises(InputError, match="fitted with method gauss"):
        apply_score(counts, None, None, params("EM"), info)
    with pytest.raises(InputError, match="shape"):
        apply_score(counts, None, truth[1:], params("gauss"), info)
    with pytest.raises(InputError, match="shape"):
        fit_score(counts, np.ones((3, 3), int), params("EM"))
    with pytest.raises(InputError, match="METHODS"):
        fit_score(counts, None, ScoreMaskParams())


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.integers(0, 10_000),
    st.sampled_from([0, 0.01, 0.5, 20]),
    st.sampled_from(["gauss", "moran", "EM", "EM+gauss", "EM+BP"]),
    st.sampled_from(DTYPES),
    st.sampled_from([1, 3, 7, 15]),
    st.booleans(),
    st.booleans(),
)
def test_any_image_gives_scores(height, width, seed, level, method, dtype, k, hot, binned):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(level, (height, width))
    if hot:
        counts[rng.integers(height), rng.integers(width)] = 255 if dtype is np.uint8 else 4000
    bins = rng.integers(0, 3, (height, width)) if binned else None
    scores = score(np.minimum(counts, 255).astype(dtype), method, bins=bins, k=k)
    assert_sane(scores, (height, width))
    if binned:
        assert (scores[bins == 0] == 0).all()


# declarations


def test_the_declarations_have_the_known_defaults():
    assert ALL == ("gauss", "moran", "EM", "EM+gauss", "EM+BP", "VI+gauss", "VI+BP")
    nuclei, cell = default_params(NUCLEI_SCORE), default_params(CELL_SCORE)
    assert (nuclei.method, nuclei.k) == ("EM+BP", 5)
    assert (cell.method, cell.k, cell.certain) == ("EM+BP", 7, "nuclei")
    assert (cell.bp_k, cell.bp_square, cell.bp_p, cell.bp_q) == (3, False, 0.6, 0.4)
    assert (cell.em_max_iter, cell.em_precision, cell.em_weighting) == (2000, 1e-6, "none")


@pytest.mark.parametrize("declared", [METHODS, CELL_SCORE])
def test_every_parameter_is_complete_and_the_method_comes_first(declared):
    for option in declared.options:
        names = [item.name for item in knobs(option)]
        assert names[:2] == ["method", "k"]


def test_methods_are_found_in_any_case():
    assert METHODS.option("em+bp") is METHODS.option("EM+BP")


def test_the_sparse_counts_of_a_small_section_are_not_taken_for_noise():
    from segapp.core.rna import rasterize
    from segapp.core.synthetic import tissue
    from segapp.core.types import Grid

    section = tissue(256, 1)
    counts = rasterize(section.transcripts, Grid(0, 0, 256, 256), "unspliced")
    params = METHODS.option("EM+BP")()
    scores = apply_score(counts, None, None, params, fit_score(counts, None, params))
    assert scores[section.nuclei > 0].mean() > 2 * scores[section.cells == 0].mean() > 0


def test_a_sum_scaled_up_at_a_seam_stays_a_count():
    counts = np.full((4, 4), 2**26, np.uint32)
    counts[1, 1] = 2**29  # alone in its bin: taken times 13, above the largest count
    bins = np.ones((4, 4), np.int32)
    bins[1, 1] = 2
    sums = circle_sums(counts, bins, 5)
    assert sums[1, 1] >= 2**32 - 256 and sums[0, 0] == 13 * 2**26
