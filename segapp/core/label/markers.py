"""Markers: one small label a nucleus, from which a watershed floods."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numba import njit

from segapp.core.checks import check_image, check_mask, check_same_shape
from segapp.core.convolve import gauss_blur
from segapp.core.morphology import close_open, erode_components
from segapp.core.params import Params, knob
from segapp.core.threshold import otsu
from segapp.core.types import InputError, Tick, no_tick


class ErosionParams(Params):
    """Mark what is left of each component after eroding it until its pieces are small."""

    k: int = knob(3, unit="px", odd=True, ge=1, le=99, soft=(1, 15), doc="Diameter of the erosion. Larger: coarser.")
    square: bool = knob(False, doc="Erode with a square instead of a circle.")
    min_area: int = knob(
        80,
        unit="px²",
        ge=0,
        le=1_000_000,
        soft=(10, 400),
        doc="Pieces of at most this area are not eroded further. Larger: fewer, bigger markers.",
    )
    n_iter: int = knob(
        -1, ge=-1, le=10_000, soft=(-1, 30), doc="Most erosions; -1 is no limit. Higher: more, smaller pieces."
    )
    float_k: int = knob(
        5,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 21),
        doc="Diameter of the closing and opening after an image that is no mask is cut. Larger: smoother pieces.",
    )
    float_threshold: float | Literal["auto"] = knob(
        "auto",
        ge=-1e12,
        le=1e12,
        soft=(0.0, 1.0),
        doc="Where an image that is no mask is cut; auto is Otsu's threshold. Higher: fewer, smaller pieces.",
    )


def find_peaks(
    image: np.ndarray,
    *,
    k: int,
    min_distance: int,
    mask: np.ndarray | None = None,
    threshold_abs: float | None = None,
) -> np.ndarray:
    """Mark the local maxima of a blurred image.

    Parameters
    ----------
    image : (H, W) array of any integer or float dtype
        Brightness or counts.
    k : int
        Odd diameter of the Gaussian blur in px; 1 for none.
    min_distance : int
        Smallest distance between two peaks in px. A peak is the maximum of the square of
        ``2 min_distance + 1`` px around it.
    mask : (H, W) bool array, optional
        Peaks are looked for inside only, and pixels outside do not compete.
    threshold_abs : float, optional
        Peaks are higher than this in the blurred image; Otsu's threshold of the blurred image where None. 0 is a
        threshold like any other.

    Returns
    -------
    (H, W) int32 array
        One pixel a peak, numbered from the highest; equals come in reading order. Peaks at the border are kept.

    Raises
    ------
    InputError
        When `image` is not a finite 2-D image, is constant while no threshold is given, shapes differ, `k` is even
        or `min_distance` below 1.

    Examples
    --------
    >>> image = np.array([[9, 3, 0, 0, 5, 0, 0]])
    >>> find_peaks(image, k=1, min_distance=2, threshold_abs=0)
    array([[1, 0, 0, 0, 2, 0, 0]], dtype=int32)
    """
    image = check_image(image, "image")
    _check_distance(min_distance)
    if mask is not None:
        mask = check_mask(mask, "mask")
        check_same_shape({"image": image, "mask": mask})
    blurred = gauss_blur(image, k)
    floor = otsu(blurred) if threshold_abs is None else threshold_abs
    return _mark_peaks(blurred, floor, min_distance, mask)


def find_peaks_from_mask(mask: np.ndarray, *, min_distance: int) -> np.ndarray:
    """Mark the pixels of a mask that lie deepest inside.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask of nuclei or cells.
    min_distance : int
        Smallest distance between two markers in px.

    Returns
    -------
    (H, W) int32 array
        One pixel a marker, numbered from the deepest; equals come in reading order. Every component of the mask has
        one at least, unless a deeper one is closer than `min_distance` px. Beyond the border counts as mask, so a
        nucleus cut by it is marked where it is cut. A mask that fills the frame has one marker, in its middle.

    Raises
    ------
    InputError
        When `mask` is not a mask or `min_distance` is below 1.

    Notes
    -----
    Depth is OpenCV's distance transform with 3 x 3 steps (0.95 and 1.37 px, see `chamfer`), as the field uses it.

    Examples
    --------
    >>> find_peaks_from_mask(np.array([[0, 1, 1, 1, 0, 0, 1, 1, 1]], dtype=bool), min_distance=2)
    array([[0, 0, 2, 0, 0, 0, 0, 0, 1]], dtype=int32)
    """
    mask = check_mask(mask, "mask")
    _check_distance(min_distance)
    if mask.all():
        markers = np.zeros(mask.shape, np.int32)
        markers[mask.shape[0] // 2, mask.shape[1] // 2] = 1
        return markers
    return _mark_peaks(chamfer(mask), 0.0, min_distance, None)


def find_peaks_with_erosion(
    image: np.ndarray,
    *,
    k: int,
    square: bool,
    min_area: int,
    n_iter: int,
    float_k: int,
    float_threshold: float | None = None,
    tick: Tick = no_tick,
) -> np.ndarray:
    """Mark what is left of each component after eroding it until its pieces are small.

    Parameters
    ----------
    image : (H, W) array
        A bool mask, or an image that is cut at `float_threshold` first.
    k : int
        Odd diameter of the eroding kernel in px.
    square : bool
        Erode with a square instead of a circle.
    min_area : int
        Pieces of at most so many px are not eroded further.
    n_iter : int
        Most erosions; -1 for no limit.
    float_k : int
        Odd diameter in px of the closing and opening after the cut. Not used for a mask.
    float_threshold : float, optional
        Pixels at or above it count; Otsu's threshold where None. 0 is a threshold like any other. Not used for a
        mask.
    tick : Tick, optional
        Progress.

    Returns
    -------
    (H, W) int32 array
        Markers, one a piece, numbered in reading order; every component has one at least.

    Raises
    ------
    InputError
        When `image` is not a finite 2-D image, is constant while no threshold is given, or a diameter is even.

    Examples
    --------
    >>> mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 0, 1], [1, 1, 1, 0, 1]], dtype=bool)
    >>> find_peaks_with_erosion(mask, k=3, square=False, min_area=4, n_iter=-1, float_k=5)
    array([[1, 0, 0, 0, 0],
           [1, 0, 0, 0, 2],
           [1, 0, 0, 0, 2]], dtype=int32)
    """
    if np.asarray(image).dtype == np.bool_:
        mask = check_mask(image, "image")
    else:
        image = check_image(image, "image")
        mask = close_open(image >= (otsu(image) if float_threshold is None else float_threshold), float_k)
    left = erode_components(mask, k=k, square=square, min_area=min_area, n_iter=n_iter, tick=tick)
    return label_mask(left)


def label_mask(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of a mask in reading order.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask.

    Returns
    -------
    (H, W) int32 array

    Raises
    ------
    InputError
        When `mask` is not a mask.

    Examples
    --------
    >>> label_mask(np.array([[True, False, False, True], [False, True, False, True]]))
    array([[1, 0, 0, 2],
           [0, 1, 0, 2]], dtype=int32)
    """
    mask = check_mask(mask, "mask")
    return cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)[1]


def warm() -> None:
    """Compile (or load from the cache) every kernel of this module."""
    find_peaks(np.eye(5), k=1, min_distance=1, threshold_abs=0)
    depth(np.eye(2, dtype=bool))


def depth(mask: np.ndarray) -> np.ndarray:
    """Return how deep each pixel lies inside a mask: its Euclidean distance to the nearest pixel outside.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask.

    Returns
    -------
    (H, W) float32 array
        Exact distance in px, 0 outside. Beyond the border counts as mask; in a mask that fills the frame every pixel
        is as deep as the frame is long.

    Raises
    ------
    InputError
        When `mask` is not a mask.

    Examples
    --------
    >>> depth(np.array([[False, True, True, True]]))
    array([[0., 1., 2., 3.]], dtype=float32)
    """
    mask = check_mask(mask, "mask")
    if mask.all():
        return np.full(mask.shape, max(mask.shape), np.float32)
    deep = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    _settle(deep.reshape(-1))
    return deep


def chamfer(mask: np.ndarray) -> np.ndarray:
    """Return the depth that `find_peaks_from_mask` looks at: `depth` in 3 x 3 steps of about 0.95 and 1.37 px.

    Parameters
    ----------
    mask : (H, W) bool array
        Mask.

    Returns
    -------
    (H, W) float32 array
        0 outside; otherwise as `depth`.

    Raises
    ------
    InputError
        When `mask` is not a mask.

    Examples
    --------
    >>> chamfer(np.array([[False, True, True]])).round(1)
    array([[0. , 1. , 1.9]], dtype=float32)
    """
    mask = check_mask(mask, "mask")
    if mask.all():
        return np.full(mask.shape, max(mask.shape), np.float32)
    return cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3)


@njit(cache=True, nogil=True)
def _settle(deep: np.ndarray) -> None:
    """Round roots of whole numbers: OpenCV's are off in the last bit, by where in memory a pixel happens to lie."""
    for i in range(deep.size):
        deep[i] = np.float32(np.sqrt(np.rint(np.float64(deep[i]) * np.float64(deep[i]))))


def _check_distance(min_distance: int) -> None:
    if min_distance < 1:
        raise InputError(f"`min_distance` is {min_distance} but peaks are at least 1 px apart.")


def _mark_peaks(image: np.ndarray, floor: float, min_distance: int, mask: np.ndarray | None) -> np.ndarray:
    """Mark maxima of a float32 image above `floor`, closest first suppressed by the higher one."""
    inside = image > floor
    if mask is not None:
        inside &= mask
        image = np.where(mask, image, -np.inf).astype(np.float32)
    square = np.ones((2 * min_distance + 1, 2 * min_distance + 1), np.uint8)
    candidates = np.flatnonzero((image == cv2.dilate(image, square)) & inside)
    markers = np.zeros(image.shape, np.int32)
    if candidates.size:
        highest_first = candidates[np.argsort(-image.ravel()[candidates], kind="stable")]
        _place_apart(markers, highest_first, min_distance)
    return markers


@njit(cache=True, nogil=True)
def _place_apart(markers: np.ndarray, candidates: np.ndarray, min_distance: int) -> None:
    """Number candidates in order, leaving out those closer than `min_distance` to one that was placed."""
    height, width = markers.shape
    blocked = np.zeros(markers.shape, np.bool_)
    reach = min_distance - 1
    n = 0
    for i in range(candidates.size):
        y, x = candidates[i] // width, candidates[i] % width
        if blocked[y, x]:
            continue
        n += 1
        markers[y, x] = n
        for v in range(max(y - reach, 0), min(y + reach + 1, height)):
            for u in range(max(x - reach, 0), min(x + reach + 1, width)):
                if (v - y) ** 2 + (u - x) ** 2 < min_distance * min_distance:
                    blocked[v, u] = True
