"""Draw cells: how nuclei and a mask become cells, and what a hand changes."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from segapp import Session
from segapp.core import edits, stain
from segapp.core.convolve import gauss_blur
from segapp.core.label.cells import CELLS
from segapp.core.label.components import SplitParams, erode_to_cores, label_components, limit
from segapp.core.label.expand import expand

from .canvas import (
    CELLS_COLOUR,
    NUCLEI_COLOUR,
    TRUTH_COLOUR,
    accuracy,
    bar,
    fill,
    outline,
    panels,
    picture,
    sample,
    session,
    show,
    view,
)


@picture
def cytoplasm() -> plt.Figure:
    """Draw the lenient mask and the cells that grow in it."""
    s = session()
    image, nuclei = s.get("stain"), s.get("selected_nuclei")
    lenient = stain.mask_cells(image, stain.CytoplasmParams())
    grown = CELLS.option("expand")()
    cells = expand(nuclei, distance=grown.distance, max_area=limit(grown.max_area), mask=lenient | (nuclei > 0))
    figure, (a, b, c) = panels(3, side=2.8)
    show(a, view(np.sqrt(image.astype(float))), "stain, faint parts lifted")
    show(b, view(lenient), "cytoplasm mask, nuclei outlined")
    outline(b, view(nuclei), NUCLEI_COLOUR)
    show(c, view(np.sqrt(image.astype(float))), f"nuclei grown by {grown.distance} px inside it")
    outline(c, view(cells), CELLS_COLOUR)
    outline(c, view(nuclei), NUCLEI_COLOUR, 0.7)
    bar(a)
    return figure


@picture
def splitting() -> plt.Figure:
    """Draw how a component of a mask that was drawn by hand is eroded to pieces and grows back."""
    y, x = np.mgrid[:80, :110]
    mask = np.zeros(y.shape, bool)
    for cy, cx, r in ((38, 30, 19), (42, 58, 15), (36, 82, 16), (66, 96, 9)):
        mask |= (y - cy) ** 2 + (x - cx) ** 2 <= r * r
    params = SplitParams()
    cores = erode_to_cores(mask, k=params.k, min_area=params.min_area, n_iter=params.n_iter)
    plain, made = (
        label_components(mask, **split.with_(max_area="off").options()).labels
        for split in (params.with_(area_threshold="off"), params)
    )
    figure, axes = panels(4)
    show(axes[0], mask, f"mask, {int(mask.sum()):,} px²")
    fill(axes[1], plain, "area_threshold=off")
    fill(axes[2], np.asarray(cores), "eroded to cores")
    fill(axes[3], made, f"grown back by {params.distance} px")
    return figure


@picture
def cells() -> plt.Figure:
    """Draw the cells of every method, from the same nuclei and the same mask."""
    s = Session(store=session().store)
    s.load(sample().transcripts, sample().stain)
    s.use_preset("stain+rna")
    figure, axes = panels(4)
    for axis, name in zip(axes, CELLS.names(), strict=True):
        s.set("cells", method=name)
        labels = s.get("cells")
        show(axis, view(gauss_blur(s.get("total"), 5)), f"{name}: {accuracy('cells', labels)}", "magma")
        outline(axis, view(labels), CELLS_COLOUR)
        outline(axis, view(s.get("selected_nuclei")), NUCLEI_COLOUR, 0.6)
    bar(axes[0])
    return figure


@picture
def editing() -> plt.Figure:
    """Draw each kind of edit on cells that were drawn by hand."""
    y, x = np.mgrid[:60, :60]
    before = np.zeros(y.shape, np.int32)
    for i, (cy, cx) in enumerate(((16, 16), (16, 44), (44, 16), (44, 44)), 1):
        before[(y - cy) ** 2 + (x - cx) ** 2 <= 144] = i
    log: list[dict[str, Any]] = [
        {"op": "merge", "points": [[16, 16], [44, 16]]},
        {"op": "split", "points": [[16, 28], [16, 59]]},
        {"op": "delete", "points": [[44, 44]]},
        {"op": "draw", "points": [[36, 34], [56, 34], [56, 56], [40, 50]]},
    ]
    shots = [("before", [])] + [(" + ".join(e["op"] for e in log[: i + 1]), log[: i + 1]) for i in range(len(log))]
    figure, axes = panels(len(shots))
    for axis, (name, made) in zip(axes, shots, strict=True):
        _, after, _ = edits.apply_edits(None, before, edits.EditsParams(log=made))
        fill(axis, after, name.split(" + ")[-1] if made else name)
        for edit in made[-1:]:
            points = np.array(edit["points"] + edit["points"][:1] * (edit["op"] == "draw"))
            axis.plot(*points.T, "o-", color="white", markersize=4, linewidth=1)
    return figure


@picture
def limits() -> plt.Figure:
    """Draw cells within the area limits, and the ghosts."""
    s = session()
    labels = s.get("edited_cells")
    area = np.bincount(labels.ravel())[1:]
    area = area[area > 0]
    low, high = (int(v) for v in np.quantile(area, (0.15, 0.9)))
    kept, ghosts = edits.apply_limits(labels, edits.LimitsParams(min_area=low, max_area=high))
    figure, (a, b) = plt.subplots(1, 2, figsize=(6.4, 2.9), layout="constrained", width_ratios=(1.2, 1))
    a.hist(area * 0.25, bins=25, color="#c8ccd4")
    for value in (low, high):
        a.axvline(value * 0.25, color=TRUTH_COLOUR)
    a.set(xlabel="area of a cell, µm²", ylabel="cells", title=f"min_area={low}, max_area={high} px²")
    show(b, view(s.get("stain")), "kept in yellow, ghosts in pink")
    outline(b, view(kept), CELLS_COLOUR)
    outline(b, view(ghosts), TRUTH_COLOUR)
    b.set_xticks([])
    b.set_yticks([])
    return figure
