"""A chip in the formats of a section: the same content, written tile by tile."""

import dataclasses
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
from contextlib import contextmanager

import anndata
import numpy as np
import polars as pl
import pytest
import tifffile
import zarr

from segapp.cli import main
from segapp.core.outline import polygons
from segapp.core.types import Grid, InputError, Unavailable
from segapp.io import spatialdata_out
from segapp.io.atomic import DiskFull
from segapp.io.chip.export import write_chip_geojson
from segapp.io.chip.outlines import outlines_by_tile
from segapp.io.chip.spatialdata_out import write_chip_spatialdata
from segapp.io.export import EXPORTERS, find_exporters
from segapp.io.gem import read_gem
from segapp.io.masks import write_labels_by_tile
from segapp.io.results import SavedResult, read_result, write_exports
from segapp.pipeline.chip import run_chip

FORMATS = "csv,parquet,tif,geojson,gem,ome-zarr,h5ad"


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("cells") / "out"
    run_chip(small.chip, out, preset="stain+rna", set=["nuclei.source=watershed"], tile=256)
    return out


@pytest.fixture(scope="module")
def written(small, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("export")
    names = write_exports(read_result(folder, chip=small.chip), find_exporters(FORMATS), out)
    assert [path.name for path in names] == [f"cells{one.suffix}" for one in find_exporters(FORMATS)]
    assert sorted(out.iterdir()) == sorted(names)
    return out


@pytest.fixture(scope="module")
def expected(small, folder, tmp_path_factory):
    """What the exporters of a section write of the same cells, held in memory."""
    out = tmp_path_factory.mktemp("expected")
    labels, nuclei = (
        zarr.open_array(folder / "labels.zarr", path=f"{name}/0")[:].astype(np.int32) for name in ("labels", "nuclei")
    )
    table = anndata.read_h5ad(folder / "cells.h5ad")
    frame = table.uns["segapp"]["frame"]
    records = dataclasses.replace(small.records, header=small.chip.header)
    result = SavedResult(labels, nuclei, table, Grid(**frame), records, "")
    write_exports(result, find_exporters(FORMATS), out)
    return out, result


def features_of(path):
    found = json.loads(path.read_text())["features"]
    return {feature["properties"]["measurements"]["label"]: feature for feature in found}, len(found)


def test_tables_are_those_of_a_section(written, expected):
    for name in ("cells.csv", "cells.parquet"):
        assert (written / name).read_bytes() == (expected[0] / name).read_bytes()
    assert pl.read_parquet(written / "cells.parquet").height == expected[1].table.n_obs > 100


def test_labels_are_those_of_a_section(written, expected):
    with tifffile.TiffFile(written / "cells.tif") as file:
        image = file.pages[0]
        assert image.dtype == np.uint32 and image.is_tiled
        assert np.array_equal(image.asarray(), tifffile.imread(expected[0] / "cells.tif"))


@pytest.mark.parametrize(("side", "halo"), [(2048, 256), (100, 30), (64, 4)])
def test_outlines_are_those_of_a_section_wherever_the_tiles_end(folder, expected, tmp_path, side, halo):
    write_chip_geojson(read_result(folder), tmp_path / "cells.geojson", side=side, halo=halo)
    (found, n), (whole, n_whole) = features_of(tmp_path / "cells.geojson"), features_of(expected[0] / "cells.geojson")
    assert n == n_whole == len(whole) and found == whole
    assert any("nucleusGeometry" in feature for feature in found.values())


def test_cells_across_borders_in_pieces_with_holes_and_larger_than_the_halo_come_whole():
    rng = np.random.default_rng(3)
    labels = np.zeros((70, 90), np.uint32)
    labels[5:60, 8:80] = 1  # across many tiles, and larger than the halo
    labels[20:25, 30:36] = 0
    labels[22, 32] = 2  # in the hole of another
    labels[65:68, 2:4] = labels[2:4, 85:88] = 3  # two pieces far apart
    labels[62:66, 40:60] = 4
    labels[66:68, 10:14][rng.random((2, 4)) > 0.4] = 5
    nuclei = np.where(rng.random(labels.shape) > 0.5, labels, 0).astype(np.uint32)
    grid = Grid(1000, 2000, 70, 90)
    whole, inner = polygons(labels, grid), polygons(nuclei, grid)
    for side, halo in ((16, 4), (16, 0), (1, 1), (50, 50), (100, 1)):
        seen = {}
        for ids, cells, nuclei_of in outlines_by_tile(labels, nuclei, 5, grid, side, halo):
            assert list(cells) == ids.tolist() and not seen.keys() & cells.keys()
            seen |= {label: (cells[label], nuclei_of.get(label)) for label in cells}
        assert sorted(seen) == [1, 2, 3, 4, 5]
        for label, (cell, nucleus) in seen.items():
            assert as_lists(cell) == as_lists(whole[label]) and as_lists(nucleus) == as_lists(inner.get(label))


def as_lists(parts):
    return None if parts is None else [[ring.tolist() for ring in part] for part in parts]


def test_records_know_their_cells(written, expected):
    found, whole = read_gem(written / "cells.gem.gz"), read_gem(expected[0] / "cells.gem.gz")
    assert found.digest == whole.digest and dict(found.header) == dict(whole.header)
    assert np.array_equal(found.cell_id, whole.cell_id) and (found.cell_id > 0).any()


def test_ome_zarr_has_all_levels(written, expected):
    found, whole = (zarr.open_group(at / "cells.ome.zarr", mode="r") for at in (written, expected[0]))
    for name in ("labels/cells", "labels/nuclei"):
        assert dict(found[name].attrs) == dict(whole[name].attrs)
        for level in found[name].array_keys():
            assert np.array_equal(found[name][level][:], whole[name][level][:])
    assert np.array_equal(found["0"][:], whole["0"][:])


def test_a_spatialdata_store_is_that_of_a_section(folder, expected, tmp_path, monkeypatch):
    spatialdata = pytest.importorskip("spatialdata")
    monkeypatch.setattr(spatialdata_out, "_factors", lambda shape: [2, 2])  # levels as of a larger section
    write_chip_spatialdata(read_result(folder), tmp_path / "cells.spatialdata.zarr", side=64, halo=8)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.spatialdata.zarr"]
    EXPORTERS["spatialdata"].write(expected[1], tmp_path / "whole.zarr")
    found, whole = (spatialdata.read_zarr(tmp_path / name) for name in ("cells.spatialdata.zarr", "whole.zarr"))
    assert [names[:2] for names in found.gen_elements()] == [names[:2] for names in whole.gen_elements()]
    assert found["outlines"].index.equals(whole["outlines"].index)
    assert found["outlines"].geom_equals(whole["outlines"]).all()
    for name in ("cells", "nuclei"):
        assert list(found[name]) == list(whole[name]) == ["scale0", "scale1", "scale2"]
        for level in found[name]:
            assert np.array_equal(np.asarray(found[name][level].image), np.asarray(whole[name][level].image))
    table, same = found["table"], whole["table"]
    assert table.X.sum() > 0 and (table.X != same.X).nnz == 0 and table.X.dtype == same.X.dtype
    assert sorted(table.layers) == sorted(same.layers) == ["spliced", "unspliced"]
    assert all((table.layers[name] != same.layers[name]).nnz == 0 for name in same.layers)
    assert table.obs.equals(same.obs) and table.var.equals(same.var) and table.uns.keys() == same.uns.keys()
    assert np.array_equal(table.obsm["spatial"], same.obsm["spatial"])


def test_the_table_is_copied(folder, written):
    assert (written / "cells.h5ad").read_bytes() == (folder / "cells.h5ad").read_bytes()
    before = (folder / "cells.h5ad").stat().st_mtime_ns
    write_exports(read_result(folder), find_exporters("h5ad"), folder)
    assert (folder / "cells.h5ad").stat().st_mtime_ns == before


def test_labels_of_many_tiles_are_written_in_order(tmp_path):
    labels = np.arange(70 * 90, dtype=np.uint32).reshape(70, 90)
    write_labels_by_tile(tmp_path / "a.tif", labels, side=32)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), labels)


def test_what_does_not_belong_together_is_refused(small, section, folder, tmp_path):
    with pytest.raises(InputError, match="is not the chip that"):
        read_result(folder, chip=section.chip)
    with pytest.raises(InputError, match="with --chip, in place of --gem"):
        read_result(folder, small.gem)
    with pytest.raises(Unavailable, match="give the chip that was segmented with --chip"):
        write_exports(read_result(folder), find_exporters("csv,gem"), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "labels.zarr").mkdir()
    with pytest.raises(InputError, match=r"holds no cells\.h5ad"):
        read_result(tmp_path)
    (tmp_path / "work").mkdir()
    with pytest.raises(InputError, match="did not end; run the same command with --resume"):
        read_result(tmp_path)
    with pytest.raises(InputError, match="not those of the 3 cells"):
        list(outlines_by_tile(np.full((4, 4), 4, np.uint32), None, 3, Grid(0, 0, 4, 4)))
    with pytest.raises(InputError, match="not those of the 3 cells"):
        list(outlines_by_tile(np.full((4, 4), 2, np.uint32), None, 3, Grid(0, 0, 4, 4)))


def test_a_format_that_a_chip_cannot_have_is_refused_before_the_run(small, tmp_path, capsys, monkeypatch):
    flat = dataclasses.replace(
        EXPORTERS["csv"], name="flat", write_chip=None, instead="it holds one section; write csv"
    )
    monkeypatch.setitem(EXPORTERS, "flat", flat)
    words = ["run", "--chip", str(small.chip.path), "--out", str(tmp_path / "out"), "--export", "csv,flat"]
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said == "segapp: flat is not written for a whole chip: it holds one section; write csv"
    assert not (tmp_path / "out").exists()


@contextmanager
def little_room(at):
    """A disk of 4 KB where this user may make one; elsewhere files may have 1,000 bytes."""
    at.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(at)]
    mounted = shutil.which("mount") and os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    limit, before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
        if mounted:
            subprocess.run(["umount", str(at)], check=True)


@pytest.mark.parametrize("kind", ["chip", "section"])
@pytest.mark.parametrize("name", EXPORTERS)
def test_a_full_disk_is_said_in_one_sentence_and_nothing_is_left(small, folder, expected, tmp_path, capfd, name, kind):
    if name == "spatialdata":
        pytest.importorskip("spatialdata")
    one, disk = EXPORTERS[name], tmp_path / "disk"
    result = read_result(folder, chip=small.chip) if kind == "chip" else expected[1]
    with little_room(disk):
        with pytest.raises(DiskFull) as told:
            (one.write_chip if kind == "chip" else one.write)(result, disk / f"cells{one.suffix}")
        assert list(disk.iterdir()) == []
    assert str(told.value) == (
        f"the disk of {disk} is full, and cells{one.suffix} was not written; make room there or choose another folder, "
        "and write it again."
    )
    assert capfd.readouterr() == ("", "")  # HDF5 would say more, and crash later


def test_a_disk_that_is_full_after_a_run_costs_the_formats_only(small, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_csv", full)
    out, chip = tmp_path / "out", small.chip.path
    words = ["run", "--chip", str(chip), "--out", str(out), "--preset", "rna-total", "--tile", "1024"]
    assert main([*words, "--export", "csv"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"segapp: the disk of {out} is full, and cells.csv was not written; make room there or choose another folder, "
        f"and write it again; the cells are in {out}; segapp export {out} --to csv --chip {chip} writes the formats"
    )
    assert not list(out.glob("*cells.csv")) and main(["export", str(out), "--to", "csv"]) == 2
    monkeypatch.undo()
    assert main(["export", str(out), "--to", "csv", "--chip", str(chip)]) == 0


def test_a_library_that_is_missing_is_missed_before_the_run(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(spatialdata_out, "find_spec", lambda name: None)
    words = ["run", "--chip", str(small.chip.path), "--out", str(tmp_path / "out"), "--export", "spatialdata"]
    assert main(words) == 2
    assert "pip install 'segapp[formats]'" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_run_of_a_chip_exports_and_its_folder_can_be_exported(small, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["run", "--chip", str(small.chip.path), "--out", str(out), "--preset", "rna-total", "--tile", "1024"]
    assert main([*words, "--export", "csv,gem,html"]) == 0
    names = ["cells.csv", "cells.gem.gz", "cells.html"]
    assert capsys.readouterr().out.splitlines()[-3:] == [str(out / name) for name in names]
    assert "Behind them" not in (out / "cells.html").read_text()  # it is the stain
    labels = pl.read_csv(out / "cells.csv")["label"].to_numpy()
    assert set(read_gem(out / "cells.gem.gz").cell_id.tolist()) - {0} <= set(labels.tolist())
    assert main(["export", str(out), "--to", "geojson", "--out", str(tmp_path / "more")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "more" / "cells.geojson")]
    assert features_of(tmp_path / "more" / "cells.geojson")[1] == len(labels)
    assert main(["export", str(out), "--to", "html", "--out", str(tmp_path / "more")]) == 0
    text = (tmp_path / "more" / "cells.html").read_text()
    assert f"<b>{len(labels):,}</b><span>cells</span>" in text and "<h1>more</h1>" in text
    # where a run of a section has replaced the cells, they are those of the section
    assert main(["run", "--gem", str(small.gem), "--preset", "rna-total", "--out", str(out)]) == 0
    assert isinstance(read_result(out), SavedResult)
