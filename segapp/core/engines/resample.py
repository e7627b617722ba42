"""Sizes of an image for a network, so that a window of an image is resized exactly as the whole was."""

from __future__ import annotations

import numpy as np
from numba import njit

from segapp.core._bands import by_bands

STEPS = 16
"""Scales are multiples of 1/16: windows that start at multiples of 16 px then meet the same pixels."""


def sixteenths(scale: float) -> int:
    """Return a scale in sixteenths, 1 at least.

    Examples
    --------
    >>> sixteenths(1.13), sixteenths(0.01)
    (18, 1)
    """
    return max(round(scale * STEPS), 1)


def to_sixteenth(scale: float) -> float:
    """Return the nearest scale that is a multiple of 1/16.

    Examples
    --------
    >>> to_sixteenth(1.13)
    1.125
    """
    return sixteenths(scale) / STEPS


def resize(image: np.ndarray, scale: float) -> np.ndarray:
    """Enlarge or shrink an image by a multiple of 1/16.

    Parameters
    ----------
    image : (H, W) array
        Brightness.
    scale : float
        Factor of both sides, taken to the nearest sixteenth; at least one pixel stays.

    Returns
    -------
    (H * scale, W * scale) array
        float32: averaged over areas when smaller, linear when larger. The image itself where the scale is 1.

    Notes
    -----
    Places are whole numbers of fractions of a pixel. A window that starts at multiples of 16 px is resized to the very
    bits of the whole there; resizing by OpenCV rounds by where a pixel lies in the window.

    Examples
    --------
    >>> resize(np.array([[0, 0, 4, 4], [0, 0, 4, 4]], np.uint8), 0.5).tolist()
    [[0.0, 4.0]]
    >>> image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    >>> whole, window = resize(image, 1.3125), resize(image[32:, 32:], 1.3125)
    >>> bool(np.all(whole[43:, 43:] == window[1:, 1:]))  # the first of the window has no neighbour there
    True
    """
    n = sixteenths(scale)
    if n == STEPS:
        return image
    height, width = (max(round(side * n / STEPS), 1) for side in image.shape)
    return _resampled(image, (height, width), n, STEPS)


def restore(image: np.ndarray, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """Bring what was resized back to the size that it had.

    Parameters
    ----------
    image : (h, w) array
        Of `resize`, or what a network answered to that.
    scale : float
        As given to `resize`.
    shape : (int, int)
        Height and width before.

    Returns
    -------
    (H, W) array
        float32, or the image itself where the scale is 1.

    Examples
    --------
    >>> restore(np.array([[1, 3]], np.float32), 0.5, (2, 4)).tolist()
    [[1.0, 1.5, 2.5, 3.0], [1.0, 1.5, 2.5, 3.0]]
    """
    n = sixteenths(scale)
    return image if n == STEPS else _resampled(image, shape, STEPS, n)


def place(steps: np.ndarray, numerator: int, denominator: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the middles of pixels lie in an image that was enlarged or shrunk to them.

    Parameters
    ----------
    steps : array of int
        Pixels of the image of now.
    numerator, denominator : int
        Its scale: its sides over those of the image of before.

    Returns
    -------
    whole : array of int64
        Pixel of the image of before whose middle comes next in front.
    part : array of float64
        How far behind that middle, 0 to 1 px. It depends on nothing but the fraction, not on how far away the corner
        of the image is.

    Examples
    --------
    >>> place(np.array([0, 1, 2]), 2, 1)
    (array([-1,  0,  0]), array([0.75, 0.25, 0.75]))
    """
    whole, rest = np.divmod((2 * np.asarray(steps, np.int64) + 1) * denominator - numerator, 2 * numerator)
    return whole, rest / (2 * numerator)


def warm() -> None:
    """Compile the kernel for the images that stains come as."""
    for dtype in (np.uint8, np.uint16, np.float32):
        resize(np.zeros((2, 2), dtype), 2.0)


def _resampled(image: np.ndarray, shape: tuple[int, int], numerator: int, denominator: int) -> np.ndarray:
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        image = image.astype(np.float32)
    image = np.ascontiguousarray(image)
    rows, by_row = _taps(image.shape[0], shape[0], numerator, denominator)
    columns, by_column = _taps(image.shape[1], shape[1], numerator, denominator)
    made = np.empty(shape, np.float32)

    def work(first: int, last: int) -> None:
        _weigh(image, rows[first:last], by_row[first:last], columns, by_column, made[first:last])

    by_bands(work, made.shape)
    return made


def _taps(side: int, length: int, numerator: int, denominator: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of a side each pixel of the new one is made of, (length, taps) int64, and their shares, float32."""
    new = np.arange(length)
    if numerator >= denominator:
        first, part = place(new, numerator, denominator)
        taps = first[:, None] + np.arange(2)
        shares = np.stack([1 - part, part], axis=1)
    else:
        # in parts of 1 / numerator of an old pixel
        start = new * denominator
        taps = start[:, None] // numerator + np.arange(-(-denominator // numerator) + 1)
        ends = np.minimum((start + denominator)[:, None], (taps + 1) * numerator)
        shares = np.maximum(ends - np.maximum(start[:, None], taps * numerator), 0) / denominator
    return np.clip(taps, 0, side - 1), shares.astype(np.float32)


@njit(cache=True, nogil=True)
def _weigh(
    image: np.ndarray,
    rows: np.ndarray,
    by_row: np.ndarray,
    columns: np.ndarray,
    by_column: np.ndarray,
    made: np.ndarray,
) -> None:
    line = np.empty(image.shape[1], np.float32)
    for i in range(made.shape[0]):
        line[:] = 0
        for k in range(rows.shape[1]):
            share = by_row[i, k]
            # a pixel that lies beyond the image, or has no share, adds nothing
            if share > 0:
                source = image[rows[i, k]]
                for j in range(line.shape[0]):
                    line[j] += share * np.float32(source[j])
        for j in range(made.shape[1]):
            value = np.float32(0)
            for k in range(columns.shape[1]):
                value += by_column[j, k] * line[columns[j, k]]
            made[i, j] = value
