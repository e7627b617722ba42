"""What the pictures share: the tissue, its truth, and how images, outlines and areas are drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from segapp import Session, compare_labels, load_sample
from segapp.core.display import Window, colour_ids, contours

SIZE, SEED = 512, 2
VIEW = np.s_[20:220, 180:380]
"""What most pictures show: 100 x 100 µm of the simulated tissue."""

CELLS_COLOUR, NUCLEI_COLOUR, TRUTH_COLOUR = "#ffd24a", "#56c8ff", "#ff7ab8"
PICTURES: dict[str, Callable[[], plt.Figure]] = {}

plt.rcParams.update({"font.size": 8, "axes.titlesize": 8.5, "font.family": "DejaVu Sans"})


def picture(function: Callable[[], plt.Figure]) -> Callable[[], plt.Figure]:
    """Register a picture under the name of its function."""
    PICTURES[function.__name__] = function
    return function


@functools.cache
def sample() -> Any:
    """Return the simulated tissue."""
    return load_sample("tissue", size=SIZE, seed=SEED)


@functools.cache
def session() -> Session:
    """Return a session with the simulated tissue and the preset for a stain and RNA."""
    made = Session()
    made.load(sample().transcripts, sample().stain)
    return made


def truth(kind: str) -> np.ndarray:
    """Return the true labels."""
    return np.asarray(sample().truth[kind])


def accuracy(kind: str, labels: np.ndarray) -> str:
    """Return the average precision of labels at IoU 0.5 as words."""
    return f"AP@0.5 {compare_labels(truth(kind), labels).ap[0.5]:.2f}"


def panels(n: int, columns: int | None = None, side: float = 2.2) -> tuple[plt.Figure, list[plt.Axes]]:
    """Return a figure with square panels without ticks."""
    columns = columns or n
    rows = -(-n // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(side * columns, (side + 0.28) * rows), squeeze=False, layout="constrained"
    )
    flat = list(axes.ravel())
    for axis in flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for axis in flat[n:]:
        axis.set_visible(False)
    return figure, flat[:n]


def show(axis: plt.Axes, image: np.ndarray, title: str, colours: Any = "gray", **options: Any) -> None:
    """Draw an image with pixel edges at whole numbers."""
    height, width = image.shape[:2]
    axis.imshow(image, cmap=colours, extent=(0, width, height, 0), interpolation="nearest", **options)
    axis.set_title(title)


def outline(axis: plt.Axes, labels: np.ndarray, colour: str, width: float = 1.0) -> None:
    """Draw the outlines of labels."""
    h, w = labels.shape
    x, y = contours(np.ascontiguousarray(labels, np.int32), Window(0, 0, w, h, w, h))
    axis.plot(x, y, color=colour, linewidth=width)


def fill(axis: plt.Axes, labels: np.ndarray, title: str) -> None:
    """Draw labels as areas, neighbours in different colours."""
    ids = colour_ids(np.ascontiguousarray(labels, np.int32)).astype(int)
    palette = np.vstack([[0, 0, 0, 1], plt.get_cmap("tab20")(np.arange(256) % 20)])
    show(axis, palette[np.where(labels > 0, 1 + ids % 20, 0)], title)


def bar(axis: plt.Axes, um: float = 20, um_per_px: float = 0.5) -> None:
    """Draw a scale bar."""
    x0, x1 = axis.get_xlim()
    y1, _ = sorted(axis.get_ylim())[::-1]
    span = abs(x1 - x0)
    left = x0 + 0.05 * span
    axis.plot([left, left + um / um_per_px], [y1 - 0.06 * span] * 2, color="white", linewidth=2.5)
    axis.text(left, y1 - 0.08 * span, f"{um:g} µm", color="white", va="bottom", fontsize=7)


def view(image: np.ndarray) -> np.ndarray:
    """Return the part of an array that is shown."""
    return np.asarray(image)[VIEW]
