"""The dialog that opens data: samples, files of a folder, uploads."""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anywidget
import ipywidgets as w
import traitlets

from segapp.views.menu import Dialog


class Sink(Protocol):
    """Who takes an upload: every function may raise an error whose text is shown."""

    def offer(self, name: str, size: int) -> None:
        """A file is to come."""

    def part(self, content: bytes) -> int:
        """The next bytes of it; return how many are there now."""

    def stop(self) -> None:
        """It does not come after all."""


class UploadButton(anywidget.AnyWidget):
    """A button that sends files in parts.

    Parameters
    ----------
    suffixes : sequence of str
    sink : Sink
    """

    _esm = traitlets.Unicode().tag(sync=True)
    suffixes = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, suffixes: Sequence[str], sink: Sink) -> None:
        self._sink = sink
        super().__init__(suffixes=list(suffixes))
        self.on_msg(self._receive)

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return Path(__file__).with_name("upload.js").read_text(encoding="utf-8")

    def _receive(self, widget: Any, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        kind = message.get("type")
        try:
            if kind == "offer":
                self._sink.offer(str(message["name"]), int(message["size"]))
                self.send({"type": "go"})
            elif kind == "part":
                self.send({"type": "got", "offset": self._sink.part(bytes(buffers[0]))})
            elif kind == "stop":
                self._sink.stop()
        except Exception as error:
            self.send({"type": "no", "text": str(error)})


class OpenDialog:
    """Samples, a folder to walk through, uploads; what is chosen, what it will need, Open.

    Parameters
    ----------
    samples : mapping of str to str
        Name to title.
    suffixes : sequence of str
        Ends of names that may be uploaded.
    sink : Sink
    actions : mapping of str to callable
        ``sample`` (name), ``enter`` (folder), ``choose`` (file), ``search`` (text), ``forget``, ``open``.
    """

    def __init__(
        self,
        samples: Mapping[str, str],
        suffixes: Sequence[str],
        sink: Sink,
        actions: Mapping[str, Callable[..., None]],
    ) -> None:
        self._actions = actions
        self.samples = {name: w.Button(description=title, tooltip=f"Open {title}") for name, title in samples.items()}
        for name, button in self.samples.items():
            button.add_class("sg-entry")
            button.on_click(lambda _, name=name: actions["sample"](name))
        self.where = w.HTML()
        self.where.add_class("sg-grow")
        self.search = w.Text(placeholder="Part of a name", continuous_update=False, tooltip="Show names with this part")
        self.search.observe(lambda change: actions["search"](change["new"]), "value")
        self.entries = w.VBox()
        self.entries.add_class("sg-entries")
        self.upload = UploadButton(suffixes, sink)
        self.chosen = w.HTML()
        self.chosen.add_class("sg-grow")
        self.needs = w.HTML()
        self.needs.add_class("sg-needs")
        self.forget = w.Button(description="Clear", tooltip="Choose anew")
        self.forget.on_click(lambda _: actions["forget"]())
        self.go = w.Button(description="Open", tooltip="Read the chosen files", disabled=True)
        self.go.add_class("sg-primary")
        self.go.on_click(lambda _: actions["open"]())
        path, foot = w.HBox([self.where, self.search]), w.HBox([self.chosen, self.forget, self.go])
        path.add_class("sg-line")
        foot.add_class("sg-line")
        self.dialog = Dialog(
            "Open",
            (
                w.HTML("<h3>A sample</h3>"),
                w.VBox(list(self.samples.values())),
                w.HTML("<h3>Files: the RNA, and its stain where there is one; or a converted chip</h3>"),
                path,
                self.entries,
                self.upload,
                foot,
                self.needs,
            ),
            name="open",
            wide=True,
        )

    def show_folder(
        self,
        title: str,
        up: bool,
        folders: Sequence[str],
        files: Sequence[str],
        more: int = 0,
        chips: Collection[str] = (),
    ) -> None:
        """Show what a folder holds; folders that are chips are opened as they are."""
        self.where.value = f"<code>{html.escape(title)}</code>"
        rows: list[w.Widget] = []
        for name in ([".."] if up else []) + list(folders):
            tip = "Up" if name == ".." else f"Open the chip {name}" if name in chips else f"Go into {name}"
            button = w.Button(description=f"▦ {name} (chip)" if name in chips else f"▸ {name}", tooltip=tip)
            button.on_click(lambda _, name=name: self._actions["enter"](name))
            rows.append(button)
        for name in files:
            button = w.Button(description=name, tooltip=f"Choose {name}")
            button.on_click(lambda _, name=name: self._actions["choose"](name))
            rows.append(button)
        for row in rows:
            row.add_class("sg-entry")
        if more:
            rows.append(w.HTML(f"{more:,} more: write a part of the name above."))
        self.entries.children = tuple(rows) or (w.HTML("Nothing here can be read."),)

    def show_chosen(self, gem: str, stain: str, needs: str = "", warning: bool = False) -> None:
        """Show which files are chosen and what they will need."""
        parts = [f"<b>RNA</b> {html.escape(gem) or '–'}", f"<b>Stain</b> {html.escape(stain) or '–'}"]
        self.chosen.value = " &nbsp; ".join(parts)
        self.needs.value = html.escape(needs)
        (self.needs.add_class if warning else self.needs.remove_class)("sg-bad-news")
        self.go.disabled = not gem
