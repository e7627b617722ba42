"""What runs now: stage, share done, Cancel."""

from __future__ import annotations

import time

from segapp.app.feature import Feature
from segapp.views import theme

QUIET_S = 0.25
"""Work that is done by then shows its result and no states in between: every message to the page would take time from
the work itself."""

LONG_S = 3.0
"""Shortest time left that is worth a word."""


class Work(Feature):
    """Tells the status line and Cancel what is being computed."""

    name = "work"

    def __init__(self, app: object) -> None:
        super().__init__(app)  # type: ignore[arg-type]
        self._working: tuple[str, float] | None = None
        self._stage_began = time.perf_counter()
        self._took: dict[str, float] = {}
        self._began = time.perf_counter()

    def going(self) -> None:
        """Begin to count."""
        self._began = time.perf_counter()

    def started(self, stage: str) -> None:
        """Tell of a stage at once where the work has taken a while."""
        self._working = (stage, 0.0)
        self._stage_began = time.perf_counter()
        if self.app.later is None or time.perf_counter() - self._began > QUIET_S:
            self.refresh()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Remember how far it is."""
        self._working = (stage, done / total if total else 0.0)

    def idle(self) -> None:
        """Take the words away."""
        self._working = None
        self.app.header.cancel.disabled = True
        self.status.work("")

    def refresh(self) -> None:
        """Write what runs."""
        if self._working is not None:
            stage, share = self._working
            self.app.header.cancel.disabled = False
            left = self.seconds_left()
            eta = f", about {theme.seconds(left)} left" if left is not None and left >= LONG_S else ""
            self.status.work(f"{self.session.pipeline[stage].title} …{eta}", share)

    def seconds_left(self) -> float | None:
        """Return the seconds until everything is done: of this stage by its share, of the others by the last time."""
        if self._working is None:
            return None
        stage, share = self._working
        spent = time.perf_counter() - self._stage_began
        left = None
        if share > 0.02:
            left = spent * (1 - share) / share
        elif stage in self._took:
            left = max(self._took[stage] - spent, 0.0)
        for name, status in self.session.statuses().items():
            if status.seconds is not None:
                self._took[name] = status.seconds
            if name != stage and status.state == "stale" and name in self._took:
                left = (left or 0.0) + self._took[name]
        return left
