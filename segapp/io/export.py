"""Every format that a result can be written in: one row of `EXPORTERS` each, which the app and the CLI offer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from segapp.core.cells import cells_of_records
from segapp.core.types import Grid, InputError, Transcripts, Unavailable
from segapp.io.atomic import final_name
from segapp.io.chip import export as chip

if TYPE_CHECKING:
    from anndata import AnnData


class Result(Protocol):
    """What an exporter may use; `segapp.Result` is one."""

    @property
    def labels(self) -> np.ndarray:
        """(H, W) int32 cells, 0 = background."""

    @property
    def nuclei(self) -> np.ndarray | None:
        """(H, W) int32 nuclei under the ids of their cells; None where there are no nuclei beside the labels."""

    @property
    def table(self) -> AnnData:
        """Cells x genes, as `segapp.io.table.to_anndata` makes it."""

    @property
    def grid(self) -> Grid:
        """Where the labels sit in input coordinates."""

    @property
    def transcripts(self) -> Transcripts | None:
        """UMI records; None where only the results are at hand."""

    @property
    def recipe(self) -> str:
        """JSON text that repeats the result."""


@dataclass(frozen=True)
class Exporter:
    """One format.

    Parameters
    ----------
    name : str
        Word for the command line and for recipes of scripts.
    title : str
        Entry in a menu.
    suffix : str
        How names of such files end, with the dot.
    doc : str
        What is in the file and what opens it, in one or two sentences.
    write : function
        Takes the result and the path; the file appears whole or not at all.
    write_chip : function or None
        The same for a `segapp.io.chip.saved.SavedChip`, with the memory of a tile; None where there is no such way.
    instead : str
        Why it is not written for a whole chip, and what to do instead.
    """

    name: str
    title: str
    suffix: str
    doc: str
    write: Callable[[Any, Path], None]
    write_chip: Callable[[Any, Path], None] | None = None
    instead: str = ""


def _write_h5ad(result: Result, path: Path) -> None:
    from segapp.io.table import write_h5ad

    write_h5ad(result.table, path)


def _write_tif(result: Result, path: Path) -> None:
    from segapp.io.masks import write_labels

    write_labels(path, result.labels)


def _write_geojson(result: Result, path: Path) -> None:
    from segapp.io.geojson import write_geojson

    write_geojson(path, result.labels, result.grid, nuclei=result.nuclei, table=result.table)


def _write_csv(result: Result, path: Path) -> None:
    from segapp.io.cell_table import write_cell_table

    write_cell_table(path, result.table)


def _write_gem(result: Result, path: Path) -> None:
    from segapp.io.gem import write_gem

    if result.transcripts is None:
        raise Unavailable("a GEM with cell ids needs the UMI records: give the file that was segmented too")
    cell = cells_of_records(result.transcripts, result.labels, result.grid)
    write_gem(dataclasses.replace(result.transcripts, cell_id=cell), path)


def _write_spatialdata(result: Result, path: Path) -> None:
    from segapp.io.spatialdata_out import write_spatialdata

    write_spatialdata(path, result.table, result.labels, result.grid, nuclei=result.nuclei)


def _write_ome_zarr(result: Result, path: Path) -> None:
    from segapp.io.ngff import write_ome_zarr
    from segapp.io.table import picture_of

    image, step = picture_of(result.table)
    labels = {"cells": result.labels} if result.nuclei is None else {"cells": result.labels, "nuclei": result.nuclei}
    write_ome_zarr(path, labels, result.grid, image=image, step=step)


def _write_html(result: Result, path: Path) -> None:
    from segapp.io.report import write_report

    write_report(path, result.table, result.labels, result.grid, nuclei=result.nuclei, title=_title(path))


def _write_chip_html(saved: chip.SavedChip, path: Path) -> None:
    chip.write_chip_html(saved, path, _title(path))


def _title(path: Path) -> str:
    name = path.name.removesuffix(".html").removesuffix("_cells")
    return final_name(path.resolve().parent) if name == "cells" else name


EXPORTERS: dict[str, Exporter] = {
    exporter.name: exporter
    for exporter in (
        Exporter(
            "h5ad",
            "AnnData (cells x genes)",
            ".h5ad",
            "Counts, place and shape of every cell, with the pictures behind them; scanpy and squidpy open it.",
            _write_h5ad,
            chip.write_chip_h5ad,
        ),
        Exporter(
            "tif",
            "Labels (32-bit TIFF)",
            ".tif",
            "One number a cell, 0 for background, in the pixels of the stain; "
            "Space Ranger, SAW, Xenium Ranger, napari and Fiji open it.",
            _write_tif,
            chip.write_chip_tif,
        ),
        Exporter(
            "geojson",
            "Outlines (GeoJSON)",
            ".geojson",
            "Exact polygons of cells and their nuclei in the coordinates of the input, with measurements; "
            "QuPath opens it as cells, GIS tools as polygons.",
            _write_geojson,
            chip.write_chip_geojson,
        ),
        Exporter(
            "csv",
            "Cells as a table (CSV)",
            ".csv",
            "One line a cell: place, area, counts, and what else is known of it; spreadsheets and R open it.",
            _write_csv,
            chip.write_chip_cell_table,
        ),
        Exporter(
            "parquet",
            "Cells as a table (Parquet)",
            ".parquet",
            "The same table with its types, compressed; pandas, polars, R and DuckDB open it.",
            _write_csv,
            chip.write_chip_cell_table,
        ),
        Exporter(
            "gem",
            "Records with cell ids (GEM)",
            ".gem.gz",
            "The UMI records with a column CellID, 0 outside cells; what reads a GEM opens it.",
            _write_gem,
            chip.write_chip_gem,
        ),
        Exporter(
            "spatialdata",
            "SpatialData (zarr folder)",
            ".spatialdata.zarr",
            "Picture, labels, outlines and table of the cells in px and in micrometres; "
            "spatialdata, napari-spatialdata and squidpy open it.",
            _write_spatialdata,
            chip.write_chip_spatialdata,
        ),
        Exporter(
            "ome-zarr",
            "Labels (OME-Zarr folder)",
            ".ome.zarr",
            "Labels of cells and nuclei with their picture, at all resolutions; "
            "napari, QuPath, Fiji and Vizarr open it.",
            _write_ome_zarr,
            chip.write_chip_ome_zarr,
        ),
        Exporter(
            "html",
            "Report (one HTML page)",
            ".html",
            "Figures, overview, areas that look right and areas to look at twice, distributions, every parameter; "
            "a browser opens it.",
            _write_html,
            _write_chip_html,
        ),
    )
}
"""Exporters by name, in the order of a menu."""


def find_exporters(names: str | Iterable[str]) -> tuple[Exporter, ...]:
    """Return exporters by name.

    Parameters
    ----------
    names : str or iterable of str
        Names, or one text of names between commas.

    Returns
    -------
    tuple of Exporter
        In the order given, each once.

    Raises
    ------
    InputError
        When there is none of a name; the sentence lists those that exist.

    Examples
    --------
    >>> [exporter.suffix for exporter in find_exporters("tif, h5ad")]
    ['.tif', '.h5ad']
    >>> find_exporters("doc")
    Traceback (most recent call last):
    segapp.core.types.InputError: there is no format doc; choose among h5ad, tif...
    """
    listed = names.split(",") if isinstance(names, str) else list(names)
    found = {}
    for name in (text.strip().lower().removeprefix(".") for text in listed):
        if not name:
            continue
        if name not in EXPORTERS:
            raise InputError(f"there is no format {name}; choose among {', '.join(EXPORTERS)}")
        found[name] = EXPORTERS[name]
    return tuple(found.values())


def check_for_chip(exporters: Iterable[Exporter], *, records: bool) -> None:
    """Raise `Unavailable` where a format cannot be written for a whole chip: before hours of a run, not after them.

    Parameters
    ----------
    exporters : iterable of Exporter
        What is asked for.
    records : bool
        Whether the chip with the UMI records is at hand.

    Examples
    --------
    >>> check_for_chip(find_exporters("html,gem"), records=False)
    Traceback (most recent call last):
    segapp.core.types.Unavailable: a GEM with cell ids needs the UMI records: give the chip ... with --chip
    """
    for exporter in exporters:
        if exporter.write_chip is None:
            raise Unavailable(f"{exporter.name} is not written for a whole chip: {exporter.instead}")
        if exporter.name == "spatialdata":
            from segapp.io.spatialdata_out import check_installed

            check_installed()
        if exporter.name == "gem" and not records:
            raise Unavailable("a GEM with cell ids needs the UMI records: give the chip that was segmented with --chip")
