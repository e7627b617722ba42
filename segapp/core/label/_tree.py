"""The component tree of an image of depths, as far as it is needed to keep its small nodes.

Pixels are numbered in an image with a rim of one px, so that no neighbour has to be checked for the border.
"""

from __future__ import annotations

import numpy as np
from numba import njit


def descending(depth: np.ndarray) -> np.ndarray:
    """Return the numbers of the pixels above 0 of (H, W) int32, deepest first, by row within a level."""
    return _descending(depth.ravel(), depth.shape[1])


def small_nodes(depth: np.ndarray, order: np.ndarray, min_area: int) -> np.ndarray:
    """Return the pixels whose node, at their own level, is of at most `min_area` or has nothing deeper inside.

    Parameters
    ----------
    depth : (H, W) int32
        Depths, 0 is outside.
    order : (N,) int64
        What `descending` returned.
    min_area : int
        Area in px.

    Returns
    -------
    (H, W) bool
    """
    keep = np.zeros(depth.shape, np.bool_)
    _mark_small_nodes(depth, order, _around(depth.shape[1] + 2), _GROUPS, min_area, keep)
    return keep


@njit(cache=True, nogil=True)
def _descending(depth: np.ndarray, width: int) -> np.ndarray:
    """Numbers of the pixels above 0, deepest first, by row within a level (counting sort)."""
    deepest = 0
    for value in depth:
        deepest = max(deepest, value)
    start = np.zeros(deepest + 2, np.int64)
    for value in depth:
        start[value] += 1
    total = 0
    for level in range(deepest, 0, -1):
        count = start[level]
        start[level] = total
        total += count
    order = np.empty(total, np.int64)
    for row in range(depth.size // width):
        for i in range(row * width, (row + 1) * width):
            if depth[i] > 0:
                order[start[depth[i]]] = i + 2 * row + width + 3
                start[depth[i]] += 1
    return order


_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def _around(stride: int) -> np.ndarray:
    return np.array([dy * stride + dx for dy, dx in _RING], np.int64)


def _groups() -> np.ndarray:
    """For each set of neighbours (bits as in the ring): in how many groups they touch, and one neighbour of each."""
    table = np.zeros((256, 5), np.int64)
    for bits in range(256):
        open_ones = [i for i in range(8) if bits >> i & 1]
        while open_ones:
            group = [open_ones.pop(0)]
            table[bits, 0] += 1
            table[bits, table[bits, 0]] = group[0]
            for one in group:
                near = [i for i in open_ones if max(abs(a - b) for a, b in zip(_RING[one], _RING[i], strict=True)) == 1]
                group += near
                open_ones = [i for i in open_ones if i not in near]
    return table


_GROUPS = _groups()


@njit(cache=True, nogil=True)
def _root(parent: np.ndarray, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _mark_small_nodes(
    depth: np.ndarray, order: np.ndarray, around: np.ndarray, groups: np.ndarray, min_area: int, keep: np.ndarray
) -> None:
    height, width = depth.shape
    stride = width + 2
    parent = np.empty((height + 2) * stride, np.int32)
    area, deepest = np.empty_like(parent), np.empty_like(parent)
    done = np.zeros(parent.size, np.uint8)
    begin = 0
    while begin < len(order):
        now = depth[order[begin] // stride - 1, order[begin] % stride - 1]
        end = begin
        while end < len(order):
            i = order[end]
            if depth[i // stride - 1, i % stride - 1] != now:
                break
            bits = np.int64(0)
            for side in range(8):
                bits |= np.int64(done[i + around[side]]) << side
            done[i] = 1
            # neighbours that touch each other are joined already: one of each group is enough
            if groups[bits, 0] == 0:
                parent[i], area[i], deepest[i] = i, 1, now
            else:
                here = _root(parent, i + around[groups[bits, 1]])
                parent[i] = here
                area[here] += 1
                for g in range(2, groups[bits, 0] + 1):
                    there = _root(parent, i + around[groups[bits, g]])
                    if there != here:
                        if area[there] > area[here]:
                            here, there = there, here
                        parent[there] = here
                        area[here] += area[there]
                        deepest[here] = max(deepest[here], deepest[there])
            end += 1
        for n in range(begin, end):
            root = _root(parent, order[n])
            if area[root] <= min_area or deepest[root] == now:
                keep[order[n] // stride - 1, order[n] % stride - 1] = True
        begin = int(end)
