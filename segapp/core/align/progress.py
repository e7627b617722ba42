"""Progress of work that consists of parts: it only grows."""

from __future__ import annotations

from segapp.core.types import Tick

TOTAL = 1000


class Progress:
    """Hand a tick to the parts of one piece of work, each with its share of the whole.

    Parameters
    ----------
    tick : Tick
        Told thousandths of the whole.

    Examples
    --------
    >>> progress = Progress(lambda done, total: print(done, total))
    >>> search, fit = progress.part(0, 0.6), progress.part(0.6, 1)
    >>> search(1, 2); fit(0, 3); search(0, 9); fit(3, 3)
    300 1000
    600 1000
    600 1000
    1000 1000
    """

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self._done = 0

    def part(self, start: float, end: float) -> Tick:
        """Return the tick of the part that lasts from `start` to `end`, shares of the whole."""

        def told(done: int, total: int) -> None:
            share = start + (end - start) * min(1.0, done / max(total, 1))
            self._done = max(self._done, round(TOTAL * share))
            self._tick(self._done, TOTAL)

        return told
