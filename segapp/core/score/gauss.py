"""Blurred counts as scores: no model, only brightness."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from segapp.core.convolve import gauss_blur, gauss_blur_by_bin
from segapp.core.params import Params, knob
from segapp.core.score._knobs import diameter
from segapp.core.score.lookup import bin_ranks


class ScoreParams(Params):
    """What every scoring method has."""

    method: str = knob("", doc="How pixels are scored.")
    k: int = diameter(5)


class GaussParams(ScoreParams):
    """Gaussian blur of the counts, scaled to [0, 1]."""

    method: Literal["gauss"] = knob("gauss", doc="How pixels are scored: blurred counts.")


def fit_gauss(counts: np.ndarray, bins: np.ndarray | None, k: int) -> dict[str, Any]:
    """Return the range of the blurred counts, of every bin by itself.

    Parameters
    ----------
    counts : (H, W) uint32
        UMIs a pixel.
    bins : (H, W) int32 or None
        Density bins; 0 is outside.
    k : int
        Diameter of the Gaussian kernel in px.

    Returns
    -------
    dict
        ``{"ranges": {bin: [lowest, highest]}}``; the one bin is ``"0"`` without `bins`.
    """
    if bins is None:
        blurred = gauss_blur(counts, k)
        return {"ranges": {"0": [float(blurred.min()), float(blurred.max())]}}
    blurred = gauss_blur_by_bin(counts, bins, k)
    ids, ranks = bin_ranks(bins)
    inside = ranks >= 0
    low, high = np.full(len(ids), np.inf, np.float32), np.full(len(ids), -np.inf, np.float32)
    np.minimum.at(low, ranks[inside], blurred[inside])
    np.maximum.at(high, ranks[inside], blurred[inside])
    return {"ranges": {str(bin_): [float(a), float(b)] for bin_, a, b in zip(ids, low, high, strict=True)}}


def score_gauss(counts: np.ndarray, bins: np.ndarray | None, k: int, statistics: Any) -> np.ndarray:
    """Blur the counts and scale them to [0, 1] by the ranges of `fit_gauss`, every bin by its own.

    Returns
    -------
    (H, W) float32
        0 in bin 0 and where a bin is flat.

    Examples
    --------
    >>> counts = np.array([[0, 0, 16, 0, 0]], np.uint32)
    >>> score_gauss(counts, None, 3, fit_gauss(counts, None, 3)).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.0]]
    """
    ranges = statistics["ranges"]
    if bins is None:
        low, high = ranges.get("0") or (0.0, 0.0)
        return _scaled(gauss_blur(counts, k), low, high)
    blurred = gauss_blur_by_bin(counts, bins, k)
    ids, ranks = bin_ranks(bins)
    pairs = np.array([ranges.get(str(bin_), (0.0, 0.0)) for bin_ in ids] + [(0.0, 0.0)], np.float32)
    return _scaled(blurred, pairs[ranks, 0], pairs[ranks, 1])


def _scaled(blurred: np.ndarray, low: Any, high: Any) -> np.ndarray:
    span = np.asarray(high, np.float32) - np.asarray(low, np.float32)
    scores = np.where(span > 0, (blurred - np.asarray(low, np.float32)) / np.where(span > 0, span, 1), 0)
    return np.clip(scores, 0, 1).astype(np.float32)
