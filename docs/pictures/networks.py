"""Draw nuclei found by a network."""

from __future__ import annotations

import functools

import matplotlib.pyplot as plt
import numpy as np

from segapp import load_sample
from segapp.core.engines.options import StardistParams
from segapp.core.engines.stardist.predict import Candidates, apply, fit
from segapp.core.label.augment import SOURCES, augment, provenance_of, union
from segapp.core.label.watershed import NucleiWatershedParams, label_nuclei
from segapp.core.stain import NucleiMaskParams, mask_nuclei
from segapp.io.models import open_model

from .canvas import CELLS_COLOUR, NUCLEI_COLOUR, TRUTH_COLOUR, bar, outline, panels, picture, show

VIEW = np.s_[420:620, 380:580]
"""100 x 100 µm of the real ssDNA image, dense and sparse tissue side by side."""

PARAMS = StardistParams(equalize=0)


@functools.cache
def image() -> np.ndarray:
    """Return the real ssDNA image."""
    return np.asarray(load_sample("mosta").stain.image)


@functools.cache
def answer() -> Candidates:
    """Return what the bundled network answers."""
    return fit(image(), PARAMS, open_model(PARAMS))


def size(labels: np.ndarray) -> str:
    """Return how many nuclei there are in the whole image, and their median area."""
    area = np.bincount(labels.ravel())[1:]
    area = area[area > 0]
    return f"{len(area)} nuclei, median {np.median(area):.0f} px²"


@picture
def network() -> plt.Figure:
    """Draw outlines by watershed, by network, and both ways to join them, on real ssDNA."""
    by_watershed = label_nuclei(image(), mask_nuclei(image(), NucleiMaskParams()), NucleiWatershedParams())
    by_network = apply(answer(), PARAMS).labels
    shots = {
        "watershed": (by_watershed, provenance_of(by_watershed, "watershed")),
        "network": (by_network, provenance_of(by_network, "network")),
        "augment": augment(by_watershed, by_network),
        "union": union(by_watershed, by_network),
    }
    figure, axes = panels(4)
    for axis, (title, (labels, origin)) in zip(axes, shots.items(), strict=True):
        show(axis, image()[VIEW], f"{title}\n{size(labels)}")
        for name, colour in (("watershed", NUCLEI_COLOUR), ("network", TRUTH_COLOUR)):
            mine = np.where(origin[labels] == SOURCES.index(name), labels, 0)
            outline(axis, mine[VIEW], colour)
    bar(axes[0])
    return figure


@picture
def network_thresholds() -> plt.Figure:
    """Draw what the network answers, and what thresholds make of it."""
    figure, axes = panels(4)
    show(axes[0], apply(answer(), PARAMS).scores[VIEW], "probability of an object\n", "viridis")
    for axis, value in zip(axes[1:], (0.2, answer().prob_thresh, 0.8), strict=True):
        labels = apply(answer(), PARAMS.with_(prob_thresh=value)).labels
        show(axis, image()[VIEW], f"prob_thresh {value:g}\n{size(labels)}")
        outline(axis, labels[VIEW], CELLS_COLOUR)
    bar(axes[0])
    return figure
