"""The section with the histograms: which one, the picture, what the lines keep, back to the automatic value."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import ipywidgets as w

from segapp.views.histogram import HistogramView


class HistogramPanel:
    """Widgets around one `HistogramView`.

    Parameters
    ----------
    on_move : callable
        Called with (line, value) while a line is moved.
    on_choose : callable
        Called with the name of the histogram that a person wants to see.
    on_automatic : callable
        Called when a person wants the automatic values back.

    Attributes
    ----------
    widget : ipywidgets.Widget
    view : HistogramView
    """

    def __init__(
        self, on_move: Callable[[str, float], None], on_choose: Callable[[str], None], on_automatic: Callable[[], None]
    ) -> None:
        self._on_choose = on_choose
        self._held = False
        self.view = HistogramView(on_move)
        self.choice = w.ToggleButtons(options=[], tooltips=[])
        self.choice.add_class("sg-tabs")
        self.choice.observe(self._chosen, "value")
        self.log = w.ToggleButton(description="log", tooltip="Show counts on a logarithmic scale")
        self.log.add_class("sg-word")
        self.log.observe(lambda change: self.view.set_trait("log", change["new"]), "value")
        self.note = w.HTML()
        self.note.add_class("sg-hist-note")
        self.back = w.Button(description="Back to auto")
        self.back.add_class("sg-small")
        self.back.on_click(lambda _: on_automatic())
        self.doc = w.HTML()
        self.doc.add_class("sg-doc")
        row = w.HBox([self.note, self.log, self.back])
        row.add_class("sg-hist-row")
        self.widget = w.VBox([self.choice, self.view, row, self.doc])
        self.widget.add_class("sg-histograms")

    def offer(self, titles: Sequence[tuple[str, str]], chosen: str) -> None:
        """Offer histograms as (title, name)."""
        self._held = True
        try:
            if tuple(self.choice.options) != tuple(titles):
                self.choice.options = titles
            if titles and self.choice.value != chosen:
                self.choice.value = chosen
        finally:
            self._held = False
        self.choice.layout.display = "" if len(titles) > 1 else "none"

    def tell(self, note: str, doc: str, automatic: str, *, away: bool, back: str = "Back to auto") -> None:
        """Write what the lines keep, what to do with them, and what the button `back` would bring."""
        self._write(self.note, f'<span role="status">{html.escape(note)}</span>')
        self._write(self.doc, html.escape(doc))
        tooltip = f"{back} ({automatic})" if automatic else back
        if (self.back.description, self.back.tooltip) != (back, tooltip):
            self.back.description, self.back.tooltip = back, tooltip
        display = "" if away else "none"
        if self.back.layout.display != display:
            self.back.layout.display = display

    def clear(self, reason: str) -> None:
        """Show nothing, and why."""
        self.view.clear(reason)
        self._write(self.note, "")
        self.back.layout.display = "none"

    def _chosen(self, change: dict[str, str]) -> None:
        if not self._held and change["new"] is not None:
            self._on_choose(change["new"])

    @staticmethod
    def _write(widget: w.HTML, text: str) -> None:
        if widget.value != text:
            widget.value = text
