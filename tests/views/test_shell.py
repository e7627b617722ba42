"""The app without a browser: steps, sessions that come back, copies, keys, errors of features."""

import io
import json
import zipfile
from datetime import datetime

import numpy as np
import pytest

from segapp.app import App
from segapp.app.feature import Fan, Feature, guarded
from segapp.core.types import InputError
from segapp.io import state as states
from segapp.pipeline.session import Session
from segapp.views.frame import Drawer


@pytest.fixture
def sent(monkeypatch):
    """Messages of every small widget to the page."""
    import anywidget

    messages = []
    monkeypatch.setattr(
        anywidget.AnyWidget, "send", lambda self, message, buffers=None: messages.append((message, buffers))
    )
    return messages


@pytest.fixture
def app(session, sent, tmp_path):
    return App(session, out=tmp_path)


def press(app, key):
    app.page._receive(app.page, {"type": "key", "key": key}, [])


def hello(app, query=""):
    app.page._receive(app.page, {"type": "hello", "query": query}, [])


def last(sent, kind):
    return next(message for message, _ in reversed(sent) if message.get("type") == kind)


# ---- features


def test_a_feature_that_fails_is_a_banner_and_stops_no_other(app):
    told = []

    class Broken(Feature):
        def loaded(self):
            raise ZeroDivisionError("no luck")

    class Sound(Feature):
        def loaded(self):
            told.append("loaded")

    Fan(app.banner, [Broken(app), Sound(app)])("loaded")
    assert told == ["loaded"]
    assert "no luck" in app.banner.text and "Traceback" in app.banner.message.value


def test_an_error_that_a_person_can_mend_is_one_sentence(app):
    class Asking(Feature):
        @guarded
        def press(self):
            raise InputError("give another file")

    Asking(app).press()
    assert app.banner.text == "give another file" and "details" not in app.banner.message.value


def test_a_section_is_built_when_it_is_first_open():
    import ipywidgets as w

    built = []
    drawer = Drawer({"A": w.HTML("a"), "B": lambda: built.append("B") or w.HTML("b")}, opened=1)
    assert drawer.is_open("A") and not drawer.is_open("B") and not built
    drawer.headings["B"].click()
    drawer.headings["B"].click()
    drawer.headings["B"].click()
    assert built == ["B"] and drawer.is_open("B")


def test_unused_stages_are_counted_and_out_of_the_way(app):
    off = [name for name, status in app.session.statuses().items() if status.state == "off"]
    assert app.stages.unused.description == f"Not used ({len(off)})"
    assert all("sg-is-off" in app.panels[name].widget._dom_classes for name in off)
    app.stages.unused.click()
    assert "sg-with-unused" in app.stages.widget._dom_classes


# ---- steps


def test_undo_and_redo_by_key_and_button(app, session):
    steps = app.features["steps"]
    assert steps.undo_button.disabled
    app.panels["cell_score"].controls["k"].slider.value = 11
    assert not steps.undo_button.disabled
    press(app, "ctrl+z")
    assert session.params["cell_score"].k == 7 == app.panels["cell_score"].controls["k"].slider.value
    assert app.status.n_cells == len(np.unique(session.peek("cells"))) - 1
    steps.redo_button.click()
    assert session.params["cell_score"].k == 11


def test_a_parameter_a_stage_and_everything_go_back_to_the_preset(app, session):
    app.panels["cells"].open()
    control = app.panels["cells"].controls["max_area"]
    assert control.reset.layout.visibility == "hidden"
    control.slider.value = 800
    assert "1200" in control.reset.tooltip
    control.reset.click()
    assert session.params["cells"].max_area == 1200
    app.panels["cell_score"].controls["k"].slider.value = 11
    assert app.panels["cell_score"].reset.layout.display == ""
    app.panels["cell_score"].reset.click()
    assert session.params["cell_score"].k == 7
    assert app.panels["cell_score"].reset.layout.display == "none"
    session.set("cells", distance=3)
    app.menu.actions["Reset all parameters"].click()
    assert session.params["cells"].distance == 8


def test_the_list_of_keys_names_every_key_of_every_feature(app):
    press(app, "?")
    dialog = app.features["shortcuts"]
    assert dialog.dialog.opened
    for feature in app.features.values():
        for title, _ in feature.keys.values():
            assert title in dialog.list.value
    assert "Ctrl+Z" in dialog.list.value and "Zoom in" in dialog.list.value


# ---- sessions


def test_what_nobody_sees_is_not_kept(app, session, state):
    session.set("cell_score", k=9)
    assert states.list_states() == []
    hello(app)
    assert states.list_states() == [app.page.resume]


def test_a_reload_brings_everything_back(sent):
    app = App(Session("sync"))
    app.open_sample("stereoseq")
    hello(app)
    app.session.set("cell_score", k=9)
    app.session.set("edits", log=[{"op": "delete", "points": [[150, 140]]}])
    app.canvas._receive(app.canvas, {"type": "choice", "name": "rna", "value": "bins"}, [])
    app.canvas._receive(app.canvas, {"type": "view", "view": [40, 50, 100, 80], "screen": [400, 200]}, [])
    word = app.page.resume
    again = App(Session("sync"))
    hello(again, f"?resume={word}&x=1")
    assert last(sent, "look")["bounds"] == [60, 60, 80, 70]  # the canvas shows three times that
    assert again.session.params == app.session.params and again.session.preset == app.session.preset
    assert again.session.source == {"sample": "stereoseq"}
    assert again.layers.rna == "bins" and again.page.resume == word
    assert np.array_equal(again.session.get("cells"), app.session.get("cells"))


def test_an_address_whose_session_is_gone_says_so(app):
    hello(app, "?resume=0123456789abcdef")
    assert "not kept any more" in app.banner.text
    hello(app, "?resume=../../etc/passwd")
    assert "not kept any more" in app.banner.text


def test_the_second_of_two_tabs_keeps_a_copy_and_says_so(app, session, sent, sample):
    hello(app)
    word = app.page.resume
    other = Session("sync")
    other.load(sample.transcripts, sample.stain, name=sample.title)
    tab = App(other)
    hello(tab, f"?resume={word}")
    tab.session.set("cell_score", k=9)
    assert tab.page.resume == word and tab.banner.text == ""
    session.set("cell_score", k=11)
    assert "another tab" in app.banner.text
    assert app.page.resume != word
    assert [json.loads(states.read_state(w))["params"]["cell_score"]["k"] for w in (word, app.page.resume)] == [9, 11]


def test_download_and_restore_of_a_session(app, session, sent):
    session.set("cell_score", k=9)
    press(app, "ctrl+s")
    (message, (content,)) = next(item for item in sent if "name" in item[0] and item[1])
    assert message["name"].endswith("_session.json")
    session.set("cell_score", k=13)
    keeping = app.features["keeping"]
    keeping.file.value = (
        {"name": "s.json", "type": "", "size": len(content), "content": content, "last_modified": datetime.now()},
    )
    assert session.params["cell_score"].k == 9
    assert "restored" in app.banner.text
    keeping.file.value = (
        {"name": "x.json", "type": "", "size": 3, "content": b"[1]", "last_modified": datetime.now()},
    )
    assert "not a segapp recipe" in app.banner.text


def test_inputs_out_of_reach_are_said_although_the_rest_is_restored(app, session, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGAPP_ROOT", str(tmp_path))
    saved = json.loads(app.features["keeping"].now().text())
    saved["session"]["source"] = {"gem": "/elsewhere/secret.gem"}
    saved["params"]["cell_score"]["k"] = 9
    content = json.dumps(saved).encode()
    app.features["keeping"].file.value = (
        {"name": "s.json", "type": "", "size": len(content), "content": content, "last_modified": datetime.now()},
    )
    assert session.params["cell_score"].k == 9
    assert "/elsewhere/secret.gem is not within reach" in app.banner.text
    session.set("cell_score", k=11)
    assert "not within reach" in app.banner.text


def test_a_folder_that_cannot_be_written_is_said_once(app, session, state):
    state.write_text("a file where the folder should be")
    hello(app)
    assert "not saved by itself" in app.banner.text
    app.banner.hide()
    session.set("cell_score", k=9)
    assert app.banner.text == ""


# ---- copies


def test_copies_are_in_the_clipboard_and_on_the_page(sent):
    app = App(Session("sync"))
    app.open_sample("stereoseq")
    app.menu.actions["Copy as Python"].click()
    text = last(sent, "copy")["text"]
    assert "segapp.load_sample('stereoseq')" in text and "preset='rna-two-pass'" in text
    compile(text, "copied", "exec")
    app.menu.actions["Copy as command"].click()
    assert "segapp run --gem stereoseq/stereoseq.gem.gz" in last(sent, "copy")["text"]
    assert app.features["copying"].dialog.opened


# ---- the page asks whether anyone is there


def test_the_kernel_answers_the_page(app, sent):
    app.page._receive(app.page, {"type": "ping"}, [])
    assert last(sent, "pong")


# ---- files out


def test_every_format_is_in_the_menu_and_writes(app, tmp_path):
    from segapp.io.export import EXPORTERS

    menu = app.features["export"].menu_of_formats
    assert list(menu.actions) == [exporter.title for exporter in EXPORTERS.values()]
    menu.actions[EXPORTERS["tif"].title].click()
    (path,) = tmp_path.glob("*.tif")
    assert path.name in app.banner.text


@pytest.mark.parametrize("name", ["csv", "ome-zarr"])
def test_what_was_written_can_be_downloaded_a_folder_as_a_zip(app, tmp_path, sent, name):
    from segapp.io.export import EXPORTERS

    app.features["export"].write(name)
    (path,) = tmp_path.glob(f"*{EXPORTERS[name].suffix}")
    app.banner.action.click()
    message, (content,) = sent[-1]
    if path.is_file():
        assert message["name"] == path.name and content == path.read_bytes()
    else:
        assert message["name"] == f"{path.name}.zip"
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            packed = {file: archive.read(file) for file in archive.namelist()}
        assert packed == {
            f"{path.name}/{file.relative_to(path)}": file.read_bytes() for file in path.rglob("*") if file.is_file()
        }


def test_a_file_that_cannot_be_written_is_said(app, tmp_path):
    app.out = tmp_path / "file"
    app.out.write_text("")
    app.features["export"].write("tif")
    assert "was not written" in app.banner.text


# ---- files in


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A root with a section in a folder; the page may not leave it."""
    from segapp.io.samples import write_sample

    root = tmp_path / "root"
    write_sample("tissue", root / "section", size=128, seed=11)
    (tmp_path / "secret.gem").write_text("geneID\tx\ty\tMIDCount\nActb\t1\t1\t1\n")
    monkeypatch.setenv("SEGAPP_ROOT", str(root))
    monkeypatch.setenv("SEGAPP_MAX_UPLOAD", "1000000")
    return root


def entries(opening):
    return {button.description: button for button in opening.dialog.entries.children if hasattr(button, "click")}


def upload(widget, sent, name, content, part=100_000):
    """Send a file as the page does; return the sentence of a refusal, or None."""
    widget._receive(widget, {"type": "offer", "name": name, "size": len(content)}, [])
    at = 0
    while sent[-1][0]["type"] != "no" and at < len(content):
        widget._receive(widget, {"type": "part", "offset": at}, [memoryview(content[at : at + part])])
        at = sent[-1][0].get("offset", at)
    return sent[-1][0].get("text")


def test_a_folder_is_walked_files_are_estimated_and_opened(folder, sent):
    app = App(Session("sync"))
    opening = app.features["opening"]
    press(app, "ctrl+o")
    assert list(entries(opening)) == ["▸ section"]
    entries(opening)["▸ section"].click()
    assert list(entries(opening))[:1] == ["▸ .."] and "truth_cells.tif" in entries(opening)
    entries(opening)["stain.tif"].click()
    assert opening.dialog.go.disabled and "Choose the RNA" in opening.dialog.needs.value
    entries(opening)["tissue.gem.gz"].click()
    assert "GB of memory" in opening.dialog.needs.value
    opening.dialog.go.click()
    assert not opening.dialog.dialog.opened and app.status.n_cells > 0
    assert app.session.source["gem"].endswith("tissue.gem.gz")


def test_no_way_leads_out_of_the_root(folder, sent, tmp_path):
    app = App(Session("sync"))
    opening = app.features["opening"]
    for way in (lambda: opening.enter(".."), lambda: opening.choose("../secret.gem")):
        way()
        assert "not within reach" in app.banner.text
        app.banner.hide()
    app.open_files(tmp_path / "secret.gem")
    assert "not within reach" in app.banner.text and not app.session.inputs


def test_uploads_come_in_parts_or_are_refused_in_a_sentence(folder, sent):
    app = App(Session("sync"))
    opening = app.features["opening"]
    widget = opening.dialog.upload
    gem = (folder / "section" / "tissue.gem.gz").read_bytes()
    assert upload(widget, sent, "up.gem.gz", gem, part=20_000) is None
    assert "up.gem.gz" in opening.dialog.chosen.value
    assert "uploads may have 1 MB" in upload(widget, sent, "up.gem.gz", b"0" * 1_000_001)
    assert "no kind" in upload(widget, sent, "up.exe", b"0")
    opening.dialog.go.click()
    assert app.status.n_cells > 0


# ---- genes


def test_genes_are_chips_with_counts_and_are_found_by_search(app, session):
    app.panels["rna"].title.click()
    picker = app.features["genes"].picker
    transcripts = session.inputs["transcripts"]
    counted = dict.fromkeys(transcripts.genes, 0)
    for gene, count in zip(transcripts.gene.tolist(), transcripts.counts["total"].tolist(), strict=True):
        counted[transcripts.genes[gene]] += count
    assert list(picker.chips) == list(session.params["rna"].genes)
    chip = picker.chips["Malat1"]
    assert f"{counted['Malat1']:,}" in chip.description
    picker.search.value = next(gene for gene in transcripts.genes if gene != "Malat1")[:3].upper()
    assert picker.found and all(picker.search.value.lower() in name.lower() for name in picker.found)
    name = next(iter(picker.found))
    picker.found[name].click()
    assert session.params["rna"].genes[-1] == name and picker.search.value == "" and name in picker.chips
    picker.chips["Malat1"].click()
    assert "Malat1" not in session.params["rna"].genes


# ---- in a notebook


def test_show_takes_what_was_read_and_gives_the_session(sample, sent):
    import segapp

    app = segapp.show(sample)
    assert app.session.name == sample.title
    assert app.session.get("table").n_obs == app.status.n_cells
    assert "fresh" in repr(app.session) and "<table>" in app.session._repr_html_()
    alone = segapp.show(sample.transcripts)
    assert "stain_file" not in alone.session.inputs and alone.status.n_cells > 0
    assert segapp.show(app.session).session is app.session
