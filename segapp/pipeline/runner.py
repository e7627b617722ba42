"""One worker, latest wins: a new request cancels the old one through the tick."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from segapp.core.types import Cancelled, Tick

Job = Callable[[Tick], None]


class Runner:
    """Runs the latest job that was submitted, in a thread of its own or at once.

    Parameters
    ----------
    mode : {"thread", "sync"}
        ``"sync"`` runs a job inside `submit`: for tests and for scripts.
    on_rest : callable, optional
        Called, in the thread of the job, after one that was neither cancelled nor replaced.
    """

    def __init__(self, mode: Literal["thread", "sync"] = "thread", on_rest: Callable[[], None] = lambda: None) -> None:
        self.mode = mode
        self._on_rest = on_rest
        self._changed = threading.Condition()
        self._waiting: Job | None = None
        self._running: int | None = None
        self._serial = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits that nobody has cancelled; one that is cancelled may still be on its way out."""
        return self._waiting is not None or self._running == self._serial

    def submit(self, job: Job) -> None:
        """Run `job` as soon as the running one, which is cancelled, has stopped."""
        if self.mode == "sync":
            self._serial += 1
            self._running = self._serial
            self._execute(job, self._serial)
            return
        with self._changed:
            if self._closed:
                raise RuntimeError("the runner is closed")
            self._serial += 1
            self._waiting = job
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="segapp-worker", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def cancel(self) -> None:
        """Stop the running job at its next tick and forget the waiting one."""
        with self._changed:
            self._serial += 1
            self._waiting = None
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs or waits; return whether that came true within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running is None and self._waiting is None, timeout)

    def rest(self, seconds: float) -> None:
        """Keep still, inside a job, for so long or until another job replaces it."""
        with self._changed:
            self._changed.wait_for(lambda: self._running != self._serial, seconds)

    def close(self) -> None:
        """Cancel everything and end the thread."""
        self.cancel()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                if self._closed:
                    return
                job, self._waiting = self._waiting, None
                serial = self._running = self._serial
            assert job is not None
            self._execute(job, serial)

    def _execute(self, job: Job, serial: int) -> None:
        def tick(done: int, total: int) -> None:
            if self._serial != serial:
                raise Cancelled

        try:
            with suppress(Cancelled):
                job(tick)
        finally:
            with self._changed:
                self._running = None
                self._changed.notify_all()
        if self._serial == serial:
            self._on_rest()
