"""Undo and redo: earlier states, where the steps of one gesture count as one."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

State = TypeVar("State")

GESTURE_S = 1.0
"""Changes of the same thing that follow each other this closely are one gesture: a slider that is dragged."""

DEPTH = 200


class History(Generic[State]):
    """Earlier and later states of something that is replaced as a whole.

    Parameters
    ----------
    clock : function
        Returns seconds.

    Examples
    --------
    >>> history = History(clock=iter([0.0, 0.2, 5.0]).__next__)
    >>> for state in "abc":  # what was there before each change of k
    ...     history.note(state, "k")
    >>> history.undo("d"), history.undo("c"), history.undo("a")
    ('c', 'a', None)
    >>> history.redo("a")
    'c'
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget every state."""
        self._past: list[State] = []
        self._future: list[State] = []
        self._last: tuple[Hashable, float] | None = None

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier state."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a later state."""
        return bool(self._future)

    def note(self, before: State, what: Hashable) -> None:
        """Remember the state before a change of `what`; what was undone is forgotten."""
        now = self._clock()
        same = self._last is not None and self._last[0] == what and now - self._last[1] < GESTURE_S
        self._last = (what, now)
        self._future.clear()
        if not same or not self._past:
            self._past.append(before)
            del self._past[:-DEPTH]

    def undo(self, now: State) -> State | None:
        """Return the state before `now`, or None."""
        return self._step(now, self._past, self._future)

    def redo(self, now: State) -> State | None:
        """Return the state that was undone last, or None."""
        return self._step(now, self._future, self._past)

    def _step(self, now: State, source: list[State], target: list[State]) -> State | None:
        self._last = None
        if not source:
            return None
        target.append(now)
        return source.pop()
