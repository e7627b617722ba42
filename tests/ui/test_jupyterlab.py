"""The app in a notebook of JupyterLab, in a real browser."""

import json
import os
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from segapp.app import server
from tests.ui.page import check_everything, find_browser, visit

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def lab(section, out, tmp_path):
    """Address of a notebook with the app, in a JupyterLab of its own that asks nobody for news."""
    find_browser()
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import segapp"),
            nbformat.v4.new_code_cell(
                f"app = segapp.show({str(section / 'tissue.gem.gz')!r}, {str(section / 'stain.tif')!r})"
            ),
            nbformat.v4.new_code_cell("app"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
    )
    (tmp_path / "app.ipynb").write_text(json.dumps(notebook))
    port = server.free_port()
    variables = {
        **os.environ,
        "SEGAPP_OUT": str(out),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
    }
    with (tmp_path / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
                *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.news_url="),
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                "--LabApp.extension_manager=readonly",
                f"--ServerApp.root_dir={tmp_path}",
            ],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/api", timeout=2).close()
            break
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                server.stop(process)
                pytest.fail(f"JupyterLab did not start: {(tmp_path / 'lab.log').read_text()[-2000:]}")
            time.sleep(0.2)
    yield f"{address}/lab/tree/app.ipynb"
    server.stop(process)


def run_all(page):
    """Run every cell; return whether they run. JupyterLab drops what is asked before its kernel is connected."""
    page.locator(".lm-MenuBar-item", has_text="Run").first.click()
    page.locator("[data-command='runmenu:run-all']").click()
    page.wait_for_timeout(1500)
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    return any(mark in prompt for prompt in prompts for mark in ("*", "1"))


def test_jupyterlab_cell_from_slider_to_export(lab, out):
    with visit(1440, 1000) as seen:
        seen.page.goto(lab)
        seen.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        seen.until("a kernel", lambda: seen.page.locator("[data-status='idle']").count() > 0)
        seen.until("the cells to run", lambda: run_all(seen.page))
        seen.page.locator(".sg-canvas[data-frames]").wait_for()
        seen.page.locator(".segapp").scroll_into_view_if_needed()
        check_everything(seen, out)
        assert seen.elsewhere == []
        assert [failure for failure in seen.failed if "/static/" in failure or "error in the page" in failure] == []
