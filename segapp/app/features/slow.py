"""Slow previews wait for a person, and say how long they took."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.views import theme


class Slow(Feature):
    """A line over the views while a change of a slow stage is not shown: Update, or follow it all the same."""

    name = "slow"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._stage = ""
        self.words = w.HTML()
        self.words.add_class("sg-grow")
        self.update_button = w.Button(description="Update", tooltip="Compute and show the change (Ctrl+Enter)")
        self.update_button.add_class("sg-primary")
        self.always = w.Button(
            description="Always follow", tooltip="Show every change of this stage, however long it takes"
        )
        self.update_button.on_click(lambda _: self.update())
        self.always.on_click(lambda _: self.follow())
        self.line = w.HBox([self.words, self.update_button, self.always], layout=w.Layout(display="none"))
        self.line.add_class("sg-slow")
        self.lines = (self.line,)
        self.keys = {"ctrl+Enter": ("Show a change that waits", self.update)}

    def paused(self, stage: str, seconds: float) -> None:
        """Say what waits."""
        self._stage = stage
        title = html.escape(self.session.pipeline[stage].title)
        self.words.value = (
            f"<span role='status'><b>{title}</b> took {theme.seconds(seconds)} for its last preview, so this change "
            "waits; the views show what was before.</span>"
        )
        self.line.layout.display = ""

    def going(self) -> None:
        """Nothing waits any more."""
        if self._stage:
            self._stage = ""
            self.line.layout.display = "none"

    @guarded
    def update(self) -> None:
        """Show the change."""
        if self._stage:
            self.live.update()

    @guarded
    def follow(self) -> None:
        """Show it, and every change of this stage from now on."""
        if self._stage:
            self.live.update(always=self._stage)
