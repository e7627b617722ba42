import pytest

from segapp.io.samples import write_sample


@pytest.fixture(scope="session")
def section(tmp_path_factory):
    """Folder with a small section: a GEM and its stain."""
    folder = tmp_path_factory.mktemp("section")
    write_sample("tissue", folder, size=384, seed=2)
    return folder


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
