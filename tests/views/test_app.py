import anndata
import numpy as np
import pytest

from segapp.app import App
from segapp.pipeline.session import Session
from segapp.views.scene import CURVES, IMAGES


@pytest.fixture
def app(sent, app):
    """The app, whose messages are seen from the first on."""
    return app


def frames(app, sent, layer):
    """Contents of one layer, in the order they were sent."""
    wanted = app.canvas._sources[layer]
    found = []
    for message, buffers in sent:
        for frame in message.get("frames", ()):
            if frame["sources"] == wanted:
                columns = {
                    name: np.frombuffer(buffers[c["buffer"]], c["dtype"]).reshape(c["shape"])
                    for name, c in frame["columns"].items()
                    if isinstance(c, dict)
                }
                found.append(columns)
    return found


def test_what_is_loaded_is_shown_at_once(app, session, sent):
    cells = session.peek("cells")
    assert app.status.n_cells == len(np.unique(cells)) - 1
    assert app.canvas.shape == cells.shape
    for layer in (*IMAGES, *CURVES):
        assert frames(app, sent, layer.name), layer.name
    assert app.banner.text == ""


def test_all_layers_of_a_view_travel_in_one_message(app, sent):
    sent.clear()
    app.canvas._receive(app.canvas, {"type": "ready", "view": [10, 20, 60, 70], "screen": [400, 400]}, [])
    (message,) = [message for message, _ in sent]
    assert len(message["frames"]) == len(IMAGES) + len(CURVES)
    assert frames(app, sent, "score")[0]["image"].shape == (50, 50)
    assert frames(app, sent, "score")[0]["image"].dtype == np.uint8


def test_a_slider_changes_the_score_panel(app, session, sent):
    app.canvas._receive(app.canvas, {"type": "view", "view": [0, 0, 256, 256], "screen": [256, 256]}, [])
    before = frames(app, sent, "score")[-1]["image"]
    app.panels["cell_score"].controls["k"].slider.value = 13
    after = frames(app, sent, "score")[-1]["image"]
    assert before.shape == after.shape and (before != after).any()
    assert session.peek("cells") is not None


def test_going_back_shows_what_was_there(app, sent):
    app.canvas._receive(app.canvas, {"type": "view", "view": [0, 0, 256, 256], "screen": [256, 256]}, [])
    before = frames(app, sent, "score")[-1]["image"]
    app.panels["cell_score"].controls["k"].slider.value = 13
    app.panels["cell_score"].controls["k"].slider.value = 7
    assert np.array_equal(frames(app, sent, "score")[-1]["image"], before)


def test_outlines_lie_around_the_cells(app, session, sent):
    app.canvas._receive(app.canvas, {"type": "view", "view": [0, 0, 256, 256], "screen": [256, 256]}, [])
    outline = frames(app, sent, "cells")[-1]
    rows, cols = np.nonzero(session.peek("cells"))
    assert np.nanmin(outline["x"]) == cols.min() and np.nanmax(outline["y"]) == rows.max() + 1


@pytest.mark.parametrize("preset", ["stain", "rna-nuclear", "rna-total", "rna-two-pass", "stain+rna"])
def test_every_preset_ends_in_cells(app, preset):
    app.header.preset.value = preset
    assert app.session.preset == preset
    assert app.banner.text == ""
    assert app.status.n_cells > 0


def test_a_panel_without_content_says_why(app):
    app.header.preset.value = "stain"
    assert "do not use" in app.canvas.captions["score"]["note"]


def test_the_rna_panel_shows_what_is_chosen(app, sent):
    app.canvas._receive(app.canvas, {"type": "view", "view": [0, 0, 256, 256], "screen": [256, 256]}, [])
    before = frames(app, sent, "rna")[-1]["image"]
    app.canvas._receive(app.canvas, {"type": "choice", "name": "rna", "value": "bins"}, [])
    after = frames(app, sent, "rna")[-1]["image"]
    assert (before != after).any()
    assert app.canvas.captions["rna"]["title"] == "Density regions"


def test_cells_coloured_by_area(app, sent):
    sent.clear()
    app.canvas._receive(app.canvas, {"type": "choice", "name": "colour_by", "value": "area"}, [])
    assert frames(app, sent, "fill")


def test_the_pointer_reads_the_arrays(app, session, sent):
    row, col = np.argwhere(session.peek("cells") > 0)[0]
    app.canvas._receive(app.canvas, {"type": "pointer", "at": [col + 0.5, row + 0.5]}, [])
    text = sent[-1][0]["text"]
    assert f"cell {session.peek('cells')[row, col]}" in text and "µm" in text
    app.canvas._receive(app.canvas, {"type": "pointer", "at": [-5.0, 3.0]}, [])
    assert sent[-1][0]["text"] == ""


def test_run_full_counts_genes(app, session):
    app.header.run.click()
    assert session.peek("table").n_obs == app.status.n_cells
    assert "of UMIs in cells" in app.status.numbers.value


def test_export_writes_a_readable_file(app, tmp_path):
    app.features["export"].menu_of_formats.actions["AnnData (cells x genes)"].click()
    (path,) = tmp_path.glob("*.h5ad")
    assert anndata.read_h5ad(path).n_obs == app.status.n_cells
    assert path.name in app.banner.text


def test_what_goes_wrong_in_a_stage_is_a_banner(app, session, monkeypatch):
    def broken(**named):
        raise ZeroDivisionError("no luck")

    stage = session.pipeline["cell_mask"]
    monkeypatch.setitem(stage.__dict__, "run", broken)
    app.panels["cell_score"].controls["k"].slider.value = 15
    assert "no luck" in app.banner.text and stage.title in app.banner.text
    assert "Failed" in app.panels["cell_mask"].badge.value


def test_after_cancel_the_page_is_at_rest_and_names_what_it_shows(app, session):
    before = session.peek("cells")

    def stop(stage, done, total):
        if stage == "cell_score":
            session.events.progress.disconnect(stop)
            app.stop()

    session.events.progress.connect(stop)
    session.set("cell_score", method="VI+gauss")
    # word of the stopped work may still be on its way
    session.events.started.emit("cell_score")
    session.events.progress.emit("cell_score", 1, 2)
    app.refresh()
    assert session.peek("cells") is None and app.layers.artefacts["cells"] is before
    assert app.header.cancel.disabled
    assert app.status.working.value.startswith("Stopped: the views show what was before.")
    assert not any(caption["busy"] for caption in app.canvas.captions.values())
    assert "EM+BP" in app.canvas.captions["score"]["title"]
    app.header.run.click()
    assert "VI+gauss" in app.canvas.captions["score"]["title"] and "Stopped" not in app.status.working.value


def test_after_a_failure_the_scorecard_says_whose_figures_it_shows(app, session, monkeypatch):
    figures, whose = app.features["scorecard"], app.features["scorecard"].panel.whose
    counted = figures.card
    assert counted.n_cells == app.status.n_cells and whose.layout.display == "none"
    stage = session.pipeline["limits"]
    monkeypatch.setitem(stage.__dict__, "run", lambda **named: 1 / 0)
    session.set("limits", min_area=13)
    assert figures.card is counted and f"{counted.n_cells:,}" in figures.panel.numbers.value
    assert "Of the cells that the views show" in whose.value and whose.layout.display == ""
    session.undo()
    assert whose.layout.display == "none" and "sg-old" not in figures.panel.numbers._dom_classes


def test_what_must_be_read_stays_when_new_work_begins(app, session):
    app.open_files("nowhere.gem")
    assert "nowhere.gem could not be opened" in app.banner.text
    session.set("cell_score", k=9)
    assert "nowhere.gem could not be opened" in app.banner.text
    app.banner.show("Written.", good=True)
    session.set("cell_score", k=7)
    assert app.banner.text == ""


def test_what_goes_wrong_in_a_callback_is_a_banner(app, monkeypatch):
    monkeypatch.setattr(app.layers, "send_all", lambda view: 1 / 0)
    app.canvas._receive(app.canvas, {"type": "view", "view": [0, 0, 9, 9], "screen": [9, 9]}, [])
    assert "ZeroDivisionError" in app.banner.text


def test_a_file_that_is_none_is_a_banner(app, tmp_path):
    path = tmp_path / "empty.gem"
    path.write_text("")
    app.open_files(path)
    assert "empty.gem could not be opened" in app.banner.text


def test_without_anything_open(sent):
    app = App(Session("sync"))
    app.header.run.click()
    assert "Nothing is open" in app.banner.text
    assert app.features["export"].button.disabled


def test_without_a_stain(sample, sent):
    app = App(Session("sync"))
    app.session.load(sample.transcripts, name="RNA alone")
    assert app.status.n_cells > 0
    assert app.canvas.captions["stain"]["note"] == "No stain is loaded."


def test_opening_rna_alone_after_a_stain_takes_the_preset_that_the_command_line_takes(app, session):
    from segapp.io.samples import load_sample
    from segapp.pipeline.job import run

    assert session.preset == "stain+rna"
    alone = load_sample("stereoseq")
    app.features["opening"].take(alone.transcripts, None, alone.title)
    assert session.preset == run(alone.transcripts).summary["preset"] == "rna-two-pass"
    assert app.banner.text == ""
