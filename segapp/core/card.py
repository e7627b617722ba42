"""One cell at a time: what lies at a place, found at once in the sorted records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from segapp.core.checks import check_labels, check_same_shape
from segapp.core.types import Grid, InputError, Transcripts


@dataclass(frozen=True)
class CellCard:
    """What is known of one cell.

    Parameters
    ----------
    label : int
        Its id.
    area_px : int
        Pixels.
    x, y : float
        Centroid in frame px: the centre of pixel (row 0, column 0) is (0, 0).
    box : (int, int, int, int)
        First row, first column, end row, end column; half-open.
    umis, n_genes : int
        UMIs and different genes.
    top_genes : tuple of (str, int)
        Genes with the most UMIs, the most first; equal ones by name.
    score : float or None
        Mean score over its pixels.
    nucleus_area_px : int or None
        Pixels of it that are nucleus.
    touches_border : bool
        Whether it reaches the edge of the frame: it may be cut off.
    """

    label: int
    area_px: int
    x: float
    y: float
    box: tuple[int, int, int, int]
    umis: int
    n_genes: int
    top_genes: tuple[tuple[str, int], ...]
    score: float | None
    nucleus_area_px: int | None
    touches_border: bool


def describe_cell(
    transcripts: Transcripts,
    labels: np.ndarray,
    grid: Grid,
    cell: int,
    *,
    n_top: int,
    nuclei: np.ndarray | None = None,
    scores: np.ndarray | None = None,
) -> CellCard:
    """Describe one cell.

    Parameters
    ----------
    transcripts : Transcripts
        UMI records.
    labels : (H, W) integer array
        Cells, 0 is background.
    grid : Grid
        Where `labels` sits in input coordinates.
    cell : int
        Id of the cell; its pixels need not be connected.
    n_top : int
        How many genes to name.
    nuclei : (H, W) integer array, optional
        Nuclei; any label counts.
    scores : (H, W) array, optional
        Score map.

    Returns
    -------
    CellCard

    Raises
    ------
    InputError
        When there is no such cell or the shapes differ.

    Notes
    -----
    Records are sorted by row, so those in the rows of the cell are one slice, found by bisection: the time depends on
    the height of the cell, not on the number of records.

    Examples
    --------
    >>> from segapp.core.records import make_transcripts
    >>> t = make_transcripts([10, 11, 11, 12], [5, 5, 5, 5], [0, 0, 1, 1], {"total": [1, 2, 9, 4]}, ["a", "b"])
    >>> card = describe_cell(t, np.array([[7, 7, 0]]), Grid(10, 5, height=1, width=3), 7, n_top=1)
    >>> card.area_px, card.umis, card.n_genes, card.top_genes
    (2, 12, 2, (('b', 9),))
    """
    labels = check_labels(labels, "labels")
    check_same_shape({"labels": labels, "nuclei": nuclei, "scores": scores})
    if labels.shape != grid.shape:
        raise InputError(
            f"`labels` has shape {labels.shape} but the frame has {grid.shape}; pass labels made in this frame."
        )
    box = _box(labels, cell) if cell > 0 else (0, 0, 0, 0)
    top, left, bottom, right = (int(edge) for edge in box)
    if bottom <= top:
        raise InputError(f"there is no cell {cell}; its id may have changed with the parameters.")
    window = (slice(top, bottom), slice(left, right))
    inside = labels[window] == cell
    rows, columns = np.nonzero(inside)

    # bounds of the column's own type: another type would copy the whole column
    bounds = np.array([top + grid.y0, bottom + grid.y0]).astype(transcripts.y.dtype)
    start, stop = np.searchsorted(transcripts.y, bounds)
    column = transcripts.x[start:stop].astype(np.int64) - grid.x0 - left
    near = np.flatnonzero((column >= 0) & (column < right - left))
    row = transcripts.y[start:stop][near].astype(np.int64) - grid.y0 - top
    hits = near[inside[row, column[near]]] + start
    gene, where = np.unique(transcripts.gene[hits], return_inverse=True)
    umis = np.bincount(where, weights=transcripts.counts["total"][hits], minlength=len(gene)).astype(np.int64)
    # genes are numbered by name, so a stable sort leaves equal ones in the order of their names
    ranked = np.argsort(-umis, kind="stable")[:n_top]
    return CellCard(
        label=int(cell),
        area_px=len(rows),
        x=float(columns.mean()) + left,
        y=float(rows.mean()) + top,
        box=(top, left, bottom, right),
        umis=int(umis.sum()),
        n_genes=int((umis > 0).sum()),
        top_genes=tuple((transcripts.genes[gene[i]], int(umis[i])) for i in ranked if umis[i]),
        score=None if scores is None else float(scores[window][inside].mean(dtype=np.float64)),
        nucleus_area_px=None if nuclei is None else int(np.count_nonzero(nuclei[window][inside])),
        touches_border=top == 0 or left == 0 or bottom == labels.shape[0] or right == labels.shape[1],
    )


def same_pixels(a: np.ndarray, b: np.ndarray, cell: int) -> bool:
    """Return whether a cell has the very same pixels in two labelings; False where it is in neither.

    Examples
    --------
    >>> a = np.array([[1, 1, 2]])
    >>> same_pixels(a, a * (a < 2), 1), same_pixels(a, a * (a < 2), 2)
    (True, False)
    """
    a, b = check_labels(a, "a"), check_labels(b, "b")
    top, left, bottom, right = _box(a, cell)
    if bottom <= top or (top, left, bottom, right) != _box(b, cell):
        return False
    window = (slice(top, bottom), slice(left, right))
    return bool(np.array_equal(a[window] == cell, b[window] == cell))


@njit(cache=True, nogil=True)
def _box(labels: np.ndarray, cell: int) -> tuple[int, int, int, int]:
    """Half-open bounds of a label, all 0 where it is not."""
    height, width = labels.shape
    top, left, bottom, right = height, width, 0, 0
    for r in range(height):
        for c in range(width):
            if labels[r, c] == cell:
                top = min(top, r)
                left = min(left, c)
                bottom = r + 1
                right = max(right, c + 1)
    if bottom == 0:
        return 0, 0, 0, 0
    return top, left, bottom, right


def warm() -> None:
    """Compile the kernel on a tiny input, writeable and read-only."""
    labels = np.ones((1, 1), np.int32)
    _box(labels, 1)
    labels.flags.writeable = False
    _box(labels, 1)
