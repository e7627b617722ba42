import re

import pytest

from segapp.core.params import classes, knobs
from segapp.pipeline.session import Session
from segapp.views.panel import BY_HAND, StagePanel


def panel(session, name, opened=True):
    return StagePanel(session.pipeline[name], session, opened=opened)


def test_every_parameter_of_every_stage_has_a_control():
    session = Session("sync")
    for stage in session.pipeline:
        for kind in classes(stage.declared):
            tag = getattr(stage.declared, "tag", None)
            if tag is not None:
                session.set(stage.name, **{tag: kind().model_dump()[tag]})
            made = StagePanel(stage, session, opened=True)
            assert list(made.controls) == [item.name for item in knobs(kind) if item.name not in BY_HAND]


def test_controls_are_made_when_they_are_seen(session):
    made = panel(session, "density", opened=False)
    assert made.controls == {}
    made.title.click()
    assert "method" in made.controls


def test_a_gesture_goes_to_the_session_and_back(session):
    made = panel(session, "cell_score")
    made.controls["k"].slider.value = 11
    assert session.params["cell_score"].k == 11
    assert made.controls["k"].box.value == 11
    session.set("cell_score", k=13)
    made.refresh_values()
    assert made.controls["k"].slider.value == 13


def test_another_method_brings_its_own_controls(session):
    made = panel(session, "cell_score")
    assert "bp_p" in made.controls
    assert made.controls["method"].box.options == session.pipeline["cell_score"].declared.names()
    made.controls["k"].slider.value = 11
    made.controls["method"].box.value = "gauss"
    assert "bp_p" not in made.controls
    assert session.params["cell_score"].k == 11


def test_a_value_that_cannot_be_is_refused_in_words(session):
    made = panel(session, "cell_score")
    made.controls["k"].box.value = 8
    assert "odd" in made.controls["k"].error.value
    assert session.params["cell_score"].k == 7 == made.controls["k"].box.value


def test_state_reason_and_seconds(sample):
    session = Session("sync")
    session.load(sample.transcripts, sample.stain)
    made = panel(session, "nuclei_mask")
    made.refresh()
    assert "Waiting" in made.badge.value
    session.get("nuclei_mask")
    made.refresh()
    assert "Ready" in made.badge.value and re.search(r">[\d.]+ (ms|s)<", made.badge.value)


def test_a_blocked_stage_says_why(sample):
    session = Session("sync")
    session.load(sample.transcripts, name="without a stain")
    session.use_preset("stain")
    made = panel(session, "nuclei_mask")
    made.refresh()
    assert "Blocked" in made.badge.value
    assert "no stain" in made.reason.value


def test_an_automatic_threshold_is_shown(session):
    session.get("cell_mask")
    made = panel(session, "cell_mask")
    control = made.controls["threshold"]
    assert control.value == "auto"
    assert control.slider.value == pytest.approx(session.peek("cell_threshold"), abs=1e-4)
    assert f"auto: {session.peek('cell_threshold'):.3g}" in control.name.value
    # EM+BP at k 7: the kernel is two wider
    assert "auto: 9 px · 4.5 µm" in made.controls["mk"].name.value
    session.set("cell_mask", threshold=0.3)
    made.refresh_values()
    assert "auto:" not in made.controls["threshold"].name.value
    assert made.controls["threshold"].slider.value == pytest.approx(0.3)
