"""From opening a section to its cells on the command line, in a real browser, as a biologist would."""

import json
import math
import re

import numpy as np
import pytest
import tifffile
from axe_playwright_python.sync_playwright import Axe

from segapp.cli.main import main
from tests.ui.hand import SIDE, Hand, neighbours
from tests.ui.page import LABELS, SCORE, STAIN, visit

pytestmark = pytest.mark.timeout(900)


def saved(seen, path):
    """Download the session; return it without what tells when and by whom it was written."""
    with seen.page.expect_download() as download:
        seen.page.keyboard.press("Control+s")
    download.value.save_as(path)
    value = json.loads(path.read_text())
    for name in ("written", "writer"):
        value["session"].pop(name)
    return value


def method(seen, hand, name):
    """Score the RNA by another method."""
    before = seen.pixels(SCORE)
    seen.page.locator(".sg-stage-cell_score .sg-knob-method select").select_option(name)
    seen.until("another score", lambda: hand.rested() and seen.pixels(SCORE) != before)
    hand.rest()


def test_a_section_from_opening_to_the_command_line(served, section, exports, tmp_path):
    with visit(1440, 900) as seen:
        page, hand = seen.page, Hand(seen)
        page.goto(served)
        first = seen.until_ready()
        page.locator(".sg-canvas[data-frames]").wait_for()
        hand.key("0")
        seen.until("the whole image", lambda: seen.attribute("width") == SIDE)
        seen.shot("walk-01-open")

        # the stain is turned and moved: both are seen in the figures, and both are taken back
        hand.open_card("align")
        match = page.locator(".sg-stage-align .sg-match")
        seen.until("the match", lambda: "NCC" in match.inner_text())
        place = page.locator(".sg-stage-align .sg-ncc").inner_text()
        upright = seen.pixels(STAIN)
        page.get_by_role("button", name="Turn ↺").click()
        seen.until("the turned stain", lambda: hand.rested() and seen.pixels(STAIN) != upright)
        seen.until("a worse match", lambda: ncc(page) is not None and ncc(page) < float(place) - 0.1)
        seen.shot("walk-02-turned")
        page.locator(".sg-canvas").focus()
        page.keyboard.press("Control+z")
        seen.until("the stain upright", lambda: hand.rested() and ncc(page) == float(place))
        hand.key("a")
        for _ in range(2):
            page.keyboard.press("Shift+ArrowRight")
        seen.until("the match", lambda: re.search(r"NCC\): \d.\d+ before, \d.\d+ here", hand.hint()))
        page.keyboard.press("Enter")
        seen.until("the refusal", lambda: "matches the RNA less well" in hand.banner())
        seen.shot("walk-03-move-refused")
        assert covered_by_messages(page) == []
        check_access(page)
        page.emulate_media(color_scheme="dark")
        check_access(page)
        page.get_by_role("button", name="More").click()
        page.get_by_role("button", name="Copy as Python").wait_for()
        check_access(page)
        page.keyboard.press("Escape")
        page.locator(".sg-open-data").click()
        page.locator(".sg-dialog-open .sg-entry").first.wait_for()
        check_access(page)
        message, dialog = (
            page.locator(name).bounding_box() for name in (".sg-banner", ".sg-dialog-open .sg-dialog-box")
        )
        assert dialog["y"] + dialog["height"] <= message["y"]
        page.keyboard.press("Escape")
        seen.until("the dialog to close", lambda: page.locator(".sg-dialog:visible").count() == 0)
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Keep it anyway").click()
        seen.until("the move", lambda: "x +20" in match.inner_text())
        hand.rest()
        assert ncc(page) is None or ncc(page) < float(place)
        page.get_by_role("button", name="Undo the move").click()
        seen.until("the way back", lambda: "x +20" not in match.inner_text() and hand.rested())
        seen.until("the match as it was", lambda: ncc(page) == float(place))
        hand.key("Escape")
        page.locator(".sg-stage-align .sg-card-title").click()
        hand.rest()
        assert seen.cells() == first

        # steps by key, and the list of keys
        k = page.locator(".sg-stage-cell_score .sg-knob-k input[type=number]")
        seen.press_on_slider("cell_score", "k", "ArrowRight")
        for keys, value in (("", "9"), ("Control+z", "7"), ("Control+Shift+z", "9"), ("Control+z", "7")):
            if keys:
                page.keyboard.press(keys)
            seen.until(f"{value} after {keys}", lambda value=value: k.input_value() == value)
        page.keyboard.press("?")
        page.locator(".sg-dialog-keys").get_by_text("Undo").wait_for()
        check_access(page)
        page.keyboard.press("Escape")
        seen.until("the list to close", lambda: page.locator(".sg-dialog:visible").count() == 0)
        hand.rest()

        # the mask of the stain: what it covers is told beside its histogram
        page.get_by_role("button", name="Stain: nuclei").click()
        seen.until("the share of the mask", lambda: share(page) is not None)
        covered = share(page)
        hand.open_card("nuclei_mask")
        for _ in range(4):
            seen.press_on_slider("nuclei_mask", "offset", "ArrowRight")
        seen.until("another share", lambda: hand.rested() and share(page) not in (None, covered))
        hand.rest()
        seen.shot("walk-04-stain-tuned")
        page.locator(".sg-stage-nuclei_mask .sg-card-title").click()
        page.get_by_role("button", name="Cell score", exact=True).last.click()

        # two methods of scoring, compared
        bp, a = hand.fitted(SCORE), hand.fitted()
        pin = page.locator("button.sg-pin")
        if not pin.is_visible():
            page.get_by_role("button", name="Compare A and B").click()
        pin.click()
        changes = page.locator(".sg-compare")
        seen.until("the pin", lambda: "B has the same parameters" in changes.inner_text())
        method(seen, hand, "EM+gauss")
        seen.until("the change", lambda: "cell_score.method EM+BP -> EM+gauss" in changes.inner_text())
        seen.until("the figures of both", lambda: page.locator(".sg-numbers-ab").count() == 1)
        seen.shot("walk-05-compared")
        flip = page.locator("button.sg-show")
        for shown in ("Show B", "Show A"):
            before = seen.pixels(LABELS)
            flip.click()
            seen.until(shown, lambda shown=shown: flip.inner_text() == shown)
            seen.until("the other cells", lambda before=before: seen.pixels(LABELS) != before)
        page.get_by_role("button", name="Swap").click()
        seen.until("A again", lambda: hand.rested() and hand.fitted(SCORE) == bp)
        page.get_by_role("button", name="Unpin").click()
        seen.until("the plain cells", lambda: hand.fitted() == a)

        # a bubble is left out, two cells become one, one becomes two
        before = seen.cells()
        hand.key("e")
        hand.lasso(300, 300, 60)
        assert hand.done(1)
        seen.until("fewer cells", lambda: seen.cells() < before - 3)
        without = seen.cells()
        assert "Leave out" in hand.rows()[0] and "Applied" in hand.rows()[0]
        hand.key("m")
        left = [pair for pair in neighbours() if math.dist(pair[0], (300, 300)) > 100]
        merged = next(pair for pair in left if (hand.drag(*pair), hand.done(2))[1])
        seen.until("one cell less", lambda: seen.cells() == without - 1)
        hand.key("s")
        assert any(
            (hand.drag((x, y - 22), (x, y), (x, y + 22)), hand.done(3))[1]
            for (x, y), _ in left
            if math.dist((x, y), merged[0]) > 40
        )
        seen.until("one cell more", lambda: seen.cells() == without)
        seen.shot("walk-06-edited")

        # tuned anew: the log is replayed on other cells
        hand.key("Escape")
        tuned = seen.pixels(LABELS)
        for _ in range(2):
            seen.press_on_slider("cell_score", "k", "ArrowRight")
        seen.until("other cells", lambda: hand.rested() and seen.pixels(LABELS) != tuned)
        hand.rest()
        assert [row.split()[0] for row in hand.rows()] == ["Leave", "Merge", "Split"]
        assert "Applied" in hand.rows()[0]
        assert all("Applied" in row or "No longer applies: " in row for row in hand.rows())
        page.mouse.move(*hand.at(300, 300))
        seen.until("the readout", lambda: "µm" in page.locator(".sg-readout").inner_text())
        assert "cell" not in page.locator(".sg-readout").inner_text(), "the bubble stays out"
        seen.shot("walk-07-replayed")

        # everything is computed: stopped, then again
        page.locator(".sg-stage-cell_score .sg-knob-method select").select_option("VI+gauss")
        page.get_by_role("button", name="Run full").click()
        cancel = page.locator(".sg-cancel")
        seen.until("work to cancel", lambda: cancel.is_enabled())
        cancel.click()
        seen.until("the end of it", lambda: "Stopped" in page.locator(".sg-status").inner_text() and seen.idle())
        seen.shot("walk-08-cancelled")
        page.get_by_role("button", name="Run full").click()
        seen.until("the table", lambda: "of UMIs in cells" in page.locator(".sg-status").inner_text())
        hand.rest()
        seen.shot("walk-09-run")

        # export
        for title, suffix in (("AnnData (cells x genes)", "h5ad"), ("Labels (32-bit TIFF)", "tif")):
            page.locator(".sg-export").click()
            page.get_by_role("button", name=title).click()
            seen.until("the export", lambda suffix=suffix: f".{suffix}" in hand.banner() and "written" in hand.banner())
        seen.shot("walk-10-exported")
        (labels,) = exports.glob("*cells.tif")
        exported = tifffile.imread(labels)
        assert len(np.unique(exported)) - 1 == seen.cells()
        page.get_by_role("button", name="Close").click()

        # with every card and section open, and with the dialogs, the page can be used without eyes or mouse
        for name in (".sg-card-title", ".sg-section-title"):
            closed = page.locator(f"{name}:not(.sg-open):visible")
            while left := closed.count():
                closed.first.click()
                seen.until("it to open", lambda closed=closed, left=left: closed.count() < left)
        hand.key("y")
        hand.rest()
        seen.shot("walk-11-all-open")
        check_access(page)
        hand.key("y")
        page.locator(".sg-open-data").click()
        page.locator(".sg-dialog-open:visible").wait_for()
        seen.shot("walk-12-open-dialog")
        check_access(page)
        page.keyboard.press("Escape")
        seen.until("the dialog to close", lambda: page.locator(".sg-dialog:visible").count() == 0)

        # a reload: the same parameters, edits, view and cells
        recipe = tmp_path / "session.json"
        drawn, cells, rows = hand.fitted(), seen.cells(), hand.rows()
        kept = saved(seen, recipe)
        assert kept["session"]["source"]["gem"] == str(section / "tissue.gem.gz")
        seen.until("the address of the session", lambda: "resume=" in page.url)
        page.wait_for_timeout(1500)
        # on a machine so slow that a widget takes more than the two seconds that anywidget gives it
        power = page.context.new_cdp_session(page)
        power.send("Emulation.setCPUThrottlingRate", {"rate": 6})
        page.reload()
        page.locator(".sg-canvas[data-frames]").wait_for()
        power.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        seen.until_ready()
        hand.open_card("edits")
        hand.rest()
        seen.until("the same pixels", lambda: hand.fitted() == drawn)
        assert (seen.cells(), hand.rows()) == (cells, rows)
        assert saved(seen, tmp_path / "again.json") == kept
        seen.shot("walk-13-reloaded")
        assert seen.elsewhere == []
        assert seen.failed == []

    # the same recipe without the app
    words = ["--gem", str(section / "tissue.gem.gz"), "--stain", str(section / "stain.tif"), "--recipe", str(recipe)]
    assert main(["run", *words, "--out", str(tmp_path / "run"), "--export", "tif"]) == 0
    assert np.array_equal(tifffile.imread(tmp_path / "run" / "labels.tif"), exported)


def check_access(page):
    """Fail where axe finds something serious in the app."""
    found = Axe().run(page, context=".segapp")
    serious = [item for item in found.response["violations"] if item["impact"] in ("serious", "critical")]
    assert [(item["id"], [node["html"][:160] for node in item["nodes"]][:3]) for item in serious] == []


def covered_by_messages(page):
    """Return what a person needs of the page and a message lies over."""
    return page.evaluate(
        """() => {
          const box = document.querySelector(".sg-messages").getBoundingClientRect();
          const needed = ".sg-caption, .sg-legend, .sg-scale, .sg-tools, .sg-canvas-bar, .sg-canvas-foot, .sg-header, "
            + ".sg-stages, .sg-drawer, .sg-status";
          const parts = [...document.querySelectorAll(needed)].filter(node => node.offsetWidth);
          if (!box.height || parts.length < 12) return ["nothing to look at"];
          return parts.filter(node => {
            const part = node.getBoundingClientRect();
            return part.left < box.right && part.right > box.left && part.top < box.bottom && part.bottom > box.top;
          }).map(node => node.className);
        }"""
    )


def share(page):
    """Return the percentage that a mask covers, as the section with the histograms tells it."""
    found = re.search(r"covers ([\d.]+)%", page.locator(".sg-hist-note").inner_text())
    return None if found is None else float(found.group(1))


def ncc(page):
    """Return the match with the RNA as the card tells it."""
    found = page.locator(".sg-stage-align .sg-ncc")
    return float(found.inner_text()) if found.count() else None
