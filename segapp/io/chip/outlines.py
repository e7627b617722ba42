"""Outlines of the cells of a chip, each whole, however the tiles cut it, with the memory of one tile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segapp.core.label.overlap import contiguous, label_ids
from segapp.core.types import Grid, InputError

SIDE, HALO = 2048, 256
"""Side of a tile, and how far its cells may reach beyond it to be read together with the others, px."""

Polygons = dict[int, list[list[np.ndarray]]]


def bounding_boxes(labels: Any, n: int, side: int = SIDE) -> np.ndarray:
    """Return the box of each cell.

    Parameters
    ----------
    labels : (H, W) array of labels 1 to n
        0 is background; it is read tile by tile.
    n : int
        Cells.
    side : int
        Side of a tile in px.

    Returns
    -------
    (n, 4) int32
        First row, first column, and one after the last of both, of cell i + 1.

    Raises
    ------
    InputError
        When the labels are not those of n cells.

    Examples
    --------
    >>> bounding_boxes(np.array([[0, 1, 1], [2, 0, 1]]), 2, side=2).tolist()
    [[0, 1, 2, 3], [1, 0, 2, 1]]
    """
    from scipy.ndimage import find_objects

    boxes = np.zeros((n, 4), np.int32)
    boxes[:, :2] = np.iinfo(np.int32).max
    for top in range(0, labels.shape[0], side):
        for left in range(0, labels.shape[1], side):
            tile = np.asarray(labels[top : top + side, left : left + side])
            if not tile.any():
                continue
            ids = label_ids(tile)
            if ids[-1] > n:
                raise _others(n)
            found = [
                (top + rows.start, left + columns.start, top + rows.stop, left + columns.stop)
                for rows, columns in find_objects(contiguous(tile))
            ]
            here = np.array(found, np.int32)
            boxes[ids - 1, :2] = np.minimum(boxes[ids - 1, :2], here[:, :2])
            boxes[ids - 1, 2:] = np.maximum(boxes[ids - 1, 2:], here[:, 2:])
    if (boxes[:, 2] == 0).any():
        raise _others(n)
    return boxes


def _others(n: int) -> InputError:
    return InputError(f"the labels are not those of the {n:,} cells of the table; run the chip again.")


def outlines_by_tile(
    labels: Any, nuclei: Any | None, n: int, grid: Grid, side: int = SIDE, halo: int = HALO
) -> Iterator[tuple[np.ndarray, Polygons, Polygons]]:
    """Yield the outlines of cells that are near each other, until all have come.

    Parameters
    ----------
    labels : (H, W) array of labels 1 to n
        0 is background; it is read window by window.
    nuclei : (H, W) array or None
        Nuclei under the ids of their cells, inside them.
    n : int
        Cells.
    grid : Grid
        Where the labels sit in input coordinates.
    side : int
        Side of a tile in px: a tile brings the cells whose boxes begin in it.
    halo : int
        How far these may reach beyond the tile, px; larger ones are read alone.

    Yields
    ------
    ids : (k,) int64
        Cells, ascending.
    cells, nuclei : dict of int to polygons
        The same that `segapp.core.outline.polygons` gives for the whole image.

    Raises
    ------
    InputError
        When the labels are not those of n cells.

    Examples
    --------
    >>> from segapp.core.outline import polygons
    >>> labels = np.array([[0, 1, 1], [2, 0, 1]])
    >>> grid = Grid(10, 20, height=2, width=3)
    >>> for ids, cells, _ in outlines_by_tile(labels, None, 2, grid, side=1, halo=1):
    ...     print(ids.tolist(), cells[ids[0]][0][0].tolist() == polygons(labels, grid)[ids[0]][0][0].tolist())
    [1] True
    [2] True
    """
    boxes = bounding_boxes(labels, n, side)
    row, column = boxes[:, 0] // side, boxes[:, 1] // side
    tile = row.astype(np.int64) * (-(-grid.width // side)) + column
    alone = (boxes[:, 2] > (row + 1) * side + halo) | (boxes[:, 3] > (column + 1) * side + halo)
    wanted = np.zeros(n + 1, bool)
    order = np.argsort(tile, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(tile[order])) + 1):
        together = group[~alone[group]]
        for some in (together, *group[alone[group]][:, None]):
            if not len(some):
                continue
            top, left = boxes[some, :2].min(0).tolist()
            bottom, right = boxes[some, 2:].max(0).tolist()
            here = Grid(grid.x0 + left, grid.y0 + top, bottom - top, right - left, grid.um_per_px)
            wanted[some + 1] = True
            cells, inner = (
                {} if image is None else _polygons(image[top:bottom, left:right], wanted, here)
                for image in (labels, nuclei)
            )
            wanted[some + 1] = False
            yield some + 1, cells, inner


def _polygons(window: Any, wanted: np.ndarray, grid: Grid) -> Polygons:
    from segapp.core.outline import polygons

    window = np.asarray(window)
    return polygons(np.where(wanted[window], window, 0).astype(np.int32), grid)
