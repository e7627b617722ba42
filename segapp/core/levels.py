"""Levels of density: squares of like density, wherever they lie."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from segapp.core.convolve import gauss_blur
from segapp.core.params import Params, knob
from segapp.core.threshold import multi_otsu

FLOOR = 0.02
"""Share of the scale added before the logarithm: near 0, densities differ by chance alone."""
EMPTY = 0.05
"""Squares below this share of the scale hold stray molecules, not tissue: outside, however few they are.
Left to Otsu, a small empty corner would go with the sparse tissue, or cost the tissue a level."""
MIXTURE_ROUNDS = 50
SMOOTHING_ROUNDS = 40
EVIDENCE = 0.3
"""What the density of a square counts for: cells reach over about three squares, so that neighbours are not independent
witnesses."""
REACH = 3
"""Squares away that still pull: cells are lumps, so a smaller neighbourhood takes each for a region of its own."""


class LevelsParams(Params):
    """Divide the field into a few levels of RNA density."""

    method: Literal["levels"] = knob("levels", doc="levels sorts squares into a few levels, wherever they lie.")
    binsize: int = knob(
        10,
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
        17,
        odd=True,
        ge=1,
        le=99,
        soft=(1, 31),
        doc="Diameter of the blur in squares that the levels are found in; it should span several cells. Larger: "
        "broader regions, thin ones lost.",
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
    Counts spread in proportion to their mean, so levels are sought among logarithms; and since cells are lumps, among
    the logarithms of squares smaller than a cell, blurred over several cells: their mean follows the many pixels
    between cells as much as the few bright ones. Multi-level Otsu starts, and a mixture of normal distributions, one a
    level, takes over, for levels differ in size and spread, which Otsu's criterion does not know.

    The blur that tells levels apart moves their borders. So the second step goes back to squares that are hardly
    blurred: each takes the level that explains it and agrees with the squares around it (a Potts model by mean field).
    All numbers depend on the field alone, not on its size.

    References
    ----------
    Besag, "On the statistical analysis of dirty pictures", Journal of the Royal Statistical Society B 48:259-302,
    1986. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9, 1979. Zhang, "The mean
    field theory in EM procedures for Markov random fields", technical report TR-91-001, International Computer Science
    Institute, 1991.

    Examples
    --------
    >>> density = np.repeat([[1.0, 40.0, 1.0, 400.0]], 4, axis=0).repeat(4, axis=1)
    >>> find_levels(density, 400.0, n_levels=2, k=1, smoothness=1.5)[0, ::4].tolist()
    [0, 1, 0, 2]
    """
    capped = np.minimum(density, scale)
    logs = np.log(capped + FLOOR * scale).astype(np.float32)
    blurred = gauss_blur(logs, k)
    tissue = gauss_blur(capped.astype(np.float32), min(k, 5)) >= EMPTY * scale
    tissue |= not tissue.any()
    n = min(n_levels, len(np.unique(np.round(blurred[tissue], 4))))
    if n < 2:
        return tissue.astype(np.int32)
    levels = np.digitize(blurred, multi_otsu(blurred[tissue], n), right=True) + 1
    levels[~tissue] = 0
    first = 1 if tissue.all() else 0
    share = np.stack([levels == level for level in range(first, n + 1)]).astype(np.float32)
    share = _divide(blurred, share)
    if smoothness > 0:
        share = _settle(gauss_blur(logs, min(k, 3)), share, smoothness)
    return (share.argmax(axis=0) + first).astype(np.int32)


def _divide(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Fit a mixture of normal distributions by EM, starting from the given shares; (levels, H, W) float32."""
    for _ in range(MIXTURE_ROUNDS):
        size = share.reshape(len(share), -1).mean(axis=1) + 1e-12
        share = _softmax(_log_likelihood(values, share) + np.log(size)[:, None, None])
    return share


def _settle(values: np.ndarray, share: np.ndarray, smoothness: float) -> np.ndarray:
    """Let squares agree with those around them; a level whose squares are all lost stays lost."""
    rows, columns = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    far = np.hypot(rows, columns)
    # weights fall with the distance and sum to those of 8 neighbours, so that `smoothness` keeps its unit
    around = np.where((far > 0) & (far <= REACH), 1 / np.maximum(far, 1), 0)
    around = (around * (4 + 4 * np.sqrt(0.5)) / around.sum()).astype(np.float32)
    for _ in range(SMOOTHING_ROUNDS):
        alike = np.stack([cv2.filter2D(one, -1, around, borderType=cv2.BORDER_REPLICATE) for one in share])
        fresh = _softmax(EVIDENCE * (_log_likelihood(values, share) + smoothness * alike))
        moved = float(np.abs(fresh - share).max())
        share = fresh
        if moved < 1e-3:
            break
    return share


def _log_likelihood(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    floor = (1e-3 + 0.05 * float(values.std())) ** 2
    out = np.empty_like(share)
    for one, row in zip(share, out, strict=True):
        size = float(one.sum(dtype=np.float64)) + 1e-9
        mean = float((one * values).sum(dtype=np.float64)) / size
        spread = max(float((one * (values - mean) ** 2).sum(dtype=np.float64)) / size, floor)
        row[:] = -0.5 * (values - mean) ** 2 / spread - 0.5 * np.log(spread)
    return out


def _softmax(scores: np.ndarray) -> np.ndarray:
    share = np.exp(scores - scores.max(axis=0))
    return (share / share.sum(axis=0)).astype(np.float32)
