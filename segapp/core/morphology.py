"""Closing, opening and bounded erosion of masks with circles and squares."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

from segapp.core.checks import check_mask, check_odd
from segapp.core.convolve import circle_kernel
from segapp.core.types import Tick, no_tick

# From this diameter on, the exact distance transform beats OpenCV, whose cost grows with the area of the circle.
_BY_DISTANCE = 31

_OUTSIDE = np.uint8(2)
_CHUNK = 2_000_000


def circle_dilate(mask: np.ndarray, k: int) -> np.ndarray:
    """Return where a circle of diameter `k` touches the mask.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask.
    k : int
        Odd diameter in px.

    Returns
    -------
    (H, W) bool array
        Pixels beyond the border count as outside the mask.

    Raises
    ------
    InputError
        When `mask` is not a mask or `k` is even.

    Examples
    --------
    >>> circle_dilate(np.array([[False, False, False, True]]), 3)
    array([[False, False,  True,  True]])
    """
    mask = check_mask(mask, "mask")
    check_odd(k, "k")
    if k >= _BY_DISTANCE:
        return _within(mask, k)
    return cv2.dilate(mask.view(np.uint8), circle_kernel(k)).view(bool)


def circle_erode(mask: np.ndarray, k: int) -> np.ndarray:
    """Return where a circle of diameter `k` fits into the mask.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask.
    k : int
        Odd diameter in px.

    Returns
    -------
    (H, W) bool array
        Pixels beyond the border are ignored: a mask is not eroded from the edge of the image.

    Raises
    ------
    InputError
        When `mask` is not a mask or `k` is even.

    Examples
    --------
    >>> circle_erode(np.array([[True, True, True, False]]), 3)
    array([[ True,  True, False, False]])
    """
    mask = check_mask(mask, "mask")
    check_odd(k, "k")
    if k >= _BY_DISTANCE:
        return ~_within(~mask, k)
    return cv2.erode(mask.view(np.uint8), circle_kernel(k)).view(bool)


def close_open(mask: np.ndarray, mk: int) -> np.ndarray:
    """Close gaps, then open bridges, both with a circle of diameter `mk`.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask.
    mk : int
        Odd diameter in px; 1 changes nothing.

    Returns
    -------
    (H, W) bool array
        Pixels beyond the border are ignored.

    Raises
    ------
    InputError
        When `mask` is not a mask or `mk` is even.

    Examples
    --------
    >>> close_open(np.array([[1, 1, 1, 0, 1, 1, 1]], dtype=bool), 3)
    array([[ True,  True,  True,  True,  True,  True,  True]])
    """
    mask = check_mask(mask, "mask")
    if check_odd(mk, "mk") >= _BY_DISTANCE:
        return circle_dilate(circle_erode(circle_erode(circle_dilate(mask, mk), mk), mk), mk)
    kernel = circle_kernel(mk)
    closed = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, kernel)
    return cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel).view(bool)


def erode_components(
    mask: np.ndarray, *, k: int, square: bool, min_area: int, n_iter: int, tick: Tick = no_tick
) -> np.ndarray:
    """Erode each component again and again until it is small, and never until it is gone.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask; components are 8-connected.
    k : int
        Odd diameter of the eroding kernel in px.
    square : bool
        Erode with a square instead of a circle.
    min_area : int
        A component of at most so many px is not eroded further.
    n_iter : int
        Most erosions of a component; -1 for no limit.
    tick : Tick, optional
        Progress in px.

    Returns
    -------
    (H, W) bool array
        What is left: at least one piece of every component. A component that the next erosion would remove altogether
        is kept as it was before it, and so is one that erosion cannot change (``k=1``, or a mask that fills the
        frame: pixels beyond the border are ignored). So it always ends.

    Raises
    ------
    InputError
        When `mask` is not a mask or `k` is even.

    Examples
    --------
    >>> dumbbell = np.array([[1, 1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1, 1]], dtype=bool)
    >>> erode_components(dumbbell, k=3, square=False, min_area=8, n_iter=-1).astype(int)
    array([[1, 1, 0, 0, 0, 1, 1],
           [1, 1, 1, 0, 1, 1, 1],
           [1, 1, 0, 0, 0, 1, 1]])
    """
    mask = check_mask(mask, "mask")
    r = check_odd(k, "k") // 2
    kernel = np.ones((k, k), np.uint8) if square else circle_kernel(k)
    n_components, components = cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    if n_components == 1:
        return mask.copy()
    # a ring of "beyond the border" lets the kernel look up any neighbour without a test
    pad = max(r, 1)
    alive = np.full((mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad), _OUTSIDE)
    alive[pad:-pad, pad:-pad] = mask
    stride = alive.shape[1]
    rows, columns = np.nonzero(kernel)
    offsets = (rows - r) * stride + (columns - r)
    offsets = offsets[offsets != 0]
    around = np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1])

    inside = np.flatnonzero(mask)
    ids = components.ravel()[inside]
    order = np.argsort(ids, kind="stable")
    pixels = inside[order]
    pixels = (pixels // mask.shape[1] + pad) * stride + pixels % mask.shape[1] + pad
    ends = np.cumsum(np.bincount(ids, minlength=n_components)[1:])
    starts = np.concatenate([[0], ends[:-1]])
    first = 0
    while first < ends.size:
        done = int(starts[first])
        tick(done, pixels.size)
        last = max(int(np.searchsorted(ends, done + _CHUNK, side="right")), first + 1)
        _erode_each(alive.ravel(), pixels, starts[first:last], ends[first:last], offsets, around, min_area, n_iter)
        first = last
    return alive[pad:-pad, pad:-pad] == 1


def warm() -> None:
    """Compile (or load from the cache) every kernel of this module."""
    erode_components(np.ones((5, 5), bool), k=3, square=False, min_area=1, n_iter=-1)


def _within(mask: np.ndarray, k: int) -> np.ndarray:
    """Return which pixels are at most (k - 1) / 2 away from the mask."""
    if not mask.any():
        return np.zeros_like(mask)
    distance = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # squared distances between pixels are whole numbers: the next one above r² is far from r
    r = k // 2
    return distance <= r + 0.25 / (r + 1)


@njit(cache=True, nogil=True)
def _erode_each(
    alive: np.ndarray,
    pixels: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    offsets: np.ndarray,
    around: np.ndarray,
    min_area: int,
    n_iter: int,
) -> None:
    """Erode the components whose pixels are listed one after the other; clear what goes from `alive`.

    A kernel that lies in the mask is connected, so it lies in one component: the others need not be looked at.
    """
    most = 1
    for c in range(starts.size):
        most = max(most, ends[c] - starts[c])
    survives = np.empty(most, np.bool_)
    children = np.empty(most, pixels.dtype)
    stack = np.empty((most + 1, 3), np.int64)
    for c in range(starts.size):
        stack[0, 0], stack[0, 1], stack[0, 2] = starts[c], ends[c], 0
        height = 1
        while height > 0:
            height -= 1
            start, end, step = stack[height, 0], stack[height, 1], stack[height, 2]
            area = end - start
            if area <= min_area or step == n_iter:
                continue
            left = 0
            for i in range(area):
                pixel = pixels[start + i]
                keep = True
                for j in range(offsets.size):
                    if alive[pixel + offsets[j]] == 0:
                        keep = False
                        break
                survives[i] = keep
                left += keep
            if left == 0 or left == area:
                continue
            for i in range(area):
                # 3 marks survivors that no child has claimed yet
                alive[pixels[start + i]] = 3 if survives[i] else 0
            filled = 0
            for i in range(area):
                if not survives[i] or alive[pixels[start + i]] != 3:
                    continue
                child = filled
                children[filled] = pixels[start + i]
                alive[children[filled]] = 1
                filled += 1
                front = child
                while front < filled:
                    for j in range(around.size):
                        neighbour = children[front] + around[j]
                        if alive[neighbour] == 3:
                            alive[neighbour] = 1
                            children[filled] = neighbour
                            filled += 1
                    front += 1
                stack[height, 0], stack[height, 1], stack[height, 2] = start + child, start + filled, step + 1
                height += 1
            for i in range(filled):
                pixels[start + i] = children[i]
