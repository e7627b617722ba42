"""Marker-based watershed, and nuclei labelled with it."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numba import njit

from segapp.core.checks import check_image, check_labels, check_mask, check_same_shape
from segapp.core.convolve import gauss_blur
from segapp.core.label.markers import depth, find_peaks, find_peaks_from_mask, find_peaks_with_erosion
from segapp.core.params import Params, knob
from segapp.core.types import Tick, no_tick

# A call of the flooding kernel handles so many pixels (some tenths of a second) between two ticks.
_CHUNK = 4_000_000
_DIGIT = 11

# Erosion of the markers, as the field sets it; `min_area` is the one that matters in practice.
_EROSION_K = 3


class NucleiWatershedParams(Params):
    """Place one marker a nucleus and flood the mask from the markers."""

    markers: Literal["distance", "peaks", "erosion"] = knob(
        "distance",
        doc="Where markers go: distance = deepest inside the mask, peaks = brightest of the stain, erosion = what is "
        "left of the mask when its pieces have shrunk to min_area.",
    )
    min_distance: int = knob(
        7,
        unit="px",
        ge=1,
        le=200,
        soft=(1, 30),
        doc="Smallest distance between two markers (distance, peaks). Larger: fewer, bigger nuclei.",
    )
    k: int = knob(
        3,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 21),
        doc="Diameter of the blur of the stain before flooding. Larger: smoother borders; with peaks fewer nuclei.",
    )
    landscape: Literal["stain", "distance"] = knob(
        "stain",
        doc="What is flooded: stain = borders run where the stain is darkest, distance = where the mask is narrowest; "
        "take distance where nuclei are noisy or evenly bright.",
    )
    min_area: int = knob(
        80,
        unit="px²",
        ge=0,
        le=1_000_000,
        soft=(10, 400),
        doc="Pieces of at most this area are not eroded further (erosion). Larger: fewer nuclei.",
    )


def label_nuclei(
    stain: np.ndarray, mask: np.ndarray, params: NucleiWatershedParams, tick: Tick = no_tick
) -> np.ndarray:
    """Label the nuclei of a stain inside a mask.

    Parameters
    ----------
    stain : (H, W) array of any integer or float dtype
        Brightness.
    mask : (H, W) bool array
        Mask of the nuclei, see `segapp.core.stain.mask_nuclei`.
    params : NucleiWatershedParams
        Kind and spacing of the markers, and what is flooded: brightest or deepest pixels first.
    tick : Tick, optional
        Progress.

    Returns
    -------
    (H, W) int32 array
        Labels 1 ... n, 0 outside the mask. A component of the mask without a marker is 0 too.

    Raises
    ------
    InputError
        When an argument is not what it should be or the shapes differ.

    Notes
    -----
    A marker deep inside the mask may lie on a slope of the stain, where the basin of a brighter neighbour flows around
    it and leaves a few pixels. Nuclei whose centres are `min_distance` apart have room for a circle of that diameter
    each; a basin smaller than it is such a fragment and goes to its neighbours, unless it is the largest of its
    component. Peaks of the stain and pieces left by erosion are kept as they are: they lie on no slope.

    Examples
    --------
    >>> stain = np.tile(np.array([9, 60, 90, 60, 20, 70, 99, 70, 9], np.uint8), (3, 1))
    >>> label_nuclei(stain, stain > 10, NucleiWatershedParams(markers="peaks", min_distance=3, k=1))
    array([[0, 2, 2, 2, 1, 1, 1, 1, 0],
           [0, 2, 2, 2, 1, 1, 1, 1, 0],
           [0, 2, 2, 2, 1, 1, 1, 1, 0]], dtype=int32)
    """
    stain = check_image(stain, "stain")
    mask = check_mask(mask, "mask")
    check_same_shape({"stain": stain, "mask": mask})
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    if params.markers == "distance":
        markers = find_peaks_from_mask(mask, min_distance=params.min_distance)
    elif params.markers == "peaks":
        # the mask is the floor: what it left out is background already
        markers = find_peaks(
            stain, k=params.k, min_distance=params.min_distance, mask=mask, threshold_abs=float(stain.min()) - 1
        )
    else:
        markers = find_peaks_with_erosion(
            mask, k=_EROSION_K, square=False, min_area=params.min_area, n_iter=-1, float_k=1, tick=tick
        )
    landscape = -depth(mask) if params.landscape == "distance" else -gauss_blur(stain, params.k)
    labels = watershed(landscape, markers, mask, tick)
    if params.markers != "distance":
        return labels
    return _without_fragments(landscape, markers, mask, labels, math.pi / 4 * params.min_distance**2, tick)


def watershed(
    landscape: np.ndarray, markers: np.ndarray, mask: np.ndarray | None = None, tick: Tick = no_tick
) -> np.ndarray:
    """Flood a landscape from markers, lowest pixels first; basins meet at the ridges.

    Parameters
    ----------
    landscape : (H, W) array of any integer or float dtype
        Height of each pixel; pass the negative of a brightness or a depth. Floats are compared in float32.
    markers : (H, W) array of any integer dtype
        Where each basin starts; several pixels may share an id. Markers outside the mask are left out.
    mask : (H, W) bool array, optional
        Where to flood; everywhere when None.
    tick : Tick, optional
        Progress in px.

    Returns
    -------
    (H, W) int32 array
        The id of the marker whose basin a pixel is in (4 neighbours); 0 outside the mask and in components of the mask
        without a marker.

    Raises
    ------
    InputError
        When an argument is not what it should be or the shapes differ.

    Notes
    -----
    A pixel is flooded at the higher of its own height and that of the pixel it is reached from. Pixels of one height
    are flooded in the order they were reached: plateaus are shared out by distance. Markers of one height start in
    reading order, and neighbours are looked at in the order up, left, right, down. One queue a height (heights are
    ranked by a radix sort) makes the cost linear in the pixels of the mask.

    References
    ----------
    Meyer, Topographic distance and watershed lines, Signal Processing 38 (1994); scikit-image's `watershed`, to which
    the result is equal.

    Examples
    --------
    >>> watershed(np.array([[0, 1, 2, 9, 1, 0]]), np.array([[4, 0, 0, 0, 0, 7]]))
    array([[4, 4, 4, 7, 7, 7]], dtype=int32)
    """
    landscape = check_image(landscape, "landscape")
    markers = check_labels(markers, "markers")
    mask = np.ones(landscape.shape, bool) if mask is None else check_mask(mask, "mask")
    check_same_shape({"landscape": landscape, "markers": markers, "mask": mask})
    height, width = mask.shape
    ranks, n_ranks = _rank_inside(_keys(landscape).ravel(), np.flatnonzero(mask), width)
    # a ring of pixels outside the mask saves every border test
    labels = np.zeros((height + 2, width + 2), np.int32)
    labels[1:-1, 1:-1] = np.where(mask, markers, 0)
    following = np.empty(labels.size, np.int32)
    queues = np.full((n_ranks, 2), -1, np.int32)
    _start(ranks, labels.ravel(), following, queues)
    total = int(mask.sum())
    done, level = 0, 0
    while level < n_ranks:
        tick(min(done, total), total)
        level = _flood(ranks, labels.ravel(), following, queues, level, width + 2, _CHUNK)
        done += _CHUNK
    return labels[1:-1, 1:-1].copy()


def warm() -> None:
    """Compile (or load from the cache) every kernel of this module."""
    landscape = np.eye(3)
    watershed(landscape, np.eye(3, dtype=np.int32))


def _without_fragments(
    landscape: np.ndarray, markers: np.ndarray, mask: np.ndarray, labels: np.ndarray, least: float, tick: Tick
) -> np.ndarray:
    """Drop markers whose basin is smaller than `least`, the largest of a component aside, and renumber the rest."""
    areas = np.bincount(labels.ravel(), minlength=int(markers.max()) + 1)
    if not (areas[1:] < least).any():
        return labels
    n, components = cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    places = np.flatnonzero(markers)
    component = np.zeros(areas.size, np.int64)
    component[markers.ravel()[places]] = components.ravel()[places]
    largest = np.zeros(n, np.int64)
    by_area = np.argsort(areas, kind="stable")
    largest[component[by_area]] = by_area
    kept = (areas >= least) | (largest[component] == np.arange(areas.size))
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    # components do not flow into each other: only those that lose a marker are flooded again
    again = np.zeros(n, bool)
    again[component[~kept]] = True
    again[0] = False
    region = again[components]
    if not region.any():
        return number[labels]
    return np.where(region, watershed(landscape, number[markers], region, tick), number[labels])


def _keys(landscape: np.ndarray) -> np.ndarray:
    """Return unsigned 32-bit numbers in the order of the landscape."""
    if landscape.dtype.kind in "ui":
        low, high = int(landscape.min()), int(landscape.max())
        if high - low < 2**32:
            return (
                (landscape.astype(np.int64) - low).astype(np.uint32)
                if landscape.itemsize > 2
                else (landscape.astype(np.int32) - low).view(np.uint32)
            )
    # adding 0 turns -0 into 0; the bits of positive floats are in order, those of negative ones in reverse
    bits = (landscape.astype(np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _rank_inside(keys: np.ndarray, inside: np.ndarray, width: int) -> tuple[np.ndarray, int]:
    """Return the rank of each pixel's key in a frame with a ring of 1 px, -1 outside, and the number of ranks."""
    ranks = np.full((keys.size // width + 2) * (width + 2), -1, np.int32)
    if inside.size == 0:
        return ranks, 0
    pixels = ((inside // width + 1) * (width + 2) + inside % width + 1).astype(np.int32)
    return ranks, int(_rank(keys[inside], pixels, ranks))


@njit(cache=True, nogil=True)
def _rank(keys: np.ndarray, pixels: np.ndarray, ranks: np.ndarray) -> int:
    """Sort pixels by key with a radix sort and write the dense rank of each."""
    n = keys.size
    n_digits = 1 << _DIGIT
    other_keys, other_pixels = np.empty_like(keys), np.empty_like(pixels)
    for shift in range(0, 32, _DIGIT):
        starts = np.zeros(n_digits + 1, np.int64)
        for i in range(n):
            starts[((keys[i] >> np.uint32(shift)) & np.uint32(n_digits - 1)) + 1] += 1
        if starts.max() == n:
            continue
        for d in range(n_digits):
            starts[d + 1] += starts[d]
        for i in range(n):
            d = (keys[i] >> np.uint32(shift)) & np.uint32(n_digits - 1)
            other_keys[starts[d]] = keys[i]
            other_pixels[starts[d]] = pixels[i]
            starts[d] += 1
        keys, other_keys = other_keys, keys
        pixels, other_pixels = other_pixels, pixels
    rank = 0
    for i in range(n):
        if i > 0 and keys[i] != keys[i - 1]:
            rank += 1
        ranks[pixels[i]] = rank
    return rank + 1


@njit(cache=True, nogil=True)
def _start(ranks: np.ndarray, labels: np.ndarray, following: np.ndarray, queues: np.ndarray) -> None:
    """Queue every marker pixel at its own height; a queue is a chain with its first and last pixel in `queues`."""
    for pixel in range(labels.size):
        if labels[pixel] != 0:
            rank = ranks[pixel]
            following[pixel] = -1
            if queues[rank, 0] < 0:
                queues[rank, 0] = pixel
            else:
                following[queues[rank, 1]] = pixel
            queues[rank, 1] = pixel


@njit(cache=True, nogil=True)
def _flood(
    ranks: np.ndarray,
    labels: np.ndarray,
    following: np.ndarray,
    queues: np.ndarray,
    level: int,
    stride: int,
    most: int,
) -> int:
    """Flood up to `most` pixels from `level` on; return the level to go on with."""
    steps = (-stride, -1, 1, stride)
    n = 0
    while level < queues.shape[0]:
        pixel = queues[level, 0]
        if pixel < 0:
            level += 1
            continue
        if n == most:
            break
        n += 1
        queues[level, 0] = following[pixel]
        label = labels[pixel]
        for step in steps:
            neighbour = pixel + step
            rank = ranks[neighbour]
            if rank < 0 or labels[neighbour] != 0:
                continue
            labels[neighbour] = label
            following[neighbour] = -1
            rank = max(rank, level)
            if queues[rank, 0] < 0:
                queues[rank, 0] = neighbour
            else:
                following[queues[rank, 1]] = neighbour
            queues[rank, 1] = neighbour
    return level
