"""A stage is a value; a pipeline sorts its stages and checks every combination of choices when it is made."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from segapp.core.params import Declared, Params, Variants, classes, default_params, knobs


@dataclass(frozen=True)
class Choice:
    """What is chosen and what is there: all that a stage's needs may depend on.

    Parameters
    ----------
    params : mapping of str to Params
        Parameters of every stage.
    inputs : frozenset of str
        Names of the inputs that are loaded.
    """

    params: Mapping[str, Params]
    inputs: frozenset[str] = frozenset()

    def value(self, stage: str, name: str) -> Any:
        """Return one parameter of a stage, or None where the chosen alternative has no such parameter."""
        return getattr(self.params[stage], name, None)


Needs = Callable[[Choice], tuple[str, ...]]


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Parameters
    ----------
    name, title, doc : str
        Public name, heading of its panel, one line on what it does.
    declared : Params class or Variants
        Its parameters.
    needs : tuple of str or function of Choice
        Artefacts it takes; a function where they depend on what is chosen.
    gives : tuple of str
        Artefacts it makes, in the order that `run` returns them.
    run : function
        ``run(params, tick, **needs)``; an artefact that is not needed now is not passed. With `fit`, it also
        gets ``statistics``.
    fit : function, optional
        ``fit(params, tick, **needs)``: numbers of the whole image, kept under a key of their own.
    apply_only : tuple of str
        Prefixes of the parameters that `fit` does not look at: changing them does not fit again.
    fit_needs : tuple of str, optional
        The needs that `fit` takes; all of them by default.
    selectors : tuple of str
        Parameters on which some stage's needs depend.
    version : int
        Raised when the same inputs give other numbers.
    outside : function of Params, optional
        What else the results depend on, as text for their keys: the state of files that a parameter names.
    """

    name: str
    title: str
    doc: str
    declared: Declared
    needs: tuple[str, ...] | Needs
    gives: tuple[str, ...]
    run: Callable[..., tuple[Any, ...]]
    fit: Callable[..., Any] | None = None
    apply_only: tuple[str, ...] = ()
    fit_needs: tuple[str, ...] | None = None
    selectors: tuple[str, ...] = ()
    version: int = 1
    outside: Callable[[Any], str] | None = None

    def needs_of(self, choice: Choice) -> tuple[str, ...]:
        """Return the artefacts that are needed under this choice."""
        return self.needs(choice) if callable(self.needs) else self.needs

    def fit_needs_of(self, choice: Choice) -> tuple[str, ...]:
        """Return the artefacts that `fit` takes under this choice."""
        now = self.needs_of(choice)
        return now if self.fit_needs is None else tuple(name for name in now if name in self.fit_needs)

    def fit_params(self, params: Params) -> dict[str, Any]:
        """Return the parameters that `fit` looks at, as JSON values."""
        return {
            name: value
            for name, value in params.to_json().items()
            if not self.apply_only or not name.startswith(self.apply_only)
        }

    def _selected(self) -> Iterator[Params]:
        """Return one set of parameters for every combination of this stage's selectors."""
        for kind in classes(self.declared):
            options = [
                [(item.name, value) for value in (item.choices or item.words or ("true", "false"))]
                for item in knobs(kind)
                if item.name in self.selectors
                and not (isinstance(self.declared, Variants) and item.name == self.declared.tag)
            ]
            for combination in itertools.product(*options):
                yield kind().with_(**dict(combination))


class _Watched(Mapping[str, Params]):
    """Parameters of the stages that remember which were looked at."""

    def __init__(self, params: Mapping[str, Params], looked: set[str]) -> None:
        self._params, self._looked = params, looked

    def __getitem__(self, name: str) -> Params:
        self._looked.add(name)
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        self._looked.update(self._params)
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)


class Pipeline:
    """Stages in the order that a user meets them, checked when the pipeline is made.

    Parameters
    ----------
    stages : Stage
        In the order of the panels; the order of work follows from needs and gives.
    inputs : mapping of str to bool
        Names of what is loaded from outside, and whether it must be there.
    gated : mapping of str to (str, str)
        Artefacts that exist only when an optional input does: artefact -> (input, sentence for who lacks it).

    Raises
    ------
    TypeError
        A need without a giver, two givers of one artefact, a circle, or a `run` whose signature does not take
        what its stage needs: mistakes of whoever declares a stage, found at import.
    """

    def __init__(
        self, *stages: Stage, inputs: Mapping[str, bool], gated: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        self.stages = stages
        self.inputs = dict(inputs)
        self.gated = dict(gated or {})
        self.by_name = {stage.name: stage for stage in stages}
        if len(self.by_name) != len(stages):
            raise TypeError("two stages have the same name")
        self.giver: dict[str, Stage] = {}
        for stage in stages:
            for name in stage.gives:
                if name in self.giver or name in self.inputs:
                    raise TypeError(f"{name} is given twice")
                self.giver[name] = stage
        self._check()

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    def __getitem__(self, name: str) -> Stage:
        return self.by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def defaults(self) -> dict[str, Params]:
        """Return the parameters that every stage starts from."""
        return {stage.name: default_params(stage.declared) for stage in self.stages}

    def choices(self, among: Collection[str] | None = None) -> Iterator[Choice]:
        """Return every combination of the selectors, with and without the optional inputs.

        Parameters
        ----------
        among : collection of str, optional
            Stages whose selectors are varied; the others stay as they start. By default all.
        """
        optional = [name for name, required in self.inputs.items() if not required]
        names = [stage.name for stage in self.stages if stage.selectors and (among is None or stage.name in among)]
        start = self.defaults()
        for values in itertools.product(*(list(self.by_name[name]._selected()) for name in names)):
            params = {**start, **dict(zip(names, values, strict=True))}
            for size in range(len(optional) + 1):
                for some in itertools.combinations(optional, size):
                    required = {name for name, needed in self.inputs.items() if needed}
                    yield Choice(params, frozenset(required | set(some)))

    def closure(self, targets: tuple[str, ...], choice: Choice) -> tuple[Stage, ...]:
        """Return the stages that `targets` depend on under `choice`, givers before takers."""
        order: list[Stage] = []
        seen: set[str] = set()

        def visit(artefact: str, path: tuple[str, ...]) -> None:
            if artefact in self.inputs:
                return
            stage = self.giver[artefact]
            if stage.name in path:
                raise TypeError(f"stages need each other in a circle: {' -> '.join((*path, stage.name))}")
            if stage.name in seen:
                return
            for need in stage.needs_of(choice):
                visit(need, (*path, stage.name))
            seen.add(stage.name)
            order.append(stage)

        for target in targets:
            visit(target, ())
        return tuple(order)

    def reach(self, stage: Stage, choice: Choice) -> set[str]:
        """Return every artefact that a stage depends on under `choice`, directly or not."""
        return {name for step in self.closure(stage.gives[:1], choice) for name in step.needs_of(choice)}

    def possible(self, stage: Stage) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return all that a stage may need, and its fit, under any choice.

        Needs follow from the parameters of a few stages, and these alone are varied: all combinations of all stages
        are thousands, which every start of the program would wait for.
        """
        if not callable(stage.needs):
            return {(stage.needs, stage.fit_needs_of(Choice({})))}
        looked: set[str] = set()
        while True:
            varied, found = frozenset(looked), set()
            for choice in self.choices(varied):
                watched = Choice(_Watched(choice.params, looked), choice.inputs)
                found.add((stage.needs_of(watched), stage.fit_needs_of(watched)))
            if looked == varied:
                return found

    def _check(self) -> None:
        needed: dict[str, set[tuple[str, ...]]] = {}
        fitted: dict[str, set[tuple[str, ...]]] = {}
        for stage in self.stages:
            found = self.possible(stage)
            needed[stage.name] = {needs for needs, _ in found}
            fitted[stage.name] = {needs for _, needs in found}
        for stage in self.stages:
            for function, asked in ((stage.run, needed), (stage.fit, fitted)):
                for names in asked[stage.name]:
                    if function is not None:
                        self._check_takes(stage, function, names)
        if self._may_circle(needed):
            for choice in self.choices():
                for stage in self.stages:
                    self.closure(stage.gives[:1], choice)

    def _check_takes(self, stage: Stage, function: Callable[..., Any], names: tuple[str, ...]) -> None:
        takes = inspect.signature(function).parameters
        for name in names:
            if name not in self.giver and name not in self.inputs:
                raise TypeError(f"stage {stage.name} needs {name}, which no stage gives")
            if name not in takes:
                raise TypeError(f"stage {stage.name} needs {name}, but {function.__name__} does not take it")
        required = {
            name
            for name, item in takes.items()
            if item.default is inspect.Parameter.empty and name not in ("params", "tick", "statistics")
        }
        if missing := required - set(names):
            raise TypeError(f"{function.__name__} of stage {stage.name} takes {sorted(missing)}, not needed by it")

    def _may_circle(self, needed: Mapping[str, set[tuple[str, ...]]]) -> bool:
        """Whether stages need each other in a circle when all that they may need counts at once."""
        left = {
            name: {self.giver[need].name for needs in found for need in needs if need in self.giver}
            for name, found in needed.items()
        }
        while ready := [name for name, needs in left.items() if not needs & left.keys()]:
            for name in ready:
                del left[name]
        return bool(left)
