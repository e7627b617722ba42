"""Cells as rows of tables: genes counted in each, and where and how large each one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import sparse

from segapp.core.checks import check_image, check_labels, check_same_shape
from segapp.core.label.overlap import contiguous, label_ids
from segapp.core.records import sort_order
from segapp.core.types import Grid, InputError, Tick, Transcripts, no_tick

_ROWS = 1 << 20
_INT32_MAX = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class CellCounts:
    """Genes counted in cells.

    Parameters
    ----------
    label : (N,) int32
        Label of each cell, ascending; every label of the image is there, with or without UMIs.
    counts : mapping of str to (N, G) csr_matrix
        Counts by layer, int32 (int64 where a count exceeds 2,147,483,647); columns follow ``transcripts.genes``.
    unassigned : mapping of str to int
        UMIs by layer that lie in no cell; those outside the frame are among them.
    outside : int
        UMIs of the total that lie outside the frame.
    """

    label: np.ndarray
    counts: Mapping[str, sparse.csr_matrix]
    unassigned: Mapping[str, int]
    outside: int


@dataclass(frozen=True, eq=False)
class CellGeometry:
    """Size and place of cells; one value a cell, ordered by label.

    Parameters
    ----------
    label : (N,) int32
        Label of each cell, ascending.
    area_px : (N,) int64
        Pixels.
    x, y : (N,) float64
        Centroid in frame px: the centre of pixel (row 0, column 0) is (0, 0).
    touches_border : (N,) bool
        True where a pixel of the cell lies in the outermost row or column of the frame.
    nucleus_area_px : (N,) int64 or None
        Pixels of the cell that are nucleus; None where no nuclei are known.
    nuclear_fraction : (N,) float64 or None
        ``nucleus_area_px / area_px``.
    """

    label: np.ndarray
    area_px: np.ndarray
    x: np.ndarray
    y: np.ndarray
    touches_border: np.ndarray
    nucleus_area_px: np.ndarray | None = None
    nuclear_fraction: np.ndarray | None = None


def count_cells(transcripts: Transcripts, labels: np.ndarray, grid: Grid, tick: Tick = no_tick) -> CellCounts:
    """Count every gene in every cell, in every layer; each UMI is counted once.

    Parameters
    ----------
    transcripts : Transcripts
        UMI records in input coordinates.
    labels : (H, W) integer
        Cells, 0 = background; ids may have gaps.
    grid : Grid
        Where `labels` sits in input coordinates.
    tick : callable
        Called after every million records.

    Returns
    -------
    CellCounts
        In each layer, the sum over cells plus ``unassigned`` is the sum of the layer. UMIs outside the frame are
        unassigned; the edge pixels of the frame belong to it.

    Raises
    ------
    InputError
        If `labels` is not a label image of the shape of `grid`.

    Notes
    -----
    Records are looked up in `labels` block by block (they are sorted by row, so this reads the image once, in
    order), those in cells are radix-sorted by (cell, gene), and runs are summed in 64 bits: linear in the number of
    records.

    Examples
    --------
    >>> from segapp.core.records import make_transcripts
    >>> t = make_transcripts([10, 11, 11, 12], [5, 5, 5, 5], [0, 0, 1, 1], {"total": [1, 2, 70000, 4]}, ["a", "b"])
    >>> cells = count_cells(t, np.array([[7, 7, 0]]), Grid(10, 5, height=1, width=3))
    >>> cells.label.tolist(), cells.counts["total"].toarray().tolist(), cells.unassigned["total"]
    ([7], [[3, 70000]], 4)
    """
    labels = check_labels(labels, "labels")
    if labels.shape != grid.shape:
        raise InputError(
            f"`labels` has shape {labels.shape} but the frame has {grid.shape}; pass labels made in this frame."
        )
    rows, ids = _dense(labels)
    cell = np.empty(len(transcripts), dtype=np.int32)
    outside = 0
    for start in range(0, len(transcripts), _ROWS):
        tick(start, 2 * len(transcripts))
        block = slice(start, start + _ROWS)
        row = transcripts.y[block].astype(np.int64) - grid.y0
        column = transcripts.x[block].astype(np.int64) - grid.x0
        inside = (row >= 0) & (row < grid.height) & (column >= 0) & (column < grid.width)
        cell[block] = 0
        cell[block][inside] = rows[row[inside], column[inside]]
        outside += int(transcripts.counts["total"][block][~inside].sum(dtype=np.int64))
    del rows

    found = np.flatnonzero(cell)
    cell = cell[found] - 1
    gene = transcripts.gene[found]
    order = sort_order(cell, gene)
    tick(len(transcripts), 2 * len(transcripts))
    cell, gene, found = cell[order], gene[order], found[order]
    del order
    is_start = np.ones(len(cell), dtype=bool)
    np.not_equal(cell[1:], cell[:-1], out=is_start[1:])
    is_start[1:] |= gene[1:] != gene[:-1]
    starts = np.flatnonzero(is_start)
    cell, gene = cell[starts], gene[starts]

    shape = (len(ids), len(transcripts.genes))
    counts, unassigned = {}, {}
    for layer, values in transcripts.counts.items():
        sums = np.add.reduceat(values[found], starts, dtype=np.int64) if len(starts) else np.zeros(0, dtype=np.int64)
        unassigned[layer] = int(values.sum(dtype=np.int64)) - int(sums.sum())
        counts[layer] = _csr(cell, gene, sums, shape)
        tick(2 * len(transcripts), 2 * len(transcripts))
    return CellCounts(ids, counts, unassigned, outside)


def cells_of_records(transcripts: Transcripts, labels: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the cell in which each record lies.

    Parameters
    ----------
    transcripts : Transcripts
        UMI records in input coordinates.
    labels : (H, W) integer
        Cells, 0 = background.
    grid : Grid
        Where `labels` sits in input coordinates.

    Returns
    -------
    (N,) uint32
        Label of the pixel of each record; 0 where that is background or outside the frame.

    Raises
    ------
    InputError
        If `labels` is not a label image of the shape of `grid`.

    Examples
    --------
    >>> from segapp.core.records import make_transcripts
    >>> t = make_transcripts([10, 11, 99], [5, 5, 5], [0, 0, 0], {"total": [1, 2, 3]}, ["a"])
    >>> cells_of_records(t, np.array([[0, 7]]), Grid(10, 5, height=1, width=2)).tolist()
    [0, 7, 0]
    """
    labels = check_labels(labels, "labels")
    if labels.shape != grid.shape:
        raise InputError(
            f"`labels` has shape {labels.shape} but the frame has {grid.shape}; pass labels made in this frame."
        )
    found = np.zeros(len(transcripts), np.uint32)
    for start in range(0, len(transcripts), _ROWS):
        block = slice(start, start + _ROWS)
        row = transcripts.y[block].astype(np.int64) - grid.y0
        column = transcripts.x[block].astype(np.int64) - grid.x0
        inside = (row >= 0) & (row < grid.height) & (column >= 0) & (column < grid.width)
        found[block][inside] = labels[row[inside], column[inside]]
    return found


def _csr(cell: np.ndarray, gene: np.ndarray, sums: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Matrix of entries that are ordered by (cell, gene); zeros are not stored."""
    kept = sums > 0
    if not kept.all():
        cell, gene, sums = cell[kept], gene[kept], sums[kept]
    data = sums if len(sums) and sums.max() > _INT32_MAX else sums.astype(np.int32)
    indptr = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(cell, minlength=shape[0]), out=indptr[1:])
    index = np.int64 if indptr[-1] > _INT32_MAX else np.int32
    matrix = sparse.csr_matrix((data, gene.astype(index, copy=False), indptr.astype(index)), shape=shape)
    matrix.has_canonical_format = True
    return matrix


def cell_geometry(labels: np.ndarray, nuclei: np.ndarray | None = None) -> CellGeometry:
    """Measure cells.

    Parameters
    ----------
    labels : (H, W) integer
        Cells, 0 = background; ids may have gaps, and the pixels of one cell need not be connected.
    nuclei : (H, W) integer, optional
        Nuclei; any label counts as nucleus, so that a cell merged of two keeps both.

    Returns
    -------
    CellGeometry
        One value a cell, ordered by label.

    Raises
    ------
    InputError
        If `nuclei` has another shape, or an array holds no labels.

    Examples
    --------
    >>> labels = np.zeros((5, 6), dtype=np.int32)
    >>> labels[1:3, 2:5] = 9
    >>> g = cell_geometry(labels, labels * (np.arange(6) > 2))
    >>> g.label.tolist(), g.area_px.tolist(), g.x.tolist(), g.y.tolist(), g.nucleus_area_px.tolist()
    ([9], [6], [3.0], [1.5], [4])
    """
    labels = check_labels(labels, "labels")
    if nuclei is not None:
        nuclei = check_labels(nuclei, "nuclei")
        check_same_shape({"labels": labels, "nuclei": nuclei})
    rows, ids = _dense(labels)
    n = len(ids)
    area, sum_x, sum_y = (np.zeros(n + 1, dtype=np.int64) for _ in range(3))
    _moments(rows, area, sum_x, sum_y)
    border = np.zeros(n + 1, dtype=bool)
    for edge in (rows[0], rows[-1], rows[:, 0], rows[:, -1]):
        border[edge] = True
    area = area[1:]
    nucleus_area = fraction = None
    if nuclei is not None:
        nucleus_area = np.bincount(rows[nuclei > 0], minlength=n + 1)[1:].astype(np.int64)
        fraction = nucleus_area / area
    return CellGeometry(ids, area, sum_x[1:] / area, sum_y[1:] / area, border[1:], nucleus_area, fraction)


def mean_in_cells(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of an image over the pixels of each cell.

    Parameters
    ----------
    image : (H, W) array
        Any numeric type, such as a score map.
    labels : (H, W) integer
        Cells, 0 = background.

    Returns
    -------
    (N,) float32
        One mean a cell, ordered by label; sums are kept in 64 bits.

    Raises
    ------
    InputError
        If the shapes differ, or an array is no image or holds no labels.

    Examples
    --------
    >>> mean_in_cells(np.array([[1.0, 3.0, 9.0]]), np.array([[4, 4, 0]])).tolist()
    [2.0]
    """
    labels, image = check_labels(labels, "labels"), check_image(image, "image")
    check_same_shape({"image": image, "labels": labels})
    rows, ids = _dense(labels)
    inside = rows > 0
    where = rows[inside]
    total = np.bincount(where, weights=image[inside].astype(np.float64), minlength=len(ids) + 1)
    return (total[1:] / np.bincount(where, minlength=len(ids) + 1)[1:]).astype(np.float32)


def _dense(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels renumbered 1 ... N in the order of their ids, and those ids."""
    ids = label_ids(labels)
    dense = labels if len(ids) == labels.max() else contiguous(labels)
    return dense, ids


@njit(cache=True, nogil=True)
def _moments(labels: np.ndarray, area: np.ndarray, sum_x: np.ndarray, sum_y: np.ndarray) -> None:
    height, width = labels.shape
    for r in range(height):
        for c in range(width):
            label = labels[r, c]
            if label:
                area[label] += 1
                sum_x[label] += c
                sum_y[label] += r


def warm() -> None:
    """Compile the kernels on a tiny input, writeable and read-only."""
    labels = np.ones((2, 2), dtype=np.int32)
    cell_geometry(labels)
    labels.flags.writeable = False
    cell_geometry(labels)
