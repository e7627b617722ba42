"""GEF files: the records of a Stereo-seq chip as HDF5."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.records import assemble
from segapp.core.types import InputError, Tick, Transcripts, no_tick

_ROWS = 1 << 20
_BIN = "geneExp/bin1"


@contextmanager
def open_hdf5(path: Path, what: str) -> Iterator[Any]:
    """Open an HDF5 file to read; what is wrong with the file becomes one sentence.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it is, for the sentence, such as ``"a GEF"``.

    Yields
    ------
    h5py.File

    Raises
    ------
    InputError
        When the file is missing, is no HDF5, is cut short, or lacks a part that is read.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"There is no file {path}; check the name and the folder.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read as {what}: it is damaged or cut short; copy it again.") from error
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{path} is HDF5 but not {what} as expected ({error}); check the file.") from error


def read_gef(path: str | Path, tick: Tick = no_tick) -> Transcripts:
    """Read the records of a GEF at its finest bin.

    Parameters
    ----------
    path : str or Path
        HDF5 with ``geneExp/bin1/expression`` (x, y, count) and ``geneExp/bin1/gene`` (name, offset, count), and where
        known ``geneExp/bin1/exon``.
    tick : callable
        Called after every million records.

    Returns
    -------
    Transcripts
        As `segapp.io.gem.read_gem` of the GEM of the same chip: names of genes where there are names, else their ids;
        ``exon`` is a layer where the file has it. Offsets and resolution are kept in `header` and never added.

    Raises
    ------
    InputError
        When the file is missing, damaged, or holds no records of bin 1.

    References
    ----------
    .. [1] STOmics, "Gene expression file formats",
       https://github.com/STOmics/SAW/tree/main/Documents

    Examples
    --------
    >>> import tempfile, h5py
    >>> path = Path(tempfile.mkdtemp()) / "a.gef"
    >>> with h5py.File(path, "w") as file:
    ...     group = file.create_group("geneExp/bin1")
    ...     at = np.array([(7, 9, 2), (8, 9, 1)], [("x", "u4"), ("y", "u4"), ("count", "u1")])
    ...     group["expression"] = at
    ...     group["gene"] = np.array([(b"Actb", 0, 2)], [("gene", "S32"), ("offset", "u4"), ("count", "u4")])
    >>> read_gef(path).genes, read_gef(path).counts["total"].tolist()
    (('Actb',), [2, 1])
    """
    path = Path(path)
    with open_hdf5(path, "a GEF") as file:
        if "geneExp" not in file and "cellBin" in file:
            raise InputError(f"{path} is a GEF of cell bins, without records by place; give the one that holds {_BIN}.")
        if _BIN not in file or not {"expression", "gene"} <= set(file[_BIN]):
            raise InputError(f"{path} {_instead(file)}; give the GEF that holds {_BIN}.")
        return _read(path, file, tick)


def _instead(file: Any) -> str:
    bins = ", ".join(sorted(file["geneExp"])) if "geneExp" in file else ""
    return f"holds {bins} but not bin1" if bins else "is HDF5 but not a GEF: it has no geneExp/bin1"


def _read(path: Path, file: Any, tick: Tick) -> Transcripts:
    expression, gene = file[f"{_BIN}/expression"], file[f"{_BIN}/gene"][:]
    n = len(expression)
    if not n:
        raise InputError(f"{path} holds no UMI record; give a GEF with at least one.")
    offset, count = gene["offset"].astype(np.int64), gene["count"].astype(np.int64)
    if count.sum() != n or not np.array_equal(offset, np.cumsum(count) - count):
        raise InputError(
            f"{path} lists {count.sum():,} records by gene but holds {n:,}, or not in order; copy the file again."
        )
    names = names_of_genes(gene)
    exon = file.get(f"{_BIN}/exon")
    columns = {"x": np.empty(n, np.int32), "y": np.empty(n, np.int32)}
    columns["gene"] = np.repeat(np.arange(len(gene), dtype=np.int32), count)
    columns["total"] = np.empty(n, np.uint32)
    if exon is not None:
        columns["exon"] = np.empty(n, np.uint32)
    for start in range(0, n, _ROWS):
        rows = slice(start, min(start + _ROWS, n))
        block = expression[rows]
        for role, name in (("x", "x"), ("y", "y"), ("total", "count")):
            columns[role][rows] = block[name]
        if exon is not None:
            columns["exon"][rows] = exon[rows]
        tick(rows.stop, n)
    return assemble(columns, names, header_of_gef(file, expression))


def names_of_genes(gene: np.ndarray) -> list[str]:
    """Names of genes; where a name is empty its id, under the column names of the versions of the format."""
    fields = gene.dtype.names or ()
    column = next(name for name in ("geneName", "gene", "geneID") if name in fields)
    other = "geneID" if "geneID" in fields else column
    pairs = zip(gene[column].tolist(), gene[other].tolist(), strict=True)
    return [(name or stand_in).decode("utf-8", "replace").strip("\0 ") for name, stand_in in pairs]


def header_of_gef(file: Any, expression: Any) -> dict[str, str]:
    """Attributes of a file and of a dataset in it as a header; the resolution as ``MicronsPerPixel``."""
    header = {"FileFormat": "GEF", "BinSize": "1"}
    for source in (file.attrs, expression.attrs):
        for name, value in source.items():
            plain = np.asarray(value).reshape(-1)
            if plain.size == 1:
                item = plain[0]
                header[str(name)] = item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
    for ours, theirs in (("OffsetX", "offsetX"), ("OffsetY", "offsetY"), ("Stereo-seqChip", "sn")):
        if theirs in header:
            header[ours] = header.pop(theirs)
    resolution = header.get("resolution", "")
    if resolution.isdigit() and int(resolution) > 0:
        # in nm; another pitch than that of Stereo-seq must not be taken for it
        header["MicronsPerPixel"] = f"{int(resolution) / 1000:g}"
    return header
