"""Live results: every change asks for what the views show, the latest wins, held keys are seen moving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from segapp.core.params import Params
from segapp.pipeline.preview import PREVIEWED

FIRST = ("nuclei_score", "cell_score", "nuclei_mask", "nuclei_watershed", "nuclei_rna", "cells", "limits")
"""Stages whose result is a picture: after one of them a newer change may take over."""

PATIENCE_S = 0.4
"""A request is left running this long for its first picture before a newer change replaces it."""

SLOW_S = 0.3
"""Seconds of work up to the first picture from which on, twice in a row, a parameter is no longer followed live.
Counted as time of the processor: another program that takes it must not make a preview slow."""

ORDER = (
    "stain", "stain_raw", "total", "nuclear", "nuclei_scores", "bins", "selected_nuclei", "nuclei_provenance",
    "cell_scores", "cells", "nuclei", "ghosts",
)  # fmt: skip
"""Artefacts in the order that they are asked for: what is seen first comes first."""

Later = Callable[[float, Callable[[], None]], Any]
Result = Callable[[str, Mapping[str, Any]], None]


class Live:
    """Asks a session for the artefacts that the views show.

    The first change of a burst is asked for at once. While its first picture is not there yet, further changes wait for
    it (at most `PATIENCE_S`): replacing it at every key repeat would show nothing until the key is let go.

    A stage whose changes twice in a row took longer than `SLOW_S` to show is paused: its next change shows the first
    look, where there is one, and waits for `update`.

    Parameters
    ----------
    session : Session
    on_result : callable
        Called with (stage name, artefacts by name) for every stage that finished, also where the parameters moved on
        in the meantime.
    on_go : callable, optional
        Called before each request.
    later : callable, optional
        ``later(seconds, function)`` of the loop; without one every change is asked for at once.
    on_look : callable, optional
        Called with (stage name, artefacts, estimated) for a first look.
    on_pause : callable, optional
        Called with (stage name, seconds it took) when a change waits for `update`.
    on_meanwhile : callable, optional
        Called with artefacts that stand in for those of the network while it works, where no cells were shown yet.
    visible : callable, optional
        Returns (x0, y0, x1, y1) of what is visible in array px, or None for everything.

    Attributes
    ----------
    paused : dict of str to float
        Stages that are not followed, and the seconds that they took.
    made : dict of str to Params
        What made the results and looks that were handed on last, by stage.
    """

    def __init__(
        self,
        session: Any,
        on_result: Result,
        on_go: Callable[[], None] = lambda: None,
        later: Later | None = None,
        on_look: Callable[[str, Mapping[str, Any], bool], None] = lambda stage, artefacts, estimated: None,
        on_pause: Callable[[str, float], None] = lambda stage, seconds: None,
        visible: Callable[[], tuple[int, int, int, int] | None] = lambda: None,
        on_meanwhile: Callable[[Mapping[str, Any]], None] = lambda artefacts: None,
    ) -> None:
        self.session = session
        self.on = True
        self.paused: dict[str, float] = {}
        self.made: dict[str, Params] = {}
        self._always: set[str] = set()
        self._took: dict[str, float] = {}
        self._on_result, self._on_go, self._on_look, self._on_pause = on_result, on_go, on_look, on_pause
        self._visible, self._on_meanwhile = visible, on_meanwhile
        self._shown: Any = None
        self._later = later
        self._snapshot: Any = None
        self._extra: tuple[str, ...] = ()
        self._since: set[str] = set()
        self._charged = ""
        self._waits = False
        self._busy = False
        self._serial = 0
        session.events.finished.connect(self._finished)
        session.events.previewed.connect(self._previewed)
        session.events.stood_in.connect(self._stood_in)
        session.events.failed.connect(lambda stage, sentence: self._proceed())
        session.events.idle.connect(self._idle)

    @property
    def targets(self) -> tuple[str, ...]:
        """Artefacts that the present choices make, in the order of the views."""
        snapshot = self.session.snapshot()
        used = {stage.name for stage in self.session.pipeline.closure(("cells",), snapshot.choice)}
        giver = self.session.pipeline.giver
        return tuple(
            name
            for name in ORDER
            if (giver[name].name in used or name == "stain") and snapshot.blocker(giver[name]) is None
        )

    def poke(self, stage: str = "") -> None:
        """A stage changed: bring the views up to date, or say that they wait."""
        if not self.on or "transcripts" not in self.session.inputs:
            return
        if stage in self.paused and stage not in self._always and not self._covered(stage):
            if stage in PREVIEWED:
                self.session.request(
                    [name for name in self.targets if self.session.pipeline.giver[name].name == stage],
                    look=(self._visible(),),
                    only_look=True,
                )
            self._since.add(stage)
            self._on_pause(stage, self.paused[stage])
            return
        self._since.add(stage)
        if self._busy and self._later is not None:
            self._waits = True
        else:
            self.go()

    def _covered(self, stage: str) -> bool:
        """Whether the result is known already, or on its way: going back to what was there is no work."""
        pipeline = self.session.pipeline
        if self._busy and self._snapshot is self.session.snapshot():
            return True
        return self.session.store.get(self.session.snapshot().key(pipeline[stage])) is not None

    @property
    def busy(self) -> bool:
        """Whether something was asked for that is not there yet."""
        return self._busy or self._waits

    def update(self, *, always: str = "") -> None:
        """Show what waits; from now on follow the stage `always` however long it takes."""
        if always:
            self._always.add(always)
        self.go()

    def go(self, *extra: str) -> None:
        """Ask now, for `extra` artefacts too; a running request is replaced."""
        self._on_go()
        self._serial += 1
        serial = self._serial
        self._charged = next(iter(self._since)) if len(self._since) == 1 else ""
        self._since.clear()
        self._waits, self._busy, self._extra = False, True, extra
        self._snapshot = self.session.snapshot()
        if self._later is not None:
            self._later(PATIENCE_S, lambda: self._overdue(serial))
        targets = (*self.targets, *extra)
        # what the store holds already is not computed, so nothing tells of it
        held = {name: self.session.peek(name) for name in ("frame", *targets)}
        known = all(value is not None for value in held.values())
        if known:  # shown first: the worker would find nothing to do, and the page would wait for it
            self._hand_on_all(held)
        self.session.request(
            targets, look=(self._visible(),) if self._later is not None else None, meanwhile=not self._cells_shown
        )
        if not known:
            self._hand_on_all(held)

    def _hand_on_all(self, held: Mapping[str, Any]) -> None:
        ready: dict[str, dict[str, Any]] = {}
        for name, value in held.items():
            if value is not None:
                ready.setdefault(self.session.pipeline.giver[name].name, {})[name] = value
        for stage, values in ready.items():
            self._hand_on(stage, values)

    def cancel(self) -> None:
        """Stop what runs."""
        self._waits = False
        self.session.cancel()

    def _previewed(self, stage: str, artefacts: Mapping[str, Any], estimated: bool, key: str) -> None:
        declared = self.session.pipeline[stage]
        asked = {one.key(declared): one for one in (self._snapshot, self.session.snapshot()) if one is not None}
        if key not in asked or self.session.store.get(self.session.snapshot().key(declared)) is not None:
            return  # it comes too late: other parameters were asked for, or their result is shown already
        self.made[stage] = asked[key].params[stage]
        self._on_look(stage, artefacts, estimated)
        self._seen()
        self._proceed()

    @property
    def _cells_shown(self) -> bool:
        return self._shown is not None and self._shown is self.session.inputs.get("transcripts")

    def _hand_on(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Hand on what the stage made of the parameters that were asked for."""
        if stage == "limits":
            self._shown = self.session.inputs.get("transcripts")
        self.made[stage] = self._snapshot.params[stage]
        self._on_result(stage, artefacts)

    def _stood_in(self, artefacts: Mapping[str, Any]) -> None:
        if not self._cells_shown:
            self._on_meanwhile(artefacts)

    def _finished(self, stage: str, seconds: float) -> None:
        if self._snapshot is not None:
            entry = self.session.store.get(self._snapshot.key(self.session.pipeline[stage]))
            if entry is not None:
                self._hand_on(stage, entry.values)
        if stage in FIRST:
            self._seen()
            self._proceed()

    def _seen(self) -> None:
        """The first picture is there: remember what it took."""
        stage, self._charged = self._charged, ""
        if not stage:
            return
        # once is not enough: the first time of a stage holds the loading of compiled code
        earlier, self._took[stage] = self._took.get(stage, 0.0), self.session.spent
        if min(earlier, self.session.spent) > SLOW_S:
            self.paused[stage] = self.session.spent
        else:
            self.paused.pop(stage, None)

    def _overdue(self, serial: int) -> None:
        if serial == self._serial:
            self._proceed()

    def _proceed(self) -> None:
        """The request was seen, failed or took too long: a newer change may replace it now."""
        if self._waits:
            self.go(*self._extra)
        elif not self._extra:
            self._busy = False

    def _idle(self) -> None:
        self._busy, self._extra = False, ()
        if self._waits:
            self.go()
