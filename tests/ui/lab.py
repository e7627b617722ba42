"""A JupyterLab of its own with one notebook that shows the app; it asks nobody for news."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from segapp.app import server


@contextlib.contextmanager
def lab(cells: list[str], folder: Path, out: Path) -> Iterator[str]:
    """Serve a notebook with `cells` from `folder`; yield its address."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
    )
    (folder / "app.ipynb").write_text(json.dumps(notebook))
    port = server.free_port()
    variables = {
        **os.environ,
        "SEGAPP_OUT": str(out),
        "SEGAPP_STATE": str(folder / "state"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
    }
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
                *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.news_url="),
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                "--LabApp.extension_manager=readonly",
                f"--ServerApp.root_dir={folder}",
            ],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/api", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    pytest.fail(f"JupyterLab did not start: {(folder / 'lab.log').read_text()[-2000:]}")
                time.sleep(0.2)
        yield f"{address}/lab/tree/app.ipynb"
    finally:
        server.stop(process)


def answer(page):
    """On a busy machine JupyterLab asks which kernel to start, and waits with everything: take the one it offers."""
    offered = page.locator(".jp-Dialog", has_text="Select Kernel").locator(".jp-mod-accept")
    if offered.count():
        offered.first.click()


def has_kernel(page):
    """Whether the kernel of the notebook is there and waits for work."""
    answer(page)
    return page.locator("[data-status='idle']").count() > 0


def run_all(page):
    """Run every cell; return whether they run. JupyterLab drops what is asked before its kernel is connected."""
    answer(page)
    page.locator(".lm-MenuBar-item", has_text="Run").first.click()
    page.locator("[data-command='runmenu:run-all']").click()
    page.wait_for_timeout(1500)
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    return any(mark in prompt for prompt in prompts for mark in ("*", "1"))


def show(seen, address):
    """Open the notebook and run it until the views are drawn."""
    seen.page.goto(address)
    seen.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    seen.until("a kernel", lambda: has_kernel(seen.page))
    seen.until("the cells to run", lambda: run_all(seen.page))
    seen.page.locator(".sg-canvas[data-frames]").wait_for()
    seen.page.locator(".segapp").scroll_into_view_if_needed()
