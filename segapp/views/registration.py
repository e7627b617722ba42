"""The part of the Align card that shows how well the stain lies on the RNA, and moves it by hand."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

import ipywidgets as w

from segapp.views.rows import Rows

BUTTONS = {
    "overlay": ("Overlay", "Stain in green, RNA in magenta, grey where they agree"),
    "flicker": ("Flicker", "Let stain and RNA take turns in the stain panel (key b)"),
    "before": ("Before / after", "Let the stain as it lay and as it lies take turns"),
    "nudge": ("Move by hand", "Arrow keys move the stain (key a)"),
    "landmarks": ("Landmarks", "Click pairs of spots in stain and RNA (key l)"),
    "flip-x": ("Flip ↔", "Swap left and right of the stain"),
    "flip-y": ("Flip ↕", "Swap top and bottom of the stain"),
    "rot90": ("Turn ↺", "Turn the stain by 90 degrees, anticlockwise"),
}
"""Action to the title of its button and what it does."""


class RegistrationPanel:
    """Figures, buttons and landmarks.

    Parameters
    ----------
    actions : mapping of str to callable
        One for every key of `BUTTONS`, and ``anyway`` and ``unshift``.
    on_landmark : callable
        Called with ("show" or "remove", index).

    Attributes
    ----------
    widget : ipywidgets.Widget
    buttons : dict of str to ipywidgets.Button
    landmarks : Rows
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]], on_landmark: Callable[[str, int], None]) -> None:
        self.figures = w.HTML()
        self.figures.add_class("sg-match")
        self.buttons = {name: _button(title, doc, actions[name]) for name, (title, doc) in BUTTONS.items()}
        self.anyway = _button("Use it anyway", "Take the alignment although its NCC is lower", actions["anyway"])
        self.unshift = _button("Undo the move", "Take the move by hand back", actions["unshift"])
        self.landmarks = Rows("Landmarks", "", on_landmark)
        names = tuple(BUTTONS)
        rows = [w.HBox([self.buttons[name] for name in part]) for part in (names[:3], names[3:5], names[5:])]
        for row in rows:
            row.add_class("sg-card-buttons")
        last = w.HBox([self.anyway, self.unshift])
        last.add_class("sg-card-buttons")
        self.widget = w.VBox([self.figures, *rows, last, self.landmarks])
        self.widget.add_class("sg-registration")

    def show(
        self,
        before: float | None,
        after: float | None,
        note: str,
        *,
        shift: tuple[float, float],
        refused: bool,
        waiting: str = "",
    ) -> None:
        """Write the normalised cross-correlation before and after, or that it is awaited, and what to know of it."""
        parts = [f"<div>{html.escape(waiting)}</div>"] if waiting else []
        if before is not None and after is not None:
            parts.append(
                f"<div>Match with the RNA (NCC): <b>{before:.3f}</b> as it lies, "
                f"<b class='sg-ncc'>{after:.3f}</b> now</div>"
            )
        if any(shift):
            parts.append(f"<div>Moved by hand: x {shift[0]:+g}, y {shift[1]:+g} px</div>")
        if note:
            parts.append(f"<div class='sg-match-note'>{html.escape(note[:1].upper() + note[1:])}.</div>")
        text = "".join(parts)
        if text != self.figures.value:
            self.figures.value = text
        self.figures.layout.display = "" if text else "none"
        self.anyway.layout.display = "" if refused else "none"
        self.unshift.layout.display = "" if any(shift) else "none"


def _button(title: str, doc: str, call: Callable[[], None]) -> w.Button:
    button = w.Button(description=title, tooltip=doc)
    button.add_class("sg-small")
    button.on_click(lambda _: call())
    return button
