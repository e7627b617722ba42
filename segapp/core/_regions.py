"""Density bins as a grid of squares: numbered by density, grown, without background, described."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segapp.core.levels import LevelsParams
from segapp.core.morphology import circle_dilate, close_open
from segapp.core.types import InputError

if TYPE_CHECKING:
    from segapp.core.density import RegionParams

QUANTILE = 0.98
"""Densities are divided by this quantile of the squares that hold RNA: a hot spot is rarer than 2 squares in 100."""
BARREN = 0.2
"""A bin lies beside the tissue only if it is on the border and holds less than this share of the other RNA.
Sparse tissue that is taken for background loses its cells; background taken for tissue has none."""


def grow(bins: np.ndarray, dk: int) -> np.ndarray:
    """Grow and smooth every bin, the densest last; a square that no bin claims keeps its own."""
    if dk == 1:
        return bins
    grown = bins.copy()
    for label in range(1, int(bins.max()) + 1):
        own = bins == label
        claimed = close_open(circle_dilate(own, dk), dk)
        grown[claimed if claimed.any() else own] = label
    return grown


def ordered(bins: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Number bins 1, 2, ... by ascending mean density; 0 stays."""
    ids = np.unique(bins)
    ids = ids[ids > 0]
    n = int(bins.max()) + 1
    sums = np.bincount(bins.ravel(), density.ravel(), n)
    sizes = np.bincount(bins.ravel(), minlength=n)
    order = ids[np.argsort(sums[ids] / sizes[ids], kind="stable")]
    table = np.zeros(n, np.int32)
    table[order] = np.arange(1, len(order) + 1)
    return table[bins]


def without_background(
    bins: np.ndarray, density: np.ndarray, params: RegionParams, shape: tuple[int, ...]
) -> tuple[np.ndarray, str]:
    """Make the bin beside the tissue 0, as `background` says; a sentence where that is asked for and there is none."""
    word = params.background.strip().lower()
    if word == "off" or (word == "auto" and isinstance(params, LevelsParams)):  # its empty squares are 0 already
        return bins, ""
    if word != "auto":
        x, y = _pixel(params.background, shape)
        label = int(bins[y // params.binsize, x // params.binsize])
        if (bins == label).all():
            return bins, "there is only one region, so it is not made background"
    else:
        rim = np.concatenate([bins[0], bins[-1], bins[1:-1, 0], bins[1:-1, -1]])
        label = int(np.bincount(rim).argmax())
        inside = bins != label
        if not inside.any():
            return bins, "there is only one region, so it is not made background"
        if density[~inside].mean() >= BARREN * density[inside].mean():
            return bins, "the tissue reaches the border everywhere, so no region is background"
    by = np.minimum(density, np.quantile(density, QUANTILE)) if isinstance(params, LevelsParams) else density
    return ordered(np.where(bins == label, 0, bins).astype(np.int32), by), ""


def _pixel(text: str, shape: tuple[int, ...]) -> tuple[int, int]:
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"density.background={text} cannot be read; use auto, off, or a pixel as x,y") from None
    if not (0 <= x < shape[1] and 0 <= y < shape[0]):
        raise InputError(f"density.background={text} lies outside the {shape[1]} x {shape[0]} px (x, y) of the frame")
    return x, y


def describe(bins: np.ndarray, density: np.ndarray, binsize: int) -> list[dict[str, float]]:
    """Return id, mean UMIs a pixel and share of the field of every bin."""
    ids = np.unique(bins)
    sums = np.bincount(bins.ravel(), density.ravel())[ids]
    sizes = np.bincount(bins.ravel())[ids]
    return [
        {"id": int(i), "mean": float(s / n / binsize**2), "share": float(n / bins.size)}
        for i, s, n in zip(ids, sums, sizes, strict=True)
    ]
