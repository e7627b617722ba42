"""Stains in OME-Zarr, OME-TIFF and BigTIFF: orientation, channels, pyramids, pixel sizes; labels out and back."""

import shutil

import numpy as np
import pytest
import tifffile
import zarr

from segapp.core.types import Grid, InputError
from segapp.io.image import read_stain
from segapp.io.ngff import write_ome_zarr, zarr_size
from tests.io.bricks import CORNER, HEIGHT, WIDTH, picture, the_l
from tests.io.test_bins import told

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def ome_zarr(path, version="0.5", um=0.65, unit="micrometer", levels=2):
    """Write the picture with the library ome-zarr."""
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_multiscale

    image = picture()[np.newaxis]
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    units = {"unit": unit} if unit else {}
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", **units} for axis in "yx"]
    scales = [[{"type": "scale", "scale": [1, 1, um * 2**i, um * 2**i]}] for i in range(levels)]
    pyramid = [image[..., :: 2**i, :: 2**i] for i in range(levels)]
    write_multiscale(pyramid, group, axes=axes, coordinate_transformations=scales, fmt=format_from_version(version))
    attributes = dict(group.attrs)
    channels = {"channels": [{"label": "DAPI"}, {"label": "frame"}]}
    if version == "0.4":
        group.attrs["omero"] = channels
    else:
        group.attrs["ome"] = {**attributes["ome"], "omero": channels}
    return path


def is_the_picture(stain):
    assert stain.axes == "CYX" and stain.image.shape == (2, HEIGHT, WIDTH) and stain.image.dtype == np.uint16
    np.testing.assert_array_equal(stain.image, picture())
    x, y = CORNER
    assert stain.image[0, y, x] == 900 and stain.image[0, x, y] == 0
    return True


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(("unit", "um"), [("micrometer", 0.65), ("nanometer", 0.00065), ("", None)])
def test_an_ome_zarr_is_read_at_full_resolution(tmp_path, version, unit, um):
    stain = read_stain(ome_zarr(tmp_path / "a.ome.zarr", version, unit=unit))
    assert is_the_picture(stain) and stain.channels == ("DAPI", "frame")
    assert stain.um_per_px == (None if um is None else pytest.approx(um))
    assert zarr_size(tmp_path / "a.ome.zarr")[0] == HEIGHT * WIDTH


def test_an_image_inside_a_store_of_one(tmp_path):
    group = zarr.open_group(str(tmp_path / "b.zarr"), mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    ome_zarr(tmp_path / "b.zarr" / "0", "0.4")
    assert is_the_picture(read_stain(tmp_path / "b.zarr"))
    shutil.copytree(tmp_path / "b.zarr" / "0", tmp_path / "b.zarr" / "1")
    assert "holds 2 images" in told(read_stain, tmp_path / "b.zarr")


def test_an_ome_zarr_that_is_broken_or_something_else(tmp_path):
    path = ome_zarr(tmp_path / "a.ome.zarr")
    chunk = next(
        file
        for file in (path / "0" if (path / "0").is_dir() else path / "s0").rglob("*")
        if file.name == "0" and file.is_file()
    )
    chunk.write_bytes(chunk.read_bytes()[:10])
    assert "damaged" in told(read_stain, path)
    level = path / "0" if (path / "0").is_dir() else path / "s0"
    (level / "zarr.json").unlink()
    assert "damaged" in told(read_stain, path)
    (path / "zarr.json").write_text("{")
    assert "damaged" in told(read_stain, path)
    (tmp_path / "folder").mkdir()
    assert "is a folder" in told(read_stain, tmp_path / "folder")
    zarr.open_group(str(tmp_path / "g.zarr"), mode="w", zarr_format=3)
    assert "holds no image" in told(read_stain, tmp_path / "g.zarr")


@pytest.mark.parametrize("bigtiff", [False, True])
def test_an_ome_tiff_with_pyramid_channels_and_pixel_size(tmp_path, bigtiff):
    path = tmp_path / "a.ome.tif"
    image = picture()
    with tifffile.TiffWriter(path, bigtiff=bigtiff, ome=True) as out:
        options = {"photometric": "minisblack", "compression": "zlib", "tile": (16, 16)}
        about = {
            "axes": "CYX",
            "Channel": {"Name": ["DAPI", "frame"]},
            "PhysicalSizeX": 0.2125,
            "PhysicalSizeXUnit": "µm",
        }
        out.write(image, subifds=1, metadata=about, **options)
        out.write(image[:, ::2, ::2], subfiletype=1, **options)
    stain = read_stain(path)
    assert is_the_picture(stain) and stain.channels == ("DAPI", "frame") and stain.um_per_px == 0.2125
    (tmp_path / "cut.ome.tif").write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "cut short or damaged" in told(read_stain, tmp_path / "cut.ome.tif")


def test_pixel_sizes_of_imagej_count_and_those_of_printers_do_not(tmp_path):
    tifffile.imwrite(tmp_path / "j.tif", picture()[0], imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"})
    assert read_stain(tmp_path / "j.tif").um_per_px == pytest.approx(0.5)
    tifffile.imwrite(tmp_path / "p.tif", picture()[0], resolution=(72, 72), resolutionunit="INCH")
    assert read_stain(tmp_path / "p.tif").um_per_px is None


def test_molecules_are_counted_in_the_pixels_of_the_stain(tmp_path):
    import polars as pl

    from segapp.pipeline.job import run

    # one molecule in each of two corners, so that the stain covers what there is
    x, y = (
        np.append(np.repeat(values, 40), [0, last])
        for values, last in zip(the_l(), (WIDTH - 1, HEIGHT - 1), strict=True)
    )
    um = 0.2125
    pl.DataFrame(
        {"x_location": (x + 0.5) * um, "y_location": (y + 0.5) * um, "feature_name": ["Actb"] * len(x), "qv": 40.0}
    ).write_parquet(tmp_path / "transcripts.parquet")
    tifffile.imwrite(tmp_path / "s.ome.tif", picture()[0], ome=True, metadata={"axes": "YX", "PhysicalSizeX": um})
    seen = {}

    def watch(session):
        session.events.loaded.connect(lambda: seen.update(session.inputs))

    run(
        tmp_path / "transcripts.parquet",
        tmp_path / "s.ome.tif",
        preset="rna-total",
        set={"cell_score.method": "gauss", "density.method": "off"},
        watch=watch,
    )
    t = seen["transcripts"]
    places = set(zip(t.x.tolist(), t.y.tolist(), strict=True)) - {(0, 0), (WIDTH - 1, HEIGHT - 1)}
    assert places == set(zip(*(values.tolist() for values in the_l()), strict=True))


def test_labels_come_back_through_the_library_of_ome_zarr(tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    labels = np.zeros((700, 900), np.int32)
    labels[40:300, 60:80] = 3
    labels[280:300, 60:500] = 3  # an L with its corner at row 299, column 60
    labels[600, 800] = 70000
    image = (labels[::2, ::2] > 0).astype(np.uint8) * 200
    path = tmp_path / "cells.ome.zarr"
    grid = Grid(100, 50, 700, 900, 0.5)
    write_ome_zarr(path, {"cells": labels, "nuclei": labels}, grid, image=image, step=2)
    nodes = list(Reader(parse_url(path))())
    assert len(nodes) >= 2  # the image and its labels
    np.testing.assert_array_equal(np.asarray(nodes[0].data[0]), image)
    of_labels = {node.zarr.basename(): node for node in Reader(parse_url(path / "labels" / "cells"))()}
    node = of_labels["cells"]
    assert node.data[0].dtype == np.int32
    np.testing.assert_array_equal(np.asarray(node.data[0]), labels)
    np.testing.assert_array_equal(np.asarray(node.data[1]), labels[::2, ::2])
    about = node.metadata["coordinateTransformations"][0]
    assert about[0]["scale"] == [0.5, 0.5] and about[1]["translation"] == [25.0, 50.0]
    write_ome_zarr(path, {"cells": labels}, grid)  # again, over it
    assert [one.name for one in tmp_path.iterdir()] == ["cells.ome.zarr"] and not (path / "0").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="other files in it"):
        write_ome_zarr(tmp_path / "mine", {"cells": labels}, grid)
