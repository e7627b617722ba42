"""Records on their way into a chip: sorted into tiles as they come, and on the disk when there are many."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.records import sort_order
from segapp.io.atomic import atomic_file

HELD = 192 << 20
"""Bytes of records that wait in memory: enough for every tile of a chip to get a long piece at each writing."""

Tile = tuple[int, int]


class Spool:
    """Records of a chip by tile, appended to one file a tile.

    It survives the death of its process: what was written before the last `mark` is found again, what came later is
    cut off.

    Parameters
    ----------
    folder : Path
        Where the files lie; made when missing. What was marked there with the same columns and side goes on.
    columns : tuple of str
        Columns beside ``x``, ``y`` and ``gene``, kept as uint32.
    side : int
        Side of a tile in px. Tile (r, c) holds ``y // side == r`` and ``x // side == c`` in input coordinates: no
        bounding box need be known before the last record.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> spool = Spool(folder, ("total",), side=100)
    >>> at = np.array([1, 150], np.int32)
    >>> spool.add({"x": at, "y": at, "gene": at, "total": at})
    >>> spool.mark({"blocks": 1})
    >>> again = Spool(folder, ("total",), side=100)
    >>> sorted(again.tiles), again.read((1, 1))["x"].tolist(), again.state
    ([(0, 0), (1, 1)], [150], {'blocks': 1})
    """

    def __init__(self, folder: Path, columns: tuple[str, ...], side: int) -> None:
        self.folder, self.side = folder, side
        self.names = ("x", "y", "gene", *columns)
        self.dtype = np.dtype([(name, "<u4" if name in columns else "<i4") for name in self.names])
        self.state: dict[str, Any] = {}
        self.tiles: dict[Tile, int] = {}
        self._held: dict[Tile, list[np.ndarray]] = {}
        self._bytes = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    @property
    def _kind(self) -> list[Any]:
        return [self.side, *self.names]

    def _resume(self) -> None:
        marked = self.folder / "marked.json"
        if marked.exists():
            found = json.loads(marked.read_text(encoding="utf-8"))
            if found["kind"] == self._kind:
                self.state = found["state"]
                self.tiles = {(row, column): records for row, column, records in found["tiles"]}
        for path in self.folder.glob("*.bin"):
            row, column = (int(part) for part in path.stem.split("_"))
            kept = self.tiles.get((row, column), 0) * self.dtype.itemsize
            if kept:
                os.truncate(path, kept)
            else:
                path.unlink()

    def add(self, block: Mapping[str, np.ndarray]) -> None:
        """Take records: (N,) columns by name."""
        row, column = block["y"] // self.side, block["x"] // self.side
        order = sort_order(row, column)
        records = np.empty(len(order), self.dtype)
        for name in self.names:
            records[name] = block[name][order]
        row, column = row[order], column[order]
        changes = np.flatnonzero((np.diff(row) != 0) | (np.diff(column) != 0)) + 1
        for start, stop in zip([0, *changes.tolist()], [*changes.tolist(), len(order)], strict=True):
            if stop > start:
                tile = int(row[start]), int(column[start])
                # a copy: a slice would hold the whole block in memory until its last tile is written
                self._held.setdefault(tile, []).append(records[start:stop].copy())
        self._bytes += records.nbytes
        if self._bytes > HELD:
            self.flush()

    def flush(self) -> None:
        """Write what waits in memory."""
        for tile, pieces in self._held.items():
            with self._path(tile).open("ab") as file:
                for piece in pieces:
                    file.write(piece.tobytes())
            self.tiles[tile] = self.tiles.get(tile, 0) + sum(len(piece) for piece in pieces)
        self._held, self._bytes = {}, 0

    def mark(self, state: Mapping[str, Any]) -> None:
        """Write what waits, and remember `state` (JSON values) as what is safe."""
        self.flush()
        self.state = dict(state)
        tiles = [[row, column, records] for (row, column), records in sorted(self.tiles.items())]
        with atomic_file(self.folder / "marked.json") as temporary:
            temporary.write_text(json.dumps({"kind": self._kind, "state": self.state, "tiles": tiles}), "utf-8")

    def read(self, tile: Tile) -> np.ndarray:
        """Return the marked records of a tile as a structured array, in the order of their coming."""
        return np.fromfile(self._path(tile), self.dtype, count=self.tiles[tile])

    def _path(self, tile: Tile) -> Path:
        return self.folder / f"{tile[0]}_{tile[1]}.bin"
