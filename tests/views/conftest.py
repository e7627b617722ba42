import pytest

from segapp.io.samples import load_sample
from segapp.pipeline.session import Session


@pytest.fixture(scope="session")
def sample():
    return load_sample("tissue", size=256, seed=2)


@pytest.fixture
def session(sample):
    made = Session("sync")
    made.load(sample.transcripts, sample.stain, name=sample.title)
    return made


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """What the app keeps of a session goes to a folder of the test."""
    monkeypatch.setenv("SEGAPP_STATE", str(tmp_path / "state"))
    return tmp_path / "state"
