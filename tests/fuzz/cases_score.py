"""Inputs for the scores: mixtures, look-up tables, belief propagation."""

import numpy as np

from segapp.core.comparison import TAUS
from segapp.core.score import METHODS, fit_score
from segapp.core.score.fitting import count_sums
from segapp.core.score.mask import ScoreMaskParams
from segapp.core.score.mixture import histogram_weights
from segapp.core.score.model import Mixture, limits, to_vector
from segapp.core.score.moran import MoranParams, fit_moran
from segapp.core.types import ScoreInfo
from tests.fuzz.cases_images import shaped
from tests.fuzz.harness import Case
from tests.fuzz.inputs import Fresh, Gen


def bins_like(g: Gen, shape):
    return g.maybe(lambda: np.ascontiguousarray(g.labels(shape, (np.int32,))))


def score_params(g: Gen):
    limited = {"vi_n_epochs": 5, "em_max_iter": 100, "bp_max_iter": 40, "bp_k": 9, "moran_k": 21, "k": 21}
    return g.params(METHODS, **limited)


def bare(g: Gen):
    """Counts and bins as they are behind the door."""
    shape = g.shape()
    return g.exact(shape, np.uint32, ("sparse", "noise", "constant", "zero", "blobs", "hot")), bins_like(g, shape)


def moran_params(g: Gen):
    return g.params(MoranParams, k=15, moran_k=15)


def histogram(g: Gen):
    counts = g.exact(g.shape(), np.int64, ("sparse", "noise", "constant", "zero", "blobs", "binary", "ramp"))
    return np.bincount(np.minimum(counts, 100_000).ravel())


def weighed(g: Gen):
    while True:
        values, weights = histogram_weights(histogram(g), g.pick(("none", "log")))
        if len(values) > 1:
            return values, weights
        # one value cannot be told apart, and callers never ask
        g.rng = np.random.default_rng(g.rng.integers(2**32))
        counts = np.bincount(g.rng.poisson(3, 50))
        return histogram_weights(counts, "none")


def mixture(g: Gen):
    w = g.float(0.0, 1.0)
    mu, r = sorted((g.float(1e-6, 1e4), g.float(1e-6, 1e4))), (g.float(1e-3, 1e4), g.float(1e-3, 1e4))
    z = g.pick(((0.0, 0.0), (g.float(0, 0.99), g.float(0, 0.99))))
    return Mixture((1 - w, w), (mu[0], mu[1]), r, z, -g.float(0, 10)).ordered()


def _fit(g: Gen):
    shape = g.shape()
    return g.counts(shape), g.maybe(lambda: g.labels(shape)), score_params(g)


def _apply(g: Gen):
    shape = g.shape()
    counts, bins = g.counts(shape), g.maybe(lambda: g.labels(shape))
    params = score_params(g)
    info = fit_score(counts, bins, params)
    if g.bool():
        # fitted on the whole, applied to a window of it
        row, column = g.int(0, shape[0] - 1), g.int(0, shape[1] - 1)
        counts, bins = counts[row:, column:], None if bins is None else bins[row:, column:]
    certain = g.maybe(lambda: g.mask(counts.shape))
    return counts, bins, certain, params, info


def _preview(g: Gen):
    counts, bins = bare(g)
    params = g.params(METHODS.option(g.pick(("EM+BP", "VI+BP"))), vi_n_epochs=5, em_max_iter=50, bp_k=9, k=21)
    window = g.maybe(lambda: (0, 0, g.int(1, counts.shape[1]), g.int(1, counts.shape[0])))
    certain = g.maybe(lambda: g.mask(counts.shape, (bool,)))
    return counts, bins, certain, params, fit_score(counts, bins, params), window


def _near(g: Gen):
    mixtures = {str(bin_): g.maybe(lambda: mixture(g).to_json()) for bin_ in range(g.int(1, 3))}
    pooled = g.maybe(lambda: mixture(g).to_json())
    return score_params(g), ScoreInfo("EM", g.odd(), {"mixtures": mixtures, "pooled": pooled})


def _fit_near(g: Gen):
    counts, bins = bare(g)
    params = g.params(METHODS.option(g.pick(("EM+BP", "VI+BP"))), vi_n_epochs=5, em_max_iter=50, k=21)
    last = fit_score(counts, bins, params.with_(k=g.odd(21)))
    return (count_sums(counts, bins, params), params, last), {"by_bin": bins is not None}


def _fit_one(g: Gen):
    return histogram(g), g.params(METHODS.option(g.pick(("EM", "VI+BP"))), vi_n_epochs=5, em_max_iter=50), g.int(0, 3)


def _check_scores(out, counts, bins, certain, params, info):
    shaped(np.float32)(out, counts)
    if params.method != "moran":
        assert out.min() >= 0 and out.max() <= 1
        if bins is not None:
            outside = (
                (np.asarray(bins) == 0) if certain is None else (np.asarray(bins) == 0) & (np.asarray(certain) == 0)
            )
            assert not out[outside].any()


def _mask(g: Gen):
    shape = g.shape()
    scores = g.exact(shape, np.float32, ("noise", "blobs", "sparse", "constant", "zero")) / np.float32(300)
    info = ScoreInfo(g.pick(METHODS.names()), g.odd())
    return g.laid_out(scores), info, g.maybe(lambda: g.mask(shape)), g.params(ScoreMaskParams, mk=21)


def _check_mask(out, scores, info, certain, params):
    mask, threshold = out
    shaped(np.bool_)(mask, scores)
    assert certain is None or mask[np.asarray(certain) != 0].all()
    assert isinstance(params.threshold, str) or threshold == params.threshold


def _moran(g: Gen):
    counts, bins = bare(g)
    params = moran_params(g)
    return counts, bins, params, fit_moran(counts, bins, params)


def _em_rounds(g: Gen):
    values, weights = weighed(g)
    m = mixture(g)
    theta = m.theta
    consumed = [Fresh(lambda v=v: np.clip(np.array(v, np.float64), 1e-8, 1e6)) for v in (m.w, m.r)]
    consumed.append(Fresh(lambda: np.clip(np.array(theta), 1e-6, 1 - 1e-6)))
    return values, weights, *consumed, g.int(1, 60), 1e-6, g.pick((0.0, 1e-6))


def _climb(g: Gen):
    values, weights = weighed(g)
    inflated = g.bool()
    return values, weights, to_vector(mixture(g), inflated), *limits(inflated), g.int(1, 60)


def _loss(g: Gen):
    values, weights = weighed(g)
    from segapp.core.score.nbinom import log_factorials

    return values, weights, log_factorials(values), to_vector(mixture(g), g.bool())


def _elbo(g: Gen):
    import torch

    values, weights = weighed(g)
    return values, weights, torch.tensor(to_vector(mixture(g), g.bool()), dtype=torch.float64)


def _propagate(g: Gen):
    odds = g.exact(g.shape(), np.float32, ("noise", "negative", "constant", "zero", "hot"))
    if g.int(0, 3) == 0:
        odds.flat[g.rng.integers(odds.size)] = g.pick((np.inf, -np.inf, np.nan))
    options = {
        "k": 2 * g.int(1, 3) + 1,
        "square": g.bool(),
        "p": g.float(1e-3, 10),
        "q": g.float(1e-3, 10),
        "precision": g.pick((0.0, 1e-6, 1.0)),
        "max_iter": g.int(1, 30),
    }
    return (odds,), options


def _look_up_by_bin(g: Gen):
    shape, n = g.shape(), g.int(1, 4)
    tables = np.ascontiguousarray(g.rng.random((n, g.int(1, 50))).astype(np.float32))
    return tables, g.exact(shape, np.uint32), g.rng.integers(-1, n, shape, dtype=np.int32), 0.0


def _statistics(g: Gen):
    shape = g.shape()
    options = {"counts": g.maybe(lambda: g.counts(shape)), "taus": g.pick((TAUS, (0.5,), (0.3,), ()))}
    return (g.labels(shape), g.labels(shape)), options


def _rates(out, *_, **__):
    assert all(-1.0 - 1e-9 <= value <= 1.0 + 1e-9 for name, value in out.items() if "number" not in name), out


def _start(g: Gen):
    row = (g.int(0, 3), *(g.float(1e-6, 1e6) for _ in range(6)))
    return (row,), g.int(0, 3)


CASES = {
    "comparison.segmentation_statistics": Case(_statistics, _rates),
    "comparison.random_statistics": Case(lambda g: (made := _statistics(g)) and (made[0], {**made[1], "seed": 3})),
    "quality.compare_labels": Case(
        lambda g: (shape := g.shape()) and (g.labels(shape), g.labels(shape)), lambda out, *_: 0 <= out.f1 <= 1
    ),
    "score.fit_score": Case(_fit),
    "score.apply_score": Case(_apply, _check_scores),
    "score.gauss.fit_gauss": Case(lambda g: (*bare(g), g.odd())),
    "score.gauss.score_gauss": Case(
        lambda g: (*bare(g), g.odd(), {"ranges": {"0": [0.0, 5.0], "1": [1.0, 1.0], "3": [0.5, 9.0]}}),
        shaped(np.float32),
    ),
    "score.kept.keep_last": Case(lambda g: (Fresh(lambda: np.negative),)),
    "score.lookup.bin_ranks": Case(
        lambda g: (np.ascontiguousarray(g.labels(g.shape(), (np.int32,))),),
        lambda out, bins: np.array_equal(out[1] >= 0, bins > 0) and len(out[0]) == out[1].max() + 1,
    ),
    "score.lookup.histogram": Case(lambda g: (bare(g)[0],), lambda out, counts: out.sum() == counts.size),
    "score.lookup.histogram_by_bin": Case(
        lambda g: (shape := g.shape()) and (g.exact(shape, np.uint32), g.rng.integers(-1, 3, shape, np.int32), 3),
        lambda out, counts, ranks, _: out.sum() == (ranks >= 0).sum(),
    ),
    "score.lookup.look_up": Case(
        lambda g: (g.rng.random(g.int(1, 50)).astype(np.float32), bare(g)[0]),
        lambda out, table, counts: out.shape == counts.shape,
    ),
    "score.lookup.look_up_by_bin": Case(_look_up_by_bin),
    "score.mask.default_mk": Case(
        lambda g: (ScoreInfo(g.pick(METHODS.names()), g.odd(99)),), lambda out, _: out % 2 == 1
    ),
    "score.mask.find_threshold": Case(
        lambda g: (
            g.exact(g.shape(), np.float32, ("noise", "constant", "zero")) / np.float32(300),
            g.pick(("auto", "knee")),
        )
    ),
    "score.mask.mask_scores": Case(_mask, _check_mask),
    "score.mixture.histogram_weights": Case(lambda g: (histogram(g), g.pick(("none", "log")))),
    "score.mixture.draw": Case(
        lambda g: (histogram(g), g.int(1, 5000), g.int(0, 2**32 - 1)),
        lambda out, histogram, n, _: out.sum() == min(n, histogram.sum()) and (out <= histogram).all(),
    ),
    "score.mixture.initial_mixture": Case(lambda g: (made := weighed(g)) and (*made, float(g.pick(made[0][:-1])))),
    "score.mixture.otsu_starts": Case(
        lambda g: (h := np.bincount([0, 2, 2, g.int(1, 99)])) is not None and (h, *histogram_weights(h, "none"))
    ),
    "score.mixture.run_em": Case(
        lambda g: (
            (*weighed(g), mixture(g)),
            {"max_iter": g.int(1, 100), "precision": 1e-6, "settle": g.pick((0.0, 1e-6))},
        )
    ),
    "score.mixture.polish": Case(
        lambda g: ((*weighed(g), mixture(g)), {"zero_inflated": g.bool(), "max_iter": g.int(1, 100)}),
        lambda out, *_, **__: abs(sum(out.w) - 1) < 1e-9,
    ),
    "score.mixture.fit_mixture": Case(
        lambda g: (
            (histogram(g),),
            {"max_iter": g.int(1, 300), "precision": 1e-6, "weighting": g.pick(("none", "log"))},
        ),
        lambda out, *_, **__: out is None or (out.means[0] <= out.means[1] and abs(sum(out.w) - 1) < 1e-9),
    ),
    "score.model.from_vector": Case(lambda g: (to_vector(mixture(g), g.bool()), -1.0)),
    "score.model.limits": Case(lambda g: (g.bool(),)),
    "score.model.log_odds_table": Case(
        lambda g: (g.maybe(lambda: mixture(g)), g.int(1, 3000)), lambda out, _, size: len(out) == size, infinite=True
    ),
    "score.model.pair": Case(lambda g: (g.rng.random(2),)),
    "score.model.posterior_table": Case(
        lambda g: (g.maybe(lambda: mixture(g)), g.int(1, 3000)),
        lambda out, _, size: len(out) == size and out.min() >= 0 and out.max() <= 1,
    ),
    "score.model.to_vector": Case(lambda g: (mixture(g), g.bool())),
    "score.moran.fit_moran": Case(lambda g: (*bare(g), moran_params(g))),
    "score.start.start_of": Case(_start, lambda out, *_: out is None or abs(sum(out.w) - 1) < 1e-9),
    "score.moran.moran_kernel": Case(lambda g: (g.odd(99),), lambda out, k: out.shape == (k, k)),
    "score.moran.score_moran": Case(_moran, shaped(np.float32)),
    "score.nbinom.climb": Case(_climb),
    "score.nbinom.digamma": Case(lambda g: (g.float(1e-6, 1e9),)),
    "score.nbinom.em_rounds": Case(_em_rounds),
    "score.nbinom.log_factorials": Case(lambda g: (weighed(g)[0],)),
    "score.nbinom.log_pmf": Case(
        lambda g: (weighed(g)[0], g.float(1e-6, 1e5), g.float(1e-3, 1e5), g.float(0, 0.99)),
        lambda out, *_: (out <= 1e-9).all(),
    ),
    "score.nbinom.log_pmfs": Case(
        lambda g: (weighed(g)[0], g.float(1e-6, 1e5), np.geomspace(1e-3, 1e5, g.int(1, 9))),
        lambda out, *_: (out <= 1e-9).all(),
    ),
    "score.nbinom.loss": Case(_loss),
    "score.fitting.add_up": Case(lambda g: ({"1": histogram(g), "2": histogram(g)},)),
    "score.fitting.as_info": Case(
        lambda g: (score_params(g), {"1": g.maybe(lambda: mixture(g))}, g.maybe(lambda: mixture(g)))
    ),
    "score.fitting.fit_one": Case(_fit_one, lambda out, *_: out is None or abs(sum(out.w) - 1) < 1e-9),
    "score.nearby.fit_near": Case(_fit_near),
    "score.nearby.near": Case(_near, lambda out, params, _: type(out) is type(params)),
    "score.preview.fit_sample": Case(lambda g: (*bare(g), score_params(g))),
    "score.preview.preview_score": Case(_preview, shaped(np.float32)),
    "score.preview.previews": Case(lambda g: (g.params(METHODS),)),
    "score.preview.sample_rows": Case(lambda g: ((g.int(1, 30_000), g.int(1, 30_000)),)),
    "score.propagation.neighbour_offsets": Case(lambda g: (g.odd(21), g.bool())),
    "score.propagation.propagate": Case(
        _propagate, lambda out, odds, **_: shaped(np.float32)(out, odds) or (out.min() >= 0 and out.max() <= 1)
    ),
    "score.support.must_borrow": Case(lambda g: (mixture(g), mixture(g))),
    "score.support.overlap_of": Case(lambda g: (mixture(g),), lambda out, _: 0 <= out <= 1 + 1e-9),
    "score.support.shows_two": Case(
        lambda g: ((histogram(g), mixture(g), g.int(1, 80), g.pick(("none", "log"))), {"whole": g.bool()})
    ),
    "score.vi.fit_vi": Case(lambda g: ((histogram(g),), {"n_epochs": g.int(1, 5), "zero_inflated": g.bool()})),
    "score.vi.mixture_elbo": Case(_elbo),
}
