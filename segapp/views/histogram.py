"""A histogram with lines that a person drags, or moves with the arrow keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import anywidget
import traitlets

from segapp.core.histogram import Histogram

PARKED = 1e12
"""Place of a line that is switched off: right of every picture."""


@dataclass(frozen=True)
class Line:
    """A line that can be moved.

    Parameters
    ----------
    name, title, doc : str
        How it is told from others, how a screen reader calls it, what it does.
    value : float
        Where it stands; `PARKED` when it is off.
    min, max, step : float
        Where it may stand.
    keep : {"from", "to", ""}
        The side that is kept: from the line on, up to the line, neither.
    stops : tuple of float, optional
        The only places where it may stand.
    off : bool
        It can be switched off: dragged out at the right end, or with the key End.
    text : str
        What to write beside it; its value by default.
    """

    name: str
    title: str
    doc: str
    value: float
    min: float
    max: float
    step: float
    keep: Literal["from", "to", ""] = "from"
    stops: tuple[float, ...] | None = None
    off: bool = False
    text: str = ""


@dataclass(frozen=True)
class Mark:
    """A line that only shows a value, such as an automatic threshold."""

    value: float
    title: str


class HistogramView(anywidget.AnyWidget):
    """Draws a `Histogram` and its lines; only the counts travel, never what was counted.

    Parameters
    ----------
    on_move : callable
        Called with (name of the line, value) while a line is moved.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    counts = traitlets.Bytes().tag(sync=True)
    low = traitlets.Float(0.0).tag(sync=True)
    high = traitlets.Float(1.0).tag(sync=True)
    scale = traitlets.Dict({"unit": "", "factor": 1.0, "other": ""}).tag(sync=True)
    log = traitlets.Bool(False).tag(sync=True)
    lines = traitlets.List().tag(sync=True)
    marks = traitlets.List().tag(sync=True)
    empty = traitlets.Unicode("There is nothing to count yet.").tag(sync=True)

    def __init__(self, on_move: Callable[[str, float], None] = lambda name, value: None) -> None:
        self._on_move = on_move
        super().__init__()
        self.on_msg(self._receive)

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return Path(__file__).with_name("histogram.js").read_text(encoding="utf-8")

    def show(
        self,
        found: Histogram,
        lines: Sequence[Line],
        marks: Sequence[Mark] = (),
        *,
        title: str,
        unit: str = "",
        factor: float = 1.0,
        other: str = "",
    ) -> None:
        """Draw counts; a value times `factor` is its size in the `other` unit."""
        with self.hold_sync():
            self.title = title
            self.low, self.high = found.low, found.high
            self.scale = {"unit": unit, "factor": factor, "other": other}
            self.counts = found.counts.astype("<u4").tobytes()
            self.place(lines, marks)

    def place(self, lines: Sequence[Line], marks: Sequence[Mark] = ()) -> None:
        """Move lines and marks; the counts stay."""
        with self.hold_sync():
            self.lines = [asdict(line) for line in lines]
            self.marks = [asdict(mark) for mark in marks]

    def clear(self, reason: str) -> None:
        """Draw nothing and say why."""
        with self.hold_sync():
            self.empty = reason
            self.counts = b""
            self.lines, self.marks = [], []

    def _receive(self, widget: Any, message: Mapping[str, Any], buffers: Any) -> None:
        if message.get("type") == "line":
            self._on_move(str(message["name"]), float(message["value"]))
