"""What a screen needs of an array: the visible window as bytes, outlines as one curve, colours by look-up.

Nothing here draws. A view asks for a `Window` of what is visible and gets small arrays that are cheap to send.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from segapp.core.checks import check_labels, check_table_of_ids
from segapp.core.types import InputError

MAX_PX = 512
"""Longest side of a window that is sent to a screen."""

PERCENTILES = (0.5, 99.7)
"""Share of the pixels, in percent, below which a stretch is black and above which it is white."""


@dataclass(frozen=True)
class Window:
    """The part of an array that is visible, and how many pixels it is shown with.

    Parameters
    ----------
    x0, y0, x1, y1 : int
        Half-open bounds in array pixels: columns ``x0:x1``, rows ``y0:y1``.
    width, height : int
        Pixels that are sent for it; never more than the array has there.

    Examples
    --------
    >>> Window.visible((1000, 2000), (0, 0, 2000, 1000), (800, 400))
    Window(x0=0, y0=0, x1=2000, y1=1000, width=512, height=256)
    >>> Window.visible((1000, 2000), (100.5, 90.2, 150, 120), (800, 400))
    Window(x0=100, y0=90, x1=150, y1=120, width=50, height=30)
    """

    x0: int
    y0: int
    x1: int
    y1: int
    width: int
    height: int

    @classmethod
    def visible(
        cls,
        shape: tuple[int, int],
        view: tuple[float, float, float, float],
        screen: tuple[float, float],
        max_px: int = MAX_PX,
    ) -> Window:
        """Return the window of an array of `shape` for a `view`.

        Parameters
        ----------
        shape : (height, width)
            Of the array, in px.
        view : (x0, y0, x1, y1)
            What the screen shows, in array px; it may reach beyond the array.
        screen : (width, height)
            Device pixels that show `view`.
        max_px : int
            Longest side of what is sent.

        Returns
        -------
        Window
            Clipped to the array; at least one pixel, also where `view` misses the array.
        """
        height, width = shape
        vx0, vx1 = sorted((view[0], view[2]))
        vy0, vy1 = sorted((view[1], view[3]))
        x0 = min(max(int(np.floor(vx0)), 0), width - 1)
        y0 = min(max(int(np.floor(vy0)), 0), height - 1)
        x1 = min(max(int(np.ceil(vx1)), x0 + 1), width)
        y1 = min(max(int(np.ceil(vy1)), y0 + 1), height)
        # one pixel sent per pixel lit: more only costs time on its way
        scale = min(
            screen[0] / max(vx1 - vx0, 1e-9),
            screen[1] / max(vy1 - vy0, 1e-9),
            max_px / (x1 - x0),
            max_px / (y1 - y0),
            1.0,
        )
        return cls(x0, y0, x1, y1, max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels sent, as OpenCV wants it."""
        return self.width, self.height


def stretch(image: np.ndarray, low: float = PERCENTILES[0], high: float = PERCENTILES[1]) -> tuple[float, float]:
    """Return the values shown black and white, from percentiles of a regular sample of the pixels.

    Parameters
    ----------
    image : (H, W) array
        Any numeric type.
    low, high : float
        Percentiles.

    Returns
    -------
    black, white : float
        ``white > black`` always: a constant image gives ``(value, value + 1)``.

    Examples
    --------
    >>> stretch(np.zeros((4, 4)))
    (0.0, 1.0)
    """
    step = max(1, int(np.sqrt(image.size / 65536)))
    sample = image[::step, ::step]
    if sample.dtype == bool:
        return 0.0, 1.0
    if sample.dtype.kind == "f" and not (np.isfinite(image.max()) and np.isfinite(image.min())):
        image = sample = sample[np.isfinite(sample)]
        if not sample.size:
            return 0.0, 1.0
    sample = sample.astype(np.float64) / 4  # percentiles take differences, and that of the widest range is infinite
    black, white = (4 * float(value) for value in np.percentile(sample, (low, high)))
    if white <= black:  # sparse counts: more than 99 % zeros
        white = float(image.max())
    return (black, white) if white > black else (black, max(black + 1.0, float(np.nextafter(black, np.inf))))


def window_image(image: np.ndarray, window: Window, *, black: float, white: float, gamma: float) -> np.ndarray:
    """Cut a window out of an image and scale it to bytes.

    Parameters
    ----------
    image : (H, W) array
        Any numeric type or bool.
    window : Window
        What to show.
    black, white : float
        Values that become 0 and 255; outside is clipped.
    gamma : float
        Exponent of the brightness: below 1 lifts the dark parts.

    Returns
    -------
    (window.height, window.width) uint8
        Means over the pixels that fall together.

    Examples
    --------
    >>> window_image(np.eye(2), Window(0, 0, 2, 2, 2, 2), black=0, white=1, gamma=1)
    array([[255,   0],
           [  0, 255]], dtype=uint8)
    """
    _check_2d(image)
    part = image[window.y0 : window.y1, window.x0 : window.x1]
    if part.dtype not in (np.uint8, np.uint16, np.float32):
        part = part.astype(np.float32)
    if part.shape != (window.height, window.width):
        part = cv2.resize(part, window.size, interpolation=cv2.INTER_AREA)
    # in row order: a transposed image is no place for OpenCV to write to
    scaled = (part.astype(np.float32, order="C") - np.float32(black)) * np.float32(1 / (white - black))
    np.clip(scaled, 0, 1, out=scaled)
    if gamma != 1:
        cv2.pow(scaled, gamma, dst=scaled)
    return (scaled * 255 + 0.5).astype(np.uint8)


def window_labels(labels: np.ndarray, window: Window) -> np.ndarray:
    """Cut a window out of a label image; the pixel nearest to each centre stands for those that fall together.

    Parameters
    ----------
    labels : (H, W) int array
    window : Window

    Returns
    -------
    (window.height, window.width) int32

    Examples
    --------
    >>> window_labels(np.arange(16).reshape(4, 4), Window(0, 0, 4, 4, 2, 2))
    array([[ 5,  7],
           [13, 15]], dtype=int32)
    """
    _check_2d(labels)
    rows = window.y0 + ((np.arange(window.height) + 0.5) * ((window.y1 - window.y0) / window.height)).astype(np.intp)
    cols = window.x0 + ((np.arange(window.width) + 0.5) * ((window.x1 - window.x0) / window.width)).astype(np.intp)
    return labels[np.ix_(rows, cols)].astype(np.int32, copy=False)


def contours(labels: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Trace the outlines of all labels in a window as one curve with gaps.

    Parameters
    ----------
    labels : (window.height, window.width) int32
        From `window_labels`; 0 is background.
    window : Window
        Where they are.

    Returns
    -------
    x, y : (N,) float32
        Array px, pixel edges at whole numbers; NaN ends each outline. Corners are cut at the middle of the pixel
        edges, so that outlines of round cells look round. Parts of a label that touch only at corners are
        separate outlines, holes are outlines too.

    Examples
    --------
    >>> x, y = contours(np.array([[0, 0, 0], [0, 7, 0], [0, 0, 0]], np.int32), Window(0, 0, 3, 3, 3, 3))
    >>> [(float(a), float(b)) for a, b in zip(x[:-1], y[:-1])]
    [(1.5, 1.0), (2.0, 1.5), (1.5, 2.0), (1.0, 1.5), (1.5, 1.0)]
    """
    _check_2d(labels)
    points = _trace(np.ascontiguousarray(labels, dtype=np.int32))
    points *= np.array(
        [(window.x1 - window.x0) / labels.shape[1], (window.y1 - window.y0) / labels.shape[0]], np.float32
    )
    points += np.array([window.x0, window.y0], np.float32)
    return np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])


def colour_ids(labels: np.ndarray) -> np.ndarray:
    """Return a colour index for every label, far apart for ids that are near.

    Parameters
    ----------
    labels : int array

    Returns
    -------
    uint8 array of the same shape
        0 for background, else 1 to 255; a label keeps its colour whatever else is in the image.

    Examples
    --------
    >>> colour_ids(np.array([0, 1, 2, 256]))
    array([  0, 159,  62, 159], dtype=uint8)
    """
    # 158 and 255 have no common divisor: 255 neighbours in a row have 255 different colours
    index = (labels.astype(np.int64) * 158) % 255 + 1
    return np.where(labels == 0, 0, index).astype(np.uint8)


def colour_bins(bins: np.ndarray, last: int) -> np.ndarray:
    """Return a colour index for every density bin, evenly spread from 1 for the first to 255 for the last.

    Examples
    --------
    >>> colour_bins(np.array([0, 1, 2, 3]), 3)
    array([  0,   1, 128, 255], dtype=uint8)
    """
    index = 1 + (bins - 1) * (254 / max(last - 1, 1))
    return np.where(bins == 0, 0, np.clip(index, 1, 255)).astype(np.uint8)


def count_labels(labels: np.ndarray) -> int:
    """Return how many labels there are, background apart.

    Examples
    --------
    >>> count_labels(np.array([[0, 3], [3, 9]]))
    2
    """
    return int(np.count_nonzero(label_areas(labels)))


def summary(labels: np.ndarray) -> dict[str, float | int | None]:
    """Return the numbers of a status line.

    Returns
    -------
    dict
        ``n_cells``, and ``median_area`` in px², None where there is no label.

    Examples
    --------
    >>> summary(np.array([[0, 3], [3, 9]]))
    {'n_cells': 2, 'median_area': 1.5}
    """
    areas = label_areas(labels)
    areas = areas[areas > 0]
    return {"n_cells": len(areas), "median_area": float(np.median(areas)) if len(areas) else None}


def label_areas(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of every label id, indexed by id; entry 0 is 0.

    Examples
    --------
    >>> label_areas(np.array([[0, 1], [1, 3]]))
    array([0, 2, 0, 1])
    """
    # counted without holding up the thread that keeps the page alive, as numpy's bincount would
    labels = check_labels(labels, "labels")
    areas = np.zeros(check_table_of_ids(labels, "labels"), np.int64)
    _count(labels.ravel(), areas)
    areas[0] = 0
    return areas


@njit(cache=True, nogil=True)
def _count(labels: np.ndarray, areas: np.ndarray) -> None:  # pragma: no cover - compiled
    """Add the pixels of every label."""
    for i in range(labels.size):
        areas[labels[i]] += 1


@njit(cache=True, nogil=True)
def _trace(labels: np.ndarray) -> np.ndarray:  # pragma: no cover - compiled
    """Walk along the cracks between pixels, the label to the right, and note the middle of each crack."""
    height, width = labels.shape
    seen = np.zeros((height, width), np.bool_)  # top edges that belong to an outline already
    points = np.empty((4096, 2), np.float32)
    n = 0
    dx = (1, 0, -1, 0)  # east, south, west, north
    dy = (0, 1, 0, -1)
    # pixel ahead on the right and on the left of a vertex, by direction of the walk
    right_x, right_y = (0, -1, -1, 0), (0, 0, -1, -1)
    left_x, left_y = (0, 0, -1, -1), (-1, 0, 0, -1)
    for row in range(height):
        for col in range(width):
            label = labels[row, col]
            if label == 0 or seen[row, col] or (row > 0 and labels[row - 1, col] == label):
                continue
            x, y, way, first, last_way, straight = col, row, 0, n, -1, 0
            while True:
                if way == 0:
                    if seen[y, x]:
                        break
                    seen[y, x] = True
                if n + 3 >= len(points):
                    grown = np.empty((2 * len(points), 2), np.float32)
                    grown[:n] = points[:n]
                    points = grown
                # on a straight run only its first and last middle are kept
                straight = straight + 1 if way == last_way else 0
                if straight >= 2:
                    n -= 1
                points[n, 0] = x + 0.5 * dx[way]
                points[n, 1] = y + 0.5 * dy[way]
                n += 1
                last_way = way
                x += dx[way]
                y += dy[way]
                ry, rx = y + right_y[way], x + right_x[way]
                ly, lx = y + left_y[way], x + left_x[way]
                if not (0 <= ry < height and 0 <= rx < width and labels[ry, rx] == label):
                    way = (way + 1) % 4
                elif 0 <= ly < height and 0 <= lx < width and labels[ly, lx] == label:
                    way = (way + 3) % 4
            points[n] = points[first]
            points[n + 1] = np.nan
            n += 2
    return points[:n].copy()


def warm() -> None:
    """Compile what is compiled, so that the first outline is as fast as the next."""
    contours(np.ones((2, 2), np.int32), Window(0, 0, 2, 2, 2, 2))


def _check_2d(image: np.ndarray) -> None:
    if image.ndim != 2:
        raise InputError(f"an image of shape {image.shape} cannot be shown; give one channel of it, (rows, columns)")
