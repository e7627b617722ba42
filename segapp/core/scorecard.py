"""How good labels are without a truth: what the cells hold, against cells of the same sizes that lie anywhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from segapp.core.checks import check_counts, check_labels, check_same_shape
from segapp.core.display import label_areas
from segapp.core.label.overlap import label_ids
from segapp.core.records import sort_order
from segapp.core.types import Grid, InputError, Tick, Transcripts, no_tick

SEED = 0
"""Seed of the random labels: the same cells have the same scorecard."""

_ROWS = 1 << 20


@dataclass(frozen=True)
class Scorecard:
    """Figures of one labeling; what is not known is None.

    Parameters
    ----------
    n_cells : int
    median_area_px : float or None
        None without cells, as all medians.
    median_umis, median_genes : float or None
        UMIs, and different genes, in a cell.
    assigned : float or None
        Share of all UMIs that lie in cells, 0 to 1; None without UMIs.
    within_limits : float or None
        Share of the cells found that lie within the area limits.
    nuclei_per_cell : float or None
        Mean number of pieces of nuclei in a cell.
    random_umis : float or None
        Median UMIs of random cells: the same areas, their pixels scattered over the frame without overlap.
    random_assigned : float or None
        Share of all UMIs that random cells hold.

    Examples
    --------
    >>> card = Scorecard(2, 80.0, 30.0, 12.0, 0.5, 1.0, None, 10.0, 0.25)
    >>> card.ratio, card.per_cell_ratio
    (2.0, 3.0)
    """

    n_cells: int
    median_area_px: float | None = None
    median_umis: float | None = None
    median_genes: float | None = None
    assigned: float | None = None
    within_limits: float | None = None
    nuclei_per_cell: float | None = None
    random_umis: float | None = None
    random_assigned: float | None = None

    @property
    def ratio(self) -> float | None:
        """UMIs in cells over UMIs in random cells of the same sizes; 1 is chance."""
        return self.assigned / self.random_assigned if self.assigned is not None and self.random_assigned else None

    @property
    def per_cell_ratio(self) -> float | None:
        """Median UMIs of a cell over the median of random cells; None where half of the random cells are empty."""
        return self.median_umis / self.random_umis if self.median_umis is not None and self.random_umis else None

    def to_json(self) -> dict[str, Any]:
        """Return the figures that are known by name, ``ratio`` among them."""
        values = {**dataclasses.asdict(self), "ratio": self.ratio, "per_cell_ratio": self.per_cell_ratio}
        return {name: value for name, value in values.items() if value is not None}


def scorecard(
    labels: np.ndarray,
    total: np.ndarray,
    *,
    n_umis: int,
    genes: np.ndarray | None = None,
    nuclei: np.ndarray | None = None,
    ghosts: np.ndarray | None = None,
    seed: int = SEED,
    tick: Tick = no_tick,
) -> Scorecard:
    """Describe labels by what they hold.

    Parameters
    ----------
    labels : (H, W) integer array
        Cells, 0 is background.
    total : (H, W) counts
        UMIs in each pixel.
    n_umis : int
        All UMIs of the section, those outside the frame among them.
    genes : (N,) integer array, optional
        Different genes of each cell, as `genes_per_cell` counts them.
    nuclei : (H, W) integer array, optional
        Nuclei.
    ghosts : (H, W) integer array, optional
        Cells that the area limits set aside.
    seed : int
        Seed of the random cells.
    tick : callable
        Called between the steps.

    Returns
    -------
    Scorecard

    Raises
    ------
    InputError
        When an array is no label image or the shapes differ.

    Notes
    -----
    Random cells hold what those of `segapp.core.qc.random_labels_like` hold: pixels drawn anywhere, each at most once.
    The counts of the pixels are drawn, not their places, which takes a tenth of the time. A section without structure
    gives a ratio of 1; cells that follow the RNA give more. Larger cells give a smaller ratio: compare
    labelings of like sizes.

    Examples
    --------
    >>> total = np.zeros((10, 10), np.uint32)
    >>> total[:2, :5] = 3
    >>> labels = np.zeros((10, 10), np.int32)
    >>> labels[:2, :5] = 7
    >>> card = scorecard(labels, total, n_umis=40)
    >>> card.n_cells, card.median_area_px, card.median_umis, card.assigned
    (1, 10.0, 30.0, 0.75)
    """
    labels, total = check_labels(labels, "labels"), check_counts(total, "total")
    check_same_shape({"labels": labels, "total": total, "nuclei": nuclei, "ghosts": ghosts})
    area = label_areas(labels)
    ids = np.flatnonzero(area)
    n_ghosts = 0 if ghosts is None else int(np.count_nonzero(label_areas(ghosts)))
    found = len(ids) + n_ghosts
    within = len(ids) / found if ghosts is not None and found else None
    if not len(ids):
        return Scorecard(0, within_limits=within, assigned=0.0 if n_umis else None)
    tick(0, 3)
    umis = _sum_in_cells(labels.ravel(), total.ravel(), len(area))[ids]
    tick(1, 3)
    random = _sum_anywhere(total.ravel(), area[ids], seed)
    tick(2, 3)
    per_cell = None if nuclei is None else _pieces(check_labels(nuclei, "nuclei")) / len(ids)
    return Scorecard(
        n_cells=len(ids),
        median_area_px=float(np.median(area[ids])),
        median_umis=float(np.median(umis)),
        median_genes=None if genes is None or not len(genes) else float(np.median(genes)),
        assigned=float(umis.sum()) / n_umis if n_umis else None,
        within_limits=within,
        nuclei_per_cell=per_cell,
        random_umis=float(np.median(random)),
        random_assigned=float(random.sum()) / n_umis if n_umis else None,
    )


def genes_per_cell(transcripts: Transcripts, labels: np.ndarray, grid: Grid, tick: Tick = no_tick) -> np.ndarray:
    """Count the different genes of each cell, without making the table.

    Parameters
    ----------
    transcripts : Transcripts
        UMI records.
    labels : (H, W) integer array
        Cells, 0 is background.
    grid : Grid
        Where `labels` sits in input coordinates.
    tick : callable
        Called after every million records.

    Returns
    -------
    (N,) int64
        One number a cell, ordered by label.

    Raises
    ------
    InputError
        When `labels` is no label image of the shape of `grid`.

    Examples
    --------
    >>> from segapp.core.records import make_transcripts
    >>> t = make_transcripts([0, 0, 1, 2], [0, 0, 0, 0], [0, 1, 1, 0], {"total": [1, 1, 1, 1]}, ["a", "b"])
    >>> genes_per_cell(t, np.array([[7, 7, 9]]), Grid(0, 0, height=1, width=3)).tolist()
    [2, 1]
    """
    labels = check_labels(labels, "labels")
    if labels.shape != grid.shape:
        raise InputError(
            f"`labels` has shape {labels.shape} but the frame has {grid.shape}; pass labels made in this frame."
        )
    cells, genes = [], []
    for start in range(0, len(transcripts), _ROWS):
        tick(start, len(transcripts))
        block = slice(start, start + _ROWS)
        x, y, gene = transcripts.x[block], transcripts.y[block], transcripts.gene[block]
        cell, gene = _inside(x, y, gene, transcripts.counts["total"][block], grid.x0, grid.y0, labels)
        cells.append(cell)
        genes.append(gene)
    cell = np.concatenate(cells) if cells else np.zeros(0, np.int32)
    gene = np.concatenate(genes) if genes else np.zeros(0, np.int32)
    counts = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    if len(cell):
        _count_different(cell, gene, sort_order(cell, gene), counts)
    return counts[label_ids(labels)]


@njit(cache=True, nogil=True)
def _sum_in_cells(labels: np.ndarray, total: np.ndarray, n: int) -> np.ndarray:
    sums = np.zeros(n, np.int64)
    for i in range(labels.size):
        if labels[i] > 0:
            sums[labels[i]] += np.int64(total[i])
    return sums


def _sum_anywhere(total: np.ndarray, area: np.ndarray, seed: int) -> np.ndarray:
    """Sum counts over as many pixels a cell, drawn anywhere, each at most once."""
    highest = int(total.max(initial=0))
    if highest < _MOST_COUNTS:
        pixels = _frequencies(total, highest + 1)
        values = np.flatnonzero(pixels)
        pixels = pixels[values]
    else:
        values, pixels = np.unique(total, return_counts=True)
    half = 1 << (len(values) - 1).bit_length()
    tree = np.zeros(2 * half, np.int64)
    tree[half : half + len(values)] = pixels
    for node in range(half - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]
    return _draw(tree, half, values.astype(np.int64), area, seed)


_MOST_COUNTS = 1 << 16


@njit(cache=True, nogil=True)
def _frequencies(total: np.ndarray, n: int) -> np.ndarray:
    pixels = np.zeros(n, np.int64)
    for i in range(total.size):
        pixels[total[i]] += 1
    return pixels


@njit(cache=True, nogil=True)
def _draw(tree: np.ndarray, half: int, values: np.ndarray, area: np.ndarray, seed: int) -> np.ndarray:
    """Draw pixels without replacement, knowing of them only how many hold each count.

    Node i of the tree has the pixels of nodes 2 i and 2 i + 1 together; the leaves, from `half` on, those of one count.
    """
    np.random.seed(seed)  # noqa: NPY002 - a stream of compiled code's own, not numpy's; Generators compile for seconds
    sums = np.zeros(area.size, np.int64)
    for cell in range(area.size):
        for _ in range(area[cell]):
            drawn = np.random.randint(0, tree[1])  # noqa: NPY002
            tree[1] -= 1
            node = 1
            while node < half:
                node *= 2
                if drawn >= tree[node]:
                    drawn -= tree[node]
                    node += 1
                tree[node] -= 1
            sums[cell] += values[node - half]
    return sums


@njit(cache=True, nogil=True)
def _pieces(labels: np.ndarray) -> int:
    """Count connected pieces of equal labels; pixels that touch at corners are connected."""
    height, width = labels.shape
    parent = np.zeros(labels.size, np.int64)
    count = 0
    for r in range(height):
        for c in range(width):
            label = labels[r, c]
            if label <= 0:
                continue
            here = r * width + c
            parent[here] = here
            count += 1
            for dr, dc in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                rr, cc = r + dr, c + dc
                if rr < 0 or cc < 0 or cc >= width or labels[rr, cc] != label:
                    continue
                a, b = rr * width + cc, here
                while parent[a] != a:
                    parent[a] = parent[parent[a]]
                    a = parent[a]
                while parent[b] != b:
                    parent[b] = parent[parent[b]]
                    b = parent[b]
                if a != b:
                    parent[b] = a
                    count -= 1
    return count


@njit(cache=True, nogil=True)
def _inside(
    x: np.ndarray, y: np.ndarray, gene: np.ndarray, total: np.ndarray, x0: int, y0: int, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return cell and gene of the records that lie in cells."""
    height, width = labels.shape
    cells, genes = np.empty(x.size, np.int32), np.empty(x.size, np.int32)
    n = 0
    for i in range(x.size):
        r, c = np.int64(y[i]) - y0, np.int64(x[i]) - x0
        if total[i] > 0 and 0 <= r < height and 0 <= c < width and labels[r, c] > 0:
            cells[n], genes[n] = labels[r, c], gene[i]
            n += 1
    return cells[:n].copy(), genes[:n].copy()


@njit(cache=True, nogil=True)
def _count_different(cell: np.ndarray, gene: np.ndarray, order: np.ndarray, counts: np.ndarray) -> None:
    for k in range(order.size):
        i = order[k]
        if k == 0 or cell[i] != cell[order[k - 1]] or gene[i] != gene[order[k - 1]]:
            counts[cell[i]] += 1


def warm() -> None:
    """Compile the kernels on tiny inputs, writeable and read-only."""
    from segapp.core.records import make_transcripts

    zeros = np.zeros(1, np.int32)
    transcripts = make_transcripts(zeros, zeros, zeros, {"total": zeros + 1}, ["a"])
    for writeable in (True, False):
        labels, total = np.ones((1, 1), np.int32), np.ones((1, 1), np.uint32)
        labels.flags.writeable = total.flags.writeable = writeable
        scorecard(labels, total, n_umis=1, nuclei=labels)
        genes_per_cell(transcripts, labels, Grid(0, 0, 1, 1))
