"""Filters that keep only the rows in their reach: each pixel is read once from memory, all else from the cache."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mirror(i: int, n: int) -> int:
    """Return the index that position `i` of a line of `n` shows where the edge pixel is repeated once."""
    while i < 0 or i >= n:
        i = -1 - i if i < 0 else 2 * n - 1 - i
    return i


@njit(cache=True, nogil=True)
def mirror_101(i: int, n: int) -> int:
    """Return the index that position `i` of a line of `n` shows where the edge pixel is not repeated."""
    if n == 1:
        return 0
    while i < 0 or i >= n:
        i = -i if i < 0 else 2 * n - 2 - i
    return i


@njit(cache=True, nogil=True)
def sum_chords(
    counts: np.ndarray,
    half: np.ndarray,
    running: np.ndarray,
    line: np.ndarray,
    total: np.ndarray,
    first: int,
    last: int,
) -> None:
    """Write the sums over a circle around every pixel of some rows into `total`; the border is mirrored.

    A circle is a chord of each of its rows, and a chord the difference of two running sums. Only the running sums of
    the k rows that a circle crosses are kept, so that they stay in the cache.

    Parameters
    ----------
    counts : (H, W) uint32
        Counts.
    half : (k,) int64
        (Length - 1) / 2 of the chords of the circle.
    running : (k, W + k) array of unsigned integers
        Room for the running sums; the first column is 0.
    line : (W,) array of the dtype of `running`
        Room for one row.
    total : (H, W) array
        The result; other rows are not touched.
    first, last : int
        The first row and the row after the last.
    """
    height, width = counts.shape
    k = half.size
    r = k // 2
    for y in range(first, last + 2 * r):
        _run(counts[mirror(y - r, height)], r, running[y % k])
        if y < first + 2 * r:
            continue
        middle = running[(y - r) % k]
        chords(line, middle[:width], middle[k:])
        for j in range(1, r + 1):
            left, right = r - half[r + j], r + half[r + j] + 1
            above, below = running[(y - r - j) % k], running[(y - r + j) % k]
            add_chords(
                line,
                above[left : left + width],
                above[right : right + width],
                below[left : left + width],
                below[right : right + width],
            )
        _copy(line, total[y - 2 * r])


@njit(cache=True, nogil=True)
def sum_small(
    counts: np.ndarray,
    k: int,
    rows: np.ndarray,
    cross: np.ndarray,
    line: np.ndarray,
    total: np.ndarray,
    first: int,
    last: int,
) -> None:
    """Do what `sum_chords` does for a circle of 3 or 5 px by adding its pixels, which is faster.

    A circle of 3 px is three pixels of its middle row, one above and one below. One of 5 px is three pixels of the sum
    of three rows, two more of the middle row, one above and one below. Nothing waits for the pixel before it, as in a
    running sum.

    Parameters
    ----------
    counts, total, first, last
        As for `sum_chords`.
    k : int
        Diameter in px, 3 or 5.
    rows : (k, W + k - 1) array of unsigned integers
        Room for the rows that a circle crosses, with their mirrored ends.
    cross : (W + k - 1,) array of that dtype
        Room for the sum of three of them.
    line : (W,) array of that dtype
        Room for one row of the result.
    """
    height, width = counts.shape
    r = k // 2
    for y in range(first, last + 2 * r):
        _extend(counts[mirror(y - r, height)], r, rows[y % k])
        if y < first + 2 * r:
            continue
        middle = rows[(y - r) % k]
        top, bottom = rows[(y - 2 * r) % k][r : r + width], rows[y % k][r : r + width]
        if r == 1:
            _add_five(middle[:width], middle[1 : width + 1], middle[2:], top, bottom, line)
        else:
            _add_three(middle, rows[(y - r - 1) % k], rows[(y - r + 1) % k], cross)
            _add_five(middle[:width], middle[4:], cross[2 : width + 2], top, bottom, line)
            _add_two(cross[1 : width + 1], cross[3 : width + 3], line)
        _copy(line, total[y - 2 * r])


@njit(cache=True, nogil=True)
def _run(row: np.ndarray, r: int, running: np.ndarray) -> None:
    """Write the running sums of a row and of its mirrored ends; the first is 0."""
    amount = running[0] - running[0]
    for x in range(r):
        amount += row[mirror(x - r, row.size)]
        running[x + 1] = amount
    inside = running[r + 1 : r + 1 + row.size]
    for x in range(row.size):
        amount += row[x]
        inside[x] = amount
    for x in range(r):
        amount += row[mirror(row.size + x, row.size)]
        running[r + 1 + row.size + x] = amount


# loops over whole rows of their own: the compiler turns nothing else into wide instructions
@njit(cache=True, nogil=True)
def chords(line: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Write the chords of one row, the differences of its running sums."""
    for x in range(line.size):
        line[x] = b[x] - a[x]


@njit(cache=True, nogil=True)
def add_chords(line: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> None:
    """Add the chords of two rows that are as far from the middle."""
    for x in range(line.size):
        line[x] += b[x] - a[x] + d[x] - c[x]


@njit(cache=True, nogil=True)
def _extend(row: np.ndarray, r: int, extended: np.ndarray) -> None:
    """Write a row and `r` pixels of its mirrored ends."""
    inside = extended[r : r + row.size]
    for x in range(row.size):
        inside[x] = row[x]
    for x in range(r):
        extended[r - 1 - x] = row[mirror(-1 - x, row.size)]
        extended[r + row.size + x] = row[mirror(row.size + x, row.size)]


@njit(cache=True, nogil=True)
def _add_three(a: np.ndarray, b: np.ndarray, c: np.ndarray, to: np.ndarray) -> None:
    for x in range(to.size):
        to[x] = a[x] + b[x] + c[x]


@njit(cache=True, nogil=True)
def _add_five(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, e: np.ndarray, to: np.ndarray) -> None:
    for x in range(to.size):
        to[x] = a[x] + b[x] + c[x] + d[x] + e[x]


@njit(cache=True, nogil=True)
def _add_two(a: np.ndarray, b: np.ndarray, line: np.ndarray) -> None:
    for x in range(line.size):
        line[x] += a[x] + b[x]


@njit(cache=True, nogil=True)
def _copy(line: np.ndarray, to: np.ndarray) -> None:
    for x in range(line.size):
        to[x] = line[x]


@njit(cache=True, nogil=True)
def weigh_row(image: np.ndarray, y: int, weights: np.ndarray, pair: np.ndarray, line: np.ndarray) -> None:
    """Write one row of an image filtered by a kernel that is the same left and right, up and down.

    Rows and columns at the same distance are added before they are weighed, which saves three quarters of the
    multiplications; the border is mirrored.

    Parameters
    ----------
    image : (H, W) float64
        What is filtered.
    y : int
        The row.
    weights : (r + 1, r + 1) float64
        The kernel from its middle to its lower right corner.
    pair : (W + 2 r,) float64
        Room.
    line : (W,) float64
        The result.
    """
    height, width = image.shape
    r = weights.shape[0] - 1
    line[:] = 0.0
    for dy in range(r + 1):
        inside = pair[r : r + width]
        if dy == 0:
            _copy(image[y], inside)
        else:
            _add(image[mirror(y - dy, height)], image[mirror(y + dy, height)], inside)
        for x in range(r):
            pair[r - 1 - x] = inside[mirror(-1 - x, width)]
            pair[r + width + x] = inside[mirror(width + x, width)]
        if weights[dy, 0] != 0:
            _weigh(inside, weights[dy, 0], line)
        for dx in range(1, r + 1):
            if weights[dy, dx] != 0:
                _weigh_two(pair[r - dx : r - dx + width], pair[r + dx : r + dx + width], weights[dy, dx], line)


@njit(cache=True, nogil=True)
def _add(a: np.ndarray, b: np.ndarray, to: np.ndarray) -> None:
    for x in range(to.size):
        to[x] = a[x] + b[x]


@njit(cache=True, nogil=True)
def _weigh(a: np.ndarray, weight: float, line: np.ndarray) -> None:
    for x in range(line.size):
        line[x] += weight * a[x]


@njit(cache=True, nogil=True)
def _weigh_two(a: np.ndarray, b: np.ndarray, weight: float, line: np.ndarray) -> None:
    for x in range(line.size):
        line[x] += weight * (a[x] + b[x])
