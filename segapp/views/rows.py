"""A list of what was made by hand, with buttons to see or remove each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets


@dataclass(frozen=True)
class Row:
    """One thing: what it is, where it is, and whether it holds, in words."""

    title: str
    where: str
    state: str = ""
    holds: bool = True


class Rows(anywidget.AnyWidget):
    """The list.

    Parameters
    ----------
    label : str
        What is listed, for those who hear the page.
    empty : str
        What to say while there is nothing.
    on_act : callable
        Called with ("show" or "remove", index).
    """

    _esm = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    empty = traitlets.Unicode().tag(sync=True)
    rows: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, label: str, empty: str, on_act: Callable[[str, int], None]) -> None:
        super().__init__(label=label, empty=empty)
        self._on_act = on_act
        self.on_msg(self._receive)

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return Path(__file__).with_name("rows.js").read_text(encoding="utf-8")

    def show(self, rows: Sequence[Row]) -> None:
        """Show these, in place of what was there."""
        made = [asdict(row) for row in rows]
        if made != self.rows:
            self.rows = made

    def _receive(self, widget: Any, message: Mapping[str, Any], buffers: Any) -> None:
        if message.get("type") in ("show", "remove") and 0 <= int(message["index"]) < len(self.rows):
            self._on_act(str(message["type"]), int(message["index"]))
