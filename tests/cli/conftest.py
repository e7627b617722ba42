"""Files that a user would give: written once by the command line itself."""

import pytest

from segapp.cli import main


@pytest.fixture(scope="session")
def tissue(tmp_path_factory):
    """Return a folder with a small simulated tissue: GEM, stain and truth."""
    folder = tmp_path_factory.mktemp("tissue")
    assert main(["sample", "tissue", "--out", str(folder), "--size", "256", "--seed", "5"]) == 0
    return folder


@pytest.fixture(scope="session")
def finished(tissue, tmp_path_factory):
    """Return the folder of one run with stain and RNA."""
    out = tmp_path_factory.mktemp("run") / "out"
    gem, stain = str(tissue / "tissue.gem.gz"), str(tissue / "stain.tif")
    assert main(["run", "--gem", gem, "--stain", stain, "--out", str(out)]) == 0
    return out
