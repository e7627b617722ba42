"""Tools, keys, layers and access of the linked views, in a real browser, without a kernel."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from segapp.views.canvas import Canvas, Legend, Mark
from segapp.views.layers import Layers
from tests.ui.page import PIXELS
from tests.ui.stub import stub

pytestmark = pytest.mark.timeout(300)
SIDE = 200


@pytest.fixture(scope="module")
def views():
    """One page for all tests: each of them leaves it as it found it."""
    with pytest.MonkeyPatch.context() as patch:
        messages = []
        patch.setattr(Canvas, "send", lambda self, message, buffers=None: messages.append((message, buffers)))
        canvas = Canvas()
        layers = Layers(canvas)
        canvas.place((SIDE, SIDE), 0.5)
        rng = np.random.default_rng(0)
        cells = np.kron(np.arange(1, 26, dtype=np.int32).reshape(5, 5), np.ones((40, 40), np.int32))
        cells[:, ::40] = cells[::40] = 0
        total = rng.poisson(1.0, cells.shape).astype(np.uint32)
        stain = (rng.random(cells.shape) * 50 + 100 * (cells > 0)).astype(np.float32)
        canvas._receive(None, {"type": "wanted", "layers": list(canvas.scene.layers)}, [])
        layers.update({"stain": stain, "total": total, "cells": cells, "nuclei": cells, "cell_scores": stain / 150})
        layers.use(compare="flicker")
        canvas.show_legend("labels", Legend("UMIs", ramp=("#000000", "#ffffff"), low="1", high="9"))
        with stub(canvas, messages, (1000, 760)) as made:
            made.page.evaluate("model.set('chosen', {compare: 'off'})")
            made.page.locator(".sg-canvas").focus()
            yield made


@pytest.fixture(autouse=True)
def at_rest(views):
    """Nothing in hand, the whole image in view."""
    views.page.evaluate("window.sent.length = 0")
    yield
    for _ in range(3):
        views.page.keyboard.press("Escape")
    views.page.locator(".sg-canvas").focus()
    views.page.keyboard.press("0")


def key(views, text):
    views.page.locator(".sg-canvas").focus()
    views.page.keyboard.press(text)


def pixels(views, panel):
    views.page.wait_for_timeout(150)
    return views.page.evaluate(PIXELS, panel)


def seen(views, panel):
    """A picture of a panel, its middle, once it has come to rest: two in a row are the same."""
    canvas = views.page.locator(".sg-caption-cell").nth(panel).bounding_box()
    box = {"x": canvas["x"] + 80, "y": canvas["y"] + 60, "width": 300, "height": 180}
    views.page.mouse.move(1, 1)
    last = None
    for _ in range(40):
        views.page.wait_for_timeout(150)
        now = views.page.screenshot(clip=box)
        if now == last:
            break
        last = now
    return now


def one(views, kind="stroke"):
    (message,) = views.sent(kind)
    return message


def test_the_image_fills_its_panel_and_fit_shows_all(views):
    key(views, "0")
    views.page.wait_for_timeout(200)
    x0, y0, x1, y1 = views.sent("view")[-1]["view"]
    assert x0 <= 0 and y0 <= 0 and x1 >= SIDE and y1 >= SIDE
    key(views, "+")
    key(views, "ArrowRight")
    views.page.wait_for_timeout(200)
    near = views.sent("view")[-1]["view"]
    assert near[2] - near[0] < x1 - x0 and near[0] + near[2] > x0 + x1


@pytest.mark.parametrize("by", ["key", "wheel"])
def test_nobody_zooms_in_beyond_what_can_be_told_apart(views, by):
    box = views.page.locator(".sg-caption-cell").nth(0).bounding_box()
    views.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(25):
        if by == "key":
            key(views, "+")
        else:
            views.page.mouse.wheel(0, -400)
            views.page.wait_for_timeout(20)
    views.page.wait_for_timeout(300)
    x0, y0, x1, y1 = views.sent("view")[-1]["view"]
    assert 11.9 <= min(x1 - x0, y1 - y0) < 40
    box = views.page.locator(".sg-caption-cell").nth(0).bounding_box()
    assert np.isclose((x1 - x0) / (y1 - y0), box["width"] / box["height"], rtol=0.05)


def test_a_click_selects_and_a_drag_moves_the_picture(views):
    views.click(3, 0.5, 0.5)
    tap = one(views, "tap")
    assert tap["panel"] == "labels" and np.allclose(tap["at"], SIDE / 2, atol=2)
    views.drag(0, (0.3, 0.3), (0.5, 0.5))
    views.page.wait_for_timeout(200)
    assert len(views.sent("tap")) == 1 and views.sent("stroke") == []
    assert views.sent("view")[-1]["view"][0] < -SIDE / 20


def test_a_lasso_is_drawn_live_and_sent_thinned(views):
    key(views, "e")
    angles = np.linspace(0, 2 * np.pi, 60)
    circle = [(0.5 + 0.2 * np.cos(a), 0.5 + 0.2 * np.sin(a)) for a in angles]
    views.page.mouse.move(*views.at(0, *circle[0]))
    views.page.mouse.down()
    for share in circle[1:]:
        views.page.mouse.move(*views.at(0, *share))
    views.page.wait_for_timeout(100)
    assert views.page.locator("polygon.sg-stroke").count() == 4, "in every panel"
    views.page.mouse.up()
    stroke = one(views)
    assert stroke["tool"] == "exclude" and 8 <= len(stroke["points"]) < 60
    x, y = np.array(stroke["points"]).T
    assert np.allclose([(x.min() + x.max()) / 2, (y.min() + y.max()) / 2], SIDE / 2, atol=3)
    views.page.wait_for_timeout(100)
    assert views.page.locator("polygon.sg-stroke").count() == 0


def test_shift_draws_a_rectangle(views):
    key(views, "i")
    views.page.keyboard.down("Shift")
    views.drag(2, (0.4, 0.4), (0.6, 0.7))
    views.page.keyboard.up("Shift")
    (a, b, c, d) = one(views)["points"]
    assert a[1] == b[1] and b[0] == c[0] and c[1] == d[1] and d[0] == a[0]


def test_merging_by_a_drag_and_by_clicks(views):
    key(views, "m")
    views.drag(0, (0.4, 0.4), (0.6, 0.6))
    assert len(one(views)["points"]) == 2
    for share in ((0.4, 0.4), (0.5, 0.5), (0.6, 0.6)):
        views.click(1, *share)
    views.page.keyboard.press("Backspace")
    views.page.keyboard.press("Enter")
    assert len(views.sent("stroke")) == 2 and len(views.sent("stroke")[1]["points"]) == 2


def test_a_polygon_by_clicks_splitting_and_deleting(views):
    key(views, "d")
    for share in ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6)):
        views.click(1, *share)
    views.page.keyboard.press("Enter")
    key(views, "s")
    views.drag(3, (0.4, 0.5), (0.5, 0.52), (0.6, 0.5))
    views.page.get_by_label("What the tool works on").select_option("nuclei")
    key(views, "x")
    views.click(3, 0.5, 0.5)
    views.page.get_by_label("What the tool works on").select_option("cells")
    draw, split, delete = views.sent("stroke")
    assert (draw["tool"], len(draw["points"])) == ("draw", 3)
    assert split["tool"] == "split" and split["target"] == "cells" and len(split["points"]) >= 2
    assert delete["tool"] == "delete" and delete["target"] == "nuclei" and len(delete["points"]) == 1


def test_escape_drops_the_stroke_then_the_tool(views):
    key(views, "d")
    views.click(1, 0.4, 0.4)
    views.page.keyboard.press("Escape")
    assert views.page.evaluate("model.get('tool')") == "draw"
    views.page.keyboard.press("Enter")
    assert views.sent("stroke") == []
    views.page.keyboard.press("Escape")
    assert views.page.evaluate("model.get('tool')") == "select"


def test_landmarks_are_a_pair_in_either_order(views):
    key(views, "l")
    views.click(1, 0.5, 0.5)
    hint = views.page.locator(".sg-hint")
    assert "stain panel" in hint.inner_text() and hint.get_attribute("title") == hint.inner_text()
    views.click(0, 0.6, 0.5)
    stroke = one(views)
    assert stroke["panels"] == ["stain", "rna"] and stroke["points"][0][0] > stroke["points"][1][0]


def test_the_stain_follows_the_arrow_keys_and_goes_back(views):
    before = seen(views, 0)
    key(views, "a")
    views.page.keyboard.press("Shift+ArrowRight")
    views.page.keyboard.press("ArrowUp")
    assert seen(views, 0) != before
    views.page.keyboard.press("Enter")
    assert views.sent("nudge")[-1] == {"type": "nudge", "dx": 10, "dy": -1, "done": True}
    views.page.keyboard.press("Escape")
    assert seen(views, 0) == before
    assert views.sent("nudge")[-1] == {"type": "nudge", "dx": 0, "dy": 0, "done": False}
    views.page.keyboard.press("ArrowLeft")
    views.push({"type": "settled"})
    assert seen(views, 0) == before


def test_layers_are_switched_and_faded_without_the_kernel(views):
    before = pixels(views, 3)
    key(views, "c")
    assert pixels(views, 3) != before
    assert views.page.locator(".sg-layer[data-layer=cells]").get_attribute("aria-pressed") == "false"
    key(views, "c")
    assert pixels(views, 3) == before
    key(views, "y")
    slider = views.page.locator(".sg-opacity[data-layer=cells]")
    slider.focus()
    views.page.keyboard.press("ArrowLeft")
    assert pixels(views, 3) != before
    views.page.keyboard.press("ArrowRight")
    assert pixels(views, 3) == before
    stain = pixels(views, 0)
    views.page.get_by_label("Stain: percentile that is black").fill("40")
    assert pixels(views, 0) != stain
    views.page.get_by_label("Contrast of Stain as it was").click()
    assert pixels(views, 0) == stain
    assert {message["type"] for message in views.page.evaluate("window.sent")} <= {"wanted", "pointer", "view"}


def test_filled_cells_in_every_panel_appear_at_once(views):
    key(views, "y")
    before = pixels(views, 1)
    views.page.get_by_label("How Cells is drawn").select_option("filled")
    assert pixels(views, 1) != before
    views.page.get_by_label("How Cells is drawn").select_option(index=0)
    assert pixels(views, 1) == before


def test_flicker_lets_two_pictures_take_turns(views):
    before = pixels(views, 0)
    key(views, "b")
    turns = set()
    for _ in range(12):
        turns.add(views.page.locator(".sg-canvas").get_attribute("data-turn"))
        views.page.wait_for_timeout(150)
    assert turns == {"true", "false"}
    key(views, "b")
    assert [message["value"] for message in views.sent("choice")] == ["flicker", "off"]
    assert pixels(views, 0) == before


def test_one_panel_takes_the_place_of_all(views):
    views.page.mouse.move(*views.at(3, 0.5, 0.5))
    key(views, "z")
    views.page.wait_for_timeout(300)
    assert views.page.locator(".sg-caption-cell:visible").count() == 1
    box = views.page.locator(".sg-caption-cell:visible").bounding_box()
    assert box["width"] > 800
    key(views, "z")
    views.page.wait_for_timeout(300)
    assert views.page.locator(".sg-caption-cell:visible").count() == 4


def test_marks_lie_where_they_belong(views):
    mark = Mark(((SIDE / 2, SIDE / 2),), "7", ("stain",), kind="landmark")
    views.page.evaluate("marks => model.set('marks', marks)", [{**mark.__dict__, "points": list(mark.points)}])
    views.page.wait_for_timeout(100)
    assert views.page.locator("svg.sg-marks text").all_text_contents() == ["7"]
    box = views.page.locator("svg.sg-marks .sg-mark-spot").bounding_box()
    x, y = views.at(0, 0.5, 0.5)
    assert abs(box["x"] + box["width"] / 2 - x) < 3 and abs(box["y"] + box["height"] / 2 - y) < 3
    views.page.evaluate("model.set('marks', [])")


def test_a_large_page_has_large_letters_and_the_views_still_fill_it(views):
    page = views.page

    def sizes():
        page.wait_for_timeout(200)
        return page.evaluate(
            """() => [".sg-caption", ".sg-layer", ".sg-tool-icon"].map(name => {
              const node = document.querySelector(name);
              return [parseFloat(getComputedStyle(node).fontSize), node.getBoundingClientRect().height];
            })"""
        )

    small = sizes()
    try:
        page.set_viewport_size({"width": 1920, "height": 1080})
        assert np.allclose(sizes(), small), "as designed"
        page.set_viewport_size({"width": 3840, "height": 2160})
        assert np.allclose(np.array(sizes())[:, 1], 1.75 * np.array(small)[:, 1], rtol=0.1)
        assert sizes()[0][0] > 20
        box = page.locator(".sg-canvas-body").bounding_box()
        assert box["width"] > 3600 and box["height"] > 1950
    finally:
        page.set_viewport_size({"width": 1000, "height": 760})
        page.wait_for_timeout(300)


def test_layers_are_named_on_the_smallest_page(views):
    # as wide as the views are on a page of 1280 x 720
    try:
        views.page.set_viewport_size({"width": 620, "height": 620})
        views.page.wait_for_timeout(300)
        bar = views.page.locator(".sg-canvas-bar").bounding_box()
        last = views.page.get_by_label("Show the whole image").bounding_box()
        assert last["x"] + last["width"] <= bar["x"] + bar["width"] + 1
        size = views.page.locator(".sg-layer").first.evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
        assert size > 10
        # as wide as what is chosen asks for: nothing is cut off
        cut = """node => { const [had, copy] = [node.getBoundingClientRect().width, node.cloneNode(true)];
          copy.value = node.value; copy.style.cssText = "position: absolute; max-width: none";
          node.parentNode.append(copy);
          const wants = copy.getBoundingClientRect().width; copy.remove(); return wants - had; }"""
        assert all(select.evaluate(cut) < 1 for select in views.page.locator(".sg-choice select").all())
    finally:
        views.page.set_viewport_size({"width": 1000, "height": 760})
        views.page.wait_for_timeout(300)


def test_every_button_is_reached_by_tab_and_axe_finds_nothing_serious(views):
    key(views, "y")
    found = Axe().run(views.page)
    serious = [item for item in found.response["violations"] if item["impact"] in ("serious", "critical")]
    assert [(item["id"], item["nodes"][0]["html"][:120]) for item in serious] == []
    views.page.keyboard.press("Escape")
    reached = set()
    views.page.locator(".sg-canvas").focus()
    for _ in range(40):
        views.page.keyboard.press("Tab")
        reached.add(
            views.page.evaluate(
                "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
            )
        )
    assert {
        "Select",
        "Split",
        "Move the stain",
        "Cells",
        "Layers",
        "RNA panel",
        "Show the whole image (key 0)",
    } <= reached
