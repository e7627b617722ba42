"""Write the result to files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.views.captions import file_name


class Export(Feature):
    """Computes what is missing, writes it, and offers it to the browser."""

    name = "export"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._wanted = False
        self.button = w.Button(
            description="Export", tooltip="Write the table of cells x genes as an .h5ad file", disabled=True
        )
        self.button.add_class("sg-export")
        self.button.on_click(lambda _: self.write())
        self.header_end = (self.button,)

    def loaded(self) -> None:
        """Allow it."""
        self.button.disabled = False

    def failed(self, stage: str, sentence: str) -> None:
        """Give up."""
        self._wanted = False

    def stopped(self) -> None:
        """Give up."""
        self._wanted = False

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Write the table that was asked for."""
        if self._wanted and "table" in artefacts:
            self._write(artefacts["table"])

    @guarded
    def write(self) -> None:
        """Compute the table where it is not there yet, and write it."""
        table = self.session.peek("table")
        if table is None:
            self._wanted = True
            self.app.ask("table")
        else:
            self._write(table)

    def _write(self, table: Any) -> None:
        from segapp.io.table import write_h5ad

        self._wanted = False
        path = self.app.out.resolve() / f"{file_name(self.session.name)}_cells.h5ad"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_h5ad(table, path)
        self.banner.show(
            f"{table.n_obs:,} cells x {table.n_vars:,} genes were written to {path}",
            good=True,
            action=("Download", lambda: self.app.download.offer(path.name, path.read_bytes())),
        )
