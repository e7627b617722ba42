"""Scores: how likely each pixel is to be occupied by a cell, from its RNA.

A method is one file with its `Params`, and one row in `METHODS`. `fit_score` reads the whole image and returns numbers;
`apply_score` turns any window of it into scores with these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from segapp.core.checks import check_counts, check_labels, check_mask, check_same_shape
from segapp.core.convolve import circle_kernel, circle_sum, circle_sum_by_bin, gauss_blur, gauss_blur_by_bin
from segapp.core.params import Params, Variants, knob
from segapp.core.score import lookup, mixture, moran, propagation
from segapp.core.score.gauss import GaussParams, ScoreParams, fit_gauss, score_gauss
from segapp.core.score.kept import keep_last
from segapp.core.score.mask import ScoreMaskParams, Sketch, fit_threshold, mask_scores
from segapp.core.score.mixture import MixtureKnobs, fit_mixture
from segapp.core.score.model import Mixture, log_odds_table, posterior_table
from segapp.core.score.moran import MoranParams, fit_moran, score_moran
from segapp.core.score.propagation import LOG_ODDS_LIMIT, PropagationKnobs, propagate
from segapp.core.score.start import ANY_BIN, StartKnobs, start_of
from segapp.core.score.support import SupportKnobs, must_borrow, shows_two
from segapp.core.score.vi import VariationalKnobs, fit_vi
from segapp.core.types import InputError, ScoreInfo, Tick, no_tick

__all__ = [
    "CELL_SCORE",
    "METHODS",
    "NUCLEI_SCORE",
    "ScoreMaskParams",
    "Sketch",
    "apply_score",
    "count_sums",
    "fit_histograms",
    "fit_score",
    "fit_threshold",
    "mask_scores",
    "warm",
]

CERTAIN_LOG_ODDS = float(np.log(0.99 / 0.01))
"""Node log odds of pixels that are certain to be occupied."""


class EMParams(MixtureKnobs, SupportKnobs, ScoreParams):
    """Posterior of a negative binomial mixture fitted by EM."""

    method: Literal["EM"] = knob("EM", doc="How pixels are scored: mixture of background and occupied counts.")


class EMGaussParams(MixtureKnobs, SupportKnobs, ScoreParams):
    """Posterior of a negative binomial mixture, blurred."""

    method: Literal["EM+gauss"] = knob("EM+gauss", doc="How pixels are scored: mixture, then Gaussian blur.")


class EMBPParams(PropagationKnobs, MixtureKnobs, SupportKnobs, ScoreParams):
    """Negative binomial mixture, then belief propagation between neighbours."""

    method: Literal["EM+BP"] = knob("EM+BP", doc="How pixels are scored: mixture, then neighbours exchange beliefs.")


class VIGaussParams(VariationalKnobs, SupportKnobs, ScoreParams):
    """Negative binomial mixture by variational inference, blurred."""

    method: Literal["VI+gauss"] = knob(
        "VI+gauss", doc="How pixels are scored: variational mixture, then Gaussian blur."
    )


class VIBPParams(PropagationKnobs, VariationalKnobs, SupportKnobs, ScoreParams):
    """Negative binomial mixture by variational inference, then belief propagation."""

    method: Literal["VI+BP"] = knob("VI+BP", doc="How pixels are scored: variational mixture, then beliefs.")


METHODS = Variants(
    "method", (GaussParams, MoranParams, EMParams, EMGaussParams, EMBPParams, VIGaussParams, VIBPParams), "EM+BP"
)
"""Ways to score pixels."""

NUCLEI_SCORE = METHODS
"""Scores of nuclear RNA."""

CELL_SCORE = METHODS.extended(
    "Cell",
    k=(
        int,
        knob(
            7,
            unit="px",
            odd=True,
            ge=1,
            le=99,
            soft=(1, 21),
            doc="Diameter of the circle over which counts are summed. Larger: smoother scores, small gaps closed.",
        ),
    ),
    certain=(
        Literal["nuclei", "off"],
        knob("nuclei", doc="Pixels that are occupied whatever their counts. nuclei: fuller cells around known nuclei."),
    ),
)
"""Scores of total RNA."""


def fit_score(counts: np.ndarray, bins: np.ndarray | None, params: Params, tick: Tick = no_tick) -> ScoreInfo:
    """Fit a scoring method to a whole image.

    Parameters
    ----------
    counts : (H, W) whole numbers
        UMIs a pixel: raw counts, not normalised ones.
    bins : (H, W) integers or None
        Density bins, each fitted by itself; 0 is outside the tissue.
    params : Params
        One of the classes of `METHODS`, or of its extensions.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    ScoreInfo
        Its statistics are JSON-serialisable. For the mixtures: ``mixtures`` by bin (``"0"`` without bins; None where
        the counts do not show two populations, see `segapp.core.score.support`) and ``pooled``, the fit of all bins
        together, which such a bin borrows. Where the whole field shows only one population every score is 0.

    Raises
    ------
    InputError
        If counts are negative, NaN or not whole, or if the shapes differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(0.2, (64, 64)).astype(np.uint32)
    >>> counts[20:40, 20:40] += rng.poisson(2, (20, 20)).astype(np.uint32)
    >>> info = fit_score(counts, None, METHODS.option("EM+BP")())
    >>> info.method, info.k, sorted(info.statistics)
    ('EM+BP', 5, ['mixtures', 'pooled'])
    """
    counts, bins = _checked(counts, bins)
    _check_params(params)
    method, k = str(params.method), int(params.k)  # type: ignore[attr-defined]
    tick(0, 1)
    if isinstance(params, GaussParams):
        return ScoreInfo(method, k, fit_gauss(counts, bins, k))
    if isinstance(params, MoranParams):
        return ScoreInfo(method, k, fit_moran(counts, bins, params))
    return fit_histograms(count_sums(counts, bins, params), params, tick, by_bin=bins is not None)


def apply_score(
    counts: np.ndarray,
    bins: np.ndarray | None,
    certain: np.ndarray | None,
    params: Params,
    info: ScoreInfo,
    tick: Tick = no_tick,
) -> np.ndarray:
    """Score the pixels of an image, or of a window of it, with the numbers fitted on the whole.

    Parameters
    ----------
    counts : (H, W) whole numbers
        UMIs a pixel.
    bins : (H, W) integers or None
        Density bins; pixels of bin 0 score 0.
    certain : (H, W) bool or None
        Pixels known to be occupied, such as nuclei. Belief propagation takes them as almost sure and lets them pull
        their neighbours; the other methods give them 1.
    params : Params
        What `fit_score` was given.
    info : ScoreInfo
        What `fit_score` returned. With ``rounds`` among its statistics belief propagation goes so many rounds.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    (H, W) float32
        Scores in [0, 1] (Moran: at most 1 where `info` comes from the same image, negative where neighbours are
        darker than the mean); never NaN or infinite.

    Raises
    ------
    InputError
        If counts are negative, NaN or not whole, if shapes differ, or if `info` is of another method.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(0.2, (64, 64)).astype(np.uint32)
    >>> counts[20:40, 20:40] += rng.poisson(2, (20, 20)).astype(np.uint32)
    >>> params = METHODS.option("EM+BP")()
    >>> scores = apply_score(counts, None, None, params, fit_score(counts, None, params))
    >>> bool(scores[25:35, 25:35].min() > 0.9), bool(np.median(scores[:15]) < 0.1)
    (True, True)
    """
    counts, bins = _checked(counts, bins)
    _check_params(params)
    if certain is not None:
        certain = check_mask(certain, "certain")
        check_same_shape({"counts": counts, "certain": certain})
    if info.method != params.method:  # type: ignore[attr-defined]
        raise InputError(
            f"`info` was fitted with method {info.method} but `params` asks for {params.method}; "  # type: ignore[attr-defined]
            "fit again with the same parameters"
        )
    k = info.k
    if isinstance(params, GaussParams):
        scores = score_gauss(counts, bins, k, info.statistics)
    elif isinstance(params, MoranParams):
        scores = score_moran(counts, bins, params, info.statistics)
    elif isinstance(params, PropagationKnobs):
        odds = _by_count(counts, bins, k, info.statistics, log_odds_table, -LOG_ODDS_LIMIT)
        if params.bp_evidence < 1:
            odds *= np.float32(params.bp_evidence)
        if certain is not None:
            odds[certain] = CERTAIN_LOG_ODDS
        # a window goes as many rounds as the whole does, settled or not: rounds are how far a pixel is heard
        rounds = info.statistics.get("rounds")
        scores = propagate(
            odds,
            k=params.bp_k,
            square=params.bp_square,
            p=params.bp_p,
            q=params.bp_q,
            precision=params.bp_precision if rounds is None else -1.0,
            max_iter=params.bp_max_iter if rounds is None else int(rounds),
            tick=tick,
        )
        # without evidence, or outside, a marginal is tiny but not even: make it nothing
        nothing = _without_fit(counts.shape, bins, info.statistics)
        scores[nothing if certain is None else nothing & ~certain] = 0
        return scores
    else:
        scores = _by_count(counts, bins, k, info.statistics, posterior_table, 0.0)
        if params.method in ("EM+gauss", "VI+gauss"):  # type: ignore[attr-defined]
            if certain is not None:
                scores[certain] = 1
            scores = gauss_blur(scores, k) if bins is None else gauss_blur_by_bin(scores, bins, k)
            np.clip(scores, 0, 1, out=scores)
    if certain is not None:
        scores[certain] = 1
    return scores


def warm() -> None:
    """Compile every kernel of the scoring methods, or load them from the cache."""
    for module in (lookup, mixture, moran, propagation):
        module.warm()


def _checked(counts: np.ndarray, bins: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    counts = np.ascontiguousarray(check_counts(counts, "counts"))
    if bins is not None:
        bins = np.ascontiguousarray(check_labels(bins, "bins"))
        check_same_shape({"counts": counts, "bins": bins})
    return counts, bins


def _check_params(params: Params) -> None:
    if not isinstance(params, ScoreParams):
        raise InputError(
            f"`params` is a {type(params).__name__}; pass one of METHODS, such as METHODS.option('EM+BP')()"
        )


@keep_last
def _sums(counts: np.ndarray, bins: np.ndarray | None, k: int) -> np.ndarray:
    if bins is None:
        return circle_sum(counts, k)
    # whole away from seams; at a seam the scaled-up sum is rounded, since the model is one of counts
    return np.rint(circle_sum_by_bin(counts, bins, k)).astype(np.uint32)


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
    >>> counts = np.array([[0, 0, 3, 0, 0]], np.uint32)
    >>> count_sums(counts, None, METHODS.option("EM")(k=3))["0"].tolist()
    [2, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    """
    counts, bins = _checked(counts, bins)
    sums = _sums(counts, bins, int(params.k))[inside]  # type: ignore[attr-defined]
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
    k = int(params.k)  # type: ignore[attr-defined]
    overlap = int(circle_kernel(k).sum())
    pooled = None
    if by_bin and histograms:
        together = np.zeros(max(len(row) for row in histograms.values()), np.int64)
        for row in histograms.values():
            together[: len(row)] += row
        pooled = _fit_supported(together, params, overlap, tick, whole=True, bin_=ANY_BIN)
    fits: dict[str, Mixture | None] = {}
    for done, (name, histogram) in enumerate(histograms.items()):
        tick(done, len(histograms))
        fit = _fit_supported(histogram, params, overlap, tick, whole=not by_bin, bin_=int(name))
        borrows = fit is not None and pooled is not None and must_borrow(fit, pooled)
        fits[name] = None if borrows and _borrows(params) else fit
    if all(fit is not None for fit in fits.values()):
        pooled = None
    statistics = {
        "mixtures": {name: None if fit is None else fit.to_json() for name, fit in fits.items()},
        "pooled": None if pooled is None else pooled.to_json(),
    }
    return ScoreInfo(str(params.method), k, statistics)  # type: ignore[attr-defined]


def _without_fit(shape: tuple[int, ...], bins: np.ndarray | None, statistics: Mapping[str, Any]) -> np.ndarray:
    fits, pooled = statistics["mixtures"], statistics.get("pooled")
    if bins is None:
        return np.full(shape, fits.get("0") is None)
    if pooled is not None:
        return bins == 0
    ids, ranks = lookup.bin_ranks(bins)
    missing = np.array([fits.get(str(bin_)) is None for bin_ in ids] + [True])  # rank -1, bin 0, is the last
    return missing[ranks]


def _borrows(params: Params) -> bool:
    return isinstance(params, ScoreParams) and getattr(params, "borrow", "off") == "auto"


def _fit_supported(
    histogram: np.ndarray, params: Params, overlap: int, tick: Tick, *, whole: bool, bin_: int
) -> Mixture | None:
    fit = _fit_one(histogram, params, bin_, tick)
    if fit is None or not _borrows(params):
        return fit
    weighting = params.em_weighting if isinstance(params, MixtureKnobs) else "none"
    return fit if shows_two(histogram, fit, overlap, weighting, whole=whole) else None


def _fit_one(histogram: np.ndarray, params: Params, bin_: int, tick: Tick) -> Mixture | None:
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


def _by_count(
    counts: np.ndarray, bins: np.ndarray | None, k: int, statistics: Mapping[str, Any], table: Any, outside: float
) -> np.ndarray:
    sums = _sums(counts, bins, k)
    size = min(int(sums.max()), lookup.LARGEST_COUNT) + 1
    pooled = statistics.get("pooled")

    def row(name: str) -> np.ndarray:
        values = statistics["mixtures"].get(name) or pooled
        line = table(None if values is None else Mixture.from_json(values), size)
        return np.clip(line, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT).astype(np.float32)

    if bins is None:
        return lookup.look_up(row("0"), sums)
    ids, ranks = lookup.bin_ranks(bins)
    if len(ids) == 0:
        return np.full(counts.shape, outside, np.float32)
    return lookup.look_up_by_bin(np.stack([row(str(bin_)) for bin_ in ids]), sums, ranks, outside)
