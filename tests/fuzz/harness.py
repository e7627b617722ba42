"""Run one example and judge it: no crash, no NaN, arguments untouched, the same result twice."""

import dataclasses
import importlib
import inspect
import pkgutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

import segapp.core
from segapp.core.types import Cancelled, InputError, Unavailable
from tests.fuzz.inputs import Fresh, Gen

ALLOWED = (InputError, Unavailable, Cancelled)
"""What a public function may raise, whatever it is given."""

SLOWEST = 10.0
"""Seconds that one call may take."""


@dataclasses.dataclass
class Case:
    """How one public function is fuzzed.

    Parameters
    ----------
    make : function
        Takes a `Gen`, returns the arguments: a tuple, or a tuple and a dict of keywords.
    check : function, optional
        Takes the result and the arguments (keywords under their names, the others under their place), and asserts.
    infinite : bool
        Whether NaN and infinity have a meaning in the result, which its documentation states.
    fresh_result : bool
        Whether the result never shares memory with an argument.
    """

    make: Callable[[Gen], Any]
    check: Callable[..., None] | None = None
    infinite: bool = False
    fresh_result: bool = False


def public_functions() -> dict[str, Callable[..., Any]]:
    """Every function of `segapp.core` without an underscore that takes something: name within core -> function.

    What a package hands on from a private module counts as its own. The networks are left to their own tests, which
    have their models.
    """
    found: dict[int, tuple[str, Callable[..., Any]]] = {}
    for info in pkgutil.walk_packages(segapp.core.__path__, "segapp.core."):
        if any(part.startswith("_") for part in info.name.split(".")) or info.name.startswith("segapp.core.engines"):
            continue
        module = importlib.import_module(info.name)
        handed_on = getattr(module, "__all__", ()) if info.ispkg else ()
        for name, value in vars(module).items():
            if name.startswith("_") or inspect.isclass(value) or not callable(value):
                continue
            home = getattr(value, "__module__", "")
            from_private = name in handed_on and "._" in home
            if (home == info.name or from_private) and inspect.signature(value).parameters:
                found.setdefault(id(value), (f"{info.name.removeprefix('segapp.core.')}.{name}", value))
    return dict(found.values())


@st.composite
def inputs(draw: Callable[[st.SearchStrategy[Any]], Any], case: Case, largest: int = 64) -> Any:
    """The arguments of one example; None where the functions that make them refuse what was drawn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return case.make(Gen(draw, largest))
        except ALLOWED:
            return None


def run_example(
    function: Callable[..., Any], case: Case, made: Any, *, twice: bool = True, timed: bool = True
) -> float:
    """Judge one example of `inputs`; the seconds of its slower call.

    A call that compiles and imports what later ones find ready is not `timed`: on a fresh copy that takes longer than
    any call may.
    """
    if made is None:
        return 0.0
    args, keywords = made if len(made) == 2 and isinstance(made[1], dict) and isinstance(made[0], tuple) else (made, {})
    before = snapshot((args, keywords))
    seconds, outcome = _call(function, args, keywords)
    assert same(before, snapshot((args, keywords))), "an argument was changed"
    if twice:
        again, repeated = _call(function, args, keywords)
        seconds = max(min(seconds, again), 0.0) if seconds < SLOWEST else seconds
        assert same(snapshot(outcome), snapshot(repeated)), "the same input gave another result"
    assert not timed or seconds < SLOWEST, f"a call took {seconds:.1f} s"
    if isinstance(outcome, ALLOWED):
        sentence = str(outcome)
        assert isinstance(outcome, Cancelled) or (len(sentence) > 10 and "\n" not in sentence), sentence
        return seconds
    for array in arrays_in(outcome):
        if array.dtype.kind in "fc" and not case.infinite:
            assert np.isfinite(array).all(), f"NaN or infinity in the result: {array[~np.isfinite(array)][:3]}"
        if case.fresh_result:
            assert not any(np.shares_memory(array, given) for given in arrays_in((args, keywords)))
    if case.check is not None:
        named = {name: _made(item) for name, item in keywords.items()}
        verdict = case.check(outcome, *(_made(item) for item in args), **named)
        assert verdict is None or bool(verdict), "the result is not what the function promises"
    return seconds


def _made(argument: Any) -> Any:
    return argument.make() if isinstance(argument, Fresh) else argument


def _call(function: Callable[..., Any], args: tuple[Any, ...], keywords: Mapping[str, Any]) -> tuple[float, Any]:
    args = tuple(_made(item) for item in args)
    keywords = {name: _made(item) for name, item in keywords.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)  # what the user is told; numpy's are mistakes
        began = time.thread_time()  # what else the machine does is not counted
        try:
            outcome = function(*args, **keywords)
        except ALLOWED as error:
            outcome = error
        return time.thread_time() - began, outcome


def snapshot(value: Any) -> Any:
    """A copy that later changes do not reach, made of plain values and arrays."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.copy()
    if type(value).__module__.startswith("torch") and hasattr(value, "detach"):
        return snapshot(value.detach().cpu().numpy())
    if hasattr(value, "indptr"):
        return snapshot((value.data, value.indices, value.indptr, value.shape))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), [snapshot(getattr(value, item.name)) for item in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [(str(name), snapshot(item)) for name, item in value.items()]
    if isinstance(value, tuple | list):
        return [snapshot(item) for item in value]
    if isinstance(value, Exception):
        return type(value), str(value)
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two snapshots are equal, NaN being equal to NaN."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Fresh) or callable(a):
        return True
    return bool(a == b) or (a != a and b != b) or repr(a) == repr(b)


def arrays_in(value: Any) -> Iterator[np.ndarray]:
    """Every array and number with a fraction in a result."""
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            yield value
    elif isinstance(value, float | np.floating):
        yield np.asarray(value)
    elif type(value).__module__.startswith("torch") and hasattr(value, "detach"):
        yield value.detach().cpu().numpy()
    elif hasattr(value, "indptr"):
        yield value.data
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from arrays_in(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from arrays_in(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays_in(item)
