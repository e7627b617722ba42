"""Label the connected components of a mask, and split those that hold several cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core.checks import check_labels, check_mask, check_odd, check_same_shape
from segapp.core.label._tree import small_nodes
from segapp.core.label.expand import grow
from segapp.core.params import Params, knob
from segapp.core.types import InputError, Tick, no_tick


class SplitParams(Params):
    """Label connected components, and split large ones by erosion and growth."""

    area_threshold: int | Literal["off"] = knob(
        500,
        unit="px²",
        ge=0,
        le=1_000_000,
        soft=(50, 3000),
        step=10,
        doc="Components above this area are split; off: none. Higher: fewer splits, larger cells.",
    )
    k: int = knob(
        3,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 15),
        doc="Diameter of the erosion kernel. Larger: coarser, faster splitting.",
    )
    min_area: int = knob(
        100,
        unit="px²",
        ge=0,
        le=1_000_000,
        soft=(0, 600),
        step=5,
        doc="Pieces at or below this area are eroded no further. Lower: more, smaller pieces.",
    )
    n_iter: int = knob(
        -1,
        ge=-1,
        le=10_000,
        soft=(-1, 30),
        doc="Number of erosions; -1 erodes until every piece is small enough. Higher: more pieces.",
    )
    distance: int = knob(
        8,
        unit="px",
        ge=0,
        le=500,
        soft=(0, 40),
        doc="How far pieces and seeds grow back within the mask. Higher: larger cells.",
    )
    max_area: int | Literal["off"] = knob(
        400,
        unit="px²",
        ge=0,
        le=1_000_000,
        soft=(50, 4000),
        step=10,
        doc="Largest area that pieces and seeds grow to; off: no limit. Higher: larger cells.",
    )

    def options(self) -> dict[str, Any]:
        """Return the keywords of `label_components`, areas that are off without limit.

        Examples
        --------
        >>> SplitParams(max_area="off").options()["max_area"]
        inf
        """
        values = {name: getattr(self, name) for name in SplitParams.model_fields}
        return values | {name: limit(values[name]) for name in ("area_threshold", "max_area")}


@dataclass(frozen=True, eq=False)
class Components:
    """Labelled components, and what of the mask has no label.

    Parameters
    ----------
    labels : (H, W) int32
        Labels, 0 is background.
    unassigned_distance : int
        Pixels of the mask that are farther than `distance` from every seed and piece.
    unassigned_area : int
        Pixels of the mask within reach, whose seeds and pieces had grown to `max_area`.
    """

    labels: np.ndarray
    unassigned_distance: int
    unassigned_area: int


def label_components(
    mask: np.ndarray,
    *,
    area_threshold: float,
    k: int,
    min_area: int,
    n_iter: int,
    distance: int,
    max_area: float,
    seeds: np.ndarray | None = None,
    tick: Tick = no_tick,
) -> Components:
    """Label connected components (8 neighbours); split those that are too large.

    A component above `area_threshold` is eroded until its pieces are small; the pieces become labels and grow back.
    A component with seeds is not eroded: its seeds grow.

    Parameters
    ----------
    mask : (H, W) bool array
        Occupied pixels.
    area_threshold : float
        Components above this area in px are split; ``math.inf`` labels components as they are.
    k, min_area, n_iter : int
        See `erode_to_cores`.
    distance, max_area : int, float
        How far in px, and up to which area in px, pieces and seeds grow back; see `expand`.
    seeds : (H, W) integer array, optional
        Labels to keep: each keeps its id and all its pixels, also those outside the mask.
    tick : Tick
        Called after each step.

    Returns
    -------
    Components
        Ids: those of the seeds, then whole components, then pieces, each in the order of their rows.

    Raises
    ------
    InputError
        When an array is not what is needed, shapes differ, or `k` is even.

    Notes
    -----
    Seed ids never add up with others: each pixel has the id of one seed, one component or one piece.

    References
    ----------
    Spateo, documentation of its cell segmentation: "label connected components".

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1]], bool)
    >>> settings = dict(area_threshold=500, k=3, min_area=100, n_iter=-1, distance=8, max_area=400)
    >>> label_components(mask, **settings).labels.tolist()
    [[1, 1, 0, 0], [0, 0, 0, 2]]
    >>> label_components(mask, seeds=np.array([[0, 7, 0, 0], [0, 0, 0, 0]]), **settings).labels.tolist()
    [[7, 7, 0, 0], [0, 0, 0, 8]]
    """
    mask = check_mask(mask, "mask")
    k = check_odd(k, "k")
    kept = None if seeds is None else check_labels(seeds, "seeds")
    check_same_shape({"mask": mask, "seeds": kept})
    found = _find(mask)
    tick(1, 4)

    # entry 0 is the background
    seeded = np.zeros(len(found.area) + 1, bool)
    if kept is not None:
        seeded[found.labels[kept > 0]] = True
    whole = ~seeded[1:] & (found.area <= area_threshold)
    split = ~seeded[1:] & ~whole
    first = 1 if kept is None else int(kept.max()) + 1
    if first + mask.size > np.iinfo(np.int32).max:
        raise InputError(
            f"`seeds` holds the id {first - 1}, too large to add others after it; renumber the seeds first."
        )

    ids = np.zeros(len(seeded), np.int32)
    ids[1:][whole] = np.arange(first, first + whole.sum())
    labels = np.zeros(mask.shape, np.int32) if kept is None else kept.copy()
    by_bands(lambda top, end: _name(found.labels[top:end].ravel(), ids, labels[top:end].ravel()), mask.shape)
    if split.any():
        cores = _cores(found, np.flatnonzero(split), k=k, min_area=min_area, n_iter=n_iter, tick=tick)
        tick(2, 4)
        pieces = cv2.connectedComponents(cores.view(np.uint8), connectivity=8)[1]
        before = int(first - 1 + whole.sum())
        by_bands(lambda top, end: _add_pieces(pieces[top:end].ravel(), before, labels[top:end].ravel()), mask.shape)
    tick(3, 4)
    grown = grow(labels, distance=distance, max_area=max_area, mask=mask)
    tick(4, 4)
    return Components(grown.labels, grown.too_far, grown.too_large)


def erode_to_cores(mask: np.ndarray, *, k: int, min_area: int, n_iter: int, tick: Tick = no_tick) -> np.ndarray:
    """Erode every component until its pieces are small, and keep each piece as it was then.

    Parameters
    ----------
    mask : (H, W) bool array
        Components (8 neighbours) to erode.
    k : int
        Diameter in px of the circular kernel, odd. Pixels outside the frame count as set.
    min_area : int
        A piece of at most this area in px is kept and eroded no further.
    n_iter : int
        Number of erosions at most; -1 is no limit. Pieces left after the last one are kept.
    tick : Tick
        Called about every tenth erosion.

    Returns
    -------
    (H, W) bool
        The pieces; no two touch. Every component leaves at least one: what would vanish in an erosion, or cannot be
        eroded (k = 1, a mask that fills the frame), is kept as it was before.

    Notes
    -----
    The number of erosions that each pixel survives is an image, and the pieces are the nodes of its component tree.
    Each component is flooded from one pixel on, the deepest pixel beside those visited always next, which gives every
    node its area: the cost does not depend on the number of erosions.

    References
    ----------
    Nistér and Stewénius, "Linear time maximally stable extremal regions", European Conference on Computer Vision, 2008.

    Examples
    --------
    >>> dumbbell = np.zeros((5, 11), bool)
    >>> dumbbell[:, :5] = dumbbell[:, 6:] = dumbbell[2] = True
    >>> erode_to_cores(dumbbell, k=3, min_area=20, n_iter=-1)[2].astype(int).tolist()
    [1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1]
    """
    mask = check_mask(mask, "mask")
    k = check_odd(k, "k")
    found = _find(mask)
    return _cores(found, np.arange(len(found.area)), k=k, min_area=min_area, n_iter=n_iter, tick=tick)


def limit(value: int | str) -> float:
    """Return an area limit as a number: the word ``off`` is no limit.

    Examples
    --------
    >>> limit(400), limit("off")
    (400, inf)
    """
    return math.inf if isinstance(value, str) else value


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    mask = np.zeros((4, 4), bool)
    mask[:3, :3] = True
    label_components(mask, area_threshold=1, k=3, min_area=1, n_iter=-1, distance=1, max_area=4)


@dataclass(frozen=True, eq=False)
class _Found:
    """Components of a mask (8 neighbours): their labels, and of each its area and first pixel, row by row."""

    labels: np.ndarray
    area: np.ndarray
    first: np.ndarray


def _find(mask: np.ndarray) -> _Found:
    # OpenCV can measure components as well, in four times the time that it takes to find them
    n, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    width = mask.shape[1]
    runs = by_bands(lambda top, end: _runs(labels[top:end].ravel(), top * width), mask.shape)
    which, begin, length = (np.concatenate(column) for column in zip(*runs, strict=True))
    area, first = np.zeros(n, np.int64), np.full(n, mask.size, np.int64)
    _add_runs(which, begin, length, area, first)
    return _Found(labels, area[1:], first[1:])


def _cores(found: _Found, which: np.ndarray, *, k: int, min_area: int, n_iter: int, tick: Tick) -> np.ndarray:
    """Return the cores of some of the components, given by their places in the tables."""
    chosen = np.zeros(len(found.area) + 1, np.bool_)
    chosen[which + 1] = True
    mask = np.empty(found.labels.shape, np.bool_)
    by_bands(lambda top, end: _choose(found.labels[top:end].ravel(), chosen, mask[top:end].ravel()), mask.shape)
    return small_nodes(_depth(mask, k, n_iter, tick), found.first[which], found.area[which], min_area)


def _depth(mask: np.ndarray, k: int, n_iter: int, tick: Tick) -> np.ndarray:
    """1 + the number of erosions that each pixel survives, 0 outside the mask."""
    if n_iter == 0 or k == 1 or mask.all():
        return mask.astype(np.int32)
    if k == 3:
        # n erosions with the 4-neighbour cross leave what is farther than n steps from the background
        depth = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L1, 3)
        return np.minimum(depth, n_iter + 1) if n_iter > 0 else depth
    r = k // 2
    offset = np.arange(-r, r + 1)
    kernel = (offset[:, None] ** 2 + offset**2 <= r * r).astype(np.uint8)
    depth = mask.astype(np.int32)
    left: np.ndarray = mask.astype(np.uint8)
    top, start = 0, 0
    step = 0
    while n_iter < 0 or step < n_iter:
        # what is left shrinks: erode inside its bounding box and the margin that the kernel sees
        x, y, w, h = cv2.boundingRect(left)
        y0, x0 = max(y - r, 0), max(x - r, 0)
        left = cv2.erode(left[y0 : y + h + r, x0 : x + w + r], kernel).astype(np.uint8, copy=False)
        top, start = top + y0, start + x0
        if not left.any():
            break
        depth[top : top + left.shape[0], start : start + left.shape[1]] += left
        step += 1
        if step % 10 == 0:
            tick(step, max(n_iter, step + 1))
    return depth


@njit(cache=True, nogil=True)
def _runs(labels: np.ndarray, offset: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return label, first pixel and length of each run of one label above 0."""
    n = 0
    before = np.int32(0)
    for label in labels:
        n += label > 0 and label != before
        before = label
    which, begin, length = np.empty(n, np.int32), np.empty(n, np.int64), np.zeros(n, np.int64)
    n = -1
    before = np.int32(0)
    for i in range(labels.size):
        label = labels[i]
        if label > 0:
            if label != before:
                n += 1
                which[n], begin[n] = label, offset + i
            length[n] += 1
        before = label
    return which, begin, length


@njit(cache=True, nogil=True)
def _add_runs(which: np.ndarray, begin: np.ndarray, length: np.ndarray, area: np.ndarray, first: np.ndarray) -> None:
    for n in range(len(which)):
        area[which[n]] += length[n]
        first[which[n]] = min(first[which[n]], begin[n])


@njit(cache=True, nogil=True)
def _name(components: np.ndarray, ids: np.ndarray, labels: np.ndarray) -> None:
    """Give each pixel that has no label the id of its component."""
    for i in range(components.size):
        if labels[i] == 0:
            labels[i] = ids[components[i]]


@njit(cache=True, nogil=True)
def _choose(components: np.ndarray, chosen: np.ndarray, mask: np.ndarray) -> None:
    for i in range(components.size):
        mask[i] = chosen[components[i]]


@njit(cache=True, nogil=True)
def _add_pieces(pieces: np.ndarray, before: int, labels: np.ndarray) -> None:
    for i in range(pieces.size):
        if pieces[i] > 0:
            labels[i] = pieces[i] + before
