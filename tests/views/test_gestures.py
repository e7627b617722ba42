"""Strokes of the tools, as the page sends them: what becomes of them in the session and in the views."""

import numpy as np
import pytest

from segapp.core.align import Alignment, shifted
from segapp.core.types import Cancelled
from segapp.pipeline.job import run


@pytest.fixture
def app(sent, app):
    """The app, whose messages are seen from the first on."""
    return app


def page(app, **message):
    app.canvas._receive(app.canvas, message, [])


def stroke(app, tool, *points, **rest):
    page(app, type="stroke", tool=tool, points=[list(map(float, point)) for point in points], **rest)


def spots(labels, at_least=60):
    """Label -> a position (x, y) well inside it, of labels large enough."""
    from scipy import ndimage

    found = {}
    for label in np.unique(labels)[1:]:
        mask = labels == label
        if mask.sum() >= at_least:
            row, col = np.unravel_index(ndimage.distance_transform_edt(mask).argmax(), mask.shape)
            found[int(label)] = (col + 0.5, row + 0.5)
    return found


def rows(app):
    return app.features["edits"].rows.rows


def test_an_edit_joins_the_log_and_changes_the_cells(app):
    before = app.session.peek("cells")
    label, at = next(iter(spots(before).items()))
    stroke(app, "delete", at)
    assert not (app.session.peek("cells") == label).any()
    assert [edit.op for edit in app.session.params["edits"].log] == ["delete"]
    assert rows(app) == [
        {"title": "Delete", "where": f"x {at[0]:.0f}, y {at[1]:.0f}", "state": "Applied", "holds": True}
    ]
    app.features["edits"].rows._receive(None, {"type": "remove", "index": 0}, [])
    assert (app.session.peek("cells") == before).all() and rows(app) == []


def test_edits_are_replayed_after_tuning_and_what_is_lost_is_said(app):
    cells = app.session.peek("cells")
    found = spots(cells)
    (first, a), (_, b) = list(found.items())[:2]
    third = list(found.values())[4]
    stroke(app, "merge", a, b)
    stroke(app, "delete", third)
    merged = app.session.peek("cells")
    assert merged[int(b[1]), int(b[0])] == first == merged[int(a[1]), int(a[0])]
    app.session.set("cell_score", k=9)
    again = app.session.peek("cells")
    assert not (again == merged).all(), "the tuning changed the cells"
    assert again[int(b[1]), int(b[0])] == again[int(a[1]), int(a[0])] > 0
    assert again[int(third[1]), int(third[0])] == 0
    # no cell is left to merge or to delete
    app.session.set("cell_mask", threshold=0.999)
    app.session.set("cells", method="components", region="rna")
    states = [row["state"] for row in rows(app)]
    assert len(states) == 2
    flags = ("No longer applies: ", "Applied to another cell than you meant: ")
    assert any(state.startswith(flags) for state in states) == (app.session.peek("edit_report") != ())


def test_what_no_longer_applies_is_taken_out_on_request(app):
    cells = app.session.peek("cells")
    at = next(iter(spots(cells).values()))
    stroke(app, "delete", at)
    app.session.set("edits", log=(*app.session.params["edits"].log, {"op": "delete", "points": [at]}))
    assert [row["holds"] for row in rows(app)] == [True, False]
    assert "there is no cell at this point" in rows(app)[1]["state"]
    assert app.features["edits"].tidy.layout.display == ""
    app.features["edits"].tidy.click()
    assert len(app.session.params["edits"].log) == 1 and [row["holds"] for row in rows(app)] == [True]


def test_a_stroke_that_would_change_nothing_is_refused_in_words(app):
    row, col = np.argwhere(app.session.peek("cells") == 0)[0]
    stroke(app, "delete", (col + 0.5, row + 0.5))
    assert app.session.params["edits"].log == ()
    assert "there is no cell at this point" in app.canvas.hint
    stroke(app, "delete", next(iter(spots(app.session.peek("cells")).values())))
    assert app.canvas.hint == ""


def test_excluding_takes_out_what_lies_in_the_lasso(app):
    before = app.session.peek("cells")
    stroke(app, "exclude", (0, 0), (128, 0), (128, 256), (0, 256))
    after = app.session.peek("cells")
    assert not (after[:, :100] > 0).any() and (after[:, 160:] == before[:, 160:]).all()
    assert rows(app)[0]["title"] == "Leave out"


def test_an_edit_is_shown_on_request(app, sent):
    at = next(iter(spots(app.session.peek("cells")).values()))
    stroke(app, "delete", at, target="cells")
    sent.clear()
    app.features["edits"].rows._receive(None, {"type": "show", "index": 0}, [])
    assert app.canvas.marks[0]["points"] == [at] and app.canvas.marks[0]["text"] == "1"
    (look,) = [message for message, _ in sent if message["type"] == "look"]
    x0, y0, x1, y1 = look["bounds"]
    assert x0 < at[0] < x1 and y0 < at[1] < y1


def test_the_same_log_gives_the_same_cells_outside_the_app(app, sample):
    found = list(spots(app.session.peek("cells")).values())
    stroke(app, "merge", found[0], found[1])
    stroke(app, "exclude", (0, 0), (90, 0), (90, 90), (0, 90))
    outside = run(sample.transcripts, sample.stain, recipe=app.session.recipe())
    assert (outside.labels == app.session.peek("cells")).all()


def test_nuclei_are_edited_too(app):
    nuclei = app.session.peek("nuclei")
    label, at = next(iter(spots(nuclei, 30).items()))
    stroke(app, "delete", at, target="nuclei")
    assert not (app.session.peek("nuclei") == label).any() and (app.session.peek("cells") == label).any()
    assert rows(app)[0]["title"] == "Delete nucleus"


# ---- the stain, moved by hand


def nudge(app, dx, dy, done):
    page(app, type="nudge", dx=dx, dy=dy, done=done)


def test_a_move_is_measured_and_kept_when_it_matches_better(app, sent):
    app.session.set("align", shift=(6.0, 0.0))
    stain = app.session.peek("stain")
    nudge(app, -6, 0, done=False)
    before, after = (
        float(part.split()[0]) for part in app.canvas.hint.split("(NCC): ")[1].replace("before,", "").split("  ")
    )
    assert after > before
    assert app.session.params["align"].shift == (6.0, 0.0), "nothing is kept yet"
    sent.clear()
    nudge(app, -6, 0, done=True)
    assert app.session.params["align"].shift == (0.0, 0.0)
    assert not (app.session.peek("stain") == stain).all()
    assert [message["type"] for message, _ in sent if message["type"] == "settled"] == ["settled"]


def test_a_move_that_matches_less_well_is_refused_unless_told(app):
    nudge(app, 9, 4, done=True)
    assert app.session.params["align"].shift == (0.0, 0.0)
    assert "matches the RNA less well" in app.banner.text
    app.banner.action.click()
    assert app.session.params["align"].shift == (9.0, 4.0)
    assert "9" in app.features["registration"].panel.figures.value
    app.features["registration"].panel.unshift.click()
    assert app.session.params["align"].shift == (0.0, 0.0)


def test_a_match_of_another_place_is_never_shown(app, monkeypatch):
    waiting = []
    monkeypatch.setattr(app, "background", lambda work, done: waiting.append((work, done)))
    registration = app.features["registration"]

    def finish():
        work, done = waiting.pop(0)
        try:
            found = work()
        except Cancelled as error:  # a scorecard that others overtook
            done(None, error)
        else:
            done(found, None)

    def figures():
        return registration.panel.figures.value

    # under way: what is said of one place does not stand beside the next
    nudge(app, 3, 0, done=False)
    assert "being computed" in app.canvas.hint
    nudge(app, 6, 0, done=False)
    finish()
    assert "being computed" in app.canvas.hint and len(waiting) == 1
    finish()
    assert "here" in app.canvas.hint
    nudge(app, 9, 0, done=True)
    nudge(app, 0, 0, done=False)
    finish()
    assert app.canvas.hint == "" and app.banner.text == "", "given up before it was measured"

    # the card, where the stage itself measures nothing: that the match is awaited, then the match of this place
    app.panels["align"].open()
    app.session.set("align", mode="off")
    found = []
    for x in (2.0, 8.0):
        app.session.set("align", shift=(x, 0.0))
        assert "being computed" in figures() and "sg-ncc" not in figures()
        while waiting:
            finish()
        assert "being computed" not in figures()
        found.append(figures().split("sg-ncc'>")[1][:5])
    assert found[0] != found[1]


def test_a_pair_of_landmarks_bends_the_stain_to_obey(app):
    alignment = app.session.peek("alignment")
    stroke(app, "landmarks", (100.5, 90.5), (103.5, 90.5), panels=["stain", "rna"])
    params = app.session.params["align"]
    assert params.mode == "tps" and len(params.landmarks) == 1
    x_from, y_from, x_to, y_to = params.landmarks[0]
    assert np.allclose(alignment.positions(np.array([[100.0, 90.0]]))[0], (x_from, y_from), atol=0.01)
    assert (x_to, y_to) == (103.0, 90.0)
    marks = [mark for mark in app.canvas.marks if mark["kind"] == "landmark"]
    assert {tuple(mark["panels"]) for mark in marks} == {("stain",), ("rna", "score")}
    panel = app.features["registration"].panel
    if app.session.peek("alignment").points:
        assert panel.landmarks.rows[0]["holds"]
    else:
        assert panel.anyway.layout.display == ""
        panel.anyway.click()
        assert app.session.peek("alignment").points and panel.landmarks.rows[0]["holds"]
    panel.landmarks._receive(None, {"type": "remove", "index": 0}, [])
    assert app.session.params["align"].landmarks == ()
    assert [mark for mark in app.canvas.marks if mark["kind"] == "landmark"] == []


def test_turning_the_stain(app):
    stain = app.session.peek("stain_raw")
    panel = app.features["registration"].panel
    panel.buttons["flip-x"].click()
    assert app.session.params["stain"].orientation == "flip-x"
    assert (app.session.peek("stain_raw") == stain[:, ::-1]).all()
    panel.buttons["rot90"].click()
    panel.buttons["rot90"].click()
    panel.buttons["flip-x"].click()
    assert app.session.params["stain"].orientation == "rot180"
    assert app.banner.text == ""


def test_overlay_and_flicker_send_what_is_compared(app, sent):
    page(app, type="wanted", layers=["stain", "other", "rna", "score", "under", "fill", "cells", "nuclei", "ghosts"])
    sent.clear()
    app.features["registration"].panel.buttons["overlay"].click()
    assert app.canvas.chosen == {"compare": "overlay"}
    layers = [frame["layer"] for message, _ in sent for frame in message.get("frames", ())]
    assert "other" in layers
    assert app.canvas.palettes["stain"][-1] == "#00ff00" and app.canvas.palettes["other"][-1] == "#ff00ff"
    assert "magenta" in app.canvas.captions["stain"]["title"]
    app.features["registration"].panel.buttons["overlay"].click()
    assert app.canvas.chosen == {"compare": "off"} and app.canvas.palettes["stain"][-1] != "#00ff00"


def test_a_shift_on_the_command_line_is_that_of_the_app(sample):
    result = run(sample.transcripts, sample.stain, set={"align.mode": "off", "align.shift": "[3, -2]"})
    found = result.session.get("alignment")
    assert found == shifted(Alignment("off", result.labels.shape), (3, -2))
    raw, moved = result.session.get("stain_raw"), result.session.get("stain")
    assert (moved[:-2, 3:] == raw[2:, :-3]).all()
