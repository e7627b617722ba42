"""What the page does by itself: keys, the clipboard, its address, and the watch over the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets


class Page(anywidget.AnyWidget):
    """A widget without extent; place it anywhere inside the app.

    Parameters
    ----------
    on_key : callable
        Called with the name of a pressed combination of `shortcuts`, such as ``"ctrl+z"``.
    on_hello : callable
        Called with the query of the page's address once it is shown; empty in a notebook.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    shortcuts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    resume = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, on_key: Callable[[str], None] = lambda key: None, on_hello: Callable[[str], None] = lambda query: None
    ) -> None:
        self._on_key, self._on_hello = on_key, on_hello
        super().__init__()
        self.on_msg(self._receive)

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return Path(__file__).with_name("page.js").read_text(encoding="utf-8")

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""
        self.send({"type": "copy", "text": text})

    def focus(self, selector: str) -> None:
        """Put the focus on the first element of the app that a CSS selector finds."""
        self.send({"type": "focus", "selector": selector})

    def reveal(self, selector: str) -> None:
        """Scroll the first element that a CSS selector finds into view, where it is not; the focus stays."""
        self.send({"type": "reveal", "selector": selector})

    def _receive(self, widget: Any, message: Mapping[str, Any], buffers: Any) -> None:
        kind = message.get("type")
        if kind == "ping":
            self.send({"type": "pong"})
        elif kind == "key":
            self._on_key(str(message.get("key", "")))
        elif kind == "hello":
            self._on_hello(str(message.get("query", "")))
