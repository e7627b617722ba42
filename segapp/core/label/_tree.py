"""The component tree of an image of depths, as far as it is needed to keep its small nodes."""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

from segapp.core._bands import side_by_side

_TURN = 1 << 16
"""Pixels, about, that are worth a thread's turn."""


def small_nodes(depth: np.ndarray, starts: np.ndarray, areas: np.ndarray, min_area: int) -> np.ndarray:
    """Return the pixels whose node, at their own level, is of at most `min_area` or has nothing deeper inside.

    Parameters
    ----------
    depth : (H, W) array
        Depths, whole numbers; 0 is outside.
    starts, areas : (N,) int64
        Of each component (8 neighbours) of what is above 0, in any order: one of its pixels, counted row by row, and
        its area in px.
    min_area : int
        Area in px.

    Returns
    -------
    (H, W) bool

    Notes
    -----
    A component is flooded from one of its pixels: a pixel waits until all that is deeper beside it is done, so that of
    all that wait the deepest comes next. The nodes that are open are a stack, and what was visited since one was
    opened is its inside. A pixel lies near to the one before it, which the cache of a processor likes. Components do
    not touch: they are flooded side by side on threads.

    References
    ----------
    Nistér and Stewénius, "Linear time maximally stable extremal regions", European Conference on Computer Vision, 2008.
    """
    # a rim of one px: no neighbour has to be checked for the border
    levels = np.zeros((depth.shape[0] + 2, depth.shape[1] + 2), np.int32)
    levels[1:-1, 1:-1] = depth
    following, keep = np.empty_like(levels), np.zeros(levels.shape, np.bool_)
    around, top = _around(levels.shape[1]), int(depth.max(initial=0))
    rows, columns = np.divmod(starts, depth.shape[1])
    starts = (rows + 1) * levels.shape[1] + columns + 1
    arrays = (levels.ravel(), following.ravel(), keep.ravel())
    turns = [
        partial(_flood, *arrays, starts[group], int(areas[group].sum()), around, top, min_area)
        for group in _groups(areas)
    ]
    side_by_side(turns)
    return keep[1:-1, 1:-1].copy()


def _around(stride: int) -> np.ndarray:
    return np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1], np.int64)


def _groups(areas: np.ndarray) -> list[np.ndarray]:
    """Put components together, largest first, up to about what is worth a turn."""
    order = np.argsort(-areas, kind="stable")
    turn = np.cumsum(areas[order]) // _TURN
    return np.split(order, np.flatnonzero(np.diff(turn)) + 1)


@njit(cache=True, nogil=True)
def _flood(
    levels: np.ndarray,
    following: np.ndarray,
    keep: np.ndarray,
    starts: np.ndarray,
    room: int,
    around: np.ndarray,
    top: int,
    min_area: int,
) -> None:
    """Visit all pixels of some components of `room` px, which turns their levels negative; mark those to keep.

    Pixels that wait are one chain a level, `first` and `following`: what comes to it last leaves it first.
    """
    first = np.zeros(top + 1, np.int32)
    visited, node_of = np.empty(room, np.int32), np.empty(room, np.int32)
    small = np.empty(room, np.bool_)
    # the open nodes, deepest last: level, number, place in `visited` of what it holds, whether something is deeper
    level, node = np.empty(top + 1, np.int32), np.empty(top + 1, np.int32)
    begin, leaf = np.empty(top + 1, np.int32), np.empty(top + 1, np.bool_)
    n, nodes = 0, 0
    for start in starts:
        now = levels[start]
        levels[start] = -now
        first[now], following[start] = start, 0
        last = -1
        while now > 0:
            i = first[now]
            first[now] = following[i]
            deeper = now
            for step in around:
                j = i + step
                there = levels[j]
                if there > 0:
                    levels[j] = -there
                    following[j] = first[there]
                    first[there] = j
                    if there > now:
                        deeper = there
                        break
            if deeper > now:
                # its other neighbours come when all within reach of this one is done: they may be another node's
                following[i] = first[now]
                first[now] = i
                now = deeper
                continue
            if last < 0 or level[last] < now:
                last += 1
                level[last], node[last], begin[last], leaf[last] = now, nodes, n, True
                nodes += 1
            visited[n], node_of[n] = i, node[last]
            n += 1
            # nothing more waits at this level: its node is complete, and so are all above the next level with one
            while now > 0 and first[now] == 0:
                now -= 1
            while last >= 0 and level[last] > now:
                small[node[last]] = leaf[last] or n - begin[last] <= min_area
                if last > 0 and level[last - 1] >= now:
                    last -= 1
                    leaf[last] = False
                elif now > 0:
                    level[last], node[last], leaf[last] = now, nodes, False
                    nodes += 1
                else:
                    last -= 1
    for m in range(n):
        if small[node_of[m]]:
            keep[visited[m]] = True
