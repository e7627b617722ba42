"""The scorecard: counted when nothing else is computed, stopped when something is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from segapp.app.feature import Feature, guarded
from segapp.core.scorecard import Scorecard
from segapp.core.types import Cancelled
from segapp.pipeline.figures import NEEDED, scorecard_of
from segapp.views.scorecard import EARLIER, EMPTY, SHOWN, UNCOUNTED, ScorecardPanel

REST_S = 0.35
"""Pause after a result before its figures are counted: a slider that is still moving comes first."""


class Figures(Feature):
    """Describes the cells on the screen without a truth.

    Attributes
    ----------
    card : Scorecard or None
        Of the cells on the screen; None until it is counted.
    cells : array or None
        What `card` describes.
    """

    name = "scorecard"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.panel = ScorecardPanel()
        self.drawer = {"Scorecard": self.panel.widget}
        self.card: Scorecard | None = None
        self.cells: Any = None
        self._serial = 0
        self._heard: list[Callable[[], None]] = []

    def on_card(self, call: Callable[[], None]) -> None:
        """Call a function whenever a scorecard is there."""
        self._heard.append(call)

    def loaded(self) -> None:
        """Forget the figures."""
        self._forget()
        self.panel.clear(EMPTY)

    def going(self) -> None:
        """Stop counting: what comes has other cells."""
        self._serial += 1

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Fade figures of cells that are gone."""
        if stage == "limits" and self.cells is not None and artefacts.get("cells") is not self.cells:
            self.panel.age()

    def idle(self) -> None:
        """Count after a rest."""
        self._serial += 1
        serial = self._serial
        if self.app.later is None:
            self._count(serial)
        else:
            self.app.later(REST_S, lambda: self._rested(serial))

    def _rested(self, serial: int) -> None:
        if not self.live.busy:
            self._count(serial)

    @guarded
    def _count(self, serial: int) -> None:
        cells = self.session.peek("cells")
        if serial != self._serial:
            return
        if cells is None:
            self._without_result()
            return
        if cells is self.cells and self.card is not None:
            self.panel.show(self.card, self.canvas.um_per_px)
            return
        artefacts = {name: self.session.peek(name) for name in NEEDED}
        if artefacts["total"] is None or artefacts["frame"] is None:  # dropped by a full store
            return
        transcripts = self.session.inputs["transcripts"]

        def tick(done: int, total: int) -> None:
            if serial != self._serial:
                raise Cancelled

        def done(card: Any, error: Exception | None) -> None:
            if serial == self._serial and not isinstance(error, Cancelled):
                self._take(cells, card, error)

        self.app.background(lambda: scorecard_of(artefacts, transcripts, tick=tick), done)

    def _without_result(self) -> None:
        """The present parameters have no cells: say whose figures these are, for the views still show cells."""
        shown = self.layers.artefacts.get("cells")
        if shown is None:
            self._forget()
            self.panel.clear(EMPTY)
        elif self.card is None:
            self.panel.clear(UNCOUNTED)
        else:
            self.panel.age(SHOWN if shown is self.cells else EARLIER)

    @guarded
    def _take(self, cells: Any, card: Scorecard | None, error: Exception | None) -> None:
        if error is not None:
            raise error
        assert card is not None
        self.cells, self.card = cells, card
        self.panel.show(card, self.canvas.um_per_px)
        for call in self._heard:
            call()

    def _forget(self) -> None:
        self._serial += 1
        self.cells, self.card = None, None
