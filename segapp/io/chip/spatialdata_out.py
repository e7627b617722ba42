"""A whole chip as SpatialData: labels and counts go from file to file, only the outlines are held in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segapp.io.atomic import disk_full
from segapp.io.chip.cells import PIECE
from segapp.io.chip.outlines import HALO, SIDE, outlines_by_tile
from segapp.io.chip.saved import SavedChip


def write_chip_spatialdata(saved: SavedChip, path: Path, *, side: int = SIDE, halo: int = HALO) -> None:
    """Write the cells of a chip as a SpatialData store; the folder appears whole or not at all.

    Parameters
    ----------
    saved : SavedChip
        The cells.
    path : Path
        The folder to write; a store that is there already is replaced.
    side, halo : int
        As `segapp.io.chip.outlines.outlines_by_tile` takes them.

    Raises
    ------
    InputError
        When `path` cannot be written.
    Unavailable
        When the library spatialdata is not installed.

    Notes
    -----
    The elements are those of `segapp.io.spatialdata_out.write_spatialdata`. The library reads labels from a store
    that lies beside `path` meanwhile; it writes an empty matrix for each layer of counts, and these are filled piece
    by piece.
    """
    from segapp.io.spatialdata_out import check_installed, write_spatialdata

    check_installed()
    near = next(folder for folder in path.resolve().parents if folder.is_dir())
    with disk_full(path), tempfile.TemporaryDirectory(prefix=".labels.", dir=near) as scratch:
        images = {name: _in_chunks(saved.labels(name), Path(scratch) / name) for name in saved.names}
        write_spatialdata(
            path,
            _without_counts(saved),
            images["labels"],
            saved.grid,
            nuclei=images.get("nuclei"),
            outlines=_outlines(saved, side, halo),
            then=lambda folder: _fill(saved, folder),
        )


def _in_chunks(labels: Any, folder: Path) -> Any:
    """Return labels as the library takes them: signed, with named axes, read from a store in chunks."""
    import xarray
    import zarr

    made = zarr.open_group(folder, mode="w").create_array(
        "labels", shape=labels.shape, dtype=np.int32, chunks=labels.chunks, fill_value=0, dimension_names=("y", "x")
    )
    for top in range(0, labels.shape[0], SIDE):
        for left in range(0, labels.shape[1], SIDE):
            made[top : top + SIDE, left : left + SIDE] = labels[top : top + SIDE, left : left + SIDE].astype(np.int32)
    return xarray.open_zarr(folder, chunks={}, consolidated=False, mask_and_scale=False)["labels"]


def _outlines(saved: SavedChip, side: int, halo: int) -> Iterator[dict[int, Any]]:
    for _, cells, _ in outlines_by_tile(saved.labels(), None, len(saved.table), saved.grid, side, halo):
        yield cells


def _without_counts(saved: SavedChip) -> Any:
    """Return the table with an empty matrix in the place of each layer."""
    import h5py
    from anndata import AnnData
    from anndata.io import read_elem
    from scipy.sparse import csr_matrix

    with h5py.File(saved.folder / "cells.h5ad") as file:
        var, layers = read_elem(file["var"]), list(file["layers"])
    empty = csr_matrix((len(saved.table), len(var)), dtype=np.int32)
    known = saved.table
    return AnnData(
        X=empty,
        obs=known.obs,
        var=var,
        layers={name: empty.copy() for name in layers},
        obsm=dict(known.obsm),
        uns=dict(known.uns),
    )


def _fill(saved: SavedChip, folder: Path) -> None:
    """Copy the counts into the empty matrices of the store, of which only the sizes are known until then."""
    import h5py
    import zarr

    root = zarr.open_group(folder, mode="r+", use_consolidated=False)
    table: Any = root["tables/table"]
    with h5py.File(saved.folder / "cells.h5ad") as file:
        for name in ("X", *(f"layers/{layer}" for layer in file["layers"])):
            for key, values in file[name].items():
                # what has a size of its own is made anew: chunks of an empty array would be of one entry
                array = table[name].create_array(
                    key,
                    shape=values.shape,
                    dtype=values.dtype,
                    chunks=(min(PIECE, max(len(values), 1)),),
                    overwrite=True,
                )
                for start in range(0, len(values), PIECE):
                    array[start : start + PIECE] = values[start : start + PIECE]
    zarr.consolidate_metadata(root.store)
