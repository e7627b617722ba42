"""Write the result to files, in any format that there is an exporter for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segapp.app.feature import Feature, guarded
from segapp.core.types import SegappError
from segapp.io.export import EXPORTERS, Exporter
from segapp.views.captions import file_name
from segapp.views.menu import Menu

LARGEST = 400 << 20
"""Bytes that are handed to the browser; a larger file stays where it was written."""

HOLDS = {
    "h5ad": "{cells} x {genes} genes",
    "tif": "Labels of {cells}, {width} x {height} px",
    "geojson": "Outlines of {cells}",
    "csv": "{cells}, one line each",
    "parquet": "{cells}, one line each",
    "gem": "{records} records with the ids of {cells}",
    "spatialdata": "{cells} x {genes} genes with labels and outlines",
    "ome-zarr": "Labels of {cells}, {width} x {height} px",
    "html": "A report on {cells}",
}
"""What a file of each format holds, in numbers; of any other format the cells are counted."""


def holds(name: str, result: Any) -> str:
    """Return in words what a file of the format `name` holds of a result.

    Examples
    --------
    >>> from types import SimpleNamespace as Some
    >>> import numpy as np
    >>> one = Some(table=Some(n_obs=1, n_vars=238), labels=np.ones((4, 5), np.int32), transcripts=None)
    >>> holds("tif", one), holds("h5ad", one)
    ('Labels of 1 cell, 5 x 4 px', '1 cell x 238 genes')
    """
    n = result.table.n_obs
    height, width = result.labels.shape
    return HOLDS.get(name, "{cells}").format(
        cells=f"{n:,} cell" if n == 1 else f"{n:,} cells",
        genes=f"{result.table.n_vars:,}",
        records="All" if result.transcripts is None else f"{len(result.transcripts):,}",
        width=width,
        height=height,
    )


class Export(Feature):
    """Computes what is missing, writes it away from the page's thread, and offers it to the browser."""

    name = "export"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._wanted: Exporter | None = None
        self.menu_of_formats = Menu(
            "Export",
            "Write the result to a file",
            [
                (exporter.title, exporter.doc, lambda exporter=exporter: self.write(exporter.name))  # type: ignore[misc]
                for exporter in EXPORTERS.values()
            ],
        )
        self.button = self.menu_of_formats.button
        self.button.disabled = True
        self.button.add_class("sg-export")
        self.header_end = (self.menu_of_formats.widget,)

    def loaded(self) -> None:
        """Allow it."""
        self.button.disabled = False

    def failed(self, stage: str, sentence: str) -> None:
        """Give up."""
        self._wanted = None

    def stopped(self) -> None:
        """Give up."""
        self._wanted = None

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """Write what was asked for as soon as everything is there."""
        if "table" in artefacts and self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self._write(wanted)

    @guarded
    def write(self, name: str = "h5ad") -> None:
        """Compute the table where it is not there yet, and write the format `name`."""
        exporter = EXPORTERS[name]
        if self.session.peek("table") is None:
            self._wanted = exporter
            self.app.ask("table")
        else:
            self._write(exporter)

    def _write(self, exporter: Exporter) -> None:
        from segapp.pipeline.job import result_of

        path = self.app.out.resolve() / f"{file_name(self.session.name)}_cells{exporter.suffix}"
        self.status.work(f"Writing {path.name} …")

        def work() -> str:
            path.parent.mkdir(parents=True, exist_ok=True)
            result = result_of(self.session)
            exporter.write(result, path)
            return holds(exporter.name, result)

        def done(found: Any, error: Exception | None) -> None:
            self.status.work("")
            if error is not None:
                sentence = str(error) if isinstance(error, SegappError) else f"{type(error).__name__}: {error}"
                self.banner.show(f"{exporter.title} was not written: {sentence}")
                return
            self._offer(found, path)

        self.app.background(work, done)

    def _offer(self, found: str, path: Path) -> None:
        files = [path] if path.is_file() else _files(path)
        small = sum(file.stat().st_size for file in files) <= LARGEST
        self.banner.show(
            f"{found}, written to {path}", good=True, action=("Download", lambda: self._hand(path)) if small else None
        )

    @guarded
    def _hand(self, path: Path) -> None:
        """Hand what was written to the browser, a folder as a zip of it."""

        def done(content: bytes, error: Exception | None) -> None:
            if error is not None:
                self.banner.show(f"{path.name} was not read again: {error}")
                return
            self.app.download.offer(path.name if path.is_file() else f"{path.name}.zip", content)

        self.app.background(lambda: path.read_bytes() if path.is_file() else packed(path), done)


def packed(folder: Path) -> bytes:
    """Return a folder as the bytes of a zip file, in which it lies under its own name.

    Examples
    --------
    >>> import tempfile
    >>> store = Path(tempfile.mkdtemp()) / "cells.zarr"
    >>> store.mkdir()
    >>> _ = (store / "zarr.json").write_text("{}")
    >>> zipfile.ZipFile(io.BytesIO(packed(store))).namelist()
    ['cells.zarr/zarr.json']
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:  # what a store holds is compressed already
        for file in _files(folder):
            archive.write(file, Path(folder.name) / file.relative_to(folder))
    return content.getvalue()


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
