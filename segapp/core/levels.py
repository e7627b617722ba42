"""Levels of density: squares of like density, wherever they lie."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from segapp.core.convolve import gauss_blur
from segapp.core.params import Params, knob
from segapp.core.threshold import multi_otsu

FLOOR = 0.1
"""Share of the scale added before the logarithm: near 0, densities differ by chance alone."""
EMPTY = 0.05
"""Squares below this share of the scale hold stray molecules, not tissue: outside, however few they are.
Left to Otsu, a small empty corner would go with the sparse tissue, or cost the tissue a level."""
MOST_ROUNDS = 20
"""The rounds of smoothing settle after a handful."""
AROUND = np.array([[0.7, 1.0, 0.7], [1.0, 0.0, 1.0], [0.7, 1.0, 0.7]])
"""Weights of the 8 neighbours: the inverse of their distance."""


class LevelsParams(Params):
    """Divide the field into a few levels of RNA density."""

    method: Literal["levels"] = knob("levels", doc="levels sorts squares into a few levels, wherever they lie.")
    binsize: int = knob(
        20,
        unit="px",
        ge=1,
        le=1000,
        soft=(5, 100),
        doc="Side of the squares whose UMIs are summed. Larger: faster, coarser regions.",
    )
    n_levels: int = knob(
        3,
        ge=2,
        le=20,
        soft=(2, 8),
        doc="Levels of density within the tissue; empty squares make one more. Higher: finer, each fitted on less.",
    )
    k: int = knob(
        5, odd=True, ge=1, le=99, soft=(1, 15), doc="Diameter of the blur in squares. Larger: smoother, fewer regions."
    )
    smoothness: float = knob(
        2.5,
        ge=0.0,
        le=10.0,
        soft=(0.0, 5.0),
        doc="How strongly neighbouring squares pull each other to the same level. Higher: smoother borders.",
    )
    background: str = knob(
        "auto",
        doc="Level that is no tissue and becomes 0: auto takes the squares that are almost empty, off none, x,y the "
        "level at that pixel.",
    )
    merge: tuple[tuple[int, int], ...] = knob((), doc="Pairs (from, to) of levels to join; 0 is background.")


def find_levels(density: np.ndarray, scale: float, *, n_levels: int, k: int, smoothness: float) -> np.ndarray:
    """Sort squares into levels of density.

    Parameters
    ----------
    density : (H, W) float64
        UMIs a square.
    scale : float
        A high quantile of the densities, above 0; what lies above is taken as that, so that a hot spot moves nothing.
    n_levels : int
        Levels, 2 or more, beside the empty squares. There may be fewer where the densities have fewer different
        values.
    k : int
        Diameter of the blur in squares, odd.
    smoothness : float
        Weight of a neighbour of the same level, in units of log likelihood; 0 leaves every square alone.

    Returns
    -------
    (H, W) int32
        1, 2, ... from the sparsest to the densest, 0 where the field is almost empty.

    Notes
    -----
    Counts spread in proportion to their mean, so levels are sought among logarithms. Multi-level Otsu of the blurred
    logarithms starts; then every square takes the level that is likeliest given its own density (a normal
    distribution a level, over a light blur) and its 8 neighbours (a Potts model), until none changes.

    References
    ----------
    Besag, "On the statistical analysis of dirty pictures", Journal of the Royal Statistical Society B 48:259-302,
    1986. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9, 1979.

    Examples
    --------
    >>> density = np.repeat([[1.0, 40.0, 1.0, 400.0]], 4, axis=0).repeat(4, axis=1)
    >>> find_levels(density, 400.0, n_levels=2, k=1, smoothness=1.5)[0, ::4].tolist()
    [0, 1, 0, 2]
    """
    logs = np.log(np.minimum(density, scale) + FLOOR * scale).astype(np.float32)
    blurred = gauss_blur(logs, k)
    tissue = gauss_blur(np.minimum(density, scale).astype(np.float32), min(k, 3)) >= EMPTY * scale
    tissue |= not tissue.any()
    n = min(n_levels, len(np.unique(np.round(blurred[tissue], 4))))
    if n < 2:
        return tissue.astype(np.int32)
    levels = np.digitize(blurred, multi_otsu(blurred[tissue], n), right=True).astype(np.int32)
    levels[~tissue] = -1
    return _settle(levels, gauss_blur(logs, min(k, 3)), n, smoothness) + 1


def _settle(levels: np.ndarray, values: np.ndarray, n: int, smoothness: float) -> np.ndarray:
    floor = 1e-3 + 0.05 * float(values.std())
    for _ in range(MOST_ROUNDS):
        cost = np.full((n, *values.shape), np.inf)
        for level in range(n):
            own = levels == level
            if own.any():
                spread = max(float(values[own].std()), floor)
                alike = ndimage.convolve(own.astype(np.float64), AROUND, mode="nearest")
                cost[level] = 0.5 * ((values - values[own].mean()) / spread) ** 2 + np.log(spread) - smoothness * alike
        fresh = cost.argmin(axis=0).astype(np.int32)
        fresh[levels < 0] = -1
        if np.array_equal(fresh, levels):
            break
        levels = fresh
    return levels
