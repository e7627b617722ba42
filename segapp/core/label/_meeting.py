"""What two label images have in common, from one pass over their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import sparse

from segapp.core._bands import by_bands

SPARE_IDS = 1 << 20
"""By how much the largest id may exceed four times the number of values for a table of all ids to be worth it."""


@dataclass(frozen=True, eq=False)
class Meeting:
    """Labels of two images, and the pixels that they share.

    Parameters
    ----------
    ids_a, ids_b : (A,) and (B,) int32
        Ids that occur in either image, in ascending order, without the background.
    area_a, area_b : (A,) and (B,) int64
        Pixels of each.
    at_a, at_b : (N,) int32
        Pairs that share pixels, as places in `ids_a` and `ids_b`; ordered by `at_a`, then `at_b`.
    pixels : (N,) int64
        Number of shared pixels of each pair, at least 1.
    """

    ids_a: np.ndarray
    ids_b: np.ndarray
    area_a: np.ndarray
    area_b: np.ndarray
    at_a: np.ndarray
    at_b: np.ndarray
    pixels: np.ndarray


def meet(a: np.ndarray, b: np.ndarray) -> Meeting:
    """Return ids, areas and shared pixels of two label images from one pass over them.

    Parameters
    ----------
    a, b : (H, W) int32 arrays
        From `check_labels`, of one shape.

    Returns
    -------
    Meeting

    Notes
    -----
    Rows are read as runs of one pair; all else is done on the runs.

    Examples
    --------
    >>> met = meet(np.array([[1, 1, 7]], np.int32), np.array([[0, 4, 0]], np.int32))
    >>> met.ids_a.tolist(), met.area_a.tolist(), met.at_a.tolist(), met.at_b.tolist(), met.pixels.tolist()
    ([1, 7], [2, 1], [0], [0], [1])
    """
    parts = by_bands(lambda first, last: _runs(a[first:last].ravel(), b[first:last].ravel()), a.shape)
    run_a, run_b, length = (np.concatenate(column) for column in zip(*parts, strict=True))
    ids_a, area_a, place_a = _tally(run_a, length)
    ids_b, area_b, place_b = _tally(run_b, length)
    both = np.flatnonzero((run_a > 0) & (run_b > 0))
    table = sparse.coo_array((length[both], (place_a[both], place_b[both])), shape=(len(ids_a), len(ids_b))).tocsr()
    table.sum_duplicates()
    pairs = table.tocoo()
    at_a, at_b = pairs.row.astype(np.int32), pairs.col.astype(np.int32)
    return Meeting(ids_a, ids_b, area_a, area_b, at_a, at_b, pairs.data.astype(np.int64))


def _tally(ids: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ids above 0 of runs, the pixels of each, and the place of every run's id among them."""
    if int(ids.max(initial=0)) > 4 * len(ids) + SPARE_IDS:
        # a table is as long as the largest id: huge ids with gaps are ranked instead
        unique, ranks = np.unique(ids, return_inverse=True)
        area = np.bincount(ranks, weights=length).astype(np.int64)
        some = int(unique[0] == 0)
        return unique[some:], area[some:], ranks.astype(np.int32) - some
    area = np.bincount(ids, weights=length, minlength=1).astype(np.int64)
    area[0] = 0
    found = np.flatnonzero(area).astype(np.int32)
    places = np.full(len(area), -1, np.int32)
    places[found] = np.arange(len(found), dtype=np.int32)
    return found, area[found], places[ids]


@njit(cache=True, nogil=True)
def _runs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ids of runs of one pair of labels, and their lengths; runs of background in both are left out."""
    n = 0
    before_a, before_b = np.int32(0), np.int32(0)
    for i in range(a.size):
        if a[i] != before_a or b[i] != before_b:
            before_a, before_b = a[i], b[i]
            if before_a > 0 or before_b > 0:
                n += 1
    run_a, run_b, length = np.empty(n, np.int32), np.empty(n, np.int32), np.zeros(n, np.int64)
    n = -1
    before_a, before_b = np.int32(0), np.int32(0)
    for i in range(a.size):
        if a[i] != before_a or b[i] != before_b:
            before_a, before_b = a[i], b[i]
            if before_a > 0 or before_b > 0:
                n += 1
                run_a[n], run_b[n] = before_a, before_b
        if before_a > 0 or before_b > 0:
            length[n] += 1
    return run_a, run_b, length
