"""From counts to histograms and back through tables: what depends on the count alone is worked out once a count."""

from __future__ import annotations

import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core.checks import frozen
from segapp.core.score.kept import keep_last

_SHORT = 2**14
"""Entries of a histogram up to which each band of rows has one of its own."""

LARGEST_COUNT = 2**20 - 1
"""Counts above are taken as this one; a score has long settled there, and tables stay small."""


@keep_last
def bin_ranks(bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin ids that occur, 0 left out, and the rank of every pixel's bin among them.

    Parameters
    ----------
    bins : (H, W) int32
        Density bin of every pixel; 0 is background.

    Returns
    -------
    ids : (B,) int64, ascending
    ranks : (H, W) int32
        -1 in bin 0.

    Examples
    --------
    >>> ids, ranks = bin_ranks(np.array([[0, 7, 3]], np.int32))
    >>> ids.tolist(), ranks.tolist()
    ([3, 7], [[-1, 1, 0]])
    """
    largest = int(bins.max(initial=0))
    if largest >= _SHORT:
        ids, inverse = np.unique(bins, return_inverse=True)
        shift = 1 if ids[0] == 0 else 0
        return ids[shift:].astype(np.int64), (inverse.reshape(bins.shape) - shift).astype(np.int32)
    bins, ranks = frozen(bins), np.empty(bins.shape, np.int32)
    occur = by_bands(lambda first, last: _occurring(bins[first:last], largest), bins.shape)
    ids = np.flatnonzero(np.any(occur, axis=0)) if occur else np.zeros(0, np.int64)
    ids = ids[ids > 0]
    table = np.full(largest + 1, -1, np.int32)
    table[ids] = np.arange(len(ids), dtype=np.int32)
    by_bands(lambda first, last: _rank(table, bins[first:last], ranks[first:last]), bins.shape)
    return ids, ranks


def histogram(counts: np.ndarray) -> np.ndarray:
    """Return the number of pixels with count 0, 1, 2, ... as (N,) int64.

    Parameters
    ----------
    counts : (H, W) uint32
        Counts above `LARGEST_COUNT` are counted at it.

    Examples
    --------
    >>> histogram(np.array([[0, 2, 2]], np.uint32)).tolist()
    [1, 0, 2]
    """
    counts = frozen(counts)
    size = min(int(counts.max(initial=0)), LARGEST_COUNT) + 1
    if size > _SHORT:
        return _histogram(counts, size)
    parts = by_bands(lambda first, last: _histogram(counts[first:last], size), counts.shape)
    return parts[0] if len(parts) == 1 else np.sum(parts, axis=0)


def histogram_by_bin(counts: np.ndarray, ranks: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the histogram of every bin as (n_bins, N) int64; pixels of rank -1 are left out."""
    counts, ranks = frozen(counts), frozen(ranks)
    size = min(int(counts.max(initial=0)), LARGEST_COUNT) + 1
    if n_bins * size > _SHORT:
        return _histogram_by_bin(counts, ranks, n_bins, size)
    parts = by_bands(
        lambda first, last: _histogram_by_bin(counts[first:last], ranks[first:last], n_bins, size), counts.shape
    )
    return parts[0] if len(parts) == 1 else np.sum(parts, axis=0)


def look_up(table: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return ``table[counts]`` as (H, W) float32; counts beyond the table take its last value.

    Examples
    --------
    >>> look_up(np.array([0.0, 0.5], np.float32), np.array([[0, 1, 9]], np.uint32))
    array([[0. , 0.5, 0.5]], dtype=float32)
    """
    counts, out = frozen(counts), np.empty(counts.shape, np.float32)
    by_bands(lambda first, last: _look_up(table, counts[first:last], out[first:last]), counts.shape)
    return out


def look_up_by_bin(tables: np.ndarray, counts: np.ndarray, ranks: np.ndarray, outside: float) -> np.ndarray:
    """Return ``tables[rank, count]`` as (H, W) float32; `outside` where the rank is -1."""
    counts, ranks, out = frozen(counts), frozen(ranks), np.empty(counts.shape, np.float32)
    by_bands(
        lambda first, last: _look_up_by_bin(tables, counts[first:last], ranks[first:last], outside, out[first:last]),
        counts.shape,
    )
    return out


@njit(cache=True, nogil=True)
def _occurring(bins: np.ndarray, largest: int) -> np.ndarray:
    there = np.zeros(largest + 1, np.bool_)
    height, width = bins.shape
    for y in range(height):
        for x in range(width):
            there[bins[y, x]] = True
    return there


@njit(cache=True, nogil=True)
def _rank(table: np.ndarray, bins: np.ndarray, ranks: np.ndarray) -> None:
    height, width = bins.shape
    for y in range(height):
        for x in range(width):
            ranks[y, x] = table[bins[y, x]]


@njit(cache=True, nogil=True)
def _histogram(counts: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros(size, np.int64)
    height, width = counts.shape
    for y in range(height):
        for x in range(width):
            count = counts[y, x]
            out[count if count < size else size - 1] += 1
    return out


@njit(cache=True, nogil=True)
def _histogram_by_bin(counts: np.ndarray, ranks: np.ndarray, n_bins: int, size: int) -> np.ndarray:
    out = np.zeros((n_bins, size), np.int64)
    height, width = counts.shape
    for y in range(height):
        for x in range(width):
            count = counts[y, x]
            if ranks[y, x] >= 0:
                out[ranks[y, x], count if count < size else size - 1] += 1
    return out


@njit(cache=True, nogil=True)
def _look_up(table: np.ndarray, counts: np.ndarray, out: np.ndarray) -> None:
    height, width = counts.shape
    last = len(table) - 1
    for y in range(height):
        for x in range(width):
            count = counts[y, x]
            out[y, x] = table[count if count < last else last]


@njit(cache=True, nogil=True)
def _look_up_by_bin(tables: np.ndarray, counts: np.ndarray, ranks: np.ndarray, outside: float, out: np.ndarray) -> None:
    height, width = counts.shape
    last = tables.shape[1] - 1
    for y in range(height):
        for x in range(width):
            rank, count = ranks[y, x], counts[y, x]
            out[y, x] = tables[rank, count if count < last else last] if rank >= 0 else outside


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    counts = np.zeros((2, 2), np.uint32)
    ranks = np.zeros((2, 2), np.int32)
    histogram(counts)
    histogram_by_bin(counts, ranks, 1)
    bin_ranks(ranks)
    look_up(np.zeros(2, np.float32), counts)
    look_up_by_bin(np.zeros((1, 2), np.float32), counts, ranks, 0.0)
