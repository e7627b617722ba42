"""The report of a chip: the page of a section, read from levels and windows."""

import json
import re

import anndata
import numpy as np
import pandas as pd
import pytest
import zarr

from segapp.core.cells import cell_geometry
from segapp.core.types import Grid
from segapp.io.chip.blocks import build_pyramid, create_image
from segapp.io.chip.report import ChipPixels, write_chip_report
from segapp.io.chip.saved import SavedChip
from segapp.io.report.page import WINDOW, write_report
from segapp.io.report.pictures import OVERVIEW

SHAPE, STEP = (4500, 2400), 4


class Recorded:
    """An array that notes how many pixels it was asked for."""

    def __init__(self, array, sizes):
        self.array, self.shape, self.sizes = array, array.shape, sizes

    def __getitem__(self, at):
        found = self.array[at]
        self.sizes.append((self.shape, found.size))
        return found


class RecordedChip(SavedChip):
    """A result whose reading is noted."""

    sizes: list = []  # noqa: RUF012 - one for the only instance

    def levels(self, name):
        return [Recorded(array, self.sizes) for array in super().levels(name)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Cells on a lattice, smaller and poorer towards the right."""
    folder = tmp_path_factory.mktemp("chip")
    labels = np.zeros(SHAPE, np.int32)
    rows, columns = (start.ravel() for start in np.mgrid[20 : SHAPE[0] - 40 : 60, 20 : SHAPE[1] - 40 : 60])
    for i, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True), 1):
        side = 30 if column < 1700 else 9 + i % 3
        labels[row : row + side, column : column + side] = i
    for name in ("labels", "nuclei"):
        create_image(folder / "labels.zarr", f"{name}/0", SHAPE, np.uint32)[:] = labels
        build_pyramid(folder / "labels.zarr", name, lambda done, total: None)
    found = cell_geometry(labels, labels)
    grid = Grid(1000, 200, *SHAPE)
    obs = pd.DataFrame({"label": np.arange(1, len(rows) + 1), "area_px": found.area_px, "area_um2": found.area_px / 4})
    obs["n_counts"], obs["n_genes"] = np.where(found.x < 1700, 500, 3), 2
    obs.index = pd.Index([str(label) for label in obs["label"]])
    image = np.repeat((labels[::STEP, ::STEP, None] > 0).astype(np.uint8) * 200, 3, axis=2)
    total = int(obs["n_counts"].sum())
    uns = {
        "spatial": {"segapp": {"images": {"hires": image}, "scalefactors": {"tissue_hires_scalef": 1 / STEP}}},
        "segapp": {"umis_total": 2 * total, "umis_unassigned": total, "recipe": "{}", "versions": {}, "inputs": {}},
    }
    obsm = {"spatial": np.column_stack([found.x, found.y])}
    anndata.AnnData(X=np.zeros((len(obs), 2), np.float32), obs=obs).write_h5ad(folder / "cells.h5ad")
    (folder / "statistics.json").write_text(json.dumps({"nuclei_mask": {"statistics": {"cut": 37}}}))
    return RecordedChip(folder, anndata.AnnData(obs=obs, obsm=obsm, uns=uns), grid, ("labels", "nuclei"), "{}"), labels


def test_it_is_the_page_of_a_section_drawn_from_windows_and_small_levels(saved, tmp_path):
    chip, labels = saved
    chip.sizes.clear()
    write_chip_report(chip, tmp_path / "chip.html")
    full = [size for shape, size in chip.sizes if shape == SHAPE]
    assert len(full) == 2 * 6 and max(full) == WINDOW**2
    assert max(size for _, size in chip.sizes) <= (2 * OVERVIEW) ** 2
    table = anndata.AnnData(
        X=np.zeros((chip.table.n_obs, 2)), obs=chip.table.obs, obsm=dict(chip.table.obsm), uns=dict(chip.table.uns)
    )
    write_report(tmp_path / "section.html", table, labels, chip.grid, nuclei=labels)
    found, whole = ((tmp_path / name).read_text() for name in ("chip.html", "section.html"))
    assert re.findall("<path[^>]*>", found) == re.findall("<path[^>]*>", whole)
    assert re.findall("<rect[^>]*>", found) == re.findall("<rect[^>]*>", whole)
    assert len(re.findall("<image ", found)) == len(re.findall("<image ", whole)) == 8
    assert f"<b>{chip.table.n_obs:,}</b>" in found and "cut <b>37</b>" in found and "<th>Genes</th><td>2</td>" in found
    assert "a picture of 4 px a pixel" in found and "Not known of a whole chip" in found
    assert not re.findall(r'(?:src|href)="(?!data:)', found) and "url(" not in found


def test_pictures_lie_where_the_cells_are(saved):
    chip, labels = saved
    small = ChipPixels(chip).small_labels(OVERVIEW)
    assert small.step == 8 and np.array_equal(small.image, labels[::8, ::8])
    for row, column in ((0, 0), (601, 1203), (4300, 2200)):
        window = type("Window", (), {"row": row, "column": column, "side": WINDOW})()
        part = ChipPixels(chip).picture(window)
        x, y = part.x - column, part.y - row
        if row:
            assert -STEP < x <= 0 and -STEP < y <= 0 and min(part.image.shape) * STEP >= WINDOW - STEP
        wide = np.kron(part.image > 0, np.ones((STEP, STEP), bool))[-y : WINDOW - y, -x : WINDOW - x]
        inside = labels[row : row + WINDOW, column : column + WINDOW][: wide.shape[0], : wide.shape[1]] > 0
        assert (wide == inside).mean() > 0.8


def test_what_lies_behind_the_cells_is_said(saved, tmp_path):
    chip, _ = saved
    shown = {"stain": lambda grid: np.full(grid.shape, grid.x0 + grid.y0, np.uint16)}
    with_stain = SavedChip(chip.folder, chip.table, chip.grid, chip.names, "{}", None, **shown)
    window = type("Window", (), {"row": 10, "column": 20, "side": 30})()
    part = ChipPixels(with_stain).picture(window)
    assert (part.x, part.y, part.step) == (20, 10, 1) and (part.image == 1020 + 210).all()
    assert ChipPixels(with_stain).behind == ""


def test_a_chip_without_cells_has_a_report(saved, tmp_path):
    chip, _ = saved
    none = anndata.AnnData(obs=chip.table.obs[:0], obsm={"spatial": np.zeros((0, 2))}, uns=dict(chip.table.uns))
    folder = tmp_path / "none"
    zarr.open_group(folder / "labels.zarr", mode="w")
    create_image(folder / "labels.zarr", "labels/0", SHAPE, np.uint32)
    anndata.AnnData(X=np.zeros((0, 2), np.float32)).write_h5ad(folder / "cells.h5ad")
    write_chip_report(SavedChip(folder, none, chip.grid, ("labels",), "{}"), tmp_path / "none.html")
    assert "No cell was found" in (tmp_path / "none.html").read_text()
