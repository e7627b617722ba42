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

# Columns of a node: its neighbours in the order they are looked at, its label, the next in its queue, its height.
_UP, _LEFT, _RIGHT, _DOWN, _LABEL, _NEXT, _RANK = range(7)

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
        Height of each pixel; pass the negative of a brightness or a depth. Floats, and integers that span 2**32 or
        more, are compared in float32.
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
    inside = np.flatnonzero(mask)
    labels = np.zeros(mask.shape, np.int32)
    if inside.size == 0:
        return labels
    nodes = _link(mask, inside.size)
    queues = np.full((_rank(_keys(landscape.ravel()[inside]), nodes), 2), -1, np.int32)
    _start(markers.ravel()[inside], nodes, queues)
    done, level = 0, 0
    while level < len(queues):
        tick(min(done, inside.size), inside.size)
        level = _flood(nodes, queues, level, _CHUNK)
        done += _CHUNK
    labels.ravel()[inside] = nodes[:, _LABEL]
    return labels


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


def _keys(values: np.ndarray) -> np.ndarray:
    """Return unsigned 32-bit numbers in the order of the values."""
    if values.dtype.kind in "ui":
        low, high = int(values.min()), int(values.max())
        if high - low < 2**32:
            # modulo 2**32 the difference is right whatever the dtype
            return values.astype(np.uint32) - np.uint32(low % 2**32)
    # adding 0 turns -0 into 0; the bits of positive floats are in order, those of negative ones in reverse
    bits = (values.astype(np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


@njit(cache=True, nogil=True)
def _link(mask: np.ndarray, n: int) -> np.ndarray:
    """Return one row a pixel of the mask, in reading order, with the rows of its neighbours (-1 for none).

    All that flooding needs of a pixel lies side by side in memory: this, not arithmetic, is what sets its speed.
    """
    nodes = np.empty((n, 8), np.int32)
    above = np.full(mask.shape[1], -1, np.int32)
    i = 0
    for y in range(mask.shape[0]):
        left = -1
        for x in range(mask.shape[1]):
            if not mask[y, x]:
                left = -1
                above[x] = -1
                continue
            up = above[x]
            nodes[i, _UP], nodes[i, _LEFT], nodes[i, _RIGHT], nodes[i, _DOWN] = up, left, -1, -1
            if up >= 0:
                nodes[up, _DOWN] = i
            if left >= 0:
                nodes[left, _RIGHT] = i
            above[x] = i
            left = i
            i += 1
    return nodes


@njit(cache=True, nogil=True)
def _rank(keys: np.ndarray, nodes: np.ndarray) -> int:
    """Sort the keys with a radix sort, write the dense rank of each into its node, return the number of ranks."""
    n = keys.size
    n_digits = 1 << _DIGIT
    order = np.arange(n).astype(np.int32)
    other_keys, other_order = np.empty_like(keys), np.empty_like(order)
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
            other_order[starts[d]] = order[i]
            starts[d] += 1
        keys, other_keys = other_keys, keys
        order, other_order = other_order, order
    rank = 0
    for i in range(n):
        if i > 0 and keys[i] != keys[i - 1]:
            rank += 1
        nodes[order[i], _RANK] = rank
    return rank + 1


@njit(cache=True, nogil=True)
def _start(markers: np.ndarray, nodes: np.ndarray, queues: np.ndarray) -> None:
    """Queue every marker pixel at its own height; a queue is a chain with its first and last node in `queues`."""
    for i in range(markers.size):
        nodes[i, _LABEL] = markers[i]
        if markers[i] != 0:
            _append(nodes, queues, nodes[i, _RANK], i)


@njit(cache=True, nogil=True)
def _append(nodes: np.ndarray, queues: np.ndarray, rank: int, i: int) -> None:
    nodes[i, _NEXT] = -1
    if queues[rank, 0] < 0:
        queues[rank, 0] = i
    else:
        nodes[queues[rank, 1], _NEXT] = i
    queues[rank, 1] = i


@njit(cache=True, nogil=True)
def _flood(nodes: np.ndarray, queues: np.ndarray, level: int, most: int) -> int:
    """Flood up to `most` pixels from `level` on; return the level to go on with."""
    n = 0
    while level < queues.shape[0]:
        i = queues[level, 0]
        if i < 0:
            level += 1
            continue
        if n == most:
            break
        n += 1
        queues[level, 0] = nodes[i, _NEXT]
        for side in range(4):
            neighbour = nodes[i, side]
            if neighbour >= 0 and nodes[neighbour, _LABEL] == 0:
                nodes[neighbour, _LABEL] = nodes[i, _LABEL]
                _append(nodes, queues, max(nodes[neighbour, _RANK], level), neighbour)
    return level
