"""What a session tells, and the state of a stage in words."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from psygnal import Signal, SignalGroup

from segapp.core.types import SegappError

if TYPE_CHECKING:
    from segapp.pipeline.session import Session

State = Literal["blocked", "stale", "running", "fresh", "failed", "off"]


@dataclass(frozen=True)
class Status:
    """State of one stage: blocked, stale, running, fresh, failed or off, with the reason in words."""

    state: State
    reason: str = ""
    seconds: float | None = None


class Events(SignalGroup):
    """What a session tells: names of stages, in the order things happen.

    ``broke`` comes before ``failed`` where nobody foresaw the reason: it brings what a programmer wants to read.
    """

    loaded = Signal()
    changed = Signal(str)
    started = Signal(str)
    progress = Signal(str, int, int)
    finished = Signal(str, float)
    previewed = Signal(str, object, bool, str)
    stood_in = Signal(object)
    broke = Signal(str, str)
    failed = Signal(str, str)
    idle = Signal()


@dataclass
class Listener:
    """Writes what happens into a session and tells it on."""

    session: Session
    last: dict[str, int] = field(default_factory=dict)

    def started(self, stage: str) -> None:
        """Tell that a stage begins."""
        self.session._running = stage
        self.session._emit("started", stage)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell how far a stage is."""
        # at most a hundred messages a stage: the page can take no more than ten a second
        percent = 100 * done // total if total else 0
        if self.last.get(stage) != percent:
            self.last[stage] = percent
            self.session._emit("progress", stage, done, total)

    def finished(self, stage: str, seconds: float) -> None:
        """Tell that a stage's results are there."""
        self.session._running = None
        self.session._emit("finished", stage, seconds)

    def failed(self, stage: str, key: str, error: Exception) -> None:
        """Keep the reason under the stage's key and tell it."""
        foreseen = isinstance(error, SegappError)
        sentence = str(error) if foreseen else f"{type(error).__name__}: {error}"
        self.session._failures[key] = sentence
        self.session._running = None
        if not foreseen:
            self.session._emit("broke", stage, "".join(traceback.format_exception(error)))
        self.session._emit("failed", stage, sentence)
