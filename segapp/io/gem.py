"""GEM files: tab-separated UMI records of a Stereo-seq chip, plain or gzip."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.records import assemble
from segapp.core.types import Tick, Transcripts, no_tick
from segapp.io.atomic import atomic_file
from segapp.io.gem_text import open_gem

_ROWS = 1 << 20


def read_gem(path: str | Path, tick: Tick = no_tick, *, cell_column: str | None = None) -> Transcripts:
    r"""Read a GEM file in blocks, so that memory follows the records and not the text.

    Parameters
    ----------
    path : str or Path
        Tab-separated text, plain or gzip (recognised by its content). Lines that start with ``#`` come first, then
        one line of column names: ``geneID``, ``x``, ``y``, one of `segapp.io.gem_text.COUNT_NAMES`, and where known
        ``geneName``, ``ExonCount``, ``EXONIC``, ``INTRONIC``, ``CellID`` or ``label``.
    tick : callable
        Called after every block with (bytes read, bytes of the file).
    cell_column : str, optional
        Column of cell ids, where it has a name of its own; in upper or lower case.

    Returns
    -------
    Transcripts
        Sorted by (y, x, gene), duplicated rows summed. ``EXONIC`` and ``INTRONIC`` are the layers ``spliced`` and
        ``unspliced``; ``ExonCount`` is the layer ``exon``. Where ``geneName`` is given it names the gene, and
        ``geneID`` stands in where it is empty. Header offsets are kept in `header` and never added.

    Raises
    ------
    InputError
        If the file is missing, a folder, an image, empty, cut short, lacks a column, or holds a value that is not a
        whole number in range; the line is named.

    References
    ----------
    .. [1] A. Chen et al., "Spatiotemporal transcriptomic atlas of mouse organogenesis using DNA
       nanoball-patterned arrays", Cell 185(10), 2022.
    .. [2] STOmics, "SAW: Stereo-seq Analysis Workflow", https://github.com/STOmics/SAW

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("#BinSize=1\ngeneID\tx\ty\tMIDCount\nActb\t7\t9\t2\nActb\t7\t9\t3\n")
    >>> t = read_gem(path)
    >>> t.genes, t.bbox, t.counts["total"].tolist(), dict(t.header)
    (('Actb',), (7, 9, 7, 9), [5], {'BinSize': '1'})
    """
    with open_gem(path, cell_column=cell_column) as gem:
        columns = {role: _Column() for role in ("x", "y", "gene", *gem.layers)}
        for block, at in gem.blocks:
            for role, values in block.items():
                columns[role].append(values, gem.size / max(at, 1))
            tick(min(at, gem.size), gem.size)
        return assemble({role: columns.pop(role).values() for role in list(columns)}, list(gem.genes), gem.header)


class _Column:
    """Values that arrive in pieces, kept in one array that is made long enough from the share of the file read."""

    def __init__(self) -> None:
        self.n = 0
        self._room: np.ndarray = np.empty(0)

    def append(self, piece: np.ndarray, file_over_read: float) -> None:
        end = self.n + len(piece)
        if end > len(self._room):
            # Room that is never written takes no memory, so a little too much costs nothing.
            room = np.empty(max(int(end * file_over_read * 1.05), end * 9 // 8), dtype=piece.dtype)
            room[: self.n] = self._room[: self.n]
            self._room = room
        self._room[self.n : end] = piece
        self.n = end

    def values(self) -> np.ndarray:
        return self._room[: self.n]


def write_gem(transcripts: Transcripts, path: str | Path) -> None:
    """Write a GEM file, gzip when the name ends in ``.gz``; it appears whole or not at all.

    Parameters
    ----------
    transcripts : Transcripts
        What to write; `read_gem` of the file gives the same content and digest.
    path : str or Path
        The file to write.

    Raises
    ------
    InputError
        If `path` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem.gz"
    >>> from segapp.core.records import make_transcripts
    >>> t = make_transcripts([7], [9], [0], {"total": [2]}, ["Actb"], header={"BinSize": "1"})
    >>> write_gem(t, path)
    >>> read_gem(path).digest == t.digest
    True
    """
    write_gem_parts((transcripts,), transcripts.header, path)


def write_gem_parts(parts: Iterable[Transcripts], header: Mapping[str, str], path: str | Path) -> None:
    """Write records that come in parts as one GEM file; it appears whole or not at all.

    Parameters
    ----------
    parts : iterable of Transcripts
        With the same genes, layers and, in all or in none, cell ids. Each is written before the next is asked for.
    header : mapping of str to str
        The ``#`` lines.
    path : str or Path
        The file to write, gzip when the name ends in ``.gz``.

    Raises
    ------
    InputError
        If `path` cannot be written.
    """
    import polars as pl

    path = Path(path)
    titles = {"total": "MIDCount", "exon": "ExonCount", "spliced": "EXONIC", "unspliced": "INTRONIC"}
    with atomic_file(path) as temporary, temporary.open("wb") as raw:
        # No name and no time in the gzip header: the same records give the same bytes.
        packed = path.suffix == ".gz"
        out: Any = gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) if packed else raw
        for key, value in header.items():
            out.write(f"#{key}={value}\n".encode())
        first = True
        for part in parts:
            genes = pl.Series("geneID", part.genes, dtype=pl.String)
            for start in range(0, len(part), _ROWS):
                rows = slice(start, start + _ROWS)
                frame = {
                    "geneID": genes.gather(part.gene[rows]),
                    "x": part.x[rows],
                    "y": part.y[rows],
                    **{titles[name]: part.counts[name][rows] for name in titles if name in part.counts},
                }
                if part.cell_id is not None:
                    frame["CellID"] = part.cell_id[rows]
                text = pl.DataFrame(frame).write_csv(separator="\t", include_header=first, quote_style="never")
                out.write(text.encode())
                first = False
        if packed:
            out.close()
