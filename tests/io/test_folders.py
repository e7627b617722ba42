"""What a page may name: inside the root, of a kind that is read, within the limit; and what opening takes."""

import gzip

import numpy as np
import pytest

from segapp.core.types import InputError
from segapp.io import folders
from segapp.io.estimate import PIXEL_BYTES, Estimate, estimate
from segapp.io.folders import Upload, allowed, inside, kind_of, list_folder
from segapp.io.image import image_size


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGAPP_STATE", str(tmp_path / "state"))
    made = tmp_path / "root"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "a.gem.gz").write_bytes(b"x")
    (made / "b.tif").write_bytes(b"x")
    (made / "key.pem").write_bytes(b"x")
    (tmp_path / "secret.gem").write_text("outside")
    (made / "link.gem").symlink_to(tmp_path / "secret.gem")
    (made / "door").symlink_to(tmp_path)
    return made


@pytest.mark.parametrize(
    "path", ["..", "../secret.gem", "link.gem", "door", "door/secret.gem", "/etc/passwd", "none.gem"]
)
def test_nothing_outside_is_within_reach_by_dots_links_or_names(root, path):
    with pytest.raises(InputError, match="not within reach"):
        inside(root, path)
    assert not allowed(root / path, [root]) or path == "none.gem"


def test_a_folder_lists_what_is_inside_and_can_be_read(root):
    assert list_folder(root).folders == ("deep",)
    assert list_folder(root).files == ("b.tif",)
    assert list_folder(root, "deep").files == ("a.gem.gz",)
    assert list_folder(root, contains="zzz").files == ()


def test_a_long_folder_is_cut_and_says_so(root, monkeypatch):
    monkeypatch.setattr(folders, "LISTED", 3)
    for index in range(5):
        (root / f"{index}.gem").write_text("")
    found = list_folder(root)
    assert len(found.folders) + len(found.files) == 3 and found.more == 4


def test_an_upload_comes_in_parts_and_whole(root):
    upload = Upload("../../my section.gem", 7, limit=100)
    assert not upload.add(b"abcd")
    assert not upload.path.exists()
    assert upload.add(b"efg")
    assert upload.path.read_bytes() == b"abcdefg" and upload.path.name == "my section.gem"
    assert allowed(upload.path, [folders.uploads_folder()])


@pytest.mark.parametrize(
    ("name", "size", "match"), [("a.exe", 3, "no kind"), ("a.gem", 101, "--max-upload"), ("a.gem", 0, "uploads may")]
)
def test_an_upload_that_cannot_be_is_refused_before_it_comes(root, name, size, match):
    with pytest.raises(InputError, match=match):
        Upload(name, size, limit=100)
    assert not list(folders.uploads_folder().glob("*")) if folders.uploads_folder().exists() else True


def test_more_than_was_announced_is_refused_and_removed(root):
    upload = Upload("a.gem", 3, limit=100)
    with pytest.raises(InputError, match="more of a"):
        upload.add(b"abcd")
    assert not upload.path.parent.exists()


def test_the_estimate_is_near_for_plain_and_packed_files(tmp_path):
    random = np.random.default_rng(3)
    rows = "".join(
        f"gene{g}\t{x}\t{y}\t1\n" for g, x, y in zip(*random.integers(0, 1000, (3, 200_000)).tolist(), strict=True)
    )
    text = "#BinSize=1\ngeneID\tx\ty\tMIDCount\n" + rows
    plain, packed = tmp_path / "a.gem", tmp_path / "b.gem.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode(), 4))
    for path in (plain, packed):
        found = estimate(path)
        assert abs(found.records - 200_000) < 30_000
        assert found.pixels == 10**6


def test_the_frame_is_that_of_the_stain(tmp_path):
    from segapp.io.image import write_image

    gem = tmp_path / "a.gem"
    gem.write_text("geneID\tx\ty\tMIDCount\nActb\t5\t5\t1\n")
    write_image(tmp_path / "a.tif", np.zeros((300, 200), np.uint8))
    assert estimate(gem, tmp_path / "a.tif").pixels == 60_000


def test_a_finer_stain_counts_in_pixels_of_the_counts_and_for_its_own_bytes(tmp_path):
    import tifffile

    gem = tmp_path / "a.gem"
    gem.write_text("geneID\tx\ty\tMIDCount\nActb\t5\t5\t1\n")
    image = np.zeros((800, 400), np.uint16)
    tifffile.imwrite(tmp_path / "plain.tif", image)
    tifffile.imwrite(
        tmp_path / "fine.ome.tif", image, ome=True, metadata={"PhysicalSizeX": 0.125, "PhysicalSizeXUnit": "µm"}
    )
    plain, fine = (estimate(gem, tmp_path / name) for name in ("plain.tif", "fine.ome.tif"))
    assert plain.pixels == 320_000 and fine.pixels == 20_000
    assert plain.memory - fine.memory == PIXEL_BYTES * 300_000
    gem.write_text("#BinSize=2\n" + gem.read_text())
    assert estimate(gem, tmp_path / "fine.ome.tif").pixels == 5_000
    nothing = estimate(gem)
    assert fine.memory - nothing.memory > image.nbytes


def test_squares_of_visium_hd_are_the_frame_of_a_large_picture(tmp_path):
    import h5py
    import tifffile

    with h5py.File(tmp_path / "matrix.h5", "w") as file:
        file["matrix/barcodes"] = np.array([b"s_008um_00000_00000-1"] * 90)
        file["matrix/data"] = np.ones(1234, np.int32)
    tifffile.imwrite(tmp_path / "he.tif", np.zeros((900, 700, 3), np.uint8))
    found = estimate(tmp_path / "matrix.h5", tmp_path / "he.tif")
    assert (found.records, found.pixels) == (1234, 90)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_a_picture_takes_is_told_by_its_header(tmp_path, mode):
    import imagecodecs

    shape = (7, 5) if mode == "L" else (7, 5, 3)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.zeros(shape, np.uint8)))
    assert image_size(tmp_path / "a.png") == (35, int(np.prod(shape)), None)
    (tmp_path / "b.tif").write_bytes(b"II*\0 nothing")
    assert image_size(tmp_path / "b.tif") == (0, 0, None)


def test_too_little_memory_is_said():
    assert "more than is free" in Estimate(10**9, 10**9, 100 << 30, 9999.0, 8 << 30).text()
    assert "more than is free" not in Estimate(10**9, 10**9, 100 << 30, 9999.0, None).text()


def test_a_file_that_is_broken_is_a_sentence(tmp_path):
    path = tmp_path / "a.gem.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00garbage")
    with pytest.raises(InputError, match="cannot be read"):
        estimate(path)


def test_packed_files_are_estimated_from_their_size(tmp_path):
    path = tmp_path / "a.gef"
    path.write_bytes(b"\x89HDF" + bytes(5_000_000))
    found = estimate(path)
    assert found.records == 1_000_000 and "megapixels" not in found.text()


def test_stores_in_zarr_are_chosen_like_files_and_other_folders_are_entered(tmp_path):
    for name in ("section.zarr", "stain.ome.zarr"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".zgroup").write_text("{}")
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "folder").mkdir()
    found = list_folder(tmp_path)
    assert found.files == ("section.zarr", "stain.ome.zarr") and found.folders == ("empty.zarr", "folder")
    assert [kind_of(name) for name in (*found.files, "bins.h5ad")] == ["gem", "stain", "gem"]


def test_what_a_store_takes_is_estimated_from_its_size(tmp_path):
    from segapp.core.types import Grid
    from segapp.io.ngff import write_ome_zarr

    labels = np.zeros((300, 500), np.int32)
    write_ome_zarr(tmp_path / "a.ome.zarr", {"cells": labels}, Grid(0, 0, 300, 500), image=labels.astype(np.uint8))
    (tmp_path / "bins.zarr").mkdir()
    (tmp_path / "bins.zarr" / "chunk").write_bytes(bytes(12_000))
    found = estimate(tmp_path / "bins.zarr", tmp_path / "a.ome.zarr")
    assert (found.records, found.pixels) == (1000, 150_000)
