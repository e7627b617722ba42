"""What density bins do to scores: noise and empty bins, seams, mixtures of their own."""

import numpy as np
import pytest
from scipy import ndimage

from segapp.core.score import ScoreMaskParams, apply_score, fit_score, mask_scores
from segapp.core.score._by_count import circle_sums
from segapp.core.score.model import Mixture
from segapp.core.score.support import must_borrow
from tests.core.score.scored import ALL, assert_sane, cells, params, score


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


def test_a_sum_scaled_up_at_a_seam_stays_a_count():
    counts = np.full((4, 4), 2**26, np.uint32)
    counts[1, 1] = 2**29  # alone in its bin: taken times 13, above the largest count
    bins = np.ones((4, 4), np.int32)
    bins[1, 1] = 2
    sums = circle_sums(counts, bins, 5)
    assert sums[1, 1] >= 2**32 - 256 and sums[0, 0] == 13 * 2**26
