"""GEM files: tab-separated UMI records of a Stereo-seq chip, plain or gzip."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from segapp.core.records import assemble
from segapp.core.types import InputError, Tick, Transcripts, no_tick
from segapp.io.atomic import atomic_file

COUNT_NAMES = ("MIDCount", "MIDCounts", "UMICount", "UMICounts")
"""Names under which the column of total counts is known, tried in this order, in any case."""

_LAYER_NAMES = {"exon": ("ExonCount",), "spliced": ("EXONIC",), "unspliced": ("INTRONIC",)}
_CELL_NAMES = ("CellID", "cell", "label")
_BLOCK = 8 << 20
_ROWS = 1 << 20
_INT32, _UINT32 = np.iinfo(np.int32), np.iinfo(np.uint32)
_MAGIC = (
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"II+\0", "a TIFF image"),
    (b"MM\0+", "a TIFF image"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
)


@dataclass(frozen=True)
class _Layout:
    """Which column of the file is what; `numbers` maps a role to (column, lowest, highest allowed value)."""

    columns: tuple[str, ...]
    gene: int
    symbol: int | None
    numbers: dict[str, tuple[int, int, int]]


def read_gem(path: str | Path, tick: Tick = no_tick, *, cell_column: str | None = None) -> Transcripts:
    r"""Read a GEM file in blocks, so that memory follows the records and not the text.

    Parameters
    ----------
    path : str or Path
        Tab-separated text, plain or gzip (recognised by its content). Lines that start with ``#`` come first, then
        one line of column names: ``geneID``, ``x``, ``y``, one of `COUNT_NAMES`, and where known ``geneName``,
        ``ExonCount``, ``EXONIC``, ``INTRONIC``, ``CellID`` or ``label``.
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
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, but a GEM file is needed; give the file inside it.")
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw
            return _read(path, stream, raw, size, tick, cell_column)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the name and the folder.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path} is a gzip file that is cut short or damaged ({error}); copy or download it again."
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the file.") from error


def _read(path: Path, stream: IO[bytes], raw: IO[bytes], size: int, tick: Tick, cell_column: str | None) -> Transcripts:
    """Parse block after block; the next one is unpacked while this one is parsed."""
    blocks = _ahead(_blocks(stream, raw))
    first, at = next(blocks, (b"", 0))
    _check_text(path, first)
    header, names, body = _split_header(path, first)
    layout = _layout(path, names, cell_column)
    line = first[: len(first) - len(body)].count(b"\n") + 1

    codes: dict[str, int] = {}
    columns = {role: _Column() for role in ("gene", *layout.numbers)}
    coming: tuple[bytes, int] | None = (body, at)
    while coming is not None:
        block, at = coming
        if block.strip():
            for role, values in _parse(path, block, layout, codes, line).items():
                columns[role].append(values, size / max(at, 1))
        line += block.count(b"\n")
        tick(min(at, size), size)
        coming = next(blocks, None)
    if not columns["gene"].n:
        raise InputError(f"{path} holds a header but no UMI record; give a GEM with at least one.")
    return assemble({role: columns.pop(role).values() for role in list(columns)}, list(codes), header)


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


def _blocks(stream: IO[bytes], raw: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Pieces of about 8 MiB that end at a line's end, each with the place in the file up to which it was read."""
    rest = b""
    while piece := stream.read(_BLOCK):
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield rest + piece[:cut], raw.tell()
            rest = piece[cut:]
        else:
            rest += piece
            if b"\0" in piece:
                break
    if rest:
        yield rest, raw.tell()


def _ahead(blocks: Iterator[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
    """Read one block ahead in a thread (unpacking releases the interpreter lock)."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = pool.submit(next, blocks, None)
            yield block


def _check_text(path: Path, block: bytes) -> None:
    for magic, kind in _MAGIC:
        if block.startswith(magic):
            raise InputError(f"{path} is {kind}, not a GEM; give it as the stain and pass the GEM's own file here.")
    if block.startswith(b"\x89HDF"):
        raise InputError(f"{path} is an HDF5 file (GEF or h5ad), not a GEM; convert it to GEM text first.")
    if b"\0" in block[: 1 << 16]:
        raise InputError(f"{path} is not text, but a GEM is tab-separated text (plain or gzip); check the file.")


def _split_header(path: Path, block: bytes) -> tuple[dict[str, str], tuple[str, ...], bytes]:
    """``#`` lines, column names, and the records that follow them in the first block."""
    header: dict[str, str] = {}
    start = 0
    while start < len(block):
        end = block.find(b"\n", start)
        end = len(block) if end < 0 else end
        line = block[start:end].decode("utf-8", "replace").strip("\r\ufeff ")
        start = end + 1
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            header[key.strip()] = value.strip()
        elif line:
            return header, tuple(name.strip() for name in line.split("\t")), block[start:]
    raise InputError(f"{path} is empty: it holds no column names and no UMI record; check the file.")


def _layout(path: Path, names: tuple[str, ...], cell_column: str | None) -> _Layout:
    place: dict[str, int] = {}
    for i, name in enumerate(names):
        place.setdefault(name.lower(), i)

    def find(*wanted: str) -> int | None:
        return next((place[name.lower()] for name in wanted if name.lower() in place), None)

    gene, symbol, count = find("geneID", "gene"), find("geneName"), find(*COUNT_NAMES)
    if gene is None:
        gene, symbol = symbol, None
    needed = {"geneID": gene, "x": find("x"), "y": find("y"), "MIDCount (or UMICount)": count}
    missing = [name for name, column in needed.items() if column is None]
    if missing:
        shown = ", ".join(names[:8]) if len(names) > 1 else f"not separated by tabs ({names[0][:60]!r})"
        raise InputError(
            f"{path} has no column {' and no column '.join(missing)}; its columns are {shown}; "
            f"a GEM is tab-separated with geneID, x, y and one of {', '.join(COUNT_NAMES)}."
        )
    numbers: dict[str, tuple[int, int, int]] = {}
    for role in ("x", "y"):
        numbers[role] = (place[role], _INT32.min, _INT32.max)
    if cell_column is not None and find(cell_column) is None:
        raise InputError(f"{path} has no column {cell_column}; its columns are {', '.join(names)}.")
    roles = {"total": COUNT_NAMES, **_LAYER_NAMES, "cell_id": _CELL_NAMES if cell_column is None else (cell_column,)}
    for role, known in roles.items():
        column = find(*known)
        if column is not None:
            numbers[role] = (column, 0, _UINT32.max)
    assert gene is not None
    return _Layout(names, gene, symbol, numbers)


def _parse(path: Path, block: bytes, layout: _Layout, codes: dict[str, int], line: int) -> dict[str, np.ndarray]:
    """Columns of one block as int32/uint32; `codes` learns the genes that are new."""
    import polars as pl

    wanted = {layout.gene: pl.String(), **{column: pl.Int64() for column, _, _ in layout.numbers.values()}}
    if layout.symbol is not None:
        wanted[layout.symbol] = pl.String()
    schema = {str(i): wanted.get(i, pl.String()) for i in range(len(layout.columns))}
    try:
        frame = pl.read_csv(
            block, separator="\t", has_header=False, schema=schema, columns=sorted(wanted), quote_char=None
        )
    except pl.exceptions.PolarsError as error:
        _explain(path, block, layout, line)
        raise InputError(f"{path} cannot be read as tab-separated text ({str(error).splitlines()[0]}).") from error
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if "cell_id" in layout.numbers:
        # No cell is 0; files write it as 0 or leave it empty.
        frame = frame.with_columns(pl.col(str(layout.numbers["cell_id"][0])).fill_null(0))
    result: dict[str, np.ndarray] = {}
    for role, (column, low, high) in layout.numbers.items():
        series = frame[str(column)]
        if series.null_count():
            _explain(path, block, layout, line)
        values = series.to_numpy()
        if len(values) and (values.min() < low or values.max() > high):
            _explain(path, block, layout, line)
        result[role] = values.astype(np.int32 if role in "xy" else np.uint32)

    names = frame[str(layout.gene)]
    if layout.symbol is not None:
        symbol = pl.col(str(layout.symbol))
        names = frame.select(
            pl.when(symbol.is_null() | (symbol == "")).then(pl.col(str(layout.gene))).otherwise(symbol)
        ).to_series()
    if names.null_count():
        _explain(path, block, layout, line)
    local = names.unique(maintain_order=True)
    table = np.array([codes.setdefault(name, len(codes)) for name in local.to_list()], dtype=np.int32)
    result["gene"] = table[names.cast(pl.Enum(local)).to_physical().to_numpy()]
    return result


def _explain(path: Path, block: bytes, layout: _Layout, line: int) -> None:
    """Find the first bad line of `block`, whose first line is line `line` of the file, and say what is wrong."""
    whole = re.compile(rb"[+-]?\d+")
    for number, text in enumerate(block.split(b"\n"), line):
        fields = text.rstrip(b"\r").split(b"\t")
        if fields == [b""]:
            continue
        if len(fields) != len(layout.columns):
            raise InputError(
                f"{path}, line {number}, has {len(fields)} columns where the header names {len(layout.columns)}; "
                "mend that line or copy the file again."
            )
        if not fields[layout.gene]:
            raise InputError(f"{path}, line {number}, has no gene name; every record needs one.")
        for role, (column, low, high) in layout.numbers.items():
            value, name = fields[column], layout.columns[column]
            if role == "cell_id" and not value:
                continue
            shown = value[:40].decode("utf-8", "replace")
            if not whole.fullmatch(value):
                raise InputError(
                    f"{path}, line {number}: {name} is {shown!r}, but a whole number is needed; pass raw records."
                )
            if role not in ("x", "y") and int(value) < 0:
                raise InputError(f"{path}, line {number}: {name} is {shown}, but counts cannot be negative.")
            if not low <= int(value) <= high:
                raise InputError(f"{path}, line {number}: {name} is {shown}, but at most {high:,} can be held.")
    raise InputError(f"{path}, after line {line}, holds a value that is not a whole number; check the file.")


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
    import polars as pl

    path = Path(path)
    titles = {"total": "MIDCount", "exon": "ExonCount", "spliced": "EXONIC", "unspliced": "INTRONIC"}
    genes = pl.Series("geneID", transcripts.genes, dtype=pl.String)
    with atomic_file(path) as temporary, temporary.open("wb") as raw:
        # No name and no time in the gzip header: the same records give the same bytes.
        packed = path.suffix == ".gz"
        out: Any = gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) if packed else raw
        for key, value in transcripts.header.items():
            out.write(f"#{key}={value}\n".encode())
        for start in range(0, len(transcripts), _ROWS):
            rows = slice(start, start + _ROWS)
            frame = {
                "geneID": genes.gather(transcripts.gene[rows]),
                "x": transcripts.x[rows],
                "y": transcripts.y[rows],
                **{titles[name]: transcripts.counts[name][rows] for name in titles if name in transcripts.counts},
            }
            if transcripts.cell_id is not None:
                frame["CellID"] = transcripts.cell_id[rows]
            text = pl.DataFrame(frame).write_csv(separator="\t", include_header=start == 0, quote_style="never")
            out.write(text.encode())
        if packed:
            out.close()
