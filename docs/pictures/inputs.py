"""Draw the two files of a section: as they are read, and brought into one frame."""

from __future__ import annotations

import cv2
import matplotlib.pyplot as plt
import numpy as np

from segapp import Session, load_sample
from segapp.core import align
from segapp.core.convolve import gauss_blur
from segapp.core.frame import ORIENTATIONS, orient

from .canvas import (
    CELLS_COLOUR,
    NUCLEI_COLOUR,
    SIZE,
    bar,
    outline,
    panels,
    picture,
    session,
    show,
    view,
)


@picture
def overview() -> plt.Figure:
    """Draw the way from two files to cells."""
    s = session()
    figure, (a, b, c, d) = panels(4)
    show(a, view(s.get("stain")), "stain, aligned")
    show(b, view(gauss_blur(s.get("total"), 5)), "all RNA, blurred", "magma")
    show(c, view(s.get("cell_scores")), "cell score (EM+BP)", "viridis", vmin=0, vmax=1)
    show(d, view(s.get("stain")), "nuclei and cells")
    outline(d, view(s.get("cells")), CELLS_COLOUR)
    outline(d, view(s.get("nuclei")), NUCLEI_COLOUR, 0.8)
    bar(a)
    return figure


@picture
def frame() -> plt.Figure:
    """Draw a real section with its input coordinates, and the eight orientations of a stain."""
    real = load_sample("stereoseq")
    s = Session()
    s.load(real.transcripts)
    grid, total = s.get("frame"), s.get("total")
    figure = plt.figure(figsize=(8.6, 3.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
    axis = left.subplots()
    axis.imshow(
        gauss_blur(total, 7),
        cmap="magma",
        extent=(grid.x0, grid.x0 + grid.width, grid.y0 + grid.height, grid.y0),
    )
    axis.set_title(f"stereoseq: pixel (0, 0) is input ({grid.x0}, {grid.y0})")
    axis.set_xlabel("x of the input, columns")
    axis.set_ylabel("y of the input, rows")
    axis.locator_params(nbins=4)
    letter = np.zeros((9, 7))
    letter[1:8, 1] = letter[1, 1:6] = letter[4, 1:5] = 1
    for spot, name in zip(right.subplots(2, 4).ravel(), ORIENTATIONS, strict=True):
        spot.imshow(orient(letter, name), cmap="gray")
        spot.set_title(name)
        spot.set_xticks([])
        spot.set_yticks([])
    right.suptitle("stain.orientation: what becomes of an F", fontsize=8.5)
    return figure


@picture
def alignment() -> plt.Figure:
    """Draw stain and RNA over each other before and after each kind of alignment."""
    s = session()
    raw, nuclear = s.get("stain_raw"), s.get("nuclear")
    rna = gauss_blur(nuclear, 9)
    rna = np.clip(rna / np.quantile(rna, 0.995), 0, 1)
    y, x = np.mgrid[:SIZE, :SIZE]
    bent_by = 7 * np.sin(x / SIZE * np.pi * 2) * np.sin(y / SIZE * np.pi)
    bent = cv2.remap(raw, (x + 4).astype(np.float32), (y + bent_by - 6).astype(np.float32), cv2.INTER_LINEAR)
    figure, axes = panels(4)
    ways = [("affine", raw), ("tps", bent)]
    for (mode, given), (before, after) in zip(ways, (axes[:2], axes[2:]), strict=True):
        moved, found = align.align_stain(given, nuclear, align.ALIGN.option(mode)())
        named = "shifted" if mode == "affine" else "bent"
        for axis, image, words in (
            (before, given, f"{named}: NCC {found.ncc_before:.3f}"),
            (after, moved, f"mode={mode}: NCC {found.ncc_after:.3f}"),
        ):
            grey = np.clip(image / np.quantile(raw, 0.995), 0, 1)
            show(axis, np.dstack([view(rna), view(grey), view(rna)]), words)
    bar(axes[0])
    return figure
