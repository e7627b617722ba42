"""Numbers of scoring methods without a mixture, from the parts of an image: extremes of the blurred counts, moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.core.convolve import gauss_blur, gauss_blur_by_bin
from segapp.core.types import ScoreInfo, Unavailable

WHOLE = ("gauss", "moran")
"""Methods that are fitted by other numbers than a histogram of counts."""


def look(counts: np.ndarray, bins: np.ndarray | None, params: Any, inside: tuple[slice, slice]) -> Any:
    """Return what a part of an image adds to the numbers of the whole.

    Parameters
    ----------
    counts : (H, W) uint32
        UMIs a pixel, with what the blur sees around `inside`.
    bins : (H, W) int32 or None
        Density bins.
    params : GaussParams
        Settings.
    inside : pair of slices
        The part.

    Returns
    -------
    dict
        Lowest and highest blurred count by bin.
    """
    if params.method != "gauss":
        raise Unavailable(
            f"the method {params.method} compares each pixel with all others and is not run on a chip; choose EM+BP, "
            "another mixture, or gauss"
        )
    if bins is None:
        blurred = gauss_blur(counts, params.k)[inside]
        return {"0": (float(blurred.min()), float(blurred.max()))}
    blurred, where = gauss_blur_by_bin(counts, bins, params.k)[inside], bins[inside]
    found = {}
    for bin_ in np.unique(where[where > 0]).tolist():
        values = blurred[where == bin_]
        found[str(bin_)] = (float(values.min()), float(values.max()))
    return found


def settle(parts: list[Any], params: Any) -> ScoreInfo:
    """Return the numbers of the whole, as `fit_score` finds them.

    Examples
    --------
    >>> from segapp.core.score import METHODS
    >>> settle([{"0": (0.0, 2.0)}, {"0": (1.0, 7.0)}], METHODS.option("gauss")()).statistics
    {'ranges': {'0': [0.0, 7.0]}}
    """
    ranges: dict[str, list[float]] = {}
    for part in parts:
        for name, (low, high) in part.items():
            known = ranges.setdefault(name, [low, high])
            known[:] = [min(known[0], low), max(known[1], high)]
    ordered = {name: ranges[name] for name in sorted(ranges, key=int)}
    return ScoreInfo(params.method, params.k, {"ranges": ordered})
