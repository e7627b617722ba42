import pytest

from segapp.app import App
from segapp.io.samples import load_sample
from segapp.pipeline.session import Session
from segapp.pipeline.store import Store
from segapp.views.canvas import Canvas


@pytest.fixture(scope="session")
def sample():
    return load_sample("tissue", size=256, seed=2)


@pytest.fixture(scope="session")
def first_results(sample):
    """What the stages make of the sample, computed once."""
    made = Session("sync")
    made.load(sample.transcripts, sample.stain)
    made.get("cells")
    return made.store


@pytest.fixture
def store(first_results):
    """A store of the test's own that has the first results already; what it adds, no other test sees."""
    made = Store()
    made._entries.update(first_results._entries)
    return made


@pytest.fixture
def session(sample, store):
    made = Session("sync", store=store)
    made.load(sample.transcripts, sample.stain, name=sample.title)
    return made


@pytest.fixture
def app(session, tmp_path):
    return App(session, out=tmp_path)


@pytest.fixture
def sent(monkeypatch):
    """Messages of the linked views to the page."""
    messages = []
    monkeypatch.setattr(Canvas, "send", lambda self, message, buffers=None: messages.append((message, buffers)))
    return messages


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """What the app keeps of a session goes to a folder of the test."""
    monkeypatch.setenv("SEGAPP_STATE", str(tmp_path / "state"))
    return tmp_path / "state"
