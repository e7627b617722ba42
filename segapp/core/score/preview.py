"""A first look at a score: what is visible, at the resolution of the screen, before the whole is computed."""

from __future__ import annotations

import math

import numpy as np

from segapp.core.params import Params
from segapp.core.score import CERTAIN_LOG_ODDS, fit_score
from segapp.core.score._by_count import by_count
from segapp.core.score.fitting import count_sums
from segapp.core.score.model import log_odds_table
from segapp.core.score.nearby import fit_near
from segapp.core.score.propagation import LOG_ODDS_LIMIT, PropagationKnobs, propagate
from segapp.core.score.start import StartKnobs
from segapp.core.squares import spread
from segapp.core.types import ScoreInfo, Tick, no_tick

MOST_PIXELS = 1 << 18
"""Pixels that take part in a preview: belief propagation over 512 x 512 takes a twelfth of its time over 1024 x 1024,
whose messages leave the cache."""

SAMPLED_PIXELS = 1 << 20
"""Pixels that a mixture is fitted to while it is only looked at."""

STRIPE = 128
HALO = 16
"""Pixels around the window whose counts and messages reach into it."""

REACH = 16
"""Pixels that messages travel in a preview. Pixels that take part lie further apart than their neighbours do: as many
rounds as in `apply_score` would carry them further, and make the preview less like it."""

Box = tuple[int, int, int, int]


def previews(params: Params) -> bool:
    """Whether a method is slow enough to be looked at first: those with belief propagation."""
    return isinstance(params, PropagationKnobs)


def sample_rows(shape: tuple[int, int]) -> slice | np.ndarray:
    """Return the rows that a preview fits: stripes spread evenly, `SAMPLED_PIXELS` in all; everything where it is less.

    Examples
    --------
    >>> sample_rows((512, 512))
    slice(None, None, None)
    >>> rows = sample_rows((4096, 4096))
    >>> len(rows), int(rows[0]), int(rows[-1]) > 3900
    (256, 0, True)
    """
    rows, cols = shape
    wanted = max(SAMPLED_PIXELS // max(cols, 1), STRIPE)
    if rows <= 1.5 * wanted:
        return slice(None)
    stripes = max(wanted // STRIPE, 2)
    starts = np.linspace(0, rows - STRIPE, stripes).astype(int)
    return np.concatenate([np.arange(start, start + STRIPE) for start in starts])


def fit_sample(
    counts: np.ndarray,
    bins: np.ndarray | None,
    params: Params,
    tick: Tick = no_tick,
    last: ScoreInfo | None = None,
) -> ScoreInfo:
    """Fit the numbers of a method to a sample of the rows: an estimate of what `fit_score` finds on all of them.

    Parameters
    ----------
    counts, bins, params, tick
        As `fit_score` takes them.
    last : ScoreInfo, optional
        What was found a moment ago for nearly the same parameters: the fit goes on from there, see
        `segapp.core.score.nearby.fit_near`.
    """
    rows = sample_rows(counts.shape)
    if not isinstance(rows, slice):
        counts, bins = counts[rows], None if bins is None else bins[rows]
    if last is None or not isinstance(params, StartKnobs):
        return fit_score(counts, bins, params, tick)
    return fit_near(count_sums(counts, bins, params), params, last, tick, by_bin=bins is not None)


def preview_score(
    counts: np.ndarray,
    bins: np.ndarray | None,
    certain: np.ndarray | None,
    params: Params,
    info: ScoreInfo,
    window: Box | None = None,
    tick: Tick = no_tick,
) -> np.ndarray:
    """Score what is visible at a lower resolution.

    The sums over circles are those of the full resolution; of them, every second, third, ... pixel takes part in belief
    propagation, so that neighbours lie further apart and smooth less than in `apply_score`.

    Parameters
    ----------
    counts, bins, certain, params, info
        As `apply_score` takes them; `params` with belief propagation.
    window : (x0, y0, x1, y1), optional
        Half-open bounds of what is visible; everything by default.
    tick : Tick

    Returns
    -------
    (H, W) float32
        Scores inside the window in blocks of equal pixels; 0 outside it.

    Examples
    --------
    >>> from segapp.core.score import METHODS, apply_score
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(0.2, (700, 700)).astype(np.uint32)
    >>> counts[200:400, 200:400] += rng.poisson(2, (200, 200)).astype(np.uint32)
    >>> params = METHODS.option("EM+BP")()
    >>> info = fit_score(counts, None, params)
    >>> rough, fine = preview_score(counts, None, None, params, info), apply_score(counts, None, None, params, info)
    >>> bool(np.mean((rough > 0.5) == (fine > 0.5)) > 0.98)
    True
    """
    assert isinstance(params, PropagationKnobs)
    rows, cols = counts.shape
    x0, y0, x1, y1 = (0, 0, cols, rows) if window is None else window
    left, top = max(x0 - HALO, 0), max(y0 - HALO, 0)
    right, bottom = min(x1 + HALO, cols), min(y1 + HALO, rows)
    step = max(1, math.ceil(math.sqrt((bottom - top) * (right - left) / MOST_PIXELS)))
    part = (slice(top, bottom), slice(left, right))
    thin = (slice(top, bottom, step), slice(left, right, step))
    if isinstance(sample_rows(counts.shape), slice):
        # the fit took the sums of the whole, and they are kept
        odds = by_count(counts, bins, info.k, info.statistics, log_odds_table, -LOG_ODDS_LIMIT, thin)
    else:
        around = None if bins is None else bins[part]
        every = np.s_[::step, ::step]
        odds = by_count(counts[part], around, info.k, info.statistics, log_odds_table, -LOG_ODDS_LIMIT, every)
    if params.bp_evidence < 1:
        odds *= np.float32(params.bp_evidence)
    if certain is not None:
        odds[certain[thin]] = CERTAIN_LOG_ODDS
    scores = propagate(
        odds,
        k=params.bp_k,
        square=params.bp_square,
        p=params.bp_p,
        q=params.bp_q,
        precision=max(params.bp_precision, 1e-4),
        max_iter=min(params.bp_max_iter, max(REACH // step, 1)),
        tick=tick,
    )
    if bins is not None:
        scores[bins[thin] == 0] = 0
    return spread(scores, step, (rows, cols), part)
