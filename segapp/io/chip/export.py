"""Cells of a whole chip in the formats of a section, written window by window: memory is that of a tile."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.cells import cells_of_records
from segapp.core.types import Grid, Transcripts, Unavailable
from segapp.io.atomic import atomic_file
from segapp.io.chip.outlines import HALO, SIDE, outlines_by_tile
from segapp.io.chip.saved import SavedChip
from segapp.io.chip.store import SIDE as RECORDS_SIDE
from segapp.io.chip.store import Chip


def write_chip_h5ad(saved: SavedChip, path: Path) -> None:
    """Copy the table, which every run of a chip writes; where it is there already, nothing is done."""
    source = saved.folder / "cells.h5ad"
    if path.exists() and path.samefile(source):
        return
    with atomic_file(path) as temporary:
        shutil.copyfile(source, temporary)


def write_chip_tif(saved: SavedChip, path: Path) -> None:
    """Write the labels as a tiled TIFF."""
    from segapp.io.masks import write_labels_by_tile

    write_labels_by_tile(path, saved.labels())


def write_chip_cell_table(saved: SavedChip, path: Path) -> None:
    """Write one line a cell as .csv or .parquet."""
    from segapp.io.cell_table import write_cell_table

    write_cell_table(path, saved.table)


def write_chip_geojson(saved: SavedChip, path: Path, *, side: int = SIDE, halo: int = HALO) -> None:
    """Write the outline of each cell, and of its nucleus, as one feature; those of a tile come together.

    Parameters
    ----------
    saved : SavedChip
        The cells.
    path : Path
        The file to write.
    side, halo : int
        As `segapp.io.chip.outlines.outlines_by_tile` takes them.
    """
    from segapp.io.geojson import write_features

    write_features(path, _features(saved, side, halo))


def _features(saved: SavedChip, side: int, halo: int) -> Iterator[dict[str, Any]]:
    from segapp.io.geojson import cell_features, measurements

    obs = saved.table.obs
    nuclei = saved.labels("nuclei") if "nuclei" in saved.names else None
    for ids, cells, inner in outlines_by_tile(saved.labels(), nuclei, len(obs), saved.grid, side, halo):
        yield from cell_features(cells, inner, measurements(obs.iloc[ids - 1]), saved.grid)


def write_chip_gem(saved: SavedChip, path: Path) -> None:
    """Write the records with the cell of each; those of a tile come together."""
    from segapp.io.gem import write_gem_parts

    if saved.chip is None:
        raise Unavailable("a GEM with cell ids needs the UMI records: give the chip that was segmented with --chip")
    write_gem_parts(_records(saved, saved.chip), saved.chip.header, path)


def _records(saved: SavedChip, chip: Chip) -> Iterator[Transcripts]:
    labels, grid = saved.labels(), saved.grid
    for row, column in sorted(chip.tiles):
        y0, x0 = row * RECORDS_SIDE, column * RECORDS_SIDE
        records = chip.transcripts(Grid(x0, y0, RECORDS_SIDE, RECORDS_SIDE))
        top, bottom = (min(max(y - grid.y0, 0), grid.height) for y in (y0, y0 + RECORDS_SIDE))
        left, right = (min(max(x - grid.x0, 0), grid.width) for x in (x0, x0 + RECORDS_SIDE))
        cell = np.zeros(len(records), np.uint32)
        if top < bottom and left < right:
            here = Grid(grid.x0 + left, grid.y0 + top, bottom - top, right - left)
            cell = cells_of_records(records, np.asarray(labels[top:bottom, left:right]), here)
        yield dataclasses.replace(records, cell_id=cell)


def write_chip_ome_zarr(saved: SavedChip, path: Path) -> None:
    """Write the labels of cells and nuclei at all resolutions, with their picture."""
    from segapp.io.ngff import picked_levels, write_label_levels
    from segapp.io.table import picture_of

    image, step = picture_of(saved.table)
    titles = {"labels": "cells", "nuclei": "nuclei"}
    levels = {titles[name]: picked_levels(saved.levels(name)) for name in saved.names}
    write_label_levels(path, levels, saved.grid, image=image, step=step)


def write_chip_spatialdata(saved: SavedChip, path: Path) -> None:
    """Write picture, labels, outlines and table of the cells as a SpatialData store."""
    from segapp.io.chip import spatialdata_out

    spatialdata_out.write_chip_spatialdata(saved, path)


def write_chip_html(saved: SavedChip, path: Path, title: str) -> None:
    """Write the report as one HTML page."""
    from segapp.io.chip.report import write_chip_report

    write_chip_report(saved, path, title)
