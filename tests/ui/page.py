"""A real browser at a page of the app: what a person would do and see."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

PATIENCE_S = float(os.environ.get("SEGAPP_TEST_PATIENCE_S", 150))
HERE = ("127.0.0.1", "localhost", "")
SHOTS = Path(__file__).parents[2] / "test-artefacts" / "pages"

PANEL = """
  const canvases = [];
  const walk = root => root.querySelectorAll("*").forEach(node => {
    if (node.tagName === "CANVAS") canvases.push(node);
    if (node.shadowRoot) walk(node.shadowRoot);
  });
  walk(document.querySelector(".sg-canvas-host"));
  const box = document.querySelectorAll(".sg-caption-cell")[panel].getBoundingClientRect();
  const here = canvases.filter(canvas => {
    const place = canvas.getBoundingClientRect();
    return canvas.width >= 50 && Math.abs(place.left - box.left) < 12 && Math.abs(place.top - box.top) < 12;
  });
  const pixels = () => here.map(canvas => {
    const [w, h] = [canvas.width, canvas.height].map(side => Math.floor(side / 10));
    const { data } = canvas.getContext("2d").getImageData(w, h, 8 * w, 8 * h);
    const words = new Uint32Array(data.buffer);
    let hash = 7;
    for (let i = 0; i < words.length; i++) hash = (Math.imul(hash, 31) + words[i]) | 0;
    return hash;
  });
"""
"""Script in which ``pixels()`` gives a hash of each canvas of a panel. They lie in nested shadow roots; a panel is
found by the place of its caption. Its margin is left out: there the edge of the image is blended anew at every
painting."""

PIXELS = f"panel => {{{PANEL} return pixels().reduce((all, hash) => (Math.imul(all, 31) + hash) | 0, 7); }}"

STAIN, RNA, SCORE, LABELS = range(4)


def find_browser() -> str:
    """Return the path of Chromium; a test without one fails with the command that brings it."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(
            "There is no Chromium for the tests in a real browser: bring it with `apt-get install chromium`, "
            "or name one in the variable CHROMIUM."
        )
    return found


class Visit:
    """One page, with all that went wrong while it was open."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.failed: list[str] = []
        self.elsewhere: list[str] = []
        page.on("requestfailed", lambda request: self._note_failure(request))
        page.on("response", lambda response: self._note_response(response))
        page.on("request", lambda request: self._note_request(request.url))
        page.on("pageerror", lambda error: self.failed.append(f"error in the page: {error}"))

    def _note_failure(self, request: Any) -> None:
        # a page that is left drops what it still waited for
        if request.failure != "net::ERR_ABORTED":
            self.failed.append(f"{request.url}: {request.failure}")

    def _note_response(self, response: Any) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.url}: {response.status}")

    def _note_request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in HERE:
            self.elsewhere.append(url)

    def until(self, what: str, check: Callable[[], Any], patience: float = PATIENCE_S) -> Any:
        """Poll until `check` gives something true; fail with what the page said last."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            found = check()
            if found:
                return found
            self.page.wait_for_timeout(100)
        banner = self.page.locator(".sg-banner:visible").all_inner_texts()
        status = self.page.locator(".sg-status").all_inner_texts()
        pytest.fail(f"waited {patience:.0f} s for {what}; banner {banner}, status {status}, failures {self.failed}")

    def until_ready(self) -> int:
        """Wait for the first cells; return their number."""
        self.until("the number of cells", lambda: self.cells() is not None)
        self.until_idle()
        cells = self.cells()
        assert cells is not None
        return cells

    def idle(self) -> bool:
        """Return whether the page says that nothing is computed."""
        busy = self.page.locator(".sg-caption.sg-busy").count()
        return not busy and self.page.locator(".sg-cancel:disabled").count() == 1

    def until_idle(self) -> None:
        """Wait until nothing is computed: what was asked for last may need a moment to show as work."""
        quiet = [0]

        def rests() -> bool:
            quiet[0] = quiet[0] + 1 if self.idle() else 0
            return quiet[0] > 3

        self.until("the work to end", rests)

    def shot(self, name: str) -> None:
        """Keep a picture of the page among the artefacts of the tests."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def cells(self) -> int | None:
        """Return the number of cells in the status line."""
        texts = self.page.locator(".sg-n-cells").all_inner_texts()
        return int(texts[0].replace(",", "")) if texts else None

    def pixels(self, panel: int) -> int:
        """Return a hash of what a panel shows."""
        return int(self.page.evaluate(PIXELS, panel))

    def attribute(self, name: str) -> float:
        """Return a number that the linked views keep about the last message."""
        return float(self.page.locator(".sg-canvas").get_attribute(f"data-{name}") or 0)

    def press_on_slider(self, stage: str, parameter: str, key: str) -> None:
        """Focus the handle of a slider and press a key."""
        self.page.locator(f".sg-stage-{stage} .sg-knob-{parameter} .noUi-handle").focus()
        self.page.keyboard.press(key)


@contextlib.contextmanager
def visit(width: int = 1280, height: int = 720) -> Iterator[Visit]:
    """Open an empty page; nothing of it is kept."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, accept_downloads=True)
            page.set_default_timeout(PATIENCE_S * 1000)
            yield Visit(page)
        finally:
            browser.close()


def check_everything(seen: Visit, out: Any) -> None:
    """Go through what both kinds of page must do."""
    import anndata

    first = seen.until_ready()
    assert first > 0

    # another preset: cells from total RNA alone, whose number depends on k
    seen.page.get_by_label("Preset").select_option(label="Total RNA")
    seen.until("the cells of the preset", lambda: seen.cells() not in (None, first))
    seen.until_idle()
    before = seen.cells()

    # the k slider, by keyboard, changes the score panel and the number of cells
    pixels = seen.pixels(SCORE)
    seen.press_on_slider("cell_score", "k", "ArrowRight")
    seen.until("other pixels in the score panel", lambda: seen.pixels(SCORE) != pixels)
    for _ in range(4):
        seen.until_idle()
        if seen.cells() != before:
            break
        seen.press_on_slider("cell_score", "k", "ArrowRight")
    seen.until("another number of cells", lambda: seen.cells() not in (None, before))

    # zoom asks for another window of every layer
    serial, width = seen.attribute("serial"), seen.attribute("width")
    box = seen.page.locator(".sg-caption-cell").first.bounding_box()
    assert box is not None
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(8):
        seen.page.mouse.wheel(0, -200)
        seen.page.wait_for_timeout(30)
    seen.until("a smaller window", lambda: seen.attribute("width") < width and seen.attribute("serial") > serial)
    seen.page.get_by_label("Show the whole image").click()
    seen.until("the whole image again", lambda: seen.attribute("width") == width)

    # export
    seen.until_idle()
    cells = seen.cells()
    seen.page.locator(".sg-export").click()
    seen.page.get_by_role("button", name="AnnData (cells x genes)").click()
    seen.until("the export", lambda: "written to" in seen.page.locator(".sg-banner").inner_text())
    (path,) = out.glob("*.h5ad")
    assert anndata.read_h5ad(path).n_obs == cells
    with seen.page.expect_download() as download:
        seen.page.get_by_role("button", name="Download").click()
    saved = out / "downloaded.h5ad"
    download.value.save_as(saved)
    assert saved.read_bytes() == path.read_bytes()
