"""What is loaded, what is chosen, what is fresh: the one object behind the app, the command line and the library."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Literal

from segapp.core.params import Params, Variants, patch
from segapp.core.types import Cancelled, InputError, SegappError, StainFile, Tick, Transcripts, no_tick
from segapp.pipeline.compute import Numbers, Snapshot, compute
from segapp.pipeline.events import Events, Listener, Status
from segapp.pipeline.history import History
from segapp.pipeline.meanwhile import first_result, stand_in
from segapp.pipeline.presets import PRESETS, default_preset, preset_params
from segapp.pipeline.preview import Box, preview
from segapp.pipeline.recipe import Recipe, params_from, replace_params
from segapp.pipeline.runner import Runner
from segapp.pipeline.stage import Pipeline
from segapp.pipeline.states import as_html, as_text, states
from segapp.pipeline.store import Store

log = logging.getLogger(__name__)

TAKEN_S = 0.1
"""Longest wait for the thread of the widgets to take a first look."""

PAINTED_S = 0.04
"""Pause after a first look where there are few cores: the page paints on one that the worker would take."""

FEW_CORES = 4

_State = tuple[dict[str, Params], str]
"""What a step of the history goes back to: parameters and preset."""


class Session:
    """Inputs, parameters and results of one segmentation.

    Parameters
    ----------
    executor : {"sync", "thread"}
        Where `request` runs: in the calling thread, or in a worker where the latest request wins.
    post : function, optional
        Takes a function and calls it on the thread that may touch widgets; events are emitted through it.
    store : Store, optional
        Where results are kept; a new one by default.
    pipeline : Pipeline, optional
        The stages; the product's own by default.

    Examples
    --------
    >>> session = Session()
    >>> session.params["nuclei_mask"].mk
    5
    >>> session.set("nuclei_mask", mk=7)
    >>> session.status("nuclei_mask").state
    'blocked'
    """

    def __init__(
        self,
        executor: Literal["sync", "thread"] = "sync",
        *,
        post: Callable[[Callable[[], None]], None] | None = None,
        store: Store | None = None,
        pipeline: Pipeline | None = None,
    ) -> None:
        if pipeline is None:
            from segapp.pipeline.stages import PIPELINE

            pipeline = PIPELINE
        self.pipeline = pipeline
        self.store = store if store is not None else Store()
        self.runner = Runner(executor, lambda: self._emit("idle"))
        self.events = Events()
        self.post = post if post is not None else _call
        self.inputs: dict[str, Any] = {}
        self.params: dict[str, Params] = pipeline.defaults()
        self.preset = ""
        self.name = ""
        self.source: Mapping[str, Any] = {}
        self.numbers: Numbers | None = None
        self.spent = 0.0
        self.history: History[_State] = History()
        self._begun: tuple[str, dict[str, Params]] | None = None
        self._running: str | None = None
        self._failures: dict[str, str] = {}
        self._computing = threading.RLock()
        self._snapshot: Snapshot | None = None

    # inputs and parameters

    def load(
        self,
        transcripts: Transcripts,
        stain: StainFile | None = None,
        *,
        name: str = "",
        source: Mapping[str, Any] | None = None,
        numbers: Numbers | None = None,
    ) -> None:
        """Take new inputs; a preset that suits them is chosen when none was chosen before.

        `source` says where they came from, for who wants to read them again: ``{"sample": name}``,
        ``{"gem": path, "stain": path}`` or ``{"chip": folder, "box": [x0, y0, width, height]}``. `numbers` are those of
        the whole, where the inputs are a window of it.
        """
        self.runner.cancel()
        self.inputs = {"transcripts": transcripts} | ({"stain_file": stain} if stain is not None else {})
        self.name = name
        self.source = dict(source or {})
        self.numbers = numbers
        self._failures.clear()
        self._snapshot = None
        if not self.preset:
            from segapp.core.rna import RnaParams, marks_nuclei

            self.use_preset(default_preset(stain is not None, marks_nuclei(transcripts, RnaParams())))
        self.history.clear()  # steps on other inputs are no steps on these
        self._emit("loaded")

    def use_numbers(self, numbers: Numbers | None) -> None:
        """Take other numbers of the whole; stages that they reach become stale."""
        before = self.snapshot()
        self.numbers, self._snapshot = numbers, None
        for stage in self.pipeline:
            if before.key(stage) != self.snapshot().key(stage):
                self._emit("changed", stage.name)

    def set(self, stage: str, **changes: Any) -> None:
        """Change parameters of one stage, as one patch, the method first.

        Raises
        ------
        InputError
            When the stage, a parameter or a value does not exist or fit; nothing is changed then.
        """
        self.set_many({stage: changes})

    def set_many(self, patches: Mapping[str, Mapping[str, Any]]) -> None:
        """Change parameters of several stages at once: all of them, or none where one does not fit."""
        made: dict[str, Params] = {}
        problems = []
        for stage, changes in patches.items():
            if stage not in self.pipeline:
                problems.append(f"there is no stage {stage}; the stages are {', '.join(self.pipeline.by_name)}")
                continue
            try:
                made[stage] = patch(self.pipeline[stage].declared, self.params[stage], changes)
            except InputError as error:
                problems.append(f"{stage}: {error}")
        if problems:
            raise InputError("; ".join(problems))
        what = tuple((stage, tuple(sorted(changes))) for stage, changes in sorted(patches.items()))
        self._change(made, self.preset, what)

    def use_preset(self, name: str) -> None:
        """Set every parameter to a preset's value."""
        self._change(preset_params(name, self.pipeline), name, ("preset", name))

    def load_recipe(self, recipe: Recipe) -> None:
        """Set every parameter to a recipe's value."""
        self._change(params_from(self.pipeline, recipe), recipe.preset or "recipe", "recipe")

    def start(self, stage: str) -> Params:
        """Return what a stage is reset to: the value of the preset, with the alternative that is chosen now."""
        begun, now = self._starts()[stage], self.params[stage]
        declared = self.pipeline[stage].declared
        if type(begun) is type(now) or not isinstance(declared, Variants):
            return begun
        return replace_params(declared, {declared.tag: getattr(now, declared.tag)})

    def start_value(self, stage: str, parameter: str) -> Any:
        """Return what one parameter is reset to."""
        declared = self.pipeline[stage].declared
        chosen = isinstance(declared, Variants) and declared.tag == parameter
        return getattr(self._starts()[stage] if chosen else self.start(stage), parameter)

    def _starts(self) -> dict[str, Params]:
        if self._begun is None or self._begun[0] != self.preset:
            known = self.preset in PRESETS
            self._begun = self.preset, preset_params(self.preset, self.pipeline) if known else self.pipeline.defaults()
        return self._begun[1]

    def reset(self, stage: str | None = None, parameter: str | None = None) -> None:
        """Set a parameter, a stage, or everything back to the value of the preset, or to the default without one."""
        if stage is None:
            self._change(self._starts(), self.preset, "reset")
        elif stage not in self.pipeline:
            raise InputError(f"there is no stage {stage}; the stages are {', '.join(self.pipeline.by_name)}")
        elif parameter is None:
            self._change({stage: self._starts()[stage]}, self.preset, ("reset", stage))
        else:
            self.set(stage, **{parameter: self.start_value(stage, parameter)})

    # steps back and forth

    def undo(self) -> bool:
        """Take the last change of parameters back; return whether there was one."""
        return self._step(self.history.undo((self.params, self.preset)))

    def redo(self) -> bool:
        """Make the change again that was taken back last; return whether there was one."""
        return self._step(self.history.redo((self.params, self.preset)))

    def recipe(self) -> Recipe:
        """Return what makes the result repeatable; frame and statistics are in it once they are known."""
        from segapp import __version__

        frame = self.peek("frame")
        return Recipe(
            params={name: params.to_json() for name, params in self.params.items()},
            preset=self.preset,
            frame={}
            if frame is None
            else {name: getattr(frame, name) for name in ("x0", "y0", "height", "width", "um_per_px")},
            inputs={name: {"digest": value.digest} for name, value in self.inputs.items()},
            statistics=self._statistics(),
            version=__version__,
        )

    # results

    def snapshot(self) -> Snapshot:
        """Return inputs and parameters as they are now."""
        if self._snapshot is None:
            self._snapshot = Snapshot(self.pipeline, dict(self.inputs), dict(self.params), self.numbers)
        return self._snapshot

    def get(self, artefact: str, tick: Tick = no_tick) -> Any:
        """Return one artefact, computing in this thread what is not there yet.

        Raises
        ------
        InputError
            When no stage gives such an artefact.
        SegappError
            What the user can mend, from the stage where it arose.
        """
        return self.get_many((artefact,), tick)[artefact]

    def get_many(self, artefacts: Iterable[str], tick: Tick = no_tick) -> dict[str, Any]:
        """Return several artefacts by name; see `get`."""
        targets = tuple(artefacts)
        for name in targets:
            if name not in self.pipeline.giver and name not in self.pipeline.inputs:
                raise InputError(f"there is no artefact {name}; there are {', '.join(self.pipeline.giver)}")
        with self._computing:
            return compute(self.snapshot(), self.store, targets, self._listener(), tick)

    def peek(self, artefact: str) -> Any:
        """Return an artefact when it is there for the parameters of now, else None."""
        if artefact in self.pipeline.inputs:
            return self.inputs.get(artefact)
        entry = self.store.get(self.snapshot().key(self.pipeline.giver[artefact]))
        return None if entry is None else entry.values[artefact]

    def request(
        self,
        artefacts: Iterable[str],
        *,
        look: tuple[Box | None] | None = None,
        only_look: bool = False,
        meanwhile: bool = False,
    ) -> None:
        """Compute artefacts in the worker; a running request is cancelled, events tell what becomes of this one.

        The artefacts are made in the given order, so that what is shown first can be asked for first. With `look`,
        (what is visible,), slow stages give a first look at it; `only_look` leaves it at that. With `meanwhile`, what
        follows from nuclei by watershed alone is told by the event `stood_in` before a network is run.
        """
        targets = tuple(artefacts)
        snapshot = self.snapshot()

        def job(tick: Tick) -> None:
            listener = self._listener()
            began = time.thread_time()
            with self._computing:
                try:
                    stands_in = meanwhile
                    for index, target in enumerate(targets):
                        if stands_in and (other := stand_in(snapshot, self.store, target)) is not None:
                            stands_in = False
                            found = first_result(other, self.store, targets[index:], tick)
                            if found:
                                self._emit("stood_in", found)
                        if look is not None:
                            self._look(snapshot, self.pipeline.giver[target].name, look[0], tick)
                            self.spent = time.thread_time() - began
                        if not only_look:
                            compute(snapshot, self.store, (target,), listener, tick)
                            self.spent = time.thread_time() - began
                except SegappError as error:
                    log.info("stopped: %s", error)
                except Cancelled:
                    raise
                except Exception:
                    log.exception("a stage failed")
                finally:
                    self._running = None

        self.runner.submit(job)

    def _look(self, snapshot: Snapshot, stage: str, window: Box | None, tick: Tick) -> None:
        found = preview(snapshot, self.store, stage, window, tick)
        if found is not None:
            self._emit("previewed", stage, *found, snapshot.key(self.pipeline[stage]))
            self._make_way()

    def _make_way(self) -> None:
        """Let what was told be shown, before the worker takes a processor again that showing it needs."""
        if self.runner.mode == "thread":
            taken = threading.Event()
            self.post(taken.set)
            taken.wait(TAKEN_S)
            if (os.cpu_count() or 1) <= FEW_CORES:
                self.runner.rest(PAINTED_S)

    def cancel(self) -> None:
        """Stop the running request at its next tick."""
        self.runner.cancel()
        self._running = None
        self._emit("idle")

    def close(self) -> None:
        """Cancel and end the worker."""
        self.runner.close()

    # what is known of the stages

    def status(self, stage: str, targets: tuple[str, ...] = ("table",)) -> Status:
        """Return the state of one stage; see `statuses`."""
        return self.statuses(targets)[stage]

    def statuses(self, targets: tuple[str, ...] = ("table",)) -> dict[str, Status]:
        """Return the state of every stage; a stage that `targets` do not depend on is off."""
        return states(self.snapshot(), self.store, self._running, self._failures, targets)

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    # inside

    def _statistics(self) -> dict[str, Any]:
        snapshot = self.snapshot()
        found = {}
        for stage in self.pipeline:
            if stage.fit is None:
                continue
            entry = self.store.get(snapshot.key(stage, "fit"))
            if entry is not None:
                statistics = entry.values["statistics"].statistics
                found[stage.name] = {"key": snapshot.key(stage, "fit"), "values": statistics}
        return found

    def _step(self, state: _State | None) -> bool:
        if state is None:
            return False
        params, self.preset = state
        self._replace(params)
        return True

    def _change(self, made: Mapping[str, Params], preset: str, what: Hashable) -> None:
        """Replace parameters as one step that can be taken back."""
        if preset != self.preset or any(self.params[name] != params for name, params in made.items()):
            self.history.note((self.params, self.preset), what)
        self.preset = preset
        self._replace(made)

    def _replace(self, made: Mapping[str, Params]) -> None:
        changed = [name for name, params in made.items() if self.params[name] != params]
        self.params = {**self.params, **made}
        self._snapshot = None
        for name in changed:
            self._emit("changed", name)

    def _listener(self) -> Listener:
        return Listener(self)

    def _emit(self, signal: str, *values: Any) -> None:
        self.post(lambda: getattr(self.events, signal).emit(*values))


def _call(function: Callable[[], None]) -> None:
    function()
