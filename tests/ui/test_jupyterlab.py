"""The app in a notebook of JupyterLab, in a real browser."""

import pytest

from tests.ui.lab import lab, show
from tests.ui.page import check_everything, find_browser, visit

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def address(section, out, tmp_path):
    find_browser()
    files = repr(str(section / "tissue.gem.gz")), repr(str(section / "stain.tif"))
    with lab(["import segapp", f"app = segapp.show({', '.join(files)})", "app"], tmp_path, out) as found:
        yield found


def test_jupyterlab_cell_from_slider_to_export(address, out):
    with visit(1440, 1000) as seen:
        show(seen, address)
        check_everything(seen, out)
        assert seen.elsewhere == []
        assert [failure for failure in seen.failed if "/static/" in failure or "error in the page" in failure] == []
