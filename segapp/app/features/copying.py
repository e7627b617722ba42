"""The result as Python or as a command."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.pipeline.recipe import Recipe
from segapp.pipeline.script import as_command, as_python
from segapp.views.menu import Dialog


class Copying(Feature):
    """Puts what repeats the result into the clipboard, and shows it."""

    name = "copying"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.text = ""
        self.shown = w.HTML()
        self.dialog = Dialog("Copied", (self.shown,), name="copied", wide=True)
        self.overlay = (self.dialog.widget,)
        self.menu = (
            ("Copy as Python", "The lines that give the same labels in a notebook or script", self.python),
            ("Copy as command", "The command that gives the same labels in a terminal", self.command),
        )

    @guarded
    def python(self) -> None:
        """Copy Python."""
        text = as_python(self.session)
        if "recipe.json" in text:
            self.app.download.offer("recipe.json", self._recipe().text().encode())
        self._hand_over(text)

    @guarded
    def command(self) -> None:
        """Copy a command; where it reads a recipe, that file is downloaded too."""
        text = as_command(self.session)
        if "--recipe" in text:
            self.app.download.offer("recipe.json", self._recipe().text().encode())
        self._hand_over(text)

    def _recipe(self) -> Recipe:
        """Return what a command reads; that of a whole chip has its edits in px of the chip."""
        chip: Any = self.app.features.get("chip")
        return chip.recipe() if "chip" in self.session.source and chip is not None else self.session.recipe()

    def _hand_over(self, text: str) -> None:
        self.text = text
        self.app.page.copy(text)
        inputs = "" if self.session.source else "<p>The inputs came from Python: put your own paths in their place.</p>"
        self.shown.value = (
            f"<pre>{html.escape(text)}</pre>{inputs}<p>It is in the clipboard and gives the same labels.</p>"
        )
        self.dialog.open()
        self.app.page.focus(".sg-dialog-copied .sg-dialog-close")
