"""Words and figures of the report: what was found, how it is spread, and what it was made with."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.io.report.charts import histogram
from segapp.io.report.subject import Subject


def _share(made: Mapping[str, Any]) -> float:
    total = int(made["umis_total"])
    return (total - int(made["umis_unassigned"])) / total if total else 0.0


def headline(subject: Subject) -> str:
    """Return the figures that matter most, and a sentence of them."""
    made, obs, card = subject.made, subject.obs, subject.card
    n = len(obs)
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
    return f'<ul class="tiles">{tiles}</ul><p class="lead">{_in_words(subject, n, _share(made))}</p>'


def _in_words(subject: Subject, n: int, share: float) -> str:
    card, grid = subject.card, subject.grid
    size = f"{grid.um(grid.width) / 1000:.3g} x {grid.um(grid.height) / 1000:.3g} mm"
    if not n:
        return f"No cell was found in {size}."
    text = f"The {subject.noun} measures {size}. {share:.0%} of its UMIs lie in cells"
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


def histograms(subject: Subject) -> str:
    """Return how the figures of the cells are spread."""
    obs = subject.obs
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
    "assigned": ("UMIs in cells", "{:.1%}", "of all UMIs"),
    "random_assigned": ("By chance", "{:.1%}", "UMIs in cells of the same sizes, scattered at random"),
    "ratio": ("Against chance", "{:.2f} ×", "UMIs in cells over those by chance; 1 is chance, larger cells give less"),
    "within_limits": ("Within limits", "{:.1%}", "of the cells found lie within the limits of area"),
    "nuclei_per_cell": ("Nuclei a cell", "{:.2f}", "far from 1: cells are merged or have no nucleus"),
}


def scorecard(subject: Subject) -> str:
    """Return the scorecard as a table."""
    card, grid, made = subject.card, subject.grid, subject.made
    rows = "".join(
        f"<tr><th>{name}</th><td>{form.format(float(card[key]))}</td><td>{text}</td></tr>"
        for key, (name, form, text) in _CARD.items()
        if key in card
    )
    if "source" in subject.obs:
        counts = subject.obs["source"].astype(str).value_counts()
        told = ", ".join(f"{html.escape(name)} {n:,}" for name, n in counts.items())
        rows += f"<tr><th>Cells begin with</th><td colspan=2>{told}</td></tr>"
    outside = int(made.get("umis_outside_frame", 0))
    rows += (
        f"<tr><th>UMIs</th><td>{int(made['umis_total']):,}</td><td>{int(made['umis_unassigned']):,} in no cell"
        f"{f', {outside:,} of them outside the frame' if outside else ''}</td></tr>"
        f"<tr><th>Genes</th><td>{subject.n_genes:,}</td><td></td></tr>"
        f"<tr><th>Frame</th><td>{grid.width:,} x {grid.height:,} px</td>"
        f"<td>of {grid.um_per_px:g} µm, from ({grid.x0}, {grid.y0}) of the input</td></tr>"
    )
    lacks = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in subject.lacks)
    return f"<section><h2>Scorecard</h2><table>{rows}</table>{lacks}</section>"


def made_with(subject: Subject) -> str:
    """Return parameters, numbers of the whole, recipe, inputs and versions."""
    made = subject.made
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
        f"<code>{html.escape(subject.command)}</code>.</p>"
        f"<details><summary>Every parameter</summary><table class='params'>{rows}</table></details>"
        f"{_numbers(subject)}"
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


def _numbers(subject: Subject) -> str:
    if not subject.numbers:
        return ""
    rows = "".join(
        f"<tr><th>{html.escape(stage)}</th><td>{_settings(_short(values))}</td></tr>"
        for stage, values in subject.numbers.items()
    )
    return (
        f"<details><summary>Numbers of the whole {subject.noun}, which every tile takes</summary>"
        f"<table class='params'>{rows}</table></details>"
    )


MOST = 12
"""Numbers of a list that are shown; the recipe has them all."""


def _short(value: Any) -> Any:
    """Return JSON values whose long lists are words."""
    if isinstance(value, dict):
        inner = value.get("statistics") if set(value) == {"statistics"} else None
        return _short(inner) if isinstance(inner, dict) else {name: _short(item) for name, item in value.items()}
    if isinstance(value, list) and len(json.dumps(value)) > 8 * MOST:
        return f"{len(value):,} values"
    return float(f"{value:.6g}") if isinstance(value, float) else value
