"""A chip in the app: what is open, where the window is, whose numbers are used; without a browser."""

import time

import numpy as np
import pytest

from segapp.app import App
from segapp.app.entry import show
from segapp.io.chip import convert_chip
from segapp.io.samples import write_sample
from segapp.pipeline.session import Session

SIDE = 512


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chip")
    gem, stain, *_ = write_sample("tissue", folder / "files", size=SIDE, seed=12)
    return convert_chip(gem, folder / "root" / "mouse", stain=stain)


@pytest.fixture
def opened(chip, tmp_path):
    session = Session("sync")
    session.use_preset("stain")
    session.set_many({"nuclei": {"source": "watershed"}, "align": {"mode": "off"}})
    app = App(session, out=tmp_path)
    app.open_chip(chip.path, (0, 0, 256, 256))
    return app


def seen(app):
    return app.features["chip"].panel


def test_a_chip_opens_where_it_is_dense_with_a_picture_of_all_of_it(chip):
    app = App(Session("sync"))
    app.live.on = False
    assert app.features["chip"]._section.layout.display == "none"
    app.session.request = lambda *values, **named: None  # what it computes is another test's
    began = time.perf_counter()
    app.open_chip(chip.path)
    assert time.perf_counter() - began < 2
    picture = np.frombuffer(seen(app).overview.picture, np.uint8).reshape(seen(app).overview.shape)
    assert picture.std() > 10
    assert seen(app).overview.extent == [0, 0, SIDE, SIDE]
    assert seen(app).overview.box == [0, 0, SIDE, SIDE]
    assert app.session.preset == "stain+rna"
    assert app.session.source == {"chip": str(chip.path), "box": [0, 0, SIDE, SIDE]}
    assert app.features["chip"]._section.layout.display == ""


def test_the_window_moves_and_the_cells_follow(opened):
    assert opened.session.peek("cells").shape == (256, 256)
    assert "estimated" in seen(opened).words.value
    before = opened.session.peek("cells")
    seen(opened).overview._receive(None, {"type": "box", "box": [240.4, 130, 250, 250]}, [])
    assert [number.value for number in seen(opened).numbers.values()] == [256, 256, 256, 256]
    after = opened.session.peek("cells")
    assert after.shape == (256, 256) and (after != before).any()
    seen(opened).numbers["width"].value = 9999
    assert opened.session.peek("total").shape == (256, 512)  # no wider than the chip
    assert seen(opened).numbers["x"].value == 0 and seen(opened).numbers["y"].value == 256


def test_numbers_are_gathered_once_and_the_page_says_whose_they_are(opened, chip, monkeypatch):
    seen(opened).use.value = "window"
    assert "this window alone" in seen(opened).words.value
    seen(opened).use.value = "chip"
    seen(opened).gather.click()
    assert "whole chip.</b>" in seen(opened).words.value, opened.banner.text
    assert seen(opened).gather.disabled
    window = opened.features["chip"].window
    found = {path.name.partition("-")[0] for path in (chip.path / "numbers").glob("*.json")}
    assert found == set(window.kept.used(window.params())) == {"align", "nuclei_mask", "cytoplasm"}
    opened.session.set("nuclei_mask", otsu_classes=4)
    opened.refresh()
    assert "estimated" in seen(opened).words.value and not seen(opened).gather.disabled
    # what the change does not touch is not looked for again
    monkeypatch.setattr("segapp.pipeline.chip.rounds.find_alignment", None)
    seen(opened).gather.click()
    assert "whole chip.</b>" in seen(opened).words.value, opened.banner.text
    opened.session.undo()
    opened.refresh()
    assert "whole chip.</b>" in seen(opened).words.value


def test_the_whole_chip_is_run_by_the_command_that_is_shown(opened, chip, tmp_path):
    from segapp.cli.main import main

    seen(opened).run.click()
    assert f"--chip {chip.path} --recipe recipe.json" in opened.features["chip"].command.value
    opened.features["copying"].command()
    text = opened.features["copying"].text
    assert text == f"segapp run --chip {chip.path} --recipe recipe.json --out cells"
    recipe = tmp_path / "recipe.json"
    recipe.write_text(opened.features["chip"].recipe().text())
    words = ["run", "--chip", str(chip.path), "--recipe", str(recipe), "--out", str(tmp_path / "cells"), "--dry-run"]
    assert main(words) == 0
    opened.features["chip"].run()
    assert "cells of the whole chip are in" in opened.banner.text
    assert (tmp_path / "mouse_cells" / "cells.h5ad").exists()


def test_other_inputs_put_the_chip_away(opened, sample):
    opened.features["opening"].take(sample.transcripts, sample.stain, "a section")
    assert opened.features["chip"].window is None
    assert opened.features["chip"]._section.layout.display == "none"
    assert opened.session.numbers is None


def test_the_open_dialog_lists_chips(chip, monkeypatch):
    monkeypatch.setenv("SEGAPP_ROOT", str(chip.path.parent))
    app = App(Session("sync"))
    asked = []
    app.open_chip = asked.append
    opening = app.features["opening"]
    opening.ask()
    (entry,) = opening.dialog.entries.children
    assert entry.description == "▦ mouse (chip)"
    entry.click()
    assert asked == [chip.path.resolve()]
    monkeypatch.undo()


def test_show_takes_the_folder_of_a_chip(chip, monkeypatch):
    asked = []
    monkeypatch.setattr(App, "open_chip", lambda self, path, box=None: asked.append(path))
    show(str(chip.path))
    show(chip)
    monkeypatch.setenv("SEGAPP_CHIP", str(chip.path))
    show()
    assert [str(path) for path in asked] == [str(chip.path)] * 3


def test_a_folder_that_is_no_chip_is_told(tmp_path):
    app = App(Session("sync"))
    app.open_chip(tmp_path)
    assert "is not a converted chip" in app.banner.text
