"""One card a stage, made from its declaration: title, state with its reason, seconds and controls."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w

from segapp.core.params import Variants, knobs
from segapp.core.types import InputError
from segapp.views import theme
from segapp.views.automatic import automatic_value
from segapp.views.controls import Control

FINE = ("em_", "bp_", "vi_", "moran_", "sample", "seed")
"""Beginnings of names of parameters that few people change; they are folded away."""


BY_HAND = ("log", "landmarks")
"""Parameters that gestures write: the card lists what they hold, and a box with their text would say it twice."""


class StagePanel:
    """The card of one stage.

    Parameters
    ----------
    stage : Stage
        ``name``, ``title``, ``doc`` and ``declared`` are read.
    session : Session
        Parameters come from it and go to it; the panel keeps none.
    opened : bool
        Show the controls from the start. They are made when they are first seen.

    Attributes
    ----------
    widget : ipywidgets.Widget
    controls : dict of str to Control
        By parameter name; empty until the card was opened.
    """

    def __init__(self, stage: Any, session: Any, *, opened: bool = False) -> None:
        self.stage = stage
        self.session = session
        self.controls: dict[str, Control] = {}
        self.on_open: Callable[[], None] = lambda: None
        self._kind: type | None = None
        self._extra: tuple[w.Widget, ...] = ()
        self._state = ""
        self.title = w.Button(description=stage.title, tooltip=stage.doc.strip().split("\n")[0])
        self.title.add_class("sg-card-title")
        self.title.on_click(lambda _: self.open(not self.opened))
        self.badge = w.HTML()
        self.badge.add_class("sg-card-state")
        head = w.HBox([self.title, self.badge])
        head.add_class("sg-card-head")
        self.reason = w.HTML()
        self.reason.add_class("sg-reason")
        self.reset = w.Button(description="↺ Reset this stage", tooltip="Every parameter of this card as in the preset")
        self.reset.add_class("sg-reset-stage")
        self.reset.on_click(lambda _: self.session.reset(stage.name))
        self.body = w.VBox([])
        self.body.add_class("sg-card-body")
        self.widget = w.VBox([head, self.body])
        self.widget.add_class("sg-card")
        self.widget.add_class(f"sg-stage-{stage.name}")
        self.opened = not opened
        self.open(opened)

    def open(self, opened: bool = True) -> None:
        """Show or hide the controls."""
        if opened == self.opened:
            return
        self.opened = opened
        self.body.layout.display = "" if opened else "none"
        (self.title.add_class if opened else self.title.remove_class)("sg-open")
        if opened:
            self.refresh_values()
            self.on_open()

    def extend(self, widgets: Sequence[w.Widget]) -> None:
        """Place the widgets of features below the controls."""
        self._extra = tuple(widgets)
        if self._kind is not None:
            self.body.children = (*self.body.children, *self._extra)

    def refresh(self, status: Any | None = None) -> None:
        """Show the state of the stage."""
        if status is None:
            status = self.session.statuses()[self.stage.name]
        if status.state != self._state:
            # in one message: a press moves the states of many cards
            others = [name for name in self.widget._dom_classes if not name.startswith("sg-is-")]
            self.widget._dom_classes = (*others, f"sg-is-{status.state}")
            self._state = status.state
        took = theme.seconds(status.seconds) if status.state == "fresh" else ""
        badge = f'<span class="sg-time">{took}</span>{theme.badge(status.state, status.reason or "")}'
        if badge != self.badge.value:
            self.badge.value = badge
        reason = html.escape(status.reason or "")
        if reason != self.reason.value:
            self.reason.value = reason
            self.reason.layout.display = "" if reason else "none"

    def refresh_values(self) -> None:
        """Show the parameters that the session holds; another method brings its own controls."""
        if not self.opened:
            return
        params = self.session.params[self.stage.name]
        if type(params) is not self._kind:
            self._build(params)
        grid = self.session.peek("frame")
        um_per_px = None if grid is None else grid.um_per_px
        start = self.session.start(self.stage.name)
        same = params == start
        self.reset.layout.display = "none" if same else ""
        (self.widget.remove_class if same else self.widget.add_class)("sg-changed")
        for name, control in self.controls.items():
            if control.start != (begun := self.session.start_value(self.stage.name, name)):
                control.begin(begun)
            automatic = automatic_value(self.session, self.stage.name, name)
            control.show(getattr(params, name), um_per_px, automatic)

    def _build(self, params: Any) -> None:
        self._kind = type(params)
        self.controls = {
            knob.name: Control(knob, self._set) for knob in self._knobs(type(params)) if knob.name not in BY_HAND
        }
        doc = w.HTML(html.escape(self.stage.doc.strip().split("\n\n")[0]))
        doc.add_class("sg-doc")
        self.reason.layout.display = "" if self.reason.value else "none"
        first = [control.widget for name, control in self.controls.items() if not name.startswith(FINE)]
        fine = [control.widget for name, control in self.controls.items() if name.startswith(FINE)]
        self.body.children = [
            doc,
            self.reason,
            *first,
            *([_folded("Fine tuning", fine)] if fine else []),
            self.reset,
            *self._extra,
        ]

    def _knobs(self, kind: type) -> list[Any]:
        declared = self.stage.declared
        found = list(knobs(kind))
        if not isinstance(declared, Variants):
            return found
        # the tag of an alternative allows its own name only: as a control it offers all of them
        return [_tag_knob(knob, declared) if knob.name == declared.tag else knob for knob in found]

    def _set(self, name: str, value: Any) -> None:
        control = self.controls[name]
        try:
            self.session.set(self.stage.name, **{name: value})
        except InputError as error:
            control.refuse(str(error))
            return
        self.refresh_values()

    @property
    def values(self) -> Mapping[str, Any]:
        """Values that the controls show, by name."""
        return {name: control.value for name, control in self.controls.items()}


def _folded(title: str, widgets: list[w.Widget]) -> w.Widget:
    """Return widgets behind a button that shows and hides them."""
    inner = w.VBox(widgets, layout=w.Layout(display="none"))
    button = w.Button(description=title, tooltip=f"{title}: {len(widgets)} parameters")
    button.add_class("sg-fold")

    def turn(_: Any) -> None:
        hidden = inner.layout.display == "none"
        inner.layout.display = "" if hidden else "none"
        (button.add_class if hidden else button.remove_class)("sg-open")

    button.on_click(turn)
    outer = w.VBox([button, inner])
    outer.add_class("sg-folded")
    return outer


def _tag_knob(knob: Any, declared: Variants) -> Any:
    from dataclasses import replace

    return replace(knob, choices=declared.names(), default=declared.default, words=())
