"""Histograms small enough to travel: counts of an array in at most 256 even bins, and exact counts above a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from segapp.core.checks import plain
from segapp.core.types import InputError

MAX_BINS = 256
"""Most bins of a histogram that is drawn; a screen shows no more."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts in even bins.

    Parameters
    ----------
    counts : (N,) uint32
        Values in each bin; a value on an edge belongs to the bin above it, the highest value to the last bin.
    low, high : float
        Outer edges, ``high > low``.
    below, above : int
        Values outside the edges.
    """

    counts: np.ndarray
    low: float
    high: float
    below: int = 0
    above: int = 0

    @property
    def total(self) -> int:
        """All values, those outside the edges among them."""
        return int(self.counts.sum(dtype=np.int64)) + self.below + self.above


def histogram(values: np.ndarray, *, bins: int, low: float | None = None, high: float | None = None) -> Histogram:
    """Count values in even bins.

    Parameters
    ----------
    values : array of any shape, integer or float dtype
        Finite values.
    bins : int
        Number of bins, 1 to 256.
    low, high : float, optional
        Outer edges; by default the lowest and the highest value. Where they coincide, or are too close to be told
        apart by `bins` numbers, `high` is one more than `low`.

    Returns
    -------
    Histogram

    Raises
    ------
    InputError
        When there is no value or `bins` is out of range.

    Examples
    --------
    >>> found = histogram(np.array([0.0, 0.2, 0.5, 1.0, 7.0]), bins=2, low=0, high=1)
    >>> found.counts.tolist(), found.above, found.total
    ([2, 2], 1, 5)
    """
    if values.size == 0:
        raise InputError("there is no value to count; run the stages before this one first.")
    if not 1 <= bins <= MAX_BINS:
        raise InputError(f"`bins` is {bins} but must be from 1 to {MAX_BINS}.")
    flat = plain(values).reshape(-1)
    if low is None or high is None:
        lowest, highest = _span(flat)
        low, high = (float(lowest) if low is None else low), (float(highest) if high is None else high)
    if not high > low or np.isinf(bins / (high - low)):
        high = max(low + 1.0, float(np.nextafter(low, np.inf)))
    counts = np.zeros(bins, np.int64)
    below, above = _bin(flat, float(low), float(high), counts)
    return Histogram(
        np.minimum(counts, np.iinfo(np.uint32).max).astype(np.uint32), float(low), float(high), below, above
    )


def whole_histogram(values: np.ndarray, *, bins: int, reach: float) -> Histogram:
    """Count whole numbers in bins of one whole width from 0 on, so that no bin holds more numbers than another.

    Parameters
    ----------
    values : integer array
        0 or more, such as areas; none at all gives empty bins.
    bins : int
        Most bins.
    reach : float
        Least upper edge: what should be seen.

    Returns
    -------
    Histogram

    Examples
    --------
    >>> found = whole_histogram(np.array([3, 4, 9, 30]), bins=4, reach=10)
    >>> found.counts.tolist(), found.high, found.above
    ([0, 2, 0, 1], 12.0, 1)
    """
    width = max(1, int(np.ceil(reach / bins)))
    n = max(1, int(np.ceil(reach / width)))
    if not values.size:
        return Histogram(np.zeros(n, np.uint32), 0.0, float(n * width))
    return histogram(values, bins=n, low=0, high=n * width)


def count_outside(values: np.ndarray, low: float, high: float) -> tuple[int, int]:
    """Return how many values are below `low`, and how many above `high`; the limits themselves are inside.

    Examples
    --------
    >>> count_outside(np.array([1, 2, 3, 4, 5]), 2, 4)
    (1, 1)
    """
    return int(np.count_nonzero(values < low)), int(np.count_nonzero(values > high))


def share_from(values: np.ndarray, line: float) -> float:
    """Return the share of values that are `line` or more.

    Examples
    --------
    >>> share_from(np.array([[0.1, 0.5], [0.6, 0.9]], np.float32), 0.5)
    0.75
    """
    values = plain(values)
    if values.dtype.kind == "f":
        line = float(values.dtype.type(line))  # as numpy compares an array with a number
    return _count_from(values.reshape(-1), line) / max(values.size, 1)


@njit(cache=True, nogil=True)
def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = values[0], values[0]
    for value in values:
        if value < low:
            low = value
        if value > high:
            high = value
    return low, high


@njit(cache=True, nogil=True)
def _bin(values: np.ndarray, low: float, high: float, counts: np.ndarray) -> tuple[int, int]:
    n = counts.size
    scale = n / (high / 2 - low / 2)  # halves, as the width of the widest range is no number
    below, above = 0, 0
    for value in values:
        if value < low:
            below += 1
        elif value > high:
            above += 1
        else:
            counts[min(int((value / 2 - low / 2) * scale), n - 1)] += 1
    return below, above


@njit(cache=True, nogil=True)
def _count_from(values: np.ndarray, line: float) -> int:
    count = 0
    for value in values:
        if value >= line:
            count += 1
    return count


def warm() -> None:
    """Compile the kernels for the types that are drawn, writeable and read-only."""
    for dtype in (np.float32, np.uint8, np.int64):
        for writeable in (True, False):
            values = np.ones((1, 2), dtype)
            values.flags.writeable = writeable
            histogram(values, bins=2)
            share_from(values, 0.5)
