"""Outputs appear whole or not at all."""

import pytest

from segapp.core.types import Cancelled, InputError
from segapp.io.atomic import atomic_dir, atomic_file, atomic_tree, check_out_dir


def fail_file(path):
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        raise Cancelled


def fail_folder(path, **kwargs):
    with atomic_dir(path, **kwargs) as temporary:
        (temporary / "labels.tif").write_text("half")
        raise Cancelled


def test_a_failed_file_leaves_nothing_and_keeps_the_old_one(tmp_path):
    with pytest.raises(Cancelled):
        fail_file(tmp_path / "new" / "deep" / "a.txt")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(Cancelled):
        fail_file(tmp_path / "a.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


def test_a_file_keeps_its_suffixes_while_it_is_written(tmp_path):
    with atomic_file(tmp_path / "a.gem.gz") as temporary:
        assert temporary.name.endswith("a.gem.gz") and temporary.parent == tmp_path
        temporary.write_text("x")


def test_a_folder_appears_whole(tmp_path):
    with atomic_dir(tmp_path / "deep" / "out") as temporary:
        (temporary / "a.txt").write_text("1")
        assert not (tmp_path / "deep" / "out").exists()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(Cancelled):
        fail_folder(tmp_path / "deep" / "out")
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_keeps_other_files_and_never_mixes_two_runs(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("notes.txt", "labels.tif", "nuclei.tif"):
        (out / name).write_text("old")
    with pytest.raises(Cancelled):
        fail_folder(out, owned=("labels.tif", "nuclei.tif"))
    assert sorted(p.name for p in out.iterdir()) == ["labels.tif", "notes.txt", "nuclei.tif"]
    with atomic_dir(out, owned=("labels.tif", "nuclei.tif")) as temporary:
        (temporary / "labels.tif").write_text("new")
    assert {p.name: p.read_text() for p in out.iterdir()} == {"notes.txt": "old", "labels.tif": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a regular file, so it cannot be the output folder"):
        check_out_dir(tmp_path / "file")
    with pytest.raises(InputError, match="nothing can be written below it"):
        check_out_dir(tmp_path / "file" / "out" / "deep")
    with pytest.raises(InputError, match="is a folder"), atomic_file(tmp_path):
        pass
    with pytest.raises(InputError, match="nothing can be written below it"), atomic_file(tmp_path / "file" / "a.txt"):
        pass
    check_out_dir(tmp_path / "new" / "deep")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_the_way_of_a_file_is_named(tmp_path):
    (tmp_path / "out" / "labels.tif").mkdir(parents=True)
    with (
        pytest.raises(InputError, match="is a folder where a file has to be written"),
        atomic_dir(tmp_path / "out") as t,
    ):
        (t / "labels.tif").write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def store(folder, name, content):
    (folder / name).mkdir(parents=True)
    (folder / name / ".zgroup").write_text("{}")
    (folder / name / content).write_text(content)


def test_a_store_of_an_earlier_run_is_replaced_whole_and_removed_when_not_written_again(tmp_path):
    out = tmp_path / "out"
    for content in ("first", "second"):
        with atomic_dir(out, owned=["a.zarr"]) as folder:
            store(folder, "a.zarr", content)
    assert {path.name for path in (out / "a.zarr").iterdir()} == {".zgroup", "second"}
    with atomic_dir(out, owned=["a.zarr"]) as folder:
        (folder / "b.txt").write_text("b")
    assert [path.name for path in out.iterdir()] == ["b.txt"]


def test_a_folder_that_is_no_store_is_never_removed(tmp_path):
    (tmp_path / "out" / "a.zarr").mkdir(parents=True)
    (tmp_path / "out" / "a.zarr" / "notes.txt").write_text("keep")
    with (
        pytest.raises(InputError, match="is a folder where a file has to be written"),
        atomic_dir(tmp_path / "out", owned=["a.zarr"]) as folder,
    ):
        store(folder, "a.zarr", "new")
    with atomic_dir(tmp_path / "out", owned=["a.zarr"]) as folder:
        (folder / "b.txt").write_text("b")
    assert (tmp_path / "out" / "a.zarr" / "notes.txt").read_text() == "keep"


def test_a_tree_that_fails_leaves_the_earlier_one(tmp_path):
    store(tmp_path, "a.zarr", "first")
    with pytest.raises(FileExistsError), atomic_tree(tmp_path / "a.zarr") as folder:
        [store(folder.parent, folder.name, "second") for _ in range(2)]
    assert {path.name for path in (tmp_path / "a.zarr").iterdir()} == {".zgroup", "first"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    (tmp_path / "file.zarr").write_text("")
    with pytest.raises(InputError, match="regular file"), atomic_tree(tmp_path / "file.zarr"):
        pass
