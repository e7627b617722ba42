"""Visium HD: counts in small squares, as Space Ranger writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.records import assemble
from segapp.core.types import InputError, Tick, Transcripts, no_tick
from segapp.io.gef import open_hdf5
from segapp.io.placement import placement, scale_factors

_BARCODE = re.compile(rb"s_(\d+)um_(\d+)_(\d+)")
_MATRICES = ("filtered_feature_bc_matrix.h5", "raw_feature_bc_matrix.h5")
_BLOCK = 1 << 22


def read_visium_hd(path: str | Path, tick: Tick = no_tick) -> Transcripts:
    """Read the squares of a Visium HD section.

    Parameters
    ----------
    path : str or Path
        A feature-barcode matrix (.h5), or the folder that holds it, such as ``binned_outputs/square_002um``. The place
        of a square is taken from ``spatial/tissue_positions.parquet`` beside the matrix; without that file it is read
        from the barcodes, which name it (``s_002um_00012_00345-1``).
    tick : callable
        Called after every block of counts.

    Returns
    -------
    Transcripts
        x is the column and y the row of the square in the array; the side of a square in micrometres is in `header`,
        and where the squares lie in the microscope image, when the positions say it: a stain is then brought onto the
        squares.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the squares have no place.

    References
    ----------
    .. [1] 10x Genomics, "Feature-barcode matrices (HDF5)" and "Visium HD outputs", https://www.10xgenomics.com/support
    """
    path = Path(path)
    if path.is_dir():
        found = next((path / name for name in _MATRICES if (path / name).is_file()), None)
        if found is None:
            raise InputError(f"{path} holds no {_MATRICES[0]}; give the folder of one bin size, such as square_002um.")
        path = found
    with open_hdf5(path, "a feature-barcode matrix") as file:
        if "matrix" not in file:
            raise InputError(f"{path} is HDF5 but has no group matrix; give a feature-barcode matrix of Space Ranger.")
        return _read(path, file["matrix"], tick)


def _read(path: Path, matrix: Any, tick: Tick) -> Transcripts:
    barcodes = matrix["barcodes"][:]
    row, column, um, placed = _places(path, barcodes)
    names = [name.decode("utf-8", "replace") for name in matrix["features/name"][:].tolist()]
    pointer = matrix["indptr"][:].astype(np.int64)
    n = int(pointer[-1])
    if len(pointer) != len(barcodes) + 1 or len(matrix["data"]) != n or len(matrix["indices"]) != n:
        raise InputError(f"{path} holds {len(matrix['data']):,} counts but announces {n:,}; copy the file again.")
    if not n:
        raise InputError(f"{path} holds no count; give a matrix with at least one.")
    square = np.repeat(np.arange(len(barcodes)), np.diff(pointer))
    columns = {"x": column[square], "y": row[square]}
    del square
    columns["gene"], columns["total"] = np.empty(n, np.int32), np.empty(n, np.uint32)
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        columns["gene"][rows] = matrix["indices"][rows]
        columns["total"][rows] = matrix["data"][rows]
        tick(rows.stop, n)
    if columns["gene"].min() < 0 or columns["gene"].max() >= len(names):
        raise InputError(f"{path} counts a feature that it does not name; copy the file again.")
    return assemble(columns, names, {"FileFormat": "Visium HD", "MicronsPerPixel": f"{um:g}", **placed})


def _places(path: Path, barcodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, dict[str, str]]:
    """Row and column of every barcode, the side of a square in micrometres, and how they lie in the image."""
    parsed = [_BARCODE.match(barcode) for barcode in barcodes.tolist()]
    size = next((float(match[1]) for match in parsed if match), None)
    table = next((place for place in _tables(path) if place.is_file()), None)
    if table is None:
        if size is None or not all(parsed):
            raise InputError(
                f"{path} has barcodes that do not say where their squares lie; put spatial/tissue_positions.parquet "
                "beside it."
            )
        place = np.array([(int(match[2]), int(match[3])) for match in parsed if match], np.int32)
        return place[:, 0], place[:, 1], size, {}
    factors = scale_factors(table.parent)
    row, column, placed = _from_table(table, barcodes, factors)
    size = size or factors.get("bin_size_um")
    if size is None:
        raise InputError(f"{path} names no bin size in its barcodes (s_002um_...); only Visium HD can be read.")
    return row, column, float(size), placed


def _tables(path: Path) -> tuple[Path, ...]:
    return path.parent / "spatial" / "tissue_positions.parquet", path.parent / "tissue_positions.parquet"


def _from_table(
    table: Path, barcodes: np.ndarray, factors: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    import polars as pl

    needed, pixels = ["barcode", "array_row", "array_col"], ["pxl_col_in_fullres", "pxl_row_in_fullres"]
    try:
        names = list(pl.read_parquet_schema(table))
        pixels = pixels if set(pixels) <= set(names) else []
        positions = pl.read_parquet(table, columns=needed + pixels)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{table} cannot be read as positions of squares ({str(error).splitlines()[0][:100]}); it needs the "
            f"columns {', '.join(needed)}."
        ) from error
    wanted = pl.DataFrame({"barcode": [barcode.decode() for barcode in barcodes.tolist()]})
    placed = wanted.join(positions.unique("barcode"), on="barcode", how="left", maintain_order="left")
    missing = placed.filter(pl.col("array_row").is_null() | pl.col("array_col").is_null())
    if len(missing):
        raise InputError(f"{table} has no place for {len(missing):,} squares, such as {missing['barcode'][0]}.")
    row, column = (placed[name].to_numpy().astype(np.int32) for name in ("array_row", "array_col"))
    found: dict[str, str] = {}
    if pixels:
        at = np.column_stack([placed[name].cast(pl.Float64).to_numpy() for name in pixels])
        found = placement(column, row, at, factors)
    return row, column, found
