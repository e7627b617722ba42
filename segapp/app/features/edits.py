"""Edits by hand: a stroke with a tool becomes a line of the log, which is a parameter and is replayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.core.edits import NEEDED, Edit, reasons, strangers, why_not, with_meant
from segapp.views.canvas import Gesture, Mark
from segapp.views.rows import Row, Rows

WORDS = {
    "draw": "Draw",
    "merge": "Merge",
    "split": "Split",
    "delete": "Delete",
    "include": "Only here",
    "exclude": "Leave out",
}
"""Operation to its name on the page."""

AREAS = ("draw", "include", "exclude")


class Edits(Feature):
    """Takes strokes into the log, and lists the log in the card of the stage.

    Attributes
    ----------
    rows : Rows
    """

    name = "edits"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.rows = Rows(
            "Edits by hand",
            "None yet. The tools beside the views draw, merge, split and delete cells, or say which part of the "
            "section counts.",
            self.act,
        )
        self.tidy = w.Button(
            description="Remove what no longer applies", tooltip="Take the edits that find nothing out of the log"
        )
        self.all = w.Button(description="Remove all", tooltip="Empty the log; Undo brings it back")
        for button, call in ((self.tidy, self.remove_lost), (self.all, self.remove_all)):
            button.add_class("sg-small")
            button.on_click(lambda _, call=call: call())
        row = w.HBox([self.tidy, self.all])
        row.add_class("sg-card-buttons")
        self.cards = {"edits": (self.rows, row)}
        self.canvas.on_stroke(self.stroke)
        self._show()

    @property
    def log(self) -> tuple[Edit, ...]:
        """Edits in the order in which they were made."""
        log: tuple[Edit, ...] = self.session.params["edits"].log  # type: ignore[attr-defined]
        return log

    # ---- gestures

    @guarded
    def stroke(self, gesture: Gesture) -> None:
        """Take a stroke into the log, where it would change something."""
        if gesture.tool not in NEEDED:
            return
        edit = Edit.model_validate({"op": gesture.tool, "points": gesture.points, "target": gesture.target})
        cells, nuclei = self.session.peek("edited_cells"), self.session.peek("edited_nuclei")
        reason = "" if cells is None else why_not(nuclei, cells, edit)
        if reason:
            self.canvas.hint = f"{WORDS[edit.op]} changed nothing: {reason}."
            return
        if cells is not None:
            edit = with_meant(nuclei, cells, edit)
        self.canvas.hint = ""
        self.panels["edits"].open()
        self.session.set("edits", log=(*self.log, edit))
        self.app.page.reveal(".sg-stage-edits")

    @guarded
    def act(self, action: str, index: int) -> None:
        """Show one edit in the views, or take it out of the log."""
        edit = self.log[index]
        if action == "remove":
            self.canvas.show_marks("edits", ())
            self.session.set("edits", log=(*self.log[:index], *self.log[index + 1 :]))
            return
        self.canvas.show_marks("edits", (Mark(edit.points, f"{index + 1}", closed=edit.op in AREAS, kind="edit"),))
        x, y = zip(*edit.points, strict=True)
        room = 24.0
        self.canvas.look_at(min(x) - room, min(y) - room, max(x) + room, max(y) + room)

    @guarded
    def remove_all(self) -> None:
        """Empty the log."""
        self.session.set("edits", log=())

    @guarded
    def remove_lost(self) -> None:
        """Take what no longer applies out of the log."""
        lost = self._lost()
        self.session.set("edits", log=tuple(edit for i, edit in enumerate(self.log, 1) if i not in lost))

    # ---- events

    def loaded(self) -> None:
        """Marks belong to other data."""
        self.canvas.show_marks("edits", ())
        self._show()

    def changed(self, stage: str) -> None:
        """The log is another one."""
        if stage == "edits":
            self.canvas.show_marks("edits", ())
            self._show()

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """The log was replayed."""
        if stage == "edits":
            self._show()

    # ---- the list

    def _lost(self) -> dict[int, str]:
        return reasons(self._report())

    def _report(self) -> tuple[str, ...]:
        return (self.session.peek("edit_report") or ()) if self.session.inputs else ()

    def _show(self) -> None:
        known = bool(self.session.inputs) and self.session.peek("edit_report") is not None
        lost, others = self._lost(), strangers(self._report())
        rows = []
        for number, edit in enumerate(self.log, 1):
            x, y = edit.points[0]
            what = WORDS[edit.op] + (" nucleus" if edit.target == "nuclei" else "")
            reason = lost.get(number, "")
            state = f"No longer applies: {reason}" if reason else "Applied" if known else "Waiting"
            if number in others:
                name = "cell" if edit.target == "cells" else "nucleus"
                state = f"Applied to another {name} than you meant: {others[number]} Look at it."
            rows.append(Row(what, f"x {x:.0f}, y {y:.0f}", state, holds=not reason and number not in others))
        self.rows.show(rows)
        self.tidy.layout.display = "" if lost else "none"
        self.all.layout.display = "" if rows else "none"
