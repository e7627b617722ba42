"""A session in a real browser: steps, a look at an upload, a reload that brings it back, a kernel that dies."""

import os
import signal

import psutil
import pytest

from segapp.app import server
from tests.ui.page import SCORE, find_browser, visit

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def running(section, out, tmp_path, monkeypatch):
    find_browser()
    monkeypatch.setenv("SEGAPP_STATE", str(tmp_path / "state"))
    served = server.start(
        gem=section / "tissue.gem.gz",
        stain=section / "stain.tif",
        port=server.free_port(),
        out=out,
        root=section,
        max_upload_mb=20,
    )
    yield served
    served.stop()


def kernels(served):
    """Return the processes that compute."""
    return [
        process
        for process in psutil.Process(served.process.pid).children(recursive=True)
        if any("ipykernel" in word for word in process.cmdline())
    ]


def upload(seen, path, answer):
    """Give a file to the Open dialog; wait for what it says."""
    seen.page.locator(".sg-upload input").set_input_files(path)
    seen.until(f"the answer {answer}", lambda: answer in seen.page.locator(".sg-dialog-open").inner_text())


def test_steps_uploads_a_reload_and_the_end_of_the_kernel(running, section, tmp_path):
    with visit() as seen:
        seen.page.goto(running.address)
        seen.until_ready()
        k = seen.page.locator(".sg-stage-cell_score .sg-knob-k input")
        assert k.input_value() == "7"

        # steps by key; the score panel follows
        before = seen.pixels(SCORE)
        seen.press_on_slider("cell_score", "k", "ArrowRight")
        seen.until("another k", lambda: k.input_value() == "9")
        seen.until("other pixels in the score panel", lambda: seen.pixels(SCORE) != before)
        seen.until_idle()
        assert k.input_value() == "9"
        seen.page.keyboard.press("Control+z")
        seen.until("the earlier value", lambda: k.input_value() == "7")
        seen.page.keyboard.press("Control+Shift+z")
        seen.until("the value again", lambda: k.input_value() == "9")
        seen.page.keyboard.press("?")
        seen.page.locator(".sg-dialog-keys").get_by_text("Undo").wait_for()
        seen.page.keyboard.press("Escape")
        seen.until("the list to close", lambda: seen.page.locator(".sg-dialog:visible").count() == 0)

        # a file that is too large is refused in words, one of 12 MB comes in parts
        large, fitting = tmp_path / "large.gem", tmp_path / "fitting.gem"
        with large.open("wb") as file:
            file.truncate(300 << 20)
        text = "geneID\tx\ty\tMIDCount\n" + "Actb\t3\t4\t1\n" * (12 * (1 << 20) // 11)
        fitting.write_text(text)
        seen.page.locator(".sg-open-data").click()
        upload(seen, large, "uploads may have")
        upload(seen, fitting, "fitting.gem")
        seen.until("the estimate", lambda: "GB of memory" in seen.page.locator(".sg-needs").inner_text())
        seen.page.keyboard.press("Escape")

        # a reload brings everything back
        seen.until_idle()
        cells = seen.cells()
        seen.until("the address of the session", lambda: "resume=" in seen.page.url)
        seen.page.wait_for_timeout(1500)
        seen.page.reload()
        seen.until_ready()
        assert k.input_value() == "9" and seen.cells() == cells
        assert seen.elsewhere == []
        assert seen.failed == []

        # the network is gone, and comes back
        seen.page.context.set_offline(True)
        told = seen.page.locator(".sg-link:visible")
        seen.until("word of the lost connection", lambda: told.count() and "connection" in told.inner_text())
        seen.page.context.set_offline(False)
        seen.page.mouse.move(300, 300)
        seen.until("word that it is back", lambda: not told.count() or "again" in told.inner_text())

        # the end of the kernel is said, with a way on
        for process in kernels(running):
            os.kill(process.pid, signal.SIGKILL)
        seen.until("word of the dead kernel", lambda: told.count() and "has ended" in told.inner_text())
        assert told.get_by_role("button").inner_text() == "Load the page again"
