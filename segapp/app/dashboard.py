"""The app over one session: assembly, and the way of every event to the views and the features."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segapp.app.feature import Fan, Feature, guarded
from segapp.app.features import load_features
from segapp.app.threads import Home
from segapp.core.types import InputError
from segapp.pipeline.presets import PRESETS
from segapp.pipeline.session import Session
from segapp.views.canvas import Canvas, View
from segapp.views.captions import captions, read_out
from segapp.views.download import Download
from segapp.views.frame import Drawer, Stages, frame
from segapp.views.header import Header
from segapp.views.layers import Layers
from segapp.views.live import Live
from segapp.views.menu import Menu
from segapp.views.page import Page
from segapp.views.panel import StagePanel
from segapp.views.status import Banner, StatusLine

OPENED = ("cell_score",)
"""Stages whose card is open from the start."""

REFRESH_S = 0.25
"""Pause before the cards are brought up to date. Work that is done by then shows its result and no states in between:
every message to the page would take time from the work itself."""

SWITCH_S = 0.0005
"""Longest time for which one thread keeps the interpreter from another. The worker asks for it after every compiled
call; with Python's own 5 ms it would wait for the page's messages longer than it computes."""


class App:
    """The whole app over one session.

    Parameters
    ----------
    session : Session, optional
        What it shows and steers; a new one with a worker thread by default. The same object serves the command line
        and the library: ``app.session.get("cells")`` is the array on the screen.
    out : path, optional
        Folder that Export writes into; the working folder by default.

    Attributes
    ----------
    features : dict of str to Feature
        What it can do, by name; see `segapp.app.feature`.

    Examples
    --------
    >>> app = App(Session())
    >>> app.panels["cell_score"].stage.title
    'Cell score'
    """

    def __init__(self, session: Session | None = None, *, out: str | Path | None = None) -> None:
        self.home = Home()
        if session is None:
            session = Session("thread" if self.home.loop is not None else "sync", post=self.home.post)
        else:
            session.post = self.home.post
        self.session = session
        self.out = Path(out or os.environ.get("SEGAPP_OUT") or ".")
        self.threaded = self.home.loop is not None and session.runner.mode == "thread"
        self.later: Callable[[float, Callable[[], None]], Any] | None = None
        if self.threaded and self.home.loop is not None:
            self.later = self.home.loop.call_later
            sys.setswitchinterval(SWITCH_S)
        self._refresh_waits = False
        self._looks: dict[str, str] = {}
        self._stands_in = False
        self._trace = ""

        self.canvas = Canvas(
            on_view=self._view,
            on_pointer=self._pointer,
            on_choice=self._choice,
            on_message=self._message,
        )
        self.layers = Layers(self.canvas)
        self.panels = {
            stage.name: StagePanel(stage, session, opened=stage.name in OPENED) for stage in session.pipeline
        }
        self.status = StatusLine()
        self.banner = Banner()
        self.download = Download()
        self.page = Page(self._key, self._hello)
        self.header = Header(
            {preset.name: (preset.title, preset.doc) for preset in PRESETS.values()},
            {"preset": self._choose_preset, "run": self.run_full, "cancel": self.stop},
        )
        # before those of `Live`: a request that follows an event must not be undone by what the page does about it
        events = session.events
        events.loaded.connect(self._loaded)
        events.changed.connect(self._changed)
        events.started.connect(self._started)
        events.progress.connect(self._progress)
        events.broke.connect(self._broke)
        events.failed.connect(self._failed)
        events.idle.connect(self._idle)
        self.live = Live(
            session, self._result, self._going, self.later, self._look, self._paused, self._visible, self._meanwhile
        )
        made = [kind(self) for kind in load_features()]
        self.features: dict[str, Feature] = {feature.name: feature for feature in made}
        self._tell = Fan(self.banner, made)
        self._assemble(made)

        self._tell("ready")
        if session.inputs:
            self._loaded()
        self.refresh()

    def _assemble(self, features: list[Feature]) -> None:
        for name, panel in self.panels.items():
            panel.extend([widget for feature in features for widget in feature.cards.get(name, ())])
            panel.on_open = self.refresh_soon  # what features add to a card may wait until it is seen
        self.menu = Menu("More", "Session, copies, keys", [item for feature in features for item in feature.menu])
        self.header.extend(
            [widget for feature in features for widget in feature.header],
            [*(widget for feature in features for widget in feature.header_end), self.menu.widget],
        )
        self._keys = {key: call for feature in features for key, (_, call) in feature.keys.items()}
        self.page.shortcuts = list(self._keys)
        self.drawer = Drawer({title: made for feature in features for title, made in feature.drawer.items()})
        self.stages = Stages({name: panel.widget for name, panel in self.panels.items()})
        self.widget = frame(
            header=self.header.widget,
            banner=self.banner.widget,
            stages=self.stages.widget,
            canvas=self.canvas,
            lines=[widget for feature in features for widget in feature.lines],
            drawer=self.drawer.widget,
            status=self.status.widget,
            overlay=[self.download, self.page, *(widget for feature in features for widget in feature.overlay)],
            whole_page=in_a_page(),
        )

    def _repr_mimebundle_(self, **named: Any) -> Any:
        return self.widget._repr_mimebundle_(**named)

    def __repr__(self) -> str:
        return f"App({self.session!r})"

    # ---- what a person does

    def open_sample(self, name: str) -> None:
        """Open a sample by name."""
        self.features["opening"].open_sample(name)  # type: ignore[attr-defined]

    def open_files(self, gem: str | Path, stain: str | Path | None = None) -> None:
        """Open a GEM, with the stain of the same section where there is one."""
        self.features["opening"].open_files(gem, stain)  # type: ignore[attr-defined]

    def open_chip(self, path: str | Path, box: Any = None) -> None:
        """Open a converted chip at a window (x0, y0, width, height); by default where it has most UMIs."""
        self.features["chip"].open(path, box)  # type: ignore[attr-defined]

    @guarded
    def run_full(self) -> None:
        """Compute everything, up to the table."""
        self.ask("table")

    @guarded
    def stop(self) -> None:
        """Stop what is being computed."""
        self._tell("stopped")
        self.live.cancel()
        before = self.session.peek("cells") is None and "cells" in self.layers.artefacts
        self.status.work("Stopped: the views show what was before. Run full goes on." if before else "Stopped.")

    # ---- for features

    def ask(self, *extra: str) -> None:
        """Compute what the views show, and `extra` artefacts; `InputError` where nothing is open."""
        if "transcripts" not in self.session.inputs:
            raise InputError("Nothing is open: choose Open, or start the app with a GEM file.")
        self.live.go(*extra)

    def background(self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None]) -> None:
        """Run `work` away from the page's thread; ``done(result, error)`` is called on it, one of them None."""
        self.home.background(work, done, here=not self.threaded)

    def refresh(self) -> None:
        """Bring cards, choosers and captions up to date."""
        unused = 0
        for name, status in self.session.statuses().items():
            self.panels[name].refresh(status)
            self.panels[name].refresh_values()
            unused += status.state == "off"
        self.stages.tell_unused(unused)
        self.header.show_preset(self.session.preset)
        self.caption()
        self._tell("refresh")

    def refresh_soon(self) -> None:
        """Bring the cards up to date within `REFRESH_S`."""
        if self.later is None:
            self.refresh()
        elif not self._refresh_waits:
            self._refresh_waits = True
            self.later(REFRESH_S, self._refresh_now)

    def caption(self) -> None:
        """Write over the panels what they show."""
        words = captions(self.session, self.live, self.layers)
        look = self._looks.get(self.session.pipeline.giver[self.layers.score].name)
        if look is not None:
            title, note, _ = words["score"]
            words["score"] = f"{title} · {look}", note, self.session.runner.busy
        if "limits" in self._looks:
            title, note, _ = words["labels"]
            words["labels"] = f"{title} · {self._looks['limits']}", note, self.session.runner.busy
        if self._stands_in:
            for panel, how in (("score", "preview"), ("labels", "preview without the network")):
                title, note, _ = words[panel]
                words[panel] = f"{title} · {how}", note, self.session.runner.busy
        self.canvas.caption(words)

    @guarded
    def _refresh_now(self) -> None:
        self._refresh_waits = False
        self.refresh()
        if self.live.busy:
            self.refresh_soon()

    # ---- what the page tells

    @guarded
    def _choose_preset(self, name: str) -> None:
        if name != self.session.preset:
            self.session.use_preset(name)

    @guarded
    def _choice(self, name: str, value: str) -> None:
        self.layers.use(**{name: value})
        self.caption()
        self._tell("choice", name, value)

    @guarded
    def _view(self, view: View) -> None:
        self.layers.send_all(view)
        self.caption()
        self._tell("view", view)

    @guarded
    def _pointer(self, at: tuple[float, float] | None) -> None:
        self.canvas.read_out("" if at is None else read_out(at, self.layers.look_up(at), self.canvas.um_per_px))
        self._tell("pointer", at)

    @guarded
    def _key(self, key: str) -> None:
        if key in self._keys:
            self._keys[key]()

    @guarded
    def _hello(self, query: str) -> None:
        self._tell("hello", query)

    def _message(self, kind: str, message: Mapping[str, Any]) -> None:
        self._tell("message", kind, message)

    # ---- what the session tells

    @guarded
    def _loaded(self) -> None:
        session = self.session
        transcripts, stain = session.inputs["transcripts"], session.inputs.get("stain_file")
        self.layers.clear()
        self._stands_in = False
        self.header.tell_source(session.name, transcripts.n_umis, len(transcripts.genes), stain is not None)
        self._tell("loaded")
        self.refresh()
        self.ask()

    @guarded
    def _changed(self, stage: str) -> None:
        self.live.poke(stage)
        self._tell("changed", stage)
        self.refresh_soon()

    @guarded
    def _started(self, stage: str) -> None:
        if self.session.runner.busy:  # else it is late word of what was stopped, or work of the notebook's own
            self._tell("started", stage)
            self.refresh_soon()

    @guarded
    def _progress(self, stage: str, done: int, total: int) -> None:
        if self.session.runner.busy:
            self._tell("progress", stage, done, total)

    @guarded
    def _broke(self, stage: str, trace: str) -> None:
        self._trace = trace

    @guarded
    def _failed(self, stage: str, sentence: str) -> None:
        trace, self._trace = self._trace, ""
        text = f"{self.session.pipeline[stage].title}: {sentence}"
        if trace:
            text = (
                f"{text} - segapp did not expect this. Undo the last change, or set other parameters; the views show "
                "what was before. Please send the detail to those who look after segapp."
            )
        self.banner.show(text, detail=trace, passing=True)
        self._tell("failed", stage, sentence)
        self.refresh_soon()

    @guarded
    def _idle(self) -> None:
        self._stands_in = self._stands_in and self.session.peek("cells") is None and "cells" in self.layers.artefacts
        self._tell("idle")
        self.refresh_soon()

    @guarded
    def _going(self) -> None:
        """A request starts: the panels show what the present choices make, and only that."""
        self.banner.make_way()
        targets = self.live.targets
        self.layers.drop(set(self.layers.artefacts) - set(targets))
        self.layers.use(score="nuclei_scores" if "cell_scores" not in targets else "cell_scores")
        self._tell("going")

    @guarded
    def _look(self, stage: str, artefacts: Mapping[str, Any], estimated: bool) -> None:
        """Show a first look, and say that it is one."""
        self.layers.update(artefacts)
        self._looks[stage] = "estimated preview" if estimated else "preview"
        self.caption()

    @guarded
    def _meanwhile(self, artefacts: Mapping[str, Any]) -> None:
        """Show cells from nuclei by watershed until the network has found its own, and say so."""
        self.layers.update(artefacts)
        self._stands_in = True
        self.caption()
        self._tell("meanwhile", artefacts)

    @guarded
    def _paused(self, stage: str, seconds: float) -> None:
        self._tell("paused", stage, seconds)

    def _visible(self) -> tuple[int, int, int, int] | None:
        if min(self.canvas.shape) <= 1:
            return None
        window = self.canvas.view.window(self.canvas.shape)
        return window.x0, window.y0, window.x1, window.y1

    @guarded
    def _result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Show what a stage made, the moment it is there."""
        grid = artefacts.get("frame")
        if grid is not None and tuple(grid.shape) != tuple(self.canvas.shape):
            self.canvas.place(grid.shape, grid.um_per_px)
        self.layers.update(artefacts)
        if stage == "limits":
            self._stands_in = False
        if self._looks.pop(stage, None) is not None or stage == "limits":
            self.caption()
        self._tell("result", stage, artefacts)
        self.refresh_soon()


def in_a_page() -> bool:
    """Whether Voilà serves it as a page of its own; a kernel that waits for a visitor knows it by another sign."""
    served = "voila" in os.environ.get("SERVER_SOFTWARE", "").lower()
    return served or os.environ.get("VOILA_PREHEAT", "False") != "False"
