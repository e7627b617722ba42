"""The scorecard as tiles, alone or beside that of a pinned result."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets as w

from segapp.core.scorecard import Scorecard
from segapp.views.theme import fact

EMPTY = "Numbers of the cells appear here as soon as there are some."
SHOWN = "Of the cells that the views show. The parameters that are set now have given no cells."
EARLIER = "Of an earlier result, not of the cells that the views show."
UNCOUNTED = "The cells that the views show were not counted. The parameters that are set now have given no cells."
DOC = (
    "Random: cells of the same sizes whose pixels are scattered anywhere. A ratio of 1 is chance; "
    "the higher it is at like sizes, the better the cells follow the RNA."
)


@dataclass(frozen=True)
class Row:
    """One figure: title, explanation, how to get it and how to write it; `show` gets (value, µm per px)."""

    title: str
    doc: str
    value: Callable[[Scorecard], float | None]
    show: Callable[[float, float], str]


ROWS = (
    Row("Cells", "Number of cells within the area limits", lambda card: card.n_cells, lambda v, um: f"{v:,.0f}"),
    Row(
        "Median area",
        "Half of the cells are larger",
        lambda card: card.median_area_px,
        lambda v, um: f"{v * um**2:.0f} µm² <small>{v:,.0f} px²</small>",
    ),
    Row("UMIs a cell", "Median over the cells", lambda card: card.median_umis, lambda v, um: f"{v:,.0f}"),
    Row("Genes a cell", "Median number of different genes", lambda card: card.median_genes, lambda v, um: f"{v:,.0f}"),
    Row("UMIs in cells", "Share of all UMIs of the section", lambda card: card.assigned, lambda v, um: f"{v:.1%}"),
    Row(
        "Against random",
        "UMIs in cells over UMIs in random cells of the same sizes",
        lambda card: card.ratio,
        lambda v, um: f"{v:.2f} ×",
    ),
    Row(
        "Within limits",
        "Share of the cells found that lie within the area limits",
        lambda card: card.within_limits,
        lambda v, um: f"{v:.1%}",
    ),
    Row("Nuclei a cell", "Mean", lambda card: card.nuclei_per_cell, lambda v, um: f"{v:.2f}"),
)


def tiles(card: Scorecard, um_per_px: float) -> str:
    """Return the scorecard as HTML; what is not known is left out.

    Examples
    --------
    >>> "12" in tiles(Scorecard(12), 0.5), "Median area" in tiles(Scorecard(0), 0.5)
    (True, False)
    """
    made = []
    for row in ROWS:
        value = row.value(card)
        if value is not None:
            doc = html.escape(row.doc, quote=True)
            text = row.show(value, um_per_px)
            if row.title == "Against random" and card.random_assigned is not None:
                text += f" <small>random {card.random_assigned:.1%}</small>"
            made.append(f'<div class="sg-tile" title="{doc}">{fact(row.title, text)}</div>')
    return f'<div class="sg-tiles">{"".join(made)}</div>'


def columns(before: Scorecard, after: Scorecard, um_per_px: float) -> str:
    """Return two scorecards side by side as the rows of an HTML table, with the change."""
    rows = []
    for row in ROWS:
        a, b = row.value(before), row.value(after)
        if a is None and b is None:
            continue
        texts = ["–" if v is None else row.show(v, um_per_px).split(" <small>")[0] for v in (a, b)]
        change = "" if a is None or b is None or not a else f"{(b - a) / a:+.1%}"
        change = "=" if a == b else "≈" if change in ("+0.0%", "-0.0%") else change
        rows.append(f"<tr><th scope='row'>{row.title}</th><td>{texts[0]}</td><td>{texts[1]}</td><td>{change}</td></tr>")
    return "".join(rows)


class ScorecardPanel:
    """The section with the tiles.

    Attributes
    ----------
    widget : ipywidgets.Widget
    """

    def __init__(self) -> None:
        self.numbers = w.HTML()
        self.numbers.add_class("sg-scorecard")
        self.whose = w.HTML(layout=w.Layout(display="none"))
        self.whose.add_class("sg-whose")
        self.doc = w.HTML(html.escape(DOC))
        self.doc.add_class("sg-doc")
        self.widget = w.VBox([self.whose, self.numbers, self.doc])
        self.clear(EMPTY)

    def show(self, card: Scorecard, um_per_px: float) -> None:
        """Write the figures."""
        self.numbers.value = tiles(card, um_per_px)
        self.numbers.remove_class("sg-old")
        self._tell("")
        self.doc.layout.display = ""

    def age(self, whose: str = "") -> None:
        """Show that the figures are not those of the present parameters, and in words whose they are."""
        self.numbers.add_class("sg-old")
        self._tell(whose)

    def clear(self, reason: str) -> None:
        """Show no figures, and why."""
        self.numbers.value = f'<div class="sg-empty">{html.escape(reason)}</div>'
        self.numbers.remove_class("sg-old")
        self._tell("")
        self.doc.layout.display = "none"

    def _tell(self, whose: str) -> None:
        self.whose.value = f"<span role='status'>{html.escape(whose)}</span>" if whose else ""
        self.whose.layout.display = "" if whose else "none"
