"""AnnData of bins and of pixels, and GEF of cell bins: where they lie, what they hold, what is refused."""

import numpy as np
import pytest
from anndata import AnnData

from segapp.core.types import InputError
from segapp.io.agg import AggParams, read_agg
from segapp.io.bins import NO_GENES, read_anndata
from segapp.io.gef_cells import read_gef_borders, read_gef_cells
from segapp.io.gem import read_gem
from segapp.io.samples import load_sample, write_sample
from segapp.io.transcripts import read_transcripts
from tests.io.bricks import bins, cell_bin_gef, is_the_l

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2")  # that is what the library writes today


def told(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400
    return text


@pytest.mark.parametrize(("pitch", "um"), [(1.0, "0.5"), (50.0, "25"), (7.3, "3.65")])
def test_bins_lie_on_the_grid_that_their_places_make(tmp_path, pitch, um):
    bins(pitch=pitch).write_h5ad(tmp_path / "a.h5ad")
    t = read_transcripts(tmp_path / "a.h5ad")
    assert is_the_l(t) and t.genes == ("Actb", "Malat1")
    assert t.header["MicronsPerPixel"] == um
    assert t.n_umis == sum(range(1, 18)) + 2 * 17 == bins().X.sum()
    assert t.counts["unspliced"].sum() == 17 and set(t.counts) == {"total", "unspliced"}


def test_bins_of_zarr_and_rows_and_columns_of_an_array(tmp_path):
    table = bins(columns=True)
    table.uns["spatial"] = {"a": {"scalefactors": {"bin_size_um": 8.0}, "images": {}}}
    table.write_zarr(tmp_path / "a.zarr")
    t = read_transcripts(tmp_path / "a.zarr")
    assert is_the_l(t) and t.header["MicronsPerPixel"] == "8"


def test_centres_of_bins_fall_into_their_bins(tmp_path):
    table = bins(pitch=50.0)
    table.obsm["spatial"] = table.obsm["spatial"] + 25
    table.uns["resolution"] = 500
    table.write_h5ad(tmp_path / "a.h5ad")
    t = read_transcripts(tmp_path / "a.h5ad")
    assert is_the_l(t) and t.header["MicronsPerPixel"] == "25"


def test_raw_counts_come_before_normalised_ones(tmp_path):
    table = bins()
    table.layers["counts"] = table.X.copy()
    table.X = np.log1p(table.X.toarray())
    table.write_h5ad(tmp_path / "a.h5ad")
    assert read_transcripts(tmp_path / "a.h5ad").n_umis == table.layers["counts"].sum()
    del table.layers["counts"]
    table.write_h5ad(tmp_path / "b.h5ad")
    assert "raw counts are needed" in told(read_transcripts, tmp_path / "b.h5ad")


def test_a_table_of_pixels_keeps_places_and_layers(tmp_path):
    gem, *_ = write_sample("tissue", tmp_path, size=96)
    read_agg(gem, AggParams()).write_h5ad(tmp_path / "pixels.h5ad")
    before, after = read_gem(gem), read_transcripts(tmp_path / "pixels.h5ad")
    assert after.genes == (NO_GENES,) and after.bbox == before.bbox and after.n_umis == before.n_umis
    assert set(after.counts) == set(before.counts)
    for layer in before.counts:
        sums = [np.zeros((96, 96), np.int64) for _ in range(2)]
        for t, out in zip((before, after), sums, strict=True):
            np.add.at(out, (t.y, t.x), t.counts[layer])
        np.testing.assert_array_equal(*sums)


def test_places_of_cells_are_not_bins(tmp_path):
    table = bins()
    table.obsm["spatial"] = np.random.default_rng(0).random((len(table), 2)) * 100
    table.write_h5ad(tmp_path / "cells.h5ad")
    assert "no regular grid" in told(read_transcripts, tmp_path / "cells.h5ad")
    del table.obsm["spatial"]
    table.write_h5ad(tmp_path / "nowhere.h5ad")
    assert "does not say where its bins lie" in told(read_transcripts, tmp_path / "nowhere.h5ad")


def test_tables_that_are_broken_or_cut_short(tmp_path):
    bins().write_h5ad(tmp_path / "a.h5ad")
    whole = (tmp_path / "a.h5ad").read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    assert "damaged or cut short" in told(read_transcripts, tmp_path / "cut.h5ad")
    assert "no file" in told(read_anndata, tmp_path / "none.h5ad")
    bins().write_zarr(tmp_path / "a.zarr")
    for part in sorted((tmp_path / "a.zarr" / "X").rglob("zarr.json")) or sorted(
        (tmp_path / "a.zarr" / "X").rglob(".z*")
    ):
        part.unlink()
    assert "a.zarr" in told(read_transcripts, tmp_path / "a.zarr")
    AnnData(obs=bins().obs).write_h5ad(tmp_path / "empty.h5ad")
    assert told(read_transcripts, tmp_path / "empty.h5ad")


def test_cells_of_saw_keep_ids_counts_and_borders(tmp_path):
    path = cell_bin_gef(tmp_path / "a.cellbin.gef")
    t = read_transcripts(path)
    assert t.genes == ("Actb", "Malat1") and t.n_umis == 11 and t.header["MicronsPerPixel"] == "0.5"
    assert sorted(zip(t.x.tolist(), t.y.tolist(), t.cell_id.tolist(), t.counts["total"].tolist(), strict=True)) == [
        (110, 210, 1, 2),
        (110, 210, 1, 5),
        (130, 205, 2, 4),
    ]
    labels, grid = read_gef_borders(path)
    assert (grid.x0, grid.y0, grid.shape, grid.um_per_px) == (108, 204, labels.shape, 0.5)
    first = np.argwhere(labels == 1) + np.array([grid.y0, grid.x0])
    assert first.min(0).tolist() == [206, 108] and first.max(0).tolist() == [212, 112]
    assert labels[206 - 204, 112 - 108] == 0 and labels[212 - 204, 112 - 108] == 1  # the corner of the L is below left
    assert np.count_nonzero(labels == 2) == 9


def test_cell_bins_without_borders_or_cut_short(tmp_path):
    path = cell_bin_gef(tmp_path / "a.gef", borders=False)
    assert "without borders" in told(read_gef_borders, path)
    (tmp_path / "cut.gef").write_bytes(path.read_bytes()[:3000])
    assert "damaged or cut short" in told(read_gef_cells, tmp_path / "cut.gef")
    import h5py

    with h5py.File(path, "a") as file:
        held = file["cellBin/cellExp"][:2]
        del file["cellBin/cellExp"]
        file["cellBin/cellExp"] = held
    assert "copy the file again" in told(read_transcripts, path)
    with h5py.File(path, "a") as file:
        del file["cellBin/cell"]
    assert "no cell bins" in told(read_transcripts, path)


def test_a_run_takes_bins(tmp_path):
    import segapp

    sample = load_sample("tissue", size=96)
    t = sample.transcripts
    at, row = np.unique(np.stack([t.x, t.y], axis=1), axis=0, return_inverse=True)
    from scipy import sparse

    counts = sparse.csr_matrix((t.counts["total"], (row.ravel(), t.gene)), shape=(len(at), len(t.genes)))
    table = AnnData(counts)
    table.var_names, table.obsm["spatial"] = list(t.genes), at
    table.write_h5ad(tmp_path / "bins.h5ad")
    direct = segapp.run(t, preset="rna-total")
    through = segapp.run(tmp_path / "bins.h5ad", preset="rna-total")
    np.testing.assert_array_equal(through.labels, direct.labels)
