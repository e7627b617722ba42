"""Sums over circles, and what depends on them alone: looked up by count, within density bins where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core.checks import check_counts, check_labels, check_same_shape
from segapp.core.convolve import circle_sum, circle_sum_by_bin
from segapp.core.score import lookup
from segapp.core.score.kept import keep_last
from segapp.core.score.model import Mixture
from segapp.core.score.propagation import LOG_ODDS_LIMIT

_LARGEST = np.nextafter(np.float32(2**32), np.float32(0))
"""The largest sum: more is no count, and only a sum scaled up at a seam could be more."""


def checked(counts: np.ndarray, bins: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return counts and bins as kernels take them, or say what is wrong with them."""
    counts = np.ascontiguousarray(check_counts(counts, "counts"))
    if bins is not None:
        bins = np.ascontiguousarray(check_labels(bins, "bins"))
        check_same_shape({"counts": counts, "bins": bins})
    return counts, bins


@keep_last
def circle_sums(counts: np.ndarray, bins: np.ndarray | None, k: int) -> np.ndarray:
    """Return the sum over the circle around every pixel, (H, W) uint32; within its bin where there are bins."""
    if bins is None:
        return circle_sum(counts, k)
    # whole away from seams; at a seam the scaled-up sum is rounded, since the model is one of counts
    sums = circle_sum_by_bin(counts, bins, k)
    made = np.empty(sums.shape, np.uint32)
    by_bands(lambda first, last: _round(sums[first:last], made[first:last]), sums.shape)
    return made


def without_fit(shape: tuple[int, ...], bins: np.ndarray | None, statistics: Mapping[str, Any]) -> np.ndarray:
    """Return where there is no mixture to score by, (H, W) bool."""
    fits, pooled = statistics["mixtures"], statistics.get("pooled")
    if bins is None:
        return np.full(shape, fits.get("0") is None)
    if pooled is not None:
        return bins == 0
    ids, ranks = lookup.bin_ranks(bins)
    missing = np.array([fits.get(str(bin_)) is None for bin_ in ids] + [True])  # rank -1, bin 0, is the last
    return missing[ranks]


def by_count(
    counts: np.ndarray,
    bins: np.ndarray | None,
    k: int,
    statistics: Mapping[str, Any],
    table: Any,
    outside: float,
    part: tuple[slice, slice] = np.s_[:, :],
) -> np.ndarray:
    """Return what `table` makes of the mixture of each pixel's bin and its sum, float32 of the shape of the part."""
    sums = circle_sums(counts, bins, k)[part]
    size = min(int(sums.max()), lookup.LARGEST_COUNT) + 1
    pooled = statistics.get("pooled")

    def row(name: str) -> np.ndarray:
        values = statistics["mixtures"].get(name) or pooled
        line = table(None if values is None else Mixture.from_json(values), size)
        return np.clip(line, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT).astype(np.float32)

    if bins is None:
        return lookup.look_up(row("0"), sums)
    ids, ranks = lookup.bin_ranks(bins)
    if len(ids) == 0:
        return np.full(sums.shape, outside, np.float32)
    return lookup.look_up_by_bin(np.stack([row(str(bin_)) for bin_ in ids]), sums, ranks[part], outside)


@njit(cache=True, nogil=True)
def _round(sums: np.ndarray, made: np.ndarray) -> None:
    for i in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            made[i, j] = np.uint32(min(np.rint(sums[i, j]), _LARGEST))


def warm() -> None:
    """Compile the kernel."""
    _round(np.zeros((1, 1), np.float32), np.empty((1, 1), np.uint32))
