"""GEM as an AnnData of bins x genes or cells x genes, with the outline of every row."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from segapp.core.cells import count_cells
from segapp.core.checks import check_labels
from segapp.core.label.overlap import areas, label_ids
from segapp.core.outline import Outlines, hull, trace_outlines
from segapp.core.params import Params, knob
from segapp.core.types import Grid, InputError, Tick, Transcripts, no_tick
from segapp.io.agg import CELLS, check_ids, spatial_uns
from segapp.io.gem import read_gem

if TYPE_CHECKING:
    from anndata import AnnData


class BgiParams(Params):
    """Count genes in bins or in cells."""

    seg_binsize: int = knob(
        1, unit="px", ge=1, le=10_000, soft=(1, 100), doc="Side in px of one element of the label array that is given."
    )
    add_props: bool = knob(True, doc="Add area, centroid, bounding box and outline of every row.")
    version: str = knob("stereo", doc="Technology, which sets the length of one step of x and y.")


@dataclass(frozen=True, eq=False)
class Properties:
    """Shape of each row, in coordinates of the input; pixel (x, y) covers x to x + 1 and y to y + 1.

    Parameters
    ----------
    area : (N,) float64
        px².
    centroid : (N, 2) float64
        x, y.
    bbox : (N, 4) int64
        Lowest x, lowest y, and the x and y where it ends.
    contour : (N,) str
        Polygon or multipolygon as hexadecimal well-known binary.
    """

    area: np.ndarray
    centroid: np.ndarray
    bbox: np.ndarray
    contour: np.ndarray


def read_bins(path: str | Path, binsize: int, params: BgiParams, tick: Tick = no_tick) -> AnnData:
    r"""Count genes in square bins.

    Parameters
    ----------
    path : str or Path
        GEM file.
    binsize : int
        Side of a bin in px; bins are counted from the origin of the file.
    params : BgiParams
        What to add.
    tick : callable
        Progress of the reading.

    Returns
    -------
    AnnData
        One row for every bin with UMIs, named ``"i-j"``: x from ``i * binsize`` on, y from ``j * binsize`` on. See
        `read_labelled` for the rest.

    Raises
    ------
    InputError
        When the file cannot be read or `binsize` is no whole number above 0.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\nActb\t7\t20\t2\nMalat1\t9\t21\t3\n")
    >>> adata = read_bins(path, 10, BgiParams())
    >>> adata.obs_names.tolist(), adata.X.toarray().tolist(), adata.obsm["spatial"].tolist()
    (['0-2'], [[2, 3]], [[5.0, 25.0]])
    """
    if isinstance(binsize, bool) or int(binsize) != binsize or binsize < 1:
        raise InputError(f"binsize={binsize} cannot be used; it is a whole number of px above 0, such as 50.")
    transcripts, side = read_gem(path, tick), int(binsize)
    i, j = transcripts.x // side, transcripts.y // side
    span = int(j.max()) - int(j.min()) + 1
    keys, group = np.unique(i.astype(np.int64) * span + (j - j.min()), return_inverse=True)
    corner = np.stack([keys // span, keys % span + int(j.min())], -1)
    names = [f"{a}-{b}" for a, b in corner.tolist()]
    layers, unassigned = _group_counts(transcripts, group, len(names))
    properties = None
    if params.add_props:
        squares = [_square(x * side, y * side, side) for x, y in corner.tolist()]
        properties = Properties(
            np.full(len(names), float(side * side)),
            (corner + 0.5) * side,
            np.hstack([corner, corner + 1]) * side,
            np.array([to_wkb([[ring]]) for ring in squares], object),
        )
    return _table(transcripts, layers, names, properties, params, unassigned, side)


def read_labelled(
    path: str | Path,
    labels: np.ndarray,
    params: BgiParams,
    *,
    origin: tuple[int, int] = (0, 0),
    tick: Tick = no_tick,
) -> AnnData:
    r"""Count genes in labels.

    Parameters
    ----------
    path : str or Path
        GEM file.
    labels : (X, Y) integer array
        Row = x, column = y, 0 = background; one element is ``params.seg_binsize`` px wide.
    params : BgiParams
        Side of an element, what to add.
    origin : (int, int)
        x and y in px where `labels` begins.
    tick : callable
        Progress of reading and counting.

    Returns
    -------
    AnnData
        One row a label, named by its id, also where it holds no UMI (``obs["empty"]``); columns are all genes of the
        file, by name. ``X`` is CSR counts of all UMIs, ``layers`` hold the others. ``obs["area"]`` in px²,
        ``obsm["spatial"]`` (x, y), ``obsm["bbox"]`` and ``obsm["contour"]`` (N, 1) are in the coordinates of the
        input; a label of several pieces is a multipolygon. ``uns["segapp"]``: umis_total and umis_unassigned; the sum
        of ``X`` plus umis_unassigned is umis_total.

    Raises
    ------
    InputError
        When the file cannot be read or `labels` are no labels.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\nActb\t7\t20\t2\nMalat1\t9\t21\t3\n")
    >>> adata = read_labelled(path, np.array([[5, 5], [0, 8]]), BgiParams(), origin=(7, 20))
    >>> adata.obs_names.tolist(), adata.X.toarray().tolist(), adata.obs["empty"].tolist()
    (['5', '8'], [[2, 0], [0, 0]], [False, True])
    """
    labels, transcripts = check_labels(labels, "labels"), read_gem(path, tick)
    side = params.seg_binsize
    across = labels.repeat(side, 0).repeat(side, 1) if side > 1 else labels
    grid = Grid(origin[0], origin[1], height=across.shape[1], width=across.shape[0])
    counted = count_cells(transcripts, np.ascontiguousarray(across.T), grid, tick)
    names = [str(i) for i in counted.label]
    properties = _label_properties(labels, side, origin) if params.add_props else None
    return _table(
        transcripts, dict(counted.counts), names, properties, params, counted.unassigned["total"], side_of_bin=1
    )


def read_column(path: str | Path, label_column: str, params: BgiParams, tick: Tick = no_tick) -> AnnData:
    r"""Count genes in the cells that a column of the file names.

    Parameters
    ----------
    path : str or Path
        GEM file.
    label_column : str
        Column of cell ids; 0 is no cell.
    params : BgiParams
        What to add.
    tick : callable
        Progress of the reading.

    Returns
    -------
    AnnData
        As `read_labelled`. The file knows a cell only where it has UMIs: area, centroid and contour are those of the
        convex hull of these pixels.

    Raises
    ------
    InputError
        When the file cannot be read or has no such column.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\tcell\nActb\t7\t20\t2\t3\nActb\t9\t21\t3\t0\n")
    >>> adata = read_column(path, "cell", BgiParams())
    >>> adata.obs_names.tolist(), adata.obs["area"].tolist(), adata.uns["segapp"]["umis_unassigned"]
    (['3'], [1.0], 3)
    """
    transcripts = read_gem(path, tick, cell_column=label_column)
    assert transcripts.cell_id is not None
    cell = check_ids(transcripts.cell_id)
    found, group = np.unique(cell, return_inverse=True)
    skipped = int(len(found) > 0 and found[0] == 0)
    ids, group = found[skipped:], group - skipped
    layers, unassigned = _group_counts(transcripts, group, len(ids))
    properties = _hull_properties(transcripts, group, len(ids)) if params.add_props else None
    return _table(transcripts, layers, [str(i) for i in ids], properties, params, unassigned, side_of_bin=1)


def to_wkb(polygons: Sequence[Sequence[Any]]) -> str:
    """Write a polygon, or several as a multipolygon, as hexadecimal well-known binary.

    Parameters
    ----------
    polygons : sequence of sequences of (M, 2) arrays
        Each polygon is its outer ring and then its holes; a ring ends where it begins.

    Returns
    -------
    str
        Upper-case hexadecimal, little-endian.

    References
    ----------
    OGC 06-103r4, Simple feature access, part 1: common architecture, section 8.

    Examples
    --------
    >>> to_wkb([[[(0, 0), (1, 0), (0, 1), (0, 0)]]])[:18]
    '010300000001000000'
    """
    parts = [
        struct.pack("<BII", 1, 3, len(rings))
        + b"".join(struct.pack("<I", len(ring)) + np.asarray(ring, "<f8").tobytes() for ring in rings)
        for rings in polygons
    ]
    whole = parts[0] if len(parts) == 1 else struct.pack("<BII", 1, 6, len(parts)) + b"".join(parts)
    return whole.hex().upper()


def _group_counts(transcripts: Transcripts, group: np.ndarray, n: int) -> tuple[dict[str, sparse.csr_matrix], int]:
    """Sum the records of each group by gene, in every layer; -1 is no group."""
    kept = np.flatnonzero(group >= 0)
    at, shape = (group[kept], transcripts.gene[kept]), (n, len(transcripts.genes))
    layers = {}
    for name, counts in transcripts.counts.items():
        table = sparse.coo_matrix((counts[kept].astype(np.int64), at), shape=shape).tocsr()
        table.sum_duplicates()
        table.eliminate_zeros()
        small = not table.nnz or int(table.data.max()) <= np.iinfo(np.int32).max
        layers[name] = table.astype(np.int32) if small else table
    return layers, transcripts.n_umis - int(transcripts.counts["total"][kept].sum(dtype=np.int64))


def _table(
    transcripts: Transcripts,
    layers: dict[str, Any],
    names: list[str],
    properties: Properties | None,
    params: BgiParams,
    unassigned: int,
    side_of_bin: int,
) -> AnnData:
    import pandas as pd
    from anndata import AnnData

    total = layers.pop("total")
    uns = spatial_uns(transcripts, CELLS, side_of_bin, params.version)
    uns["segapp"] = {"umis_total": transcripts.n_umis, "umis_unassigned": unassigned}
    obs = pd.DataFrame({"empty": np.diff(total.indptr) == 0}, index=names)
    adata = AnnData(X=total, obs=obs, var=pd.DataFrame(index=list(transcripts.genes)), layers=layers, uns=uns)
    if properties is not None:
        adata.obs["area"] = properties.area
        adata.obsm["spatial"] = properties.centroid
        adata.obsm["bbox"] = properties.bbox
        adata.obsm["contour"] = properties.contour[:, None]  # a row of a table is never a scalar
    return adata


def _label_properties(labels: np.ndarray, side: int, origin: tuple[int, int]) -> Properties:
    """Properties of labels with row = x: outlines have (column, row), so the two are swapped."""
    outlines, ids = trace_outlines(labels), label_ids(labels)
    place = np.array(origin, np.int64)
    xy = outlines.xy[:, ::-1] * side + place
    area = areas(labels)[ids]
    row, column = np.nonzero(labels)
    which = labels[row, column]
    centre = np.stack([np.bincount(which, at)[ids] / area + 0.5 for at in (row, column)], -1)
    first = outlines.start[np.searchsorted(outlines.label, ids)]
    low, high = (
        np.stack([ufunc.reduceat(xy[:, axis], first) for axis in (0, 1)], -1) if len(ids) else np.zeros((0, 2), int)
        for ufunc in (np.minimum, np.maximum)
    )
    ring_of = np.append(np.searchsorted(outlines.label, ids), len(outlines.label))
    contour = np.empty(len(ids), object)
    for i in range(len(ids)):
        contour[i] = to_wkb(_polygons(outlines, xy, int(ring_of[i]), int(ring_of[i + 1])))
    return Properties(area * float(side * side), centre * side + place, np.hstack([low, high]), contour)


def _polygons(outlines: Outlines, xy: np.ndarray, begin: int, end: int) -> list[list[np.ndarray]]:
    polygons: list[list[np.ndarray]] = []
    for i in range(begin, end):
        if not outlines.hole[i]:
            polygons.append([])
        polygons[-1].append(xy[outlines.start[i] : outlines.start[i + 1]])
    return polygons


def _hull_properties(transcripts: Transcripts, group: np.ndarray, n: int) -> Properties:
    inside = group >= 0
    order = np.argsort(group[inside], kind="stable")
    points = np.stack([transcripts.x[inside], transcripts.y[inside]], -1)[order].astype(np.int64)
    cut = np.searchsorted(group[inside][order], np.arange(n + 1))
    area, centroid, bbox = np.zeros(n), np.zeros((n, 2)), np.zeros((n, 4), np.int64)
    contour = np.empty(n, object)
    for i in range(n):
        own = points[cut[i] : cut[i + 1]]
        corners, area[i], centroid[i] = hull(own)
        bbox[i] = (*own.min(0), *(own.max(0) + 1))
        contour[i] = to_wkb([[corners]])
    return Properties(area, centroid, bbox, contour)


def _square(x: int, y: int, side: int) -> list[tuple[int, int]]:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]
