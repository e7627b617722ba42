"""Pin a result as A, change anything, and see what became of its cells in B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.app.feature import Feature, guarded
from segapp.core.params import Params
from segapp.core.quality import CHANGES, LabelDiff, diff_labels
from segapp.core.scorecard import Scorecard
from segapp.core.types import InputError
from segapp.pipeline.changes import changed_params
from segapp.pipeline.recipe import Recipe
from segapp.views import theme
from segapp.views.canvas import Legend
from segapp.views.compare import ComparePanel

TITLE = "Compare A and B"


@dataclass
class Pin:
    """A result that is kept: cells, what made them, their figures where they are known."""

    cells: np.ndarray
    params: Mapping[str, Params]
    recipe: Recipe
    name: str
    card: Scorecard | None = None


class Compare(Feature):
    """Keeps A and compares it with whatever the views show.

    Attributes
    ----------
    pinned : Pin or None
    diff : LabelDiff or None
        From A to the cells on the screen.
    """

    name = "compare"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.panel = ComparePanel({"pin": self.pin, "unpin": self.unpin, "flip": self.flip, "swap": self.swap})
        self.drawer = {TITLE: self.panel.widget}
        self.keys = {"f": ("Show A, or B again, after a result was pinned", self.flip)}
        self.pinned: Pin | None = None
        self.diff: LabelDiff | None = None
        self.shows_a = False
        self._before_a: Any = None
        self._compared: Any = None
        self._serial = 0

    def ready(self) -> None:
        """Hear of scorecards."""
        self.app.features["scorecard"].on_card(self._carded)  # type: ignore[attr-defined]

    def loaded(self) -> None:
        """A belongs to other data."""
        self._forget()
        self.panel.clear(pinnable=False)

    # ---- gestures

    @guarded
    def pin(self) -> None:
        """Keep the present result as A."""
        cells = self.session.peek("cells")
        if cells is None:
            raise InputError("There is no result to pin yet: wait until the cells are there.")
        figures = self.app.features["scorecard"]
        card = figures.card if figures.cells is cells else None  # type: ignore[attr-defined]
        count = len(np.unique(cells)) - 1 if card is None else card.n_cells
        self._forget()
        self.pinned = Pin(cells, dict(self.session.params), self.session.recipe(), f"{count:,} cells", card)
        self.app.drawer.open(TITLE)
        self._compare()

    @guarded
    def unpin(self) -> None:
        """Forget A."""
        self._forget()
        self.panel.clear(pinnable=self.session.peek("cells") is not None)

    @guarded
    def flip(self) -> None:
        """Show A in place of B, or B again."""
        if self.pinned is None:
            return
        if not self.shows_a:
            # B may be on its way: what stands there until then is what it takes turns with
            self._before_a = self.layers.artefacts.get("cells")
        back = self.session.peek("cells")
        back = self._before_a if back is None else back
        self.shows_a = not self.shows_a
        # the colours of the changes stay: they belong to both
        self.layers.update({"cells": self.pinned.cells if self.shows_a else back})
        self.panel.flipped(self.shows_a)

    @guarded
    def swap(self) -> None:
        """Go back to the parameters of A, and pin B in its place."""
        cells, before = self.session.peek("cells"), self.pinned
        if before is None or cells is None:
            raise InputError("There is no result to swap with yet: wait until the cells are there.")
        self.pin()
        self.session.load_recipe(before.recipe)

    # ---- results

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """New cells take the place of A on the screen."""
        if stage == "limits" and self.shows_a:
            self.shows_a = False
            self.panel.flipped(False)

    def idle(self) -> None:
        """Compare once the cells are there."""
        if self.pinned is None:
            self.panel.pin.disabled = self.session.peek("cells") is None
        else:
            self._compare()

    @guarded
    def _compare(self) -> None:
        pinned, cells = self.pinned, self.session.peek("cells")
        if pinned is None or cells is None or cells is self._compared:
            return
        if cells.shape != pinned.cells.shape:
            self.unpin()
            raise InputError("The frame has changed: A was unpinned, because its cells lie in another frame.")
        self._serial += 1
        serial = self._serial
        self._compared = cells
        self.panel.wait(pinned.name, self._changes())

        def work() -> tuple[LabelDiff, np.ndarray]:
            diff = diff_labels(pinned.cells, cells)
            return diff, diff.image(pinned.cells, cells)

        def done(found: Any, error: Exception | None) -> None:
            if serial == self._serial:
                self._take(found, error)

        self.app.background(work, done)

    @guarded
    def _take(self, found: tuple[LabelDiff, np.ndarray] | None, error: Exception | None) -> None:
        if error is not None:
            raise error
        assert found is not None
        self.diff, image = found
        # where nothing has changed, colours would only hide the cells
        changed = self.diff.kept != self.diff.same or any(self.diff.counts[name] for name in CHANGES[1:])
        entries = tuple((theme.CHANGES[name], f"{self.diff.counts[name]:,} {name}") for name in CHANGES)
        if changed:
            self.layers.overlay(image, [theme.CHANGES[name] for name in CHANGES], Legend("From A to B", entries))
        else:
            self.layers.overlay(None)
        self._show()

    def _show(self) -> None:
        if self.pinned is None or self.diff is None:
            return
        figures = self.app.features["scorecard"]
        now = figures.card if figures.cells is self._compared else None  # type: ignore[attr-defined]
        cards = None if now is None or self.pinned.card is None else (self.pinned.card, now)
        self.panel.show(self.pinned.name, self._changes(), self.diff, cards, self.canvas.um_per_px)

    def _carded(self) -> None:
        """A scorecard is there: of A, where it was pinned before, or of B."""
        figures = self.app.features["scorecard"]
        if self.pinned is not None:
            if figures.cells is self.pinned.cells:  # type: ignore[attr-defined]
                self.pinned.card = figures.card  # type: ignore[attr-defined]
            self._show()

    def _changes(self) -> list[str]:
        return [] if self.pinned is None else changed_params(self.pinned.params, self.session.params)

    def _forget(self) -> None:
        self._serial += 1
        cells = self.session.peek("cells") if self.session.inputs else None
        if self.shows_a and cells is not None:
            self.layers.update({"cells": cells})
        self.pinned, self.diff, self.shows_a, self._compared, self._before_a = None, None, False, None, None
        self.panel.flipped(False)
        self.layers.overlay(None)
