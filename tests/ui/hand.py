"""What a person does in the linked views of a small section, and where its cells are."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from segapp.io.samples import load_sample
from tests.ui.page import LABELS, Visit

SIDE, SEED = 384, 2
"""Of the section that the tests open."""

Spot = tuple[float, float]


def neighbours() -> list[tuple[Spot, Spot]]:
    """Return pairs of spots (x, y) in neighbouring true cells away from the edge."""
    cells = load_sample("tissue", size=SIDE, seed=SEED).truth["cells"]
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

    def __init__(self, seen: Visit) -> None:
        self.seen, self.page = seen, seen.page

    def at(self, x: float, y: float, panel: int = LABELS) -> Spot:
        """Return the place of an array position on the page while the whole image is fitted into the panel."""
        box = self.page.locator(".sg-caption-cell").nth(panel).bounding_box()
        assert box is not None
        scale = min(box["width"], box["height"]) / (SIDE * 1.02)
        return (
            box["x"] + box["width"] / 2 + (x - SIDE / 2) * scale,
            box["y"] + box["height"] / 2 + (y - SIDE / 2) * scale,
        )

    def key(self, text: str) -> None:
        """Press a key in the views."""
        self.page.locator(".sg-canvas").focus()
        self.page.keyboard.press(text)

    def drag(self, *spots: Spot, panel: int = LABELS) -> None:
        """Drag through positions of the array."""
        self.page.mouse.move(*self.at(*spots[0], panel))
        self.page.mouse.down()
        for spot in spots[1:]:
            self.page.mouse.move(*self.at(*spot, panel), steps=4)
        self.page.mouse.up()

    def lasso(self, x: float, y: float, radius: float) -> None:
        """Draw around a spot."""
        self.drag(*[(x + radius * math.cos(a), y + radius * math.sin(a)) for a in np.linspace(0, 6.2, 24)])

    def open_card(self, stage: str) -> None:
        """Open the card of a stage."""
        title = self.page.locator(f".sg-stage-{stage} .sg-card-title")
        if "sg-open" not in (title.get_attribute("class") or ""):
            title.click()
        self.page.locator(f".sg-stage-{stage} .sg-card-title.sg-open").wait_for()

    def fitted(self, panel: int = LABELS) -> int:
        """Return a hash of a panel with the whole image in it: a banner that comes and goes leaves another zoom."""
        self.key("0")
        looks = [0, 1]

        def still() -> bool:
            looks[:] = looks[1], self.seen.pixels(panel)
            return looks[0] == looks[1]

        self.page.wait_for_timeout(200)
        self.seen.until("a picture that stands", still)
        return looks[1]

    def rows(self) -> list[str]:
        """Return the log of edits as it is listed."""
        return self.page.locator(".sg-stage-edits .sg-rows li").all_inner_texts()

    def rested(self) -> bool:
        """Whether all is computed; a change that waits because its stage is slow is asked for."""
        update = self.page.locator(".sg-slow:visible").get_by_role("button", name="Update")
        if update.count():
            update.click()
            self.seen.until("the line to go", lambda: self.page.locator(".sg-slow:visible").count() == 0)
        return self.seen.idle()

    def rest(self) -> None:
        """Wait until all is computed."""
        self.seen.until("everything to be computed", self.rested)

    def done(self, count: int) -> bool:
        """Wait until so many edits are in the log, or the stroke was refused; return whether it was taken."""
        refused = self.page.locator(".sg-hint", has_text="changed nothing")
        self.seen.until("the edit", lambda: len(self.rows()) == count or refused.count())
        if len(self.rows()) != count:
            return False
        self.seen.until("the replay", lambda: "Applied" in self.rows()[-1] or "No longer" in self.rows()[-1])
        self.rest()
        return True

    def hint(self) -> str:
        """Return what is said below the views."""
        return self.page.locator(".sg-hint").inner_text()

    def banner(self) -> str:
        """Return what the banner says."""
        return " ".join(self.page.locator(".sg-banner:visible").all_inner_texts())
