"""Masks of nuclei and of cells from a stain image."""

from __future__ import annotations

from typing import Self, TypeVar

import numpy as np
from pydantic import model_validator

from segapp.core.checks import check_image
from segapp.core.morphology import close_open
from segapp.core.params import Params, knob
from segapp.core.threshold import local_threshold, multi_otsu, multi_otsu_of
from segapp.core.types import Fitted, InputError

# A range is set by its extremes unless they are this many times as far apart as all but one pixel in a thousand:
# then a few hot pixels would squeeze the tissue into a handful of levels.
_HOT_FACTOR = 2.0
_HOT_SHARE = 1e-3

_P = TypeVar("_P", bound=Params)


class CytoplasmParams(Params):
    """Find the area of cells in a stain: nuclei with the fainter cytoplasm around them."""

    otsu_classes: int = knob(
        3, ge=2, le=5, soft=(2, 5), doc="Brightness classes of the stain. Higher: the lowest cut moves down."
    )
    otsu_index: int = knob(
        0, ge=0, le=3, soft=(0, 3), doc="Which cut between classes counts, 0 = lowest. Higher: less area, brighter."
    )
    mk: int = knob(
        7,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 21),
        doc="Diameter of the closing and opening circle. Larger: smoother, fewer, bigger pieces.",
    )

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        return _check_index(self, self.otsu_index, self.otsu_classes)


class NucleiMaskParams(Params):
    """Find the area of nuclei in a stain: brighter than the background, and brighter than their surroundings."""

    otsu_classes: int = knob(
        3, ge=2, le=5, soft=(2, 5), doc="Brightness classes of the stain. Higher: the lowest cut moves down."
    )
    otsu_index: int = knob(
        0,
        ge=0,
        le=3,
        soft=(0, 3),
        doc="Which cut between classes ends the background, 0 = lowest. Higher: fewer, brighter nuclei.",
    )
    local_k: int = knob(
        55,
        unit="px",
        odd=True,
        ge=3,
        le=999,
        soft=(11, 151),
        doc="Diameter of the surroundings a pixel is compared with; a few nuclei wide. Larger: nuclei in dense tissue "
        "merge, faint ones beside bright ones are lost.",
    )
    offset: int = knob(
        5,
        unit="1/255 of the stain's range",
        ge=-255,
        le=255,
        soft=(-10, 40),
        doc="How much brighter than its surroundings a pixel of a nucleus is. Higher: fewer, smaller, better separated "
        "nuclei.",
    )
    mk: int = knob(
        5,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 21),
        doc="Diameter of the closing and opening circle. Larger: smoother, fewer, bigger pieces.",
    )

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        return _check_index(self, self.otsu_index, self.otsu_classes)


def fit_cut(stain: np.ndarray, params: NucleiMaskParams | CytoplasmParams) -> Fitted:
    """Find the numbers of a whole stain that its mask needs: the range of its pixels, and the cut between classes.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness.
    params : NucleiMaskParams or CytoplasmParams
        Number of classes, and which cut counts.

    Returns
    -------
    Fitted
        ``low`` and ``high``, which become 0 and 255, and ``cut`` in these levels.

    Raises
    ------
    InputError
        As `mask_nuclei`.

    Examples
    --------
    >>> fit_cut(np.array([[1, 1, 90, 91]], np.uint8), CytoplasmParams(otsu_classes=2)).statistics
    {'low': 0.0, 'high': 255.0, 'cut': 1}
    """
    low, high = find_range(check_image(stain, "stain"))
    return _fitted(low, high, _otsu_cut(to_levels(stain, low, high), params.otsu_classes, params.otsu_index))


def fit_cut_of(histogram: np.ndarray, dtype: np.dtype, params: NucleiMaskParams | CytoplasmParams) -> Fitted:
    """Find the same numbers as `fit_cut` in the histogram of a stain that is too large to hold.

    Parameters
    ----------
    histogram : (65536,) int64
        Pixels of each brightness, 0, 1, 2, ...
    dtype : uint8 or uint16
        Type of the pixels.
    params : NucleiMaskParams or CytoplasmParams
        Number of classes, and which cut counts.

    Returns
    -------
    Fitted
        Exactly what `fit_cut` finds in the pixels.

    Raises
    ------
    InputError
        When all pixels are the same, or there are fewer levels than classes.

    Examples
    --------
    >>> counts = np.bincount([1, 1, 90, 91], minlength=65536)
    >>> fit_cut_of(counts, np.dtype(np.uint8), CytoplasmParams(otsu_classes=2)).statistics
    {'low': 0.0, 'high': 255.0, 'cut': 1}
    """
    low, high = find_range_of(histogram, dtype)
    there = np.flatnonzero(histogram)
    levels = to_levels(there.astype(dtype), low, high)
    counts = np.bincount(levels, histogram[there], 256)
    first, last = int(levels[0]), int(levels[-1])
    try:
        cuts = multi_otsu_of(counts[first : last + 1], np.arange(first, last + 1, dtype=float), params.otsu_classes)
    except InputError:
        raise _too_few(len(np.unique(levels)), params.otsu_classes) from None
    return _fitted(low, high, int(cuts[params.otsu_index]))


def mask_nuclei(stain: np.ndarray, params: NucleiMaskParams, fitted: Fitted | None = None) -> np.ndarray:
    """Mask the nuclei of a stain: above a multi-Otsu cut and above the local mean, closed and opened.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness of a nuclear stain. What is not 8-bit is brought to 256 levels first, see `to_8_bit`.
    params : NucleiMaskParams
        Cuts and diameters.
    fitted : Fitted, optional
        What `fit_cut` found in the whole stain, where `stain` is a window of it.

    Returns
    -------
    (H, W) bool array

    Raises
    ------
    InputError
        When `stain` is not a finite 2-D image, is constant, or has fewer levels than classes.

    Examples
    --------
    >>> stain = np.full((64, 64), 10, np.uint8)
    >>> stain[20:30, 20:30], stain[:4] = 200, 14
    >>> int(mask_nuclei(stain, NucleiMaskParams(mk=1)).sum())
    100
    """
    numbers = (fit_cut(stain, params) if fitted is None else fitted).statistics
    levels = to_levels(check_image(stain, "stain"), numbers["low"], numbers["high"])
    bright = levels >= numbers["cut"]
    return close_open(bright & local_threshold(levels, params.local_k, params.offset), params.mk)


def mask_cells(stain: np.ndarray, params: CytoplasmParams, fitted: Fitted | None = None) -> np.ndarray:
    """Mask the cells of a stain: above a multi-Otsu cut, closed and opened.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness of a stain with some cytoplasmic signal.
    params : CytoplasmParams
        Cut and diameter.
    fitted : Fitted, optional
        What `fit_cut` found in the whole stain, where `stain` is a window of it.

    Returns
    -------
    (H, W) bool array

    Raises
    ------
    InputError
        As `mask_nuclei`.

    Examples
    --------
    >>> stain = np.repeat(np.array([10, 12, 90, 200], np.uint8), 16).reshape(8, 8)
    >>> int(mask_cells(stain, CytoplasmParams(otsu_classes=2, mk=1)).sum())
    32
    """
    numbers = (fit_cut(stain, params) if fitted is None else fitted).statistics
    levels = to_levels(check_image(stain, "stain"), numbers["low"], numbers["high"])
    return close_open(levels >= numbers["cut"], params.mk)


def to_8_bit(stain: np.ndarray) -> np.ndarray:
    """Bring a stain to 256 levels, so that every bit depth is treated alike.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness.

    Returns
    -------
    (H, W) uint8 array
        8-bit stains as they are; others scaled so that their range becomes 0 to 255. The range runs from the
        lowest to the highest pixel, except that single hot pixels, far above all others, are cut off.

    Raises
    ------
    InputError
        When `stain` is not a finite 2-D image or is constant.

    Examples
    --------
    >>> to_8_bit(np.array([[0, 514, 65535]], np.uint16))
    array([[  0,   2, 255]], dtype=uint8)
    """
    stain = check_image(stain, "stain")
    return to_levels(stain, *find_range(stain))


def find_range(stain: np.ndarray) -> tuple[float, float]:
    """Return the brightness that becomes 0 and 255 where a stain is brought to 256 levels; see `to_8_bit`.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness, finite.

    Raises
    ------
    InputError
        When all pixels are the same.

    Examples
    --------
    >>> find_range(np.array([[3, 9]], np.uint8)), find_range(np.array([[3, 9]], np.uint16))
    ((0.0, 255.0), (3.0, 9.0))
    """
    low, high = float(stain.min()), float(stain.max())
    if low == high:
        raise _constant(low)
    if stain.dtype == np.uint8:
        return 0.0, 255.0
    return low, _without_hot(low, high, float(np.partition(stain.ravel(), _rank(stain.size))[_rank(stain.size)]))


def find_range_of(histogram: np.ndarray, dtype: np.dtype) -> tuple[float, float]:
    """Return the same as `find_range` from the number of pixels of each brightness 0, 1, 2, ...

    Examples
    --------
    >>> find_range_of(np.bincount([3, 9]), np.dtype(np.uint16))
    (3.0, 9.0)
    """
    there = np.flatnonzero(histogram)
    low, high = float(there[0]), float(there[-1])
    if low == high:
        raise _constant(low)
    if dtype == np.uint8:
        return 0.0, 255.0
    rank = _rank(int(histogram.sum()))
    return low, _without_hot(low, high, float(np.searchsorted(np.cumsum(histogram), rank, side="right")))


def _without_hot(low: float, high: float, usual: float) -> float:
    return usual if high - low > _HOT_FACTOR * (usual - low) > 0 else high


def to_levels(stain: np.ndarray, low: float, high: float) -> np.ndarray:
    """Bring a stain, or a window of it, to 256 levels between two brightnesses; 8-bit stains stay as they are.

    Examples
    --------
    >>> to_levels(np.array([[0, 10, 15, 20, 99]], np.uint16), 10, 20).tolist()
    [[0, 0, 128, 255, 255]]
    """
    if stain.dtype == np.uint8:
        return stain
    scaled = (stain.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _fitted(low: float, high: float, cut: int) -> Fitted:
    return Fitted({"low": low, "high": high, "cut": cut})


def _constant(value: float) -> InputError:
    return InputError(
        f"`stain` has the value {value:g} in every pixel: nothing to segment; check the channel and the crop."
    )


def _too_few(levels: int, classes: int) -> InputError:
    return InputError(
        f"`stain` has {levels} brightness levels but otsu_classes={classes}; lower otsu_classes or check the stain."
    )


def _rank(size: int) -> int:
    return min(int(size * (1 - _HOT_SHARE)), size - 1)


def _otsu_cut(levels: np.ndarray, classes: int, index: int) -> int:
    try:
        # a whole number: 8-bit levels are compared as they are
        return int(multi_otsu(levels, classes)[index])
    except InputError:
        raise _too_few(np.unique(levels).size, classes) from None


def _check_index(params: _P, index: int, classes: int) -> _P:
    if index > classes - 2:
        raise ValueError(
            f"otsu_index={index} needs at least otsu_classes={index + 2}: {classes} classes have {classes - 1} cuts"
        )
    return params
