"""The report: what was found, where it looks right and where not, with what it was made."""

from __future__ import annotations

import html
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segapp.core.doubt import Window, choose_windows, doubts
from segapp.core.types import Grid
from segapp.io.atomic import atomic_file
from segapp.io.report.pictures import overview, zooms
from segapp.io.report.subject import SectionPixels, Subject
from segapp.io.report.words import headline, histograms, made_with, scorecard

if TYPE_CHECKING:
    from anndata import AnnData

WINDOW, WINDOWS = 200, 3
"""Side of a window in px of the frame, windows of each kind."""

BAND = 2048
"""Rows of the frame that windows are looked for in at once: memory for them stays that of a band."""

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
    made = table.uns["segapp"]
    write_page(
        path,
        Subject(
            obs=table.obs,
            spatial=table.obsm["spatial"],
            made=made,
            grid=grid,
            n_genes=table.n_vars,
            pixels=SectionPixels(table, labels, nuclei),
            card=dict(made.get("scorecard", {})),
        ),
        title,
    )


def write_page(path: str | Path, subject: Subject, title: str = "") -> None:
    """Write the report of whatever pixels come from; see `write_report`."""
    obs = subject.obs
    sure = {name: obs[name].to_numpy() for name in _SURE if name in obs}
    doubt = doubts(obs["area_px"].to_numpy(), obs["n_counts"].to_numpy(), sure)
    good, bad = _windows(subject.spatial, doubt, subject.grid.shape)
    parts = [
        headline(subject),
        overview(subject, doubt, good, bad),
        zooms(subject, "Areas that look right", good, "sure"),
        zooms(subject, "Areas to look at twice", bad, "doubtful"),
        histograms(subject),
        scorecard(subject),
        made_with(subject),
    ]
    name = html.escape(title or f"Cells of a {subject.noun}")
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


def _windows(
    spatial: np.ndarray, doubt: np.ndarray, shape: tuple[int, int]
) -> tuple[tuple[Window, ...], tuple[Window, ...]]:
    """Return the surest and the most doubtful windows, found band by band; those of two bands share no pixel."""
    x, y = spatial[:, 0], spatial[:, 1]
    order = np.argsort(y, kind="stable")
    edges = [*range(0, max(shape[0] - BAND // 2, 1), BAND), shape[0]]
    kinds: tuple[list[Window], list[Window]] = ([], [])
    for top, bottom in pairwise(edges):
        here = np.sort(order[slice(*np.searchsorted(y[order], (top, bottom)))])
        found = choose_windows(x[here], y[here] - top, doubt[here], (bottom - top, shape[1]), side=WINDOW, n=WINDOWS)
        for kind, windows in zip(kinds, found, strict=True):
            kind.extend(
                Window(w.row + top, w.column, w.side, w.doubt, tuple(here[list(w.cells)].tolist())) for w in windows
            )
    sure = sorted(kinds[0], key=lambda w: (w.doubt, w.row, w.column))[:WINDOWS]
    doubtful = sorted(kinds[1], key=lambda w: (w.doubt, w.row, w.column), reverse=True)[:WINDOWS]
    return tuple(sure), tuple(doubtful)
