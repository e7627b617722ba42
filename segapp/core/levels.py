"""Levels of density: squares of like density, wherever they lie."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numba import njit

from segapp.core.convolve import gauss_blur
from segapp.core.params import Params, knob
from segapp.core.threshold import multi_otsu

FLOOR = 0.02
"""Share of the scale added before the logarithm: near 0, densities differ by chance alone."""
EMPTY = 0.05
"""Squares below this share of the scale hold stray molecules, not tissue: outside, however few they are.
Left to Otsu, a small empty corner would go with the sparse tissue, or cost the tissue a level."""
MIXTURE_ROUNDS = 50
ROUNDS = 25
EVIDENCE = 0.3
"""What the density of a square counts for: cells reach over about three squares, so that neighbours are not independent
witnesses."""
REACH = 3
"""Squares away that still pull: cells are lumps, so a smaller neighbourhood takes each for a region of its own."""
WIDTH = 0.25
"""Histograms are smoothed by so much in the root of the count, where chance spreads every count by 0.5."""
PRIOR = 1.0
"""Squares of the whole field that each level's histogram starts from, so that no count is impossible in a level."""


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


def find_levels(
    density: np.ndarray, scale: float, *, n_levels: int, k: int, smoothness: float, parts: np.ndarray | None = None
) -> np.ndarray:
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
    parts : (M, H, W) float64, optional
        UMIs of the parts of each square, such as its quarters; without them a square is its only part.

    Returns
    -------
    (H, W) int32
        1, 2, ... from the sparsest to the densest, 0 where the field is almost empty.

    Notes
    -----
    Starts. Cells are lumps, so squares are blurred over several cells, once as logarithms, in which sparse levels
    stand apart, and as they are, in which dense ones do. Multi-level Otsu divides them, and the logarithms are divided
    further by a mixture of normal distributions, one a level, for levels differ in size and spread.

    Learning. A blur that tells levels apart moves their borders and mixes the counts of both sides into a level
    between. So the blur only starts: from there each level is described by the histogram of the counts of its
    unblurred parts, which holds the dark gaps between cells as well as the cells, and each square takes the level
    that explains its parts and agrees with the squares around it (a Potts model by mean field). Histograms and levels
    are found in turn. Levels that were divided wrongly at the start explain the field less well, so of all starts
    the one with the highest variational bound is kept: a start alone can take half of a level for another.
    All numbers depend on the field alone, not on its size.

    References
    ----------
    Besag, "On the statistical analysis of dirty pictures", Journal of the Royal Statistical Society B 48:259-302,
    1986. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9, 1979. Zhang, "The mean
    field theory in EM procedures for Markov random fields", technical report TR-91-001, International Computer Science
    Institute, 1991.

    Examples
    --------
    >>> density = np.repeat([[1.0, 40.0, 1.0, 400.0]], 8, axis=0).repeat(8, axis=1)
    >>> find_levels(density, 400.0, n_levels=2, k=1, smoothness=1.5)[0, ::8].tolist()
    [0, 1, 0, 2]
    """
    capped = np.minimum(density, scale)
    logs = np.log(capped + FLOOR * scale).astype(np.float32)
    capped = capped.astype(np.float32)
    blurred = gauss_blur(logs, k)
    tissue = gauss_blur(capped, min(k, 5)) >= EMPTY * scale
    tissue |= not tissue.any()
    n = min(n_levels, _different(blurred[tissue]))
    if n < 2:
        return tissue.astype(np.int32)
    first = 1 if tissue.all() else 0
    share = _divide(blurred, _start(blurred, tissue, n))
    if smoothness > 0:
        starts = [share]
        for width in dict.fromkeys((k, _half(k))):
            image = gauss_blur(capped, width)
            if _different(image[tissue]) >= n:
                starts.append(_start(image, tissue, n))
        share = _learn(_classes(density[None] if parts is None else parts, scale), starts, smoothness)
    levels = share.argmax(axis=0).astype(np.int32) + first
    return levels if levels.any() else levels + 1  # a field of stray molecules is one region, not nothing


def warm() -> None:
    """Compile the kernels of this module."""
    _learn(np.zeros((1, 2, 2), np.int32), [np.full((2, 2, 2), 0.5, np.float32)], 1.0)


def _half(k: int) -> int:
    return k // 4 * 2 + 1


def _different(values: np.ndarray) -> int:
    return len(np.unique(np.round(values, 4)))


def _start(image: np.ndarray, tissue: np.ndarray, n: int) -> np.ndarray:
    """Divide the tissue of a blurred image by multi-level Otsu; (levels, H, W) float32, what is empty first."""
    levels = np.digitize(image, multi_otsu(image[tissue], n), right=True) + 1
    levels[~tissue] = 0
    first = 1 if tissue.all() else 0
    return np.stack([levels == level for level in range(first, n + 1)]).astype(np.float32)


def _divide(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Fit a mixture of normal distributions by EM, starting from the given shares; (levels, H, W) float32."""
    for _ in range(MIXTURE_ROUNDS):
        size = share.reshape(len(share), -1).mean(axis=1) + 1e-12
        share = _softmax(_log_likelihood(values, share) + np.log(size)[:, None, None])
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


def _classes(parts: np.ndarray, scale: float) -> np.ndarray:
    """Return the class of the count of every part: counts as they are while few, steps of the root where many."""
    most = max(scale, 1.0)
    root = np.sqrt(np.minimum(np.rint(parts), most))
    return np.rint(root / (0.5 * WIDTH)).astype(np.int32)


def _learn(classes: np.ndarray, starts: list[np.ndarray], smoothness: float) -> np.ndarray:
    """Learn histograms and levels in turn from each start; return the shares of the best."""
    there, rank = np.unique(classes, return_inverse=True)
    rank = np.ascontiguousarray(rank.reshape(classes.shape), dtype=np.int32)
    root = there * (0.5 * WIDTH)
    smooth = np.exp(-0.5 * ((root[:, None] - root) / WIDTH) ** 2)
    smooth /= smooth.sum(axis=1, keepdims=True)
    all_of_it = np.bincount(rank.ravel(), minlength=len(there)) / rank.size
    rows, columns = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    far = np.hypot(rows, columns)
    # weights fall with the distance and sum to those of 8 neighbours, so that `smoothness` keeps its unit
    around = np.where((far > 0) & (far <= REACH), 1 / np.maximum(far, 1), 0)
    around = (smoothness * around * (4 + 4 * np.sqrt(0.5)) / around.sum()).astype(np.float32)
    best, highest = starts[0], -np.inf
    for share in starts:
        for _ in range(ROUNDS):
            table = (_count(rank, share, len(there)) + PRIOR * all_of_it) @ smooth
            table = np.log(table / table.sum(axis=1, keepdims=True))
            said = _explain(rank, table.astype(np.float32))
            alike = np.stack([cv2.filter2D(one, -1, around, borderType=cv2.BORDER_REPLICATE) for one in share])
            fresh = _softmax(EVIDENCE * (said + alike))
            moved = float(np.abs(fresh - share).max())
            share = fresh
            if moved < 1e-3:
                break
        # each pair of neighbours agrees once
        bound = float((share * (EVIDENCE * (said + 0.5 * alike) - np.log(np.maximum(share, 1e-30)))).sum())
        if bound > highest:
            best, highest = share, bound
    return best


@njit(cache=True, nogil=True)
def _count(rank: np.ndarray, share: np.ndarray, n: int) -> np.ndarray:
    """Return how many parts of every class each level holds, (levels, n) float64."""
    parts, height, width = rank.shape
    out = np.zeros((len(share), n))
    for level in range(len(share)):
        for part in range(parts):
            for y in range(height):
                for x in range(width):
                    out[level, rank[part, y, x]] += share[level, y, x]
    return out


@njit(cache=True, nogil=True)
def _explain(rank: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the log likelihood of every square in each level, (levels, H, W) float32."""
    parts, height, width = rank.shape
    out = np.zeros((len(table), height, width), np.float32)
    for level in range(len(table)):
        for part in range(parts):
            for y in range(height):
                for x in range(width):
                    out[level, y, x] += table[level, rank[part, y, x]]
    return out


def _softmax(scores: np.ndarray) -> np.ndarray:
    share = np.exp(scores - scores.max(axis=0))
    return (share / share.sum(axis=0)).astype(np.float32)
