"""Numbers of scoring methods without a mixture, from the parts of an image: extremes of the blurred counts, moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.core.convolve import gauss_blur, gauss_blur_by_bin
from segapp.core.score.moran import largest_of, moments_of, statistics_of
from segapp.core.types import ScoreInfo

WHOLE = ("gauss", "moran")
"""Methods that are fitted by other numbers than a histogram of counts."""


class Range:
    """What is gathered from the parts of an image, in as many looks as the method takes.

    Parameters
    ----------
    params : GaussParams or MoranParams
        Settings.

    Examples
    --------
    >>> from segapp.core.score import METHODS
    >>> gathered = Range(METHODS.option("gauss")())
    >>> gathered.settle([{"0": (0.0, 2.0)}, {"0": (1.0, 7.0)}]).statistics
    {'ranges': {'0': [0.0, 7.0]}}
    """

    def __init__(self, params: Any) -> None:
        self.params = params
        self.numbers: dict[str, Any] | None = None

    def look(self, counts: np.ndarray, bins: np.ndarray | None, inside: tuple[slice, slice]) -> Any:
        """Return what a part of an image adds.

        Parameters
        ----------
        counts : (H, W) uint32
            UMIs a pixel, with what the method sees around `inside`.
        bins : (H, W) int32 or None
            Density bins.
        inside : pair of slices
            The part.
        """
        if self.params.method == "gauss":
            return _extremes(counts, bins, self.params.k, inside)
        if self.numbers is not None:
            return largest_of(counts, bins, self.params, self.numbers, inside)
        return moments_of(counts, bins, self.params, inside)

    def settle(self, parts: list[Any]) -> ScoreInfo | None:
        """Return the numbers of the whole, as `fit_score` finds them; None while another look is needed."""
        if self.params.method == "gauss":
            return self._info({"ranges": _joined(parts)})
        if self.numbers is None:
            self.numbers = statistics_of(sum(parts[1:], parts[0]), self.params)
            return self._info(self.numbers) if self.numbers["deviation"] == 0 else None
        return self._info({**self.numbers, "largest": max(parts)})

    def _info(self, numbers: dict[str, Any]) -> ScoreInfo:
        return ScoreInfo(self.params.method, self.params.k, numbers)


def _extremes(
    counts: np.ndarray, bins: np.ndarray | None, k: int, inside: tuple[slice, slice]
) -> dict[str, tuple[float, float]]:
    if bins is None:
        blurred = gauss_blur(counts, k)[inside]
        return {"0": (float(blurred.min()), float(blurred.max()))}
    blurred, where = gauss_blur_by_bin(counts, bins, k)[inside], bins[inside]
    found = {}
    for bin_ in np.unique(where[where > 0]).tolist():
        values = blurred[where == bin_]
        found[str(bin_)] = (float(values.min()), float(values.max()))
    return found


def _joined(parts: list[dict[str, tuple[float, float]]]) -> dict[str, list[float]]:
    ranges: dict[str, list[float]] = {}
    for part in parts:
        for name, (low, high) in part.items():
            known = ranges.setdefault(name, [low, high])
            known[:] = [min(known[0], low), max(known[1], high)]
    return {name: ranges[name] for name in sorted(ranges, key=int)}
