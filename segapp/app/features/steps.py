"""Undo, redo, reset."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded


class Steps(Feature):
    """Two buttons, their keys, and Reset in the menu."""

    name = "steps"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.undo_button = w.Button(
            description="↶", tooltip="Undo the last change of parameters (Ctrl+Z)", disabled=True
        )
        self.redo_button = w.Button(description="↷", tooltip="Redo what was undone (Ctrl+Shift+Z)", disabled=True)
        self.undo_button.on_click(lambda _: self.undo())
        self.redo_button.on_click(lambda _: self.redo())
        for button, name in ((self.undo_button, "undo"), (self.redo_button, "redo")):
            button.add_class("sg-icon")
            button.add_class(f"sg-{name}")
        self.header = (self.undo_button, self.redo_button)
        self.keys = {
            "ctrl+z": ("Undo", self.undo),
            "ctrl+shift+z": ("Redo", self.redo),
            "ctrl+y": ("Redo", self.redo),
        }
        self.menu = (
            ("Reset all parameters", "Set every parameter back to the preset; Undo brings them back", self.reset),
        )

    def changed(self, stage: str) -> None:
        """A step was made."""
        self._show()

    def loaded(self) -> None:
        """Other inputs have no steps yet."""
        self._show()

    @guarded
    def undo(self) -> None:
        """Take the last change back."""
        self.session.undo()
        self._show()

    @guarded
    def redo(self) -> None:
        """Make it again."""
        self.session.redo()
        self._show()

    @guarded
    def reset(self) -> None:
        """Go back to the preset."""
        self.session.reset()

    def _show(self) -> None:
        self.undo_button.disabled = not self.session.history.can_undo
        self.redo_button.disabled = not self.session.history.can_redo
