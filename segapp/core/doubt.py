"""Which cells to look at twice: a doubt a cell from what is known of it, and windows of sure and of doubtful cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LEAST = 3
"""Cells that a window must hold to be shown."""


@dataclass(frozen=True)
class Window:
    """A square of the frame.

    Parameters
    ----------
    row, column : int
        Its first pixel.
    side : int
        Its side in px.
    doubt : float
        Mean doubt of its cells, 0 to 1.
    cells : tuple of int
        Which cells have their centre in it, as positions in the table.
    """

    row: int
    column: int
    side: int
    doubt: float
    cells: tuple[int, ...]


def doubts(area: np.ndarray, umis: np.ndarray, sure: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rank cells by how doubtful they are.

    Parameters
    ----------
    area : (N,) array
        Area of each cell, px.
    umis : (N,) array
        UMIs of each cell.
    sure : mapping of str to (N,) array
        Figures that are high where a cell is sure, such as its score; NaN where not known.

    Returns
    -------
    (N,) float64
        0 for the surest cell, 1 for the most doubtful: the mean of its ranks by distance from the median area (as a
        ratio), by UMIs a pixel, and by each figure of `sure`. A rank among cells of the same section, no probability.

    Examples
    --------
    >>> doubts(np.array([100, 110, 900]), np.array([50, 60, 20]), {}).round(2).tolist()
    [0.5, 0.0, 1.0]
    """
    area = np.maximum(np.asarray(area, dtype=np.float64), 1)
    if not len(area):
        return np.zeros(0)
    ranks = [_rank(np.abs(np.log(area / np.median(area)))), _rank(-np.asarray(umis, dtype=np.float64) / area)]
    for values in sure.values():
        known = np.asarray(values, dtype=np.float64)
        if np.isfinite(known).sum() > 1 and np.ptp(known[np.isfinite(known)]) > 0:
            # what is not known is neither sure nor doubtful
            ranks.append(_rank(-np.where(np.isfinite(known), known, np.median(known[np.isfinite(known)]))))
    mean: np.ndarray = np.mean(ranks, axis=0)
    return mean


def _rank(values: np.ndarray) -> np.ndarray:
    """Rank from 0 to 1; equal values share theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    first = np.cumsum(count) - count
    ranks: np.ndarray = (first + (count - 1) / 2)[place] / max(len(values) - 1, 1)
    return ranks


def choose_windows(
    x: np.ndarray, y: np.ndarray, doubt: np.ndarray, shape: tuple[int, int], *, side: int, n: int
) -> tuple[tuple[Window, ...], tuple[Window, ...]]:
    """Choose windows to show: the surest and the most doubtful of the frame.

    Parameters
    ----------
    x, y : (N,) arrays
        Centres of the cells, px of the frame.
    doubt : (N,) array
        As `doubts` gives it.
    shape : (H, W)
        Of the frame.
    side : int
        Side of a window, px; smaller where the frame is.
    n : int
        Windows of each kind.

    Returns
    -------
    sure, doubtful : tuple of Window
        At most `n` each, none twice, cut from a grid of half overlapping windows so that none shares a pixel with
        another of the same kind.
    """
    side = max(1, min(side, *shape))
    starts = [sorted({*range(0, length - side + 1, max(side // 2, 1)), length - side}) for length in shape]
    found = []
    order = np.argsort(x, kind="stable")
    sorted_x = np.asarray(x, dtype=np.float64)[order]
    for column in starts[1]:
        near = order[np.searchsorted(sorted_x, column) : np.searchsorted(sorted_x, column + side)]
        for row in starts[0]:
            inside = near[(y[near] >= row) & (y[near] < row + side)]
            if len(inside) >= LEAST:
                cells = tuple(np.sort(inside).tolist())
                found.append(Window(row, column, side, float(doubt[inside].mean()), cells))
    found.sort(key=lambda window: (window.doubt, window.row, window.column))
    sure = _apart(found, n, ())
    return sure, _apart(found[::-1], n, sure)


def _apart(windows: list[Window], n: int, taken: tuple[Window, ...]) -> tuple[Window, ...]:
    chosen: list[Window] = []
    for window in windows:
        others = (*chosen, *taken)
        if all(max(abs(window.row - o.row), abs(window.column - o.column)) >= window.side for o in others):
            chosen.append(window)
        if len(chosen) == n:
            break
    return tuple(chosen)
