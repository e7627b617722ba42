"""Regions of like RNA density: squares clustered by a spatially constrained Ward tree, or sorted into levels."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from segapp.core import levels, ward
from segapp.core._regions import QUANTILE, describe, grow, ordered, without_background
from segapp.core.checks import check_counts, check_labels, check_table_of_ids
from segapp.core.convolve import gauss_blur
from segapp.core.levels import LevelsParams, find_levels
from segapp.core.notes import note
from segapp.core.params import Params, Variants, knob
from segapp.core.squares import part_sums, quarters, whole_squares
from segapp.core.threshold import otsu
from segapp.core.types import InputError, Tick, no_tick

MOST_REGIONS, SQUARES = 1000, 50
"""The knee is looked for among the last merges: at most 1,000, and one for every 50 squares. Smaller pieces are noise,
and a mixture cannot be fitted on them."""


class NoDensity(Params):
    """Score the whole field at once."""

    method: Literal["off"] = knob("off", doc="off scores the whole field at once.")


class WardParams(Params):
    """Divide the field into regions of like RNA density."""

    method: Literal["ward"] = knob("ward", doc="ward divides the field into regions of like RNA density.")
    binsize: int = knob(
        20,
        unit="px",
        ge=1,
        le=1000,
        soft=(5, 100),
        doc="Side of the squares whose UMIs are summed. Larger: faster, coarser regions.",
    )
    k: int = knob(
        3, odd=True, ge=1, le=99, soft=(1, 15), doc="Diameter of the blur in squares. Larger: smoother, fewer regions."
    )
    dk: int = knob(
        3,
        odd=True,
        ge=1,
        le=99,
        soft=(1, 15),
        doc="Diameter in squares by which each region grows, densest last. Larger: dense regions reach further.",
    )
    distance_threshold: float | Literal["auto"] = knob(
        "auto",
        ge=0.0,
        le=100000.0,
        soft=(0.0, 20.0),
        doc="Ward distance from which regions stay apart. Higher: fewer regions. auto takes the knee of the tree.",
    )
    background: str = knob(
        "auto",
        doc="Region that is no tissue and becomes 0: auto takes the commonest on the border if it is sparse, off none, "
        "x,y the one at that pixel.",
    )
    scale: Literal["quantile", "max"] = knob(
        "quantile",
        doc="What densities are divided by before clustering: a high quantile, which a hot spot cannot move, or the "
        "maximum.",
    )
    merge: tuple[tuple[int, int], ...] = knob((), doc="Pairs (from, to) of regions to join; 0 is background.")


RegionParams = WardParams | LevelsParams
DENSITY = Variants("method", (NoDensity, WardParams, LevelsParams), "off")


def segment_density(total: np.ndarray, params: RegionParams, tick: Tick = no_tick) -> tuple[np.ndarray, dict[str, Any]]:
    """Divide a field into regions of like RNA density.

    Parameters
    ----------
    total : (H, W) counts
        UMIs a pixel.
    params : WardParams or LevelsParams
        How.
    tick : Tick
        Progress.

    Returns
    -------
    bins : (H, W) int32
        Regions 1, 2, ... from the sparsest to the densest, 0 = background.
    statistics : dict
        What `apply_density` needs to give any window the same bins, and numbers for the reader; JSON-serialisable.

    Raises
    ------
    InputError
        When `total` are no counts, or the background pixel lies outside.

    Examples
    --------
    >>> import numpy as np
    >>> total = np.zeros((40, 60), np.uint32)
    >>> total[:, 20:], total[:, 40:] = 2, 9
    >>> bins, _ = segment_density(total, WardParams(binsize=10, k=1, dk=1, background="off", distance_threshold=0.1))
    >>> bins[0, [0, 20, 40]].tolist()
    [1, 2, 3]
    """
    statistics = fit_density(total, params, tick)
    return apply_density(statistics, np.shape(total)), statistics


def fit_density(total: np.ndarray, params: RegionParams, tick: Tick = no_tick) -> dict[str, Any]:
    """Find the regions of a whole field; see `segment_density`.

    Parameters
    ----------
    total : (H, W) counts
        UMIs a pixel.
    params : WardParams or LevelsParams
        How.
    tick : Tick
        Progress.

    Returns
    -------
    dict
        ``grid`` (the bin of every square), ``binsize``, ``shape``, ``scale``, ``distance_threshold``, ``bins`` (id,
        mean UMIs a pixel, share of the field) and ``notes`` (sentences).

    Raises
    ------
    InputError
        As `segment_density`.

    Notes
    -----
    Squares at a ragged right or lower edge are scaled to the area of a whole one. A bin that its growing and smoothing
    would erase keeps its own squares.

    References
    ----------
    Ward, "Hierarchical grouping to optimize an objective function", Journal of the American Statistical Association
    58:236-244, 1963; for levels see `segapp.core.levels.find_levels`.
    """
    counts = check_counts(total, "total")
    shape = counts.shape[0], counts.shape[1]
    return fit_squares(part_sums(counts, grain(params), 0, 0)[2], shape, params, tick)


def grain(params: RegionParams) -> int:
    """Return the side in px of the smallest squares that regions are found with: half of `binsize` for levels."""
    halved = isinstance(params, LevelsParams) and params.binsize % 2 == 0
    return params.binsize // 2 if halved else params.binsize


def fit_squares(sums: np.ndarray, shape: tuple[int, int], params: RegionParams, tick: Tick = no_tick) -> dict[str, Any]:
    """Find the regions of a field that was summed into squares; see `fit_density`.

    Parameters
    ----------
    sums : (h, w) float64
        UMIs of each square of `grain` px, as `part_sums` gives them.
    shape : (int, int)
        Height and width of the field in px.
    params : WardParams or LevelsParams
        How.
    tick : Tick
        Progress.

    Returns
    -------
    dict
        As `fit_density`.
    """
    fine = whole_squares(sums, grain(params), shape)
    density, parts = fine, None
    if grain(params) < params.binsize:
        at_y, at_x = (np.arange(0, side, 2) for side in sums.shape)
        coarse = np.add.reduceat(np.add.reduceat(sums, at_x, axis=1), at_y, axis=0)
        density = whole_squares(coarse, params.binsize, shape)
        parts = quarters(fine, density.shape)
    notes: list[str] = []
    scale, threshold = 0.0, 0.0
    bins = np.ones(density.shape, np.int32)
    if density.max() == density.min():
        notes.append("the RNA is spread evenly, so there is one region" if density.any() else "there is no RNA at all")
    else:
        high = isinstance(params, WardParams) and params.scale == "max"
        scale = float(density.max() if high else np.quantile(density[density > 0], QUANTILE))
    if isinstance(params, LevelsParams) and scale > 0:
        bins = _by_levels(density, scale, parts, params)
    elif isinstance(params, WardParams) and scale > 0:
        bins, threshold = _by_tree(density, scale, params, tick)
    bins, note = without_background(bins, density, params, shape)
    notes += [note] * bool(note)
    there = set(np.unique(bins).tolist())
    stale = [(a, b) for a, b in params.merge if a not in there or (b not in there and b != 0)]
    if stale:
        notes.append(f"density.merge {stale} no longer applies: the regions are {sorted(there)}")
    bins = merge_bins(bins, {a: b for a, b in params.merge if (a, b) not in stale})
    return {
        "shape": list(shape),
        "binsize": params.binsize,
        "scale": scale,
        "distance_threshold": threshold,
        "bins": describe(bins, density, params.binsize),
        "notes": notes,
        "grid": {"shape": list(bins.shape), "zlib": base64.b64encode(zlib.compress(bins.tobytes())).decode()},
    }


def _by_levels(density: np.ndarray, scale: float, parts: np.ndarray | None, params: LevelsParams) -> np.ndarray:
    bins = find_levels(
        density,
        scale,
        n_levels=params.n_levels,
        k=params.k,
        smoothness=params.smoothness,
        parts=parts,
    )
    if params.background.strip().lower() != "auto" and not bins.all():
        bins += 1
    return ordered(bins, np.minimum(density, scale))  # a hot spot must not move its level up


def _by_tree(density: np.ndarray, scale: float, params: WardParams, tick: Tick) -> tuple[np.ndarray, float]:
    blurred = gauss_blur((density / scale).astype(np.float32), params.k)
    children, heights = ward.ward_tree(blurred, tick)
    threshold = cut_height(heights) if params.distance_threshold == "auto" else float(params.distance_threshold)
    n_clusters = int((heights >= threshold).sum()) + 1
    bins = ward.cut_tree(children, density.shape, n_clusters)
    return ordered(grow(ordered(bins, density), params.dk), density), threshold


def apply_density(
    statistics: Mapping[str, Any], shape: tuple[int, ...], origin: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Give a window of the field the bins that were found on the whole.

    Parameters
    ----------
    statistics : mapping
        From `fit_density`.
    shape : (int, int)
        Height and width of the window in px.
    origin : (int, int)
        Row and column of its first pixel in the whole field.

    Returns
    -------
    bins : (H, W) int32
        Each square repeated over its pixels: exactly the crop of the whole.

    Raises
    ------
    InputError
        When the window reaches beyond the field.
    """
    height, width = statistics["shape"]
    row, column = origin
    if not (row >= 0 and row + shape[0] <= height and column >= 0 and column + shape[1] <= width):
        raise InputError(
            f"a window of {shape[0]} x {shape[1]} px at row {row}, column {column} reaches beyond the field of "
            f"{height} x {width} px that the density bins were found on; fit them on the whole"
        )
    grid = statistics["grid"]
    bins = np.frombuffer(zlib.decompress(base64.b64decode(grid["zlib"])), np.int32).reshape(grid["shape"])
    rows = np.arange(row, row + shape[0]) // statistics["binsize"]
    columns = np.arange(column, column + shape[1]) // statistics["binsize"]
    return np.ascontiguousarray(bins[rows][:, columns])


def merge_bins(bins: np.ndarray, mapping: Mapping[int, int]) -> np.ndarray:
    """Join density bins.

    Parameters
    ----------
    bins : (H, W) integer array
        Density bins, 0 = background.
    mapping : mapping of int to int
        From bin to bin, all at once; empty changes nothing. 0 makes background.

    Returns
    -------
    (H, W) int32
        The other bins keep their numbers.

    Raises
    ------
    InputError
        When a bin is not there.

    Examples
    --------
    >>> import numpy as np
    >>> merge_bins(np.array([[1, 2, 3]]), {2: 1, 3: 2})
    array([[1, 1, 2]], dtype=int32)
    """
    labels = check_labels(bins, "bins")
    there = np.unique(labels)
    missing = sorted({value for pair in mapping.items() for value in pair if value != 0} - set(there.tolist()))
    if missing:
        raise InputError(f"there is no density bin {missing}; the bins are {there.tolist()}")
    table = np.arange(check_table_of_ids(labels, "bins"), dtype=np.int32)
    for old, new in mapping.items():
        table[old] = new
    return table[labels]


def cut_height(heights: np.ndarray) -> float:
    """Return the height at which the number of clusters stops falling steeply: the knee of the tree.

    Parameters
    ----------
    heights : (N,) float64
        Ward distances.

    Returns
    -------
    float
        Otsu's threshold of the heights, with a warning, where the curve has no knee.

    References
    ----------
    Satopaa et al., "Finding a 'Kneedle' in a haystack: detecting knee points in system behavior", ICDCS Workshops,
    2011.
    """
    x = np.unique(heights)[-max(3, min(MOST_REGIONS, len(heights) // SQUARES)) :]
    if len(x) < 3:
        return float(x[-1]) if len(x) else 0.0
    y = len(heights) - np.searchsorted(np.sort(heights), x) + 1.0
    # the farthest point below the chord of the falling curve
    below = 1 - (x - x[0]) / (x[-1] - x[0]) - (y - y[-1]) / (y[0] - y[-1])
    at = int(below.argmax())
    if below[at] <= 0.05:
        note("the tree of densities has no knee; Otsu's threshold cuts it", stacklevel=2)
        return otsu(heights)
    return float(x[at])


def warm() -> None:
    """Compile the kernels of this module."""
    ward.warm()
    levels.warm()
