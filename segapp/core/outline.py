"""Outlines of labels as exact polygons: along pixel edges, with holes, one part a piece."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from segapp.core.checks import check_labels
from segapp.core.label.overlap import label_ids
from segapp.core.types import Grid, InputError


@dataclass(frozen=True, eq=False)
class Outlines:
    """Closed rings along pixel edges.

    Parameters
    ----------
    xy : (N, 2) int64
        Corners of all rings, one ring after the other; pixel (row r, column c) covers x from c to c + 1 and y from r to
        r + 1. The last corner of a ring is its first.
    start : (R + 1,) int64
        Where each ring starts in `xy`.
    label : (R,) int32
        Label of each ring, ascending.
    part : (R,) int32
        Piece (4 neighbours) of each ring, ascending; the outer ring of a piece comes before its holes.
    hole : (R,) bool
        Whether a ring is a hole.
    """

    xy: np.ndarray
    start: np.ndarray
    label: np.ndarray
    part: np.ndarray
    hole: np.ndarray

    def ring(self, i: int) -> np.ndarray:
        """Return the corners of ring `i`, (M, 2) int64."""
        return self.xy[self.start[i] : self.start[i + 1]]


def trace_outlines(labels: np.ndarray) -> Outlines:
    """Trace the outlines of all labels.

    Parameters
    ----------
    labels : (H, W) integer array
        0 is background.

    Returns
    -------
    Outlines
        The area that the outer rings enclose, less the holes, is the number of pixels of the label. Outer rings run
        clockwise as displayed (y down), holes the other way. Pixels that touch only at a corner are separate pieces.

    Raises
    ------
    InputError
        When `labels` is not a label image.

    Examples
    --------
    >>> outlines = trace_outlines(np.array([[0, 4, 4], [0, 0, 0], [7, 0, 0]]))
    >>> outlines.label.tolist(), outlines.ring(0).tolist()
    ([4, 7], [[3, 0], [3, 1], [1, 1], [1, 0], [3, 0]])
    """
    labels = check_labels(labels, "labels")
    parts, owner = _pieces(labels)
    rings = _trace(parts)
    xy, start, part = (np.asarray(column) for column in rings)
    doubled = np.zeros(len(part), np.int64)
    if len(part):
        x, y = xy[:, 0], xy[:, 1]
        # twice the signed area; the step from one ring to the next is left out
        steps = np.zeros(len(xy), np.int64)
        steps[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
        steps[start[1:] - 1] = 0
        doubled = np.add.reduceat(steps, start[:-1])
    hole = doubled < 0
    order = np.lexsort((hole, part, owner[part]))
    lengths = np.diff(start)
    at = np.concatenate([np.arange(start[i], start[i + 1]) for i in order]) if len(order) else np.zeros(0, np.int64)
    new_start = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64)
    return Outlines(xy[at], new_start, owner[part[order]], part[order], hole[order])


def polygons(labels: np.ndarray, grid: Grid, *, side: int = 1) -> dict[int, list[list[np.ndarray]]]:
    """Return the outline of every label as polygons in the coordinates of the input.

    Parameters
    ----------
    labels : (H, W) integer array
        Cells, 0 is background.
    grid : Grid
        Where `labels` sits: ``x0`` and ``y0`` are the input coordinates of the corner of element (0, 0).
    side : int
        Side of an element of `labels` in units of the input, for labels of bins.

    Returns
    -------
    dict of int to list of polygons
        By label, ascending. A polygon is its outer ring and then its holes, each (M, 2) int64 corners (x, y) along
        pixel edges, the last one being the first; a label in several pieces has several polygons. Input position x
        covers x to x + 1. Outer rings are counterclockwise where y points up, as GeoJSON asks: clockwise on screens.

    Raises
    ------
    InputError
        When `labels` is not a label image of the shape of `grid`, or `side` is no whole number above 0.

    Examples
    --------
    >>> found = polygons(np.array([[0, 4, 0, 4]]), Grid(100, 50, height=1, width=4))
    >>> {label: len(parts) for label, parts in found.items()}, found[4][0][0].tolist()
    ({4: 2}, [[102, 50], [102, 51], [101, 51], [101, 50], [102, 50]])
    """
    if isinstance(side, bool) or not isinstance(side, int | np.integer) or side < 1:
        raise InputError(f"`side` is {side!r} but the side of an element is a whole number above 0.")
    if np.shape(labels) != grid.shape:
        raise InputError(
            f"`labels` has shape {np.shape(labels)} but the frame has {grid.shape}; pass labels made in this frame."
        )
    outlines = trace_outlines(labels)
    corners = outlines.xy * int(side) + np.array([grid.x0, grid.y0], np.int64)
    found: dict[int, list[list[np.ndarray]]] = {}
    for i, (label, hole) in enumerate(zip(outlines.label.tolist(), outlines.hole.tolist(), strict=True)):
        parts = found.setdefault(label, [])
        if not hole:
            parts.append([])
        parts[-1].append(corners[outlines.start[i] : outlines.start[i + 1]])
    return found


def hull(points: np.ndarray) -> tuple[np.ndarray, float, tuple[float, float]]:
    """Return the convex hull of pixels: its corners, area and centroid.

    Parameters
    ----------
    points : (N, 2) integer array
        Pixels (x, y); each covers x to x + 1 and y to y + 1.

    Returns
    -------
    corners : (M, 2) int64
        A closed ring; the last corner is the first.
    area : float
        In px².
    centroid : (float, float)
        x and y of its centre.

    Examples
    --------
    >>> corners, area, centroid = hull(np.array([[3, 5], [4, 5]]))
    >>> area, centroid
    (2.0, (4.0, 5.5))
    """
    points = np.asarray(points, np.int64)
    origin = points.min(0)
    corners = np.concatenate([points - origin + step for step in ((0, 0), (1, 0), (1, 1), (0, 1))])
    ring = cv2.convexHull(corners.astype(np.int32))[:, 0].astype(np.int64)
    moments = cv2.moments(ring[:, None].astype(np.int32))
    area = float(moments["m00"])
    centre = (moments["m10"] / area + float(origin[0]), moments["m01"] / area + float(origin[1]))
    return np.vstack([ring, ring[:1]]) + origin, area, centre


def warm() -> None:
    """Compile the kernels on a tiny input."""
    trace_outlines(np.eye(2, dtype=np.int32))


def _pieces(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the pieces (4 neighbours) of all labels; the label of each piece, by its number."""
    from skimage.measure import label

    parts = label(labels, background=0, connectivity=1).astype(np.int32)
    owner = np.zeros(int(parts.max()) + 1, np.int32)
    if len(label_ids(labels)):
        owner[parts.ravel()] = labels.ravel()
    return np.ascontiguousarray(parts), owner


@njit(cache=True, nogil=True)
def _trace(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walk along the sides of the pixels of each piece, the piece to the right."""
    height, width = parts.shape
    # sides of a pixel in the order of the walk: top (going right), right (down), bottom (left), left (up)
    ahead = ((0, 1), (1, 0), (0, -1), (-1, 0))
    beside = ((-1, 0), (0, 1), (1, 0), (0, -1))
    end = ((1, 0), (1, 1), (0, 1), (0, 0))
    n_sides = 0
    for r in range(height):
        for c in range(width):
            if parts[r, c] > 0:
                for side in range(4):
                    if _piece(parts, r + beside[side][0], c + beside[side][1]) != parts[r, c]:
                        n_sides += 1
    done = np.zeros((height, width), np.uint8)
    # every ring has at least four sides, and one corner more than it has turns
    xy = np.empty((n_sides + n_sides // 4 + 1, 2), np.int64)
    start = np.zeros(n_sides // 4 + 1, np.int64)
    part = np.empty(n_sides // 4, np.int32)
    n, rings = 0, 0
    for r in range(height):
        for c in range(width):
            piece = parts[r, c]
            if piece == 0:
                continue
            for first in range(4):
                if done[r, c] >> first & 1:
                    continue
                if _piece(parts, r + beside[first][0], c + beside[first][1]) == piece:
                    continue
                i, j, side = r, c, first
                begin = n
                while not done[i, j] >> side & 1:
                    done[i, j] |= np.uint8(1 << side)
                    x, y = j + end[side][0], i + end[side][1]
                    before = side
                    a, b = i + ahead[side][0], j + ahead[side][1]
                    if _piece(parts, a, b) != piece:
                        side = (side + 1) % 4
                    elif _piece(parts, a + beside[side][0], b + beside[side][1]) != piece:
                        i, j = a, b
                    else:
                        i, j = a + beside[side][0], b + beside[side][1]
                        side = (side + 3) % 4
                    if side != before:
                        xy[n, 0], xy[n, 1] = x, y
                        n += 1
                # the walk starts in the middle of a side: it ends at the first corner
                xy[n] = xy[begin]
                n += 1
                part[rings] = piece
                rings += 1
                start[rings] = n
    return xy[:n].copy(), start[: rings + 1].copy(), part[:rings].copy()


@njit(cache=True, nogil=True)
def _piece(parts: np.ndarray, r: int, c: int) -> int:
    if 0 <= r < parts.shape[0] and 0 <= c < parts.shape[1]:
        return parts[r, c]
    return 0
