"""Evaluate stages for one fixed choice of inputs and parameters, through the store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from segapp.core.notes import collected
from segapp.core.params import Params
from segapp.core.types import Cancelled, Tick, Unavailable, no_tick
from segapp.pipeline.stage import Choice, Pipeline, Stage
from segapp.pipeline.store import Entry, Store, key_of


class Listener(Protocol):
    """Who is told what happens while stages run."""

    def started(self, stage: str) -> None:
        """Hear that a stage begins."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Hear that a stage has done `done` of `total`; may raise `Cancelled`."""

    def finished(self, stage: str, seconds: float) -> None:
        """Hear that a stage's results are in the store."""

    def failed(self, stage: str, key: str, error: Exception) -> None:
        """Hear that a stage raised."""


class Numbers(Protocol):
    """Who knows numbers of a whole of which the inputs are a window: what a stage would find by itself is not taken."""

    def word(self, params: Mapping[str, Params], stage: str) -> str:
        """Return what names the numbers in the keys of a stage; empty where it has none."""

    def given(self, params: Mapping[str, Params], stage: str, tick: Tick) -> tuple[Any, ...] | None:
        """Return what a stage gives, in the order of its `gives`, or None where it runs."""

    def fitted(self, params: Mapping[str, Params], stage: str, needs: Mapping[str, Any], tick: Tick) -> Any | None:
        """Return what a stage would fit, or None where it fits."""


@dataclass(frozen=True)
class Snapshot:
    """Inputs and parameters at one moment; later changes of a session do not reach it.

    Parameters
    ----------
    pipeline : Pipeline
        The stages.
    inputs : mapping
        Loaded values by input name; an absent optional input is not in it.
    params : mapping of str to Params
        Parameters of every stage.
    numbers : Numbers, optional
        Numbers of the whole, where the inputs are a window of it.
    """

    pipeline: Pipeline
    inputs: Mapping[str, Any]
    params: Mapping[str, Params]
    numbers: Numbers | None = None
    _keys: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    @property
    def choice(self) -> Choice:
        """What the needs of the stages depend on."""
        return Choice(self.params, frozenset(self.inputs))

    def key(self, stage: Stage, part: str = "run") -> str:
        """Return the key of what a stage makes (`part` "run") or of the numbers that it fits ("fit")."""
        known = self._keys.get((stage.name, part))
        if known is not None:
            return known
        params = self.params[stage.name]
        choice = self.choice
        if part == "fit":
            values, names = stage.fit_params(params), stage.fit_needs_of(choice)
        else:
            values, names = params.to_json(), stage.needs_of(choice)
        inputs = {name: self.artefact_key(name) for name in names}
        if stage.outside is not None:
            inputs["outside"] = stage.outside(params)
        if self.numbers is not None and (word := self.numbers.word(self.params, stage.name)):
            inputs["numbers"] = word
        made = key_of(stage.name, part, stage.version, values, inputs)
        self._keys[stage.name, part] = made
        return made

    def artefact_key(self, name: str) -> str:
        """Return the key of one artefact or input."""
        if name in self.pipeline.inputs:
            value = self.inputs.get(name)
            return f"{name}:{value.digest if value is not None else 'absent'}"
        return f"{self.key(self.pipeline.giver[name])}/{name}"

    def blocker(self, stage: Stage) -> str | None:
        """Return why a stage cannot run now, in one sentence, or None."""
        for name, required in self.pipeline.inputs.items():
            if required and name not in self.inputs:
                return "Nothing is loaded: open a GEM file or a sample."
        for artefact, (name, sentence) in self.pipeline.gated.items():
            if name not in self.inputs and artefact in self.pipeline.reach(stage, self.choice):
                return sentence
        return None


def compute(
    snapshot: Snapshot, store: Store, targets: tuple[str, ...], listener: Listener | None = None, tick: Tick = no_tick
) -> dict[str, Any]:
    """Return the artefacts `targets`, running only the stages whose results are not in the store.

    Parameters
    ----------
    snapshot : Snapshot
        Inputs and parameters.
    store : Store
        Where results are looked for and kept.
    targets : tuple of str
        Names of artefacts.
    listener : Listener, optional
        Is told of every stage that starts, advances, finishes or fails.
    tick : Tick
        Called between and inside the stages; raises `Cancelled` to stop.

    Returns
    -------
    dict of str to artefact

    Raises
    ------
    SegappError
        What the user can mend, from the stage where it arose.
    Cancelled
        On request.
    """
    held: dict[str, Any] = dict(snapshot.inputs)
    for stage in snapshot.pipeline.closure(targets, snapshot.choice):
        tick(0, 0)
        key = snapshot.key(stage)
        entry = store.get(key)
        if entry is None:
            reason = snapshot.blocker(stage)
            if reason is not None:
                raise Unavailable(reason)
            entry = _run(snapshot, store, stage, key, held, listener, tick)
        # held keeps what this run needs even when the store drops it
        held.update(entry.values)
    return {name: held[name] for name in targets}


def _run(
    snapshot: Snapshot,
    store: Store,
    stage: Stage,
    key: str,
    held: Mapping[str, Any],
    listener: Listener | None,
    tick: Tick,
) -> Entry:
    def stage_tick(done: int, total: int) -> None:
        tick(done, total)
        if listener is not None:
            listener.progress(stage.name, done, total)

    params, choice = snapshot.params[stage.name], snapshot.choice
    if listener is not None:
        listener.started(stage.name)
    began = time.perf_counter()
    try:
        needs = {name: held[name] for name in stage.needs_of(choice)}
        with collected() as notes:
            given = None
            if snapshot.numbers is not None:
                given = snapshot.numbers.given(snapshot.params, stage.name, stage_tick)
            if given is None:
                if stage.fit is not None:
                    needs["statistics"] = _fit(snapshot, store, stage, needs, stage_tick)
                given = stage.run(params=params, tick=stage_tick, **needs)
    except Cancelled:
        raise
    except Exception as error:
        if listener is not None:
            listener.failed(stage.name, key, error)
        raise
    seconds = time.perf_counter() - began
    entry = store.put(key, dict(zip(stage.gives, given, strict=True)), seconds, tuple(notes))
    if listener is not None:
        listener.finished(stage.name, seconds)
    return entry


def _fit(snapshot: Snapshot, store: Store, stage: Stage, needs: Mapping[str, Any], tick: Tick) -> Any:
    assert stage.fit is not None
    key = snapshot.key(stage, "fit")
    entry = store.get(key)
    if entry is None:
        began = time.perf_counter()
        taken = {name: needs[name] for name in stage.fit_needs_of(snapshot.choice)}
        value = None
        if snapshot.numbers is not None:
            value = snapshot.numbers.fitted(snapshot.params, stage.name, taken, tick)
        if value is None:
            value = stage.fit(params=snapshot.params[stage.name], tick=tick, **taken)
        entry = store.put(key, {"statistics": value}, time.perf_counter() - began)
    return entry.values["statistics"]
