import dataclasses
import json
import uuid

import numpy as np
import pytest

from segapp.core.outline import polygons
from segapp.core.types import Grid, InputError, Unavailable
from segapp.io.export import EXPORTERS, find_exporters
from segapp.io.gem import read_gem
from segapp.io.geojson import write_geojson
from segapp.io.samples import load_sample
from segapp.pipeline.job import Result, run


@pytest.fixture(scope="module")
def result() -> Result:
    sample = load_sample("tissue", size=128, seed=11)
    return run(sample.transcripts, sample.stain)


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_writes_one_file_of_its_suffix(name, result, tmp_path):
    exporter = EXPORTERS[name]
    assert exporter.name == name and exporter.title and exporter.doc.endswith(".") and exporter.suffix.startswith(".")
    path = tmp_path / f"cells{exporter.suffix}"
    exporter.write(result, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.stat().st_size > 0


def test_labels_as_tiff_keep_their_numbers_and_their_place(result, tmp_path):
    import tifffile

    EXPORTERS["tif"].write(result, tmp_path / "a.tif")
    back = tifffile.imread(tmp_path / "a.tif")
    assert back.dtype == np.uint32 and np.array_equal(back, result.labels)


def test_names_of_formats_are_forgiving_and_unknown_ones_are_listed():
    assert [e.name for e in find_exporters(" H5AD,.tif,h5ad,")] == ["h5ad", "tif"]
    with pytest.raises(InputError, match="no format docx; choose among h5ad"):
        find_exporters(["docx"])


def test_a_result_knows_its_frame_and_recipe(result):
    assert result.grid.shape == result.labels.shape and '"cell_score"' in result.recipe
    assert result.transcripts.n_umis == result.summary["n_umis"]


def test_outlines_are_exact_in_the_coordinates_of_the_input(tmp_path):
    labels = np.zeros((7, 9), np.int32)
    labels[1:5, 1:5] = 3
    labels[2, 2] = 0  # a hole
    labels[6, 8] = 3  # and a piece apart
    labels[1:3, 6:8] = 5
    nuclei = np.where(np.arange(9) < 3, labels, 0)
    grid = Grid(1000, 2000, 7, 9)
    write_geojson(tmp_path / "a.geojson", labels, grid, nuclei=nuclei)
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    first, second = features
    assert first["geometry"]["type"] == "MultiPolygon" and second["geometry"]["type"] == "Polygon"
    assert first["properties"]["objectType"] == "cell" and second["properties"]["name"] == "5"
    assert "nucleusGeometry" in first and "nucleusGeometry" not in second
    assert first["id"] != second["id"] and uuid.UUID(first["id"])
    # x runs along the columns: the image is not square, so swapped axes would show
    xy = np.array(second["geometry"]["coordinates"][0])
    assert xy.min(0).tolist() == [1006, 2001] and xy.max(0).tolist() == [1008, 2003]
    big, small = first["geometry"]["coordinates"]
    assert len(big) == 2 and len(small) == 1
    areas = [sum(_area(np.array(ring)) for ring in part) for part in (big, small)]
    assert areas == [15.0, 1.0]  # outer rings are positive, holes negative


def _area(ring: np.ndarray) -> float:
    x, y = ring.T.astype(float)
    return float(0.5 * (x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


def test_outlines_of_bins_are_exact_at_any_side():
    labels = np.array([[0, 2], [2, 2]])
    for side in (1, 20, 50):
        (ring,) = polygons(labels, Grid(7, 9, 2, 2), side=side)[2][0]
        assert _area(ring.astype(float)) == 3 * side**2
        assert ring.min(0).tolist() == [7, 9] and ring.max(0).tolist() == [7 + 2 * side, 9 + 2 * side]
    with pytest.raises(InputError, match="shape"):
        polygons(labels, Grid(7, 9, 3, 2))


def test_tables_hold_every_cell_with_place_and_counts(result, tmp_path):
    import polars as pl

    for name in ("csv", "parquet"):
        EXPORTERS[name].write(result, tmp_path / f"a.{name}")
    as_text, typed = pl.read_csv(tmp_path / "a.csv"), pl.read_parquet(tmp_path / "a.parquet")
    assert as_text.columns == typed.columns and len(typed) == result.table.n_obs
    assert typed["n_counts"].sum() == result.summary["umis_assigned"]
    assert np.allclose(typed["x"].to_numpy() + result.grid.x0, typed["x_input"].to_numpy())


def test_records_keep_their_umis_and_learn_their_cell(result, tmp_path):
    EXPORTERS["gem"].write(result, tmp_path / "a.gem.gz")
    back = read_gem(tmp_path / "a.gem.gz")
    assert back.n_umis == result.transcripts.n_umis
    inside = back.counts["total"][back.cell_id > 0].sum(dtype=np.int64)
    assert inside == result.summary["umis_assigned"]
    assert set(back.cell_id.tolist()) - {0} <= set(result.table.obs["label"].tolist())
    with pytest.raises(Unavailable, match="needs the UMI records"):
        EXPORTERS["gem"].write(dataclasses.replace(result, transcripts=None), tmp_path / "b.gem.gz")
