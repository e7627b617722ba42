"""A chip in a real browser: it opens, the window moves by pointer and keyboard, the chip's numbers are gathered."""

from pathlib import Path

import pytest

from segapp.app import server
from segapp.io.chip import convert_chip
from segapp.io.samples import write_sample
from tests.ui.page import find_browser, visit

SIDE = 768
SHOTS = Path(__file__).parents[2] / "test-artefacts" / "pages"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    find_browser()
    folder = tmp_path_factory.mktemp("chip")
    gem, stain, *_ = write_sample("tissue", folder / "files", size=SIDE, seed=13)
    chip = convert_chip(gem, folder / "chip", stain=stain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGAPP_STATE", str(folder / "state"))
        served = server.start(chip=chip.path, port=server.free_port(), out=folder, root=folder)
    yield served.address
    served.stop()


def test_a_chip_is_looked_at_and_its_numbers_gathered(address):
    with visit(1440, 900) as seen:
        seen.page.goto(address)
        seen.until("the overview", lambda: seen.page.locator(".sg-overview canvas").count() == 1)
        seen.until_ready()
        seen.page.get_by_label("Preset").select_option(label="Total RNA")
        seen.until_idle()
        first = seen.cells()
        assert "estimated" in seen.page.locator(".sg-chip-words").inner_text()

        # smaller and to the right by keyboard
        seen.page.locator(".sg-overview").focus()
        for key in ("-", "ArrowRight"):
            seen.page.keyboard.press(key)
        width = seen.page.get_by_label("width", exact=True)
        seen.until("a smaller window", lambda: width.input_value() == "512")
        assert seen.page.get_by_label("x", exact=True).input_value() == "256"
        seen.until_idle()
        seen.until("fewer cells", lambda: (seen.cells() or first) < first)
        second = seen.cells()

        # dragged back by the pointer
        box = seen.page.locator(".sg-overview-box").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        seen.page.mouse.move(x, y)
        seen.page.mouse.down()
        seen.page.mouse.move(x - 300, y, steps=4)
        seen.page.mouse.up()
        seen.until("the window at the left", lambda: seen.page.get_by_label("x", exact=True).input_value() == "0")
        seen.until_idle()
        seen.until("other cells", lambda: seen.cells() not in (None, second))

        seen.page.get_by_role("button", name="Gather the chip's numbers").click()
        words = seen.page.locator(".sg-chip-words")
        seen.until("the chip's numbers", lambda: "Numbers of the whole chip." in words.inner_text())
        seen.until_idle()
        SHOTS.mkdir(parents=True, exist_ok=True)
        seen.page.screenshot(path=SHOTS / "chip.png")
        seen.page.get_by_role("button", name="Run the whole chip").click()
        dialog = seen.page.locator(".sg-dialog-run-chip")
        seen.until("the command", lambda: "segapp run --chip" in dialog.inner_text())
        assert seen.failed == [] and seen.elsewhere == []
