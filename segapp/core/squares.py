"""Counts summed into squares, of a whole field or of the windows of one; and squares of equal pixels."""

from __future__ import annotations

import numpy as np

from segapp.core.checks import check_counts


def bin_sums(counts: np.ndarray, binsize: int) -> np.ndarray:
    """Sum counts into squares.

    Parameters
    ----------
    counts : (H, W) counts
        UMIs a pixel.
    binsize : int
        Side of a square in px.

    Returns
    -------
    (ceil(H / binsize), ceil(W / binsize)) float64
        UMIs a square; a square cut off by the edge is scaled to the area of a whole one.

    Examples
    --------
    >>> import numpy as np
    >>> bin_sums(np.ones((2, 3), np.uint8), 2)
    array([[4., 4.]])
    """
    counts = check_counts(counts, "counts")
    return whole_squares(part_sums(counts, binsize, 0, 0)[2], binsize, counts.shape)


def part_sums(counts: np.ndarray, binsize: int, top: int, left: int) -> tuple[int, int, np.ndarray]:
    """Sum the counts of a window into the squares of the whole field; those of windows side by side add up.

    Parameters
    ----------
    counts : (H, W) counts
        UMIs a pixel.
    binsize : int
        Side of a square in px.
    top, left : int
        Row and column of the window's first pixel in the field.

    Returns
    -------
    row, column : int
        The first square.
    sums : (h, w) float64
        UMIs of the window in each square.

    Examples
    --------
    >>> import numpy as np
    >>> part_sums(np.ones((1, 3), np.uint8), 2, 0, 3)
    (0, 1, array([[1., 2.]]))
    """
    firsts, at = [], []
    for start, side in zip((top, left), counts.shape, strict=True):
        firsts.append(start // binsize)
        edges = np.arange(firsts[-1] * binsize, start + side, binsize) - start
        at.append(np.maximum(edges, 0))
    sums = np.add.reduceat(np.add.reduceat(counts, at[1], axis=1, dtype=np.float64), at[0], axis=0)
    return firsts[0], firsts[1], sums


def whole_squares(sums: np.ndarray, binsize: int, shape: tuple[int, int]) -> np.ndarray:
    """Scale squares that the edge of the field cuts off to the area of a whole one, as `bin_sums` does."""
    sides = [np.diff(np.append(np.arange(0, side, binsize), side)) for side in shape]
    return sums * (binsize**2 / np.outer(*sides))


def quarters(fine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the quarters of every square, (4, H, W); half a square at the edge stands for the other half."""
    whole = np.pad(fine, [(0, 2 * side - there) for side, there in zip(shape, fine.shape, strict=True)], mode="edge")
    return np.stack([whole[row::2, column::2] for row in (0, 1) for column in (0, 1)])


def spread(few: np.ndarray, side: int, shape: tuple[int, ...], part: tuple[slice, slice]) -> np.ndarray:
    """Return values as squares of equal pixels at their place in a field that is 0 around them.

    Parameters
    ----------
    few : (h, w) array
        A value a square.
    side : int
        Side of a square in px.
    shape : (int, int)
        Height and width of the field.
    part : pair of slices
        Where in the field the squares lie; the last ones may be cut off.

    Examples
    --------
    >>> import numpy as np
    >>> spread(np.array([[1, 2]]), 2, (3, 4), np.s_[0:2, 0:3])
    array([[1, 1, 2, 0],
           [1, 1, 2, 0],
           [0, 0, 0, 0]])
    """
    field = np.zeros(shape, few.dtype)
    inside = field[part]
    rows, columns = inside.shape
    # whole rows and columns at a time: `repeat` copies value by value
    wide = np.empty((len(few), columns), few.dtype)
    for offset in range(min(side, columns)):
        wide[:, offset::side] = few[:, : -(-(columns - offset) // side)]
    for offset in range(min(side, rows)):
        inside[offset::side] = wide[: -(-(rows - offset) // side)]
    return field
