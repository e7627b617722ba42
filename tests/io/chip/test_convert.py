import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
import tifffile
import zarr

from segapp.core.frame import rasterize
from segapp.core.records import make_transcripts
from segapp.core.types import Cancelled, Grid, InputError, Unavailable
from segapp.io.chip import Chip, convert_chip, spool
from segapp.io.chip.pyramid import halve
from segapp.io.gem import read_gem, write_gem
from segapp.io.image import read_stain, write_image


def scattered(n=20_000, seed=0, span=2600, x0=-300, y0=900):
    """Records over 3 x 3 tiles with places left of zero, duplicates and a gene that is rare."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(x0, x0 + span, n), rng.integers(y0, y0 + span, n)
    gene = rng.integers(0, 30, n)
    total = rng.integers(1, 5, n)
    return make_transcripts(
        x,
        y,
        gene,
        {"total": total, "spliced": total // 2},
        [f"g{number}" for number in range(30)],
        header={"BinSize": "1", "OffsetX": "7"},
    )


@pytest.fixture(scope="module")
def gem(tmp_path_factory):
    path = tmp_path_factory.mktemp("gem") / "chip.gem.gz"
    write_gem(scattered(), path)
    return path


@pytest.fixture(scope="module")
def stain(tmp_path_factory):
    path = tmp_path_factory.mktemp("stain") / "stain.tif"
    rng = np.random.default_rng(1)
    write_image(path, rng.integers(0, 60_000, (1500, 2100)).astype(np.uint16))
    return path


@pytest.fixture(scope="module")
def chip(gem, stain, tmp_path_factory):
    return convert_chip(gem, tmp_path_factory.mktemp("chip") / "chip", stain=stain)


WINDOWS = (Grid(-300, 900, 2600, 2600), Grid(-40, 1000, 60, 70), Grid(1000, 2040, 30, 50), Grid(-500, 500, 800, 900))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("layer", ["total", "spliced"])
def test_counts_of_a_window_are_those_of_the_file(chip, gem, window, layer):
    whole = read_gem(gem)
    assert np.array_equal(chip.counts(layer, window), rasterize(whole, window, layer))
    inside = chip.transcripts(window)
    assert np.array_equal(rasterize(inside, window, layer), rasterize(whole, window, layer))
    assert np.array_equal(
        rasterize(inside, window, layer, ("g7", "G11")), rasterize(whole, window, layer, ("g7", "g11"))
    )


def test_records_come_sorted_and_whole(chip, gem):
    whole = read_gem(gem)
    found = chip.transcripts(Grid(-300, 900, 2600, 2600))
    for name in ("x", "y", "gene"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))
    assert all(np.array_equal(found.counts[layer], whole.counts[layer]) for layer in whole.counts)
    assert (chip.n_umis, chip.n_records, chip.bbox, chip.genes) == (
        whole.n_umis,
        len(whole),
        whole.bbox,
        whole.genes,
    )
    assert chip.header == whole.header


def test_pyramids_hold_sums_of_counts_and_means_of_the_stain(chip, stain):
    full = chip.counts("total", chip.box)
    group = zarr.open_group(chip.path / "arrays.zarr", mode="r")
    assert np.array_equal(group["counts/total/1"][:], halve(full, "sum"))
    assert group["counts/total/2"][:].sum(dtype=np.int64) == chip.n_umis
    image = read_stain(stain).image
    assert np.array_equal(group["stain/1"][:], halve(image, "mean"))
    assert max(group["stain/3"].shape) <= 512 and "stain/4" not in group
    window = Grid(-10, 1400, 200, 30)
    cut = np.zeros((200, 30), np.uint16)
    cut[:100, 10:] = image[1400:, :20]
    assert np.array_equal(chip.stain_image(window), cut)


def test_the_digest_is_that_of_the_content(chip, gem, tmp_path):
    whole = read_gem(gem)
    shuffled = tmp_path / "shuffled.gem"
    order = np.random.default_rng(5).permutation(len(whole))
    lines = [f"{whole.genes[whole.gene[i]]}\t{whole.x[i]}\t{whole.y[i]}\t{whole.counts['total'][i]}" for i in order]
    halves = [f"{line}\t{whole.counts['spliced'][i]}" for line, i in zip(lines, order, strict=True)]
    head = "#BinSize=1\n#OffsetX=7\ngeneID\tx\ty\tMIDCount\tEXONIC\n"
    shuffled.write_text(head + "\n".join(halves) + "\n")
    assert convert_chip(shuffled, tmp_path / "a").digest == chip.digest
    halves[0] = halves[0].replace("\t", "x\t", 1)
    shuffled.write_text(head + "\n".join(halves) + "\n")
    assert convert_chip(shuffled, tmp_path / "b").digest != chip.digest


def test_counts_above_65535_are_not_wrapped(tmp_path):
    write_gem(make_transcripts([5, 5], [6, 6], [0, 1], {"total": [40_000, 40_000]}, ["a", "b"]), tmp_path / "a.gem")
    chip = convert_chip(tmp_path / "a.gem", tmp_path / "chip")
    assert chip.counts("total", Grid(5, 6, 1, 1)).tolist() == [[80_000]]


def test_it_goes_on_after_a_kill_at_any_moment(gem, stain, chip, tmp_path):
    """A process is killed again and again; what comes out is what an undisturbed conversion gives.

    Each of its steps waits for a word, so that it does not come to its end while the one that kills it is held up.
    """
    code = (
        "import sys\n"
        "from segapp.io import gem_text\n"
        "from segapp.io.chip import convert, convert_chip\n"
        "gem_text._BLOCK, convert.MARK_S = 20_000, 0.0\n"
        "def tell(*at):\n"
        "    print(*at, flush=True)\n"
        "    sys.stdin.readline()\n"
        "convert_chip(sys.argv[1], sys.argv[2], stain=sys.argv[3], tell=tell)\n"
    )
    out = tmp_path / "chip"
    random.seed(3)
    kills = 0
    for lines in (3, 14, 30, 10_000):
        words = [sys.executable, "-c", code, str(gem), str(out), str(stain)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number, _ in enumerate(process.stdout):
            process.stdin.write("\n")
            process.stdin.flush()
            if number >= lines:
                time.sleep(random.random() * 0.02)
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
        process.stdout.close()
        process.stdin.close()
        process.wait()
        if process.returncode == 0:
            break
        with pytest.raises(InputError, match="segapp convert"):
            Chip.open(out)
    assert kills == 3
    done = Chip.open(out)
    assert done.digest == chip.digest and not (out / "spool").exists()
    assert np.array_equal(done.counts("spliced", done.box), chip.counts("spliced", chip.box))
    assert np.array_equal(done.counts("total", done.box, 1), chip.counts("total", chip.box, 1))
    assert np.array_equal(done.stain_image(Grid(0, 0, 1500, 2100)), chip.stain_image(Grid(0, 0, 1500, 2100)))


def test_a_second_conversion_of_the_same_file_is_the_first(chip, gem, stain):
    before = (chip.path / "chip.json").stat().st_mtime_ns
    assert convert_chip(gem, chip.path, stain=stain).digest == chip.digest
    assert (chip.path / "chip.json").stat().st_mtime_ns == before


def test_stopping_leaves_what_is_done(gem, tmp_path):
    def tell(phase, done, total):
        if phase == "sort" and done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        convert_chip(gem, tmp_path / "chip", tell=tell)
    heard = []
    convert_chip(gem, tmp_path / "chip", tell=lambda phase, *_: heard.append(phase))
    assert "read" not in heard and {"sort", "count", "pyramid"} <= set(heard)


def test_a_full_disk_keeps_what_was_done(gem, chip, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(InputError, match=r"is full; what was done is kept .* goes on"):
        convert_chip(gem, tmp_path / "chip")
    assert (tmp_path / "chip").is_dir() and not (tmp_path / "chip" / "chip.json").exists()
    monkeypatch.undo()
    assert convert_chip(gem, tmp_path / "chip").digest == chip.digest


def test_what_cannot_be_converted_is_said_and_leaves_nothing(gem, chip, stain, tmp_path):
    with pytest.raises(InputError, match="no file"):
        convert_chip(tmp_path / "none.gem", tmp_path / "out")
    bad = tmp_path / "bad.gem"
    bad.write_text("geneID\tx\ty\tMIDCount\na\t1\t2\t3\na\t1\t2\tmany\n")
    with pytest.raises(InputError, match="line 3"):
        convert_chip(bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="TIFF"):
        convert_chip(stain, tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        convert_chip(gem, tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    bad.write_text("geneID\tx\ty\tMIDCount\na\t1\t2\t3\n")
    with pytest.raises(InputError, match="another file"):
        convert_chip(bad, chip.path)
    with pytest.raises(InputError, match="not a converted chip"):
        Chip.open(tmp_path / "full")
    about = json.loads((chip.path / "chip.json").read_text())
    (tmp_path / "full" / "chip.json").write_text(json.dumps({**about, "format": 99}))
    with pytest.raises(InputError, match="format 99"):
        Chip.open(tmp_path / "full")


def test_windows_and_layers_that_are_not_there(chip, gem, tmp_path):
    with pytest.raises(Unavailable, match="total, spliced"):
        chip.counts("exon", chip.box)
    with pytest.raises(InputError, match="choose a window inside"):
        chip.transcripts(Grid(50_000, 50_000, 10, 10))
    assert not chip.counts("total", Grid(50_000, 50_000, 10, 10)).any()
    with pytest.raises(Unavailable, match="no stain"):
        convert_chip(gem, tmp_path / "chip").stain_image(chip.box)


def test_memory_held_by_the_spool_is_bounded(gem, tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "HELD", 10_000)
    assert convert_chip(gem, tmp_path / "chip").n_umis == read_gem(gem).n_umis


def fine_l(scale):
    """An L over the records, `scale` of its pixels in one of theirs, and what it is in theirs."""
    plain = np.zeros((1300, 1500), np.uint16)
    plain[200:1210, 300:340] = 9000
    plain[1170:1210, 300:900] = 9000
    return np.kron(plain, np.ones((scale, scale), np.uint16)), plain


@pytest.mark.parametrize("channels", [1, 2])
def test_a_stain_of_finer_pixels_is_averaged_onto_those_of_the_counts(tmp_path, channels):
    rng = np.random.default_rng(0)
    made = make_transcripts(
        rng.integers(0, 1500, 9000), rng.integers(0, 1300, 9000), np.zeros(9000, int), {"total": np.ones(9000)}, ["g"]
    )
    write_gem(made, tmp_path / "a.gem")
    fine, plain = fine_l(2)
    image = fine if channels == 1 else np.stack([fine, fine[::-1]])
    axes = "YX" if channels == 1 else "CYX"
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, image, metadata={"axes": axes, "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"})
    chip = convert_chip(tmp_path / "a.gem", tmp_path / "chip", stain=path)
    assert chip.stain["shape"][-2:] == [1300, 1500]
    assert chip.stain["resampled"] == "The stain a.ome.tif of 0.25 µm/px was averaged 2:1 onto pixels of 0.5 µm."
    found = chip.stain_image(Grid(0, 0, 1300, 1500))
    np.testing.assert_array_equal(found if channels == 1 else found[0], plain)
    if channels == 2:
        np.testing.assert_array_equal(found[1], plain[::-1])
    with pytest.raises(InputError, match="holds the chip of another file"):
        convert_chip(tmp_path / "a.gem", tmp_path / "chip", stain=path, stain_um_per_px="off")
    as_it_is = convert_chip(tmp_path / "a.gem", tmp_path / "as_it_is", stain=path, stain_um_per_px="off")
    assert as_it_is.stain["shape"][-2:] == [2600, 3000]
    assert not as_it_is.stain["resampled"]
