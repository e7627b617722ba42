"""Every output read back by the library that its users would read it with; an L shows where its corner went."""

import dataclasses
import json
import re
import sys

import anndata
import numpy as np
import pytest

from segapp.core.records import make_transcripts
from segapp.core.types import Grid, Unavailable
from segapp.io.export import EXPORTERS
from segapp.io.results import SavedResult
from segapp.io.table import to_anndata
from tests.io.bricks import CORNER, HEIGHT, WIDTH, the_l

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]
X0, Y0, UM = 1000, 200, 0.5


@pytest.fixture(scope="module")
def result():
    """Return one cell, the L, with its corner as its nucleus, and a second cell at the edge."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    x, y = the_l()
    labels[y, x] = 70000
    labels[0:3, 36:40] = 5
    steps = np.add.outer(np.abs(np.arange(HEIGHT) - CORNER[1]), np.abs(np.arange(WIDTH) - CORNER[0]))
    nuclei = np.where(steps < 2, labels, 0)
    t = make_transcripts(
        np.append(x, [37, 20]) + X0,
        np.append(y, [1, 20]) + Y0,
        np.arange(len(x) + 2) % 2,
        {"total": np.full(len(x) + 2, 3)},
        ["Actb", "Malat1"],
    )
    grid = Grid(X0, Y0, HEIGHT, WIDTH, UM)
    picture = (labels > 0).astype(np.float32)
    table = to_anndata(t, labels, grid, nuclei=nuclei, background=picture, scores=picture * 0.8)
    return SavedResult(labels, nuclei, table, grid, t, '{"preset": "stain", "params": {"rna": {"nuclear": "auto"}}}')


@pytest.fixture(scope="module")
def written(result, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    for name, exporter in EXPORTERS.items():
        exporter.write(result, folder / f"{name}{exporter.suffix}")
    return {name: folder / f"{name}{exporter.suffix}" for name, exporter in EXPORTERS.items()}


def test_spatialdata_has_everything_in_place(result, written):
    import spatialdata as sd
    from spatialdata.transformations import get_transformation

    store = sd.read_zarr(written["spatialdata"])
    assert set(store.coordinate_systems) == {"global", "um"}
    cells = store["cells"].data.compute()
    np.testing.assert_array_equal(cells, result.labels)
    assert cells[CORNER[1], CORNER[0]] == 70000
    np.testing.assert_array_equal(store["nuclei"].data.compute(), result.nuclei)
    table = store["table"]
    assert table.uns["spatialdata_attrs"] == {"region": "cells", "region_key": "region", "instance_key": "label"}
    assert set(table.obs["label"]) == {5, 70000} == set(store["outlines"].index)
    assert table.X.sum() == result.table.X.sum()
    assert store["outlines"].geometry.loc[70000].area == len(the_l()[0])

    # one place, from three elements, in both coordinate systems
    for system, side in (("global", 1.0), ("um", UM)):
        to = get_transformation(store["cells"], to_coordinate_system=system).to_affine_matrix(("x", "y"), ("x", "y"))
        corner = (to @ [*CORNER, 1])[:2]
        np.testing.assert_allclose(corner, [(X0 + CORNER[0]) * side, (Y0 + CORNER[1]) * side])
        shape = sd.transform(store["outlines"], to_coordinate_system=system).geometry.loc[70000]
        x_min, _, x_max, y_max = shape.bounds
        np.testing.assert_allclose([x_min, y_max], [corner[0], corner[1] + side])
        assert x_max - x_min == 6 * side
        picture = get_transformation(store["picture"], to_coordinate_system=system)
        np.testing.assert_allclose(picture.to_affine_matrix(("x", "y"), ("x", "y")), to)
    image = store["picture"].data.compute()
    assert image.shape == (1, HEIGHT, WIDTH)
    assert image[0, CORNER[1], CORNER[0]] == 255 and image[0, CORNER[0], CORNER[1]] == 0


def test_a_reduced_picture_lies_over_its_cells(result):
    from spatialdata.transformations import get_transformation

    from segapp.io.spatialdata_out import _elements

    reduced = result.table.copy()
    kept = reduced.uns["spatial"]["segapp"]
    kept["images"]["hires"], kept["scalefactors"]["tissue_hires_scalef"] = np.zeros((12, 20, 3), np.uint8), 0.5
    matrix = get_transformation(
        _elements(reduced, result.labels, result.grid, None)["images"]["picture"], to_coordinate_system="global"
    ).to_affine_matrix(("x", "y"), ("x", "y"))
    # its pixel (0, 0) is the mean of px -1 and 0 of the frame: it begins one px before it
    np.testing.assert_allclose(matrix @ [0, 0, 1], [X0 - 1, Y0 - 1, 1])
    np.testing.assert_allclose(matrix @ [20, 12, 1], [X0 + WIDTH - 1, Y0 + HEIGHT - 1, 1])


def test_spatialdata_that_is_not_installed_is_one_sentence(result, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spatialdata", None)
    with pytest.raises(Unavailable, match=r"pip install 'segapp\[formats\]'"):
        EXPORTERS["spatialdata"].write(result, tmp_path / "a.zarr")
    assert list(tmp_path.iterdir()) == []


def test_ome_zarr_through_its_library(result, written):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    nodes = {node.zarr.basename(): node for node in Reader(parse_url(written["ome-zarr"] / "labels" / "cells"))()}
    np.testing.assert_array_equal(np.asarray(nodes["cells"].data[0]), result.labels)
    place = nodes["cells"].metadata["coordinateTransformations"][0][1]["translation"]
    assert place == [Y0 * UM, X0 * UM]


def test_geojson_through_shapely(result, written):
    from shapely.geometry import shape

    features = json.loads(written["geojson"].read_text())["features"]
    cells = {feature["properties"]["measurements"]["label"]: feature for feature in features}
    cell, nucleus = (shape(cells[70000][key]) for key in ("geometry", "nucleusGeometry"))
    assert cell.is_valid and cell.area == len(the_l()[0]) and cell.contains(nucleus)
    x_min, y_min, x_max, y_max = cell.bounds
    assert (x_min, y_max) == (X0 + CORNER[0], Y0 + CORNER[1] + 1) and (x_max - x_min, y_max - y_min) == (6, 12)
    # Xenium Ranger leaves out what is no cell, nucleus or not
    assert {feature["properties"]["objectType"] for feature in features} == {"cell"}
    assert "nucleusGeometry" not in cells[5]


def test_labels_as_the_pipelines_of_instruments_want_them(result, written):
    import tifffile

    with tifffile.TiffFile(written["tif"]) as tiff:
        page = tiff.pages.first
        assert len(tiff.pages) == 1 and page.dtype == np.uint32 and page.samplesperpixel == 1
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        np.testing.assert_array_equal(page.asarray(), result.labels)


def test_tables_through_pandas_and_the_gem_through_its_reader(result, written):
    import pandas as pd

    from segapp.io.gem import read_gem

    as_text, typed = pd.read_csv(written["csv"]), pd.read_parquet(written["parquet"])
    for frame in (as_text, typed):
        cell = frame.set_index("label").loc[70000]
        assert cell["x_input"] - cell["x"] == pytest.approx(X0) and cell["n_counts"] == 3 * len(the_l()[0])
    back = read_gem(written["gem"])
    inside = back.cell_id == 70000
    assert inside.sum() == len(the_l()[0])
    assert back.y[inside].max() == Y0 + CORNER[1] and back.x[inside].min() == X0 + CORNER[0]


def test_cells_of_an_h5ad_lie_where_the_picture_shows_them(result, written):
    table = anndata.read_h5ad(written["h5ad"])
    x, y = table.obsm["spatial"][list(table.obs["label"]).index(5)]
    assert (x, y) == (37.5, 1.0)
    assert table.uns["spatial"]["segapp"]["images"]["segmentation"][1, 37] == 5


def test_the_report_is_one_small_page_that_needs_nothing_else(result, written):
    from html.parser import HTMLParser

    text = written["html"].read_text()
    assert len(text) < 5e6 and not re.findall(r'(?:src|href)="(?!data:)', text) and "url(" not in text
    open_tags = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "image", "rect", "line", "path", "br"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            if tag not in ("image", "rect", "line", "path"):
                assert open_tags.pop() == tag

    Balanced().feed(text)
    assert open_tags == []
    for words in ("Overview", "Distributions", "Scorecard", "Made with", "1000, 200"):
        assert words in text


def test_a_report_of_no_cells(result, tmp_path):
    labels = np.zeros_like(result.labels)
    table = to_anndata(result.transcripts, labels, result.grid)
    nothing = dataclasses.replace(result, labels=labels, nuclei=None, table=table)
    EXPORTERS["html"].write(nothing, tmp_path / "section_cells.html")
    text = (tmp_path / "section_cells.html").read_text()
    assert "No cell was found" in text and "<h1>section</h1>" in text
    EXPORTERS["spatialdata"].write(nothing, tmp_path / "a.zarr")
    EXPORTERS["ome-zarr"].write(nothing, tmp_path / "a.ome.zarr")
