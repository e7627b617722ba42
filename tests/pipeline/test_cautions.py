"""A method's own cautions are notes of the stage where it is chosen: panel, command line and recipes show them."""

import pytest

from segapp.io.samples import load_sample
from segapp.pipeline.session import Session


@pytest.fixture(scope="module")
def session() -> Session:
    session = Session()
    session.load(load_sample("tissue", size=320, seed=13).transcripts)
    session.use_preset("rna-two-pass")
    return session


def said(session: Session, stage: str, artefact: str) -> str:
    session.get(artefact)
    return session.status(stage).reason


def test_unspliced_rna_by_peaks_needs_no_caution(session):
    session.use_preset("rna-two-pass")
    assert said(session, "rna", "nuclear") == "" and said(session, "nuclei_rna", "rna_nuclei") == ""


def test_total_rna_as_nuclear_rna_and_dense_counts(session):
    session.set_many({"rna": {"nuclear": "total"}, "nuclei_rna": {"method": "components"}})
    assert "fills whole cells" in said(session, "rna", "nuclear")
    assert "dense" in said(session, "nuclei_rna", "rna_nuclei")
    session.set("nuclei_rna", method="peaks")
    assert said(session, "nuclei_rna", "rna_nuclei") == ""


def test_track_lines_where_counts_are_flooded(session):
    session.use_preset("rna-two-pass")
    session.set("cells", method="watershed")
    assert "registration lines" in said(session, "cells", "cell_labels")
    session.set("cells", method="expand")
    assert "registration lines" not in said(session, "cells", "cell_labels")
    session.set_many({"rna": {"nuclear": "total"}, "nuclei_rna": {"method": "watershed", "landscape": "rna"}})
    assert "nuclei_rna.landscape=distance" in said(session, "nuclei_rna", "rna_nuclei")
