"""Sums over a circle and Gaussian blur, over the whole image or inside each density bin."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numba import njit

from segapp.core import _torch
from segapp.core._bands import by_bands
from segapp.core._seams import seam_pixels, sum_at_seams
from segapp.core._stencil import mirror_101, sum_chords, sum_small
from segapp.core.checks import check_counts, check_image, check_labels, check_odd, check_same_shape, frozen
from segapp.core.device import device
from segapp.core.types import InputError

_SMALL = 3, 5
"""Diameters for which adding every pixel of the circle is faster than running sums."""

_UINT8_MAX = 2**8 - 1
_UINT16_MAX = 2**16 - 1
_UINT32_MAX = 2**32 - 1


def circle_kernel(k: int) -> np.ndarray:
    """Return the circle of diameter `k` as 0 and 1: dx² + dy² <= ((k - 1) / 2)².

    Parameters
    ----------
    k : int
        Odd diameter in px.

    Returns
    -------
    (k, k) uint8 array

    Raises
    ------
    InputError
        When `k` is even or below 1.

    Examples
    --------
    >>> circle_kernel(5)
    array([[0, 0, 1, 0, 0],
           [0, 1, 1, 1, 0],
           [1, 1, 1, 1, 1],
           [0, 1, 1, 1, 0],
           [0, 0, 1, 0, 0]], dtype=uint8)
    """
    radius = (check_odd(k, "k") - 1) // 2
    dy, dx = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (dx * dx + dy * dy <= radius * radius).astype(np.uint8)


def circle_sum(counts: np.ndarray, k: int) -> np.ndarray:
    """Sum counts over a circle of diameter `k` around every pixel, exactly.

    Parameters
    ----------
    counts : (H, W) array of whole numbers
        UMIs a pixel; narrow dtypes are promoted, so that no sum wraps.
    k : int
        Odd diameter in px; 1 returns the counts.

    Returns
    -------
    (H, W) uint32 array
        The border is symmetric: the edge pixel is repeated once, then the image is mirrored.

    Raises
    ------
    InputError
        When `counts` holds negative, fractional or NaN values, when `k` is even, or when a sum exceeds 2**32 - 1.

    Examples
    --------
    >>> circle_sum(np.full((3, 4), 200, np.uint8), 3)
    array([[1000, 1000, 1000, 1000],
           [1000, 1000, 1000, 1000],
           [1000, 1000, 1000, 1000]], dtype=uint32)
    """
    counts = check_counts(counts, "counts")
    if check_odd(k, "k") == 1:
        return counts.copy()
    return _circle_sum(counts, k, np.uint32)


def circle_sum_by_bin(counts: np.ndarray, bins: np.ndarray, k: int) -> np.ndarray:
    """Sum counts over a circle of diameter `k`, each density bin by itself.

    Parameters
    ----------
    counts : (H, W) array of whole numbers
        UMIs a pixel.
    bins : (H, W) array of any integer dtype
        Density bin of every pixel; 0 is background.
    k : int
        Odd diameter in px.

    Returns
    -------
    (H, W) float32 array
        Sum over the pixels of the circle that are in the bin of its centre, times circle area / their number: a flat
        image stays flat across a seam, on the scale of the whole circle. 0 in bin 0. Far from a seam it equals
        `circle_sum`.

    Raises
    ------
    InputError
        As `circle_sum`, and when the shapes differ.

    Examples
    --------
    >>> bins = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 2, 2]])
    >>> circle_sum_by_bin(np.ones((3, 4), int), bins, 3)
    array([[5., 5., 5., 5.],
           [5., 5., 5., 5.],
           [0., 0., 5., 5.]], dtype=float32)
    """
    counts = check_counts(counts, "counts")
    bins = check_labels(bins, "bins")
    check_same_shape({"counts": counts, "bins": bins})
    total = _circle_sum(counts, check_odd(k, "k"), np.float32)
    if k > 1:
        sum_at_seams(total, counts, bins, _half_chords(k))
    _clear_outside(total, bins)
    return total


def gauss_blur(image: np.ndarray, k: int) -> np.ndarray:
    """Blur with a Gaussian kernel of diameter `k`.

    Parameters
    ----------
    image : (H, W) array of any integer or float dtype
        Intensities.
    k : int
        Odd diameter in px; 1 changes nothing. sigma = 0.3 ((k - 1) / 2 - 1) + 0.8 px; the kernels of 3, 5 and 7 px
        are OpenCV's binomial-like tables for that sigma, so that blurred 8-bit images are exact.

    Returns
    -------
    (H, W) float32 array
        The border is mirrored about the centre of the edge pixel (reflect-101).

    Raises
    ------
    InputError
        When `image` is not a finite 2-D image, or `k` is even.

    References
    ----------
    OpenCV documentation, `getGaussianKernel`.

    Examples
    --------
    >>> gauss_blur(np.array([[0, 0, 16, 0, 0]]), 3)
    array([[0., 4., 8., 4., 0.]], dtype=float32)
    """
    image = check_image(image, "image")
    check_odd(k, "k")
    blurred = image.astype(np.float32)
    return blurred if k == 1 else cv2.GaussianBlur(blurred, (k, k), 0)


def gauss_blur_by_bin(image: np.ndarray, bins: np.ndarray, k: int) -> np.ndarray:
    """Blur with a Gaussian kernel of diameter `k`, each density bin by itself.

    Parameters
    ----------
    image : (H, W) array of any integer or float dtype
        Intensities.
    bins : (H, W) array of any integer dtype
        Density bin of every pixel; 0 is background.
    k : int
        Odd diameter in px.

    Returns
    -------
    (H, W) float32 array
        Weighted mean of the pixels in the bin of the centre; a flat image stays flat across a seam. 0 in bin 0.

    Raises
    ------
    InputError
        As `gauss_blur`, and when the shapes differ.

    Examples
    --------
    >>> gauss_blur_by_bin(np.array([[4, 4, 4, 9, 9, 9]]), np.array([[1, 1, 1, 2, 2, 0]]), 3)
    array([[4., 4., 4., 9., 9., 0.]], dtype=float32)
    """
    image = check_image(image, "image")
    bins = check_labels(bins, "bins")
    check_same_shape({"image": image, "bins": bins})
    blurred = gauss_blur(image, k)
    if k > 1:
        line = cv2.getGaussianKernel(k, 0)
        weights = line @ line.T
        seams = seam_pixels(bins, k)
        source = image.astype(np.float32)
        by_bands(
            lambda first, last: _blur_at_seams(blurred, source, bins, seams[first:last], weights),
            (len(seams), weights.size),
        )
    _clear_outside(blurred, bins)
    return blurred


def warm() -> None:
    """Compile (or load from the cache) every kernel of this module."""
    counts = np.ones((13, 13), np.uint32)
    bins = np.ones((13, 13), np.int32)
    bins[:, 5:] = 2
    gauss_blur_by_bin(counts, bins, 3)
    for brightest in (1, _UINT8_MAX, _UINT16_MAX):  # summed in 8, 16 and 32 bits
        counts[6, 6] = brightest
        for k in (3, 9):
            circle_sum(counts, k)
            circle_sum_by_bin(counts, bins, k)
    counts[6, 6] = _UINT32_MAX - 9  # summed in 64 bits
    circle_sum(counts, 3)


def _circle_sum(counts: np.ndarray, k: int, dtype: type) -> np.ndarray:
    half = _half_chords(k)
    most = int(counts.max()) * int((2 * half + 1).sum())
    where = device()
    if where != "cpu" and most <= _UINT32_MAX:
        return _torch.circle_sum(counts, half, where).astype(dtype)
    total: np.ndarray = np.empty(counts.shape, dtype if most <= _UINT32_MAX else np.uint64)
    _sum_rows(counts, k, half, most, total)
    if most <= _UINT32_MAX:
        return total
    if total.max() > _UINT32_MAX:
        raise InputError(f"`counts` sums to {total.max()} within a circle of {k} px, above {_UINT32_MAX}.")
    return total.astype(dtype)


def _sum_rows(counts: np.ndarray, k: int, half: np.ndarray, most: int, total: np.ndarray) -> None:
    """Write the sums over a circle, none of which is above `most`."""
    source, width = frozen(counts), counts.shape[1]
    small = k in _SMALL and most <= _UINT16_MAX
    # the processor adds twice as many numbers of half the bits at once
    narrow = np.uint8 if small and most <= _UINT8_MAX else np.uint16
    wide = narrow if most <= _UINT16_MAX else np.uint32 if most <= _UINT32_MAX else np.uint64

    def add_all(first: int, last: int) -> None:
        rows, line = np.empty((k + 1, width + k - 1), wide), np.empty(width, wide)
        sum_small(source, k, rows[:k], rows[k], line, total, first, last)

    def add_chords(first: int, last: int) -> None:
        # unsigned, so a running sum may wrap: the difference of two is right all the same
        sum_chords(source, half, np.zeros((k, width + k), wide), np.empty(width, wide), total, first, last)

    by_bands(add_all if small else add_chords, counts.shape, k - 1)


@functools.cache
def _half_chords(k: int) -> np.ndarray:
    """Return (number of pixels - 1) / 2 of every row of the circle."""
    return (circle_kernel(k).sum(axis=1, dtype=np.int64) - 1) // 2


def _clear_outside(image: np.ndarray, bins: np.ndarray) -> None:
    by_bands(lambda first, last: _clear(image[first:last], bins[first:last]), bins.shape)


@njit(cache=True, nogil=True)
def _clear(image: np.ndarray, bins: np.ndarray) -> None:
    height, width = bins.shape
    for y in range(height):
        for x in range(width):
            image[y, x] = image[y, x] if bins[y, x] != 0 else 0


@njit(cache=True, nogil=True)
def _blur_at_seams(
    blurred: np.ndarray, image: np.ndarray, bins: np.ndarray, seams: np.ndarray, weights: np.ndarray
) -> None:
    height, width = bins.shape
    r = weights.shape[0] // 2
    for i in range(seams.size):
        y, x = seams[i] // width, seams[i] % width
        here = bins[y, x]
        amount, weight = 0.0, 0.0
        for j in range(weights.shape[0]):
            v = mirror_101(y + j - r, height)
            for m in range(weights.shape[1]):
                u = mirror_101(x + m - r, width)
                if bins[v, u] == here:
                    amount += weights[j, m] * image[v, u]
                    weight += weights[j, m]
        blurred[y, x] = amount / weight
