"""The strip below the views, and the banner above them."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets as w

from segapp.views import theme


class StatusLine:
    """What was found, how long it took, what runs now.

    Attributes
    ----------
    widget : ipywidgets.Widget
    n_cells : int or None
        Number of cells shown.
    """

    def __init__(self) -> None:
        self.n_cells: int | None = None
        self.numbers = w.HTML("Nothing is open yet.")
        self.numbers.add_class("sg-numbers")
        self.working = w.HTML()
        self.working.add_class("sg-working")
        self.bar = w.FloatProgress(min=0.0, max=1.0, layout=w.Layout(visibility="hidden"))
        self.widget = w.HBox([self.numbers, self.working, self.bar])
        self.widget.add_class("sg-status")

    def show_numbers(
        self,
        *,
        n_cells: int | None,
        n_nuclei: int | None = None,
        median_area: float | None = None,
        um_per_px: float = 0.5,
        seconds: float | None = None,
        median_umis: float | None = None,
        assigned: float | None = None,
        n_ghosts: int | None = None,
    ) -> None:
        """Write the numbers of a result; what is None is left out."""
        self.n_cells = n_cells
        parts = []
        if n_cells is not None:
            parts.append(f"<b class='sg-n-cells'>{n_cells:,}</b> cells")
        if n_nuclei is not None:
            parts.append(f"<b>{n_nuclei:,}</b> nuclei")
        if n_ghosts:
            parts.append(f"<b>{n_ghosts:,}</b> outside the area limits")
        if median_area is not None:
            parts.append(f"median area <b>{median_area * um_per_px**2:.0f} µm²</b> ({median_area:.0f} px²)")
        if median_umis is not None:
            parts.append(f"median <b>{median_umis:,.0f}</b> UMIs a cell")
        if assigned is not None:
            parts.append(f"<b>{assigned:.1%}</b> of UMIs in cells")
        if seconds is not None:
            parts.append(f"computed in <b>{theme.seconds(seconds)}</b>")
        self.numbers.value = "".join(f'<span class="sg-part">{part}</span>' for part in parts)

    def show_preview(self, n_cells: int) -> None:
        """Write the number of cells that stand in for the result while a network works."""
        self.n_cells = None
        self.numbers.value = (
            f"<span class='sg-part'><b class='sg-n-preview'>{n_cells:,}</b> cells with nuclei by watershed: a preview, "
            "until the network has looked at the stain</span>"
        )

    def say(self, text: str) -> None:
        """Write what happens in place of numbers."""
        self.n_cells = None
        self.numbers.value = html.escape(text)

    def work(self, text: str, share: float | None = None) -> None:
        """Show what runs and how much of it is done; an empty text when nothing runs."""
        self.working.value = html.escape(text)
        self.bar.layout.visibility = "hidden" if share is None else "visible"
        self.bar.value = 0.0 if share is None else min(max(share, 0.0), 1.0)


class Banner:
    """One sentence across the page: what went wrong and what to do, or what was done.

    Attributes
    ----------
    widget : ipywidgets.Widget
    text : str
        What it says; empty while it is hidden.
    """

    def __init__(self) -> None:
        self.text = ""
        self.message = w.HTML()
        self.action = w.Button(layout=w.Layout(display="none"))
        self.close = w.Button(description="Close", tooltip="Close this message")
        self.close.on_click(lambda _: self.hide())
        self.action.on_click(lambda _: self._act())
        self._call: Callable[[], None] | None = None
        self._passing = False
        self.widget = w.HBox([self.message, self.action, self.close], layout=w.Layout(display="none"))
        self.widget.add_class("sg-banner")

    def show(
        self,
        text: str,
        *,
        good: bool = False,
        action: tuple[str, Callable[[], None]] | None = None,
        detail: str = "",
        passing: bool = False,
    ) -> None:
        """Show a sentence; `action` is the title of a button and what it does, `detail` what to send to an expert.

        What is good news, offers an action or is `passing` goes when new work begins. Every other sentence stays until
        it is closed or another takes its place: it may come while work is on its way, and must not go unread.
        """
        self.text = text
        self._passing = good or passing or action is not None
        role = "status" if good else "alert"
        more = f"<details><summary>Detail</summary><pre>{html.escape(detail)}</pre></details>" if detail else ""
        self.message.value = f'<div role="{role}">{html.escape(text)}{more}</div>'
        (self.widget.add_class if good else self.widget.remove_class)("sg-done")
        self.action.layout.display = "none" if action is None else ""
        if action is not None:
            self.action.description, self._call = action
        self.widget.layout.display = ""

    def make_way(self) -> None:
        """Take away what new work overtakes; see `show`."""
        if self._passing:
            self.hide()

    def hide(self) -> None:
        """Take the banner away."""
        self.text = ""
        self.widget.layout.display = "none"

    def _act(self) -> None:
        if self._call is not None:
            self._call()
