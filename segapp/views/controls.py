"""Controls made from parameter declarations: one `Knob`, one control.

A control holds no state of its own: a gesture calls `on_change`, and `show` writes what the session holds.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as w

from segapp.core.params import Knob
from segapp.views import theme

DECADES = 1000
"""Spans from this ratio on are walked in decades."""

Change = Callable[[str, Any], None]


class Control:
    """The widgets of one parameter.

    Parameters
    ----------
    knob : Knob
        What the parameter is.
    on_change : callable
        Called with (name, value) after a gesture; it returns nothing and may refuse by calling `refuse`.
    um_per_px : float
        Side of a pixel, to show micrometres beside px.

    Attributes
    ----------
    widget : ipywidgets.Widget
        What to place on the page.
    """

    def __init__(self, knob: Knob, on_change: Change, um_per_px: float = 0.5) -> None:
        self.knob = knob
        self.um_per_px = um_per_px
        self._on_change = on_change
        self._held = False
        self.value: Any = knob.default
        self.automatic: float | None = None
        self.name = w.HTML()
        self.name.add_class("sg-control-name")
        self.error = w.HTML()
        self.error.add_class("sg-error")
        self.error.layout.display = "none"
        self.start: Any = knob.default
        self.reset = w.Button(description="↺", tooltip=f"Back to {_word(knob.default)}")
        self.reset.add_class("sg-reset")
        self.reset.on_click(lambda _: self._gesture(self.start))
        self.words = {word: self._word_button(word) for word in knob.words}
        self.row = w.HBox(self._build())
        self.row.add_class("sg-control-row")
        head = w.HBox([self.name, *self.words.values(), self.reset])
        head.add_class("sg-control-head")
        self.widget = w.VBox([head, self.row, self.error])
        self.widget.add_class("sg-control")
        self.widget.add_class(f"sg-knob-{knob.name}")
        self.show(knob.default)

    # ---- what the session holds -> widgets

    def begin(self, value: Any) -> None:
        """Set the value that the reset button goes back to: the preset's, or the default."""
        self.start = value
        self.reset.tooltip = f"Back to {_word(value)}"

    def show(self, value: Any, um_per_px: float | None = None, automatic: float | None = None) -> None:
        """Write a value into the widgets; `automatic` is the number that a word such as auto stands for now."""
        self.value = value
        self.automatic = automatic
        if um_per_px is not None:
            self.um_per_px = um_per_px
        with self._hold():
            self._write(value)
            for word, button in self.words.items():
                button.value = value == word
        self.name.value = self._label()
        self.reset.layout.visibility = "hidden" if value == self.start else "visible"
        if isinstance(value, str) and value in self.words:
            self.widget.add_class("sg-worded")
        else:
            self.widget.remove_class("sg-worded")
        self.error.layout.display = "none"

    def refuse(self, sentence: str) -> None:
        """Say why a value was refused; the widgets go back to the value that holds."""
        self.show(self.value, automatic=self.automatic)
        self.error.value = html.escape(sentence)
        self.error.layout.display = ""

    def _label(self) -> str:
        knob, shown = self.knob, self.value
        if isinstance(shown, str) and self.automatic is not None:
            shown = self.automatic
        unit = knob.unit
        beside = f" {html.escape(unit)}" if unit else ""
        if isinstance(shown, int | float) and not isinstance(shown, bool):
            if unit == "px":
                beside = f" px · {_micrometres(shown * self.um_per_px)} µm"
            elif unit == "px²":
                beside = f" px² · {_micrometres(shown * self.um_per_px**2)} µm²"
            if isinstance(self.value, str):
                beside = f" {html.escape(self.value)}: {shown:.3g}{beside}"
        doc = html.escape(knob.doc, quote=True)
        default = html.escape(f" Default: {_word(knob.default)}.", quote=True)
        return (
            f'<span title="{doc}{default}"><b>{html.escape(theme.title(knob.name))}</b>'
            f'<span class="sg-um">{beside}</span></span>'
        )

    # ---- gestures -> session

    def _gesture(self, value: Any) -> None:
        # a page rounds what it is shown and may send that back: no gesture
        if not self._held and not _same(value, self.value):
            self._on_change(self.knob.name, value)

    def _changed(self, change: dict[str, Any]) -> None:
        self._gesture(change["new"])

    def _slid(self, change: dict[str, Any]) -> None:
        # the page moves a handle onto the nearest step and sends that back: nobody has touched it
        place, shown, step = change["new"], self._handle, self.slider.step
        if isinstance(self.slider, w.FloatLogSlider):
            place, shown = math.log10(place), math.log10(shown)
        if abs(place - shown) > 0.5001 * step:
            self._gesture(change["new"])

    @contextmanager
    def _hold(self) -> Iterator[None]:
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    def _word_button(self, word: str) -> w.ToggleButton:
        button = w.ToggleButton(description=word, tooltip=f"{theme.title(self.knob.name)}: {word}")
        button.add_class("sg-word")
        button.observe(lambda change: self._gesture(word if change["new"] else self._number()), "value")
        return button

    def _number(self) -> float:
        """Return the number to start from when a word is switched off."""
        return float(self.automatic) if self.automatic is not None else self.box.value

    # ---- one branch a kind of parameter

    def _build(self) -> list[w.Widget]:
        knob = self.knob
        if knob.kind in ("int", "float"):
            return self._build_number()
        tooltip = knob.doc
        if knob.kind == "bool":
            self.box = w.Checkbox(description=theme.title(knob.name), indent=False, tooltip=tooltip)
        elif knob.kind == "choice":
            self.box = w.Dropdown(options=knob.choices, tooltip=tooltip)
        elif knob.kind in ("text", "list"):
            self.box = w.Text(continuous_update=False, tooltip=tooltip)
        else:
            raise TypeError(f"no control for parameters of kind {knob.kind}")
        self.box.add_class("sg-wide")
        self.box.observe(self._edited if knob.kind == "list" else self._changed, "value")
        return [self.box]

    def _build_number(self) -> list[w.Widget]:
        knob = self.knob
        low, high = float(knob.ge or 0), float(knob.le if knob.le is not None else 1)
        soft = knob.soft if isinstance(knob.soft, tuple) else (low, high)
        self._span = soft
        step = knob.step or (1 if knob.kind == "int" else (soft[1] - soft[0]) / 100)
        if knob.kind == "int":
            self.slider = w.IntSlider(min=int(soft[0]), max=int(soft[1]), step=int(step), readout=False)
            self.box = w.BoundedIntText(min=int(low), max=int(high), step=int(step), continuous_update=False)
        elif soft[0] > 0 and soft[1] / soft[0] >= DECADES:
            self.slider = w.FloatLogSlider(min=math.log10(soft[0]), max=math.log10(soft[1]), step=0.1, readout=False)
            step = None
        else:
            self.slider = w.FloatSlider(min=soft[0], max=soft[1], step=step, readout=False)
        if knob.kind == "float":
            self.box = w.BoundedFloatText(min=low, max=high, step=step, continuous_update=False)
        # where a word holds from the start, the number that it gives way to
        self.box.value = self.slider.value = _middle(knob.kind, soft, step)
        self._handle = self.slider.value
        for widget, call in ((self.slider, self._slid), (self.box, self._changed)):
            widget.tooltip = knob.doc
            widget.observe(call, "value")
        return [self.slider, self.box]

    def _write(self, value: Any) -> None:
        kind = self.knob.kind
        if kind in ("int", "float"):
            if isinstance(value, str):
                if self.automatic is None:
                    return
                value = self.automatic
            number = round(value) if kind == "int" else float(f"{float(value):.5g}")
            self.box.value = number
            self.slider.value = self._handle = min(max(number, self._span[0]), self._span[1])
        elif kind == "list":
            self.box.value = _list_text(value)
        else:
            self.box.value = value

    def _edited(self, change: dict[str, Any]) -> None:
        if self._held:
            return
        text = change["new"].strip()
        numbers = _numbers(self.value)
        try:
            if text.startswith("["):
                value = json.loads(text)
            else:
                value = json.loads(f"[{text}]") if numbers else re.split(r"\s*,\s*", text)
        except json.JSONDecodeError:
            wanted = "numbers with commas, such as 12, -3.5" if numbers else "names with commas, or [[1, 2], [3, 4]]"
            self.refuse(f"{text} is not a list; write {wanted}")
            return
        self._gesture(value)


def _middle(kind: str, soft: tuple[float, float], step: float | None) -> float:
    """Return the step nearest to the middle of a span, of its decades where it has no step."""
    if step is None:
        return math.sqrt(soft[0] * soft[1])
    middle = soft[0] + round((soft[1] - soft[0]) / 2 / step) * step
    return round(middle) if kind == "int" else float(f"{middle:.5g}")


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=1e-4)
    return type(first) is type(second) and bool(first == second)


def _word(value: Any) -> str:
    if isinstance(value, tuple | list):
        return _list_text(value) or "empty"
    return str(value)


def _numbers(value: Any) -> bool:
    return bool(value) and all(isinstance(item, int | float) for item in value)


def _short(number: float) -> str:
    """Return a number in few figures where these are all of it: who edits one of several must not round the others."""
    few = f"{number:g}"
    return few if float(few) == number else repr(number)


def _list_text(value: Any) -> str:
    items = list(value or ())
    if all(isinstance(item, str) for item in items):
        return ", ".join(items)
    if _numbers(items):
        return ", ".join(_short(item) for item in items)
    return json.dumps(
        [item.model_dump(mode="json") if hasattr(item, "model_dump") else item for item in items], default=list
    )


def _micrometres(value: float) -> str:
    """Return a length or an area with three figures, and never as a power of ten.

    Examples
    --------
    >>> _micrometres(3.5), _micrometres(1000), _micrometres(12500.4)
    ('3.5', '1,000', '12,500')
    """
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
