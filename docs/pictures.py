"""Draw the pictures of the documentation from the bundled samples: ``python docs/pictures.py [NAME ...]``.

Every number in a picture is computed here, none is typed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from segapp import PRESETS, Session, compare_labels, load_sample
from segapp.core import align, density, edits, qc, score, stain
from segapp.core.convolve import circle_sum, gauss_blur
from segapp.core.display import Window, colour_ids, contours
from segapp.core.label.augment import SOURCES, augment, union
from segapp.core.label.cells import CELLS
from segapp.core.label.components import SplitParams, erode_to_cores, label_components, limit
from segapp.core.label.expand import expand
from segapp.core.label.markers import find_peaks, find_peaks_from_mask, find_peaks_with_erosion
from segapp.core.label.nuclei_rna import NUCLEI_RNA
from segapp.core.label.watershed import NucleiWatershedParams, label_nuclei
from segapp.core.score.model import Mixture
from segapp.core.score.nbinom import log_pmf

OUT = Path(__file__).parent / "_build" / "pictures"
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


# ---- what the pictures share


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


# ---- the pictures


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
    from segapp.core.frame import ORIENTATIONS, orient

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
    import cv2

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


@picture
def nuclei_mask() -> plt.Figure:
    """Draw the two thresholds of the stain and the mask that both make."""
    image = session().get("stain")
    params = stain.NucleiMaskParams()
    levels = stain.to_8_bit(image)
    from segapp.core.threshold import local_threshold, multi_otsu

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
def scores() -> plt.Figure:
    """Draw the scores of every method on total RNA, with the truth."""
    total = session().get("total")
    occupied = truth("cells") > 0
    figure, axes = panels(8, columns=4)
    show(axes[0], view(gauss_blur(total, 5)), "all RNA, blurred; true cells", "magma")
    outline(axes[0], view(truth("cells")), "white", 0.5)
    for axis, name in zip(axes[1:], score.METHODS.names(), strict=True):
        params = score.CELL_SCORE.option(name)(certain="off")
        info = score.fit_score(total, None, params)
        found = score.apply_score(total, None, None, params, info)
        mask, _ = score.mask_scores(found, info, None, score.ScoreMaskParams())
        f1 = 2 * (mask & occupied).sum() / (mask.sum() + occupied.sum())
        show(axis, view(found), f"{name}: pixel F1 {f1:.2f}", "viridis", vmin=0)
        outline(axis, view(mask.astype(np.int32)), CELLS_COLOUR, 0.7)
    bar(axes[0])
    return figure


@picture
def mixture() -> plt.Figure:
    """Draw the two negative binomials of a fit, and the posterior by count."""
    total = session().get("total")
    params = score.CELL_SCORE.option("EM")()
    fit = Mixture.from_json(score.fit_score(total, None, params).statistics["mixtures"]["0"])
    sums = circle_sum(total, params.k)
    last = int(np.quantile(sums, 0.995))
    values = np.arange(last + 1, dtype=np.float64)
    figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
    axis.bar(values, np.bincount(sums.ravel(), minlength=last + 1)[: last + 1] / sums.size, color="#c8ccd4", width=1)
    shares = fit.w
    for state, (name, colour) in enumerate((("background", "#7a3db8"), ("occupied", "#e07b00"))):
        pmf = shares[state] * np.exp(log_pmf(values, fit.mu[state], fit.r[state], fit.z[state]))
        axis.plot(values, pmf, color=colour, label=name)
    axis.set(xlabel=f"UMIs in a circle of {params.k} px", ylabel="share of the pixels")
    twin = axis.twinx()
    from segapp.core.score.model import posterior_table

    twin.plot(values, posterior_table(fit, last + 1), "--", color="#1a7f37", label="score")
    twin.set(ylabel="score", ylim=(0, 1.03))
    lines = [*axis.get_lines(), *twin.get_lines()]
    axis.legend(lines, [str(line.get_label()) for line in lines], frameon=False, loc="center right")
    return figure


@picture
def certain() -> plt.Figure:
    """Draw what nuclei that are certain do to the score."""
    s = session()
    nuclei = s.get("selected_nuclei")
    total = s.get("total")
    params = score.CELL_SCORE.option("EM+BP")()
    info = score.fit_score(total, None, params)
    figure, axes = panels(2, side=2.8)
    for axis, mask, words in ((axes[0], None, "certain=off"), (axes[1], nuclei > 0, "certain=nuclei")):
        show(axis, view(score.apply_score(total, None, mask, params, info)), words, "viridis", vmin=0, vmax=1)
        outline(axis, view(nuclei), "white", 0.7)
    return figure


@picture
def density_bins() -> plt.Figure:
    """Draw the density bins of the whole sample beside the truth."""
    total = session().get("total")
    bins, statistics = density.segment_density(total, density.WardParams())
    figure, (a, b, c) = panels(3, side=2.8)
    show(a, gauss_blur(total, 41), "all RNA, blurred widely", "magma")
    colours = ListedColormap(["#111111", *[plt.get_cmap("viridis")(v) for v in np.linspace(0.15, 1, int(bins.max()))]])
    show(b, bins, f"{int(bins.max())} bins, cut at distance {statistics['distance_threshold']:.2f}", colours)
    show(c, truth("density"), "true regions", ListedColormap(["#111111", *plt.get_cmap("viridis")([0.15, 0.6, 1.0])]))
    bar(a, 50)
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
def splitting() -> plt.Figure:
    """Draw how a component of a mask that was drawn by hand is eroded to pieces and grows back."""
    y, x = np.mgrid[:80, :110]
    mask = np.zeros(y.shape, bool)
    for cy, cx, r in ((38, 30, 19), (42, 58, 15), (36, 82, 16), (66, 96, 9)):
        mask |= (y - cy) ** 2 + (x - cx) ** 2 <= r * r
    params = SplitParams()
    cores = erode_to_cores(mask, k=params.k, min_area=params.min_area, n_iter=params.n_iter)
    plain, made = (
        label_components(
            mask,
            area_threshold=threshold,
            k=params.k,
            min_area=params.min_area,
            n_iter=params.n_iter,
            distance=params.distance,
            max_area=float("inf"),
        ).labels
        for threshold in (float("inf"), float(params.area_threshold))
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


@picture
def table() -> plt.Figure:
    """Draw the table of cells x genes back onto the section."""
    s = session()
    found, labels = s.get("table"), s.get("cells")
    genes = np.asarray(found.X.sum(axis=0)).ravel()
    spread = np.asarray(found.X.power(2).sum(axis=0)).ravel() / np.maximum(genes, 1)
    varied = int(np.argmax(np.where(genes > 200, spread, 0)))
    figure, axes = panels(3, side=2.8)
    by_label = np.zeros(int(labels.max()) + 1)
    columns: Iterable[tuple[str, np.ndarray, str]] = (
        ("UMIs a cell", found.obs["n_counts"].to_numpy(), "viridis"),
        ("genes a cell", found.obs["n_genes"].to_numpy(), "cividis"),
        (f"UMIs of {found.var_names[varied]}", found.X[:, varied].toarray().ravel(), "magma"),
    )
    for axis, (name, values, colours) in zip(axes, columns, strict=True):
        by_label[found.obs["label"].to_numpy()] = values
        show(axis, np.where(labels > 0, by_label[labels], np.nan), name, colours)
        axis.set_facecolor("black")
    bar(axes[0], 50)
    return figure


@picture
def presets() -> plt.Figure:
    """Draw the labels of every preset."""
    figure, axes = panels(5)
    for axis, name in zip(axes, PRESETS, strict=True):
        s = Session(store=session().store)
        s.load(sample().transcripts, sample().stain if PRESETS[name].needs_stain else None)
        s.use_preset(name)
        labels = s.get("cells")
        kind = "nuclei" if name == "rna-nuclear" else "cells"
        show(axis, view(gauss_blur(s.get("total"), 5)), f"{name}\n{accuracy(kind, labels)} ({kind})", "magma")
        outline(axis, view(labels), CELLS_COLOUR)
    bar(axes[0])
    return figure


@picture
def compared() -> plt.Figure:
    """Draw found cells over true ones, and the average precision by the overlap that is asked for."""
    s = session()
    found = compare_labels(truth("cells"), s.get("cells"))
    figure, (a, b) = plt.subplots(1, 2, figsize=(6.4, 2.9), layout="constrained", width_ratios=(1, 1.2))
    show(a, view(s.get("stain")), "true cells in pink, found ones in yellow")
    outline(a, view(truth("cells")), TRUTH_COLOUR)
    outline(a, view(s.get("cells")), CELLS_COLOUR)
    a.set_xticks([])
    a.set_yticks([])
    b.plot(list(found.ap), list(found.ap.values()), "o-", color="#7a3db8", label="found cells")
    scattered = compare_labels(truth("cells"), qc.random_labels_like(s.get("cells"), seed=0))
    b.plot(
        list(scattered.ap), list(scattered.ap.values()), "o-", color="#9aa0aa", label="labels of these sizes anywhere"
    )
    b.legend(frameon=False)
    b.set(xlabel="IoU that counts as a match", ylabel="average precision", ylim=(0, 1))
    return figure


def main(names: Sequence[str]) -> int:
    """Draw the pictures with these names, or all."""
    from pictures_network import PICTURES as OF_NETWORKS

    PICTURES.update(OF_NETWORKS)
    unknown = set(names) - set(PICTURES)
    if unknown:
        print(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}", file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        figure = PICTURES[name]()
        figure.savefig(OUT / f"{name}.png", dpi=110, bbox_inches="tight")
        plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
