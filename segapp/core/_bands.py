"""Compiled loops over the rows of an image, side by side on threads: an image is cut into bands of whole rows.

Which bands there are depends on the shape alone, never on the threads: what is added up band by band is the same to the
last bit wherever it runs. Numba's own parallel loops are not used: their default layer must not be entered by two
callers at once, and does not survive a fork.
"""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_ONE_BAND = 2**18
"""Pixels up to which an image is one band: waking a thread would cost what it saves."""

_BAND = 2**17
"""Pixels of a band, about: what a kernel reads of it stays in the cache of one processor."""

_MOST = 8
"""Most threads of one call; memory cannot feed more."""

_LIMITS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")

_here = threading.local()


def by_bands(work: Callable[[int, int], T], shape: tuple[int, ...], halo: int = 0) -> list[T]:
    """Call a function for each band of rows, side by side, and return what it returned, from top to bottom.

    Parameters
    ----------
    work : callable
        Takes the first row of a band and the row after its last. It lets go of the interpreter while it computes, and
        writes to no place that another band reads or writes.
    shape : (int, int)
        Height and width of the image.
    halo : int
        Rows around a band that are worked out again for it; bands are then high enough for this to cost little.

    Returns
    -------
    list
        One result a band. An exception of any band is raised here, once no band is being worked on any more.

    Examples
    --------
    >>> by_bands(lambda first, last: last - first, (300, 1000))
    [131, 131, 38]
    >>> by_bands(lambda first, last: last - first, (200, 1000))
    [200]
    """
    return side_by_side([functools.partial(work, *band) for band in bands(shape, halo)])


def side_by_side(todo: Sequence[Callable[[], T]]) -> list[T]:
    """Call functions side by side on threads, and return what they returned, in their order.

    Parameters
    ----------
    todo : sequence of callables
        Each lets go of the interpreter while it computes.

    Returns
    -------
    list
        One result a function. An exception of any is raised here, once none of them runs any more.

    Examples
    --------
    >>> side_by_side([lambda: 3, lambda: 4])
    [3, 4]
    """
    n = min(threads(), len(todo))
    if n <= 1:
        return [call() for call in todo]
    results: list[Any] = [None] * len(todo)
    waiting = deque(range(len(todo)))

    def take() -> None:
        while True:
            try:
                i = waiting.popleft()
            except IndexError:
                return
            try:
                results[i] = todo[i]()
            except BaseException:
                waiting.clear()  # no other begins
                raise

    helpers = _helpers(take, n - 1)
    try:
        take()
    finally:
        waiting.clear()
        for helper in helpers:
            # one that has not begun is busy elsewhere: this thread did its part
            if not helper.cancel():
                helper.exception()
    for helper in helpers:
        if not helper.cancelled():
            helper.result()
    return results


def bands(shape: tuple[int, ...], halo: int = 0) -> list[tuple[int, int]]:
    """Return first row and row after the last of each band of an image.

    Parameters
    ----------
    shape : (int, int)
        Height and width.
    halo : int
        As for `by_bands`.

    Examples
    --------
    >>> bands((1000, 1000), halo=100)
    [(0, 800), (800, 1000)]
    """
    height, width = shape
    rows = height if height * width <= _ONE_BAND else max(_BAND // width, 8 * halo, 1)
    return [(first, min(first + rows, height)) for first in range(0, height, max(rows, 1))]


def threads() -> int:
    """Return how many threads `by_bands` uses when called from this thread.

    As many as processors are left to this process, up to 8, and no more than ``NUMBA_NUM_THREADS`` and
    ``OMP_NUM_THREADS`` say; 1 after `work_alone`.
    """
    if getattr(_here, "alone", False):
        return 1
    given = (os.environ.get(name, "").partition(",")[0].strip() for name in _LIMITS)
    return min([_processors(), _MOST, *(int(text) for text in given if text.isdigit() and int(text) > 0)])


def work_alone() -> None:
    """Let `by_bands` use no other thread when called from this one: it is one of many that work side by side."""
    _here.alone = True


def _helpers(take: Callable[[], None], n: int) -> list[Future[None]]:
    try:
        return [_pool().submit(take) for _ in range(n)]
    except RuntimeError:
        return []  # the interpreter is ending and starts no more threads: the caller does it all


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_processors(), "segapp-band", initializer=work_alone)


@functools.cache
def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if hasattr(os, "register_at_fork"):
    # a child has the pool but none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
