"""What goes wrong, and what a person sees of it: in a real browser, at a page with a kernel."""

import json
import os
import signal
import time

import nbformat
import psutil
import pytest

from segapp.app import server
from tests.ui.conftest import serve
from tests.ui.hand import Hand
from tests.ui.page import SCORE, visit
from tests.ui.proxy import proxy

pytestmark = pytest.mark.timeout(900)

# in the kernel of the page: one value of one parameter that a stage does not survive
BROKEN = """
stage = app.session.pipeline["limits"]
def run(*, params, _whole=stage.run, **needs):
    return _whole(params=params, **needs) if params.min_area != 13 else 1 / 0
stage.__dict__["run"] = run
"""


@pytest.fixture
def running(section, exports, tmp_path, monkeypatch):
    page = tmp_path / "app.ipynb"
    cells = ["import segapp", "app = segapp.show()", BROKEN, "app"]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    page.write_text(json.dumps(made))
    monkeypatch.setenv("SEGAPP_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(server, "notebook", lambda: page)
    served = serve(section, exports)
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


def test_what_a_person_sees_of_faults(running, section, tmp_path):
    with proxy(int(running.address.rsplit(":", 1)[1].strip("/"))) as line, visit(1440, 900) as seen:
        page, hand = seen.page, Hand(seen)
        sent = [0]
        page.on(
            "websocket", lambda socket: socket.on("framesent", lambda data: sent.__setitem__(0, sent[0] + len(data)))
        )
        page.goto(f"http://127.0.0.1:{line.port}/")
        seen.until_ready()
        first = seen.cells()

        # a stage fails for a reason that nobody foresaw: stage, reason, what to do, and the trace for who mends it
        hand.open_card("limits")
        smallest = page.locator(".sg-stage-limits .sg-knob-min_area input[type=number]")
        smallest.fill("13")
        smallest.press("Enter")
        seen.until("the failure", lambda: "ZeroDivisionError" in hand.banner())
        assert hand.banner().startswith("Area limits: ZeroDivisionError: division by zero")
        assert "Undo the last change" in hand.banner()
        page.locator(".sg-banner summary").click()
        assert "in run" in page.locator(".sg-banner pre").inner_text()
        seen.until("the failed card", lambda: page.locator(".sg-stage-limits.sg-is-failed").count())
        assert seen.cells() == first, "what was there before stays"
        card = page.locator(".sg-whose:visible")
        seen.until("whose figures these are", lambda: card.count() and "cells that the views show" in card.inner_text())
        seen.shot("fault-stage")
        page.locator(".sg-canvas").focus()
        page.keyboard.press("Control+z")
        seen.until("the earlier value", lambda: smallest.input_value() == "0")
        seen.until("the banner to go", lambda: hand.banner() == "")
        hand.rest()

        # a file that is too large is refused before a byte of it travels, one of 12 MB comes in parts
        large, fitting = tmp_path / "large.gem", tmp_path / "fitting.gem"
        with large.open("wb") as file:
            file.truncate(300 << 20)
        fitting.write_text("geneID\tx\ty\tMIDCount\n" + "Actb\t3\t4\t1\n" * (12 * (1 << 20) // 11))
        page.locator(".sg-open-data").click()
        before = sent[0]
        upload(seen, large, "large.gem has 315 MB and uploads may have 20 MB")
        assert sent[0] - before < 100_000
        seen.shot("fault-upload-too-large")
        upload(seen, fitting, "fitting.gem")
        seen.until("the estimate", lambda: "GB of memory" in page.locator(".sg-needs").inner_text())
        assert sent[0] - before > 12 << 20
        seen.shot("fault-upload-fits")
        page.keyboard.press("Escape")
        seen.until("the dialog to close", lambda: page.locator(".sg-dialog:visible").count() == 0)

        # a session that names a file outside the folder that is served
        outside = tmp_path / "outside.gem"
        outside.write_text("geneID\tx\ty\tMIDCount\nActb\t3\t4\t1\n")
        with page.expect_download() as download:
            page.keyboard.press("Control+s")
        session = json.loads(download.value.path().read_text())
        session["session"]["source"] = {"gem": str(outside)}
        asked = tmp_path / "asked.json"
        asked.write_text(json.dumps(session))
        page.get_by_role("button", name="More").click()
        page.get_by_role("button", name="Restore session").click()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose a file").click()
        chooser.value.set_files(asked)
        refusal = f"{outside} is not within reach: choose a file inside {section}"
        seen.until("the refusal", lambda: refusal in hand.banner())
        hand.rest()
        assert refusal in hand.banner(), "word of what was restored does not hide it"
        seen.shot("fault-outside")
        assert "tissue.gem.gz" in page.locator(".sg-header").inner_text()
        page.get_by_role("button", name="Close").last.click()

        # two tabs on one session: who writes second goes on with a copy, and is told so
        k = page.locator(".sg-stage-cell_score .sg-knob-k input[type=number]")
        seen.press_on_slider("cell_score", "k", "ArrowRight")
        seen.until("another k", lambda: k.input_value() == "9")
        hand.rest()
        seen.until("the address of the session", lambda: "resume=" in page.url)
        page.wait_for_timeout(1500)
        shared = page.url
        other = type(seen)(page.context.browser.new_page())
        other.page.goto(shared)
        other.until_ready()
        assert other.page.locator(".sg-stage-cell_score .sg-knob-k input[type=number]").input_value() == "9"
        other.press_on_slider("cell_score", "k", "ArrowRight")
        other.until_idle()
        other.page.wait_for_timeout(1500)
        page.bring_to_front()
        seen.press_on_slider("cell_score", "k", "ArrowLeft")
        seen.until("word of the other tab", lambda: "another tab" in hand.banner())
        seen.until("an address of its own", lambda: page.url != shared)
        seen.shot("fault-two-tabs")
        assert k.input_value() == "7"
        assert other.page.locator(".sg-stage-cell_score .sg-knob-k input[type=number]").input_value() == "11"
        other.page.close()
        page.get_by_role("button", name="Close").last.click()
        hand.rest()

        # the connection is cut for ten seconds, and what was done meanwhile is not lost
        told = page.locator(".sg-link:visible")
        pixels = seen.pixels(SCORE)
        line.cut()
        began = time.monotonic()
        seen.press_on_slider("cell_score", "k", "ArrowRight")
        page.wait_for_timeout(1000)
        seen.until("word of the lost connection", lambda: told.count() and "connection" in told.inner_text())
        seen.shot("fault-cut")
        page.wait_for_timeout(max(0, 10_000 - 1000 * (time.monotonic() - began)))
        line.mend()
        words = []
        back = "Connected again: everything is as it was."
        seen.until("word that it is back", lambda: words.extend(told.all_inner_texts()) or back in words)
        seen.shot("fault-cut-mended")
        assert all("ended" not in word for word in words), "the computation went on"
        seen.until("what was asked for meanwhile", lambda: seen.pixels(SCORE) != pixels)
        assert k.input_value() == "9"
        hand.rest()

        # the end of the kernel is said, and the way on leads to what was there
        page.wait_for_timeout(1500)
        for process in kernels(running):
            os.kill(process.pid, signal.SIGKILL)
        seen.until("word of the dead kernel", lambda: told.count() and "has ended" in told.inner_text())
        seen.shot("fault-kernel")
        told.get_by_role("button", name="Load the page again").click()
        seen.until("a page without the word", lambda: told.count() == 0)
        seen.until_ready()
        assert k.input_value() == "9"
        seen.shot("fault-kernel-back")
