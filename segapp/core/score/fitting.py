"""From counts to mixtures: histograms of sums over circles, and the fit of each density bin, or of all together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from segapp.core._bands import side_by_side
from segapp.core.convolve import circle_kernel
from segapp.core.params import Params
from segapp.core.score import lookup, mixture
from segapp.core.score._by_count import checked, circle_sums
from segapp.core.score.gauss import ScoreParams
from segapp.core.score.mixture import MixtureKnobs, fit_mixture
from segapp.core.score.model import Mixture
from segapp.core.score.start import ANY_BIN, StartKnobs, start_of
from segapp.core.score.support import must_borrow, shows_two
from segapp.core.score.vi import VariationalKnobs, fit_vi
from segapp.core.types import InputError, ScoreInfo, Tick, no_tick


def count_sums(
    counts: np.ndarray, bins: np.ndarray | None, params: Params, inside: tuple[slice, slice] = np.s_[:, :]
) -> dict[str, np.ndarray]:
    """Count how often each sum over a circle occurs: all that `fit_histograms` needs of an image.

    Parameters
    ----------
    counts : (H, W) whole numbers
        UMIs a pixel.
    bins : (H, W) integers or None
        Density bins.
    params : Params
        One of `METHODS` that fits a mixture.
    inside : pair of slices
        The pixels to count; those around them only take part in the circles.

    Returns
    -------
    dict of str to (N,) int64
        Pixels with sum 0, 1, 2, ... for each bin; ``"0"`` without bins. Those of the parts of an image add up.

    Examples
    --------
    >>> from segapp.core.score import METHODS
    >>> counts = np.array([[0, 0, 3, 0, 0]], np.uint32)
    >>> count_sums(counts, None, METHODS.option("EM")(k=3))["0"].tolist()
    [2, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    """
    counts, bins = checked(counts, bins)
    sums = circle_sums(counts, bins, int(params.k))[inside]  # type: ignore[attr-defined]
    if bins is None:
        return {"0": lookup.histogram(sums)}
    ids, ranks = lookup.bin_ranks(bins)
    rows = lookup.histogram_by_bin(sums, ranks[inside], len(ids))
    return {str(bin_): np.trim_zeros(row, "b") for bin_, row in zip(ids, rows, strict=True)}


def fit_histograms(
    histograms: Mapping[str, np.ndarray], params: Params, tick: Tick = no_tick, *, by_bin: bool
) -> ScoreInfo:
    """Fit a mixture to what `count_sums` counted; `fit_score` of the whole image gives the same.

    Parameters
    ----------
    histograms : mapping of str to (N,) int64
        By bin, in the order of the bins.
    params : Params
        One of `METHODS` that fits a mixture.
    tick : Tick
        Progress and cancel.
    by_bin : bool
        Whether there are density bins.

    Returns
    -------
    ScoreInfo
    """
    overlap = int(circle_kernel(int(params.k)).sum())  # type: ignore[attr-defined]
    todo = [
        partial(_fit_supported, histogram, params, overlap, tick, whole=not by_bin, bin_=int(name))
        for name, histogram in histograms.items()
    ]
    if by_bin and histograms:
        todo.insert(0, partial(_fit_supported, add_up(histograms), params, overlap, tick, whole=True, bin_=ANY_BIN))
    tick(0, len(todo))
    found = side_by_side(todo)
    pooled = found.pop(0) if len(found) > len(histograms) else None
    fits: dict[str, Mixture | None] = {}
    for name, fit in zip(histograms, found, strict=True):
        borrows = fit is not None and pooled is not None and must_borrow(fit, pooled)
        fits[name] = None if borrows and _borrows(params) else fit
    if all(fit is not None for fit in fits.values()):
        pooled = None
    return as_info(params, fits, pooled)


def as_info(params: Params, fits: Mapping[str, Mixture | None], pooled: Mixture | None) -> ScoreInfo:
    """Return mixtures by bin, and that of all bins where one borrows it, as the numbers of a method."""
    statistics = {
        "mixtures": {name: None if fit is None else fit.to_json() for name, fit in fits.items()},
        "pooled": None if pooled is None else pooled.to_json(),
    }
    return ScoreInfo(str(params.method), int(params.k), statistics)  # type: ignore[attr-defined]


def add_up(histograms: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the histogram of all bins together, (N,) int64.

    Examples
    --------
    >>> add_up({"1": np.array([1, 2]), "2": np.array([1, 0, 5])}).tolist()
    [2, 2, 5]
    """
    together = np.zeros(max(len(row) for row in histograms.values()), np.int64)
    for row in histograms.values():
        together[: len(row)] += row
    return together


def fit_one(histogram: np.ndarray, params: Params, bin_: int, tick: Tick = no_tick) -> Mixture | None:
    """Fit a mixture to the histogram of one bin, whether it shows two populations or not.

    Parameters
    ----------
    histogram : (N,) int64
        Number of pixels with sum 0, 1, 2, ...
    params : Params
        One of `METHODS` that fits a mixture.
    bin_ : int
        The density bin, by which `params` may say where to start.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    Mixture or None
        None where fewer than two different sums occur.
    """
    start = start_of(params.start, bin_) if isinstance(params, StartKnobs) else None
    if isinstance(params, VariationalKnobs):
        return fit_vi(
            histogram,
            n_epochs=params.vi_n_epochs,
            zero_inflated=params.vi_zero_inflated,
            start=start,
            tick=tick,
        )
    if not isinstance(params, MixtureKnobs):
        raise InputError(f"no mixture is fitted for method {params.method}")  # type: ignore[attr-defined]
    if isinstance(params.sample, int):
        histogram = mixture.draw(histogram, params.sample, params.seed)
    return fit_mixture(
        histogram,
        max_iter=params.em_max_iter,
        precision=params.em_precision,
        weighting=params.em_weighting,
        start=start,
        tick=tick,
    )


def _borrows(params: Params) -> bool:
    return isinstance(params, ScoreParams) and getattr(params, "borrow", "off") == "auto"


def _fit_supported(
    histogram: np.ndarray, params: Params, overlap: int, tick: Tick, *, whole: bool, bin_: int
) -> Mixture | None:
    fit = fit_one(histogram, params, bin_, tick)
    if fit is None or not _borrows(params):
        return fit
    weighting = params.em_weighting if isinstance(params, MixtureKnobs) else "none"
    return fit if shows_two(histogram, fit, overlap, weighting, whole=whole) else None
