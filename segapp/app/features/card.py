"""Click a cell: its outline in the views and its card beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.app.feature import Feature, guarded
from segapp.core.card import CellCard, describe_cell, same_pixels
from segapp.core.display import Window, contours
from segapp.pipeline.tabulate import cell_source
from segapp.views.card import EMPTY, CardPanel, card_html

TITLE = "Cell"
N_GENES = 10


class Card(Feature):
    """Follows one place: the cell there is described anew after every result.

    Attributes
    ----------
    at : (x, y) or None
        The place, in array px.
    card : CellCard or None
        What is shown.
    """

    name = "card"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.panel = CardPanel(self.let_go)
        self.drawer = {TITLE: self.panel.widget}
        self.at: tuple[float, float] | None = None
        self.card: CellCard | None = None
        self._shown: tuple[Any, ...] = ()
        self.canvas.on_tap(self.click)

    def loaded(self) -> None:
        """Forget the cell: it belongs to other data."""
        self.at = None
        self._clear(EMPTY)

    @guarded
    def click(self, x: float, y: float) -> None:
        """Describe the cell at a place; a click beside all cells lets go."""
        if not self.session.inputs:
            return
        self.at = (x, y)
        self.app.drawer.open(TITLE)
        self._describe(clicked=True)

    @guarded
    def let_go(self) -> None:
        """Take outline and card away."""
        self.at = None
        self._clear(EMPTY)

    def idle(self) -> None:
        """The cell at the place may be another one now."""
        if self.at is not None:
            self._describe()

    def _describe(self, *, clicked: bool = False) -> None:
        held = {name: self.session.peek(name) for name in ("cells", "ghosts", "nuclei", "frame")}
        cells, ghosts, grid = held["cells"], held["ghosts"], held["frame"]
        if cells is None or grid is None or self.at is None:
            return
        if not clicked and self._shown and self._shown[0] is cells and self._shown[1] is ghosts:
            return
        row, col = int(np.floor(self.at[1])), int(np.floor(self.at[0]))
        inside = 0 <= row < cells.shape[0] and 0 <= col < cells.shape[1]
        label, labels, ghost = 0, cells, False
        if inside:
            label = int(cells[row, col])
            if not label and ghosts is not None and ghosts[row, col]:
                label, labels, ghost = int(ghosts[row, col]), ghosts, True
        if not label:
            if clicked:
                self.at = None
            self._clear("There is no cell at this place." if clicked else "The cell that was here is gone.")
            return
        scores = self.session.peek(self.layers.score)
        nuclei = None if ghost else held["nuclei"]
        card = describe_cell(
            self.session.inputs["transcripts"], labels, grid, label, n_top=N_GENES, nuclei=nuclei, scores=scores
        )
        self.card, self._shown = card, (cells, ghosts)
        self.panel.show(card_html(card, grid, source=self._source(label, nuclei), state=self._state(label, ghost)))
        self.layers.highlight([_outline(labels, card)] if ghost else label)
        if clicked:
            self.app.page.reveal(".sg-section:has(.sg-cell-card)")  # it lies below what is long

    def _source(self, label: int, nuclei: Any) -> str:
        provenance = self.session.peek("nuclei_provenance")
        seeded = self.session.peek("edited_nuclei") if nuclei is None else nuclei
        return "" if provenance is None else cell_source(label, seeded, provenance)

    def _state(self, label: int, ghost: bool) -> str:
        if ghost:
            return "It lies outside the area limits: it is shown as a ghost and not counted."
        edited, made = self.session.peek("edited_cells"), self.session.peek("cell_labels")
        if edited is None or made is None or edited is made or same_pixels(edited, made, label):
            return ""
        return "It was edited by hand."

    def _clear(self, reason: str) -> None:
        self.card, self._shown = None, ()
        self.panel.clear(reason)
        self.layers.highlight(None)


def _outline(labels: np.ndarray, card: CellCard) -> np.ndarray:
    """Return the largest outline of a cell as a polygon."""
    top, left, bottom, right = card.box
    part = np.where(labels[top:bottom, left:right] == card.label, 1, 0).astype(np.int32)
    x, y = contours(part, Window(left, top, right, bottom, right - left, bottom - top))
    ends = np.flatnonzero(np.isnan(x))
    pieces = np.split(np.column_stack([x, y]), ends)
    longest = max(pieces, key=len)
    return longest[~np.isnan(longest[:, 0])]
