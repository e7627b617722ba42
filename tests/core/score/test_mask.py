import numpy as np
import pytest

from segapp.core.score import ScoreMaskParams, mask_scores
from segapp.core.score.mask import default_mk
from segapp.core.types import InputError, ScoreInfo

BP = ScoreInfo("EM+BP", 5)


def ramp():
    return np.tile(np.linspace(0, 1, 50, dtype=np.float32), (50, 1))


def test_otsu_splits_two_levels():
    scores = np.zeros((30, 30), np.float32)
    scores[8:22, 8:22] = 0.9
    mask, threshold = mask_scores(scores, BP, None, ScoreMaskParams(mk=1))
    assert 0 < threshold < 0.9
    assert mask.sum() == 14 * 14


def test_7_a_threshold_of_0_is_a_threshold():
    mask, threshold = mask_scores(ramp(), BP, None, ScoreMaskParams(threshold=0))
    assert threshold == 0
    assert mask.all()


def test_the_score_at_the_threshold_is_in():
    mask, _ = mask_scores(np.array([[0.25, 0.5, 0.75]]), BP, None, ScoreMaskParams(threshold=0.5, mk=1))
    assert mask.tolist() == [[False, True, True]]


def test_8_without_a_knee_otsus_threshold_stands_in_with_a_warning():
    scores = np.zeros((20, 20), np.float32)
    scores[5:15, 5:15] = 1
    with pytest.warns(UserWarning, match="no knee"):
        mask, threshold = mask_scores(scores, BP, None, ScoreMaskParams(threshold="knee", mk=1))
    assert mask.sum() == 100
    assert threshold == mask_scores(scores, BP, None, ScoreMaskParams())[1]


def test_the_knee_is_used_where_there_is_one():
    scores = (np.random.default_rng(0).exponential(0.05, (80, 80))).clip(0, 1).astype(np.float32)
    _, threshold = mask_scores(scores, BP, None, ScoreMaskParams(threshold="knee"))
    assert 0.05 < threshold < 0.3


@pytest.mark.parametrize("level", [0.0, 0.7, 1.0])
def test_equal_scores_are_not_split(level):
    mask, _ = mask_scores(np.full((9, 9), level, np.float32), BP, None, ScoreMaskParams())
    assert not mask.any()


def test_certain_pixels_are_always_in():
    certain = np.zeros((20, 20), bool)
    certain[3, 3] = True
    mask, _ = mask_scores(np.zeros((20, 20), np.float32), BP, certain, ScoreMaskParams())
    assert mask.sum() == 1
    assert mask[3, 3]


@pytest.mark.parametrize(
    ("method", "k", "mk"),
    [("EM+BP", 5, 7), ("VI+gauss", 7, 9), ("EM", 3, 5), ("gauss", 7, 5), ("moran", 3, 3), ("gauss", 1, 3)],
)
def test_the_kernel_follows_the_method(method, k, mk):
    assert default_mk(ScoreInfo(method, k)) == mk


def test_scores_with_nan_are_refused():
    with pytest.raises(InputError, match="scores"):
        mask_scores(np.array([[np.nan, 1.0]]), BP, None, ScoreMaskParams())
