import numpy as np
import pytest

from segapp.app import App
from segapp.pipeline.session import Session
from segapp.views.histogram import PARKED, HistogramView, Line


@pytest.fixture
def shown(app):
    return app.features["histograms"]


def lines(shown):
    return {line["name"]: line for line in shown.panel.view.lines}


def counts(shown):
    return np.frombuffer(shown.panel.view.counts, "<u4")


def move(shown, name, value):
    """What the page sends when a line is moved."""
    shown.panel.view._receive(shown.panel.view, {"type": "line", "name": name, "value": value}, [])


def test_scores_with_the_automatic_threshold(shown, session):
    scores, view = session.peek("cell_scores"), shown.panel.view
    assert counts(shown).sum() == scores.size and len(counts(shown)) <= 256
    assert (view.low, view.high) == (0.0, 1.0)
    auto = session.peek("cell_threshold")
    assert lines(shown)["threshold"]["value"] == auto
    assert lines(shown)["threshold"]["text"] == f"auto {auto:.3g}"
    assert view.marks == []
    assert f"{(scores >= auto).mean():.1%} of the pixels" in shown.panel.note.value
    assert f"covers {session.peek('cell_mask').mean():.1%}" in shown.panel.note.value
    assert shown.panel.back.layout.display == "none"


def test_a_moved_line_sets_the_threshold_and_back_to_auto(shown, session):
    auto, before = session.peek("cell_threshold"), session.peek("cell_mask")
    move(shown, "threshold", 0.9)
    assert session.params["cell_mask"].threshold == 0.9
    assert session.peek("cell_mask").sum() < before.sum()
    assert lines(shown)["threshold"]["value"] == 0.9
    assert [mark["title"] for mark in shown.panel.view.marks] == [f"auto {auto:.3g}"]
    assert f"{auto:.3g}" in shown.panel.back.tooltip and shown.panel.back.layout.display == ""
    assert f"{(session.peek('cell_scores') >= 0.9).mean():.1%}" in shown.panel.note.value
    shown.panel.back.click()
    assert session.params["cell_mask"].threshold == "auto"
    assert lines(shown)["threshold"]["value"] == auto


def test_the_line_follows_the_card(shown, app, session):
    session.set("cell_mask", threshold=0.25)
    assert lines(shown)["threshold"]["value"] == 0.25
    session.set("cell_mask", threshold="knee")
    assert lines(shown)["threshold"]["text"].startswith("knee")
    assert lines(shown)["threshold"]["value"] == session.peek("cell_threshold")


def test_other_scores_are_counted_anew(shown, session):
    before = counts(shown).copy()
    session.set("cell_score", k=13)
    assert (counts(shown) != before).any()
    session.set("cell_score", method="moran", k=7)
    view, scores = shown.panel.view, session.peek("cell_scores")
    assert view.low <= scores.min() and view.high >= scores.max()
    assert counts(shown).sum() == scores.size


def test_areas_and_their_limits(shown, session):
    shown.panel.choice.value = "limits"
    area = np.bincount(session.peek("edited_cells").ravel())[1:]
    area = area[area > 0]
    assert counts(shown).sum() + shown.measured.histogram.above == len(area)
    assert lines(shown)["min_area"]["value"] == 0 and lines(shown)["max_area"]["value"] == PARKED
    low, high = int(np.percentile(area, 20)), int(np.percentile(area, 90))
    move(shown, "min_area", low)
    move(shown, "max_area", high)
    assert (session.params["limits"].min_area, session.params["limits"].max_area) == (low, high)
    small, large = (area < low).sum(), (area > high).sum()
    note = shown.panel.note.value
    assert (
        f"{len(area) - small - large:,} of {len(area):,} cells kept: {small:,} too small, {large:,} too large" in note
    )
    # the ghosts of the views are the cells that the histogram calls rejected
    assert len(np.unique(session.peek("ghosts"))) - 1 == small + large
    assert len(np.unique(session.peek("cells"))) - 1 == len(area) - small - large
    move(shown, "max_area", PARKED)
    assert session.params["limits"].max_area == "off"
    shown.panel.back.click()
    assert session.params["limits"].min_area == 0


def test_a_limit_beyond_the_picture_widens_it(shown, session):
    shown.panel.choice.value = "limits"
    session.set("limits", max_area=9000)
    assert shown.panel.view.high > 9000 and counts(shown).sum() > 0


def test_areas_are_told_in_both_units(shown, app):
    shown.panel.choice.value = "limits"
    assert shown.panel.view.scale == {"unit": "px²", "factor": app.canvas.um_per_px**2, "other": "µm²"}


def test_the_cut_of_the_stain_stands_on_otsu_s_levels(shown, session):
    shown.panel.choice.value = "nuclei_mask"
    line = lines(shown)["otsu_index"]
    assert len(line["stops"]) == 2 and line["value"] == line["stops"][0]
    assert [mark["value"] for mark in shown.panel.view.marks] == [line["stops"][1]]
    before = session.peek("nuclei_mask").sum()
    move(shown, "otsu_index", line["stops"][1] + 1)
    assert session.params["nuclei_mask"].otsu_index == 1
    assert session.peek("nuclei_mask").sum() < before
    session.set("nuclei_mask", otsu_classes=4)
    assert len(lines(shown)["otsu_index"]["stops"]) == 3


def test_only_what_the_choices_use_is_offered(shown, session):
    assert [name for _, name in shown.panel.choice.options] == ["cell_mask", "limits", "nuclei_mask"]
    session.use_preset("rna-nuclear")
    assert [name for _, name in shown.panel.choice.options] == ["nuclei_rna_mask", "limits"]
    assert lines(shown)["threshold"]["value"] == session.peek("rna_nuclei_threshold")
    move(shown, "threshold", 0.8)
    assert session.params["nuclei_rna_mask"].threshold == 0.8


def test_without_anything_open():
    shown = App(Session("sync")).features["histograms"]
    assert shown.panel.view.counts == b"" and "Open a section" in shown.panel.view.empty
    move(shown, "threshold", 0.5)


def test_the_scale_of_counts_is_remembered_for_each(shown):
    assert shown.panel.view.log
    shown.panel.choice.value = "limits"
    assert not shown.panel.view.log
    shown.panel.log.value = True
    shown.panel.choice.value = "cell_mask"
    shown.panel.choice.value = "limits"
    assert shown.panel.view.log


def test_only_the_counts_travel():
    from segapp.core.histogram import histogram

    view = HistogramView()
    image = np.random.default_rng(1).random((400, 400))
    view.show(histogram(image, bins=256), [Line("a", "A", "", 0.5, 0, 1, 0.01)], title="x")
    assert len(view.counts) == 1024
    view.clear("Nothing.")
    assert view.counts == b"" and view.lines == [] and view.empty == "Nothing."
