"""Cells from nuclei by watershed, while a network is at work."""

import numpy as np
import pytest

from segapp.io.samples import load_sample
from segapp.pipeline.meanwhile import stand_in
from segapp.pipeline.session import Session


@pytest.fixture
def session():
    sample = load_sample("tissue", size=160, seed=12)
    made = Session("sync")
    made.load(sample.transcripts, sample.stain)
    return made


def test_what_stands_in_is_the_result_without_the_network_and_comes_before_it(session):
    heard = []
    session.events.stood_in.connect(lambda found: heard.append(found))
    session.events.started.connect(lambda stage: heard.append(stage))
    session.request(("stain", "selected_nuclei", "cells"), meanwhile=True)
    (place,) = [index for index, item in enumerate(heard) if isinstance(item, dict)]
    assert place < heard.index("nuclei_network")
    found = heard[place]
    assert session.peek("cells") is not None  # the real ones follow

    session.set("nuclei", source="watershed")
    assert np.array_equal(found["cells"], session.get("cells"))
    assert np.array_equal(found["selected_nuclei"], session.get("selected_nuclei"))


def test_nothing_stands_in_where_nothing_has_to(session):
    def told(target="cells"):
        return stand_in(session.snapshot(), session.store, target)

    assert told() is not None
    assert told("bins") is None
    session.set("nuclei", source="network")
    assert told() is None
    session.set("nuclei", source="augment")
    session.get("network_nuclei")
    assert told() is None


def test_a_failure_of_what_stands_in_is_left_to_the_real_run(session, monkeypatch):
    from segapp.core.types import InputError
    from segapp.pipeline import meanwhile

    def compute(*given):
        raise InputError("no")

    monkeypatch.setattr(meanwhile, "compute", compute)
    heard = []
    session.events.stood_in.connect(heard.append)
    session.request(("cells",), meanwhile=True)
    assert heard == []
    assert session.peek("cells") is not None
