"""Kernels of the local Moran statistic: counts are blurred, centred and weighed in strips, and nothing is kept."""

from __future__ import annotations

import numpy as np
from numba import njit

from segapp.core._stencil import mirror_101, weigh_row

STRIP = 512
"""Columns that are scored together."""

BLOCK = 8, 64
"""Rows and columns of a block that is scored or left out as a whole when the largest score is looked for."""

TRIAL = 16
"""Blocks after which it shows whether the search for the largest score will end."""


@njit(cache=True, nogil=True)
def _blur_row(
    source: np.ndarray, y: int, left: int, right: int, weights: np.ndarray, room: np.ndarray, line: np.ndarray
) -> None:
    """Write columns `left` to `right` of one row of the blurred source; the border is mirrored about its edge pixel."""
    height, width = source.shape
    r = weights.size - 1
    first, last = max(left - r, 0), min(right + r, width)
    inside = room[first - left + r : last - left + r]
    _weigh_source(source[y, first:last], weights[0], inside)
    for dy in range(1, r + 1):
        above, below = mirror_101(y - dy, height), mirror_101(y + dy, height)
        _add_source(source[above, first:last], source[below, first:last], weights[dy], inside)
    for x in range(left - r, first):
        room[x - left + r] = room[mirror_101(x, width) - left + r]
    for x in range(last, right + r):
        room[x - left + r] = room[mirror_101(x, width) - left + r]
    n = right - left
    _weigh_source(room[r : r + n], weights[0], line)
    for dx in range(1, r + 1):
        _add_source(room[r - dx : r - dx + n], room[r + dx : r + dx + n], weights[dx], line)


# loops over whole rows of their own: the compiler turns nothing else into wide instructions
@njit(cache=True, nogil=True)
def _weigh_source(a: np.ndarray, weight: float, to: np.ndarray) -> None:
    for x in range(to.size):
        to[x] = weight * np.float64(a[x])


@njit(cache=True, nogil=True)
def _add_source(a: np.ndarray, b: np.ndarray, weight: float, to: np.ndarray) -> None:
    for x in range(to.size):
        to[x] += weight * (np.float64(a[x]) + np.float64(b[x]))


@njit(cache=True, nogil=True)
def powers_of(
    source: np.ndarray,
    weights: np.ndarray,
    bins: np.ndarray | None,
    near: float,
    rows: tuple[int, int],
    columns: tuple[int, int],
    extremes: np.ndarray,
) -> tuple[float, float, float, float]:
    """Return the sums of the first to fourth powers of the deviations from a value in some rows and columns.

    Parameters
    ----------
    source : (H, W) array
        What is blurred.
    weights : (r + 1,) float64
        The line that blurs it both ways, from its middle on.
    bins : (H, W) int array or None
        Density bins; pixels of bin 0 count nothing.
    near : float
        The value.
    rows, columns : (int, int)
        First and the one after the last.
    extremes : (rows, 2, blocks) float64
        Where the lowest and the highest deviation of each row of each block is written.
    """
    left, right = columns
    line, room = np.empty(right - left), np.empty(right - left + 2 * weights.size)
    s1 = s2 = s3 = s4 = 0.0
    for y in range(rows[0], rows[1]):
        _blur_row(source, y, left, right, weights, room, line)
        _centre(line, None if bins is None else bins[y, left:right], near)
        for j in range(extremes.shape[2]):
            part = line[j * BLOCK[1] : (j + 1) * BLOCK[1]]
            extremes[y - rows[0], 0, j], extremes[y - rows[0], 1, j] = _extremes(part)
        a, b, c, d = _row_powers(line)
        s1, s2, s3, s4 = s1 + a, s2 + b, s3 + c, s4 + d
    return s1, s2, s3, s4


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc"})
def _extremes(line: np.ndarray) -> tuple[float, float]:
    lowest, highest = line[0], line[0]
    for x in range(line.size):
        lowest, highest = min(lowest, line[x]), max(highest, line[x])
    return lowest, highest


@njit(cache=True, nogil=True)
def _centre(line: np.ndarray, bins: np.ndarray | None, mean: float) -> None:
    for x in range(line.size):
        line[x] -= mean
    if bins is not None:
        for x in range(line.size):
            if bins[x] == 0:
                line[x] = 0.0  # outside says nothing about its neighbours


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _row_powers(line: np.ndarray) -> tuple[float, float, float, float]:
    s1 = s2 = s3 = s4 = 0.0
    for x in range(line.size):
        squared = line[x] * line[x]
        s1 += line[x]
        s2 += squared
        s3 += squared * line[x]
        s4 += squared * squared
    return s1, s2, s3, s4


@njit(cache=True, nogil=True, error_model="numpy")
def score_band(
    source: np.ndarray,
    line_weights: np.ndarray,
    bins: np.ndarray | None,
    weights: np.ndarray,
    numbers: tuple[float, float, float, float],
    by_lag: bool,
    scale: float,
    scores: np.ndarray | None,
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> float:
    """Score some rows and columns, and return the largest score before it is scaled.

    Strips of columns are done one after the other: what a strip takes stays in the cache of one processor.

    Parameters
    ----------
    source, line_weights, bins
        As for `powers_of`.
    weights : (r + 1, r + 1) float64
        Weights of the neighbours from the middle to the lower right corner.
    numbers : (float, float, float, float)
        Mean and variance of the blurred source, and the ends of the band of I that is no more than chance.
    by_lag : bool
        Whether the lag is the score, not I.
    scale : float
        What scores are divided by.
    scores : (H, W) float32 array or None
        Where they are written.
    rows, columns : (int, int)
        First and the one after the last.
    """
    mean, variance, low, high = numbers
    height, width = source.shape
    r = weights.shape[0] - 1
    top, bottom = max(rows[0] - r, 0), min(rows[1] + r, height)
    most = STRIP + 2 * r
    store, room = np.empty((bottom - top) * most), np.empty(most + 2 * line_weights.size)
    lag, pair, line = np.empty(most), np.empty(most + 2 * r), np.empty(STRIP)
    largest = -np.inf
    for first in range(columns[0], columns[1], STRIP):
        last = min(first + STRIP, columns[1])
        left, right = max(first - r, 0), min(last + r, width)
        n = right - left
        z = store[: (bottom - top) * n].reshape((bottom - top, n))
        for y in range(top, bottom):
            _blur_row(source, y, left, right, line_weights, room, z[y - top])
            _centre(z[y - top], None if bins is None else bins[y, left:right], mean)
        here = line[: last - first]
        for y in range(rows[0], rows[1]):
            weigh_row(z, y - top, weights, pair[: n + 2 * r], lag[:n])
            middle = slice(first - left, last - left)
            _significant(z[y - top, middle], lag[middle], variance, low, high, by_lag, here)
            if bins is not None:
                for x in range(here.size):
                    if bins[y, first + x] == 0:
                        here[x] = 0.0
            largest = max(largest, _largest(here))
            if scores is not None:
                for x in range(here.size):
                    scores[y, first + x] = here[x] / scale
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _significant(
    z: np.ndarray, lag: np.ndarray, variance: float, low: float, high: float, by_lag: bool, line: np.ndarray
) -> None:
    for x in range(line.size):
        moran = z[x] * lag[x] / variance
        score = lag[x] if by_lag else moran
        line[x] = 0.0 if low <= moran <= high else score


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc"})
def _largest(line: np.ndarray) -> float:
    largest = line[0]
    for x in range(line.size):
        largest = max(largest, line[x])
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def largest_in_blocks(
    source: np.ndarray,
    line_weights: np.ndarray,
    bins: np.ndarray | None,
    weights: np.ndarray,
    numbers: tuple[float, float, float, float],
    by_lag: bool,
    blocks: np.ndarray,
    bounds: np.ndarray,
) -> tuple[float, int]:
    """Return the largest score of blocks, the most promising first, and how many were looked at; giving up is all.

    Parameters
    ----------
    source, line_weights, bins, weights, numbers, by_lag
        As for `score_band`.
    blocks : (N, 4) int64
        First row and the one after the last, first column and the one after the last.
    bounds : (N,) float64
        No score of the block is above it, in descending order: the first that is below what was found ends the search.
        It is given up where the most promising blocks do not promise that.
    """
    largest = -np.inf
    for n in range(len(blocks)):
        if largest >= bounds[n]:
            return largest, n
        if n == TRIAL and largest < bounds[-1]:
            break
        top, bottom, left, right = blocks[n]
        found = score_band(
            source, line_weights, bins, weights, numbers, by_lag, 1.0, None, (top, bottom), (left, right)
        )
        largest = max(largest, found)
    return largest, len(blocks)
