"""Between the thread that may touch widgets and the others."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any


class Home:
    """The thread on which it is made, and its loop where one runs.

    Without a loop everything happens at once, in the thread that asks: for scripts and tests.
    """

    def __init__(self) -> None:
        try:
            self.loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self.loop = None
        self._thread = threading.current_thread()

    def post(self, function: Callable[[], None]) -> None:
        """Call a function on this thread."""
        if self.loop is None or threading.current_thread() is self._thread:
            function()
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody looks any more
                self.loop.call_soon_threadsafe(function)

    def background(self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None], *, here: bool) -> None:
        """Run `work` in a thread of its own, or `here`; hand its result or its error to `done` on this thread."""

        def run() -> None:
            try:
                found = work()
            except Exception as caught:
                error = caught  # the name of an except clause ends with it
                self.post(lambda: done(None, error))
            else:
                self.post(lambda: done(found, None))

        if here or self.loop is None:
            run()
        else:
            threading.Thread(target=run, name="segapp-background", daemon=True).start()
