"""Draw nuclei: from the stain, from unspliced RNA, and both joined."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from segapp import Session
from segapp.core import stain
from segapp.core.convolve import gauss_blur
from segapp.core.label.augment import SOURCES, augment, union
from segapp.core.label.markers import find_peaks, find_peaks_from_mask, find_peaks_with_erosion
from segapp.core.label.nuclei_rna import NUCLEI_RNA
from segapp.core.label.watershed import NucleiWatershedParams, label_nuclei
from segapp.core.threshold import local_threshold, multi_otsu

from .canvas import (
    CELLS_COLOUR,
    NUCLEI_COLOUR,
    TRUTH_COLOUR,
    accuracy,
    bar,
    outline,
    panels,
    picture,
    sample,
    session,
    show,
    truth,
    view,
)


@picture
def nuclei_mask() -> plt.Figure:
    """Draw the two thresholds of the stain and the mask that both make."""
    image = session().get("stain")
    params = stain.NucleiMaskParams()
    levels = stain.to_8_bit(image)
    cut = multi_otsu(levels, params.otsu_classes)[params.otsu_index]
    figure, (a, b, c, d) = panels(4)
    show(a, view(image), "stain")
    show(b, view(levels >= cut), f"global: brightness {cut:.0f} or more")
    show(c, view(local_threshold(levels, params.local_k, params.offset)), f"local: {params.offset} above the mean")
    show(d, view(stain.mask_nuclei(image, params)), f"both, smoothed with mk {params.mk}")
    bar(a)
    return figure


@picture
def nuclei_watershed() -> plt.Figure:
    """Draw the markers of each kind and the nuclei that they give."""
    s = session()
    image, mask = s.get("stain"), s.get("nuclei_mask")
    params = NucleiWatershedParams()
    floor = float(image.min()) - 1
    markers = {
        "distance": find_peaks_from_mask(mask, min_distance=params.min_distance),
        "peaks": find_peaks(image, k=params.k, min_distance=params.min_distance, mask=mask, threshold_abs=floor),
        "erosion": find_peaks_with_erosion(mask, k=3, square=False, min_area=params.min_area, n_iter=-1, float_k=1),
    }
    figure, axes = panels(3, side=2.8)
    for axis, (name, found) in zip(axes, markers.items(), strict=True):
        labels = label_nuclei(image, mask, params.with_(markers=name))
        show(axis, view(image), f"markers={name}: {accuracy('nuclei', labels)}")
        outline(axis, view(labels), NUCLEI_COLOUR)
        spots = [np.argwhere(view(found) == i).mean(0) for i in np.unique(view(found))[1:]]
        if spots:
            y, x = np.array(spots).T
            axis.plot(x + 0.5, y + 0.5, ".", color="#ff5a5a", markersize=4)
    bar(axes[0])
    return figure


@picture
def nuclei_rna() -> plt.Figure:
    """Draw nuclei found in unspliced RNA by each method."""
    s = Session()
    s.load(sample().transcripts)
    s.use_preset("rna-nuclear")
    nuclear = s.get("nuclear")
    figure, axes = panels(5)
    show(axes[0], view(gauss_blur(nuclear, 9)), f"{s.get('nuclear_source')} RNA, blurred", "magma")
    outline(axes[0], view(truth("nuclei")), "white", 0.5)
    show(axes[1], view(s.get("nuclei_scores")), "nuclear score (EM+BP)", "viridis", vmin=0, vmax=1)
    outline(axes[1], view(s.get("rna_nuclei_mask").astype(np.int32)), CELLS_COLOUR, 0.8)
    for axis, name in zip(axes[2:], NUCLEI_RNA.names(), strict=True):
        s.set("nuclei_rna", method=name)
        labels = s.get("rna_nuclei")
        show(axis, view(gauss_blur(nuclear, 9)), f"{name}: {accuracy('nuclei', labels)}", "magma")
        outline(axis, view(labels), NUCLEI_COLOUR)
    bar(axes[0])
    return figure


@picture
def integrate() -> plt.Figure:
    """Draw two labelings of the same nuclei, and both ways to join them."""
    s = session()
    image, first = s.get("stain"), s.get("watershed_nuclei")
    r = Session()
    r.load(sample().transcripts)
    r.use_preset("rna-nuclear")
    # a labeling that misses faint nuclei, so that there is something to add
    r.set("nuclei_rna", min_counts=30)
    second = r.get("rna_nuclei")
    figure, axes = panels(4)
    show(axes[0], view(image), "first: watershed of the stain")
    outline(axes[0], view(first), NUCLEI_COLOUR)
    show(axes[1], view(image), "second: another labeling")
    outline(axes[1], view(second), TRUTH_COLOUR)
    for axis, (name, join) in zip(axes[2:], (("augment", augment), ("union", union)), strict=True):
        labels, source = join(first, second)
        n = [int((source == SOURCES.index(word)).sum()) for word in ("network", "watershed")]
        show(axis, view(image), f"{name}: {n[0]} pink, {n[1]} blue")
        outline(axis, view(np.where(source[labels] == SOURCES.index("network"), labels, 0)), TRUTH_COLOUR)
        outline(axis, view(np.where(source[labels] == SOURCES.index("watershed"), labels, 0)), NUCLEI_COLOUR)
    bar(axes[0])
    return figure
