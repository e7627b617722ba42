"""The sections beside the views, in a real browser: one page, gone through as a person would."""

import re

import pytest

from tests.ui.page import LABELS, visit

pytestmark = pytest.mark.timeout(900)


def number(text, pattern):
    found = re.search(pattern, text)
    return None if found is None else float(found.group(1).replace(",", ""))


def find_a_cell(seen):
    """Move the pointer over the last panel until the readout names a cell; return the place and the id."""
    box = seen.page.locator(".sg-caption-cell").nth(LABELS).bounding_box()
    for step in range(12, 60):
        x, y = box["x"] + box["width"] * (0.3 + 0.4 * (step % 7) / 7), box["y"] + box["height"] * (0.2 + step / 100)
        seen.page.mouse.move(x, y)
        seen.page.wait_for_timeout(250)
        label = number(seen.page.locator(".sg-readout").inner_text(), r"cell (\d+)")
        if label is not None:
            return x, y, int(label)
    raise AssertionError("the pointer met no cell")


def test_threshold_line_card_and_comparison(served):
    with visit() as seen:
        page = seen.page
        page.goto(served)
        seen.until_ready()
        note = page.locator(".sg-hist-note")
        drawer = page.locator(".sg-drawer")

        # the scorecard comes by itself
        seen.until("the scorecard", lambda: "Against random" in page.locator(".sg-scorecard").inner_text())

        # the threshold line, by keyboard alone: another mask, other pixels, back to auto
        line = page.get_by_role("slider", name="Threshold of the cell score")
        seen.until("the share in the mask", lambda: number(note.inner_text(), r"covers ([\d.]+)%"))
        covered, start = number(note.inner_text(), r"covers ([\d.]+)%"), line.get_attribute("aria-valuenow")
        assert line.get_attribute("aria-valuetext").startswith("auto")
        pixels = seen.pixels(LABELS)
        line.focus()
        for _ in range(3):
            page.keyboard.press("PageUp")
        assert float(line.get_attribute("aria-valuenow")) > float(start) + 0.2
        seen.until("another mask", lambda: number(note.inner_text(), r"covers ([\d.]+)%") not in (None, covered))
        assert number(note.inner_text(), r"covers ([\d.]+)%") < covered
        seen.until("other pixels", lambda: seen.pixels(LABELS) != pixels)
        assert page.locator(".sg-hist-mark").count() == 1
        page.get_by_role("button", name="Back to auto").click()
        seen.until("the automatic threshold", lambda: line.get_attribute("aria-valuetext").startswith("auto"))
        seen.until_idle()

        # a click shows the card of the cell
        x, y, label = find_a_cell(seen)
        page.mouse.click(x, y)
        seen.until("the card", lambda: f"Cell {label}" in page.locator(".sg-cell-card").inner_text())
        assert page.locator(".sg-gene").count() > 3
        seen.until("its genes in view", lambda: page.locator(".sg-gene").last.bounding_box()["y"] < 680)
        # the preset joins both: which of them found this nucleus is for its card to say
        assert any(word in page.locator(".sg-cell-card").inner_text() for word in ("network", "watershed"))

        # pin, drag a limit with the pointer, and see what is lost
        heading = page.get_by_role("button", name="Compare A and B")
        if page.locator("button.sg-pin").count() == 0 or not page.locator("button.sg-pin").is_visible():
            heading.click()
        page.locator("button.sg-pin").click()
        seen.until("the pin", lambda: page.locator(".sg-changes").count() == 1)
        page.get_by_role("button", name="Cell areas").click()
        limit = page.get_by_role("slider", name="Smallest area")
        seen.until("the areas", lambda: limit.count() == 1)
        limit.scroll_into_view_if_needed()
        place = page.locator(".sg-hist svg").bounding_box()
        page.mouse.move(place["x"] + 9, place["y"] + 40)
        page.mouse.down()
        page.mouse.move(place["x"] + place["width"] * 0.3, place["y"] + 40, steps=6)
        page.mouse.up()
        smallest = int(float(limit.get_attribute("aria-valuenow")))
        assert smallest > 10
        changes = page.locator(".sg-compare")
        seen.until("the change", lambda: f"limits.min_area 0 -> {smallest}" in changes.inner_text())
        seen.until("lost cells", lambda: (number(changes.inner_text(), r"([\d,]+) lost") or 0) > 0)
        lost = number(changes.inner_text(), r"([\d,]+) lost")
        seen.until("ghosts", lambda: number(note.inner_text(), r": ([\d,]+) too small") == lost)

        # A and B take turns
        seen.until_idle()
        pixels = seen.pixels(LABELS)
        page.locator("button.sg-show").click()
        seen.until("A", lambda: page.locator("button.sg-show").inner_text() == "Show B")
        seen.until("the pixels of A", lambda: seen.pixels(LABELS) != pixels)

        assert drawer.evaluate("node => node.scrollWidth <= node.clientWidth")
        assert seen.failed == [] and seen.elsewhere == []
