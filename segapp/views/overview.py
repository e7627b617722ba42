"""The section of a chip: a picture of all of it, the window that is worked on, and whose numbers are used."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as w
import numpy as np
import traitlets

BoxValues = tuple[int, int, int, int]
"""x, y, width, height in input coordinates."""

TOLD = {
    "window": "<b>Numbers of this window alone.</b> Thresholds and mixtures are fitted to what is seen here; a run of "
    "the chip finds others.",
    "estimated": "<b>Numbers of the chip, estimated</b> from {n} sampled places. Gather them to see here what a run "
    "of the whole chip gives.",
    "chip": "<b>Numbers of the whole chip.</b> Cells away from the rim of the window are those of a run of the chip.",
}

USES = (("the whole chip", "chip"), ("this window alone", "window"))


class Overview(anywidget.AnyWidget):
    """Draws the whole and a window on it that a person moves.

    Parameters
    ----------
    on_box : callable
        Called with (x, y, width, height) when the window rests.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List([0, 0]).tag(sync=True)
    extent = traitlets.List([0, 0, 1, 1]).tag(sync=True)
    box = traitlets.List([0, 0, 1, 1]).tag(sync=True)
    smallest = traitlets.Int(256).tag(sync=True)
    largest = traitlets.Int(2048).tag(sync=True)
    step = traitlets.Int(256).tag(sync=True)

    def __init__(self, on_box: Callable[[BoxValues], None]) -> None:
        self._on_box = on_box
        super().__init__()
        self.on_msg(self._receive)

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return Path(__file__).with_name("overview.js").read_text(encoding="utf-8")

    def _receive(self, widget: Any, message: Mapping[str, Any], buffers: Any) -> None:
        if message.get("type") == "box":
            x, y, width, height = (round(float(value)) for value in message["box"])
            self._on_box((x, y, width, height))


class ChipPanel:
    """Overview, window, numbers, and what can be done with the whole.

    Parameters
    ----------
    actions : mapping of str to callable
        ``box`` (x, y, width, height), ``picture`` (name), ``use`` (name), ``gather``, ``cancel``, ``run``.
    """

    def __init__(self, actions: Mapping[str, Callable[..., None]]) -> None:
        self._quiet = False
        self.overview = Overview(actions["box"])
        self.picture = w.Dropdown(description="Picture", options=[("RNA", "total"), ("Stain", "stain")])
        self.picture.observe(lambda change: self._told(actions["picture"], change["new"]), "value")
        self.numbers = {
            name: w.IntText(description=title, continuous_update=False, tooltip=doc)
            for name, title, doc in (
                ("x", "x", "Left edge of the window, px of the input"),
                ("y", "y", "Upper edge of the window, px of the input"),
                ("width", "width", "Width of the window, px"),
                ("height", "height", "Height of the window, px"),
            )
        }
        for number in self.numbers.values():
            number.observe(lambda change: self._told(actions["box"], self._values()), "value")
        line = w.HBox(list(self.numbers.values()))
        line.add_class("sg-box-numbers")
        self.use = w.Dropdown(description="Numbers of", options=USES)
        self.use.observe(lambda change: self._told(actions["use"], change["new"]), "value")
        self.words = w.HTML()
        self.words.add_class("sg-chip-words")
        self.gather = w.Button(
            description="Gather the chip's numbers", tooltip="Look at every tile once; the result is kept with the chip"
        )
        self.run = w.Button(description="Run the whole chip …", tooltip="The command for it, or in the background")
        self.cancel = w.Button(description="Cancel", tooltip="Stop what is done with the whole chip")
        for name in ("gather", "run", "cancel"):
            button = getattr(self, name)
            button.add_class(f"sg-chip-{name}")
            button.on_click(lambda _, call=actions[name]: call())
        buttons = w.HBox([self.gather, self.run, self.cancel])
        buttons.add_class("sg-buttons")
        self.progress = w.HTML()
        self.widget = w.VBox([self.picture, self.overview, line, self.use, self.words, buttons, self.progress])
        self.widget.add_class("sg-chip")
        self.work("")

    def show(self, picture: np.ndarray, extent: BoxValues, stained: bool) -> None:
        """Show a picture of the whole, (h, w) uint8, that covers `extent` of the input."""
        with self.overview.hold_sync():
            self.overview.picture = np.ascontiguousarray(picture).tobytes()
            self.overview.shape, self.overview.extent = list(picture.shape), list(extent)
        self.picture.layout.display = "" if stained else "none"

    def place(self, box: BoxValues) -> None:
        """Show where the window is."""
        self._quiet = True
        try:
            self.overview.box = list(box)
            for number, value in zip(self.numbers.values(), box, strict=True):
                number.value = value
        finally:
            self._quiet = False

    def tell(self, told: str, n: int) -> None:
        """Say which numbers are used."""
        words = f"<span role='status'>{TOLD[told].format(n=n)}</span>"
        if self.words.value != words:
            self.words.value = words
        self.gather.disabled = told == "chip" or self.cancel.layout.display == ""
        self._quiet = True
        try:
            self.use.value = "window" if told == "window" else "chip"
        finally:
            self._quiet = False

    def work(self, text: str, share: float = 0.0) -> None:
        """Say what is done with the whole chip; nothing with an empty text."""
        self.cancel.layout.display = "" if text else "none"
        self.run.disabled = bool(text)
        self.gather.disabled = bool(text)
        bar = f"<progress max='1' value='{share:.3f}' aria-label='{html.escape(text, quote=True)}'></progress>"
        self.progress.value = f"{html.escape(text)}<br>{bar}" if text else ""

    def _values(self) -> BoxValues:
        x, y, width, height = (int(number.value) for number in self.numbers.values())
        return x, y, width, height

    def _told(self, call: Callable[..., None], value: Any) -> None:
        if not self._quiet:
            call(value)
