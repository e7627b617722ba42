"""Stains of floats and of dark nuclei on white, in tiles and whole."""

import numpy as np
import pytest

from segapp.core.types import Grid, StainFile
from segapp.io.chip import convert_chip
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.freeze import freeze
from segapp.pipeline.chip.kept import Kept
from segapp.pipeline.chip.numbers import read_statistics
from segapp.pipeline.chip.window import ChipWindow
from segapp.pipeline.job import patches_of
from segapp.pipeline.session import Session
from tests.pipeline.chip.conftest import labels_of, same_partition

CHANGES = ["align.mode=off", "nuclei.source=watershed"]


def both(small, chip, stain, out, changes):
    """Run a chip in tiles, and its section whole; return both labels, the summary and the session."""
    result = run_chip(chip, out, preset="stain", set=changes, tile=256)
    session = Session()
    session.use_preset("stain")
    session.set_many(patches_of(session, changes))
    session.load(small.records, stain)
    freeze(session, read_statistics(out / "statistics.json"))
    return labels_of(out), session.get("cells"), result.summary, session


@pytest.fixture(scope="module")
def plain(small):
    """Cells of the stain as it was."""
    return small.session("stain", CHANGES).get("cells")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stain_of_floats_gives_the_cells_of_what_was_stored(small, tmp_path, plain, dtype):
    image = small.image.image.astype(dtype) / dtype(255) * dtype(3.7)
    chip = convert_chip(small.gem, tmp_path / "chip", stain=StainFile(image, name="f.tif", digest="f"))
    stored = chip.stain_image(Grid(0, 0, *image.shape))
    tiled, whole, summary, session = both(small, chip, StainFile(stored), tmp_path / "out", CHANGES)
    assert tiled.max() > 50 and same_partition(tiled, whole)
    assert "stored as 16 bits" in summary["notes"][0]
    # as good as those of the floats themselves
    session.load(small.records, StainFile(image))
    of_floats = session.get("cells")
    assert np.mean((tiled > 0) != (of_floats > 0)) < 2e-3
    assert abs(int(tiled.max()) - len(np.unique(of_floats)) + 1) <= 2


@pytest.mark.parametrize("kind", ["grey", "rgb", "deep"])
def test_bright_field_is_told_and_turned_over_alike_in_tiles(small, tmp_path, plain, kind):
    image, axes = 255 - small.image.image, "YX"
    if kind == "rgb":  # as haematoxylin: red is darkest
        image = np.stack([image, (image.astype(int) + 255) // 2, image // 2 + 127], axis=-1).astype(np.uint8)
        axes = "YXS"
    if kind == "deep":
        image = image.astype(np.uint16) * 16
    stain = StainFile(image, axes=axes, name="he.tif", digest=kind)
    chip = convert_chip(small.gem, tmp_path / "chip", stain=stain)
    changes = [*CHANGES, "stain.invert=on"]
    tiled, whole, summary, session = both(small, chip, stain, tmp_path / "out", changes)
    assert tiled.max() > 50 and same_partition(tiled, whole)
    assert summary["notes"] == [] and session.status("stain").reason == ""
    assert np.mean((whole > 0) != (plain > 0)) < (0.02 if kind == "rgb" else 1e-3)
    # left as it is, all three ways to it say what to do
    left = [*CHANGES, *(["stain.channel=grey"] if kind == "rgb" else [])]
    session.set_many({"stain": {"invert": "off", **({"channel": "grey"} if kind == "rgb" else {})}})
    session.get("stain")
    assert "set stain.invert=on" in session.status("stain").reason
    again = run_chip(chip, tmp_path / "left", preset="stain", set=left, tile=512)
    assert "set stain.invert=on" in again.summary["notes"][0]
    window = ChipWindow(Kept(chip), Session())
    window.session.use_preset("stain")
    window.session.set_many(patches_of(window.session, left))
    window.open(Grid(0, 0, 256, 256))
    window.session.get("stain")
    assert "set stain.invert=on" in window.session.status("stain").reason


def test_fluorescence_that_is_turned_over_is_told(small):
    session = small.session("stain", [*CHANGES, "stain.invert=on"])
    session.get("stain")
    assert "set stain.invert=off" in session.status("stain").reason
