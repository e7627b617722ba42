"""Tools in a real browser at a page with a kernel: what was done by hand survives what is tuned afterwards."""

import math
import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from scipy import ndimage

from segapp.app import server
from segapp.io.samples import load_sample
from tests.ui.page import LABELS, STAIN, find_browser, visit

pytestmark = pytest.mark.timeout(900)
SIDE = 384


@pytest.fixture
def served(section, out):
    find_browser()
    running = server.start(gem=section / "tissue.gem.gz", stain=section / "stain.tif", port=server.free_port(), out=out)
    yield running.address
    running.stop()


@pytest.fixture(scope="module")
def places():
    """Pairs of spots (x, y) in neighbouring true cells, the largest ones first."""
    cells = load_sample("tissue", size=SIDE, seed=2).truth["cells"]
    ids = np.unique(cells)[1:]
    middle = {int(i): (x, y) for i, (y, x) in zip(ids, ndimage.center_of_mass(cells > 0, cells, ids), strict=True)}
    found = []
    for a, (xa, ya) in middle.items():
        near = min((b for b in middle if b != a), key=lambda b: math.dist(middle[b], (xa, ya)))
        if 60 < xa < SIDE - 60 and 60 < ya < SIDE - 60 and a < near:
            found.append(((xa, ya), middle[near]))
    return found


class Hand:
    """What a person does in the views."""

    def __init__(self, seen):
        self.seen, self.page = seen, seen.page

    def at(self, x, y, panel=LABELS):
        """Return the place of an array position on the page while the whole image is fitted into the panel."""
        box = self.page.locator(".sg-caption-cell").nth(panel).bounding_box()
        scale = min(box["width"], box["height"]) / (SIDE * 1.02)
        return (
            box["x"] + box["width"] / 2 + (x - SIDE / 2) * scale,
            box["y"] + box["height"] / 2 + (y - SIDE / 2) * scale,
        )

    def key(self, text):
        self.page.locator(".sg-canvas").focus()
        self.page.keyboard.press(text)

    def drag(self, *spots, panel=LABELS):
        self.page.mouse.move(*self.at(*spots[0], panel))
        self.page.mouse.down()
        for spot in spots[1:]:
            self.page.mouse.move(*self.at(*spot, panel), steps=4)
        self.page.mouse.up()

    def rows(self):
        return self.page.locator(".sg-stage-edits .sg-rows li").all_inner_texts()

    def rested(self):
        """Whether all is computed; a change that waits because its stage is slow is asked for."""
        if self.page.locator(".sg-slow:visible").count():
            self.page.get_by_role("button", name="Update").click()
        busy = self.page.locator(".sg-caption.sg-busy").count()
        return not busy and self.page.locator(".sg-cancel:disabled").count() == 1

    def done(self, count):
        """Wait until so many edits are in the log, or the stroke was refused; return whether it was taken."""
        refused = self.page.locator(".sg-hint", has_text="changed nothing")
        self.seen.until("the edit", lambda: len(self.rows()) == count or refused.count())
        if len(self.rows()) != count:
            return False
        self.seen.until("the replay", lambda: "Applied" in self.rows()[-1] or "No longer" in self.rows()[-1])
        self.seen.until_idle()
        return True


def test_edits_survive_tuning_and_the_stain_is_moved_back(served, places):
    with visit() as seen:
        page, hand = seen.page, Hand(seen)
        page.goto(served)
        first = seen.until_ready()
        page.locator(".sg-canvas[data-frames]").wait_for()
        hand.key("0")
        seen.until("the whole image", lambda: seen.attribute("width") == SIDE)

        # a bubble is left out with a lasso
        hand.key("e")
        hand.drag(*[(300 + 60 * math.cos(a), 300 + 60 * math.sin(a)) for a in np.linspace(0, 6.2, 24)])
        assert hand.done(1)
        without = seen.cells()
        assert without < first - 3
        assert "Leave out" in hand.rows()[0] and "Applied" in hand.rows()[0]

        # two cells become one, and one becomes two
        hand.key("m")
        left = [pair for pair in places if math.dist(pair[0], (300, 300)) > 100]
        merged = next(pair for pair in left if (hand.drag(*pair), hand.done(2))[1])
        assert seen.cells() == without - 1
        hand.key("s")
        assert any(
            (hand.drag((x, y - 22), (x, y), (x, y + 22)), hand.done(3))[1]
            for (x, y), _ in left
            if math.dist((x, y), merged[0]) > 40
        )
        assert seen.cells() == without
        assert [row.split()[0] for row in hand.rows()] == ["Leave", "Merge", "Split"]

        # tuned anew: the log is replayed on other cells
        hand.key("Escape")
        before = seen.pixels(LABELS)
        for _ in range(2):
            seen.press_on_slider("cell_score", "k", "ArrowRight")
        seen.until("other cells", lambda: hand.rested() and seen.pixels(LABELS) != before)
        assert len(hand.rows()) == 3 and "Applied" in hand.rows()[0]
        assert all("Applied" in row or "No longer applies: " in row for row in hand.rows())
        page.mouse.move(*hand.at(300, 300))
        seen.until("the readout", lambda: "µm" in page.locator(".sg-readout").inner_text())
        assert "cell" not in page.locator(".sg-readout").inner_text(), "the bubble stays out"

        # a layer is switched by its key, here and at once
        shown = seen.pixels(STAIN)
        hand.key("c")
        seen.until("no outlines", lambda: seen.pixels(STAIN) != shown, patience=5)
        hidden = seen.pixels(STAIN)
        hand.key("c")
        seen.until("outlines again", lambda: seen.pixels(STAIN) != hidden, patience=5)

        # the stain is moved: the worse place is refused, then kept on request, then taken back
        hand.key("a")
        for _ in range(2):
            page.keyboard.press("Shift+ArrowRight")
        seen.until("the match", lambda: re.search(r"NCC\): \d.\d+ before, \d.\d+ here", hint(page)))
        page.keyboard.press("Enter")
        seen.until("the refusal", lambda: "matches the RNA less well" in banner(page))
        page.get_by_role("button", name="Keep it anyway").click()
        page.locator(".sg-stage-align .sg-card-title").click()
        seen.until("the move", lambda: "x +20" in page.locator(".sg-stage-align .sg-match").inner_text())
        seen.until_idle()
        page.get_by_role("button", name="Undo the move").click()
        seen.until("the way back", lambda: "x +20" not in page.locator(".sg-stage-align .sg-match").inner_text())
        seen.until_idle()

        # every part of the page, with cards, lists and layers open, can be used without eyes or mouse
        hand.key("Escape")
        hand.key("y")
        found = Axe().run(page, context=".segapp")
        serious = [item for item in found.response["violations"] if item["impact"] in ("serious", "critical")]
        assert [(item["id"], [node["html"][:160] for node in item["nodes"]][:3]) for item in serious] == []
        assert [failure for failure in seen.failed if "Failed to initialize" not in failure] == []


def hint(page):
    return page.locator(".sg-hint").inner_text()


def banner(page):
    return " ".join(page.locator(".sg-banner:visible").all_inner_texts())
