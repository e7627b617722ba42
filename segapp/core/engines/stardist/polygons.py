"""Star-shaped polygons: which of those that overlap stay, and how they become labels."""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from segapp.core.types import Tick, Unavailable, no_tick

_BLOCK = 4096
_HALO = 384
"""Side of a block of suppression and what is looked at around it, in px of the network: several nuclei wide."""

_FAR = 2**16
"""The compiled functions place corners in 32 bits: the same size of number everywhere in an image rounds them alike."""

_MANY = 1_500_000
"""Polygons above which suppression goes block by block, to bound memory; about 60 megapixels of dense tissue."""


def suppress(
    points: np.ndarray, dist: np.ndarray, prob: np.ndarray, threshold: float, tick: Tick = no_tick
) -> np.ndarray:
    """Choose polygons: the most probable first, each removing those that it covers.

    Parameters
    ----------
    points : (n, 2) int32
        Middles (row, column) in px.
    dist : (n, rays) float32
        Distances to the edge in px; ray 0 points along +column, the next turn towards +row.
    prob : (n,) float32
        Probability of each. Equal ones go by row, then by column.
    threshold : float
        A polygon goes when it shares more than this part of the smaller of both areas with a surer one that stays.
    tick : Tick
        Progress and cancel, by blocks.

    Returns
    -------
    (m,) int64
        Indices of those that stay, the most probable first.

    Raises
    ------
    Unavailable
        When the compiled functions of stardist are missing.

    References
    ----------
    .. [1] Schmidt et al., "Cell Detection with Star-Convex Polygons", MICCAI 2018.

    Examples
    --------
    >>> points, prob = np.array([[20, 20], [21, 22], [20, 60]], np.int32), np.array([0.7, 0.9, 0.8], np.float32)
    >>> suppress(points, np.full((3, 32), 9, np.float32), prob, 0.5).tolist()
    [1, 2]
    """
    order = np.lexsort((points[:, 1], points[:, 0], -prob))
    if len(order) <= _MANY:
        return order[_stay(dist[order], points[order], threshold)]
    blocks = points // _BLOCK
    kept = []
    rows, columns = (range(int(blocks[:, axis].max()) + 1) for axis in (0, 1))
    for done, (row, column) in enumerate((row, column) for row in rows for column in columns):
        tick(done, len(rows) * len(columns))
        start = np.array([row, column]) * _BLOCK
        near = order[((points[order] >= start - _HALO) & (points[order] < start + _BLOCK + _HALO)).all(axis=1)]
        stay = near[_stay(dist[near], points[near], threshold)] if len(near) else near
        kept.append(stay[(blocks[stay] == (row, column)).all(axis=1)])
    # two blocks may have kept a polygon each of one nucleus at their border
    found = np.concatenate(kept)
    found = found[np.lexsort((points[found, 1], points[found, 0], -prob[found]))]
    return found[_stay(dist[found], points[found], threshold)]


def render(
    points: np.ndarray,
    parts: np.ndarray,
    dist: np.ndarray,
    shape: tuple[int, int],
    stretch: float = 1.0,
    tick: Tick = no_tick,
) -> np.ndarray:
    """Draw polygons as labels.

    Parameters
    ----------
    points : (n, 2) int64
        Middles (row, column) in px of the image, the most probable polygon first.
    parts : (n, 2) float64
        How far the middles lie behind `points`, in px.
    dist : (n, rays) float32
        Distances to the edge.
    shape : (int, int)
        Height and width of the image.
    stretch : float
        Factor from the unit of `dist` to px.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    (H, W) int32
        Polygon i has label i + 1; where two overlap, the more probable one is on top.

    Notes
    -----
    Which pixels lie in a polygon is worked out from its own corner: it does not depend on where the polygon lies.

    Examples
    --------
    >>> points = np.array([[4, 4], [4, 8]])
    >>> labels = render(points, np.zeros((2, 2)), np.full((2, 32), 3.0, np.float32), (9, 13))
    >>> labels[4].tolist()
    [0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0]
    """
    from skimage.draw import polygon

    labels = np.zeros(shape, np.int32)
    if not len(points):
        return labels
    angles = np.linspace(0, 2 * np.pi, dist.shape[1], endpoint=False)
    unit = np.array([np.sin(angles), np.cos(angles)]) * stretch
    for i in range(len(points) - 1, -1, -1):
        if i % 2000 == 0:
            tick(len(points) - i, len(points))
        edge = unit * dist[i] + parts[i][:, None]
        corner = np.floor(edge.min(axis=1))
        rows, columns = polygon(*(edge - corner[:, None]))
        rows += points[i, 0] + int(corner[0])
        columns += points[i, 1] + int(corner[1])
        if len(rows) and (rows[0] < 0 or rows[-1] >= shape[0] or columns.min() < 0 or columns.max() >= shape[1]):
            within = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
            rows, columns = rows[within], columns[within]
        labels[rows, columns] = i + 1
    return labels


def largest_pieces(labels: np.ndarray) -> np.ndarray:
    """Keep the largest of the pieces of each label that do not touch, at corners neither.

    Parameters
    ----------
    labels : (H, W) int32
        Labels, 0 is background.

    Returns
    -------
    (H, W) int32
        The same labels; other pieces are background. Of pieces of equal size, the first in reading order stays.

    Examples
    --------
    >>> largest_pieces(np.array([[1, 2, 1, 1]], np.int32)).tolist()
    [[0, 2, 1, 1]]
    """
    from skimage.measure import label

    pieces = label(labels, connectivity=2)
    sizes = np.bincount(pieces.ravel())
    owner = np.zeros(len(sizes), np.int64)
    owner[pieces.ravel()] = labels.ravel()
    # pieces are numbered in reading order; the last write of a label is its largest, earliest piece
    order = np.lexsort((-np.arange(len(sizes)), sizes))
    best = np.zeros(int(labels.max()) + 1, np.int64)
    best[owner[order]] = order
    if (np.bincount(owner[1:], minlength=1) <= 1).all():
        return labels
    kept = best[owner] == np.arange(len(sizes))
    kept[0] = True
    return np.where(kept[pieces], labels, 0).astype(np.int32)


def _stay(dist: np.ndarray, points: np.ndarray, threshold: float) -> np.ndarray:
    """Which of the polygons, sorted by falling probability, stay."""
    if not len(points):
        return np.zeros(0, bool)
    compiled, use_threads = _compiled()
    # its threads wait for each other at every polygon: on a busy machine that takes ten times as long as one alone
    if use_threads is not None:
        use_threads(1)
    far = (points - points.min(axis=0) // _BLOCK * _BLOCK + _FAR + _HALO).astype(np.float32)
    stay: np.ndarray = compiled.c_non_max_suppression_inds(
        np.ascontiguousarray(dist, np.float32), far, 1, 1, 0, np.float32(threshold)
    )
    return stay


@functools.cache
def _compiled() -> tuple[ModuleType, Callable[[int], None] | None]:
    """The compiled functions of stardist, without the Python package around them, and what sets their threads.

    That package takes a second to import, and sets how warnings look in the whole process.
    """
    package = importlib.util.find_spec("stardist")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            file = Path(folder) / "lib" / f"stardist2d{suffix}"
            spec = importlib.util.spec_from_file_location("stardist2d", file) if file.exists() else None
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module, getattr(ctypes.CDLL(str(file)), "omp_set_num_threads", None)
    raise Unavailable(
        "the compiled functions of the package stardist are not here: run `pip install stardist` for this Python."
    )
