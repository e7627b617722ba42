"""Nuclei from nuclear RNA alone: unspliced counts, or counts of genes that stay in the nucleus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np

from segapp.core.checks import check_counts, check_image, check_mask, check_same_shape
from segapp.core.convolve import gauss_blur
from segapp.core.label import _discs
from segapp.core.label.components import SplitParams, label_components
from segapp.core.label.markers import find_peaks, find_peaks_from_mask
from segapp.core.label.watershed import watershed
from segapp.core.params import Params, Variants, knob
from segapp.core.squares import bin_sums
from segapp.core.types import Fitted, InputError, Tick, no_tick

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
    min_distance: int | Literal["auto"] = knob(
        "auto",
        unit="px",
        ge=0,
        le=500,
        soft=(2, 40),
        doc="Nuclei closer than this are one; auto is 1.8 sigma, 2.15 sigma where other RNA guides. Larger: fewer "
        "nuclei, fewer halves.",
    )
    guide: Literal["auto", "total", "off"] = knob(
        "auto",
        doc="Whether all other RNA helps to place nuclei. auto: where nuclear RNA is less than a tenth of all, as of "
        "nuclear genes. off: nuclear RNA alone.",
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
    *,
    total: np.ndarray | None = None,
    fitted: Fitted | None = None,
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
        without one where other RNA guides, or with an empty one where counts lie in clumps.
    params : Params
        One of `NUCLEI_RNA`.
    tick : Tick
        Reports progress and cancels.
    total : (H, W) counts or None
        UMIs a pixel of all RNA, which may guide the method peaks; see its parameter `guide`.
    fitted : Fitted, optional
        What `fit_nuclei_rna` found in the whole, where these are windows of it.

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

    * a nucleus is a disc with blurred edges, as RNA fills it evenly: UMIs at its rim say more of its place than a
      Gaussian would let them;
    * a nucleus pays for its place and weight with a few UMIs in every round, so one that only shares the UMIs of its
      neighbours fades (minimum message length). A threshold on the height of a peak would lose faint nuclei with it;
    * nuclei that come closer than `min_distance` join, which undoes halves of one nucleus;
    * the UMIs between two touching nuclei are shared by how well each explains them, so a faint nucleus
      beside a bright one keeps its place, where smoothing would melt the two into one peak;
    * where nuclear RNA is sparse, a dozen UMIs a nucleus, the other RNA of the cell guides: a second mixture with the
      same centres and wider discs. It weighs little, for cytoplasm is lopsided, but it holds neighbours apart
      and keeps cells with few nuclear UMIs;
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
        numbers = (fit_nuclei_rna(counts, inside, total, params) if fitted is None else fitted).statistics
        other = _others(counts, total) if numbers["guided"] and total is not None else None
        return _label_peaks(counts, inside if numbers["masked"] else None, other, params, numbers, tick)
    if inside is None:
        raise InputError(f"method={params.method} labels the mask of nuclei; pass one, or choose method=peaks.")
    if isinstance(params, ComponentNuclei):
        return label_components(inside, **params.options(), tick=tick).labels
    if params.landscape == "distance":
        height = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, 5)
        markers = find_peaks_from_mask(inside, min_distance=params.min_distance)
    else:
        height = gauss_blur(counts, params.k)
        markers = find_peaks(counts, k=params.k, min_distance=params.min_distance, mask=inside, threshold_abs=0.0)
    return watershed(-height, markers, inside, tick)


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    _discs.warm()


SPARSE = 0.1
"""Nuclear RNA that is a smaller share of all RNA is guided by the rest: nuclear genes are, unspliced RNA is not."""
APART, APART_SPARSE = 1.8, 2.15
"""min_distance that auto stands for, in `sigma`: centres from a dozen UMIs scatter, so halves lie farther apart."""


def _label_peaks(
    counts: np.ndarray,
    mask: np.ndarray | None,
    other: np.ndarray | None,
    params: PeakNuclei,
    numbers: Mapping[str, Any],
    tick: Tick,
) -> np.ndarray:
    if not counts.any():
        return np.zeros(counts.shape, np.int32)
    if other is not None:
        # where other RNA guides, it vouches for nuclei of so few UMIs that the mask of nuclear RNA misses them
        mask = None
    apart = (
        float(params.min_distance)
        if params.min_distance != "auto"
        else (round((APART if other is None else APART_SPARSE) * params.sigma))
    )
    y, x, weight = _discs.fit_discs(
        counts, other, sigma=params.sigma, min_distance=apart, tick=tick, means=tuple(numbers["means"])
    )
    found = weight > params.min_counts
    y, x = y[found], x[found]
    labels = _discs.draw_discs(y, x, params.sigma * math.sqrt(-2 * math.log(params.cut)), counts.shape)

    area = np.bincount(labels.ravel(), minlength=len(y) + 1)
    keep = area >= max(params.min_area, 1)
    if mask is not None:
        keep &= np.bincount(labels[mask], minlength=len(keep)) > 0
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


def count_clumps(
    counts: np.ndarray, mask: np.ndarray | None, total: np.ndarray | None, params: PeakNuclei
) -> list[float]:
    """Count what `settle_peaks` needs of an image; those of its parts add up, where squares do not cross their borders.

    Returns
    -------
    list of float
        Pixels, nuclear UMIs, other UMIs, all UMIs, pixels of the mask, and of squares as large as a nucleus: their
        number, the sum and the sum of squares of their UMIs.
    """
    sums = bin_sums(counts, _square(params.sigma))
    everything = counts if total is None else total
    return [
        float(counts.size),
        float(counts.sum(dtype=np.uint64)),
        0.0 if total is None else float(_others(counts, total).sum(dtype=np.uint64)),
        float(everything.sum(dtype=np.uint64)),
        0.0 if mask is None else float(np.count_nonzero(mask)),
        float(sums.size),
        float(sums.sum()),
        float(np.square(sums).sum()),
    ]


def settle_peaks(found: list[float], params: PeakNuclei, *, masked: bool, known: bool) -> Fitted:
    """Decide by the counts of a whole image whether other RNA guides, and whether the mask is looked at.

    Parameters
    ----------
    found : list of float
        Of `count_clumps`.
    params : PeakNuclei
        Settings.
    masked, known : bool
        Whether there is a mask, and whether there are the counts of all RNA.
    """
    pixels, nuclear, others, total, inside, n, sums, squares = found
    if params.guide == "total" and not known:
        raise InputError("nuclei_rna.guide=total needs the counts of all RNA; pass `total`, or set guide=off.")
    guided = known and params.guide != "off" and not (params.guide == "auto" and nuclear >= SPARSE * total)
    mean = sums / max(n, 1)
    # a mixture of counts a pixel can fail to see nuclei of a few UMIs each; as a whole they are no noise
    clumped = squares / max(n, 1) - mean**2 > 2 * mean
    pixels = max(pixels, 1)
    means = [nuclear / pixels, others / pixels if guided else 0.0]
    return Fitted({"means": means, "guided": guided, "masked": masked and not (inside == 0 and clumped)})


def fit_nuclei_rna(counts: np.ndarray, mask: np.ndarray | None, total: np.ndarray | None, params: Params) -> Fitted:
    """Find the numbers of whole images that nuclei from RNA need; none for most methods."""
    if not isinstance(params, PeakNuclei):
        return Fitted()
    counts = check_counts(counts, "nuclear_counts")
    if total is not None:
        total = check_counts(total, "total")
        check_same_shape({"nuclear_counts": counts, "total": total})
    found = count_clumps(counts, mask, total, params)
    return settle_peaks(found, params, masked=mask is not None, known=total is not None)


def _square(sigma: float) -> int:
    return max(1, round(2.5 * sigma))


def _others(nuclear: np.ndarray, total: np.ndarray) -> np.ndarray:
    # counts that are not part of the total (another layer) leave nothing below zero
    return total - np.minimum(nuclear, total)
