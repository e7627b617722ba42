"""Choose genes: those chosen as chips with their counts, others by search."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w

MOST = 12
"""Suggestions that are shown."""


class GenePicker:
    """Chips of the chosen genes, a field to search in, and buttons for what it finds.

    Parameters
    ----------
    on_change : callable
        Called with the new genes after a gesture.

    Attributes
    ----------
    widget : ipywidgets.Widget
    chips, found : dict of str to ipywidgets.Button
    """

    def __init__(self, on_change: Callable[[tuple[str, ...]], None]) -> None:
        self._on_change = on_change
        self._genes: tuple[str, ...] = ()
        self._totals: Mapping[str, int] = {}
        self._names: dict[str, str] = {}
        self.chips: dict[str, w.Button] = {}
        self.found: dict[str, w.Button] = {}
        self._chips, self._found = w.HBox(), w.HBox()
        for box in (self._chips, self._found):
            box.add_class("sg-chips")
        self.search = w.Text(placeholder="Find a gene", tooltip="Part of a gene's name, in upper or lower case")
        self.search.add_class("sg-wide")
        self.search.observe(lambda change: self._suggest(), "value")
        self.note = w.HTML()
        self.note.add_class("sg-doc")
        self.widget = w.VBox([w.HTML("<b>Nuclear genes in this section</b>"), self._chips, self.search, self._found])
        self.widget.children = (*self.widget.children, self.note)
        self.widget.add_class("sg-genes")

    def show(self, genes: Sequence[str], totals: Mapping[str, int]) -> None:
        """Show the chosen genes; `totals` holds the UMIs of every gene of the section."""
        if tuple(genes) == self._genes and totals is self._totals:
            return
        if totals is not self._totals:
            self._totals = totals
            self._names = {name.lower(): name for name in totals}
        self._genes = tuple(genes)
        self.chips = {}
        there = 0
        for gene in self._genes:
            name = self._names.get(gene.lower())
            count = 0 if name is None else self._totals[name]
            there += count
            chip = w.Button(
                description=f"{name or gene} · {count:,} ✕" if name else f"{gene} ✕",
                tooltip=f"Remove {gene}" if name else f"{gene} is not in this section; remove it",
            )
            chip.add_class("sg-chip")
            if name is None:
                chip.add_class("sg-missing")
            chip.on_click(lambda _, gene=gene: self._on_change(tuple(g for g in self._genes if g != gene)))
            self.chips[gene] = chip
        self._chips.children = tuple(self.chips.values())
        self.note.value = html.escape(f"{there:,} UMIs of these genes in the section." if self._totals else "")
        self._suggest()

    def _suggest(self) -> None:
        text = self.search.value.strip().lower()
        self.found = {}
        if text:
            chosen = {gene.lower() for gene in self._genes}
            hits = [name for lower, name in self._names.items() if text in lower and lower not in chosen]
            # those that begin with it first, then those with the most UMIs
            hits.sort(key=lambda name: (not name.lower().startswith(text), -self._totals[name]))
            for name in hits[:MOST]:
                button = w.Button(description=f"{name} · {self._totals[name]:,}", tooltip=f"Add {name}")
                button.add_class("sg-chip")
                button.on_click(lambda _, name=name: self._add(name))
                self.found[name] = button
        self._found.children = tuple(self.found.values()) or (
            (w.HTML("No other gene has this in its name."),) if text else ()
        )

    def _add(self, name: str) -> None:
        self.search.value = ""
        self._on_change((*self._genes, name))
