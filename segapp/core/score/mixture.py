"""Two negative binomials, background and occupied, fitted to the histogram of the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from segapp.core.params import Params, knob
from segapp.core.score.nbinom import (
    MOMENT_LIMITS,
    SHAPE_LIMITS,
    climb,
    em_rounds,
    log_pmf,
)
from segapp.core.types import Tick, no_tick

Weighting = Literal["none", "log"]


class MixtureKnobs(Params):
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


@dataclass(frozen=True)
class Mixture:
    """Two negative binomials; index 0 is background, index 1 occupied.

    Parameters
    ----------
    w : (float, float)
        Proportions, summing to 1.
    mu, r : (float, float)
        Means and sizes: variance = mu + mu² / r.
    z : (float, float)
        Extra probability of a count of 0 (zero inflation); 0 for plain negative binomials.
    log_likelihood : float
        Mean log likelihood per (weighted) pixel.

    Examples
    --------
    >>> Mixture(w=(0.8, 0.2), mu=(1.0, 20.0), r=(2.0, 5.0)).theta[1]
    0.2
    """

    w: tuple[float, float]
    mu: tuple[float, float]
    r: tuple[float, float]
    z: tuple[float, float] = (0.0, 0.0)
    log_likelihood: float = 0.0

    @property
    def theta(self) -> tuple[float, float]:
        """Success probabilities r / (r + mu)."""
        return self.r[0] / (self.r[0] + self.mu[0]), self.r[1] / (self.r[1] + self.mu[1])

    @property
    def means(self) -> tuple[float, float]:
        """Means with the zero inflation taken in."""
        return (1 - self.z[0]) * self.mu[0], (1 - self.z[1]) * self.mu[1]

    def ordered(self) -> Mixture:
        """Return the same mixture with the component of the smaller mean first."""
        if self.means[0] <= self.means[1]:
            return self
        return Mixture(self.w[::-1], self.mu[::-1], self.r[::-1], self.z[::-1], self.log_likelihood)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and floats."""
        return {
            "w": list(self.w),
            "mu": list(self.mu),
            "r": list(self.r),
            "theta": list(self.theta),
            "z": list(self.z),
            "log_likelihood": self.log_likelihood,
        }

    @classmethod
    def from_json(cls, values: Any) -> Mixture:
        """Read what `to_json` wrote."""
        pairs = {name: (float(values[name][0]), float(values[name][1])) for name in ("w", "mu", "r", "z")}
        return cls(**pairs, log_likelihood=float(values["log_likelihood"]))


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
    weights : (U,) float64

    Examples
    --------
    >>> values, weights = histogram_weights(np.array([3, 0, 1]), "none")
    >>> values.tolist(), weights.tolist()
    ([0.0, 2.0], [0.75, 0.25])
    """
    values = np.flatnonzero(histogram).astype(np.float64)
    weights = histogram[histogram > 0].astype(np.float64)
    if weighting == "log":
        weights = weights * np.log1p(values + 1)
    return values, weights / weights.sum()


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
    return Mixture(_pair(w), _pair(mu), _pair(r), log_likelihood=float(level)), int(rounds)


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


def limits(zero_inflated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest coordinates of a mixture, see `to_vector`."""
    pairs = [(-25.0, 25.0)] + [np.log(MOMENT_LIMITS)] * 2 + [np.log(SHAPE_LIMITS)] * 2
    pairs += [(-25.0, 25.0)] * (2 if zero_inflated else 0)
    low, high = np.array(pairs, dtype=np.float64).T
    return np.ascontiguousarray(low), np.ascontiguousarray(high)


def fit_mixture(
    histogram: np.ndarray,
    *,
    max_iter: int,
    precision: float,
    weighting: Weighting,
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
    fits = []
    for done, start in enumerate(starts):
        tick(done, len(starts))
        climbed, _ = run_em(values, weights, start, max_iter=max_iter, precision=precision, settle=1e-5)
        fits.append(polish(values, weights, climbed, zero_inflated=False))
    return max(fits, key=lambda fit: fit.log_likelihood).ordered()


def otsu_starts(histogram: np.ndarray, values: np.ndarray, weights: np.ndarray) -> list[Mixture]:
    """Return the starts of the fit: split at Otsu's threshold of the counts, and at that of log(count + 1)."""
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


def to_vector(mixture: Mixture, zero_inflated: bool) -> np.ndarray:
    """Return the unbounded coordinates of a mixture: logit w, log mu, log r and, zero-inflated, logit z."""
    tiny = 1e-10
    w = np.clip(mixture.w[1], tiny, 1 - tiny)
    x = [
        np.log(w / (1 - w)),
        *np.log(np.clip(mixture.mu, *MOMENT_LIMITS)),
        *np.log(np.clip(mixture.r, *SHAPE_LIMITS)),
    ]
    if zero_inflated:
        z = np.clip(mixture.z, 1e-3, 1 - 1e-3)
        x += list(np.log(z / (1 - z)))
    return np.array(x, dtype=np.float64)


def from_vector(x: np.ndarray, log_likelihood: float) -> Mixture:
    """Return the mixture at unbounded coordinates."""
    w = float(1 / (1 + np.exp(-x[0])))
    z = 1 / (1 + np.exp(-x[5:7])) if len(x) > 5 else np.zeros(2)
    return Mixture(
        (1 - w, w),
        _pair(np.exp(x[1:3])),
        _pair(np.exp(x[3:5])),
        _pair(z),
        log_likelihood,
    )


def log_odds_table(mixture: Mixture | None, size: int) -> np.ndarray:
    """Return log P(count | occupied) - log P(count | background) for the counts 0 ... size - 1.

    Parameters
    ----------
    mixture : Mixture or None
        None (nothing to tell apart) gives minus infinity: background.
    size : int
        Length of the table.

    Returns
    -------
    (size,) float64
        Below the background's mean never higher, and above the occupied mean never lower, than nearer the middle:
        a heavier background tail must not turn the brightest pixels into background.
    """
    if mixture is None:
        return np.full(size, -np.inf)
    counts = np.arange(size, dtype=np.float64)
    logs = [log_pmf(counts, mixture.mu[i], mixture.r[i], mixture.z[i]) for i in (0, 1)]
    table = logs[1] - logs[0]
    low, high = (int(min(max(np.ceil(mean), 0), size - 1)) for mean in mixture.means)
    table[high:] = np.maximum.accumulate(table[high:])
    table[: low + 1] = np.minimum.accumulate(table[low::-1])[::-1]
    return table


def posterior_table(mixture: Mixture | None, size: int) -> np.ndarray:
    """Return P(occupied | count) by Bayes for the counts 0 ... size - 1, (size,) float64 in [0, 1]."""
    if mixture is None:
        return np.zeros(size)
    prior = np.log(max(mixture.w[1], 1e-300)) - np.log(max(mixture.w[0], 1e-300))
    return 1 / (1 + np.exp(-np.clip(log_odds_table(mixture, size) + prior, -700, 700)))


def _pair(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    fit_mixture(
        np.array([50, 20, 5, 3, 9, 12, 9, 3]),
        max_iter=3,
        precision=1e-3,
        weighting="none",
    )
