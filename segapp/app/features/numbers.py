"""The numbers of a result in the strip at the bottom."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.app.feature import Feature
from segapp.core import display
from segapp.views.captions import only_nuclei


class Numbers(Feature):
    """Counts cells, nuclei and ghosts as soon as they are there; UMIs with the table."""

    name = "numbers"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._began = time.perf_counter()
        self._shown: Any = None

    def loaded(self) -> None:
        """Wait for the first result."""
        self.status.say("Computing …")
        self._shown = None

    def going(self) -> None:
        """Begin to count seconds."""
        self._began = time.perf_counter()

    def failed(self, stage: str, sentence: str) -> None:
        """Say that there is nothing to count."""
        if self.layers.artefacts.get("cells") is None:
            self.status.say("There are no cells yet.")
            self._shown = None

    def meanwhile(self, artefacts: Mapping[str, Any]) -> None:
        """Say what is shown, and that it is not the result."""
        if artefacts.get("cells") is not None:
            self._shown = None
            self.status.show_preview(display.count_labels(artefacts["cells"]))

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Show the numbers of new cells or of a new table."""
        cells = self.layers.artefacts.get("cells")
        table = artefacts.get("table")
        if cells is not None and (table is not None or (stage == "limits" and cells is not self._shown)):
            self._shown = cells
            self._show(cells, table)

    def _show(self, cells: np.ndarray, table: Any) -> None:
        held = self.layers.artefacts
        nuclei, ghosts = held.get("nuclei"), held.get("ghosts")
        numbers: dict[str, Any] = display.summary(cells)
        if nuclei is not None and not only_nuclei(self.session):
            numbers["n_nuclei"] = display.count_labels(nuclei)
        if ghosts is not None:
            numbers["n_ghosts"] = display.count_labels(ghosts)
        if table is not None:
            umis = np.asarray(table.obs["n_counts"])
            numbers["median_umis"] = float(np.median(umis)) if len(umis) else None
            numbers["assigned"] = float(umis.sum()) / max(self.session.inputs["transcripts"].n_umis, 1)
        self.status.show_numbers(**numbers, um_per_px=self.canvas.um_per_px, seconds=time.perf_counter() - self._began)
