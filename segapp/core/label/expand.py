"""Grow labels step by step, to a distance and an area that are never exceeded."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from segapp.core.checks import check_labels, check_mask, check_same_shape, frozen
from segapp.core.label.overlap import contiguous, label_ids
from segapp.core.types import InputError, Tick, no_tick


def expand(
    labels: np.ndarray,
    *,
    distance: int,
    max_area: float,
    mask: np.ndarray | None = None,
    tick: Tick = no_tick,
) -> np.ndarray:
    """Grow every label by `distance` steps into the free pixels of the mask.

    Parameters
    ----------
    labels : (H, W) integer array
        Labels, 0 is background. Labels outside the mask stay, and may grow into it.
    distance : int
        Number of steps in px; a step adds the free pixels beside, above and below. 0 changes nothing.
    max_area : float
        Largest area in px to grow to, exact; a label that is larger already stays as it is. ``math.inf`` is no limit.
    mask : (H, W) bool array, optional
        Where labels may grow; everywhere without it.
    tick : Tick
        Called after every step.

    Returns
    -------
    (H, W) int32
        New array.

    Raises
    ------
    InputError
        When an array is not what is needed, shapes differ, or `distance` is negative.

    Notes
    -----
    Tie rule: within one step pixels are visited row by row, and a pixel takes the smallest id among those
    neighbours, labelled before the step, whose label still has room. Labels that meet therefore touch; no seam of
    free pixels is left between them.

    Examples
    --------
    >>> expand(np.array([[0, 1, 0, 0, 0, 2, 0]]), distance=2, max_area=400).tolist()
    [[1, 1, 1, 1, 2, 2, 2]]
    >>> expand(np.array([[0, 1, 0, 0, 0, 2, 0]]), distance=2, max_area=2).tolist()
    [[1, 1, 0, 0, 2, 2, 0]]
    """
    labels = check_labels(labels, "labels")
    inside = np.ones(labels.shape, bool) if mask is None else check_mask(mask, "mask")
    check_same_shape({"labels": labels, "mask": inside})
    if distance < 0 or max_area < 0:
        raise InputError(
            f"distance={distance} and max_area={max_area} cannot be used; both are 0 or more, 0 grows nothing."
        )
    if int(labels.max()) > 4 * labels.size + 1024:
        # the table of areas is as long as the largest id
        ids = np.concatenate([np.zeros(1, np.int32), label_ids(labels)])
        return ids[expand(contiguous(labels), distance=distance, max_area=max_area, mask=inside, tick=tick)]

    grown = labels.copy()
    area = np.bincount(grown.ravel()).astype(np.int64)
    cap = grown.size if math.isinf(max_area) else int(max_area)
    queued = np.zeros(grown.size, bool)
    front = _first_front(grown, inside)
    for step in range(distance):
        if not len(front):
            break
        front = _step(grown, inside, np.sort(front), area, cap, queued)
        tick(step + 1, distance)
    return grown


def count_unassigned(labels: np.ndarray, grown: np.ndarray, mask: np.ndarray, *, distance: int) -> tuple[int, int]:
    """Count the mask pixels that `expand` left without a label, by reason.

    Parameters
    ----------
    labels, grown : (H, W) integer arrays
        Labels before and after the growth.
    mask : (H, W) bool array
        Where labels could grow.
    distance : int
        Number of steps they grew.

    Returns
    -------
    too_far, too_large : int
        Pixels of the mask farther than `distance` steps from every label, and pixels within reach whose labels had
        no room left.

    Examples
    --------
    >>> labels = np.array([[1, 0, 0, 0, 0]])
    >>> mask = np.ones((1, 5), bool)
    >>> count_unassigned(labels, expand(labels, distance=3, max_area=2, mask=mask), mask, distance=3)
    (1, 2)
    """
    mask = check_mask(mask, "mask")
    labels, grown = frozen(check_labels(labels, "labels")), frozen(check_labels(grown, "grown"))
    check_same_shape({"labels": labels, "grown": grown, "mask": mask})
    free, too_far = _count_free(labels, grown, frozen(mask), distance)
    return too_far, free - too_far


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    labels = np.array([[1, 0, 0]], np.int32)
    count_unassigned(labels, expand(labels, distance=1, max_area=2), labels == 0, distance=1)


@njit(cache=True, nogil=True)
def _count_free(labels: np.ndarray, grown: np.ndarray, mask: np.ndarray, distance: int) -> tuple[int, int]:
    """Count the pixels of the mask without a label, and those of them that no label reaches in `distance` steps."""
    height, width = labels.shape
    stride = width + 2  # a rim around the image: no neighbour has to be checked for the border
    to_go = np.zeros((height + 2) * stride, np.bool_)
    here, following = np.empty(labels.size, np.int32), np.empty(labels.size, np.int32)
    free = 0
    for y in range(height):
        for x in range(width):
            to_go[(y + 1) * stride + x + 1] = mask[y, x] and labels[y, x] == 0
            free += mask[y, x] and grown[y, x] == 0
    if free == 0:
        return 0, 0
    n = 0
    for y in range(height):
        for x in range(width):
            i = (y + 1) * stride + x + 1
            if labels[y, x] > 0 and (to_go[i - 1] or to_go[i + 1] or to_go[i - stride] or to_go[i + stride]):
                here[n] = i
                n += 1
    for _ in range(distance):
        m = 0
        for j in range(n):
            for step in (-stride, -1, 1, stride):
                i = here[j] + step
                if to_go[i]:
                    to_go[i] = False
                    following[m] = i
                    m += 1
        here, following, n = following, here, m
    too_far = 0
    for y in range(height):
        for x in range(width):
            too_far += to_go[(y + 1) * stride + x + 1] and grown[y, x] == 0
    return free, too_far


@njit(cache=True, nogil=True)
def _first_front(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    height, width = labels.shape
    front = np.empty(labels.size, np.int64)
    n = 0
    for i in range(height):
        for j in range(width):
            if labels[i, j] == 0 and mask[i, j]:
                beside = (
                    (i > 0 and labels[i - 1, j] > 0)
                    or (j > 0 and labels[i, j - 1] > 0)
                    or (j + 1 < width and labels[i, j + 1] > 0)
                    or (i + 1 < height and labels[i + 1, j] > 0)
                )
                if beside:
                    front[n] = i * width + j
                    n += 1
    return front[:n].copy()


@njit(cache=True, nogil=True)
def _step(
    labels: np.ndarray, mask: np.ndarray, front: np.ndarray, area: np.ndarray, cap: int, queued: np.ndarray
) -> np.ndarray:
    height, width = labels.shape
    chosen = np.zeros(len(front), np.int32)
    for n in range(len(front)):
        i, j = front[n] // width, front[n] % width
        best = np.int32(0)
        for side in range(4):
            y = i + (-1, 0, 0, 1)[side]
            x = j + (0, -1, 1, 0)[side]
            if 0 <= y < height and 0 <= x < width:
                label = labels[y, x]
                if label > 0 and area[label] < cap and (best == 0 or label < best):
                    best = label
        if best > 0:
            chosen[n] = best
            area[best] += 1
    # written after all have chosen: a label grows one px a step
    for n in range(len(front)):
        if chosen[n] > 0:
            labels[front[n] // width, front[n] % width] = chosen[n]
    following = np.empty(4 * len(front), np.int64)
    m = 0
    for n in range(len(front)):
        if chosen[n] == 0 or area[chosen[n]] >= cap:
            continue
        i, j = front[n] // width, front[n] % width
        for side in range(4):
            y = i + (-1, 0, 0, 1)[side]
            x = j + (0, -1, 1, 0)[side]
            if 0 <= y < height and 0 <= x < width and labels[y, x] == 0 and mask[y, x]:
                pixel = y * width + x
                if not queued[pixel]:
                    queued[pixel] = True
                    following[m] = pixel
                    m += 1
    for n in range(m):
        queued[following[n]] = False
    return following[:m].copy()
