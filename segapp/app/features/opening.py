"""Open a sample or files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segapp.app.feature import Feature, guarded
from segapp.core.types import SegappError
from segapp.pipeline.presets import PRESETS

Read = Callable[[], tuple[Any, Any, str]]


class Opening(Feature):
    """Reads inputs away from the page's thread and loads them into the session."""

    name = "opening"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._serial = 0

    @guarded
    def open_sample(self, name: str) -> None:
        """Open a sample by name."""
        from segapp.io.samples import load_sample

        def read() -> tuple[Any, Any, str]:
            sample = load_sample(name)
            return sample.transcripts, sample.stain, sample.title

        self.open(read, name, {"sample": name})

    @guarded
    def open_files(self, gem: str | Path, stain: str | Path | None = None) -> None:
        """Open a GEM, with the stain of the same section where there is one."""
        from segapp.io.gem import read_gem
        from segapp.io.image import read_stain

        def read() -> tuple[Any, Any, str]:
            return read_gem(gem), None if stain is None else read_stain(stain), Path(gem).name

        source = {"gem": str(Path(gem).resolve())} | ({} if stain is None else {"stain": str(Path(stain).resolve())})
        self.open(read, Path(gem).name, source)

    def open(self, read: Read, name: str, source: Mapping[str, Any] | None = None) -> None:
        """Open what `read` returns: transcripts, stain or None, title; `source` says how to read it again."""
        self.live.cancel()
        self.banner.hide()
        self.status.say(f"Opening {name} …")
        self._serial += 1
        serial = self._serial

        def done(found: Any, error: Exception | None) -> None:
            if serial != self._serial:
                return  # something else was opened in the meantime
            if error is None:
                self.take(*found, source)
                return
            sentence = str(error) if isinstance(error, SegappError) else f"{type(error).__name__}: {error}"
            self.status.say("Nothing is open.")
            self.banner.show(f"{name} could not be opened: {sentence}")

        self.app.background(read, done)

    @guarded
    def take(self, transcripts: Any, stain: Any, title: str, source: Mapping[str, Any] | None = None) -> None:
        """Load inputs; a preset that needs a stain gives way where there is none."""
        preset = PRESETS.get(self.session.preset)
        if stain is None and preset is not None and preset.needs_stain:
            self.session.preset = ""  # loading chooses the one that suits the inputs, as it does everywhere
        self.session.load(transcripts, stain, name=title, source=source)
