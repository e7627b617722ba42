"""A window of a chip in a session gives what a run of the whole chip gives there."""

import numpy as np
import pytest

from segapp.core.tiling import Window
from segapp.core.types import Grid, InputError
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.evaluate import Evaluation
from segapp.pipeline.chip.kept import Kept
from segapp.pipeline.chip.numbers import read_statistics
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.view import densest
from segapp.pipeline.chip.window import ChipWindow
from segapp.pipeline.job import patches_of
from segapp.pipeline.session import Session
from tests.pipeline.chip.conftest import labels_of, same_partition

CHOICES = {
    "stain+rna": ["nuclei.source=watershed"],
    "rna-two-pass": [],
    "stain": ["nuclei.source=watershed", "align.mode=affine"],
}


def window_of(chip, preset, changes, box):
    session = Session()
    session.use_preset(preset)
    session.set_many(patches_of(session, changes))
    window = ChipWindow(Kept(chip), session)
    window.open(box)
    return window


@pytest.fixture(scope="module", params=list(CHOICES))
def ran(request, section, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    changes = CHOICES[request.param]
    run_chip(section.chip, out, preset=request.param, set=changes, tile=256)
    return request.param, changes, labels_of(out), read_statistics(out / "statistics.json")


def test_a_window_is_the_crop_of_a_run(section, ran):
    preset, changes, labels, statistics = ran
    window = window_of(section.chip, preset, changes, Grid(0, 0, 768, 768))
    frame = window.frame
    # its right and lower sides are open, and cells there may differ; how far they are heard is what tiles go by
    box = Grid(frame.x0, frame.y0, 640, 704)
    window.open(box)
    window.kept.keep(window.params(), statistics)
    window.refresh()
    assert window.told() == "chip"
    cells = window.session.get("cells")
    area = (0, 0, box.height, box.width)
    source = Source(section.chip, window.session.params, statistics)
    seen = Evaluation(source, Window(area, area, source.shape), statistics)
    sure = ~seen.doubt.of("cells")
    whole = labels[: box.height, : box.width]
    assert len(np.unique(whole[sure])) > 20
    assert same_partition(np.where(sure, cells, 0), np.where(sure, whole, 0))


def test_numbers_are_kept_and_a_change_forgets_only_what_it_touches(small, tmp_path):
    kept = Kept(small.chip)
    window = window_of(small.chip, "stain", ["nuclei.source=watershed", "align.mode=off"], Grid(64, 64, 256, 256))
    assert window.told() == "estimated"
    estimated = window.session.get("nuclei_mask")
    key = window.session.snapshot().key(window.session.pipeline["nuclei_mask"])
    numbers = {"nuclei_mask": window.kept.numbers(window.session.params, "nuclei_mask", lambda done, total: None)}
    numbers["nuclei_mask"] = type(numbers["nuclei_mask"])({**numbers["nuclei_mask"].statistics, "cut": 250.0})
    numbers["cytoplasm"] = window.kept.numbers(window.session.params, "cytoplasm", lambda done, total: None)
    numbers["align"] = window.kept.numbers(window.session.params, "align", lambda done, total: None)
    kept.keep(window.params(), numbers)
    again = ChipWindow(Kept(small.chip), window.session)  # another process finds them on the disk
    again.box = window.box
    again.refresh()
    assert again.told() == "chip"
    assert window.session.snapshot().key(window.session.pipeline["nuclei_mask"]) != key
    assert window.session.get("nuclei_mask").sum() < estimated.sum()
    window.session.set("nuclei_mask", mk=7)
    assert again.told() == "chip"  # smoothing asks for no other numbers
    window.session.set("nuclei_mask", otsu_classes=4)
    assert again.told() == "estimated"
    again.refresh("window")
    assert again.told() == "window"
    for path in (small.chip.path / "numbers").glob("*.json"):
        path.unlink()


def test_estimates_are_near(small):
    window = window_of(small.chip, "stain+rna", ["nuclei.source=watershed", "align.mode=off"], Grid(0, 0, 512, 512))
    own = small.session("stain+rna", ["nuclei.source=watershed", "align.mode=off"])
    found, whole = window.session.get("cells"), own.get("cells")
    assert found.shape == whole.shape
    assert len(np.unique(found)) == pytest.approx(len(np.unique(whole)), rel=0.1)
    both = ((found > 0) & (whole > 0)).sum() / ((found > 0) | (whole > 0)).sum()
    assert both > 0.9


def test_the_means_of_a_few_places_are_those_of_everything(section, monkeypatch):
    from segapp.pipeline.chip import kept as module

    monkeypatch.setattr(module, "PLACE", 128)  # a thirty-sixth of the frame
    changes = ["align.mode=off", "nuclei_rna.guide=total"]
    window = window_of(section.chip, "rna-nuclear", changes, Grid(64, 64, 256, 256))
    numbers = Kept(section.chip).numbers(window.session.params, "nuclei_rna", lambda done, total: None).statistics
    pixels = window.frame.height * window.frame.width
    # nuclear and other RNA together are all of it
    assert sum(numbers["means"]) == pytest.approx(section.chip.n_umis / pixels, rel=1e-3)
    whole = section.session("rna-nuclear", ["align.mode=off"])
    whole.get("rna_nuclei")
    counts = whole.get("nuclear")
    assert numbers["means"][0] == pytest.approx(counts.mean(), rel=0.2)


def test_edits_stay_where_they_were_on_the_chip(small):
    window = window_of(small.chip, "stain", ["nuclei.source=watershed", "align.mode=off"], Grid(100, 100, 256, 256))
    window.session.set("edits", log=[{"op": "delete", "points": [[30.0, 20.0]]}])
    frame = window.frame
    window.open(Grid(90, 120, 256, 256))
    assert window.session.params["edits"].log[0].points == ((40.0, 0.0),)
    assert window.params()["edits"].log[0].points == ((130.0 - frame.x0, 120.0 - frame.y0),)


def test_where_to_look_first(small):
    window = window_of(small.chip, "stain", [], Grid(0, 0, 128, 128))
    box = densest(small.chip, window.frame, 128)
    assert (box.width, box.height) == (128, 128)
    assert small.chip.counts("total", box).sum() > small.chip.n_umis * 128 * 128 / 512 / 512
    assert densest(small.chip, window.frame, 9999).shape == window.frame.shape


def test_a_window_without_records_is_told(small):
    window = window_of(small.chip, "rna-total", [], Grid(0, 0, 128, 128))
    with pytest.raises(InputError, match="no UMI"):
        window.open(Grid(9000, 9000, 128, 128))


def test_landmarks_of_a_window_are_where_they_were_on_the_chip(small):
    window = window_of(small.chip, "stain", ["nuclei.source=watershed", "align.mode=tps"], Grid(100, 100, 256, 256))
    frame = window.frame
    left, top = window.box.x0 - frame.x0, window.box.y0 - frame.y0
    window.session.set("align", landmarks=[(20, 30, 24, 31)])
    assert window.params()["align"].landmarks == ((20 + left, 30 + top, 24 + left, 31 + top),)
    name = window.kept.name(window.params(), "align")
    assert window.numbers().word(window.session.params, "align").startswith(name)
    window.open(Grid(90, 120, 256, 256))
    assert window.session.params["align"].landmarks == ((30.0, 10.0, 34.0, 11.0),)
    assert window.kept.name(window.params(), "align") == name
    assert not window.session.history.undo((window.session.params, window.session.preset))


def test_a_stain_moved_by_hand_is_not_searched_again(small, monkeypatch):
    from segapp.pipeline.chip import kept as module

    window = window_of(small.chip, "stain", ["nuclei.source=watershed", "align.mode=affine"], Grid(64, 64, 256, 256))
    kept, params = Kept(small.chip), window.session.params
    still = kept.numbers(params, "align", lambda done, total: None)
    monkeypatch.setattr(module, "find_alignment", None)
    moved = {**params, "align": params["align"].with_(shift=(3.0, -2.0))}
    found = kept.numbers(moved, "align", lambda done, total: None)
    assert found.shift == pytest.approx((still.shift[0] - 3, still.shift[1] + 2), abs=0.1)
    near = {**params, "align": params["align"].with_(k=9)}
    monkeypatch.setattr(module, "WHOLE_SIDE", 256)  # as on a chip too large to be aligned as it is
    assert kept.searched(params) and not kept.searched(near)
    assert kept.numbers(near, "align", lambda done, total: None) == still
    for path in (small.chip.path / "numbers").glob("*.json"):
        path.unlink()
