"""One door for every format of transcripts: what a file is follows from its content."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from segapp.core.types import InputError, Tick, Transcripts, no_tick
from segapp.io.bins import read_anndata
from segapp.io.gef import open_hdf5, read_gef
from segapp.io.gef_cells import read_gef_cells
from segapp.io.gem import read_gem
from segapp.io.spatialdata_in import read_spatialdata
from segapp.io.tenx import read_visium_hd
from segapp.io.transcripts_table import UM_PER_PX, find_maker, read_transcripts_table
from segapp.io.zarr_groups import is_zarr, kind_of_zarr

__all__ = ["UM_PER_PX", "read_transcripts"]

_IN_FOLDER = ("transcripts.parquet", "transcripts.csv.gz", "detected_transcripts.csv")
_HDF5, _PARQUET, _GZIP = b"\x89HDF", b"PAR1", b"\x1f\x8b"


def read_transcripts(path: str | Path, tick: Tick = no_tick, *, um_per_px: float = UM_PER_PX) -> Transcripts:
    r"""Read transcripts of any format that segapp knows.

    Parameters
    ----------
    path : str or Path
        GEM (text, plain or gzip), GEF (HDF5, bin 1 or cell bins), a feature-barcode matrix of Visium HD (.h5) or the
        folder of one bin size, a table with one line a molecule (CSV or Parquet of Xenium, MERSCOPE, CosMx) or the
        folder of such a run, an AnnData of bins (.h5ad or zarr), or a SpatialData store or one element in it
        (``section.zarr/points/transcripts``).
    tick : callable
        Progress.
    um_per_px : float
        Side of the pixels in micrometres into which single molecules are counted; other formats have their own, and an
        AnnData that does not say its unit of length is taken to have this one.

    Returns
    -------
    Transcripts

    Raises
    ------
    InputError
        When the file is missing, damaged, or of none of these formats; the sentence says what it is.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "anything.txt"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\nActb\t7\t9\t2\n")
    >>> read_transcripts(path).n_umis
    2
    """
    path = Path(path)
    if is_zarr(path):
        return _read_zarr(path, tick, um_per_px)
    if path.is_dir():
        table = next((path / name for name in _IN_FOLDER if (path / name).is_file()), None)
        return read_visium_hd(path, tick) if table is None else read_transcripts_table(table, tick, um_per_px=um_per_px)
    kind = _kind(path)
    if kind == "gef":
        return read_gef(path, tick)
    if kind == "cells":
        return read_gef_cells(path, tick)
    if kind == "anndata":
        return read_anndata(path, tick, um_per_px=um_per_px)
    if kind == "matrix":
        return read_visium_hd(path, tick)
    if kind == "table":
        return read_transcripts_table(path, tick, um_per_px=um_per_px)
    return read_gem(path, tick)


def _read_zarr(path: Path, tick: Tick, um_per_px: float) -> Transcripts:
    kind = kind_of_zarr(path)
    if kind == "anndata":
        return read_anndata(path, tick, um_per_px=um_per_px)
    if kind in ("spatialdata", "points", "tables"):
        return read_spatialdata(path, tick, um_per_px=um_per_px)
    what = {"image": "an image, which goes where the stain goes", "shapes": "shapes"}.get(kind, "zarr of another kind")
    raise InputError(f"{path} is {what}; transcripts in zarr are a SpatialData store or an AnnData.")


def _kind(path: Path) -> str:
    """What a file is; "gem" where nothing else fits, since its reader knows what to say."""
    if not path.is_file():
        return "gem"
    with path.open("rb") as raw:
        magic = raw.read(4)
    if magic == _HDF5:
        return _kind_of_hdf5(path)
    if magic == _PARQUET:
        return "table"
    try:
        with gzip.open(path) if magic[:2] == _GZIP else path.open("rb") as stream:
            block = stream.read(1 << 14)
    except (OSError, EOFError, zlib.error):
        return "gem"
    if b"\0" in block:  # no text: the reader of GEM says what it is
        return "gem"
    first = block.split(b"\n")[0].decode("utf-8", "replace")
    names = [name.strip('"\r ') for name in first.split(",")]
    return "table" if find_maker(names) is not None or ("," in first and "\t" not in first) else "gem"


def _kind_of_hdf5(path: Path) -> str:
    with open_hdf5(path, "HDF5") as file:
        groups = set(file)
    if "geneExp" in groups:
        return "gef"
    if "cellBin" in groups:
        return "cells"
    if "matrix" in groups:
        return "matrix"
    if {"obs", "var"} <= groups:
        return "anndata"
    shown = ", ".join(sorted(groups)[:6]) or "nothing"
    raise InputError(
        f"{path} is HDF5 with {shown}, neither a GEF (geneExp), nor a feature-barcode matrix (matrix), nor an AnnData "
        "(obs, var)."
    )
