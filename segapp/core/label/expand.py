"""Grow labels step by step, to a distance and an area that are never exceeded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core.checks import check_labels, check_mask, check_same_shape, frozen
from segapp.core.label.overlap import contiguous, fits_table, label_ids
from segapp.core.types import InputError, Tick, no_tick

_OUTSIDE, _QUEUED = np.int32(-1), np.int32(-2)


@dataclass(frozen=True, eq=False)
class Growth:
    """Labels after they have grown, and what of the mask they did not reach.

    Parameters
    ----------
    labels : (H, W) int32
        Labels, 0 is background.
    too_far : int
        Pixels of the mask without a label that are farther than the distance from every label there was.
    too_large : int
        Pixels of the mask without a label within reach, whose labels had no room left.
    """

    labels: np.ndarray
    too_far: int
    too_large: int


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
    return grow(labels, distance=distance, max_area=max_area, mask=mask, tick=tick).labels


def grow(
    labels: np.ndarray,
    *,
    distance: int,
    max_area: float,
    mask: np.ndarray | None = None,
    tick: Tick = no_tick,
) -> Growth:
    """Grow labels as `expand` does, and count what of the mask is left without a label, by reason.

    Parameters
    ----------
    labels, distance, max_area, mask, tick
        As for `expand`.

    Returns
    -------
    Growth

    Raises
    ------
    InputError
        As `expand`.

    Examples
    --------
    >>> grown = grow(np.array([[1, 0, 0, 0, 0]]), distance=3, max_area=2)
    >>> grown.labels.tolist(), grown.too_far, grown.too_large
    ([[1, 1, 0, 0, 0]], 1, 2)
    """
    labels = check_labels(labels, "labels")
    inside = np.ones(labels.shape, bool) if mask is None else check_mask(mask, "mask")
    check_same_shape({"labels": labels, "mask": inside})
    if distance < 0 or max_area < 0:
        raise InputError(
            f"distance={distance} and max_area={max_area} cannot be used; both are 0 or more, 0 grows nothing."
        )
    if int(labels.max()) > labels.size and not fits_table(labels):
        # the table of areas is as long as the largest id; there are no more ids than pixels
        ids = np.concatenate([np.zeros(1, np.int32), label_ids(labels)])
        found = grow(contiguous(labels), distance=distance, max_area=max_area, mask=inside, tick=tick)
        return Growth(ids[found.labels], found.too_far, found.too_large)

    height, width = labels.shape
    stride = width + 2
    cap = labels.size if math.isinf(max_area) else int(max_area)
    # one array says all of a pixel: its label, or 0 where one may come; a rim of one px spares the checks for a border
    state, free = np.empty((height + 2, stride), np.int32), np.zeros((height + 2, stride), np.bool_)
    state[[0, -1]] = state[:, [0, -1]] = _OUTSIDE
    rows = by_bands(lambda first, last: _begin(frozen(labels), frozen(inside), state, free, first, last), labels.shape)
    front, ids, pixels = (np.concatenate(column) for column in zip(*(row[:3] for row in rows), strict=True))
    left = n_free = sum(row[3] for row in rows)
    area = np.bincount(ids, weights=pixels, minlength=1).astype(np.int64)
    within = front
    for step in range(distance):
        if not len(front):
            break
        front, taken = _step(state.ravel(), np.sort(front), area, cap, stride)
        left -= taken
        tick(step + 1, distance)
    grown = np.empty(labels.shape, np.int32)
    by_bands(lambda first, last: _end(state, grown, first, last), labels.shape)
    too_far = n_free - _count_within(free.ravel(), within, distance, stride) if left else 0
    return Growth(grown, too_far, left - too_far)


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    labels = np.array([[1, 0, 0]], np.int32)
    grow(labels, distance=1, max_area=2)


@njit(cache=True, nogil=True)
def _begin(
    labels: np.ndarray, mask: np.ndarray, state: np.ndarray, free: np.ndarray, first: int, last: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Fill rows of `state` and `free`; return the free pixels beside a label, runs of labels, number of free pixels."""
    height, width = labels.shape
    stride = width + 2
    front = np.empty((last - first) * width, np.int32)
    ids, pixels = np.empty_like(front), np.empty_like(front)
    n, runs, left = 0, 0, 0
    for y in range(first, last):
        before = np.int32(0)
        for x in range(width):
            label = labels[y, x]
            if label > 0:
                state[y + 1, x + 1] = label
                if label != before:
                    ids[runs], pixels[runs] = label, 0
                    runs += 1
                pixels[runs - 1] += 1
            elif mask[y, x]:
                state[y + 1, x + 1] = 0
                free[y + 1, x + 1] = True
                left += 1
                if (
                    (y > 0 and labels[y - 1, x] > 0)
                    or (x > 0 and labels[y, x - 1] > 0)
                    or (x + 1 < width and labels[y, x + 1] > 0)
                    or (y + 1 < height and labels[y + 1, x] > 0)
                ):
                    front[n] = (y + 1) * stride + x + 1
                    n += 1
            else:
                state[y + 1, x + 1] = _OUTSIDE
            before = label
    return front[:n].copy(), ids[:runs].copy(), pixels[:runs].copy(), left


@njit(cache=True, nogil=True)
def _step(state: np.ndarray, front: np.ndarray, area: np.ndarray, cap: int, stride: int) -> tuple[np.ndarray, int]:
    """Give the pixels of the front their labels; return the pixels of the next front, and how many took a label."""
    chosen = np.zeros(len(front), np.int32)
    around = (-stride, -1, 1, stride)
    for n in range(len(front)):
        best = np.int32(0)
        for step in around:
            label = state[front[n] + step]
            if label > 0 and area[label] < cap and (best == 0 or label < best):
                best = label
        if best > 0:
            chosen[n] = best
            area[best] += 1
    # written after all have chosen: a label grows one px a step
    taken = 0
    for n in range(len(front)):
        state[front[n]] = chosen[n]
        taken += chosen[n] > 0
    following = np.empty(3 * taken, np.int32)
    m = 0
    for n in range(len(front)):
        if chosen[n] == 0 or area[chosen[n]] >= cap:
            continue
        for step in around:
            i = front[n] + step
            if state[i] == 0:
                state[i] = _QUEUED
                following[m] = i
                m += 1
    return following[:m], taken


@njit(cache=True, nogil=True)
def _end(state: np.ndarray, grown: np.ndarray, first: int, last: int) -> None:
    for y in range(first, last):
        for x in range(grown.shape[1]):
            grown[y, x] = max(state[y + 1, x + 1], np.int32(0))


@njit(cache=True, nogil=True)
def _count_within(free: np.ndarray, front: np.ndarray, distance: int, stride: int) -> int:
    """Count the free pixels that labels without a limit reach in `distance` steps; `front` is what one step reaches."""
    for i in front:
        free[i] = False
    here = front
    n = 0
    for _ in range(distance):
        if len(here) == 0:
            break
        n += len(here)
        following = np.empty(3 * len(here), np.int32)
        m = 0
        for j in here:
            for step in (-stride, -1, 1, stride):
                if free[j + step]:
                    free[j + step] = False
                    following[m] = j + step
                    m += 1
        here = following[:m]
    return n
