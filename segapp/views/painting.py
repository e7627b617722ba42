"""What the colour of a cell stands for: its id, or a number or a class of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core import colouring, display
from segapp.core.label.augment import SOURCES
from segapp.views import theme
from segapp.views.canvas import Legend

SOURCE_COLOURS = {
    "watershed": "#56b4e9",
    "network": "#e69f00",
    "rna": "#009e73",
    "drawn": "#cc79a7",
    "components": "#f0e442",
    "": "#9aa5b1",
}
"""Where a nucleus came from, in colours that are told apart with every common colour vision (Okabe and Ito)."""

SOURCE_WORDS = {
    "watershed": "watershed",
    "network": "network",
    "rna": "nuclear RNA",
    "drawn": "drawn by hand",
    "components": "connected parts",
    "": "no nucleus found",
}


@dataclass(frozen=True, eq=False)
class Painting:
    """Colours of cells.

    Parameters
    ----------
    name : str
        What they stand for.
    table : (largest id + 1,) uint8 or None
        Index into `palette` for every id; None paints by id.
    palette : tuple of str
        256 colours.
    legend : Legend or None
    needs : str
        Artefact beside the cells that the numbers come from.
    """

    name: str = "id"
    table: np.ndarray | None = None
    palette: tuple[str, ...] = theme.label_colours()
    legend: Legend | None = None
    needs: str = ""

    def colours(self, labels: np.ndarray) -> np.ndarray:
        """Return the index into the palette of every pixel."""
        if self.table is None:
            return display.colour_ids(labels)
        colours: np.ndarray = np.take(self.table, labels)
        return colours


def paint_cells(colour_by: str, artefacts: Mapping[str, Any]) -> Painting:
    """Return the colours of cells.

    Parameters
    ----------
    colour_by : {"id", "area", "counts", "score", "source"}
    artefacts : mapping
        What is there; cells are painted by id where the numbers are not.

    Returns
    -------
    Painting
    """
    cells = artefacts.get("cells")
    needs = {"counts": "total", "score": "cell_scores", "source": "nuclei_provenance"}.get(colour_by, "")
    if colour_by == "score" and artefacts.get("cell_scores") is None:
        needs = "nuclei_scores"
    if cells is None or colour_by == "id" or (needs and artefacts.get(needs) is None):
        return Painting(needs=needs)
    if colour_by == "source":
        return _by_source(cells, artefacts[needs], needs)
    if colour_by == "area":
        values, title = display.label_areas(cells).astype(float), "Area of a cell, px²"
    elif colour_by == "counts":
        values, title = colouring.label_sums(cells, artefacts[needs]), "UMIs in a cell"
    else:
        values, title = colouring.label_means(cells, artefacts[needs]), "Mean score of a cell"
    table, low, high = colouring.colour_table(values)
    ramp = theme.map_colours("viridis")
    legend = Legend(title, ramp=ramp[::32] + ramp[-1:], low=f"{low:.3g}", high=f"{high:.3g}")
    return Painting(colour_by, table, ("#00000000", *ramp[1:]), legend, needs)


def _by_source(cells: np.ndarray, provenance: np.ndarray, needs: str) -> Painting:
    """A cell keeps the id of its nucleus; cells beyond the nuclei have none, or were drawn or split by hand."""
    codes = np.zeros(int(cells.max(initial=0)) + 1, np.uint8)
    known = min(len(codes), len(provenance))
    codes[:known] = provenance[:known]
    table = codes + 1
    table[0] = 0
    present = display.label_areas(cells) > 0
    here = sorted(set(codes[1:][present[1:]].tolist()))
    entries = tuple((SOURCE_COLOURS[SOURCES[code]], SOURCE_WORDS[SOURCES[code]]) for code in here)
    colours = [SOURCE_COLOURS[name] for name in SOURCES]
    palette = ("#00000000", *colours, *("#00000000",) * (255 - len(colours)))
    return Painting("source", table, palette, Legend("Nucleus from", entries), needs)
