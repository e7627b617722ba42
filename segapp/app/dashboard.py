"""One session, one card a stage, linked views, one status line."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np

from segapp.core import display
from segapp.core.types import InputError, SegappError
from segapp.io.samples import SAMPLES
from segapp.pipeline.presets import PRESETS
from segapp.pipeline.session import Session
from segapp.views import theme
from segapp.views.canvas import Canvas, View
from segapp.views.captions import captions, file_name, only_nuclei, read_out
from segapp.views.download import Download
from segapp.views.header import Header
from segapp.views.layers import CHOICES, CURVES, IMAGES, PANELS, Layers
from segapp.views.live import Live
from segapp.views.panel import StagePanel
from segapp.views.status import Banner, StatusLine

log = logging.getLogger(__name__)

OPENED = ("cell_score",)
"""Stages whose card is open from the start."""

REFRESH_S = 0.25
"""Pause before the cards are brought up to date. Work that is done by then shows its result and no states in between:
every message to the page would take time from the work itself."""


SWITCH_S = 0.0005
"""Longest time for which one thread keeps the interpreter from another. The worker asks for it after every compiled
call; with Python's own 5 ms it would wait for the page's messages longer than it computes."""


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Show what a callback raises as a banner: an exception in a callback is not seen otherwise."""

    @functools.wraps(method)
    def call(self: App, *values: Any, **named: Any) -> Any:
        try:
            return method(self, *values, **named)
        except SegappError as error:
            self.banner.show(str(error))
        except Exception as error:
            log.exception("a callback failed")
            self.banner.show(f"Something went wrong in the app: {type(error).__name__}: {error}")
        return None

    return call


class App:
    """The whole app over one session.

    Parameters
    ----------
    session : Session, optional
        What it shows and steers; a new one with a worker thread by default. The same object serves the command line
        and the library: ``app.session.get("cells")`` is the array on the screen.
    out : path, optional
        Folder that Export writes into; the working folder by default.

    Examples
    --------
    >>> app = App(Session())
    >>> app.panels["cell_score"].stage.title
    'Cell score'
    """

    def __init__(self, session: Session | None = None, *, out: str | Path | None = None) -> None:
        self._loop, self._thread = _running_loop(), threading.current_thread()
        if session is None:
            session = Session("thread" if self._loop is not None else "sync", post=self._post)
        else:
            session.post = self._post
        self.session = session
        self.out = Path(out or os.environ.get("SEGAPP_OUT") or ".")
        self._threaded = self._loop is not None and session.runner.mode == "thread"
        later = self._loop.call_later if self._threaded and self._loop is not None else None
        self._later = later
        if self._threaded:
            sys.setswitchinterval(SWITCH_S)
        self._refresh_waits = False
        self._working: tuple[str, float] | None = None
        self._began = time.perf_counter()
        self._exporting = False

        self.canvas = Canvas(
            PANELS, IMAGES, CURVES, CHOICES, on_view=self._view, on_pointer=self._pointer, on_choice=self._choice
        )
        self.layers = Layers(self.canvas)
        self.panels = {
            stage.name: StagePanel(stage, session, opened=stage.name in OPENED) for stage in session.pipeline
        }
        self.status = StatusLine()
        self.banner = Banner()
        self.download = Download()
        self.header = Header(
            tuple(SAMPLES),
            {preset.name: preset.title for preset in PRESETS.values()},
            {
                "sample": self.open_sample,
                "preset": self._choose_preset,
                "run": self.run_full,
                "cancel": self.stop,
                "export": self.write,
            },
        )
        stages = w.VBox([panel.widget for panel in self.panels.values()])
        stages.add_class("sg-stages")
        views = w.VBox([self.canvas])
        views.add_class("sg-views")
        main = w.HBox([stages, views])
        main.add_class("sg-main")
        self.widget = w.VBox(
            [theme.style_widget(), self.header.widget, self.banner.widget, main, self.status.widget, self.download]
        )
        self.widget.add_class("segapp")
        self.widget.add_class("sg-page" if "voila" in os.environ.get("SERVER_SOFTWARE", "").lower() else "sg-cell")

        events = session.events
        events.loaded.connect(self._loaded)
        events.changed.connect(self._changed)
        events.started.connect(self._started)
        events.progress.connect(self._progress)
        events.failed.connect(self._failed)
        events.idle.connect(self._idle)
        self.live = Live(session, self._result, self._going, later)
        if session.inputs:
            self._loaded()
        self.refresh()

    def _repr_mimebundle_(self, **named: Any) -> Any:
        return self.widget._repr_mimebundle_(**named)

    def __repr__(self) -> str:
        return f"App({self.session!r})"

    # ---- what a person does

    @guarded
    def open_sample(self, name: str) -> None:
        """Open a sample by name."""
        from segapp.io.samples import load_sample

        def read() -> tuple[Any, Any, str]:
            sample = load_sample(name)
            return sample.transcripts, sample.stain, sample.title

        self._open(read, name)

    @guarded
    def open_files(self, gem: str | Path, stain: str | Path | None = None) -> None:
        """Open a GEM, with the stain of the same section where there is one."""
        from segapp.io.gem import read_gem
        from segapp.io.image import read_stain

        def read() -> tuple[Any, Any, str]:
            return read_gem(gem), None if stain is None else read_stain(stain), Path(gem).name

        self._open(read, Path(gem).name)

    @guarded
    def run_full(self) -> None:
        """Compute everything, up to the table."""
        self._ask("table")

    @guarded
    def stop(self) -> None:
        """Stop what is being computed."""
        self._exporting = False
        self.live.cancel()
        self.status.work("Stopped.")

    @guarded
    def write(self) -> None:
        """Compute the table where it is not there yet, and write it."""
        table = self.session.peek("table")
        if table is None:
            self._exporting = True
            self._ask("table")
        else:
            self._write(table)

    # ---- opening

    def _open(self, read: Callable[[], tuple[Any, Any, str]], name: str) -> None:
        self.live.cancel()
        self.banner.hide()
        self.status.say(f"Opening {name} …")

        def work() -> None:
            try:
                transcripts, stain, title = read()
            except Exception as error:
                sentence = str(error) if isinstance(error, SegappError) else f"{type(error).__name__}: {error}"
                self._post(lambda: self._not_opened(name, sentence))
                return
            self._post(lambda: self._take(transcripts, stain, title))

        if self._threaded:
            threading.Thread(target=work, name="segapp-open", daemon=True).start()
        else:
            work()

    def _not_opened(self, name: str, sentence: str) -> None:
        self.status.say("Nothing is open.")
        self.banner.show(f"{name} could not be opened: {sentence}")

    @guarded
    def _take(self, transcripts: Any, stain: Any, title: str) -> None:
        preset = PRESETS.get(self.session.preset)
        if stain is None and preset is not None and preset.needs_stain:
            self.session.preset = ""  # loading chooses the one that suits the inputs, as it does everywhere
        self.session.load(transcripts, stain, name=title)

    @guarded
    def _loaded(self) -> None:
        session = self.session
        transcripts, stain = session.inputs["transcripts"], session.inputs.get("stain_file")
        self.layers.clear()
        self.header.tell_source(session.name, transcripts.n_umis, len(transcripts.genes), stain is not None)
        self.header.export.disabled = False
        self.status.say("Computing …")
        self.refresh()
        self._ask()

    # ---- gestures

    @guarded
    def _choose_preset(self, name: str) -> None:
        if name != self.session.preset:
            self.session.use_preset(name)

    @guarded
    def _choice(self, name: str, value: str) -> None:
        self.layers.use(**{name: value})
        self._captions()

    @guarded
    def _view(self, view: View) -> None:
        self.layers.send_all(view)
        self._captions()

    @guarded
    def _pointer(self, at: tuple[float, float] | None) -> None:
        self.canvas.read_out("" if at is None else read_out(at, self.layers.look_up(at), self.canvas.um_per_px))

    # ---- what the session tells

    @guarded
    def _changed(self, stage: str) -> None:
        self.live.poke()
        self._refresh_soon()

    @guarded
    def _started(self, stage: str) -> None:
        self._working = (stage, 0.0)
        if self._later is None or time.perf_counter() - self._began > REFRESH_S:
            self._tell_work()
        self._refresh_soon()

    def _tell_work(self) -> None:
        if self._working is not None:
            stage, share = self._working
            self.header.cancel.disabled = False
            self.status.work(f"{self.session.pipeline[stage].title} …", share)

    @guarded
    def _progress(self, stage: str, done: int, total: int) -> None:
        self._working = (stage, done / total if total else 0.0)

    @guarded
    def _failed(self, stage: str, sentence: str) -> None:
        self._exporting = False
        self.banner.show(f"{self.session.pipeline[stage].title}: {sentence}")
        if self.layers.artefacts.get("cells") is None:
            self.status.say("There are no cells yet.")
        self._refresh_soon()

    @guarded
    def _idle(self) -> None:
        self._working = None
        self.header.cancel.disabled = True
        self.status.work("")
        self._refresh_soon()

    @guarded
    def _result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Show what a stage made, the moment it is there."""
        frame = artefacts.get("frame")
        if frame is not None and tuple(frame.shape) != tuple(self.canvas.shape):
            self.canvas.place(frame.shape, frame.um_per_px)
        changed = self.layers.update(artefacts)
        if stage == "limits" and changed:
            self._show_numbers()
        table = artefacts.get("table")
        if table is not None:
            self._show_numbers(table)
            if self._exporting:
                self._write(table)
        self._refresh_soon()

    # ---- what is shown

    def _ask(self, *extra: str) -> None:
        if "transcripts" not in self.session.inputs:
            raise InputError("Nothing is open: choose a sample, or start the app with a GEM file.")
        self.live.go(*extra)

    def _going(self) -> None:
        """A request starts: the panels show what the present choices make, and only that."""
        self.banner.hide()
        targets = self.live.targets
        self.layers.drop(set(self.layers.artefacts) - set(targets))
        self.layers.use(score="nuclei_scores" if "cell_scores" not in targets else "cell_scores")
        self._began = time.perf_counter()

    def _refresh_soon(self) -> None:
        if self._later is None:
            self.refresh()
        elif not self._refresh_waits:
            self._refresh_waits = True
            self._later(REFRESH_S, self._refresh_now)

    @guarded
    def _refresh_now(self) -> None:
        self._refresh_waits = False
        self._tell_work()
        self.refresh()
        if self._working is not None:
            self._refresh_soon()

    def refresh(self) -> None:
        """Bring cards, choosers and captions up to date."""
        for name, status in self.session.statuses().items():
            self.panels[name].refresh(status)
            self.panels[name].refresh_values()
        if self.session.preset in PRESETS and self.header.preset.value != self.session.preset:
            self.header.preset.value = self.session.preset
        self._captions()

    def _captions(self) -> None:
        self.canvas.caption(captions(self.session, self.live, self.layers))

    def _show_numbers(self, table: Any = None) -> None:
        held = self.layers.artefacts
        cells, nuclei, ghosts = held.get("cells"), held.get("nuclei"), held.get("ghosts")
        if cells is None:
            return
        numbers: dict[str, Any] = display.summary(cells)
        if nuclei is not None and not only_nuclei(self.session):
            numbers["n_nuclei"] = display.count_labels(nuclei)
        if ghosts is not None:
            numbers["n_ghosts"] = display.count_labels(ghosts)
        if table is not None:
            umis = np.asarray(table.obs["n_counts"])
            numbers["median_umis"] = float(np.median(umis)) if len(umis) else None
            numbers["assigned"] = float(umis.sum()) / max(self.session.inputs["transcripts"].n_umis, 1)
        self.status.show_numbers(**numbers, um_per_px=self.canvas.um_per_px, seconds=time.perf_counter() - self._began)

    # ---- export

    def _write(self, table: Any) -> None:
        from segapp.io.table import write_h5ad

        self._exporting = False
        path = self.out.resolve() / f"{file_name(self.session.name)}_cells.h5ad"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_h5ad(table, path)
        self.banner.show(
            f"{table.n_obs:,} cells x {table.n_vars:,} genes were written to {path}",
            good=True,
            action=("Download", lambda: self.download.offer(path.name, path.read_bytes())),
        )

    # ---- threads

    def _post(self, function: Callable[[], None]) -> None:
        """Call a function on the thread that may touch widgets."""
        if self._loop is None or threading.current_thread() is self._thread:
            function()
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody looks any more
                self._loop.call_soon_threadsafe(function)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
