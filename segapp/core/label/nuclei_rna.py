"""Nuclei from nuclear RNA alone: unspliced counts, or counts of genes that stay in the nucleus."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numba import njit

from segapp.core.checks import check_counts, check_image, check_mask, check_same_shape
from segapp.core.convolve import gauss_blur
from segapp.core.label.components import SplitParams, label_components, limit
from segapp.core.label.markers import find_peaks, find_peaks_from_mask
from segapp.core.label.watershed import watershed
from segapp.core.params import Params, Variants, knob
from segapp.core.types import InputError, Tick, no_tick

_METHOD = "peaks, components or watershed: how scores and counts become nuclei."


class _Method(Params):
    method: str = knob("", doc=_METHOD)


class PeakNuclei(_Method):
    """Explain the counts by nuclei of one size over a local background, starting from every peak."""

    method: Literal["peaks"] = knob("peaks", doc=_METHOD)
    sigma: float = knob(
        5.6,
        unit="px",
        ge=0.5,
        le=100,
        soft=(2, 15),
        step=0.1,
        doc="Spread of the RNA of one nucleus, about 0.7 of its radius. Larger: fewer, larger nuclei.",
    )
    min_distance: int = knob(
        10,
        unit="px",
        ge=0,
        le=500,
        soft=(2, 40),
        doc="Nuclei closer than this are one. Larger: fewer nuclei, fewer halves.",
    )
    min_counts: float = knob(
        3.0,
        unit="UMI",
        ge=0,
        le=1_000_000,
        soft=(0, 50),
        step=0.5,
        doc="A nucleus needs as many UMIs above the background. Higher: fewer, surer nuclei.",
    )
    cut: float = knob(
        0.33,
        ge=0.01,
        le=0.99,
        soft=(0.1, 0.9),
        doc="A nucleus ends where it falls to this fraction of its own peak. Higher: smaller nuclei.",
    )
    min_area: int = knob(
        40,
        unit="px²",
        ge=0,
        le=1_000_000,
        soft=(0, 300),
        doc="Smaller nuclei are left out. Higher: fewer nuclei.",
    )


class ComponentNuclei(SplitParams, _Method):
    """Label the components of the mask, and split large ones by erosion."""

    method: Literal["components"] = knob("components", doc=_METHOD)


class WatershedNuclei(_Method):
    """Flood the mask from its peaks."""

    method: Literal["watershed"] = knob("watershed", doc=_METHOD)
    landscape: Literal["distance", "rna"] = knob(
        "distance",
        doc="What is flooded: distance = depth inside the mask, safe across the track lines of a chip; rna = blurred "
        "counts, which track lines cut.",
    )
    min_distance: int = knob(
        7, unit="px", ge=1, le=200, soft=(1, 40), doc="Closest that two markers may be. Larger: fewer, larger nuclei."
    )
    k: int = knob(
        11,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 31),
        doc="Diameter of the blur of the counts, for the landscape rna. Larger: fewer nuclei.",
    )


NUCLEI_RNA = Variants("method", (PeakNuclei, ComponentNuclei, WatershedNuclei), "peaks")
"""Ways to label nuclei from nuclear RNA."""


def label_nuclei_rna(
    nuclear_counts: np.ndarray,
    scores: np.ndarray | None,
    mask: np.ndarray | None,
    params: Params,
    tick: Tick = no_tick,
) -> np.ndarray:
    """Label nuclei from nuclear RNA.

    Parameters
    ----------
    nuclear_counts : (H, W) counts
        UMIs a pixel of unspliced RNA or of nuclear genes.
    scores : (H, W) float or None
        Probability of a nucleus; checked for its shape, the mask is what is used of it.
    mask : (H, W) bool array or None
        Mask of nuclei. components and watershed label it; peaks drops nuclei without a pixel in it, and does
        without one.
    params : Params
        One of `NUCLEI_RNA`.
    tick : Tick
        Reports progress and cancels.

    Returns
    -------
    (H, W) int32
        Nuclei 1 ... N, 0 is background.

    Raises
    ------
    InputError
        When an array is not what is needed, shapes differ, or a method lacks its mask.

    Notes
    -----
    peaks fits a mixture: every UMI comes from one of many round nuclei of the same size, or from the background,
    a wide blur of the counts. It starts from all peaks of the counts, too many, and takes back what is not needed:

    * a nucleus pays for its place and weight with a few UMIs in every round, so one that only shares the UMIs of its
      neighbours fades (minimum message length). A threshold on the height of a peak would lose faint nuclei with it;
    * nuclei that come closer than `min_distance` join, which undoes halves of one nucleus;
    * the UMIs between two touching nuclei are shared by how well each explains them, so a faint nucleus
      beside a bright one keeps its place, where smoothing would melt the two into one peak;
    * a nucleus ends at a fraction of its own peak, so faint ones are not smaller than bright ones.

    References
    ----------
    Figueiredo and Jain, "Unsupervised learning of finite mixture models", IEEE Trans. Pattern Analysis 24, 2002.

    Examples
    --------
    >>> counts = np.zeros((40, 60), np.uint32)
    >>> counts[10:26:2, 10:24:2] = counts[10:26:2, 34:48:2] = 1
    >>> labels = label_nuclei_rna(counts, None, None, PeakNuclei())
    >>> int(labels.max()), bool(labels[18, 17] != labels[18, 41])
    (2, True)
    """
    if not isinstance(params, PeakNuclei | ComponentNuclei | WatershedNuclei):
        known = ", ".join(NUCLEI_RNA.names())
        raise InputError(f"{type(params).__name__} is not a way to label nuclei; choose one of {known}.")
    counts = check_counts(nuclear_counts, "nuclear_counts")
    inside = None if mask is None else check_mask(mask, "mask")
    check_same_shape({"nuclear_counts": counts, "scores": scores, "mask": inside})
    if scores is not None:
        check_image(scores, "scores")
    if isinstance(params, PeakNuclei):
        return _label_peaks(counts, inside, params, tick)
    if inside is None:
        raise InputError(f"method={params.method} labels the mask of nuclei; pass one, or choose method=peaks.")
    if isinstance(params, ComponentNuclei):
        return label_components(
            inside,
            area_threshold=limit(params.area_threshold),
            k=params.k,
            min_area=params.min_area,
            n_iter=params.n_iter,
            distance=params.distance,
            max_area=limit(params.max_area),
            tick=tick,
        ).labels
    if params.landscape == "distance":
        height = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, 5)
        markers = find_peaks_from_mask(inside, min_distance=params.min_distance)
    else:
        height = gauss_blur(counts, params.k)
        markers = find_peaks(counts, k=params.k, min_distance=params.min_distance, mask=inside, threshold_abs=0.0)
    return watershed(-height, markers, inside, tick)


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    counts = np.zeros((12, 12), np.uint32)
    counts[5:8, 5:8] = 2
    label_nuclei_rna(counts, None, None, PeakNuclei())


_ROUNDS = 60
_FIRST_BLUR = 0.4
"""Blur of the counts that peaks are taken from, in `sigma`: finer than a nucleus, so that every nucleus has a peak."""
_PRICE = 1.5
"""UMIs that a nucleus pays in every round: half of its three parameters, two coordinates and a weight."""
_BACKGROUND = 0.2
_BACKGROUND_BLUR = 2.1
"""Background: this share of the counts blurred by so many `sigma`, which holds cytoplasm and stray RNA."""
_REACH = 3.0


def _label_peaks(counts: np.ndarray, mask: np.ndarray | None, params: PeakNuclei, tick: Tick) -> np.ndarray:
    pixels_y, pixels_x = np.nonzero(counts)
    if not len(pixels_y):
        return np.zeros(counts.shape, np.int32)
    sigma = params.sigma
    image = counts.astype(np.float32)
    fine = cv2.GaussianBlur(image, (0, 0), _FIRST_BLUR * sigma, borderType=cv2.BORDER_REFLECT_101)
    wide = cv2.GaussianBlur(image, (0, 0), _BACKGROUND_BLUR * sigma, borderType=cv2.BORDER_REFLECT_101)
    level = float(image.mean())
    # a little of the mean keeps lone UMIs in empty surroundings from being nuclei
    background = (_BACKGROUND * wide + 0.1 * level)[pixels_y, pixels_x].astype(np.float64)
    summit = (fine == cv2.dilate(fine, np.ones((5, 5), np.uint8))) & (fine > 0.5 * level)
    y, x = (np.ascontiguousarray(axis, dtype=np.float64) for axis in np.nonzero(summit))
    weight = fine[summit].astype(np.float64) * math.pi * sigma**2

    umis = counts[pixels_y, pixels_x].astype(np.float64)
    events = (pixels_y.astype(np.float64), pixels_x.astype(np.float64), umis, background)
    for step in range(_ROUNDS):
        price = _PRICE * min(1.0, step / 20)
        _refine(*events, y, x, weight, sigma, price, params.min_distance if step > 5 else 0, *counts.shape)
        tick(step + 1, _ROUNDS)
    found = weight > params.min_counts
    y, x = y[found], x[found]
    order = np.lexsort((x, y))
    labels = _draw(y[order], x[order], sigma * math.sqrt(-2 * math.log(params.cut)), *counts.shape)

    area = np.bincount(labels.ravel(), minlength=len(order) + 1)
    keep = area >= max(params.min_area, 1)
    if mask is not None:
        keep &= np.bincount(labels[mask], minlength=len(keep)) > 0
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


@njit(cache=True, nogil=True)
def _refine(
    event_y: np.ndarray,
    event_x: np.ndarray,
    umis: np.ndarray,
    background: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    sigma: float,
    price: float,
    min_distance: float,
    height: int,
    width: int,
) -> None:
    """One round: join nuclei that are too close, share every UMI, move the nuclei, take the price."""
    n = len(y)
    reach = _REACH * sigma
    tile = max(reach, min_distance)
    rows, columns = int(height / tile) + 1, int(width / tile) + 1
    head = np.full(rows * columns, -1, np.int64)
    following = np.full(n, -1, np.int64)
    for i in range(n - 1, -1, -1):
        if weight[i] > 0:
            place = int(y[i] / tile) * columns + int(x[i] / tile)
            following[i] = head[place]
            head[place] = i
    if min_distance > 0:
        for i in range(n):
            a, b = int(y[i] / tile), int(x[i] / tile)
            for v in range(max(a - 1, 0), min(a + 2, rows)):
                for u in range(max(b - 1, 0), min(b + 2, columns)):
                    j = head[v * columns + u]
                    while j >= 0:
                        if j != i and weight[i] > 0 and weight[j] > 0 and weight[j] <= weight[i]:
                            apart = (y[i] - y[j]) ** 2 + (x[i] - x[j]) ** 2
                            if apart < min_distance * min_distance:
                                both = weight[i] + weight[j]
                                y[i] = (y[i] * weight[i] + y[j] * weight[j]) / both
                                x[i] = (x[i] * weight[i] + x[j] * weight[j]) / both
                                weight[i], weight[j] = both, 0.0
                        j = following[j]
    share, share_y, share_x = np.zeros(n), np.zeros(n), np.zeros(n)
    near, explains = np.empty(n, np.int64), np.empty(n)
    peak = 1 / (2 * math.pi * sigma * sigma)
    for e in range(len(event_y)):
        a, b = int(event_y[e] / tile), int(event_x[e] / tile)
        m = 0
        total = background[e]
        for v in range(max(a - 1, 0), min(a + 2, rows)):
            for u in range(max(b - 1, 0), min(b + 2, columns)):
                i = head[v * columns + u]
                while i >= 0:
                    apart = (y[i] - event_y[e]) ** 2 + (x[i] - event_x[e]) ** 2
                    if weight[i] > 0 and apart < reach * reach:
                        near[m] = i
                        explains[m] = weight[i] * peak * math.exp(-apart / (2 * sigma * sigma))
                        total += explains[m]
                        m += 1
                    i = following[i]
        for q in range(m):
            i = near[q]
            part = explains[q] / total * umis[e]
            share[i] += part
            share_y[i] += part * event_y[e]
            share_x[i] += part * event_x[e]
    for i in range(n):
        if share[i] > 0:
            y[i], x[i] = share_y[i] / share[i], share_x[i] / share[i]
        weight[i] = max(share[i] - price, 0.0) if weight[i] > 0 else 0.0


@njit(cache=True, nogil=True)
def _draw(y: np.ndarray, x: np.ndarray, radius: float, height: int, width: int) -> np.ndarray:
    """Give every pixel within the radius to the nearest nucleus."""
    labels = np.zeros((height, width), np.int32)
    nearest = np.full((height, width), radius * radius)
    for i in range(len(y)):
        for v in range(max(int(y[i] - radius), 0), min(int(y[i] + radius) + 2, height)):
            for u in range(max(int(x[i] - radius), 0), min(int(x[i] + radius) + 2, width)):
                apart = (v - y[i]) ** 2 + (u - x[i]) ** 2
                if apart < nearest[v, u]:
                    nearest[v, u] = apart
                    labels[v, u] = i + 1
    return labels
