"""Nuclear genes by search, in the card of the RNA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.app.feature import Feature, guarded
from segapp.views.genes import GenePicker


class Genes(Feature):
    """Counts every gene once the card is open, away from the page's thread."""

    name = "genes"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.picker = GenePicker(self.choose)
        self.cards = {"rna": (self.picker.widget,)}
        self._totals: Mapping[str, int] = {}
        self._counted: Any = None

    @guarded
    def choose(self, genes: tuple[str, ...]) -> None:
        """Set the genes."""
        self.session.set("rna", genes=list(genes))
        self.refresh()

    def refresh(self) -> None:
        """Show the genes that are chosen."""
        if not self.panels["rna"].opened:
            return
        transcripts = self.session.inputs.get("transcripts")
        if transcripts is not None and transcripts is not self._counted:
            self._counted = transcripts
            self.app.background(lambda: count_genes(transcripts), lambda found, error: self._take(transcripts, found))
        self.picker.show(getattr(self.session.params["rna"], "genes", ()), self._totals)

    @guarded
    def _take(self, transcripts: Any, found: Mapping[str, int] | None) -> None:
        if transcripts is self._counted and found is not None:
            self._totals = found
            self.refresh()


def count_genes(transcripts: Any) -> dict[str, int]:
    """Return the UMIs of every gene."""
    sums = np.bincount(transcripts.gene, weights=transcripts.counts["total"], minlength=len(transcripts.genes))
    return dict(zip(transcripts.genes, sums.astype(np.int64).tolist(), strict=True))
