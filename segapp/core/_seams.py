"""Filters near the seams between density bins, where a pixel may only see what is in its own bin."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core._stencil import add_chords, chords, mirror
from segapp.core.checks import frozen

_EXACT_FLOAT32 = 2**24

_BLOCK = 32
"""Columns that get running sums together."""

_LONGEST_GAP = 16
"""Pixels between two seam pixels of a row up to which those between are worked out too, for nothing."""


def sum_at_seams(total: np.ndarray, counts: np.ndarray, bins: np.ndarray, half: np.ndarray) -> None:
    """Write the sums over a circle within a bin, scaled up to the whole circle, where it reaches beyond the bin.

    Parameters
    ----------
    total : (H, W) float32
        Written at the seams, and nowhere else.
    counts : (H, W) uint32
        No circle sums to 2**32 or more.
    bins : (H, W) integers
        0 is background.
    half : (k,) int64
        (Length - 1) / 2 of the chords of the circle.
    """
    source, k = frozen(counts), half.size
    levels, width = frozen(bins), bins.shape[1]
    area, ranks = int((2 * half + 1).sum()), _narrow(bins)

    def sum_band(first: int, last: int) -> None:
        seams = _seams(ranks, levels, k, first, last)
        # one bin after the other, each from top to bottom; numpy sorts 8 and 16 bits by counting
        seams = seams[np.argsort(ranks.ravel()[seams], kind="stable")]
        running = np.empty((k, width + k), np.uint64)
        near = np.empty((last - first + k - 1, (width + k) // _BLOCK + 1), np.bool_)
        _chords_at_seams(total, source, levels, seams, half, area, running, near, first)

    by_bands(sum_band, bins.shape, k // 2)


def seam_pixels(bins: np.ndarray, k: int) -> np.ndarray:
    """Return flat indices of the pixels in a bin whose k x k square reaches into another bin or background."""
    ranks = _narrow(bins)
    return np.concatenate(by_bands(lambda first, last: _seams(ranks, bins, k, first, last), bins.shape, k // 2))


def _narrow(bins: np.ndarray) -> np.ndarray:
    """Return what tells bins apart, and their order, in a type that OpenCV compares."""
    largest = int(bins.max())
    ranks: Any = bins
    if largest >= _EXACT_FLOAT32:
        ranks = np.unique(bins, return_inverse=True)[1].reshape(bins.shape)
    return ranks.astype(np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.float32)


def _seams(ranks: np.ndarray, bins: np.ndarray, k: int, first: int, last: int) -> np.ndarray:
    height, width = bins.shape
    kernel, r = np.ones((k, k), np.uint8), k // 2
    top, bottom = max(first - r, 0), min(last + r, height)
    levels: Any = ranks[top:bottom]
    # a square, though kernels are round: OpenCV takes it line by line, and a pixel too many changes no sum.
    # a mirrored border shows only pixels that the kernel holds already: the border needs no care here
    mixed = cv2.erode(levels, kernel) != cv2.dilate(levels, kernel)
    return np.flatnonzero(mixed[first - top : last - top] & (bins[first:last] != 0)) + first * width


@njit(cache=True, nogil=True)
def _chords_at_seams(
    total: np.ndarray,
    counts: np.ndarray,
    bins: np.ndarray,
    seams: np.ndarray,
    half: np.ndarray,
    area: int,
    running: np.ndarray,
    near: np.ndarray,
    first: int,
) -> None:
    """Sum by running sums of one bin after the other; `seams` are sorted by bin, and from top to bottom within one.

    A running sum holds UMIs in its upper and pixels in its lower 32 bits. It may wrap: the difference of two is right
    all the same. Only those of the k rows that a circle crosses are kept, and only near seams of the bin are there any;
    `near` is room to mark the blocks of columns. `first` is the first row of the band.
    """
    height, width = bins.shape
    r = half.size // 2
    line = np.empty(width, np.uint64)
    begin = 0
    while begin < seams.size:
        here = bins[seams[begin] // width, seams[begin] % width]
        near[:] = False
        end = begin
        while end < seams.size and bins[seams[end] // width, seams[end] % width] == here:
            end += 1
        at = begin
        while at < end:
            y, x0, stop = _stretch(seams, at, end, width)
            x1 = seams[stop - 1] - y * width
            near[y - first : y - first + half.size, x0 // _BLOCK : (x1 + 2 * r) // _BLOCK + 1] = True
            at = stop
        run = -r
        while begin < end:
            y, x0, stop = _stretch(seams, begin, end, width)
            for v in range(max(run, y - r), y + r + 1):
                _run_of_bin(
                    counts[mirror(v, height)],
                    bins[mirror(v, height)],
                    here,
                    r,
                    near[v - first + r],
                    running[v % half.size],
                )
            run = y + r + 1
            _sum_line(running, half, y, x0, line[: seams[stop - 1] - y * width - x0 + 1])
            for i in range(begin, stop):
                x = seams[i] - y * width
                both = line[x - x0]
                amount, n = np.int64(both >> np.uint64(32)), np.int64(both & np.uint64(0xFFFFFFFF))
                total[y, x] = amount * area / n
            begin = stop


@njit(cache=True, nogil=True)
def _stretch(seams: np.ndarray, begin: int, end: int, width: int) -> tuple[int, int, int]:
    """Return row and first column of pixels near each other in a row, and the index after that of the last."""
    y, stop = seams[begin] // width, begin + 1
    last = (y + 1) * width
    while stop < end and seams[stop] < last and seams[stop] - seams[stop - 1] <= _LONGEST_GAP:
        stop += 1
    return y, seams[begin] - y * width, stop


@njit(cache=True, nogil=True)
def _run_of_bin(counts: np.ndarray, bins: np.ndarray, here: int, r: int, near: np.ndarray, running: np.ndarray) -> None:
    """Write the running sums of a row and its mirrored ends over the pixels of a bin, from 0 where blocks begin."""
    width, block = bins.size, 0
    while block < near.size:
        if not near[block]:
            block += 1
            continue
        x = block * _BLOCK - r
        while block < near.size and near[block]:
            block += 1
        stop = min(block * _BLOCK - r, width + r)
        both = np.uint64(0)
        running[x + r] = both
        while x < stop:
            u = x if 0 <= x < width else mirror(x, width)
            if bins[u] == here:
                both += (np.uint64(counts[u]) << np.uint64(32)) + np.uint64(1)
            x += 1
            running[x + r] = both


@njit(cache=True, nogil=True)
def _sum_line(running: np.ndarray, half: np.ndarray, y: int, x0: int, line: np.ndarray) -> None:
    """Write the sums over the circles around pixels side by side."""
    k, n = half.size, line.size
    r = k // 2
    middle = running[y % k]
    chords(line, middle[x0 : x0 + n], middle[x0 + k : x0 + k + n])
    for j in range(1, r + 1):
        left, right = x0 + r - half[r + j], x0 + r + half[r + j] + 1
        above, below = running[(y - j) % k], running[(y + j) % k]
        add_chords(
            line, above[left : left + n], above[right : right + n], below[left : left + n], below[right : right + n]
        )
