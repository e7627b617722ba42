"""SpatialData stores written by its library: points, tables of bins, images; by name where there are several."""

import numpy as np
import pandas as pd
import pytest

from segapp.io.image import read_stain
from segapp.io.spatialdata_in import read_spatialdata
from segapp.io.transcripts import read_transcripts
from segapp.io.zarr_groups import has_image
from tests.io.bricks import HEIGHT, WIDTH, bins, is_the_l, picture, the_l
from tests.io.test_bins import told

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]


def store(path, *, points=("transcripts",), tables=(), images=("morphology",), um=0.2125, shapes=True):
    """A section: points in µm, an image in px, squares of 8 µm; everything meets in "global" px."""
    import geopandas as gpd
    import shapely
    import spatialdata as sd
    from spatialdata.models import Image2DModel, PointsModel, ShapesModel, TableModel
    from spatialdata.transformations import Affine, Identity, Scale

    x, y = the_l()
    molecules = pd.DataFrame(
        {
            "x": [*(x + 0.5) * um, 0.1],
            "y": [*(y + 0.5) * um, 0.1],
            "feature_name": pd.Categorical([*["Actb", "Malat1"] * (len(x) // 2), "Actb", "NegControlProbe_1"]),
            "qv": 40.0,
        }
    )
    to_px = {"global": Scale([1 / um, 1 / um], axes=("x", "y"))}
    moved = Affine([[1, 0, 0], [0, 1, 0], [0, 0, 1]], input_axes=("x", "y"), output_axes=("x", "y"))
    elements = {
        "points": {
            name: PointsModel.parse(molecules, feature_key="feature_name", transformations=to_px) for name in points
        },
        "images": {
            name: Image2DModel.parse(
                picture(), dims=("c", "y", "x"), c_coords=["DAPI", "frame"], transformations={"global": moved}
            )
            for name in images
        },
    }
    for name in tables:
        table = bins(columns=not shapes)
        del table.layers["unspliced"]
        table.obsm.clear()
        table.obs["region"], table.obs["location_id"] = pd.Categorical([f"S_{name}"] * len(x)), np.arange(len(x)) + 100
        elements.setdefault("tables", {})[name] = TableModel.parse(
            table, region=f"S_{name}", region_key="region", instance_key="location_id"
        )
        squares = gpd.GeoDataFrame(
            {"geometry": [shapely.box(8 * a, 8 * b, 8 * a + 8, 8 * b + 8) for a, b in zip(x, y, strict=True)]},
            index=np.arange(len(x)) + 100,
        ).iloc[::-1]
        elements.setdefault("shapes", {})[f"S_{name}"] = ShapesModel.parse(
            squares, transformations={"global": Identity()}
        )
    sd.SpatialData(**elements).write(path)
    return path


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    return store(tmp_path_factory.mktemp("sd") / "section.zarr", tables=("square_008um",))


def test_points_fall_into_the_pixels_of_the_image(section):
    for path in (section, section / "points" / "transcripts"):
        t = read_transcripts(path)
        assert is_the_l(t) and t.genes == ("Actb", "Malat1") and t.n_umis == 17
        assert float(t.header["MicronsPerPixel"]) == pytest.approx(0.2125)
    stain = read_stain(section)
    assert stain.channels == ("DAPI", "frame") and stain.image.shape == (2, HEIGHT, WIDTH)
    np.testing.assert_array_equal(stain.image, picture())
    np.testing.assert_array_equal(read_stain(section / "images" / "morphology").image, picture())
    assert has_image(section)


def test_a_table_is_read_by_name_at_the_centres_of_its_shapes(section):
    t = read_transcripts(section / "tables" / "square_008um")
    assert is_the_l(t) and t.header["MicronsPerPixel"] == "8" and t.n_umis == sum(range(1, 18)) + 34


def test_several_elements_are_told_by_name_and_points_without_an_image_are_binned(tmp_path):
    path = store(tmp_path / "a.zarr", points=(), images=(), tables=("square_008um", "square_016um"), shapes=False)
    assert "several points and tables (square_008um, square_016um)" in told(read_spatialdata, path)
    assert is_the_l(read_transcripts(path / "tables" / "square_016um"))
    assert "holds no images; it is a SpatialData store with tables" in told(read_stain, path)
    path = store(tmp_path / "b.zarr", points=("one", "two"), images=(), um=1.0)
    assert "several points (one, two)" in told(read_transcripts, path)
    assert is_the_l(read_transcripts(path / "points" / "two", um_per_px=1.0))
    assert "shapes" in told(read_transcripts, tmp_path / "a.zarr" / "shapes" / "S_square_008um")


def test_stores_that_are_damaged(section, tmp_path):
    import shutil

    path = tmp_path / "cut.zarr"
    shutil.copytree(section, path)
    part = next((path / "points" / "transcripts" / "points.parquet").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:200])
    assert "cannot be read as points" in told(read_transcripts, path)
    shutil.rmtree(path / "points" / "transcripts" / "points.parquet")
    assert "cannot be read as points" in told(read_transcripts, path)
    (path / "tables" / "square_008um" / "X" / "zarr.json").unlink()
    assert told(read_transcripts, path / "tables" / "square_008um")
