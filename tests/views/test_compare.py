"""Scorecard, card of a cell, and the comparison of two results."""

import numpy as np
import pytest

from segapp.app import App
from segapp.core.card import describe_cell
from segapp.core.quality import CHANGES, diff_labels
from segapp.pipeline.figures import session_scorecard
from segapp.pipeline.session import Session
from segapp.views import theme


@pytest.fixture
def compare(app):
    return app.features["compare"]


@pytest.fixture
def card(app):
    return app.features["card"]


def tap(app, x, y):
    app.canvas._receive(app.canvas, {"type": "tap", "at": [x, y]}, [])


def place_of(labels, label):
    rows, cols = np.nonzero(labels == label)
    middle = len(rows) // 2
    return cols[middle] + 0.5, rows[middle] + 0.5


def some_cell(labels):
    """An id whose cell does not touch the edge."""
    inner = labels.copy()
    inner[[0, -1]] = inner[:, [0, -1]] = 0
    return int(np.bincount(inner.ravel())[1:].argmax()) + 1


# ---- scorecard


def test_the_scorecard_follows_every_result(app, session):
    figures = app.features["scorecard"]
    assert figures.card == session_scorecard(session)
    assert f"{figures.card.n_cells:,}" in figures.panel.numbers.value
    assert f"{figures.card.ratio:.2f} ×" in figures.panel.numbers.value
    before = figures.card
    session.set("limits", min_area=300)
    assert figures.card.n_cells < before.n_cells and figures.card.within_limits < 1
    assert figures.cells is session.peek("cells")


def test_the_scorecard_waits_until_nothing_is_computed(session, tmp_path):
    app = App(session, out=tmp_path)
    figures, waiting = app.features["scorecard"], []
    app.later = lambda seconds, call: waiting.append((seconds, call))
    before = figures.card
    session.set("limits", min_area=300)
    session.set("limits", min_area=310)
    assert figures.card is before and "sg-old" in figures.panel.numbers._dom_classes
    figure = [call for seconds, call in waiting if seconds < 1]
    for call in figure:
        call()
    assert figures.card.n_cells == len(np.unique(session.peek("cells"))) - 1 < before.n_cells
    assert "sg-old" not in figures.panel.numbers._dom_classes


def test_without_cells_the_scorecard_says_so(app, session):
    session.set("limits", min_area=900_000)
    assert app.features["scorecard"].card.n_cells == 0
    assert "Median area" not in app.features["scorecard"].panel.numbers.value


# ---- card


def test_a_click_describes_the_cell(app, card, session, monkeypatch):
    cells, revealed = session.peek("cells"), []
    monkeypatch.setattr(app.page, "reveal", revealed.append)
    label = some_cell(cells)
    assert "Click a cell" in card.panel.body.value
    tap(app, *place_of(cells, label))
    scores, nuclei = session.peek("cell_scores"), session.peek("nuclei")
    expected = describe_cell(
        session.inputs["transcripts"], cells, session.peek("frame"), label, n_top=10, nuclei=nuclei, scores=scores
    )
    assert card.card == expected
    text = card.panel.body.value
    assert revealed == [".sg-section:has(.sg-cell-card)"]
    assert f"Cell {label}" in text and f"{expected.umis:,}" in text and expected.top_genes[0][0] in text
    assert "nucleus from the stain" in text and "edited" not in text
    assert app.layers._selected == (label,)
    row = session.get("table").obs.loc[str(label)]
    assert (expected.umis, expected.n_genes) == (row["n_counts"], row["n_genes"])


def test_the_card_stays_with_the_place(app, card, session):
    label = some_cell(session.peek("cells"))
    tap(app, *place_of(session.peek("cells"), label))
    before = card.card
    session.set("cell_mask", threshold=0.97)
    assert card.card is None or card.card.area_px != before.area_px
    session.set("limits", min_area=900_000)
    session.set("limits", min_area=0)
    assert card.card is not None


def test_a_click_beside_all_cells(app, card, session):
    rows, cols = np.nonzero((session.peek("cells") == 0) & (session.peek("ghosts") == 0))
    tap(app, cols[0] + 0.5, rows[0] + 0.5)
    assert card.card is None and "no cell at this place" in card.panel.body.value
    tap(app, -4.0, 3.0)
    assert "no cell at this place" in card.panel.body.value


def test_letting_go(app, card, session):
    tap(app, *place_of(session.peek("cells"), some_cell(session.peek("cells"))))
    card.panel.close.click()
    assert card.card is None and app.layers._selected == () and "Click a cell" in card.panel.body.value


def test_a_ghost_has_a_card_too(app, card, session):
    cells = session.peek("cells")
    label = some_cell(cells)
    session.set("limits", max_area=int((cells == label).sum()) - 1)
    tap(app, *place_of(cells, label))
    assert card.card.label == label and "ghost" in card.panel.body.value
    x, y = app.layers._outline
    rows, cols = np.nonzero(cells == label)
    assert np.nanmin(x) == cols.min() and np.nanmax(y) == rows.max() + 1


def test_an_edited_cell_says_so(app, card, session):
    cells = session.peek("cells")
    label = some_cell(cells)
    x, y = place_of(cells, label)
    session.set("edits", log=[{"op": "split", "points": [[x - 60, y], [x + 60, y]]}])
    tap(app, x, y - 2)
    assert "edited by hand" in card.panel.body.value


# ---- compare


def test_nothing_is_pinned(compare):
    assert compare.panel.pin.disabled is False
    assert "Pin the present result" in compare.panel.body.value


def test_pin_change_and_see(app, compare, session):
    before = session.peek("cells")
    compare.panel.pin.click()
    assert compare.diff.kept == compare.diff.same == len(np.unique(before)) - 1
    assert app.layers._overlay is None
    session.set("cell_mask", threshold=0.97)
    session.set("limits", min_area=250)
    after = session.peek("cells")
    assert compare.diff.counts == diff_labels(before, after).counts
    assert compare.diff.lost > 0
    text = compare.panel.body.value
    assert "cell_mask.threshold auto -&gt; 0.97" in text and "limits.min_area 0 -&gt; 250" in text
    for name in CHANGES:
        assert theme.CHANGES[name] in text and f"<b>{compare.diff.counts[name]:,}</b> {name}" in text
    drawn = app.layers._overlay
    lost = np.flatnonzero(compare.diff.before == CHANGES.index("lost") + 1)
    assert (drawn[np.isin(before, lost) & (after == 0)] == CHANGES.index("lost") + 1).all()
    cards = app.features["scorecard"].card
    assert f"{cards.n_cells:,}" in text and "sg-numbers-ab" in text


def test_the_views_show_a_and_b_in_turns(app, compare, session):
    compare.panel.pin.click()
    a = session.peek("cells")
    session.set("limits", min_area=250)
    b = session.peek("cells")
    title, flip = app.features["compare"].keys["f"]
    assert app.layers.artefacts["cells"] is b and "A" in title
    flip()
    assert app.layers.artefacts["cells"] is a and compare.panel.flip.description == "Show B"
    flip()
    assert app.layers.artefacts["cells"] is b and compare.panel.flip.description == "Show A"
    # a new result is what a person wants to see
    flip()
    session.set("limits", min_area=260)
    assert app.layers.artefacts["cells"] is session.peek("cells") and not compare.shows_a


def test_figures_and_changes_that_come_late_leave_the_button_as_it_is(app, compare, session):
    compare.panel.pin.click()
    session.set("limits", min_area=250)
    compare.panel.flip.click()
    for late in (compare._carded, compare._show, compare.idle):
        late()
        assert compare.shows_a and compare.panel.flip.description == "Show B"
    compare.panel.flip.click()
    assert not compare.shows_a and compare.panel.flip.description == "Show A"


def test_a_is_shown_while_b_is_computed(app, compare, session, monkeypatch):
    compare.panel.pin.click()
    a = session.peek("cells")
    session.set("limits", min_area=250)
    b = session.peek("cells")
    known = session.peek
    monkeypatch.setattr(session, "peek", lambda name: None if name == "cells" else known(name))
    compare.panel.flip.click()
    assert app.layers.artefacts["cells"] is a and compare.panel.flip.description == "Show B"
    compare.panel.flip.click()
    assert app.layers.artefacts["cells"] is b and compare.panel.flip.description == "Show A"


def test_swap_goes_back_and_keeps_the_other(compare, session):
    compare.panel.pin.click()
    a = session.peek("cells")
    session.set("limits", min_area=250)
    b = session.peek("cells")
    compare.panel.swap.click()
    assert session.params["limits"].min_area == 0
    assert session.peek("cells") is a and compare.pinned.cells is b
    assert compare.diff.gained > 0 and compare.diff.lost == 0


def test_unpin(app, compare, session):
    compare.panel.pin.click()
    session.set("limits", min_area=250)
    compare.flip()
    compare.panel.unpin.click()
    assert compare.pinned is None and app.layers._overlay is None
    assert app.layers.artefacts["cells"] is session.peek("cells")
    assert "Pin the present result" in compare.panel.body.value


def test_other_data_take_the_pin_away(app, compare, sample):
    compare.panel.pin.click()
    app.session.load(sample.transcripts, sample.stain, name="again")
    assert compare.pinned is None


def test_without_anything_open(tmp_path):
    app = App(Session("sync"), out=tmp_path)
    assert app.features["compare"].panel.pin.disabled
    tap(app, 3, 3)
    app.features["compare"].pin()
    assert "no result to pin" in app.banner.text
