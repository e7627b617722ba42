"""The card of one cell."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets as w

from segapp.core.card import CellCard
from segapp.core.types import Grid
from segapp.views.theme import fact

EMPTY = "Click a cell in any view to see what it is made of."
SOURCES = {
    "watershed": "nucleus from the stain (watershed)",
    "network": "nucleus from the stain (network)",
    "rna": "nucleus from nuclear RNA",
    "drawn": "drawn by hand",
    "components": "RNA alone, without a nucleus",
}
"""Where a cell came from, in words."""


def card_html(card: CellCard, grid: Grid, *, source: str, state: str) -> str:
    """Return the card as HTML; `state` says what is special about the cell, such as that it was edited."""
    facts = [
        ("Area", f"{grid.um2(card.area_px):.0f} µm² <small>{card.area_px:,} px²</small>"),
        ("UMIs", f"{card.umis:,}"),
        ("Genes", f"{card.n_genes:,}"),
    ]
    if card.score is not None:
        facts.append(("Mean score", f"{card.score:.2f}"))
    if card.nucleus_area_px is not None:
        share = card.nucleus_area_px / card.area_px
        facts.append(("Nucleus", f"{grid.um2(card.nucleus_area_px):.0f} µm² <small>{share:.0%} of the cell</small>"))
    x, y = card.x + grid.x0, card.y + grid.y0
    facts += [
        ("Position", f"x {x:,.0f}, y {y:,.0f} <small>input coordinates</small>"),
        ("Made from", html.escape(SOURCES.get(source, source))),
    ]
    notes = [state] if state else []
    if card.touches_border:
        notes.append("It touches the edge of the frame and may be cut off.")
    rows = "".join(f"<div>{fact(name, value)}</div>" for name, value in facts)
    note = "".join(f'<p class="sg-card-note">{html.escape(text)}</p>' for text in notes)
    most = card.top_genes[0][1] if card.top_genes else 1
    genes = "".join(_gene(gene, n, n / most) for gene, n in card.top_genes)
    genes = f'<div class="sg-genes" aria-label="Genes with the most UMIs">{genes}</div>' if genes else "<p>No UMIs.</p>"
    return f'<div class="sg-cell-name">Cell {card.label}</div>{note}<div class="sg-facts">{rows}</div>{genes}'


def _gene(name: str, umis: int, share: float) -> str:
    bar = f'<i style="width:{share:.0%}"></i>'
    return f'<div class="sg-gene"><span>{html.escape(name)}</span>{bar}<b>{umis:,}</b></div>'


class CardPanel:
    """The section with the card.

    Parameters
    ----------
    on_close : callable
        Called when a person lets go of the cell.

    Attributes
    ----------
    widget : ipywidgets.Widget
    """

    def __init__(self, on_close: Callable[[], None]) -> None:
        self.body = w.HTML()
        self.body.add_class("sg-cell-card")
        self.close = w.Button(description="Let go", tooltip="Take the outline and the card away")
        self.close.add_class("sg-small")
        self.close.on_click(lambda _: on_close())
        self.widget = w.VBox([self.body, self.close])
        self.clear(EMPTY)

    def show(self, text: str) -> None:
        """Write a card, HTML."""
        self.body.value = f'<div role="status">{text}</div>'
        self.close.layout.display = ""

    def clear(self, reason: str) -> None:
        """Show no cell, and why."""
        self.body.value = f'<div class="sg-empty" role="status">{html.escape(reason)}</div>'
        self.close.layout.display = "none"
