"""Quality control of labels: regions to look at, random labels, small labels, boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from segapp.core.checks import check_labels
from segapp.core.notes import note
from segapp.core.params import Params, knob
from segapp.core.types import InputError

SEED = knob("off", ge=0, le=2**31 - 1, soft=(0, 100), doc="Seed of the draw; off draws anew each time.")


class RegionParams(Params):
    """Draw square regions to look at, rather where there is RNA."""

    n: int = knob(4, ge=1, le=10_000, soft=(1, 20), doc="Number of regions. Higher: more of the tissue is seen.")
    size: int = knob(2000, unit="px", ge=1, le=100_000, soft=(100, 4000), doc="Side of a region. Larger: more in each.")
    seed: int | Literal["off"] = SEED


class AreaParams(Params):
    """Drop small cells."""

    area_cutoff: int = knob(
        7, unit="px²", ge=0, le=1_000_000, soft=(0, 200), doc="Cells below this area are dropped. Higher: fewer cells."
    )


class BoundaryParams(Params):
    """Draw the boundaries of cells."""

    thickness: int = knob(1, unit="px", ge=1, le=100, soft=(1, 5), doc="Width of the line. Higher: thicker.")


class RandomLabelParams(Params):
    """Scatter labels over an image."""

    seed: int | Literal["off"] = SEED


def region_corners(shape: tuple[int, ...], size: int) -> np.ndarray:
    """Return the first row and column of every square of a grid that fits into an image.

    Parameters
    ----------
    shape : (int, int)
        Of the image.
    size : int
        Side of a square in px.

    Returns
    -------
    (N, 2) int64

    Raises
    ------
    InputError
        When not even one square fits.

    Examples
    --------
    >>> region_corners((4, 7), 3).tolist()
    [[0, 0], [0, 3]]
    """
    if size > min(shape):
        raise InputError(f"a region of {size} px does not fit into {shape[0]} x {shape[1]} px; lower `size`.")
    rows, columns = (np.arange(0, side - size + 1, size) for side in shape)
    return np.stack(np.meshgrid(rows, columns), -1).reshape(-1, 2)


def region_weights(counts: Any, corners: np.ndarray, size: int) -> np.ndarray:
    """Return log(1 + UMIs) of each region, (N,) float64; `counts` may be a sparse matrix."""
    return np.log1p([float(counts[r : r + size, c : c + size].sum(dtype=np.float64)) for r, c in corners])


def draw_regions(corners: np.ndarray, weights: np.ndarray | None, *, n: int, seed: int | None) -> np.ndarray:
    """Draw regions without replacement.

    Parameters
    ----------
    corners : (N, 2) int array
        First row and column of each region.
    weights : (N,) array or None
        How probable each one is, 0 or more; None for all the same.
    n : int
        How many to draw. With fewer regions of a weight above 0 all of these are taken, with a warning.
    seed : int or None
        Seed of the draw.

    Returns
    -------
    (n, 2) int array

    Raises
    ------
    InputError
        When a weight is negative or no number, or all are 0.

    Examples
    --------
    >>> draw_regions(np.array([[0, 0], [0, 5], [5, 0]]), np.array([0, 3.0, 0]), n=1, seed=0).tolist()
    [[0, 5]]
    """
    share = np.ones(len(corners)) if weights is None else np.asarray(weights, np.float64)
    if not np.isfinite(share).all() or (share < 0).any() or not share.any():
        raise InputError("the weights of the regions must be 0 or more and not all 0: there is no RNA, or check them.")
    possible = int((share > 0).sum())
    if possible < n:
        note(f"only {possible} regions can be drawn, not {n}", stacklevel=2)
    rng = np.random.default_rng(seed)
    return corners[rng.choice(len(corners), min(n, possible), replace=False, p=share / share.sum())]


def place_regions(
    regions: Sequence[Sequence[float]],
    *,
    size: int,
    scale: float,
    corner: Sequence[int] | np.ndarray,
    first: Sequence[int] | np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Bring regions given by hand into the coordinates of an image, and cut them off at its edge.

    Parameters
    ----------
    regions : sequence of (x, y) or (x begin, x end, y begin, y end)
        First corners, or whole regions; x runs along the rows.
    size : int
        Side in px of a region given by its corner.
    scale : float
        Length of one px in the unit of the regions.
    corner : (int, int)
        What the regions are relative to.
    first : (int, int)
        x and y of the first pixel of the image.
    shape : (int, int)
        Of the image.

    Returns
    -------
    (N, 4) int64
        x begin, x end, y begin, y end; a region that reaches beyond the image is cut off, with a warning.

    Raises
    ------
    InputError
        When a region has neither 2 nor 4 numbers, or lies outside.

    Examples
    --------
    >>> place_regions([(5, 5)], size=10, scale=0.5, corner=(100, 200), first=(100, 200), shape=(50, 50)).tolist()
    [[110, 120, 210, 220]]
    """
    placed = []
    for region in regions:
        values = np.asarray(region, np.float64) / scale
        if values.size == 2:
            values = np.array([values[0], values[0] + size, values[1], values[1] + size])
        elif values.size != 4:
            raise InputError(
                f"the region {tuple(region)} has {values.size} numbers; give (x, y) or the two ends of both."
            )
        whole = np.rint(values).astype(np.int64) + np.repeat(np.asarray(corner, np.int64), 2)
        low = np.repeat(np.asarray(first, np.int64), 2)
        kept = np.clip(whole, low, low + np.repeat(shape, 2))
        if kept[0] >= kept[1] or kept[2] >= kept[3]:
            raise InputError(
                f"the region {tuple(region)} lies outside: x from {low[0]} to {low[0] + shape[0]}, "
                f"y from {low[2]} to {low[2] + shape[1]}."
            )
        if (kept != whole).any():
            note(f"the region {tuple(region)} is cut off at the edge", stacklevel=4)
        placed.append(kept)
    return np.array(placed, np.int64)


def random_labels(shape: tuple[int, ...], areas: Sequence[int] | np.ndarray, *, seed: int | None) -> np.ndarray:
    """Scatter the pixels of labels over an image: no two labels overlap, and nothing holds them together.

    Parameters
    ----------
    shape : (int, ...)
        Of the image.
    areas : sequence of int
        Pixels of label 1, 2, ...; 0 leaves the id out.
    seed : int or None
        Seed of the draw.

    Returns
    -------
    int32 array of `shape`

    Raises
    ------
    InputError
        When an area is negative or no whole number, or their sum exceeds the image.

    Examples
    --------
    >>> np.bincount(random_labels((4, 5), [3, 0, 6], seed=0).ravel()).tolist()
    [11, 3, 0, 6]
    """
    wanted = np.asarray(areas)
    if wanted.ndim != 1 or (wanted.dtype.kind not in "ui" and wanted.size) or (wanted.size and wanted.min() < 0):
        raise InputError("`areas` are whole numbers of px, 0 or more, one a label, such as [80, 120].")
    size, total = int(np.prod(shape)), int(wanted.sum())
    if total > size:
        raise InputError(f"the areas sum to {total} px but {shape} has {size}; lower them.")
    return _scatter(np.repeat(np.arange(1, wanted.size + 1, dtype=np.int32), wanted.astype(np.int64)), shape, seed)


def random_labels_like(labels: np.ndarray, *, seed: int | None) -> np.ndarray:
    """Scatter the pixels of every label over the image; ids and areas stay. See `random_labels`."""
    labels = check_labels(labels, "labels")
    return _scatter(np.sort(labels[labels > 0]), labels.shape, seed)


def _scatter(pixels: np.ndarray, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
    place = np.arange(int(np.prod(shape)))
    np.random.default_rng(seed).shuffle(place)
    labels = np.zeros(len(place), np.int32)
    labels[place[: len(pixels)]] = pixels
    return labels.reshape(shape)


def drop_small(labels: np.ndarray, *, area_cutoff: int) -> np.ndarray:
    """Remove labels smaller than `area_cutoff` px; the others keep their ids.

    Parameters
    ----------
    labels : (H, W) integer array
        0 is background.
    area_cutoff : int
        Smallest area in px that stays.

    Returns
    -------
    (H, W) int32

    Examples
    --------
    >>> drop_small(np.array([[1, 0, 5, 5]]), area_cutoff=2).tolist()
    [[0, 0, 5, 5]]
    """
    labels = check_labels(labels, "labels")
    ids, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where(counts < area_cutoff, 0, ids).astype(np.int32)[inverse].reshape(labels.shape)


def boundaries(labels: np.ndarray, *, thickness: int) -> np.ndarray:
    """Draw the boundary of every label inside it.

    Parameters
    ----------
    labels : (H, W) integer array
        0 is background.
    thickness : int
        Width of the line in px.

    Returns
    -------
    (H, W) uint8
        255 on a boundary: where a neighbour (4) has another label. The edge of the frame is no boundary.

    Examples
    --------
    >>> boundaries(np.array([[0, 3, 3, 3, 7, 7]]), thickness=1).tolist()
    [[0, 255, 0, 255, 255, 0]]
    """
    left = check_labels(labels, "labels").copy()
    drawn = np.zeros(left.shape, bool)
    for _ in range(thickness):
        line = np.zeros(left.shape, bool)
        for axis in (0, 1):
            a = np.moveaxis(left, axis, 0)
            edge = np.moveaxis(line, axis, 0)
            differs = a[1:] != a[:-1]
            edge[1:] |= differs
            edge[:-1] |= differs
        line &= left > 0
        if not line.any():
            break
        drawn |= line
        left[line] = 0
    return np.where(drawn, np.uint8(255), np.uint8(0))
