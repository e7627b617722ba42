"""Counts of round cells, and the short way to score them."""

import numpy as np

from segapp.core.score import METHODS, apply_score, fit_score

ALL = METHODS.names()


def cells(height=64, width=64, seed=0, dark=0.05, bright=1.0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    truth = (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2 < 64
    return rng.poisson(np.where(truth, bright, dark)).astype(np.uint32), truth


def params(method, **changes):
    return METHODS.option(method)(**changes)


def score(counts, method="EM+BP", bins=None, certain=None, **changes):
    chosen = params(method, **changes)
    return apply_score(counts, bins, certain, chosen, fit_score(counts, bins, chosen))


def assert_sane(scores, shape):
    assert scores.shape == shape
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.max() <= 1.0001
