"""A first look: near the result, never in its place."""

import threading

import numpy as np
import pytest

from segapp.core.score import apply_score, fit_score
from segapp.core.score.nearby import near
from segapp.core.score.preview import fit_sample, preview_score
from segapp.io.samples import load_sample
from segapp.pipeline.preview import preview
from segapp.pipeline.session import Session


@pytest.fixture(scope="module")
def sample():
    return load_sample("tissue", size=640, seed=14)


@pytest.fixture
def session(sample):
    made = Session("sync")
    made.load(sample.transcripts, sample.stain)
    return made


@pytest.fixture
def looked(session):
    """Events of looks and results, in order."""
    told = []
    session.events.previewed.connect(lambda stage, artefacts, estimated, key: told.append(("look", stage, artefacts)))
    session.events.finished.connect(lambda stage, seconds: told.append(("done", stage, None)))
    return told


def test_a_look_comes_before_the_result_and_changes_nothing_of_it(session, sample, looked):
    session.request(["total", "bins", "selected_nuclei", "cell_scores"], look=(None,))
    kinds = [(kind, stage) for kind, stage, _ in looked]
    assert kinds.index(("look", "cell_score")) < kinds.index(("done", "cell_score"))
    other = Session("sync")
    other.load(sample.transcripts, sample.stain)
    final = other.get("cell_scores")
    assert np.array_equal(session.peek("cell_scores"), final)
    (look,) = [artefacts["cell_scores"] for kind, _, artefacts in looked if kind == "look"]
    assert look.shape == final.shape and look is not session.peek("cell_scores")
    assert np.mean((look > 0.5) == (final > 0.5)) > 0.95


def test_a_look_alone_leaves_no_result(session, looked):
    session.get_many(("total", "bins", "selected_nuclei"))
    looked.clear()
    session.request(["cell_scores"], look=((100, 80, 220, 160),), only_look=True)
    assert [kind for kind, _, _ in looked] == ["look"]
    assert session.peek("cell_scores") is None
    look = looked[0][2]["cell_scores"]
    assert look[80:160, 100:220].any() and not look[:40].any() and not look[:, 300:].any()


def test_after_a_look_the_worker_waits_until_it_was_taken(sample, monkeypatch):
    session, posted = Session("thread"), []
    session.load(sample.transcripts, sample.stain)
    session.get_many(("total", "bins", "selected_nuclei"))
    monkeypatch.setattr("segapp.pipeline.session.TAKEN_S", 600)  # it goes on because the look was taken
    told = []
    session.events.previewed.connect(lambda *event: told.append("look"))
    session.events.started.connect(lambda stage: told.append(stage))
    looked = threading.Event()

    def post(function):
        posted.append(function)
        looked.set()

    session.post = post
    session.request(["cell_scores"], look=(None,))
    assert looked.wait(60)
    assert not session.runner.wait(0.2)
    while not session.runner.wait(0.01) or posted:
        for function in [posted.pop(0) for _ in range(len(posted))]:
            function()
    assert told[:2] == ["look", "cell_score"]
    session.close()


def test_what_is_known_or_quick_or_impossible_is_not_looked_at(session):
    def look():
        return preview(session.snapshot(), session.store, "cell_score", None, lambda done, total: None)

    assert look() is None  # nothing that it needs is there
    session.get("cell_scores")
    assert look() is None
    session.set("cell_score", method="gauss")
    assert look() is None


def test_a_window_at_full_resolution_is_nearly_a_crop_of_the_whole(session):
    held = session.get_many(("total", "bins"))
    params = session.params["cell_score"]
    info = fit_score(held["total"], held["bins"], params)
    whole = apply_score(held["total"], held["bins"], None, params, info)
    part = preview_score(held["total"], held["bins"], None, params, info, (200, 200, 300, 300))
    same = (part[200:300, 200:300] > 0.5) == (whole[200:300, 200:300] > 0.5)
    assert same.mean() > 0.95  # fewer rounds of messages than the whole takes


def test_a_sample_of_a_large_frame_fits_nearly_what_the_whole_does(monkeypatch, session):
    from segapp.core.score import preview as module

    counts = session.get("total")
    params = session.params["cell_score"]
    monkeypatch.setattr(module, "SAMPLED_PIXELS", 640 * 256)
    assert len(module.sample_rows(counts.shape)) == 256
    few, all_ = (fit(counts, None, params).statistics["mixtures"]["0"] for fit in (fit_sample, fit_score))
    occupied = [sorted(zip(found["mu"], found["w"], strict=True))[-1] for found in (few, all_)]
    assert occupied[0][0] == pytest.approx(occupied[1][0], rel=0.15)


def test_a_fit_that_goes_on_from_its_neighbour_ends_where_it_would_have_ended(session):
    held = session.get_many(("total", "bins"))
    params = session.params["cell_score"]
    for k, other in ((7, 9), (15, 13), (21, 23)):
        exact = fit_score(held["total"], held["bins"], params.with_(k=k)).statistics
        last = fit_score(held["total"], held["bins"], params.with_(k=other))
        found = fit_sample(held["total"], held["bins"], params.with_(k=k), last=last).statistics
        assert [fit is None for fit in found["mixtures"].values()] == [
            fit is None for fit in last.statistics["mixtures"].values()
        ]
        for bin_, fit in exact["mixtures"].items():
            if fit is not None and found["mixtures"][bin_] is not None:
                assert found["mixtures"][bin_]["log_likelihood"] == pytest.approx(fit["log_likelihood"], abs=1e-5)


def test_a_fit_goes_on_from_another_only_where_that_is_of_the_same_bins_and_start(session):
    held = session.get_many(("total", "bins"))
    params = session.params["cell_score"]
    exact = fit_score(held["total"], held["bins"], params)
    without = fit_score(held["total"], None, params.with_(k=9))
    assert fit_sample(held["total"], held["bins"], params, last=without) == exact
    chosen = params.with_(start=((0, 0.5, 0.5, 1.0, 9.0, 2.0, 30.0),))
    assert near(chosen, exact) is chosen
    started = fit_score(held["total"], held["bins"], chosen)
    assert fit_sample(held["total"], held["bins"], chosen, last=exact) == started


def test_results_do_not_depend_on_what_was_looked_at_before(session, sample):
    for k in (9, 11, 7):
        session.set("cell_score", k=k)
        session.request(["total", "bins", "selected_nuclei", "cell_scores"], look=(None,))
    other = Session("sync")
    other.load(sample.transcripts, sample.stain)
    other.set("cell_score", k=7)
    assert np.array_equal(session.peek("cell_scores"), other.get("cell_scores"))
    assert session.peek("cell_score_info") == other.peek("cell_score_info")


def test_a_look_that_fails_leaves_it_to_the_stage_to_tell(session, looked, monkeypatch):
    def broken(*words, **named):
        raise ZeroDivisionError("of the look")

    monkeypatch.setattr("segapp.pipeline.preview.preview_score", broken)
    session.request(["cell_scores"], look=(None,))
    assert ("done", "cell_score", None) in looked and session.peek("cell_scores") is not None


def test_what_nobody_foresaw_brings_its_trace(session, monkeypatch):
    told = []
    session.events.broke.connect(lambda stage, trace: told.append(("broke", stage, trace)))
    session.events.failed.connect(lambda stage, sentence: told.append(("failed", stage, sentence)))
    stage = session.pipeline["cell_score"]

    def broken(**named):
        raise ZeroDivisionError("of the stage")

    monkeypatch.setitem(stage.__dict__, "run", broken)
    session.request(["cell_scores"])
    (broke, failed) = told
    assert broke[:2] == ("broke", "cell_score") and "in broken" in broke[2]
    assert failed == ("failed", "cell_score", "ZeroDivisionError: of the stage")


def test_cells_are_looked_at_before_they_are_labelled(session, sample, looked):
    session.get("cells")
    looked.clear()
    session.set("cell_mask", threshold=0.6)
    session.request(["cells", "ghosts"], look=(None,))
    kinds = [(kind, stage) for kind, stage, _ in looked]
    assert kinds.index(("look", "limits")) < kinds.index(("done", "cell_mask"))
    look = looked[0][2]["cells"]
    cells = session.peek("cells")
    assert look.shape == cells.shape and look.dtype == cells.dtype
    either = (look > 0) | (cells > 0)
    assert ((look > 0) & (cells > 0)).sum() > 0.85 * either.sum()
    assert abs(len(np.unique(look)) - len(np.unique(cells))) < 0.15 * len(np.unique(cells))
    # those with a nucleus keep its id, and with it their colour
    nuclei = session.peek("nuclei")
    assert np.mean(look[nuclei > 0] == cells[nuclei > 0]) > 0.95


def test_a_look_at_cells_sees_the_window_and_leaves_edits_and_labels_alone(session):
    session.get("cells")

    def look(window=None):
        return preview(session.snapshot(), session.store, "limits", window, lambda done, total: None)

    assert look() is None  # known
    session.set("cell_mask", threshold=0.61)
    assert look((0, 0, 64, 64)) is None  # so small a window is labelled as quickly
    session.set("edits", log=({"op": "delete", "points": ((20.0, 20.0),)},))
    assert look() is None
    session.set("edits", log=())
    (found, estimated) = look((0, 0, 640, 560))
    assert not estimated and found["cells"][:560].any() and not found["cells"][600:].any()
