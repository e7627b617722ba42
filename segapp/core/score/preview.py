"""A first look at a score: what is visible, at the resolution of the screen, before the whole is computed."""

from __future__ import annotations

import math

import numpy as np

from segapp.core.convolve import circle_kernel
from segapp.core.params import Params
from segapp.core.score import CERTAIN_LOG_ODDS, fit_score
from segapp.core.score._by_count import by_count
from segapp.core.score.model import Mixture, log_odds_table
from segapp.core.score.propagation import LOG_ODDS_LIMIT, PropagationKnobs, propagate
from segapp.core.score.start import ANY_BIN, StartKnobs
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

_LEAST = 1e-9
"""A start has shares and means above 0."""

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


def fit_sample(counts: np.ndarray, bins: np.ndarray | None, params: Params, tick: Tick = no_tick) -> ScoreInfo:
    """Fit the numbers of a method to a sample of the rows: an estimate of what `fit_score` finds on all of them."""
    rows = sample_rows(counts.shape)
    if isinstance(rows, slice):
        return fit_score(counts, bins, params, tick)
    return fit_score(counts[rows], None if bins is None else bins[rows], params, tick)


def near(params: Params, info: ScoreInfo) -> Params:
    """Return parameters whose fit starts where that of nearly the same counts ended: at another diameter, say.

    From there EM has little left to do: the fit takes a third of the time, and ends in the same optimum or in one that
    is good enough to look at.

    Parameters
    ----------
    params : Params
        What is to be looked at.
    info : ScoreInfo
        Of an earlier fit, or of an earlier look.

    Returns
    -------
    Params
        `params` as they are where the user has said where to start, or where there was no mixture.

    Examples
    --------
    >>> from segapp.core.score import METHODS
    >>> counts = np.random.default_rng(0).poisson(np.repeat([0.1, 3], 2048).reshape(64, 64)).astype(np.uint32)
    >>> params = METHODS.option("EM")(k=5)
    >>> there = near(params.with_(k=7), fit_score(counts, None, params))
    >>> means = there.start[0][3:5]
    >>> bool(np.allclose(means, (37 * 0.1, 37 * 3), rtol=0.3))  # 37 px in the circle
    True
    """
    if not isinstance(params, StartKnobs) or params.start:
        return params
    fits = {
        int(name): fit or info.statistics.get("pooled") for name, fit in info.statistics.get("mixtures", {}).items()
    }
    found = {bin_: Mixture.from_json(fit) for bin_, fit in fits.items() if fit}
    if not found:
        return params
    if ANY_BIN not in found:
        pooled = info.statistics.get("pooled")
        found[ANY_BIN] = Mixture.from_json(pooled) if pooled else _between(list(found.values()))
    pixels = [float(circle_kernel(k).sum()) for k in (info.k, int(params.k))]  # type: ignore[attr-defined]
    more = pixels[1] / pixels[0]
    rows = []
    for bin_, fit in found.items():
        means = [max(mu * more, _LEAST) for mu in fit.mu]
        shares = [max(share, _LEAST) for share in fit.w]
        rows.append((bin_, *shares, *means, *(mean + mean**2 / r for mean, r in zip(means, fit.r, strict=True))))
    return params.with_(start=tuple(rows))


def _between(fits: list[Mixture]) -> Mixture:
    """Return a mixture amid those of several bins."""
    w, mu, r = (np.mean([getattr(fit, name) for fit in fits], axis=0).tolist() for name in ("w", "mu", "r"))
    return Mixture(tuple(w), tuple(mu), tuple(r))


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
