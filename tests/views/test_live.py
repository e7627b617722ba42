"""Slow stages wait for a person; everything else follows."""

from types import SimpleNamespace


def test_a_slow_stage_waits_says_so_and_goes_on(app, session):
    app.live.paused["cell_score"] = 1.26
    before = session.get("cells")
    k = app.panels["cell_score"].controls["k"]
    k.slider.value = 11
    slow = app.features["slow"]
    assert slow.line.layout.display == ""
    assert "Cell score" in slow.words.value and "1.3 s" in slow.words.value
    assert session.peek("cells") is None and app.layers.artefacts["cells"] is before
    assert "preview" in app.canvas.captions["score"]["title"]
    slow.update_button.click()
    assert session.peek("cells") is not None and slow.line.layout.display == "none"
    assert app.layers.artefacts["cells"] is session.peek("cells")
    assert "preview" not in app.canvas.captions["score"]["title"]


def test_going_back_to_what_is_known_does_not_wait(app, session):
    app.live.paused["cell_score"] = 1.26
    k = app.panels["cell_score"].controls["k"]
    k.slider.value = 11
    k.slider.value = 7
    assert app.features["slow"].line.layout.display == "none"
    assert app.layers.artefacts["cell_scores"] is session.peek("cell_scores")


def test_what_is_known_is_shown_before_the_worker_is_asked(app, session, monkeypatch):
    k = app.panels["cell_score"].controls["k"]
    k.slider.value = 11
    session.get("cells")
    shown, plain = [], session.request

    def request(*targets, **more):
        shown.append(app.layers.artefacts["cells"] is session.peek("cells") is not None)
        plain(*targets, **more)

    monkeypatch.setattr(session, "request", request)
    k.slider.value = 7
    k.slider.value = 13
    assert shown == [True, False]


def test_a_stage_may_be_followed_however_slow(app, session):
    app.live.paused["cell_score"] = 1.26
    k = app.panels["cell_score"].controls["k"]
    k.slider.value = 11
    app.features["slow"].always.click()
    app.live.paused["cell_score"] = 1.26
    k.slider.value = 13
    assert session.peek("cells") is not None


def test_what_changes_took_decides(app, session, monkeypatch):
    from segapp.pipeline.session import Session

    took = [0.05]
    monkeypatch.setattr(Session, "spent", property(lambda self: took[0], lambda self, value: None), raising=False)
    slider = app.panels["cell_score"].controls["k"].slider
    slider.value = 11
    assert "cell_score" not in app.live.paused
    took[0] = 0.5
    slider.value = 13
    assert "cell_score" not in app.live.paused  # once may be the loading of compiled code
    slider.value = 15
    assert app.live.paused == {"cell_score": 0.5}
    slider.value = 17
    took[0] = 0.05
    app.live.update()
    assert app.live.paused == {}


def test_other_stages_are_not_held_up(app, session):
    app.live.paused["cell_score"] = 1.26
    session.set("limits", min_area=50)
    assert session.peek("cells") is not None


def test_the_time_left_is_told_where_it_is_long(app, session, monkeypatch):
    work, now = app.features["work"], [100.0]
    monkeypatch.setattr("segapp.app.features.work.time", SimpleNamespace(perf_counter=lambda: now[0]))
    work.started("cell_score")
    now[0] += 10
    work.progress("cell_score", 25, 100)
    work.refresh()
    assert "about 30" in app.status.working.value and "left" in app.status.working.value
    work.progress("cell_score", 99, 100)
    work.refresh()
    assert "left" not in app.status.working.value


def test_a_look_that_comes_too_late_is_not_shown(app, session):
    """The worker may be in the middle of a look when another value, whose result is kept, is asked for."""
    final = app.layers.artefacts["cell_scores"]
    stage = session.pipeline["cell_score"]
    kept = session.snapshot().key(stage)
    for key in ("another", kept):
        session.events.previewed.emit("cell_score", {"cell_scores": final * 0}, False, key)
        assert app.layers.artefacts["cell_scores"] is final
        assert "preview" not in app.canvas.captions["score"]["title"]


def test_cells_are_shown_before_the_network_has_looked(sample, tmp_path):
    from segapp.app import App
    from segapp.pipeline.session import Session

    session = Session("sync")
    app = App(session, out=tmp_path)
    seen = []
    session.events.stood_in.connect(
        lambda found: seen.append(
            (app.layers.artefacts["cells"] is found["cells"], app.status.numbers.value, dict(app.canvas.captions))
        )
    )
    session.load(sample.transcripts, sample.stain)
    ((shown, words, captions),) = seen
    assert shown
    assert "sg-n-preview" in words and "watershed" in words
    assert "preview without the network" in captions["labels"]["title"] and captions["labels"]["busy"]
    # and then the result
    assert app.layers.artefacts["cells"] is session.peek("cells")
    assert "sg-n-cells" in app.status.numbers.value
    assert "preview" not in app.canvas.captions["labels"]["title"]
    # once there are cells, another network changes them when it is there: the work is not done twice
    session.set("nuclei_network", prob_thresh=0.6)
    assert len(seen) == 1


def test_opening_imports_nothing_that_it_does_not_show():
    import subprocess
    import sys

    code = (
        "import sys; from segapp.app import App; App(); "
        "heavy = ('torch', 'holoviews', 'panel', 'pandas', 'matplotlib', 'scipy.stats', 'anndata', 'polars');"
        "print([name for name in heavy if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
