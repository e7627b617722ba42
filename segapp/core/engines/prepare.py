"""From a stain to what a network takes: contrast, size, brightness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.core.checks import check_image
from segapp.core.engines.clahe import Contrast, find_contrast
from segapp.core.types import InputError


def equalize(stain: np.ndarray, clip_limit: float) -> np.ndarray:
    """Equalise local contrast (CLAHE) in a grid of 100 x 100 tiles.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness.
    clip_limit : float
        Limit of contrast. Higher: faint structures come up, noise too. 0: the stain as it is.

    Returns
    -------
    (H, W) array
        uint8, or the stain itself where `clip_limit` is 0.

    Raises
    ------
    InputError
        When `stain` is not a finite 2-D image or is constant.

    References
    ----------
    .. [1] K. Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.

    Examples
    --------
    >>> stain = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    >>> equalize(stain, 0) is stain, equalize(stain, 2).shape
    (True, (200, 200))
    """
    stain = check_image(stain, "stain")
    if stain.min() == stain.max():
        raise InputError(
            f"`stain` has the value {stain.flat[0]:g} in every pixel: nothing to segment; check the channel and the "
            "crop."
        )
    if not clip_limit:
        return stain
    return find_contrast(stain, clip_limit).apply(stain)


def equalize_window(stain: np.ndarray, frozen: Mapping[str, Any], at: tuple[int, int]) -> np.ndarray:
    """Equalise a window of a stain as the whole was.

    Parameters
    ----------
    stain : (h, w) array
        The window.
    frozen : mapping
        Numbers of the whole; ``contrast`` as `segapp.core.engines.clahe.Contrast.to_json` gives it, where there is one.
    at : (int, int)
        Row and column of the window in the whole.

    Returns
    -------
    (h, w) array
        uint8, or the window itself where the whole was not equalised.

    Examples
    --------
    >>> stain = np.random.default_rng(0).integers(0, 256, (120, 130), np.uint8)
    >>> frozen = {"contrast": find_contrast(stain, 2.0).to_json()}
    >>> bool(np.all(equalize_window(stain[30:50, 8:], frozen, (30, 8)) == equalize(stain, 2.0)[30:50, 8:]))
    True
    """
    contrast = frozen.get("contrast")
    return stain if contrast is None else Contrast.from_json(contrast).apply(stain, at)


def percentiles(image: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return two percentiles of an image that differ.

    Parameters
    ----------
    image : (H, W) array
        Brightness, not constant.
    low, high : float
        Percentiles, 0 to 100.

    Returns
    -------
    (float, float)
        As `numpy.percentile`; where both are the same, the extremes of the image.

    Examples
    --------
    >>> percentiles(np.arange(101, dtype=np.uint8).reshape(1, -1), 1, 99.5)
    (1.0, 99.5)
    """
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        # exact from the histogram, without a sorted copy of a whole chip
        return percentiles_of(np.bincount(image.ravel(), minlength=2), low, high)
    found = [float(value) for value in np.percentile(image, (low, high))]
    return (found[0], found[1]) if found[1] > found[0] else (float(image.min()), float(image.max()))


def percentiles_of(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return the same two percentiles from the number of pixels of each brightness 0, 1, 2, ...

    Examples
    --------
    >>> percentiles_of(np.ones(101, np.int64), 1, 99.5)
    (1.0, 99.5)
    """
    upto = np.cumsum(counts)
    found = [_of_histogram(upto, q) for q in (low, high)]
    there = np.flatnonzero(counts)
    return (found[0], found[1]) if found[1] > found[0] else (float(there[0]), float(there[-1]))


def moments_of(counts: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation from the number of pixels of each brightness 0, 1, 2, ...

    Whole numbers are added up, so that the order of the parts of an image makes no difference.

    Examples
    --------
    >>> moments_of(np.array([0, 0, 1, 0, 1]))
    (3.0, 1.0)
    """
    there = np.flatnonzero(counts).tolist()
    pixels = [int(counts[value]) for value in there]
    n = sum(pixels)
    total = sum(value * many for value, many in zip(there, pixels, strict=True))
    squares = sum(value * value * many for value, many in zip(there, pixels, strict=True))
    return total / n, math.sqrt((squares * n - total * total) / (n * n))


def _of_histogram(upto: np.ndarray, q: float) -> float:
    at = (int(upto[-1]) - 1) * q / 100
    left = int(at)
    lower, upper = (int(np.searchsorted(upto, rank, side="right")) for rank in (left, min(left + 1, int(upto[-1]) - 1)))
    return lower + (upper - lower) * (at - left)
