"""A first look weighs the evidence as the whole does."""

import numpy as np

from segapp.core.score import METHODS, apply_score, fit_score, preview
from segapp.core.score.preview import preview_score


def test_a_preview_takes_the_share_of_the_evidence_that_the_scores_take():
    rng = np.random.default_rng(3)
    counts = rng.poisson(0.2, (96, 96)).astype(np.uint32)
    counts[30:60, 30:60] += rng.poisson(0.6, (30, 30)).astype(np.uint32)
    params = METHODS.option("EM+BP")(bp_evidence=0.25, bp_p=0.75, bp_q=0.25)
    info = fit_score(counts, None, params)
    rough, fine = (step(counts, None, None, params, info) for step in (preview_score, apply_score))
    assert np.abs(rough - fine).mean() < 0.005


def test_messages_travel_as_far_however_few_pixels_take_part(monkeypatch):
    rng = np.random.default_rng(4)
    counts = rng.poisson(0.2, (120, 120)).astype(np.uint32)
    counts[40:80, 40:80] += rng.poisson(1, (40, 40)).astype(np.uint32)
    params = METHODS.option("EM+BP")(bp_p=0.75, bp_q=0.25)
    info = fit_score(counts, None, params)
    plain, rounds = preview.propagate, []

    def propagate(odds, **settings):
        rounds.append(settings["max_iter"])
        return plain(odds, **settings)

    monkeypatch.setattr(preview, "propagate", propagate)
    for most in (120**2, 60**2, 30**2):
        monkeypatch.setattr(preview, "MOST_PIXELS", most)
        preview_score(counts, None, None, params, info)
    assert rounds == [16, 8, 4]
    preview_score(counts, None, None, params.with_(bp_max_iter=2), info)
    assert rounds[-1] == 2
