import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from segapp.core.params import patch
from segapp.core.score import METHODS, mixture, model, nbinom
from segapp.core.score.start import start_of
from segapp.core.types import InputError

ONE_ROUND = {"max_iter": 1, "precision": 0.0}


def drawn(n=20_000, seed=0):
    rng = np.random.default_rng(seed)
    dark = rng.negative_binomial(2, 0.5, int(0.8 * n))
    bright = rng.negative_binomial(6, 0.25, n - len(dark))
    return np.concatenate([dark, bright])


def fit(histogram, **changes):
    return mixture.fit_mixture(histogram, **{"max_iter": 2000, "precision": 1e-6, "weighting": "none"} | changes)


def test_the_true_mixture_is_recovered():
    found = fit(np.bincount(drawn(200_000)))
    assert found.w[1] == pytest.approx(0.2, abs=0.02)
    assert found.mu == pytest.approx((2, 18), rel=0.05)
    assert found.r == pytest.approx((2, 6), rel=0.1)


def test_log_pmf_is_scipys_over_gaps_and_extremes():
    counts = np.array([0.0, 1, 2, 5, 40, 41, 4000, 150_000])
    for mu, r in ((0.01, 3.0), (7.0, 0.2), (500.0, 80.0)):
        ours = nbinom.log_pmf(counts, mu, r, 0.0)
        np.testing.assert_allclose(ours, stats.nbinom.logpmf(counts, r, r / (r + mu)), rtol=1e-9, atol=1e-9)


def test_several_sizes_at_once_are_each_by_itself():
    counts, sizes = np.array([0.0, 1, 2, 5, 40, 41, 4000, 150_000]), np.geomspace(1e-4, 1e6, 9)
    together = nbinom.log_pmfs(counts, 7.0, sizes)
    assert np.array_equal(together, [nbinom.log_pmf(counts, 7.0, size, 0.0) for size in sizes])


def test_zero_inflated_probabilities_sum_to_one():
    counts = np.arange(2000.0)
    assert np.exp(nbinom.log_pmf(counts, 6.0, 1.5, 0.3)).sum() == pytest.approx(1)


def test_digamma_is_scipys():
    x = np.geomspace(1e-4, 1e7, 60)
    np.testing.assert_allclose([nbinom.digamma(v) for v in x], special.digamma(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [5, 7])
def test_the_gradient_is_that_of_the_loss(n):
    values, weights = mixture.histogram_weights(np.bincount(drawn()), "none")
    factorials = nbinom.log_factorials(values)
    x = np.array([-0.7, 0.5, 2.0, 0.3, 1.1, -1.5, -3.0])[:n]
    level, gradient = nbinom.loss(values, weights, factorials, x)
    assert np.isfinite(level)
    for j in range(n):
        step = np.zeros(n)
        step[j] = 1e-6
        slope = (
            nbinom.loss(values, weights, factorials, x + step)[0]
            - nbinom.loss(values, weights, factorials, x - step)[0]
        )
        assert slope / 2e-6 == pytest.approx(gradient[j], abs=1e-6)


@pytest.mark.parametrize("n", [5, 7])
def test_a_gradient_beside_a_point_is_that_of_the_loss_to_the_last_bit(n):
    values, weights = mixture.histogram_weights(np.bincount(drawn()), "none")
    factorials = nbinom.log_factorials(values)
    x = np.array([-0.7, 0.5, 2.0, 0.3, 1.1, -1.5, -3.0])[:n]
    rises, psi, logs, stay = *np.empty((3, 3, len(values))), np.empty(3)
    for c in range(2):
        nbinom._rise(values, np.exp(x[3 + c]), rises[c], psi[c])
        stay[c] = nbinom._component(values, factorials, x, c, rises[c], logs[c])
    for j in range(n):
        at = x.copy()
        at[j] += 1e-5
        found = nbinom._beside(values, weights, factorials, x, j, 1e-5, rises, psi, logs, stay)
        assert np.array_equal(found, nbinom.loss(values, weights, factorials, at)[1])


def test_one_em_round_is_the_textbook_one():
    counts = drawn(2000)
    values, weights = mixture.histogram_weights(np.bincount(counts), "none")
    start = mixture.otsu_starts(np.bincount(counts), values, weights)[0]
    moved, rounds = mixture.run_em(values, weights, start, **ONE_ROUND)
    # the same round, pixel by pixel
    w, r, theta = (np.array(pair)[:, None] for pair in (start.w, start.r, start.theta))
    tau = w * stats.nbinom.pmf(counts, r, theta)
    tau /= tau.sum(axis=0)
    delta = r * (special.digamma(r + counts) - special.digamma(r))
    beta = 1 - 1 / (1 - theta) - 1 / np.log(theta)
    rise = (tau * delta).sum(axis=1)
    new_theta = beta[:, 0] * rise / (tau * (counts - (1 - beta) * delta)).sum(axis=1)
    assert rounds == 1
    assert moved.w == pytest.approx(tau.mean(axis=1))
    assert moved.theta == pytest.approx(new_theta)
    assert moved.r == pytest.approx(-rise / tau.sum(axis=1) / np.log(new_theta))


def test_em_never_lowers_the_likelihood_and_the_polish_ends_at_a_stationary_point():
    values, weights = mixture.histogram_weights(np.bincount(drawn()), "none")
    start = mixture.otsu_starts(np.bincount(drawn()), values, weights)[0]
    levels = [mixture.run_em(values, weights, start, max_iter=n, precision=0.0)[0].log_likelihood for n in range(1, 40)]
    assert (np.diff(levels) > -1e-12).all()
    best = mixture.polish(values, weights, start, zero_inflated=False)
    assert best.log_likelihood >= levels[-1]
    _, gradient = nbinom.loss(values, weights, nbinom.log_factorials(values), model.to_vector(best, False))
    assert np.abs(gradient).max() < 1e-6


def test_3_the_fit_uses_every_pixel_and_no_random_sample():
    histogram = np.bincount(drawn())
    assert fit(histogram) == fit(histogram)
    doubled = fit(2 * histogram)  # the same shares from twice the pixels
    assert doubled.mu == pytest.approx(fit(histogram).mu, rel=1e-6)


@pytest.mark.parametrize("n", [3, 10, 30, 90])
def test_3_few_pixels_are_enough(n):
    found = fit(np.bincount(drawn(n, seed=n)))
    assert np.isfinite([*found.w, *found.mu, *found.r]).all()
    assert sum(found.w) == pytest.approx(1)
    assert found.mu[0] <= found.mu[1]


def test_3_a_sample_is_unweighted_and_repeats_with_its_seed():
    histogram = np.bincount(drawn(100_000))
    sample = mixture.draw(histogram, 5000, seed=1)
    assert sample.sum() == 5000
    assert (sample <= histogram).all()
    assert (sample == mixture.draw(histogram, 5000, seed=1)).all()
    assert (sample != mixture.draw(histogram, 5000, seed=2)).any()
    shares = sample / 5000 - histogram / histogram.sum()
    assert np.abs(shares).max() < 0.02
    assert mixture.draw(histogram, 10**9, seed=0) is histogram


def test_log_weighting_is_the_fit_of_the_reweighted_histogram():
    histogram = np.bincount(drawn(50_000))
    weights = histogram * np.log(np.arange(len(histogram)) + 2)
    by_hand = fit(np.rint(weights * 1000).astype(np.int64))
    assert fit(histogram, weighting="log").mu == pytest.approx(by_hand.mu, rel=1e-3)
    assert fit(histogram, weighting="log").w[1] > fit(histogram).w[1]


def test_hot_pixels_do_not_take_a_component():
    counts = np.concatenate([drawn(200_000), np.full(40, 84_000)])
    plain, hot = fit(np.bincount(drawn(200_000))), fit(np.bincount(counts))
    assert hot.mu == pytest.approx(plain.mu, rel=0.1)


@pytest.mark.parametrize("counts", [[5] * 10, [0] * 10])
def test_one_count_alone_tells_nothing(counts):
    assert fit(np.bincount(counts)) is None


def test_two_counts_are_told_apart():
    found = fit(np.array([90, 10]))
    table = model.posterior_table(found, 2)
    assert table[1] > table[0]


def test_tables_are_monotone_in_both_tails_and_finite():
    # the background has the heavier tail: by Bayes alone the brightest pixels would be background
    crossed = model.Mixture(w=(0.7, 0.3), mu=(3.0, 10.0), r=(0.3, 1000.0))
    table = model.log_odds_table(crossed, 5000)
    assert np.isfinite(table).all()
    assert (np.diff(table[10:]) >= 0).all()
    assert (np.diff(table[:3]) >= 0).all()
    posterior = model.posterior_table(crossed, 5000)
    assert ((posterior >= 0) & (posterior <= 1)).all()


def test_the_posterior_is_bayes():
    found = model.Mixture(w=(0.6, 0.4), mu=(2.0, 9.0), r=(3.0, 5.0))
    pmf = [stats.nbinom.pmf(np.arange(30), found.r[i], found.theta[i]) * found.w[i] for i in (0, 1)]
    np.testing.assert_allclose(model.posterior_table(found, 30)[2:10], (pmf[1] / (pmf[0] + pmf[1]))[2:10], rtol=1e-10)


def test_a_mixture_goes_through_json():
    found = fit(np.bincount(drawn(1000)))
    assert model.Mixture.from_json(json.loads(json.dumps(found.to_json()))) == found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=2, max_size=60), st.sampled_from(["none", "log"]))
def test_any_histogram_gives_finite_numbers(histogram, weighting):
    histogram = np.array(histogram)
    if histogram.sum() == 0:
        return
    found = fit(histogram, weighting=weighting)
    if np.count_nonzero(histogram) < 2:
        assert found is None
        return
    assert np.isfinite([*found.w, *found.mu, *found.r, found.log_likelihood]).all()
    assert np.isfinite(model.posterior_table(found, len(histogram))).all()


def test_a_given_start_decides_which_optimum_is_found():
    rng = np.random.default_rng(11)
    groups = rng.poisson(1, 6000), rng.poisson(12, 2000), rng.poisson(60, 1500)
    histogram = np.bincount(np.concatenate(groups))
    low = start_of(((0, 0.8, 0.2, 1.0, 30.0, 1.2, 500.0),), 0)
    high = start_of(((0, 0.9, 0.1, 3.5, 60.0, 30.0, 66.0),), 0)
    fits = [fit(histogram, start=start) for start in (low, high)]
    assert fits[0].mu[0] == pytest.approx(1, abs=0.2)
    assert fits[1].mu[1] == pytest.approx(60, abs=2)
    assert fits[0].mu[0] < 0.5 * fits[1].mu[0]


def test_a_start_is_for_its_bin_and_row_0_for_the_others():
    rows = ((0, 1.0, 1.0, 1.0, 9.0, 2.0, 20.0), (3, 1.0, 3.0, 2.0, 8.0, 2.0, 20.0))
    assert start_of(rows, 3).w == (0.25, 0.75)
    assert start_of(rows, 3).r[0] == pytest.approx(2**2 / (1.1 * 2 - 2))
    assert start_of(rows, 5).w == (0.5, 0.5)
    assert start_of(rows[1:], 5) is None


@pytest.mark.parametrize("method", ["EM", "VI+gauss"])
def test_starts_that_cannot_be_are_refused(method):
    for rows in (((0, 0.5, 0.5, -1.0, 2.0, 3.0, 4.0),), ((0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0),) * 2):
        with pytest.raises(InputError, match="start"):
            patch(METHODS, METHODS.option(method)(), {"start": rows})
