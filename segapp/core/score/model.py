"""The mixture of two negative binomials: its numbers, its coordinates for optimisers, and its tables by count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core.score.nbinom import MOMENT_LIMITS, SHAPE_LIMITS, log_pmf


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


def limits(zero_inflated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest coordinates of a mixture, see `to_vector`."""
    pairs = [(-25.0, 25.0)] + [np.log(MOMENT_LIMITS)] * 2 + [np.log(SHAPE_LIMITS)] * 2
    pairs += [(-25.0, 25.0)] * (2 if zero_inflated else 0)
    low, high = np.array(pairs, dtype=np.float64).T
    return np.ascontiguousarray(low), np.ascontiguousarray(high)


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
        pair(np.exp(x[1:3])),
        pair(np.exp(x[3:5])),
        pair(z),
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


def pair(values: np.ndarray) -> tuple[float, float]:
    """Return two numbers as plain floats."""
    return float(values[0]), float(values[1])
