"""Stain images and label images."""

import numpy as np
import pytest
import tifffile

from segapp.core.types import InputError
from segapp.io.image import read_stain, write_image
from segapp.io.masks import read_labels, write_labels


@pytest.fixture
def ramp():
    return np.arange(30, dtype=np.uint8).reshape(5, 6) * 8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.tif", "a.tiff", "a.ome.tif"])
def test_round_trip_keeps_pixels_and_dtype(tmp_path, ramp, dtype, name):
    image = ramp.astype(dtype) * dtype(1.5 if dtype in (np.float32, np.float64) else 1)
    write_image(tmp_path / name, image)
    stain = read_stain(tmp_path / name)
    assert stain.image.dtype == dtype and np.array_equal(stain.image, image)
    assert (stain.axes, stain.channels, stain.name) == ("YX", (), name)
    assert not stain.image.flags.writeable
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png(tmp_path, ramp, dtype):
    write_image(tmp_path / "a.png", ramp.astype(dtype))
    stain = read_stain(tmp_path / "a.png")
    assert stain.image.dtype == dtype and np.array_equal(stain.image, ramp) and stain.axes == "YX"


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_rgb_keeps_its_samples_last_and_named(tmp_path, ramp, name):
    rgb = np.stack([ramp, ramp // 2, ramp // 4], axis=2)
    write_image(tmp_path / name, rgb)
    stain = read_stain(tmp_path / name)
    assert stain.axes == "YXS" and stain.channels == ("red", "green", "blue") and np.array_equal(stain.image, rgb)


def test_channels_of_an_ome_tiff_are_named(tmp_path, ramp):
    write_image(tmp_path / "a.ome.tif", np.stack([ramp, ramp + 1]), channels=("DAPI", "membrane"))
    stain = read_stain(tmp_path / "a.ome.tif")
    assert stain.axes == "CYX" and stain.channels == ("DAPI", "membrane") and np.array_equal(stain.image[1], ramp + 1)


def test_channels_without_or_with_equal_names_can_be_told_apart(tmp_path, ramp):
    write_image(tmp_path / "a.tif", np.stack([ramp, ramp + 1]))
    write_image(tmp_path / "a.ome.tif", np.stack([ramp, ramp + 1]), channels=("DNA", "DNA"))
    assert read_stain(tmp_path / "a.tif").channels == ("channel 1", "channel 2")
    assert read_stain(tmp_path / "a.ome.tif").channels == ("DNA (1)", "DNA (2)")


def test_pages_without_metadata_are_channels_and_single_axes_are_dropped(tmp_path, ramp):
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([ramp] * 4), metadata=None, photometric="minisblack")
    tifffile.imwrite(tmp_path / "one.tif", ramp[None, None], metadata={"axes": "TCYX"}, imagej=True)
    assert read_stain(tmp_path / "pages.tif").axes == "CYX" and len(read_stain(tmp_path / "pages.tif").channels) == 4
    assert read_stain(tmp_path / "one.tif").image.shape == (5, 6)


def test_the_full_resolution_of_a_pyramid_is_read(tmp_path):
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as writer:
        writer.write(image, subifds=1, metadata={"axes": "YX"}, tile=(32, 32))
        writer.write(image[::2, ::2], subfiletype=1, tile=(32, 32))
    assert read_stain(tmp_path / "p.ome.tif").image.shape == (64, 64)


def test_inverted_tiff_is_bright_where_it_is_shown_bright(tmp_path, ramp):
    tifffile.imwrite(tmp_path / "a.tif", ramp, photometric="miniswhite")
    assert np.array_equal(read_stain(tmp_path / "a.tif").image, 255 - ramp)


@pytest.mark.parametrize(
    ("stored", "dtype"), [(np.bool_, np.uint8), (np.int16, np.uint16), (np.uint32, np.uint16), (">u2", np.uint16)]
)
def test_other_pixel_types_become_one_of_the_known(tmp_path, ramp, stored, dtype):
    tifffile.imwrite(tmp_path / "a.tif", ramp.astype(stored), photometric="minisblack")
    image = read_stain(tmp_path / "a.tif").image
    assert image.dtype == dtype and image.dtype.isnative
    assert image.max() == (255 if stored is np.bool_ else ramp.max())


def test_integers_that_do_not_fit_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 70000]], dtype=np.uint32))
    with pytest.raises(InputError, match="from 0 to 70000"):
        read_stain(tmp_path / "a.tif")


def test_the_digest_follows_the_content(tmp_path, ramp):
    for name, image in {"a.tif": ramp, "b.png": ramp, "c.tif": ramp + 1, "d.tif": ramp.astype(np.uint16)}.items():
        write_image(tmp_path / name, image)
    digests = [read_stain(tmp_path / name).digest for name in ("a.tif", "b.png", "c.tif", "d.tif")]
    assert digests[0] == digests[1] and len(set(digests)) == 3


@pytest.mark.parametrize("read", [read_stain, read_labels])
def test_what_is_no_image_is_refused_with_one_sentence(tmp_path, ramp, read):
    write_image(tmp_path / "good.tif", ramp)
    write_image(tmp_path / "good.png", ramp)
    (tmp_path / "text.tif").write_text("geneID\tx\ty\tMIDCount\n")
    (tmp_path / "empty.tif").write_bytes(b"")
    for name in ("good.tif", "good.png"):
        (tmp_path / f"cut_{name}").write_bytes((tmp_path / name).read_bytes()[:60])
    cases = {
        "none.tif": "There is no file",
        ".": "is a folder",
        "text.tif": "not an image",
        "empty.tif": "not an image",
        "cut_good.tif": "cut short or damaged|without an image",
        "cut_good.png": "cut short or damaged",
    }
    for name, reason in cases.items():
        with pytest.raises(InputError, match=reason) as error:
            read(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_stack_of_stacks_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 3, 5, 6), dtype=np.uint8), imagej=True)
    with pytest.raises(InputError, match="one plane per channel"):
        read_stain(tmp_path / "a.tif")


def test_names_and_kinds_that_cannot_be_written_are_refused(tmp_path, ramp):
    with pytest.raises(InputError, match=r"\.tif, \.tiff or \.png"):
        write_image(tmp_path / "a.jpg", ramp)
    with pytest.raises(InputError, match="file instead"):
        write_image(tmp_path / "a.png", ramp.astype(np.float32))
    assert not list(tmp_path.iterdir())


# --- labels ---------------------------------------------------------------------------------------------------------


def test_labels_round_trip_as_compressed_uint32(tmp_path):
    labels = np.zeros((300, 200), dtype=np.int32)
    labels[10:200, 20:100] = 70001
    labels[0, 0] = 3
    write_labels(tmp_path / "a.tif", labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        page = tiff.pages.first
        assert page.dtype == np.uint32 and page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
    back = read_labels(tmp_path / "a.tif")
    assert back.dtype == np.int32 and np.array_equal(back, labels)
    assert (tmp_path / "a.tif").stat().st_size < labels.nbytes / 50


def test_equal_labels_are_equal_bytes(tmp_path):
    labels = np.eye(9, dtype=np.uint16)
    write_labels(tmp_path / "a.tif", labels)
    write_labels(tmp_path / "b.tif", labels.astype(np.int64))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.int32, np.int64, np.float32])
def test_labels_of_any_dtype_are_read(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1], [1, 0]]).astype(dtype), photometric="minisblack")
    assert read_labels(tmp_path / "a.tif").tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("values", [[[0.5, 1.0]], [[-1.0, 1.0]], [[0.0, np.nan]], [[0.0, 3e9]]])
def test_values_that_are_no_labels_are_refused(tmp_path, values):
    tifffile.imwrite(tmp_path / "a.tif", np.array(values))
    with pytest.raises(InputError, match="labels are whole numbers"):
        read_labels(tmp_path / "a.tif")


def test_labels_of_several_planes_are_refused(tmp_path, ramp):
    write_image(tmp_path / "a.tif", np.stack([ramp, ramp]))
    with pytest.raises(InputError, match="labels are one plane"):
        read_labels(tmp_path / "a.tif")
    with pytest.raises(InputError, match="rows and columns"):
        write_labels(tmp_path / "b.tif", np.stack([ramp, ramp]))
