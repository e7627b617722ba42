import numpy as np
import pytest

from segapp.core.histogram import MAX_BINS, count_outside, histogram, share_from, whole_histogram
from segapp.core.types import InputError


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64])
def test_counts_are_those_of_numpy(dtype):
    values = (np.random.default_rng(3).random((50, 40)) * 100).astype(dtype)
    found = histogram(values, bins=64, low=0, high=100)
    expected, _ = np.histogram(values, bins=64, range=(0, 100))
    assert found.counts.dtype == np.uint32
    assert found.counts.tolist() == expected.tolist()
    assert found.total == values.size


def test_edges_come_from_the_data_and_outside_is_counted():
    found = histogram(np.array([3, 4, 9]), bins=3)
    assert (found.low, found.high, found.counts.tolist()) == (3.0, 9.0, [2, 0, 1])
    cut = histogram(np.array([-1, 3, 4, 9, 12]), bins=2, low=3, high=9)
    assert (cut.below, cut.above, cut.total) == (1, 1, 5)


def test_a_constant_image_has_a_histogram():
    assert histogram(np.zeros((2, 2), np.float32), bins=4).counts.tolist() == [4, 0, 0, 0]


def test_read_only_values_and_what_cannot_be_counted():
    values = np.ones(3, np.float32)
    values.flags.writeable = False
    assert histogram(values, bins=1).total == 3
    with pytest.raises(InputError, match="no value"):
        histogram(np.zeros(0), bins=4)
    with pytest.raises(InputError, match="bins"):
        histogram(values, bins=MAX_BINS + 1)


def test_the_share_from_a_line_is_that_of_the_comparison():
    scores = np.linspace(0, 1, 11, dtype=np.float32).reshape(1, -1)
    for line in (0.0, 0.3, 0.7, 1.0, 2.0):
        assert share_from(scores, line) == (scores >= line).mean()


def test_bins_of_areas_are_whole_and_reach_far_enough():
    area = np.arange(1, 1000)
    found = whole_histogram(area, bins=120, reach=500)
    assert found.high >= 500 and len(found.counts) <= 120
    width = found.high / len(found.counts)
    assert width == int(width) and set(found.counts[1:-1].tolist()) == {int(width)}
    assert found.total == area.size
    assert whole_histogram(area[:0], bins=120, reach=20).total == 0


def test_limits_themselves_are_inside():
    assert count_outside(np.array([2, 5, 5, 9]), 5, 5) == (1, 1)
    assert count_outside(np.zeros(0), 1, 2) == (0, 0)


@pytest.mark.parametrize("values", [[0.0, 2.3e-311], [-1.7e308, 0.0, 1.7e308], [1e300, 1e300]])
def test_no_range_is_too_narrow_or_too_wide(values):
    found = histogram(np.array(values), bins=4)
    assert found.high > found.low and found.counts.sum() == len(values)
