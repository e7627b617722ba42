import json

import numpy as np
import pytest

from segapp.io.samples import load_sample
from segapp.pipeline.changes import changed_params
from segapp.pipeline.figures import NEEDED, scorecard_of, session_scorecard
from segapp.pipeline.job import run
from segapp.pipeline.session import Session


@pytest.fixture(scope="module")
def result():
    sample = load_sample("tissue", size=192, seed=11)
    return run(sample.transcripts, sample.stain, set={"limits.min_area": 120})


def test_the_scorecard_says_what_the_table_says(result):
    card, obs = session_scorecard(result.session), result.table.obs
    assert card.n_cells == result.table.n_obs
    assert card.median_umis == obs["n_counts"].median()
    assert card.median_genes == obs["n_genes"].median()
    assert card.median_area_px == obs["area_px"].median()
    assert card.assigned == pytest.approx(obs["n_counts"].sum() / result.summary["n_umis"])
    ghosts = len(np.unique(result.session.get("ghosts"))) - 1
    assert ghosts > 0
    assert card.within_limits == pytest.approx(card.n_cells / (card.n_cells + ghosts))
    assert card.ratio > 1.2


def test_the_page_counts_the_same_without_a_table(result):
    artefacts = result.session.get_many(NEEDED)
    assert scorecard_of(artefacts, result.session.inputs["transcripts"]) == session_scorecard(result.session)


def test_it_travels_in_summary_and_table(result, tmp_path):
    from segapp.io.table import write_h5ad

    card = session_scorecard(result.session).to_json()
    assert result.summary["scorecard"] == card == result.table.uns["segapp"]["scorecard"]
    json.dumps(result.summary)
    write_h5ad(result.table, tmp_path / "cells.h5ad")
    import anndata

    assert anndata.read_h5ad(tmp_path / "cells.h5ad").uns["segapp"]["scorecard"] == card


def test_it_is_printed(result, capsys):
    from segapp.cli.show import print_summary

    print_summary(result)
    said = capsys.readouterr().out
    assert "times the UMIs of random cells" in said and "within the area limits" in said


def test_changed_parameters_in_words():
    session = Session()
    session.use_preset("stain+rna")
    before = session.params
    assert changed_params(before, session.params) == []
    session.set("cell_mask", threshold=0.43)
    session.set("edits", log=[{"op": "delete", "points": [[3, 3]]}])
    assert changed_params(before, session.params) == ["cell_mask.threshold auto -> 0.43", "edits.log none -> 1 entry"]


def test_another_method_says_it_all():
    session = Session()
    before = session.params
    session.set("cell_score", method="moran", k=9)
    assert changed_params(before, session.params) == ["cell_score.method EM+BP -> moran", "cell_score.k 7 -> 9"]
