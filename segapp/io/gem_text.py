"""The text of a GEM, block by block: header, columns, and records as arrays, with the line of whatever is wrong."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from segapp.core.types import InputError

COUNT_NAMES = ("MIDCount", "MIDCounts", "UMICount", "UMICounts")
"""Names under which the column of total counts is known, tried in this order, in any case."""

_LAYER_NAMES = {"exon": ("ExonCount",), "spliced": ("EXONIC",), "unspliced": ("INTRONIC",)}
_CELL_NAMES = ("CellID", "cell", "label")
_BLOCK = 8 << 20
_INT32, _UINT32 = np.iinfo(np.int32), np.iinfo(np.uint32)
_MAGIC = (
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"II+\0", "a TIFF image"),
    (b"MM\0+", "a TIFF image"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
)


@dataclass
class GemStream:
    """An open GEM whose records are still to come.

    Parameters
    ----------
    header : dict of str to str
        The ``#`` lines.
    layers : tuple of str
        Columns of every block beside ``x``, ``y`` and ``gene``: ``"total"`` first, then ``"exon"``, ``"spliced"``,
        ``"unspliced"`` and ``"cell_id"`` where the file has them.
    size : int
        Bytes of the file as it lies on the disk.
    blocks : iterator of (dict of str to (N,) array, int)
        Columns of one block of records (int32 places and genes, uint32 layers), and the bytes of the file read so far.
    genes : dict of str to int
        Name of every gene met so far -> its number in the column ``gene``; it grows while blocks are taken.
    """

    header: dict[str, str]
    layers: tuple[str, ...]
    size: int
    blocks: Generator[tuple[dict[str, np.ndarray], int], None, None] = field(repr=False)
    genes: dict[str, int] = field(default_factory=dict, repr=False)


@contextmanager
def open_gem(path: str | Path, *, cell_column: str | None = None) -> Iterator[GemStream]:
    r"""Open a GEM, plain or gzip, to take its records block by block; memory does not grow with the file.

    Parameters
    ----------
    path : str or Path
        Tab-separated text; see `segapp.io.gem.read_gem` for its columns.
    cell_column : str, optional
        Column of cell ids, where it has a name of its own; in upper or lower case.

    Yields
    ------
    GemStream
        Valid inside the ``with`` block.

    Raises
    ------
    InputError
        If the file is missing, a folder, an image, empty, cut short, lacks a column, or holds a value that is not a
        whole number in range (the line is named); on opening or when the block that is wrong is taken.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\nActb\t7\t9\t2\n")
    >>> with open_gem(path) as gem:
    ...     [(block["x"].tolist(), block["total"].tolist()) for block, _ in gem.blocks], gem.layers
    ([([7], [2])], ('total',))
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, but a GEM file is needed; give the file inside it.")
    with ExitStack() as stack:
        with _explained(path):
            size = path.stat().st_size
            raw = stack.enter_context(path.open("rb"))
            magic = raw.read(2)
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw
            # closed here and not by the garbage collector, which may come while a thread is being started
            pieces = stack.enter_context(closing(_ahead(_blocks(stream, raw))))
            gem = _begin(path, pieces, size, cell_column)
        with closing(gem.blocks):
            yield gem


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what reading may raise into a sentence; what the taker of the records does is not in its reach."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the name and the folder.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path} is a gzip file that is cut short or damaged ({error}); copy or download it again."
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the file.") from error


def _begin(path: Path, pieces: Iterator[tuple[bytes, int]], size: int, cell_column: str | None) -> GemStream:
    first, at = next(pieces, (b"", 0))
    _check_text(path, first)
    header, names, body = _split_header(path, first)
    layout = _layout(path, names, cell_column)
    line = first[: len(first) - len(body)].count(b"\n") + 1
    genes: dict[str, int] = {}
    layers = tuple(role for role in layout.numbers if role not in ("x", "y"))
    return GemStream(header, layers, size, _records(path, pieces, (body, at), layout, genes, line), genes)


def _records(
    path: Path,
    pieces: Iterator[tuple[bytes, int]],
    coming: tuple[bytes, int] | None,
    layout: _Layout,
    genes: dict[str, int],
    line: int,
) -> Generator[tuple[dict[str, np.ndarray], int], None, None]:
    """Parse block after block; the next one is unpacked while this one is parsed."""
    some = False
    while coming is not None:
        block, at = coming
        if block.strip():
            columns = _parse(path, block, layout, genes, line)
            some = some or bool(len(columns["gene"]))
            yield columns, at
        line += block.count(b"\n")
        with _explained(path):
            coming = next(pieces, None)
    if not some:
        raise InputError(f"{path} holds a header but no UMI record; give a GEM with at least one.")


@dataclass(frozen=True)
class _Layout:
    """Which column of the file is what; `numbers` maps a role to (column, lowest, highest allowed value)."""

    columns: tuple[str, ...]
    gene: int
    symbol: int | None
    numbers: dict[str, tuple[int, int, int]]


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


def _ahead(blocks: Iterator[tuple[bytes, int]]) -> Generator[tuple[bytes, int], None, None]:
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
