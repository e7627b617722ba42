"""Autosave, resume after a reload, a session as a file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.core.types import InputError, SegappError
from segapp.io.state import new_word, read_state, write_state
from segapp.pipeline.saved import Saved
from segapp.views.captions import file_name
from segapp.views.menu import Dialog

PAUSE_S = 0.7
"""Rest after a change before it is written."""

SMALL = 20 << 20
"""Largest file that is taken for a saved session, bytes."""


class Keeping(Feature):
    """Writes the session to a folder of the user after every change; the word under which it lies is in the address.

    Two pages may show one session. Whoever writes second over what the other has written since goes on under a word of
    its own, and says so: nothing is lost.
    """

    name = "keeping"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.word = ""
        self.on = False
        self._writer = new_word()
        self._seen = ""
        self._waits = False
        self._choices: dict[str, str] = {}
        self._wanted: Saved | None = None
        self._bounds: tuple[float, ...] | None = None
        self.file = w.FileUpload(accept=".json", multiple=False, description="Choose a file")
        self.file.observe(self._given, "value")
        self.dialog = Dialog(
            "Restore a session",
            (w.HTML("A session or a recipe that segapp wrote: every parameter and every edit comes back."), self.file),
            name="restore",
        )
        self.overlay = (self.dialog.widget,)
        self.menu = (
            ("Download session", "Every parameter, every edit and the names of the inputs, as one file", self.download),
            ("Restore session …", "Read a downloaded session or a recipe", self.dialog.open),
        )
        self.keys = {"ctrl+s": ("Download session", self.download)}

    # ---- writing

    def loaded(self) -> None:
        """Give other inputs a place of their own, and bring back what was asked for."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._restore_view(wanted)
        self._soon()

    def changed(self, stage: str) -> None:
        """Write it soon."""
        self._soon()

    def view(self, view: Any) -> None:
        """What is looked at belongs to it."""
        self._soon()

    def choice(self, name: str, value: str) -> None:
        """What is shown belongs to it."""
        self._choices[name] = value
        self._soon()

    def _soon(self) -> None:
        if not self.on or not self.session.inputs:
            return
        if self.app.later is None:
            self.write()
        elif not self._waits:
            self._waits = True
            self.app.later(PAUSE_S, self.write)

    @guarded
    def write(self) -> None:
        """Write the session now."""
        self._waits = False
        if not self.word:
            self.word = new_word()
        stored = read_state(self.word)
        if stored is not None:
            with contextlib.suppress(InputError):
                other = Saved.from_text(stored)
                if other.writer != self._writer and other.written != self._seen:
                    self.word = new_word()
                    self.banner.show(
                        "This session is open in another tab or window, and was changed there. This page now keeps a "
                        "copy of its own; nothing of either is lost."
                    )
        saved = self.now()
        try:
            write_state(self.word, saved.text())
        except (OSError, SegappError) as error:
            self.on = False
            self.banner.show(
                f"The session is not saved by itself any more ({error}): use Download session in the menu to keep it."
            )
            return
        self._seen = saved.written
        self.app.page.resume = self.word

    def now(self) -> Saved:
        """Return the session with what is looked at."""
        view = self.canvas.view
        return Saved.of(
            self.session,
            view={"bounds": [round(value, 2) for value in view.bounds], "choices": dict(self._choices)},
            writer=self._writer,
        )

    # ---- coming back

    @guarded
    def hello(self, query: str) -> bool:
        """Take up the session that an address names; return whether it does. What nobody sees is not kept."""
        self.on = True
        word = parse_qs(query.lstrip("?")).get("resume", [""])[0]
        if not word:
            self._soon()
        if not word or word == self.word:
            return bool(word)
        with contextlib.suppress(InputError):
            text = read_state(word)
            if text is not None:
                self.restore(Saved.from_text(text), word)
                return True
        self.banner.show("The session in the address of this page is not kept any more; this is a new one.")
        return False

    def restore(self, saved: Saved, word: str = "") -> None:
        """Set the parameters, and open the inputs where they are others."""
        self.session.load_recipe(saved.recipe)
        self.word, self._seen = word, saved.written if word else ""
        if self.session.inputs and (not saved.source or dict(saved.source) == dict(self.session.source)):
            self._restore_view(saved)
            self._soon()
            return
        self._wanted = saved
        source = dict(saved.source)
        if "sample" in source:
            self.app.open_sample(str(source["sample"]))
        elif "chip" in source:
            self.app.open_chip(str(source["chip"]), source.get("box"))
        elif "gem" in source:
            self.app.open_files(str(source["gem"]), source.get("stain"))
        else:
            self._wanted = None
            self.banner.show(
                f"The parameters of {saved.name or 'the session'} are set; its inputs came from Python: open them."
            )

    def _restore_view(self, saved: Saved) -> None:
        for name, value in dict(saved.view.get("choices", {})).items():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                self.layers.use(**{str(name): value})
                self._choices[str(name)] = str(value)
        bounds = saved.view.get("bounds")
        if isinstance(bounds, list) and len(bounds) == 4:
            self._bounds = tuple(float(value) for value in bounds)
            if "total" in self.layers.artefacts:
                self._look()

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Look at what was looked at as soon as there is something to see; before that the page fits the frame."""
        if "frame" in artefacts and self._bounds is not None:
            self._look()

    def _look(self) -> None:
        if self._bounds is None:
            return
        (x0, y0, x1, y1), self._bounds = self._bounds, None
        rows, cols = self.canvas.shape
        if (x1 - x0) * (y1 - y0) < 0.8 * rows * cols:
            # the canvas shows three times the width that it is told
            x, y, w3, h3 = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 6, (y1 - y0) / 6
            self.canvas.look_at(x - w3, y - h3, x + w3, y + h3)

    # ---- files

    @guarded
    def download(self) -> None:
        """Hand the session to the browser as a file."""
        name = f"{file_name(self.session.name or 'segapp')}_session.json"
        self.app.download.offer(name, self.now().text().encode())

    @guarded
    def _given(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            return
        given = change["new"][0]
        self.file.value = ()
        if given["size"] > SMALL:
            raise InputError(f"{given['name']} is too large for a saved session; choose the .json that segapp wrote")
        saved = Saved.from_text(bytes(given["content"]))
        self.dialog.close()
        self.banner.hide()
        self.restore(saved)
        if not self.banner.text:  # its inputs may be out of reach, which is said already
            self.banner.show(f"{Path(given['name']).name} is restored.", good=True)
