"""The local Moran statistic, and the search for its largest value."""

import cv2
import numpy as np
import pytest
from scipy import ndimage, signal, stats

from segapp.core.score import moran
from segapp.core.score._moran import largest_in_blocks
from segapp.core.score.moran import MoranParams, fit_moran, largest_of, moran_kernel
from tests.core.score.scored import cells, score


@pytest.mark.parametrize("statistic", ["lag", "I"])
def test_moran_is_the_textbook_statistic_where_significant(statistic):
    counts, _ = cells()
    x = cv2.GaussianBlur(counts.astype(float), (5, 5), 0)
    n, kernel = x.size, moran_kernel(7)
    z = x - x.mean()
    m2, b2 = (z**2).mean(), (z**4).mean() / (z**2).mean() ** 2
    lag = signal.convolve2d(z, kernel, mode="same", boundary="symm")
    local = z * lag / m2
    cross = np.outer(kernel, kernel).sum()
    variance = (kernel**2).sum() * (n - b2) / (n - 1) + cross * (2 * b2 - n) / ((n - 1) * (n - 2))
    variance -= kernel.sum() ** 2 / (n - 1) ** 2
    p = 2 * stats.norm.sf(np.abs(local + kernel.sum() / (n - 1)) / np.sqrt(variance))
    expected = np.where(p >= 0.05, 0, lag if statistic == "lag" else local)
    found = score(counts, "moran", moran_statistic=statistic)
    assert ((found != 0) == (expected != 0)).all()
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)


@pytest.mark.parametrize("statistic", ["lag", "I"])
@pytest.mark.parametrize("k", [3, 7, 25])
@pytest.mark.parametrize("p", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("binned", [False, True])
def test_the_largest_moran_score_is_that_of_all_pixels(monkeypatch, statistic, k, p, binned):
    searched = []

    def search(*arguments):
        largest, seen = largest_in_blocks(*arguments)
        searched.append(largest > 0 and seen < len(arguments[-1]))
        return largest, seen

    monkeypatch.setattr(moran, "largest_in_blocks", search)
    for seed, shape in enumerate([(600, 500), (290, 940), (811, 477), (9, 7), (1, 300), (560, 700)]):
        rng = np.random.default_rng(seed)
        smooth = ndimage.gaussian_filter(rng.normal(size=shape), 9)
        rate = np.exp(min(seed + 1.0, 3.0) * smooth / smooth.std())  # the brighter some places, the sooner it ends
        counts = rng.poisson(rate).astype(np.uint32)
        bins = (rng.random(shape) < 0.9).astype(np.int32) if binned else None
        chosen = MoranParams(moran_statistic=statistic, moran_k=k, moran_p_threshold=p)
        found = fit_moran(counts, bins, chosen)
        if found["deviation"] == 0:
            assert found["largest"] == 0
            continue
        blurred = moran._blurred(counts, bins, chosen.k)
        assert found["largest"] == moran._score(blurred, chosen, found, moran.WHOLE, 1.0, None)
        part = slice(shape[0] // 4, shape[0]), slice(shape[1] // 5, shape[1] // 5 + 90)
        assert largest_of(counts, bins, chosen, found, part) == moran._score(blurred, chosen, found, part, 1.0, None)
    # where nothing is significant nothing is found
    assert any(searched) or p == 0.0


@pytest.mark.parametrize("binned", [False, True])
def test_warm_compiles_what_moran_needs_for_a_large_section(binned):
    moran.warm()
    kernels = (moran.largest_in_blocks, moran.powers_of, moran.score_band)
    before = [len(kernel.signatures) for kernel in kernels]
    counts, _ = cells(600, 600)
    score(counts, "moran", bins=np.ones(counts.shape, np.int32) if binned else None)
    assert [len(kernel.signatures) for kernel in kernels] == before


def test_a_background_below_the_mean_has_a_low_lag_but_not_a_low_local_i():
    counts = np.zeros((60, 60), np.uint32)
    counts[:30] = 9
    counts[::7, ::5] += 1
    lag, local = (
        score(counts, "moran", moran_p_threshold=1.0),
        score(counts, "moran", moran_p_threshold=1.0, moran_statistic="I"),
    )
    assert np.median(lag[40:]) < 0 < np.median(local[40:])
