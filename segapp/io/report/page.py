"""The report: what was found, where it looks right and where not, with what it was made."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core.doubt import Window, choose_windows, doubts
from segapp.core.types import Grid
from segapp.io.atomic import atomic_file
from segapp.io.report.charts import (
    DOUBTFUL,
    NUCLEUS,
    SURE,
    cell_map,
    histogram,
    jpeg,
    outline_paths,
    scale_bar,
)

if TYPE_CHECKING:
    from anndata import AnnData

OVERVIEW, WINDOW, WINDOWS = 1100, 200, 3
"""Longest side of the overviews in px, side of a window in px of the frame, windows of each kind."""

_SURE = ("score", "nucleus_probability")


def write_report(
    path: str | Path,
    table: AnnData,
    labels: np.ndarray,
    grid: Grid,
    *,
    nuclei: np.ndarray | None = None,
    title: str = "",
) -> None:
    """Write a report as one HTML file that needs nothing else; it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to write.
    table : AnnData
        Cells x genes, as `segapp.io.table.to_anndata` makes it, with a scorecard where there is one.
    labels : (H, W) integer array
        Cells, 0 = background.
    grid : Grid
        Where the labels sit, and the side of a pixel.
    nuclei : (H, W) integer array, optional
        Nuclei under the ids of their cells.
    title : str
        What the section is called.

    Raises
    ------
    InputError
        When `path` cannot be written.

    Notes
    -----
    Doubtful cells are those whose area is unusual, that hold few UMIs for their size, or whose score is low, compared
    with the other cells of the section: a place to look at, not a verdict. Pictures are at most 4096 px a side inside
    the table, so that windows of larger sections are shown at a lower resolution; outlines are always exact.
    """
    obs = table.obs
    place = table.obsm["spatial"]
    sure = {name: obs[name].to_numpy() for name in _SURE if name in obs}
    doubt = doubts(obs["area_px"].to_numpy(), obs["n_counts"].to_numpy(), sure)
    good, bad = choose_windows(place[:, 0], place[:, 1], doubt, grid.shape, side=WINDOW, n=WINDOWS)
    picture, step = _picture(table, grid)
    parts = [
        _headline(table, grid),
        _overview(picture, step, labels, obs["label"].to_numpy(), doubt, grid, good, bad),
        _zooms("Areas that look right", good, "sure", SURE, table, picture, step, labels, nuclei, grid),
        _zooms("Areas to look at twice", bad, "doubtful", DOUBTFUL, table, picture, step, labels, nuclei, grid),
        _histograms(table),
        _scorecard(table, grid),
        _made_with(table, grid),
    ]
    name = html.escape(title or "Cells of a section")
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} – segapp</title><style>{style}</style></head><body><main>"
        f"<header><p>Cell segmentation report</p><h1>{name}</h1></header>{''.join(parts)}"
        "</main></body></html>\n"
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _picture(table: AnnData, grid: Grid) -> tuple[np.ndarray, int]:
    """(h, w) uint8 picture behind the cells, and px of the frame in one of it."""
    found = next(iter(table.uns.get("spatial", {}).values()), None)
    if found is None:
        return np.zeros(grid.shape, np.uint8), 1
    return np.asarray(found["images"]["hires"])[:, :, 0], round(1 / float(found["scalefactors"]["tissue_hires_scalef"]))


def _share(made: dict[str, Any]) -> float:
    total = int(made["umis_total"])
    return (total - int(made["umis_unassigned"])) / total if total else 0.0


def _headline(table: AnnData, grid: Grid) -> str:
    made, obs = table.uns["segapp"], table.obs
    card = dict(made.get("scorecard", {}))
    n = table.n_obs
    figures = [
        (f"{n:,}", "cells"),
        (f"{np.median(obs['area_um2']):,.0f} µm²" if n else "–", "median area"),
        (f"{np.median(obs['n_counts']):,.0f}" if n else "–", "median UMIs a cell"),
        (f"{np.median(obs['n_genes']):,.0f}" if n else "–", "median genes a cell"),
        (f"{_share(made):.0%}", "of all UMIs lie in cells"),
    ]
    if "ratio" in card:
        figures.append((f"{float(card['ratio']):.1f} ×", "the UMIs of random cells"))
    tiles = "".join(f"<li><b>{value}</b><span>{text}</span></li>" for value, text in figures)
    return f'<ul class="tiles">{tiles}</ul><p class="lead">{_in_words(n, _share(made), card, grid)}</p>'


def _in_words(n: int, share: float, card: dict[str, Any], grid: Grid) -> str:
    size = f"{grid.um(grid.width) / 1000:.3g} x {grid.um(grid.height) / 1000:.3g} mm"
    if not n:
        return f"No cell was found in {size}."
    text = f"The section measures {size}. {share:.0%} of its UMIs lie in cells"
    if "ratio" in card:
        ratio = float(card["ratio"])
        verdict = (
            "the cells follow the RNA clearly"
            if ratio >= 1.5
            else "the cells follow the RNA"
            if ratio >= 1.15
            else "that is little more than chance: look at the areas below before you use these cells"
        )
        text += f", {ratio:.1f} times as many as in cells of the same sizes scattered at random: {verdict}"
    text += "."
    if "within_limits" in card and float(card["within_limits"]) < 0.9:
        text += f" {1 - float(card['within_limits']):.0%} of the cells found were left out by the limits of area."
    return text


def _overview(
    picture: np.ndarray,
    step: int,
    labels: np.ndarray,
    ids: np.ndarray,
    doubt: np.ndarray,
    grid: Grid,
    good: tuple[Window, ...],
    bad: tuple[Window, ...],
) -> str:
    import cv2

    shrink = max(1, -(-max(picture.shape) // OVERVIEW))
    size = (max(1, picture.shape[1] // shrink), max(1, picture.shape[0] // shrink))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if shrink > 1 else picture
    boxes = "".join(
        _box(w, f"{k}{i}", c, grid)
        for k, c, ws in (("A", SURE, good), ("B", DOUBTFUL, bad))
        for i, w in enumerate(ws, 1)
    )
    view = f'viewBox="0 0 {grid.width} {grid.height}"'
    whole = f'width="{grid.width}" height="{grid.height}" preserveAspectRatio="none"'
    left = (
        f'<figure><svg {view} role="img" aria-label="The section with the areas shown below">'
        f'<image href="{jpeg(small)}" {whole}/>{boxes}{scale_bar(grid.shape, grid.um_per_px)}</svg>'
        "<figcaption>The section. Frames: the areas shown below.</figcaption></figure>"
    )
    right = (
        f'<figure><svg {view} role="img" aria-label="Cells coloured by how doubtful they are">'
        f'<image href="{jpeg(cell_map(labels, ids, doubt, OVERVIEW))}" {whole}/></svg>'
        '<figcaption>Cells: <i class="key sure"></i> sure to <i class="key doubtful"></i> doubtful, compared with the '
        "other cells of the section.</figcaption></figure>"
    )
    return f'<section><h2>Overview</h2><div class="two">{left}{right}</div></section>'


def _box(window: Window, name: str, colour: str, grid: Grid) -> str:
    thick = max(grid.shape) / 300
    return (
        f'<rect x="{window.column}" y="{window.row}" width="{window.side}" height="{window.side}" fill="none" '
        f'stroke="{colour}" stroke-width="{thick:.1f}"/><text x="{window.column + 2 * thick:.0f}" '
        f'y="{window.row + 9 * thick:.0f}" paint-order="stroke" style="fill:#fff;stroke:#000;'
        f'stroke-width:{thick / 2:.1f}px;font-weight:700;font-size:{8.5 * thick:.0f}px">{name}</text>'
    )


def _zooms(
    title: str,
    windows: tuple[Window, ...],
    kind: str,
    colour: str,
    table: AnnData,
    picture: np.ndarray,
    step: int,
    labels: np.ndarray,
    nuclei: np.ndarray | None,
    grid: Grid,
) -> str:
    if not windows:
        return ""
    letter = "A" if kind == "sure" else "B"
    figures = []
    for i, window in enumerate(windows, 1):
        rows, columns = slice(window.row, window.row + window.side), slice(window.column, window.column + window.side)
        part = picture[rows.start // step : -(-rows.stop // step), columns.start // step : -(-columns.stop // step)]
        lines = outline_paths(labels[rows, columns], colour, window.side / 160)
        if nuclei is not None:
            lines += outline_paths(nuclei[rows, columns], NUCLEUS, window.side / 300)
        inside = table.obs.iloc[list(window.cells)]
        said = [
            f"{len(inside)} cells",
            f"median {np.median(inside['n_counts']):,.0f} UMIs",
            f"{np.median(inside['area_um2']):,.0f} µm²",
        ]
        if "score" in inside:
            said.append(f"score {np.nanmean(inside['score']):.2f}")
        x, y = grid.x0 + window.column, grid.y0 + window.row
        at = f"x {x} to {x + window.side}, y {y} to {y + window.side}"
        whole = f'width="{window.side}" height="{window.side}" preserveAspectRatio="none"'
        figures.append(
            f'<figure><svg viewBox="0 0 {window.side} {window.side}" role="img" aria-label="{letter}{i}">'
            f'<image href="{jpeg(_bright(part))}" {whole}/>'
            f"{lines}{scale_bar((window.side, window.side), grid.um_per_px)}</svg>"
            f'<figcaption><b class="{kind}">{letter}{i}</b> {", ".join(said)}<br><small>{at} px of the input</small>'
            "</figcaption></figure>"
        )
    key = "outlines of cells" + ("" if nuclei is None else ", nuclei in yellow")
    why = (
        f"Cells of usual size, rich in RNA, with high scores ({key})."
        if kind == "sure"
        else f"Cells of unusual size, poor in RNA for their area, or with low scores ({key}). Are they real?"
    )
    return f'<section><h2>{title}</h2><p>{why}</p><div class="three">{"".join(figures)}</div></section>'


def _bright(part: np.ndarray) -> np.ndarray:
    """Stretch a window to its own range, so that dim areas can be seen."""
    low, high = np.quantile(part, [0.01, 0.995])
    scaled: np.ndarray = np.clip((part.astype(np.float32) - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    return scaled


def _histograms(table: AnnData) -> str:
    obs = table.obs
    charts = [
        histogram("Area", obs["area_um2"].to_numpy(), "µm²"),
        histogram("UMIs a cell", obs["n_counts"].to_numpy(), "UMIs", log=True),
        histogram("Genes a cell", obs["n_genes"].to_numpy(), "genes", log=True),
    ]
    if "score" in obs:
        charts.append(histogram("Score of a cell", obs["score"].to_numpy(), "mean score"))
    if "nuclear_fraction" in obs:
        charts.append(histogram("Nucleus in the cell", obs["nuclear_fraction"].to_numpy(), "share of the area"))
    if "nucleus_probability" in obs:
        charts.append(histogram("Probability of the nucleus", obs["nucleus_probability"].to_numpy(), "by the network"))
    shown = "".join(f"<figure>{chart}</figure>" for chart in charts if chart)
    return f'<section><h2>Distributions</h2><div class="three">{shown}</div></section>' if shown else ""


_CARD = {
    "n_cells": ("Cells", "{:,.0f}", "kept after the limits of area"),
    "median_area_px": ("Median area", "{:,.0f} px", ""),
    "median_umis": ("Median UMIs", "{:,.0f}", "in a cell"),
    "median_genes": ("Median genes", "{:,.0f}", "different genes in a cell"),
    "assigned": ("UMIs in cells", "{:.1%}", "of all UMIs of the section"),
    "random_assigned": ("By chance", "{:.1%}", "UMIs in cells of the same sizes, scattered at random"),
    "ratio": ("Against chance", "{:.2f} ×", "UMIs in cells over those by chance; 1 is chance, larger cells give less"),
    "within_limits": ("Within limits", "{:.1%}", "of the cells found lie within the limits of area"),
    "nuclei_per_cell": ("Nuclei a cell", "{:.2f}", "far from 1: cells are merged or have no nucleus"),
}


def _scorecard(table: AnnData, grid: Grid) -> str:
    card = dict(table.uns["segapp"].get("scorecard", {}))
    rows = "".join(
        f"<tr><th>{name}</th><td>{form.format(float(card[key]))}</td><td>{text}</td></tr>"
        for key, (name, form, text) in _CARD.items()
        if key in card
    )
    if "source" in table.obs:
        counts = table.obs["source"].astype(str).value_counts()
        told = ", ".join(f"{html.escape(name)} {n:,}" for name, n in counts.items())
        rows += f"<tr><th>Cells begin with</th><td colspan=2>{told}</td></tr>"
    made = table.uns["segapp"]
    outside = int(made.get("umis_outside_frame", 0))
    rows += (
        f"<tr><th>UMIs</th><td>{int(made['umis_total']):,}</td><td>{int(made['umis_unassigned']):,} in no cell"
        f"{f', {outside:,} of them outside the frame' if outside else ''}</td></tr>"
        f"<tr><th>Genes</th><td>{table.n_vars:,}</td><td></td></tr>"
        f"<tr><th>Frame</th><td>{grid.width:,} x {grid.height:,} px</td>"
        f"<td>of {grid.um_per_px:g} µm, from ({grid.x0}, {grid.y0}) of the input</td></tr>"
    )
    return f"<section><h2>Scorecard</h2><table>{rows}</table></section>"


def _made_with(table: AnnData, grid: Grid) -> str:
    made = table.uns["segapp"]
    text = str(made.get("recipe", "{}"))
    recipe = json.loads(text)
    params = recipe.get("params", {})
    rows = "".join(
        f"<tr><th>{html.escape(stage)}</th><td>{_settings(values)}</td></tr>" for stage, values in params.items()
    )
    versions = ", ".join(f"{html.escape(name)} {html.escape(str(v))}" for name, v in dict(made["versions"]).items())
    inputs = ", ".join(f"{html.escape(name)} {html.escape(str(v))}" for name, v in dict(made["inputs"]).items())
    preset = html.escape(str(recipe.get("preset") or "none"))
    return (
        f"<section><h2>Made with</h2><p>segapp {html.escape(str(dict(made['versions']).get('segapp', '')))}, preset "
        f"<b>{preset}</b>. The same inputs and the recipe below give the same cells: "
        "<code>segapp run --recipe recipe.json</code>.</p>"
        f"<details><summary>Every parameter</summary><table class='params'>{rows}</table></details>"
        f"<details><summary>Recipe (recipe.json)</summary><pre>{html.escape(text)}</pre></details>"
        f"<details><summary>Inputs and versions</summary><p>Hashes of the inputs: {inputs}.</p>"
        f"<p>{versions}.</p></details>"
        "</section>"
    )


def _settings(values: Any) -> str:
    if not isinstance(values, dict):
        return html.escape(json.dumps(values))
    return ", ".join(
        f"{html.escape(name)} <b>{html.escape(value if isinstance(value, str) else json.dumps(value))}</b>"
        for name, value in values.items()
    )
