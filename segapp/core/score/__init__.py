"""Scores: how likely each pixel is to be occupied by a cell, from its RNA.

`fit_score` reads the whole image and returns numbers; `apply_score` turns any window of it into scores with these
numbers. The methods are listed in `segapp.core.score.methods`.
"""

from __future__ import annotations

import numpy as np

from segapp.core.checks import check_mask, check_same_shape
from segapp.core.convolve import gauss_blur, gauss_blur_by_bin
from segapp.core.params import Params
from segapp.core.score import _by_count, lookup, mixture, moran, propagation
from segapp.core.score._by_count import by_count, checked, without_fit
from segapp.core.score.fitting import count_sums, fit_histograms
from segapp.core.score.gauss import GaussParams, ScoreParams, fit_gauss, score_gauss
from segapp.core.score.mask import ScoreMaskParams, Sketch, fit_threshold, mask_scores
from segapp.core.score.methods import CELL_SCORE, METHODS, NUCLEI_SCORE
from segapp.core.score.model import log_odds_table, posterior_table
from segapp.core.score.moran import MoranParams, fit_moran, score_moran
from segapp.core.score.propagation import LOG_ODDS_LIMIT, PropagationKnobs, propagate
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
    counts, bins = checked(counts, bins)
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
    counts, bins = checked(counts, bins)
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
        odds = by_count(counts, bins, k, info.statistics, log_odds_table, -LOG_ODDS_LIMIT)
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
        nothing = without_fit(counts.shape, bins, info.statistics)
        scores[nothing if certain is None else nothing & ~certain] = 0
        return scores
    else:
        scores = by_count(counts, bins, k, info.statistics, posterior_table, 0.0)
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
    for module in (_by_count, lookup, mixture, moran, propagation):
        module.warm()


def _check_params(params: Params) -> None:
    if not isinstance(params, ScoreParams):
        raise InputError(
            f"`params` is a {type(params).__name__}; pass one of METHODS, such as METHODS.option('EM+BP')()"
        )
