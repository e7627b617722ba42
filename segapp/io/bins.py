"""Bins as AnnData: spots or squares x genes with a place each, or pixels with obs = x and var = y."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from segapp.core.records import make_transcripts
from segapp.core.types import InputError, Tick, Transcripts, no_tick
from segapp.io.gef import open_hdf5
from segapp.io.placement import placement
from segapp.io.zarr_groups import open_zarr

UM_PER_PX = 0.5
"""Micrometres in one unit of the coordinates where the table does not say."""

NO_GENES = "all genes"
"""Name of the only gene of a table that has lost its genes."""

_LAYERS = ("spliced", "unspliced", "exon")
_TOTALS = ("counts", "X", "raw_counts")
_OFF_GRID = 0.2
"""Largest distance from a grid, in steps of it, that still counts as on the grid."""


def read_anndata(path: str | Path, tick: Tick = no_tick, *, um_per_px: float = UM_PER_PX) -> Transcripts:
    """Read bins from an AnnData.

    Parameters
    ----------
    path : str or Path
        ``.h5ad`` or the folder of an AnnData in zarr. Either bins x genes, with the place of each bin in
        ``obs["array_col"]`` and ``obs["array_row"]`` or in ``obsm["spatial"]`` (x, y); or a table of pixels as Spateo
        writes it, with obs = x and var = y.
    tick : callable
        Called between the steps.
    um_per_px : float
        Micrometres in one unit of the coordinates, where the file does not say.

    Returns
    -------
    Transcripts
        One pixel a bin: the steps of the grid of bins are found from the coordinates. Raw counts are taken from the
        layer ``counts`` where there is one, else from ``X``; the layers ``spliced``, ``unspliced`` and ``exon`` are
        kept. A table of pixels has no genes, so that all its UMIs belong to one gene, `NO_GENES`.

    Raises
    ------
    InputError
        When the file is missing or damaged, holds fractions instead of counts, or its places are on no grid, as those
        of cells are.

    References
    ----------
    .. [1] The on-disk format of AnnData, https://anndata.readthedocs.io/en/stable/fileformat-prose.html
    .. [2] X. Qiu et al., "Spatiotemporal modeling of molecular holograms", Cell 187, 2024 (Spateo; tables of pixels).

    Examples
    --------
    >>> import tempfile
    >>> from anndata import AnnData
    >>> path = Path(tempfile.mkdtemp()) / "bins.h5ad"
    >>> bins = AnnData(sparse.csr_matrix(np.array([[2, 0], [1, 4]], dtype=np.float32)))
    >>> bins.var_names, bins.obsm["spatial"] = ["Actb", "Malat1"], np.array([[100, 50], [150, 50]])
    >>> bins.write_h5ad(path)
    >>> t = read_anndata(path)
    >>> t.bbox, t.counts["total"].tolist(), t.header["MicronsPerPixel"]
    ((2, 1, 3, 1), [2, 1, 4], '25')
    """
    path = Path(path)
    if path.is_dir():
        with open_zarr(path, "an AnnData") as group:
            return transcripts_of_bins(group, str(path), tick, um_per_px=um_per_px)
    with open_hdf5(path, "an AnnData") as file:
        return transcripts_of_bins(file, str(path), tick, um_per_px=um_per_px)


def transcripts_of_bins(
    group: Any,
    name: str,
    tick: Tick = no_tick,
    *,
    um_per_px: float = UM_PER_PX,
    places: np.ndarray | None = None,
    bin_um: float | None = None,
) -> Transcripts:
    """Read bins from an open AnnData; see `read_anndata`.

    Parameters
    ----------
    group : h5py.File, h5py.Group or zarr.Group
        The AnnData.
    name : str
        What it is called in sentences.
    tick : callable
        Progress.
    um_per_px : float
        Micrometres in one unit of the coordinates, where the file does not say.
    places : (N, 2) array, optional
        x and y of each bin, where they are known from elsewhere; places in the table come first.
    bin_um : float, optional
        Side of a bin in micrometres, where it is known from elsewhere.
    """
    from anndata.io import read_elem

    if not {"obs", "var", "X"} <= set(group):
        raise InputError(f"{name} lacks {', '.join(sorted({'obs', 'var', 'X'} - set(group)))}; give a whole AnnData.")
    obs, var = read_elem(group["obs"]), read_elem(group["var"])
    uns = _uns(group)
    layers = set(group["layers"]) if "layers" in group else set()
    total = _counts(read_elem(group["layers/counts"] if "counts" in layers else group["X"]), name)
    tick(1, 3)
    counts = {"total": total}
    for layer in _LAYERS:
        if layer in layers:
            counts[layer] = _counts(read_elem(group[f"layers/{layer}"]), f"layer {layer} of {name}")
    tick(2, 3)
    if _is_pixels(obs, var, uns):
        return _from_pixels(counts, obs, var, uns, um_per_px)
    spatial = read_elem(group["obsm/spatial"]) if "spatial" in group.get("obsm", {}) else places
    x, y, um = _grid(obs, spatial, uns, name, um_per_px, bin_um)
    rows, genes, values = _records(counts)
    made = make_transcripts(
        x[rows],
        y[rows],
        genes,
        values,
        _gene_names(var),
        header={"FileFormat": "AnnData", "MicronsPerPixel": f"{um:g}", **_placed(obs, spatial, uns)},
    )
    tick(3, 3)
    return made


def _uns(group: Any) -> Mapping[str, Any]:
    """What matters of ``uns``: pictures may be large, and stay where they are."""
    from anndata.io import read_elem

    found: dict[str, Any] = {}
    if "uns" not in group:
        return found
    for key in ("__type", "bin_size", "resolution", "binsize"):
        if key in group["uns"]:
            found[key] = read_elem(group[f"uns/{key}"])
    spatial = group["uns"].get("spatial")
    if spatial is None or not hasattr(spatial, "keys"):
        return found
    for key in ("binsize", "scale", "scale_unit"):
        if key in spatial:
            found[f"spatial_{key}"] = read_elem(spatial[key])
    for library in spatial:
        inner = spatial[library]
        if hasattr(inner, "keys") and "scalefactors" in inner:
            found["scalefactors"] = read_elem(inner["scalefactors"])
    return found


def _counts(matrix: Any, name: str) -> sparse.coo_matrix:
    """Counts as coordinates; fractions and negative values are refused."""
    found = sparse.coo_matrix(matrix)
    values = found.data
    if values.size and (
        not np.isfinite(values).all() or values.min() < 0 or not np.array_equal(values, np.floor(values))
    ):
        raise InputError(
            f"{name} holds values such as {_odd(values):g}, but raw counts are needed; "
            "put them into X or into the layer counts."
        )
    found.eliminate_zeros()
    return found


def _odd(values: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(values[~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))][0])


def _records(counts: Mapping[str, sparse.coo_matrix]) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Rows, columns and layers of the entries of all matrices; equal entries are summed when the records are made."""
    rows = np.concatenate([matrix.row for matrix in counts.values()])
    columns = np.concatenate([matrix.col for matrix in counts.values()]).astype(np.int32)
    values, start = {}, 0
    for layer, matrix in counts.items():
        column = np.zeros(len(rows), np.int64)
        column[start : start + matrix.nnz] = matrix.data
        values[layer], start = column, start + matrix.nnz
    return rows, columns, values


def _is_pixels(obs: Any, var: Any, uns: Mapping[str, Any]) -> bool:
    """Whether rows are x and columns are y: said so, or named by whole numbers in order, both of them."""
    if str(uns.get("__type", "")) == "AGG":
        return True
    numbers = [_whole(frame.index) for frame in (obs, var)]
    return all(one is not None and len(one) > 1 and bool(np.all(np.diff(one) == 1)) for one in numbers) and not len(
        var.columns
    )


def _whole(index: Any) -> np.ndarray | None:
    try:
        return np.asarray([int(name) for name in index], dtype=np.int64)
    except ValueError:
        return None


def _from_pixels(
    counts: Mapping[str, sparse.coo_matrix], obs: Any, var: Any, uns: Mapping[str, Any], um_per_px: float
) -> Transcripts:
    """Records of a table of pixels: its names are x and y in bins."""
    x, y = _whole(obs.index), _whole(var.index)
    if x is None or y is None:
        raise InputError("a table of pixels names its rows by x and its columns by y, in whole numbers; check them.")
    rows, columns, values = _records(counts)
    step = float(np.asarray(uns.get("spatial_binsize", 1)))
    known = str(uns.get("spatial_scale_unit", "um")) == "um"
    unit = float(np.asarray(uns.get("spatial_scale", um_per_px))) if known else um_per_px
    header = {"FileFormat": "AnnData of pixels", "MicronsPerPixel": f"{step * unit:g}"}
    gene = np.zeros(len(rows), np.int32)
    return make_transcripts(x[rows], y[columns], gene, values, [NO_GENES], header=header)


def _grid(
    obs: Any, spatial: Any, uns: Mapping[str, Any], name: str, um_per_px: float, bin_um: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Column and row of each bin in the grid of bins, and its side in micrometres."""
    factors = uns.get("scalefactors", {})
    if {"array_row", "array_col"} <= set(obs.columns):
        said = bin_um or factors.get("bin_size_um") or um_per_px
        x, y = (obs[column].to_numpy().astype(np.int64) for column in ("array_col", "array_row"))
        return x, y, float(said)
    if spatial is None:
        raise InputError(
            f'{name} does not say where its bins lie; give an AnnData with obsm["spatial"], or with array_row and '
            "array_col in obs."
        )
    at = np.asarray(spatial, dtype=np.float64)
    if at.ndim != 2 or at.shape[1] < 2 or len(at) != len(obs) or not np.isfinite(at[:, :2]).all():
        raise InputError(f"{name} has places of shape {at.shape} for {len(obs):,} bins; each needs an x and a y.")
    steps = [_step(at[:, axis]) for axis in (0, 1)]
    known = [step for step in steps if step]
    step = min(known) if known else 1.0
    index = []
    for axis in (0, 1):
        values = at[:, axis] / step
        first = float(np.floor(values.min() + 1e-6))
        found = np.rint(values - values.min())
        if np.abs(values - values.min() - found).max() > _OFF_GRID:
            raise InputError(
                f"{name} has places on no regular grid, as those of cells are; give bins, or the records that the "
                "cells were made from."
            )
        index.append((found + first).astype(np.int64))
    if bin_um is None:
        resolution = uns.get("resolution")  # of Stereopy, in nm
        unit = um_per_px if resolution is None else float(np.asarray(resolution)) / 1000
        bin_um = step * float(factors.get("microns_per_pixel") or unit)
    return index[0], index[1], bin_um


def _placed(obs: Any, spatial: Any, uns: Mapping[str, Any]) -> dict[str, str]:
    """How bins with a place in an array lie in their picture: as readers of Visium keep it in ``obsm["spatial"]``."""
    at = None if spatial is None else np.asarray(spatial, dtype=np.float64)
    if not {"array_row", "array_col"} <= set(obs.columns) or at is None or at.ndim != 2 or at.shape[1] < 2:
        return {}
    column, row = (obs[name].to_numpy().astype(np.int64) for name in ("array_col", "array_row"))
    return placement(column, row, at[:, :2], uns.get("scalefactors", {}))


def _step(values: np.ndarray) -> float:
    """Step of a regular grid that the values lie on; 0 where there is only one value."""
    distinct = np.unique(np.round(values, 4))
    gaps = np.diff(distinct)
    gaps = gaps[gaps > 1e-3]
    # places of squares that were turned or rounded scatter: gaps far below the usual one are not steps
    return float(np.median(gaps[gaps <= 1.5 * gaps.min()])) if gaps.size else 0.0


def _gene_names(var: Any) -> list[str]:
    columns = ("gene_name", "real_gene_name", "gene_names", "SYMBOL")
    column = next((name for name in columns if name in var.columns), None)
    return [str(gene) for gene in (var.index if column is None else var[column])]
