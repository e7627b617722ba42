"""Open a sample, files of a folder, or an upload."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.core.types import Cancelled, InputError, SegappError
from segapp.io.chip.store import is_chip
from segapp.io.estimate import estimate
from segapp.io.folders import GEMS, STAINS, Upload, allowed, inside, kind_of, list_folder, uploads_folder
from segapp.io.samples import SAMPLES
from segapp.io.zarr_groups import has_image
from segapp.pipeline.presets import PRESETS
from segapp.views.opening import OpenDialog

Read = Callable[[Callable[[int, int], None]], tuple[Any, Any, str]]

LIMIT = 256_000_000
"""Bytes that an upload may have where SEGAPP_MAX_UPLOAD says nothing."""


class Opening(Feature):
    """The dialog, and reading inputs away from the page's thread.

    In a page that is served, SEGAPP_ROOT is the folder that files may come from; uploads and what the command line
    named are within reach, too, and nothing else.
    """

    name = "opening"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._serial = 0
        self._reading = False
        self.root = Path(os.environ.get("SEGAPP_ROOT") or ".").resolve()
        self.limit = int(os.environ.get("SEGAPP_MAX_UPLOAD") or LIMIT)
        self._here, self._search = ".", ""
        self._upload: Upload | None = None
        self.gem: Path | None = None
        self.stain: Path | None = None
        self.dialog = OpenDialog(
            SAMPLES,
            (*GEMS, *STAINS),
            self,
            {
                "sample": self._sample,
                "enter": self.enter,
                "choose": self.choose,
                "search": self.search,
                "forget": self.forget,
                "open": self._open_chosen,
            },
        )
        self.button = w.Button(description="Open …", tooltip="A sample, files, an upload (Ctrl+O)")
        self.button.add_class("sg-open-data")
        self.button.on_click(lambda _: self.ask())
        self.header = (self.button,)
        self.overlay = (self.dialog.dialog.widget,)
        self.keys = {"ctrl+o": ("Open data", self.ask)}

    # ---- the dialog

    @guarded
    def ask(self) -> None:
        """Show the dialog."""
        self._show_folder()
        self.forget()
        self.dialog.dialog.open()
        self.app.page.focus(".sg-dialog-open .sg-entry")

    @guarded
    def enter(self, name: str) -> None:
        """Go into a folder, or up."""
        here = inside(self.root, Path(self._here) / name)
        if is_chip(here):
            self.dialog.dialog.close()
            self.app.open_chip(here)
            return
        self._here, self._search = str(here.relative_to(self.root)), ""
        self.dialog.search.value = ""
        self._show_folder()

    @guarded
    def search(self, text: str) -> None:
        """Show names that hold a text."""
        if text != self._search:
            self._search = text
            self._show_folder()

    @guarded
    def choose(self, name: str) -> None:
        """Choose a file of the folder: RNA or stain by the end of its name."""
        self._take(inside(self.root, Path(self._here) / name))

    @guarded
    def forget(self) -> None:
        """Choose anew."""
        self.gem = self.stain = None
        self._tell_chosen()

    def _show_folder(self) -> None:
        found = list_folder(self.root, self._here, self._search)
        chips = {name for name in found.folders if is_chip(found.path / name)}
        self.dialog.show_folder(str(found.path), self._here != ".", found.folders, found.files, found.more, chips)

    def _take(self, path: Path) -> None:
        if kind_of(path.name) == "gem":
            self.gem = path
            if self.stain is None and has_image(path):
                self.stain = path
        else:
            self.stain = path
        self._tell_chosen()

    def _tell_chosen(self) -> None:
        names = [path.name if path is not None else "" for path in (self.gem, self.stain)]
        if self.gem is None:
            self.dialog.show_chosen(*names, "Choose the RNA." if self.stain is not None else "")
            return
        found = estimate(self.gem, self.stain)
        self.dialog.show_chosen(*names, found.text(), not found.fits)

    @guarded
    def _sample(self, name: str) -> None:
        self.dialog.dialog.close()
        self.open_sample(name)

    @guarded
    def _open_chosen(self) -> None:
        if self.gem is not None:
            self.dialog.dialog.close()
            self.open_files(self.gem, self.stain)

    # ---- uploads

    def offer(self, name: str, size: int) -> None:
        """Take an upload, or refuse it in a sentence."""
        self._upload = Upload(name, size, self.limit)

    def part(self, content: bytes) -> int:
        """Take the next part of it."""
        if self._upload is None:
            raise InputError("no upload is on its way; choose the file again")
        upload = self._upload
        if upload.add(content):
            self._upload = None
            self._take(upload.path)
        return upload.got

    def stop(self) -> None:
        """Remove what came."""
        if self._upload is not None:
            self._upload.drop()
            self._upload = None

    # ---- opening

    @guarded
    def open_sample(self, name: str) -> None:
        """Open a sample by name."""
        from segapp.io.samples import load_sample

        def read(tick: Any) -> tuple[Any, Any, str]:
            sample = load_sample(name)
            return sample.transcripts, sample.stain, sample.title

        self.open(read, name, {"sample": name})

    @guarded
    def open_files(self, gem: str | Path, stain: str | Path | None = None) -> None:
        """Open transcripts of any format, with the stain of the same section where there is one."""
        from segapp.io.image import read_stain
        from segapp.io.transcripts import UM_PER_PX, read_transcripts

        for path in (gem, stain):
            self.check_reach(path)

        def read(tick: Any) -> tuple[Any, Any, str]:
            image = None if stain is None else read_stain(stain)
            um = UM_PER_PX if image is None else image.um_per_px or UM_PER_PX
            return read_transcripts(gem, tick, um_per_px=um), image, Path(gem).name

        source = {"gem": str(Path(gem).resolve())} | ({} if stain is None else {"stain": str(Path(stain).resolve())})
        self.open(read, Path(gem).name, source)

    def check_reach(self, path: str | Path | None) -> None:
        """In a served page, a saved session must not be a way to any file of the machine."""
        if path is None or not os.environ.get("SEGAPP_ROOT"):
            return
        named = [os.environ[name] for name in ("SEGAPP_GEM", "SEGAPP_STAIN", "SEGAPP_CHIP") if os.environ.get(name)]
        if not allowed(path, [self.root, uploads_folder(), *named]):
            inside(self.root, path)

    def open(self, read: Read, name: str, source: Mapping[str, Any] | None = None) -> None:
        """Open what `read` returns: transcripts, stain or None, title; `source` says how to read it again."""
        self.live.cancel()
        self.banner.hide()
        self.status.say(f"Opening {name} …")
        self._serial += 1
        serial = self._serial
        told = [-1]

        def tick(done: int, total: int) -> None:
            if serial != self._serial:
                raise Cancelled
            percent = 100 * done // total if total else 0
            if percent != told[0]:
                told[0] = percent
                self.app.home.post(lambda: self.status.work(f"Reading {name} …", percent / 100))

        def done(found: Any, error: Exception | None) -> None:
            if serial != self._serial or isinstance(error, Cancelled):
                return  # something else was opened in the meantime, or nothing is wanted any more
            self._reading = False
            self.app.header.cancel.disabled = True
            self.status.work("")
            if error is None:
                self.take(*found, source)
                return
            sentence = str(error) if isinstance(error, SegappError) else f"{type(error).__name__}: {error}"
            self.status.say("Nothing is open." if not self.session.inputs else "What was open before is still open.")
            self.banner.show(f"{name} could not be opened: {sentence}")

        self._reading = True
        self.app.header.cancel.disabled = False
        self.app.background(lambda: read(tick), done)

    def leave(self) -> None:
        """Drop what is being read: something else is opened."""
        self._serial += 1
        self._reading = False

    def stopped(self) -> None:
        """Stop reading."""
        if self._reading:
            self._reading = False
            self._serial += 1
            self.status.say(
                "Opening was stopped." if not self.session.inputs else "What was open before is still open."
            )

    @guarded
    def take(self, transcripts: Any, stain: Any, title: str, source: Mapping[str, Any] | None = None) -> None:
        """Load inputs; a preset that needs a stain gives way where there is none."""
        preset = PRESETS.get(self.session.preset)
        if stain is None and preset is not None and preset.needs_stain:
            self.session.preset = ""  # loading chooses the one that suits the inputs, as it does everywhere
        self.session.load(transcripts, stain, name=title, source=source)
