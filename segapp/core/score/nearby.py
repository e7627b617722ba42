"""Fits that go on where another one ended: quick enough for a first look while a slider moves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from segapp.core._bands import side_by_side
from segapp.core.convolve import circle_kernel
from segapp.core.params import Params
from segapp.core.score.fitting import add_up, as_info, fit_histograms, fit_one
from segapp.core.score.model import Mixture
from segapp.core.score.start import ANY_BIN, StartKnobs
from segapp.core.types import ScoreInfo, Tick, no_tick

_LEAST = 1e-9
"""A start has shares and means above 0."""


def fit_near(
    histograms: Mapping[str, np.ndarray], params: Params, last: ScoreInfo, tick: Tick = no_tick, *, by_bin: bool
) -> ScoreInfo:
    """Fit the mixtures that an earlier fit came to use, each from where that ended.

    A bin that borrowed the mixture of all bins borrows it again, and one that did not does not: whether that is still
    right is for `fit_histograms` to say, which this is a first look at.

    Parameters
    ----------
    histograms, params, tick, by_bin
        As `fit_histograms` takes them.
    last : ScoreInfo
        Of an earlier fit. Where it knows other bins or no mixture, or where the user has said where to start, this is
        `fit_histograms`.

    Returns
    -------
    ScoreInfo

    Examples
    --------
    >>> from segapp.core.score import METHODS
    >>> rng = np.random.default_rng(0)
    >>> histograms = {"0": np.bincount(np.concatenate([rng.poisson(2, 8000), rng.poisson(20, 2000)]))}
    >>> params = METHODS.option("EM")(k=5)
    >>> first = fit_histograms(histograms, params, by_bin=False)
    >>> again = fit_near(histograms, params, first, by_bin=False)
    >>> bool(np.allclose(again.statistics["mixtures"]["0"]["mu"], first.statistics["mixtures"]["0"]["mu"]))
    True
    """
    before, pooled = last.statistics.get("mixtures") or {}, last.statistics.get("pooled")
    from_there = near(params, last)
    usable = set(before) == set(histograms) and all(fit or pooled for fit in before.values())
    if from_there is params or not usable:
        return fit_histograms(histograms, params, tick, by_bin=by_bin)
    todo = {name: histogram for name, histogram in histograms.items() if before[name]}
    if pooled:
        todo["pooled"] = add_up(histograms)
    bins = [ANY_BIN if name == "pooled" else int(name) for name in todo]
    fits = side_by_side(
        [partial(fit_one, row, from_there, bin_, tick) for row, bin_ in zip(todo.values(), bins, strict=True)]
    )
    found = dict(zip(todo, fits, strict=True))
    return as_info(params, {name: found.get(name) for name in histograms}, found.get("pooled"))


def near(params: Params, info: ScoreInfo) -> Params:
    """Return parameters whose fit starts where that of nearly the same counts ended: at another diameter, say.

    From there EM has little left to do: the fit takes a third of the time, and ends in the same optimum or near it.

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
    >>> from segapp.core.score import METHODS, fit_score
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
