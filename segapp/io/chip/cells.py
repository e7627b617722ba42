"""The cells of a chip as files: labels in zarr, and cells x genes in an AnnData that is written piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.io.atomic import atomic_file
from segapp.io.hdf5 import new_hdf5

PIECE = 1 << 20
"""Entries of a chunk of the table."""


def write_table(
    path: Path,
    obs: Mapping[str, np.ndarray],
    genes: tuple[str, ...],
    layers: tuple[str, ...],
    pieces: Iterator[Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]],
    *,
    spatial: np.ndarray,
    spatial_input: np.ndarray,
    uns: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """Write cells x genes as .h5ad without ever holding the counts of more than one piece.

    Parameters
    ----------
    path : Path
        The file; it appears whole or not at all.
    obs : mapping of str to (N,) arrays
        Columns; ``label`` names the rows. Columns of text become categories. ``n_counts`` and ``n_genes`` are added.
    genes : tuple of str
        Names of the columns.
    layers : tuple of str
        ``"total"`` becomes ``X``.
    pieces : iterator
        For rows in ascending order: by layer (row, gene, count), sorted by row and gene, without duplicates.
    spatial, spatial_input : (N, 2) float64
        Centroids (x, y) in px of the frame and of the input.
    uns : mapping
        What else is known.

    Returns
    -------
    dict
        ``n_counts`` and ``n_genes`` of each cell.

    Notes
    -----
    Positions of entries (``indptr``) are 64-bit; chunks are packed with LZF, which every HDF5 reader of Python knows.

    References
    ----------
    The on-disk format of AnnData, https://anndata.readthedocs.io/en/stable/fileformat-prose.html
    """
    import pandas as pd
    from anndata.io import write_elem

    n = len(obs["label"])
    n_counts, n_genes = np.zeros(n, np.int64), np.zeros(n, np.int64)
    with atomic_file(path) as temporary, new_hdf5(temporary) as (file, check):
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        file.create_group("layers").attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        matrices = {
            layer: _Csr(file, "X" if layer == "total" else f"layers/{layer}", (n, len(genes))) for layer in layers
        }
        for piece in pieces:
            for layer, (row, gene, count) in piece.items():
                matrices[layer].add(row, gene, count)
            row, _, count = piece["total"]
            if len(row):
                first = int(row[0])
                size = int(row[-1]) - first + 1
                n_counts[first : first + size] += np.bincount(row - first, count, size).astype(np.int64)
                n_genes[first : first + size] += np.bincount(row - first, minlength=size)
            check()
        for matrix in matrices.values():
            matrix.end()
        frame = pd.DataFrame(index=obs["label"].astype(str))
        for name, values in obs.items():
            frame[name] = pd.Categorical(values) if values.dtype.kind in "OU" else values
            if name == "area_um2":  # where a table of one section has them
                frame["n_counts"], frame["n_genes"] = n_counts, n_genes.astype(np.int32)
        write_elem(file, "obs", frame)
        write_elem(file, "var", pd.DataFrame(index=pd.Index(genes, dtype=object)))
        write_elem(file, "obsm", {"spatial": spatial, "spatial_input": spatial_input})
        write_elem(file, "uns", dict(uns))
        for empty in ("obsp", "varm", "varp"):
            write_elem(file, empty, {})
    return {"n_counts": n_counts, "n_genes": n_genes}


class _Csr:
    """A sparse matrix in an HDF5 file that grows by rows."""

    def __init__(self, file: Any, name: str, shape: tuple[int, int]) -> None:
        self.group = file.create_group(name)
        self.group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
        kinds = {"data": np.int32, "indices": np.int32}
        self.columns = {
            key: self.group.create_dataset(key, (0,), dtype, maxshape=(None,), chunks=(PIECE,), compression="lzf")
            for key, dtype in kinds.items()
        }
        self.sizes = np.zeros(shape[0], np.int64)
        self.n = 0

    def add(self, row: np.ndarray, gene: np.ndarray, count: np.ndarray) -> None:
        kept = count > 0
        if not kept.all():
            row, gene, count = row[kept], gene[kept], count[kept]
        if not len(row):
            return
        for key, values in (("data", count), ("indices", gene)):
            column = self.columns[key]
            column.resize((self.n + len(row),))
            column[self.n :] = values
        first = int(row[0])
        self.sizes[first : int(row[-1]) + 1] += np.bincount(row - first)
        self.n += len(row)

    def end(self) -> None:
        self.group.create_dataset("indptr", data=np.concatenate([[0], np.cumsum(self.sizes)]))


def merge_counts(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join (row, gene, count) of several tiles: sorted by row and gene, those of one cell and gene summed.

    Examples
    --------
    >>> one = (np.array([0, 2]), np.array([1, 0]), np.array([5, 1]))
    >>> other = (np.array([0]), np.array([1]), np.array([2]))
    >>> [column.tolist() for column in merge_counts([one, other])]
    [[0, 2], [1, 0], [7, 1]]
    """
    from segapp.core.records import sort_order

    if not parts:
        none = np.zeros(0, np.int64)
        return none, none, none
    row, gene, count = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = sort_order(row.astype(np.int32), gene.astype(np.int32))
    row, gene, count = row[order], gene[order], count[order].astype(np.int64)
    starts = np.flatnonzero(np.r_[True, (np.diff(row) != 0) | (np.diff(gene) != 0)]) if len(row) else np.zeros(0, int)
    summed = np.add.reduceat(count, starts) if len(starts) else count
    return row[starts], gene[starts], summed
