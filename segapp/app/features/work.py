"""What runs now: stage, share done, Cancel."""

from __future__ import annotations

import time

from segapp.app.feature import Feature

QUIET_S = 0.25
"""Work that is done by then shows its result and no states in between: every message to the page would take time from
the work itself."""


class Work(Feature):
    """Tells the status line and Cancel what is being computed."""

    name = "work"

    def __init__(self, app: object) -> None:
        super().__init__(app)  # type: ignore[arg-type]
        self._working: tuple[str, float] | None = None
        self._began = time.perf_counter()

    def going(self) -> None:
        """Begin to count."""
        self._began = time.perf_counter()

    def started(self, stage: str) -> None:
        """Tell of a stage at once where the work has taken a while."""
        self._working = (stage, 0.0)
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
            self.status.work(f"{self.session.pipeline[stage].title} …", share)
