"""The linked views in a real browser without a kernel: the page's side alone, and what it sends."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, sync_playwright

from segapp.views import theme
from segapp.views.canvas import Canvas
from tests.ui.page import PATIENCE_S, find_browser

TRAITS = (
    "shape", "um_per_px", "item", "panels", "drawn", "mappers", "switches", "choices", "chosen", "tools", "tool",
    "captions", "palettes", "levels", "legends", "marks", "hint",
)  # fmt: skip

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Views</title><style>%s
body { margin: 0 } .segapp { padding: 10px }</style></head><body><main class="segapp sg-page"><div id="views"
style="flex: 1 1 0; min-height: 0"></div></main><script type="module">
import views from "./views.js";
const traits = %s, calls = {};
window.sent = [];
window.model = {
  get: name => traits[name],
  set: (name, value) => { traits[name] = value; (calls[`change:${name}`] ?? []).forEach(call => call()); },
  save_changes: () => {},
  on: (name, call) => (calls[name] ??= []).push(call),
  off: () => {},
  send: message => window.sent.push(message),
};
window.push = ([message, texts]) => {
  const buffers = texts.map(text => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer));
  (calls["msg:custom"] ?? []).forEach(call => call(message, buffers));
};
views.render({ model, el: document.getElementById("views") });
</script></body></html>"""


class Stub:
    """The page, and what it was sent."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of one kind that the page has sent."""
        return self.page.evaluate("kind => window.sent.filter(message => message.type === kind)", kind)

    def push(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a message to the page."""
        self.page.evaluate("push", [message, [base64.b64encode(part).decode() for part in buffers or ()]])

    def at(self, panel: int, right: float, down: float) -> tuple[float, float]:
        """Return the place of a share of a panel."""
        box = self.page.locator(".sg-caption-cell").nth(panel).bounding_box()
        assert box is not None
        return box["x"] + right * box["width"], box["y"] + down * box["height"]

    def click(self, panel: int, right: float, down: float) -> None:
        """Click there."""
        self.page.mouse.click(*self.at(panel, right, down))

    def drag(self, panel: int, *shares: tuple[float, float]) -> None:
        """Drag through shares of a panel."""
        self.page.mouse.move(*self.at(panel, *shares[0]))
        self.page.mouse.down()
        for share in shares[1:]:
            self.page.mouse.move(*self.at(panel, *share), steps=5)
        self.page.mouse.up()


@contextlib.contextmanager
def stub(canvas: Canvas, messages: list[tuple[dict[str, Any], list[bytes]]], size: tuple[int, int]) -> Iterator[Stub]:
    """Open a page with the state of `canvas`, and send it `messages` once it is ready."""
    traits = {name: getattr(canvas, name) for name in TRAITS}
    files = {
        "": (PAGE % (theme.style(), json.dumps(traits)), "text/html"),
        "views.js": (canvas._esm, "text/javascript"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(PATIENCE_S * 1000)
            failed: list[str] = []
            page.on("pageerror", lambda error: failed.append(str(error)))

            def serve(route: Any) -> None:
                body, kind = files[route.request.url.rsplit("/", 1)[-1]]
                route.fulfill(body=body, content_type=kind)

            page.route("http://views.test/**", serve)
            page.goto("http://views.test/")
            page.wait_for_function("window.sent && window.sent.some(message => message.type === 'ready')")
            made = Stub(page)
            for message, buffers in messages:
                made.push(message, buffers)
            yield made
            assert failed == []
        finally:
            browser.close()
