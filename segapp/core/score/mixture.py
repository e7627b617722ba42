"""Two negative binomials, background and occupied, fitted to the histogram of the counts."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from segapp.core._bands import side_by_side
from segapp.core.params import knob
from segapp.core.score.model import Mixture, from_vector, limits, pair, to_vector
from segapp.core.score.nbinom import MOMENT_LIMITS, SHAPE_LIMITS, climb, em_rounds
from segapp.core.score.start import StartKnobs
from segapp.core.types import Tick, no_tick

Weighting = Literal["none", "log"]


class MixtureKnobs(StartKnobs):
    """How the mixture of background and occupied counts is fitted."""

    em_max_iter: int = knob(
        2000,
        ge=1,
        le=100_000,
        soft=(100, 5000),
        step=100,
        doc="Most EM rounds before the final polish. Higher: slower.",
    )
    em_precision: float = knob(
        1e-6,
        ge=1e-12,
        le=0.1,
        soft=(1e-8, 1e-3),
        step=1e-8,
        doc="EM rounds end when no parameter moves by more than this. Higher: sooner; the polish still follows.",
    )
    em_weighting: Weighting = knob(
        "none",
        doc="none: every pixel counts the same (maximum likelihood). log: pixels weigh log(count + 2), which stresses "
        "bright pixels: fewer, surer cells.",
    )
    sample: int | Literal["off"] = knob(
        "off",
        unit="px",
        ge=100,
        le=100_000_000,
        soft=(1000, 1_000_000),
        step=1000,
        doc="Fit on this many pixels drawn without replacement instead of on all. Lower: noisier, not faster.",
    )
    seed: int = knob(
        0,
        ge=0,
        le=2**31 - 1,
        soft=(0, 100),
        doc="Seed of the draw when sample is a number.",
    )


def histogram_weights(histogram: np.ndarray, weighting: Weighting) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts that occur and their weights, which sum to 1.

    Parameters
    ----------
    histogram : (N,) integers
        Number of pixels with count 0, 1, 2, ...
    weighting : "none" or "log"
        ``log`` multiplies by log(count + 2): what a draw with that weight would hold on average.

    Returns
    -------
    values : (U,) float64, ascending
        Counts beyond 50 + 4 times the 99.9th percentile are taken as that.
    weights : (U,) float64

    Examples
    --------
    >>> values, weights = histogram_weights(np.array([3, 0, 1]), "none")
    >>> values.tolist(), weights.tolist()
    ([0.0, 2.0], [0.75, 0.25])
    """
    histogram = _without_outliers(histogram)
    values = np.flatnonzero(histogram).astype(np.float64)
    weights = histogram[histogram > 0].astype(np.float64)
    if weighting == "log":
        weights = weights * np.log1p(values + 1)
    return values, weights / weights.sum()


def _without_outliers(histogram: np.ndarray) -> np.ndarray:
    # A few hot pixels (thousands of UMIs where others have tens) would claim a component for themselves.
    shares = np.cumsum(histogram) / max(int(histogram.sum()), 1)
    bound = 4 * int(np.searchsorted(shares, 0.999)) + 50
    if len(histogram) <= bound + 1:
        return histogram
    kept = histogram[: bound + 1].copy()
    kept[bound] += histogram[bound + 1 :].sum()
    return kept


def draw(histogram: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw `n` pixels without replacement and return their histogram; all of them when there are no more than `n`."""
    if int(histogram.sum()) <= n:
        return histogram
    rng = np.random.default_rng(seed)
    return rng.multivariate_hypergeometric(histogram.astype(np.int64), n, method="marginals")


def initial_mixture(values: np.ndarray, weights: np.ndarray, threshold: float) -> Mixture:
    """Split at `threshold` and take the moments of both sides; a side with variance <= mean gets 1.1 times the mean."""
    bright = values > threshold
    if bright.all() or not bright.any():
        bright = values > values[0]
    w, mu, r = [], [], []
    for side in (~bright, bright):
        share = weights[side].sum()
        mean = (weights[side] * values[side]).sum() / share
        var = (weights[side] * (values[side] - mean) ** 2).sum() / share
        mean = max(mean, MOMENT_LIMITS[0])
        var = var if var > mean else 1.1 * mean
        w.append(float(share))
        mu.append(float(mean))
        r.append(float(np.clip(mean**2 / (var - mean), *SHAPE_LIMITS)))
    return Mixture((w[0], w[1]), (mu[0], mu[1]), (r[0], r[1]))


def run_em(
    values: np.ndarray,
    weights: np.ndarray,
    start: Mixture,
    *,
    max_iter: int,
    precision: float,
    settle: float = 0.0,
) -> tuple[Mixture, int]:
    """Run plain EM rounds (no polish) from `start`.

    Parameters
    ----------
    values, weights : (U,) float64
        Counts that occur, ascending, and their weights summing to 1.
    start : Mixture
        Where to begin.
    max_iter : int
        Most rounds.
    precision : float
        Ends when w, lambda = -r log theta and theta all moved by less.
    settle : float
        Ends also when a round gains less mean log likelihood than this: from there a quasi-Newton polish is quicker.

    Returns
    -------
    Mixture
        With the log likelihood of the round before the last.
    int
        Rounds done.

    References
    ----------
    Huang et al. (2019), Expectation maximization algorithm for a mixture of negative binomials, J. Phys. Conf. Ser.
    1324 012093.
    """
    w, r = np.array(start.w), np.array(start.r)
    theta = np.array(start.theta)
    rounds, level = em_rounds(values, weights, w, r, theta, max_iter, precision, settle)
    mu = r * (1 - theta) / theta
    return Mixture(pair(w), pair(mu), pair(r), log_likelihood=float(level)), int(rounds)


def polish(
    values: np.ndarray,
    weights: np.ndarray,
    start: Mixture,
    *,
    zero_inflated: bool,
    max_iter: int = 200,
) -> Mixture:
    """Climb to the maximum of the likelihood near `start`; never returns a lower likelihood than `start` has.

    Parameters
    ----------
    values, weights : (U,) float64
        Counts that occur, ascending, and their weights summing to 1.
    start : Mixture
        Where to begin.
    zero_inflated : bool
        Fit the zero inflations `z` too.
    max_iter : int
        Most steps.
    """
    x0 = to_vector(start, zero_inflated)
    low, high = limits(zero_inflated)
    x, level, _ = climb(values, weights, x0, low, high, max_iter)
    return from_vector(x, -float(level))


SETTLED = 1e-4
"""Gain of the mean log likelihood at which EM hands over to Newton: ten times more or less ends in the same optimum."""


def fit_mixture(
    histogram: np.ndarray,
    *,
    max_iter: int,
    precision: float,
    weighting: Weighting,
    start: Mixture | None = None,
    tick: Tick = no_tick,
) -> Mixture | None:
    """Fit two negative binomials to a histogram of counts; every pixel counts, none is drawn at random.

    Parameters
    ----------
    histogram : (N,) integers
        Number of pixels with count 0, 1, 2, ...
    max_iter : int
        Most EM rounds before the polish.
    precision : float
        EM rounds end when no parameter moves by more.
    weighting : "none" or "log"
        ``none`` is the maximum likelihood fit; ``log`` weighs a pixel by log(count + 2).
    start : Mixture, optional
        Where to start, instead of both of Otsu's thresholds below.
    tick : Tick
        Called once a start.

    Returns
    -------
    Mixture or None
        Background first. None where fewer than two different counts occur: nothing can be told apart.

    Notes
    -----
    EM starts from the moments on both sides of Otsu's threshold of the counts, and again from Otsu's threshold of
    log(count + 1), which a few hot pixels cannot move. EM alone creeps, so each start is polished by Newton steps in
    log space. The better likelihood wins.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> counts = np.concatenate([rng.poisson(2, 8000), rng.negative_binomial(10, 1 / 3, 2000)])
    >>> fit = fit_mixture(np.bincount(counts), max_iter=200, precision=1e-6, weighting="none")
    >>> bool(abs(fit.mu[0] - 2) < 0.2), bool(abs(fit.mu[1] - 20) < 1), bool(abs(fit.w[1] - 0.2) < 0.02)
    (True, True, True)
    """
    values, weights = histogram_weights(histogram, weighting)
    if len(values) < 2:
        return None
    starts = otsu_starts(histogram, values, weights)
    if len(values) < 3:  # five numbers cannot be told from two: the moments are all there is
        return starts[0].ordered()
    begins = starts if start is None else [start]

    def climb_from(done: int) -> Mixture:
        tick(done, len(begins))
        climbed, _ = run_em(values, weights, begins[done], max_iter=max_iter, precision=precision, settle=SETTLED)
        return polish(values, weights, climbed, zero_inflated=False)

    fits = side_by_side([partial(climb_from, done) for done in range(len(begins))])
    return max(fits, key=lambda fit: fit.log_likelihood).ordered()


def otsu_starts(histogram: np.ndarray, values: np.ndarray, weights: np.ndarray) -> list[Mixture]:
    """Return the starts of the fit: split at Otsu's threshold of the counts, and at that of log(count + 1)."""
    histogram = _without_outliers(histogram)
    counts = histogram[histogram > 0].astype(np.float64)
    cuts = []
    for scale in (values, np.log1p(values)):
        cuts.append(_weighted_otsu(values, scale, counts))
    if cuts[0] < 1 < values[-1]:  # the background needs more than zeros for a mean
        cuts[0] = 1.0
    unique = list(dict.fromkeys(cuts))
    return [initial_mixture(values, weights, cut) for cut in unique]


def _weighted_otsu(values: np.ndarray, scale: np.ndarray, counts: np.ndarray) -> float:
    below, total = np.cumsum(counts)[:-1], counts.sum()
    mass = np.cumsum(counts * scale)
    low = mass[:-1] / below
    high = (mass[-1] - mass[:-1]) / (total - below)
    between = below * (total - below) * (low - high) ** 2
    return float(values[:-1][np.argmax(between)])


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    fit_mixture(
        np.array([50, 20, 5, 3, 9, 12, 9, 3]),
        max_iter=3,
        precision=1e-3,
        weighting="none",
    )
