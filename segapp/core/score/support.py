"""Whether counts show two populations, or a mixture would only divide noise."""

from __future__ import annotations

from typing import Literal

import numpy as np

from segapp.core.params import Params, knob
from segapp.core.score.mixture import Weighting, histogram_weights
from segapp.core.score.model import Mixture, posterior_table
from segapp.core.score.nbinom import SHAPE_LIMITS, log_pmf, log_pmfs

_SIZES = np.geomspace(*SHAPE_LIMITS, 81)
LEAST_SHARE = 0.001
"""A component with a smaller share of the pixels is a few outliers, not a population."""
MOST_OVERLAP = 0.2
"""Where more of the occupied component lies at or below the mean of the background, an empty pixel is no evidence
against a cell, and the whole bin scores a flat middling value."""


class SupportKnobs(Params):
    """What happens where the counts do not show two populations."""

    borrow: Literal["auto", "off"] = knob(
        "auto",
        doc="auto: a density bin whose counts do not show two populations borrows the mixture of all bins, and a field "
        "without two scores 0. off: every bin keeps its own mixture, even if that divides noise.",
    )


def shows_two(
    histogram: np.ndarray, fit: Mixture, overlap: int, weighting: Weighting = "none", *, whole: bool = False
) -> bool:
    """Return whether two negative binomials explain a histogram better than one population does.

    Parameters
    ----------
    histogram : (N,) integers
        Number of pixels with count 0, 1, 2, ...; counts are sums over circles.
    fit : Mixture
        Two components fitted to it.
    overlap : int
        Pixels of a circle: so many neighbouring sums share their counts, and the field holds that many times fewer
        independent ones.
    weighting : "none" or "log"
        How pixels were weighed in the fit.
    whole : bool
        The histogram is that of the whole field. One population is then a Poisson distribution, flat noise: where
        counts are sparse or the section small, a single negative binomial passes for cells on a background, and a
        section with cells would be taken for noise. A bin is held against one negative binomial, for it can borrow.

    Returns
    -------
    bool
        By the Bayesian information criterion: twice the gain in log likelihood above 3 log n for the three numbers
        more. Both components must hold pixels and decide for some count.

    References
    ----------
    Schwarz, "Estimating the dimension of a model", Annals of Statistics 6:461-464, 1978.

    Examples
    --------
    >>> from segapp.core.score.mixture import fit_mixture
    >>> settings = dict(max_iter=200, precision=1e-6, weighting="none")
    >>> rng = np.random.default_rng(0)
    >>> flat = np.bincount(rng.poisson(3, 5000))
    >>> shows_two(flat, fit_mixture(flat, **settings), 1)
    False
    >>> cells = np.bincount(np.concatenate([rng.poisson(3, 5000), rng.poisson(20, 1000)]))
    >>> shows_two(cells, fit_mixture(cells, **settings), 1)
    True
    """
    values, weights = histogram_weights(histogram, weighting)
    n = float(np.sum(histogram)) / overlap
    if n < 2 or len(values) < 3:
        # too little to judge by likelihood: two counts far apart are two populations, neighbours are noise
        return bool(len(values) > 1 and values[-1] > 4 * (values[0] + 1))
    if min(fit.w) < LEAST_SHARE:
        return False
    posterior = posterior_table(fit, int(values[-1]) + 1)
    if posterior.max() < 0.5 or posterior.min() > 0.5:
        return False
    logs = [
        np.log(max(w, 1e-300)) + log_pmf(values, mu, r, z)
        for w, mu, r, z in zip(fit.w, fit.mu, fit.r, fit.z, strict=True)
    ]
    two = float(weights @ np.logaddexp(*logs))
    mean = max(float(weights @ values), 1e-9)
    sizes = _SIZES[-1:] if whole else _SIZES
    one = max(float(weights @ logs) for logs in log_pmfs(values, mean, sizes))
    return bool(2 * n * (two - one) > 3 * np.log(n))


def overlap_of(fit: Mixture) -> float:
    """Return the share of the occupied component at or below the mean of the background.

    Examples
    --------
    >>> round(overlap_of(Mixture((0.7, 0.3), (1.5, 4.1), (29.0, 1.3))), 2)
    0.31
    >>> round(overlap_of(Mixture((0.9, 0.1), (1.5, 6.9), (20.0, 8.4))), 2)
    0.03
    """
    counts = np.arange(int(min(fit.means[0], 1e6)) + 1, dtype=np.float64)
    return float(np.exp(log_pmf(counts, fit.mu[1], fit.r[1], fit.z[1])).sum())


def must_borrow(fit: Mixture, pooled: Mixture) -> bool:
    """Return whether the mixture of a density bin is worse than that of all bins together.

    Parameters
    ----------
    fit, pooled : Mixture
        Of the bin, and of all bins.

    Returns
    -------
    bool
        Where what the bin calls occupied holds no more than what the field calls background, or where its components
        lie so much on each other that they tell nothing apart, and those of the field do better.
    """
    overlap = overlap_of(fit)
    return fit.means[1] <= pooled.means[0] or (overlap > MOST_OVERLAP and overlap > overlap_of(pooled))
