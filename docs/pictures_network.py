"""Draw the pictures of nuclei by network; `docs/pictures.py` calls them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from pictures import CELLS_COLOUR, NUCLEI_COLOUR, TRUTH_COLOUR, bar, outline, panels, show

from segapp import Session, load_sample
from segapp.core.label.augment import SOURCES

VIEW = np.s_[420:620, 380:580]
"""100 x 100 µm of the real ssDNA image, dense and sparse tissue side by side."""

PICTURES: dict[str, Callable[[], plt.Figure]] = {}


def picture(function: Callable[[], plt.Figure]) -> Callable[[], plt.Figure]:
    """Register a picture under the name of its function."""
    PICTURES[function.__name__] = function
    return function


@functools.cache
def mosta() -> Session:
    """Return a session with the real ssDNA image, on which a network is asked."""
    sample = load_sample("mosta")
    made = Session()
    made.load(sample.transcripts, sample.stain)
    made.use_preset("stain")
    made.set("align", mode="off")
    return made


def size(labels: np.ndarray) -> str:
    """Return how many nuclei there are in the whole image, and their median area."""
    area = np.bincount(labels.ravel())[1:]
    area = area[area > 0]
    return f"{len(area)} nuclei, median {np.median(area):.0f} px²"


@picture
def network() -> plt.Figure:
    """Draw outlines by watershed, by network, and both ways to join them, on real ssDNA."""
    s = mosta()
    image = s.get("stain")
    figure, axes = panels(4)
    for axis, source in zip(axes, ("watershed", "network", "augment", "union"), strict=True):
        s.set("nuclei", source=source)
        labels, origin = s.get("selected_nuclei"), s.get("nuclei_provenance")
        show(axis, image[VIEW], f"{source}: {size(labels)}")
        for name, colour in (("watershed", NUCLEI_COLOUR), ("network", TRUTH_COLOUR)):
            mine = np.where(origin[labels] == SOURCES.index(name), labels, 0)
            outline(axis, mine[VIEW], colour)
    bar(axes[0])
    return figure


@picture
def network_thresholds() -> plt.Figure:
    """Draw what the network answers, and what thresholds make of it."""
    s = mosta()
    image = s.get("stain")
    figure, axes = panels(4)
    show(axes[0], s.get("network_scores")[VIEW], "probability of an object", "viridis")
    for axis, value in zip(axes[1:], (0.2, "auto", 0.8), strict=True):
        s.set("nuclei_network", prob_thresh=value)
        labels = s.get("network_nuclei")
        show(axis, image[VIEW], f"prob_thresh {value}: {size(labels)}")
        outline(axis, labels[VIEW], CELLS_COLOUR)
    s.set("nuclei_network", prob_thresh="auto")
    bar(axes[0])
    return figure
