"""The table of cells x genes: what it holds, where it lies, and what comes back from the file."""

import json

import numpy as np
import pytest
from anndata import read_h5ad
from scipy import sparse

from segapp.core.records import make_transcripts
from segapp.core.types import Grid, InputError
from segapp.io import table as table_module
from segapp.io.table import to_anndata, write_h5ad

GRID = Grid(1000, 5000, height=24, width=40, um_per_px=0.5)


@pytest.fixture
def labels():
    """An L of three cells: not its own mirror image in any way."""
    labels = np.zeros(GRID.shape, dtype=np.int32)
    labels[2:6, 3:7] = 4
    labels[14:20, 3:7] = 70
    labels[16:20, 24:40] = 9
    return labels


@pytest.fixture
def transcripts():
    rng = np.random.default_rng(1)
    x, y, gene = rng.integers(990, 1045, 3000), rng.integers(4995, 5030, 3000), rng.integers(0, 5, 3000)
    spliced, unspliced = rng.integers(0, 3, 3000), rng.integers(0, 3, 3000)
    counts = {"total": spliced + unspliced, "spliced": spliced, "unspliced": unspliced}
    return make_transcripts(x, y, gene, counts, list("abcde"))


def test_counts_obs_and_uns(transcripts, labels):
    scores = np.linspace(0, 1, labels.size, dtype=np.float32).reshape(labels.shape)
    nuclei = np.where(np.arange(40) < 5, labels, 0)
    table = to_anndata(
        transcripts,
        labels,
        GRID,
        nuclei=nuclei,
        scores=scores,
        sources=["watershed", "rna", "watershed"],
        recipe={"params": {"cells": {"threshold": None, "edits": [[], [1, 2]]}}},
        inputs={"stain": "abc"},
    )
    assert sparse.issparse(table.X) and table.X.format == "csr" and table.X.dtype == np.int32
    assert set(table.layers) == {"spliced", "unspliced"} and table.var_names.tolist() == list("abcde")
    assert np.array_equal(table.X.toarray(), (table.layers["spliced"] + table.layers["unspliced"]).toarray())
    obs = table.obs
    assert obs["label"].tolist() == [4, 9, 70] and table.obs_names.tolist() == ["4", "9", "70"]
    assert obs["area_px"].tolist() == [16, 64, 24] and obs["area_um2"].tolist() == [4.0, 16.0, 6.0]
    assert obs["n_counts"].tolist() == table.X.toarray().sum(axis=1).tolist()
    assert obs["n_genes"].tolist() == (table.X.toarray() > 0).sum(axis=1).tolist()
    assert obs["nucleus_area_px"].tolist() == [8, 0, 12] and obs["nuclear_fraction"].tolist() == [0.5, 0.0, 0.5]
    assert obs["touches_border"].tolist() == [False, True, False]
    assert obs["source"].tolist() == ["watershed", "rna", "watershed"]
    assert obs["score"].tolist() == pytest.approx([scores[labels == i].mean() for i in (4, 9, 70)])
    uns = table.uns["segapp"]
    assert uns["umis_total"] == transcripts.n_umis and uns["inputs"] == {
        "transcripts": transcripts.digest,
        "stain": "abc",
    }
    assert json.loads(uns["recipe"])["params"]["cells"]["edits"] == [[], [1, 2]] and "numpy" in uns["versions"]


def test_behaviour_21_sum_of_x_and_unassigned_is_every_umi(transcripts, labels):
    table = to_anndata(transcripts, labels, GRID)
    uns = table.uns["segapp"]
    assert int(table.X.sum(dtype=np.int64)) + uns["umis_unassigned"] == transcripts.n_umis
    outside = (transcripts.x < 1000) | (transcripts.x >= 1040) | (transcripts.y < 5000) | (transcripts.y >= 5024)
    assert uns["umis_outside_frame"] == transcripts.counts["total"][outside].sum() > 0


def test_behaviour_21_a_cell_without_umis_is_kept_and_seen(labels):
    t = make_transcripts([1003], [5002], [0], {"total": [1]}, ["a"])
    assert to_anndata(t, labels, GRID).obs["n_counts"].tolist() == [1, 0, 0]


def test_behaviour_21_coordinates_are_x_y_and_absolute_ones_keep_the_origin(transcripts, labels):
    table = to_anndata(transcripts, labels, GRID)
    assert table.obsm["spatial"].tolist() == [[4.5, 3.5], [31.5, 17.5], [4.5, 16.5]]
    assert table.obsm["spatial_input"].tolist() == [[1004.5, 5003.5], [1031.5, 5017.5], [1004.5, 5016.5]]


@pytest.mark.parametrize("max_side", [4096, 20, 13])
def test_pictures_lie_where_the_cells_lie(transcripts, labels, monkeypatch, max_side):
    monkeypatch.setattr(table_module, "MAX_SIDE", max_side)
    stain = np.where(labels > 0, 200, 10).astype(np.uint8)
    table = to_anndata(transcripts, labels, GRID, background=stain, library="L")
    spatial = table.uns["spatial"]["L"]
    hires, cells = spatial["images"]["hires"], spatial["images"]["segmentation"]
    scale = spatial["scalefactors"]["tissue_hires_scalef"]
    assert hires.dtype == np.uint8 and hires.shape == (*cells.shape, 3) and max(cells.shape) <= max_side
    assert cells.shape == tuple(int(np.ceil(n * scale)) for n in GRID.shape)
    # What a plot does: the point (x, y) * scale lies on column x, row y of the pictures.
    places = np.rint(table.obsm["spatial"] * scale).astype(int)
    for label, (x, y) in zip(table.obs["label"], places, strict=True):
        assert cells[y, x] == label and hires[y, x, 0] > 120
    # Mirrored or transposed it would not fit.
    for other in (cells[::-1], cells[:, ::-1], cells.T):
        n_rows, n_columns = other.shape
        assert [other[min(y, n_rows - 1), min(x, n_columns - 1)] for x, y in places] != table.obs["label"].tolist()
    assert spatial["scalefactors"]["microns_per_pixel"] == 0.5
    assert spatial["scalefactors"]["spot_diameter_fullres"] == pytest.approx(2 * np.sqrt(24 / np.pi))


def test_without_a_stain_the_counts_are_shown_where_they_lie(labels):
    t = make_transcripts([1030, 900], [5002, 5002], [0, 0], {"total": [7, 7]}, ["a"])
    hires = to_anndata(t, labels, GRID).uns["spatial"]["segapp"]["images"]["hires"]
    assert [v.tolist() for v in np.nonzero(hires[:, :, 0])] == [[2], [30]]


def test_no_cell_gives_an_empty_table_that_can_be_written(transcripts, tmp_path):
    table = to_anndata(
        transcripts, np.zeros(GRID.shape, np.int32), GRID, nuclei=np.zeros(GRID.shape, np.int32), sources=[]
    )
    write_h5ad(table, tmp_path / "a.h5ad")
    back = read_h5ad(tmp_path / "a.h5ad")
    assert back.shape == (0, 5) and back.uns["segapp"]["umis_unassigned"] == transcripts.n_umis


def test_behaviour_06_large_counts_survive_the_file(tmp_path, labels):
    t = make_transcripts([1003, 1004], [5002, 5002], [0, 0], {"total": [4294967295, 70000]}, ["a"])
    write_h5ad(to_anndata(t, labels, GRID), tmp_path / "a.h5ad")
    assert read_h5ad(tmp_path / "a.h5ad").X[0, 0] == 4294967295 + 70000


def test_round_trip(transcripts, labels, tmp_path):
    table = to_anndata(transcripts, labels, GRID, sources=["rna"] * 3, recipe={"a": None})
    write_h5ad(table, tmp_path / "cells.h5ad")
    assert [p.name for p in tmp_path.iterdir()] == ["cells.h5ad"]
    back = read_h5ad(tmp_path / "cells.h5ad")
    assert (back.X != table.X).nnz == 0 and back.X.dtype == np.int32 and back.X.format == "csr"
    assert back.obs.astype(str).equals(table.obs.astype(str))
    assert np.array_equal(back.obsm["spatial_input"], table.obsm["spatial_input"])
    images = back.uns["spatial"]["segapp"]["images"]
    assert np.array_equal(images["segmentation"], labels) and images["hires"].dtype == np.uint8
    assert json.loads(back.uns["segapp"]["recipe"]) == {"a": None}


def test_arrays_of_another_frame_are_refused(transcripts, labels):
    with pytest.raises(InputError, match="shape"):
        to_anndata(transcripts, labels, GRID, nuclei=labels[:-1])
    with pytest.raises(InputError, match="frame"):
        to_anndata(transcripts, labels[:-1], GRID)
    with pytest.raises(InputError, match="names 2 cells"):
        to_anndata(transcripts, labels, GRID, sources=["rna", "rna"])
