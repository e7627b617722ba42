"""A session: keys instead of flags, latest wins, failures in words."""

import threading
import warnings

import numpy as np
import pytest

from segapp.core.notes import collected, note
from segapp.core.params import Params
from segapp.core.types import Cancelled, InputError, Unavailable
from segapp.pipeline.runner import Runner
from segapp.pipeline.session import Session
from segapp.pipeline.stage import Pipeline, Stage
from segapp.pipeline.store import Store, key_of
from tests.pipeline.toy import Calls, Numbers, make


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def session(calls):
    session = Session(pipeline=make(calls))
    session.preset = "none"
    session.inputs = {"base": Numbers(np.arange(4.0), "digest-of-base")}
    session._snapshot = None
    return session


def test_going_back_to_earlier_parameters_computes_nothing(session, calls):
    first = session.get("table")
    session.set("scale", factor=3)
    session.get("table")
    session.set("scale", factor=2)
    calls.clear()
    assert session.get("table") is first
    assert calls == []


def test_what_the_fit_does_not_look_at_does_not_fit_again(session, calls):
    session.get("table")
    calls.clear()
    session.set("scale", shift=5)
    session.get("table")
    assert calls == ["scale", "pick"]


def test_stored_arrays_are_read_only(session):
    with pytest.raises(ValueError, match="read-only"):
        session.get("table")[0] = 1


def test_states_follow_from_keys(session):
    assert session.status("scale").state == "stale"
    assert session.status("load").state == "off"
    session.get("table")
    assert session.status("pick").state == "fresh"
    assert session.status("pick").seconds >= 0
    session.set("scale", factor=7)
    assert session.status("pick").state == "stale"
    session.set("scale", factor=2)
    assert session.status("pick").state == "fresh"


def test_a_blocked_stage_says_why(session):
    session.set("pick", source="picture")
    status = session.status("load")
    assert (status.state, status.reason) == ("blocked", "There is no picture: open one.")
    with pytest.raises(Unavailable, match="open one"):
        session.get("table")


def test_a_failure_is_kept_in_words_until_the_parameters_change(session):
    session.set("scale", factor=13)
    told = []
    session.events.failed.connect(lambda stage, sentence: told.append((stage, sentence)))
    with pytest.raises(InputError):
        session.get("table")
    assert session.status("scale").state == "failed"
    assert session.status("pick").reason == "Waits for Scale, which failed."
    assert told == [("scale", "factor 13 brings bad luck; choose another")]
    session.set("scale", factor=2)
    assert session.status("scale").state == "stale"


def test_a_mistake_in_the_code_is_a_failure_too_and_the_worker_lives(session):
    session.set("scale", factor=99)
    session.request(["table"])
    assert "a mistake in the code" in session.status("scale").reason
    session.set("scale", factor=2)
    session.request(["table"])
    assert session.status("pick").state == "fresh"


def test_a_patch_of_several_stages_is_all_or_nothing(session):
    with pytest.raises(InputError, match="pick"):
        session.set_many({"scale": {"factor": 5}, "pick": {"source": "nowhere"}})
    assert session.params["scale"].factor == 2


def test_an_unknown_stage_or_artefact_names_those_that_exist(session):
    with pytest.raises(InputError, match="the stages are scale, load, pick"):
        session.set("scales", factor=1)
    with pytest.raises(InputError, match="there are scaled, image, table"):
        session.get("tables")


def test_the_latest_request_wins_and_earlier_ones_stop_at_a_tick(calls):
    runner = Runner("thread")
    entered, release, done = threading.Event(), threading.Event(), []

    def slow(tick):
        entered.set()
        assert release.wait(60)
        tick(1, 2)
        done.append("slow")

    runner.submit(slow)
    assert entered.wait(60)
    runner.submit(lambda tick: done.append("middle"))
    runner.submit(lambda tick: done.append("last"))
    release.set()
    assert runner.wait(60)
    assert done == ["last"]
    runner.close()


def test_a_rest_ends_when_another_job_comes():
    runner, began, ended = Runner("thread"), threading.Event(), []

    def first(tick):
        began.set()
        runner.rest(600)
        ended.append("first")

    runner.submit(first)
    assert began.wait(30)
    runner.submit(lambda tick: ended.append("second"))
    assert runner.wait(30) and ended == ["first", "second"]
    runner.close()


def test_cancel_stops_the_running_job():
    seen = []
    runner = Runner("thread", lambda: seen.append("rests"))
    entered, release = threading.Event(), threading.Event()

    def slow(tick):
        entered.set()
        assert release.wait(60)
        try:
            tick(1, 2)
        except Cancelled:
            seen.append("cancelled")
            raise

    runner.submit(slow)
    assert entered.wait(60)
    assert runner.busy
    runner.cancel()
    assert not runner.busy  # although the job is still on its way to the next tick
    assert not runner.wait(0)
    release.set()
    assert runner.wait(60)
    assert seen == ["cancelled"]
    runner.close()


def test_a_request_in_the_worker_tells_when_it_is_idle(session):
    threaded = Session("thread", pipeline=session.pipeline)
    threaded.preset, threaded.inputs, threaded._snapshot = "none", session.inputs, None
    idle, order = threading.Event(), []
    threaded.events.finished.connect(lambda stage, seconds: order.append(stage))
    threaded.events.idle.connect(idle.set)
    threaded.request(["scaled", "table"])
    assert idle.wait(60)
    assert order == ["scale", "pick"]
    threaded.close()


def test_events_go_through_post(calls):
    posted = []
    session = Session(pipeline=make(calls), post=posted.append)
    heard = []
    session.events.changed.connect(heard.append)
    session.set("scale", factor=5)
    assert heard == []
    for function in posted:
        function()
    assert heard == ["scale"]


def test_the_store_forgets_the_least_recently_used_first():
    store = Store(max_bytes=3000)
    for name in "abc":
        store.put(name, {"x": np.zeros(1000, np.uint8)}, 0.0)
        store.get("a")
    assert "a" in store
    assert "b" not in store
    assert store.nbytes <= 3000


def test_the_newest_result_is_kept_however_large():
    store = Store(max_bytes=10)
    store.put("big", {"x": np.zeros(1000, np.uint8)}, 0.0)
    assert "big" in store


def test_a_small_store_changes_no_result(session, calls):
    expected = session.get("table").copy()
    small = Session(pipeline=session.pipeline, store=Store(max_bytes=1))
    small.preset, small.inputs, small._snapshot = "none", session.inputs, None
    np.testing.assert_array_equal(small.get("table"), expected)


def test_a_version_gives_another_key():
    assert key_of("s", "run", 1, {}, {}) != key_of("s", "run", 2, {}, {})


def test_the_repr_is_a_table_of_stages(session):
    session.get("table")
    lines = repr(session).splitlines()
    assert len(lines) == 4
    assert "fresh" in lines[1]


def test_what_a_stage_warns_of_is_kept_as_a_note(calls):
    def run(params, tick, base):
        note("no knee here; Otsu's threshold stands in")
        return (base.values,)

    pipeline = Pipeline(Stage("only", "Only", "Only.", Params, ("base",), ("table",), run), inputs={"base": True})
    session = Session(pipeline=pipeline)
    session.preset, session.inputs = "none", {"base": Numbers(np.arange(4.0), "d")}
    session.get("table")
    assert session.status("only").reason == "no knee here; Otsu's threshold stands in"


def test_notes_of_one_thread_are_not_those_of_another_nor_change_its_warnings():
    inside, told = threading.Event(), threading.Event()
    heard = []

    def work():
        with collected() as notes:
            inside.set()
            assert told.wait(10)
            note("of the worker")
        heard.extend(notes)

    worker = threading.Thread(target=work)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        worker.start()
        assert inside.wait(10)
        assert warnings.filters == filters
        note("of the page")
        told.set()
        worker.join()
    assert heard == ["of the worker"]
    assert [str(item.message) for item in caught] == ["of the page"]
