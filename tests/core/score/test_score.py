import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core.params import default_params, knobs
from segapp.core.score import CELL_SCORE, METHODS, NUCLEI_SCORE, ScoreMaskParams, apply_score, fit_score
from segapp.core.score.mixture import histogram_weights
from segapp.core.score.model import to_vector
from segapp.core.score.vi import fit_vi, mixture_elbo
from segapp.core.types import InputError, ScoreInfo
from tests.core.score.scored import ALL, assert_sane, cells, params, score

DTYPES = [np.uint8, np.uint16, np.uint32, np.int32, np.int64, np.float32, np.float64]


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
