"""Spatially constrained Ward clustering on a grid: only neighbouring squares may join."""

from __future__ import annotations

import numpy as np
from numba import njit

from segapp.core.checks import check_image
from segapp.core.types import InputError, Tick, no_tick

STEP = 20000
"""Merges between two reports of progress."""


def ward_tree(image: np.ndarray, tick: Tick = no_tick) -> tuple[np.ndarray, np.ndarray]:
    """Join the pixels of an image one pair at a time, the pair whose union spreads least first.

    Parameters
    ----------
    image : (H, W) array of any integer or float dtype
        Values to cluster; a pixel touches its 4 neighbours.
    tick : Tick
        Called every 20,000 merges.

    Returns
    -------
    children : (H * W - 1, 2) int32
        The two nodes of every merge. Nodes below H * W are pixels in row order, node H * W + i is merge i.
    heights : (H * W - 1,) float64
        Ward distance of every merge: ``sqrt(2 n m / (n + m)) |mean - mean'|``. They need not ascend, since a merge can
        make neighbours of clusters that were not.

    Raises
    ------
    InputError
        When `image` is not finite and 2-D, or has more than 2**30 pixels.

    Notes
    -----
    Equal distances are resolved by the larger, then the smaller node number, as scikit-learn does; tree and heights are
    those of its ``ward_tree`` with the grid as connectivity.

    References
    ----------
    Ward, "Hierarchical grouping to optimize an objective function", Journal of the American Statistical Association
    58:236-244, 1963.

    Examples
    --------
    >>> import numpy as np
    >>> children, heights = ward_tree(np.array([[0.0, 0.0, 4.0]]))
    >>> children.tolist(), heights.round(3).tolist()
    ([[1, 0], [3, 2]], [0.0, 4.619])
    """
    array = check_image(image, "image")
    if array.size > 2**30:
        raise InputError(f"the image has {array.size:,} pixels, too many to cluster; raise density.binsize")
    n = array.size
    state = _start(np.ascontiguousarray(array, np.float64))
    children, heights = np.zeros((n - 1, 2), np.int32), np.zeros(n - 1)
    for first in range(0, n - 1, STEP):
        tick(first, n - 1)
        last = min(first + STEP, n - 1)
        state = _join(n, first, last, children, heights, *state)
    return children, heights


def cut_tree(children: np.ndarray, shape: tuple[int, int], n_clusters: int) -> np.ndarray:
    """Return the clusters that are left when merging stops at `n_clusters`.

    Parameters
    ----------
    children : (H * W - 1, 2) int32
        As `ward_tree` gives them.
    shape : (int, int)
        Height and width of the image.
    n_clusters : int
        From 1 to H * W.

    Returns
    -------
    labels : (H, W) int32
        Clusters 1, 2, ... in the order of their first pixel.

    Examples
    --------
    >>> import numpy as np
    >>> cut_tree(ward_tree(np.array([[0.0, 0.0, 4.0]]))[0], (1, 3), 2)
    array([[1, 1, 2]], dtype=int32)
    """
    n = shape[0] * shape[1]
    if not 1 <= n_clusters <= n:
        raise InputError(f"n_clusters={n_clusters} is out of range: {n} squares make from 1 to {n} clusters")
    return _cut(children, n, n - n_clusters).reshape(shape)


def warm() -> None:
    """Compile the kernels of this module."""
    cut_tree(ward_tree(np.arange(4.0).reshape(2, 2))[0], (2, 2), 2)


@njit(cache=True, nogil=True)
def _before(a: float, i: int, j: int, b: float, k: int, m: int) -> bool:
    return a < b or (a == b and (i < k or (i == k and j < m)))


@njit(cache=True, nogil=True)
def _sift_up(keys: np.ndarray, nodes: np.ndarray, at: int) -> None:
    key, i, j = keys[at], nodes[at, 0], nodes[at, 1]
    while at > 0:
        up = (at - 1) >> 1
        if not _before(key, i, j, keys[up], nodes[up, 0], nodes[up, 1]):
            break
        keys[at], nodes[at, 0], nodes[at, 1] = keys[up], nodes[up, 0], nodes[up, 1]
        at = up
    keys[at], nodes[at, 0], nodes[at, 1] = key, i, j


@njit(cache=True, nogil=True)
def _sift_down(keys: np.ndarray, nodes: np.ndarray, at: int, size: int) -> None:
    key, i, j = keys[at], nodes[at, 0], nodes[at, 1]
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        other = down + 1
        if other < size and _before(
            keys[other], nodes[other, 0], nodes[other, 1], keys[down], nodes[down, 0], nodes[down, 1]
        ):
            down = other
        if not _before(keys[down], nodes[down, 0], nodes[down, 1], key, i, j):
            break
        keys[at], nodes[at, 0], nodes[at, 1] = keys[down], nodes[down, 0], nodes[down, 1]
        at = down
    keys[at], nodes[at, 0], nodes[at, 1] = key, i, j


@njit(cache=True, nogil=True)
def _inertia(n: np.ndarray, total: np.ndarray, i: int, j: int) -> float:
    gap = total[i] / n[i] - total[j] / n[j]
    return gap * gap * (n[i] * n[j]) / (n[i] + n[j])


@njit(cache=True, nogil=True)
def _root(parent: np.ndarray, node: int) -> int:
    root = node
    while parent[root] != root:
        root = parent[root]
    while parent[node] != root:
        parent[node], node = root, parent[node]
    return root


@njit(cache=True, nogil=True)
def _start(image: np.ndarray) -> tuple:
    height, width = image.shape
    n = height * width
    count, total = np.ones(2 * n), np.zeros(2 * n)
    total[:n] = image.ravel()
    # neighbours of a node: a chain through `entry` (the neighbour) and `after`; chains are joined, never copied
    head, entry, after = np.full(2 * n, -1, np.int64), np.zeros(4 * n, np.int32), np.full(4 * n, -1, np.int64)
    keys, nodes = np.zeros(4 * n + 16), np.zeros((4 * n + 16, 2), np.int32)
    size = slot = 0
    for node in range(n):
        row, column = node // width, node % width
        for k in range(4):
            r, c = row + (k == 0) - (k == 1), column + (k == 2) - (k == 3)
            if r < 0 or r >= height or c < 0 or c >= width:
                continue
            other = r * width + c
            entry[slot], after[slot] = other, head[node]
            head[node] = slot
            slot += 1
            if other < node:
                keys[size], nodes[size, 0], nodes[size, 1] = _inertia(count, total, node, other), node, other
                size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sift_down(keys, nodes, at, size)
    parent = np.arange(2 * n).astype(np.int32)
    seen = np.full(2 * n, -1, np.int32)
    return count, total, head, entry, after, keys, nodes, size, parent, seen


@njit(cache=True, nogil=True)
def _join(
    n: int,
    first: int,
    last: int,
    children: np.ndarray,
    heights: np.ndarray,
    count: np.ndarray,
    total: np.ndarray,
    head: np.ndarray,
    entry: np.ndarray,
    after: np.ndarray,
    keys: np.ndarray,
    nodes: np.ndarray,
    size: int,
    parent: np.ndarray,
    seen: np.ndarray,
) -> tuple:
    for merge in range(first, last):
        new = n + merge
        while True:
            key, i, j = keys[0], nodes[0, 0], nodes[0, 1]
            size -= 1
            keys[0], nodes[0, 0], nodes[0, 1] = keys[size], nodes[size, 0], nodes[size, 1]
            _sift_down(keys, nodes, 0, size)
            if parent[i] == i and parent[j] == j:
                break
        parent[i] = parent[j] = new
        children[merge, 0], children[merge, 1] = i, j
        heights[merge] = np.sqrt(2.0 * key)
        count[new], total[new] = count[i] + count[j], total[i] + total[j]
        seen[new] = new
        kept = -1
        for old in (i, j):
            slot = head[old]
            while slot >= 0:
                following = after[slot]
                other = _root(parent, entry[slot])
                if seen[other] != new:
                    seen[other] = new
                    entry[slot], after[slot] = other, kept
                    kept = slot
                    if size == len(keys):
                        keys, nodes, size = _make_room(keys, nodes, size, parent)
                    keys[size], nodes[size, 0], nodes[size, 1] = _inertia(count, total, new, other), new, other
                    _sift_up(keys, nodes, size)
                    size += 1
                slot = following
        head[new] = kept
    return count, total, head, entry, after, keys, nodes, size, parent, seen


@njit(cache=True, nogil=True)
def _make_room(keys: np.ndarray, nodes: np.ndarray, size: int, parent: np.ndarray) -> tuple:
    """Forget pairs of which one is gone; grow where that does not free half."""
    kept = 0
    for at in range(size):
        if parent[nodes[at, 0]] == nodes[at, 0] and parent[nodes[at, 1]] == nodes[at, 1]:
            keys[kept], nodes[kept, 0], nodes[kept, 1] = keys[at], nodes[at, 0], nodes[at, 1]
            kept += 1
    for at in range(kept // 2 - 1, -1, -1):
        _sift_down(keys, nodes, at, kept)
    if kept > len(keys) // 2:
        more_keys, more_nodes = np.zeros(2 * len(keys)), np.zeros((2 * len(keys), 2), np.int32)
        more_keys[:kept], more_nodes[:kept] = keys[:kept], nodes[:kept]
        return more_keys, more_nodes, kept
    return keys, nodes, kept


@njit(cache=True, nogil=True)
def _cut(children: np.ndarray, n: int, merges: int) -> np.ndarray:
    parent = np.arange(n + merges).astype(np.int32)
    for merge in range(merges):
        parent[children[merge, 0]] = parent[children[merge, 1]] = n + merge
    # a parent has a higher number than its children: from the top down, each takes the root of its parent
    for node in range(n + merges - 1, -1, -1):
        parent[node] = parent[parent[node]]
    ids, labels, used = np.zeros(n + merges, np.int32), np.zeros(n, np.int32), 0
    for pixel in range(n):
        root = parent[pixel]
        if ids[root] == 0:
            used += 1
            ids[root] = used
        labels[pixel] = ids[root]
    return labels
