"""The stage of the networks in a session: what runs again, and what the table says of each cell."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import segapp
from segapp.core.engines.stardist import predict
from segapp.io.samples import load_sample
from segapp.pipeline.session import Session

TINY = Path(__file__).parent.parent / "core" / "engines" / "fixtures" / "tiny"


@pytest.fixture(scope="module")
def sample():
    return load_sample("tissue", size=192, seed=12)


@pytest.fixture
def runs(monkeypatch):
    """The tiles that the network was asked for."""
    asked = []
    real = predict._ask

    def counted(model):
        ask, known = real(model)
        return (lambda image: asked.append(image.shape) or ask(image)), known

    monkeypatch.setattr(predict, "_ask", counted)
    monkeypatch.setattr(predict, "threads", lambda: 1)  # else an image is cut into a tile for each
    return asked


@pytest.fixture
def session(sample):
    made = Session()
    made.load(sample.transcripts, sample.stain)
    made.use_preset("stain+rna")
    made.set("align", mode="off")
    made.set("nuclei_network", model=str(TINY), equalize=0, scale=1.4)
    return made


def test_thresholds_do_not_run_the_network_again(session, runs):
    first = session.get("network_nuclei")
    assert len(runs) == 1 and first.max() > 5
    session.set("nuclei_network", prob_thresh=0.2, nms_thresh=0.6, sanitize=False)
    assert session.get("network_nuclei").max() > first.max()
    assert len(runs) == 1
    session.set("nuclei_network", scale=1.3)
    session.get("network_nuclei")
    assert len(runs) == 2


def test_a_model_that_changed_on_the_disk_is_asked_again(session, runs, tmp_path):
    shutil.copytree(TINY, tmp_path / "model")
    session.set("nuclei_network", model=str(tmp_path / "model"))
    session.get("network_nuclei")
    session.get("network_nuclei")
    assert len(runs) == 1
    os.utime(tmp_path / "model" / "weights.safetensors", ns=(1, 1))
    session.set("nuclei_network", prob_thresh=0.45)
    session.get("network_nuclei")
    assert len(runs) == 2


@pytest.mark.parametrize("source", ["network", "augment", "union"])
def test_every_cell_tells_its_engine_and_its_probability(session, source):
    session.set("nuclei", source=source)
    table = session.get("table")
    engines = set(table.obs["engine"])
    assert "stardist" in engines and engines <= {"stardist", "watershed", "components"}
    network, nuclei = session.get("network_nuclei"), session.get("nuclei")
    probability, scores = session.get("network_probability"), session.get("network_scores")
    for row in table.obs[table.obs["engine"] == "stardist"].itertuples():
        theirs = np.unique(network[nuclei == row.label])
        assert len(theirs) == 1 and row.nucleus_probability == probability[theirs[0]]
    for row in table.obs[table.obs["engine"] == "watershed"].itertuples():
        np.testing.assert_allclose(row.nucleus_probability, scores[nuclei == row.label].mean(), rtol=1e-5)
    without = table.obs["engine"] == "components"
    assert table.obs["nucleus_probability"].isna().equals(without)


def test_without_a_network_the_table_says_nothing_of_it(sample):
    result = segapp.run(sample.transcripts, sample.stain, preset="stain", set={"nuclei.source": "watershed"})
    assert "source" in result.table.obs and "engine" not in result.table.obs
    assert result.session.get("nuclei_probability") is None


def test_statistics_of_the_network_are_in_the_recipe(session):
    session.get("network_nuclei")
    found = session.recipe().to_json()["statistics"]["nuclei_network"]["values"]
    assert found["scale"] == 1.375 and found["model"] == str(TINY)
