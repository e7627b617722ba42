"""Slow stages wait for a person; everything else follows."""


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


def test_the_time_left_is_told_where_it_is_long(app, session):
    work = app.features["work"]
    work.started("cell_score")
    work._stage_began -= 10
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
