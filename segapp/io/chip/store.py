"""A converted chip: windows of its counts, its stain and its transcripts, whatever its size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.types import Grid, InputError, Transcripts, Unavailable

FORMAT = 1
"""Version of the layout on the disk."""

ABOUT = "chip.json"
"""The file that is written last: a folder without it is not, or not yet, a chip."""

SIDE = 1024
"""Side of a tile and of a chunk, px."""


@dataclass(frozen=True, eq=False)
class Chip:
    """A chip on the disk; nothing of it is read before a window is asked for.

    Parameters
    ----------
    path : Path
        Folder of the chip.
    box : Grid
        Smallest box of whole tiles around all records, in input coordinates; its arrays are the levels of the counts.
    bbox : (x_min, y_min, x_max, y_max)
        Of the records, inclusive, in input coordinates.
    genes : tuple of str
        Gene names, sorted.
    layers : tuple of str
        Layers of the counts, ``"total"`` among them.
    header : mapping of str to str
        The ``#`` lines of the file that was converted.
    n_umis, n_records : int
        Of the whole chip.
    tiles : mapping of (row, column) to int
        Records of each tile that holds any.
    digest : str
        Hash of the content: the same records give the same digest, in whatever order they were converted.
    stain : mapping or None
        ``shape``, ``dtype``, ``name`` and ``digest`` of the stain where there is one, and what was done to it
        (``resampled``, ``scaled``).

    Examples
    --------
    >>> import tempfile
    >>> from segapp.io.chip import convert_chip
    >>> from segapp.io.samples import write_sample
    >>> folder = Path(tempfile.mkdtemp())
    >>> gem, stain, *_ = write_sample("tissue", folder, size=128)
    >>> chip = convert_chip(gem, folder / "chip", stain=stain)
    >>> window = Grid(20, 30, height=40, width=50)
    >>> chip.counts("total", window).shape, chip.transcripts(window).n_umis - int(chip.counts("total", window).sum())
    ((40, 50), 0)
    """

    path: Path
    box: Grid
    bbox: tuple[int, int, int, int]
    genes: tuple[str, ...]
    layers: tuple[str, ...]
    header: Mapping[str, str]
    n_umis: int
    n_records: int
    tiles: Mapping[tuple[int, int], int] = field(repr=False)
    digest: str = ""
    stain: Mapping[str, Any] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Chip:
        """Open a chip.

        Parameters
        ----------
        path : str or Path
            Folder that `convert_chip` wrote.

        Returns
        -------
        Chip

        Raises
        ------
        InputError
            When there is no chip at `path`, its conversion did not end, or another version wrote it.
        """
        path = Path(path)
        try:
            about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            begun = (path / "spool").exists()
            raise InputError(
                f"The conversion of {path} did not end; run segapp convert again, and it goes on where it stopped."
                if begun
                else f"{path} is not a converted chip: it has no {ABOUT}; make one with segapp convert."
            ) from error
        except (OSError, ValueError) as error:
            raise InputError(f"{path / ABOUT} cannot be read ({error}); convert the chip again.") from error
        if about.get("format") != FORMAT:
            raise InputError(
                f"{path} has format {about.get('format')} and this version reads format {FORMAT}; convert it again."
            )
        return cls(
            path=path,
            box=Grid(**about["box"]),
            bbox=tuple(about["bbox"]),
            genes=tuple(about["genes"]),
            layers=tuple(about["layers"]),
            header=about["header"],
            n_umis=about["n_umis"],
            n_records=about["n_records"],
            tiles={(row, column): records for row, column, records in about["tiles"]},
            digest=about["digest"],
            stain=about["stain"],
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the pixels of the stain when it was converted, a sentence each."""
        done = () if self.stain is None else (self.stain.get("resampled"), self.stain.get("scaled"))
        return tuple(text for text in done if text)

    def counts(self, layer: str, window: Grid, level: int = 0) -> np.ndarray:
        """Return the UMIs of a layer in a window.

        Parameters
        ----------
        layer : str
            One of `layers`.
        window : Grid
            In input coordinates; it may reach beyond the chip, where counts are 0.
        level : int
            0 for pixels; n for sums over squares of ``2**n`` px, counted from the corner of `box`: the squares that
            overlap the window.

        Returns
        -------
        (H, W) uint32
            ``window.shape`` at level 0.

        Raises
        ------
        Unavailable
            When the chip has no such layer.
        """
        if layer not in self.layers:
            raise Unavailable(f"the chip has no {layer} counts; the layers here are {', '.join(self.layers)}")
        array = self._open(f"counts/{layer}/{level}")
        return _window(array, window, self.box.x0, self.box.y0, 1 << level).astype(np.uint32, copy=False)

    def stain_image(self, window: Grid, level: int = 0, *, x0: int = 0, y0: int = 0) -> np.ndarray:
        """Return the stain in a window, as it was stored: upright, all its channels.

        Parameters
        ----------
        window : Grid
            In input coordinates; outside the stain it is 0.
        level : int
            0 for pixels; n for means over squares of ``2**n`` px.
        x0, y0 : int
            Input position of the stain's first pixel.

        Returns
        -------
        (H, W) or (C, H, W) array
        """
        if self.stain is None:
            raise Unavailable("the chip has no stain: convert it with one, or choose a preset that needs none")
        return _window(self._open(f"stain/{level}"), window, x0, y0, 1 << level)

    def transcripts(self, window: Grid) -> Transcripts:
        """Return the records inside a window.

        Parameters
        ----------
        window : Grid
            In input coordinates.

        Returns
        -------
        Transcripts
            Sorted by (y, x, gene), with `genes` of the whole chip; its digest stands for the chip and the window.

        Raises
        ------
        InputError
            When there is no record in the window.
        """
        import polars as pl

        x1, y1 = window.x0 + window.width, window.y0 + window.height
        inside = (pl.col("x") >= window.x0) & (pl.col("x") < x1) & (pl.col("y") >= window.y0) & (pl.col("y") < y1)
        parts = [
            pl.read_parquet(self.tile_path((row, column)), memory_map=False).filter(inside)
            for row in range(window.y0 // SIDE, (y1 - 1) // SIDE + 1)
            for column in range(window.x0 // SIDE, (x1 - 1) // SIDE + 1)
            if (row, column) in self.tiles
        ]
        rows = pl.concat(parts).sort("y", "x", "gene") if parts else None
        if rows is None or not rows.height:
            raise InputError(
                f"There is no UMI at x {window.x0} to {x1 - 1}, y {window.y0} to {y1 - 1}; choose a window inside "
                f"x {self.bbox[0]} to {self.bbox[2]}, y {self.bbox[1]} to {self.bbox[3]}."
            )
        columns = {name: np.ascontiguousarray(rows[name].to_numpy()) for name in rows.columns}
        x, y, gene = columns.pop("x"), columns.pop("y"), columns.pop("gene")
        return Transcripts(
            x=x,
            y=y,
            gene=gene,
            cell_id=columns.pop("cell_id", None),
            counts=columns,
            genes=self.genes,
            header=self.header,
            digest=f"{self.digest}:{window.x0},{window.y0},{window.height},{window.width}",
        )

    def level(self, name: str, most: int = 99) -> int:
        """Return the smallest picture of an array that is there.

        Parameters
        ----------
        name : str
            ``"stain"`` or ``"counts/LAYER"``.
        most : int
            The level that would do; what is written may end before it.

        Returns
        -------
        int
            A level at most `most`.
        """
        level, folder = 0, self.path / "arrays.zarr" / name
        while level < most and (folder / str(level + 1)).exists():
            level += 1
        return level

    def tile_path(self, tile: tuple[int, int]) -> Path:
        """Return the parquet file of the records of a tile."""
        return self.path / "transcripts" / f"{tile[0]}_{tile[1]}.parquet"

    def _open(self, name: str) -> Any:
        import zarr

        return zarr.open_array(self.path / "arrays.zarr", path=name, mode="r")


def is_chip(path: str | Path) -> bool:
    """Whether a folder holds a chip whose conversion ended."""
    return (Path(path) / ABOUT).is_file()


def _window(array: Any, window: Grid, x0: int, y0: int, scale: int) -> np.ndarray:
    """Cut a window in input coordinates out of an array whose pixels are `scale` wide; outside is 0."""
    top, left = (window.y0 - y0) // scale, (window.x0 - x0) // scale
    bottom = -(-(window.y0 + window.height - y0) // scale)
    right = -(-(window.x0 + window.width - x0) // scale)
    out = np.zeros((*array.shape[:-2], bottom - top, right - left), array.dtype)
    rows = slice(max(top, 0), min(bottom, array.shape[-2]))
    columns = slice(max(left, 0), min(right, array.shape[-1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        out[..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = array[
            ..., rows, columns
        ]
    return out
