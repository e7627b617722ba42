import pytest

from segapp.app import server
from segapp.io.samples import write_sample
from tests.ui.hand import SEED, SIDE
from tests.ui.page import find_browser


@pytest.fixture(scope="session")
def section(tmp_path_factory):
    """Folder with a small section: a GEM and its stain."""
    folder = tmp_path_factory.mktemp("section")
    write_sample("tissue", folder, size=SIDE, seed=SEED)
    return folder


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def state(tmp_path_factory):
    """Folder in which the server's pages keep their sessions."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """Folder that the server's pages write exports into."""
    return tmp_path_factory.mktemp("exports")


def serve(section, exports):
    """Start a server of the section; uploads may have 20 MB."""
    find_browser()
    return server.start(
        gem=section / "tissue.gem.gz",
        stain=section / "stain.tif",
        port=server.free_port(),
        out=exports,
        root=section,
        max_upload_mb=20,
    )


@pytest.fixture(scope="session")
def running(section, state, exports):
    """One server for all tests; every visit has a kernel of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGAPP_STATE", str(state))
        served = serve(section, exports)
    yield served
    served.stop()


@pytest.fixture
def served(running):
    """Address of the server."""
    return running.address
