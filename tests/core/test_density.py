"""Density bins: regions of like density, in their place, whatever the size of the field or a hot spot."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core import density, levels, squares
from segapp.core.density import WardParams
from segapp.core.levels import LevelsParams
from segapp.core.synthetic import tissue
from segapp.core.types import InputError


def blocks(seed=0, shape=(203, 307), means=(0.02, 0.5, 2.0)):
    """Counts of three stripes, the sparsest on the left, and their true stripes."""
    truth = np.broadcast_to(np.digitize(np.arange(shape[1]), (100, 200)), shape)
    return np.random.default_rng(seed).poisson(np.array(means)[truth]).astype(np.uint32), truth


STRIPES = WardParams(k=1, dk=1, distance_threshold=1.0, background="off")


def test_stripes_are_found_and_ordered_by_density():
    total, truth = blocks()
    bins, statistics = density.segment_density(total, STRIPES)
    assert bins.dtype == np.int32 and bins.shape == total.shape
    assert (bins == truth + 1).mean() > 0.9
    means = [entry["mean"] for entry in statistics["bins"]]
    assert means == sorted(means) and len(means) == 3
    json.dumps(statistics)


def test_09_bins_are_expanded_by_exact_blocks_and_ragged_edges_keep_their_place():
    total, _ = blocks()
    bins, _ = density.segment_density(total, STRIPES)
    for row in range(0, 203, 20):
        for column in range(0, 307, 20):
            assert len(np.unique(bins[row : row + 20, column : column + 20])) == 1
    flat = np.ones((45, 33), np.uint32)
    np.testing.assert_array_equal(squares.bin_sums(flat, 20), np.full((3, 2), 400.0))


def test_10_the_threshold_does_not_depend_on_one_hot_spot():
    total, _ = blocks()
    hot = total.copy()
    hot[50, 50] = 60000
    bins, statistics = density.segment_density(hot, STRIPES)
    calm, calm_statistics = density.segment_density(total, STRIPES)
    assert statistics["scale"] == pytest.approx(calm_statistics["scale"], rel=0.05)
    away = np.ones(total.shape, bool)
    away[:140, :140] = False
    # the hot square and its blur become a bin of their own, the densest
    assert (np.minimum(bins, 3) == calm)[away].mean() > 0.98
    by_max, _ = density.segment_density(hot, STRIPES.with_(scale="max"))
    assert len(np.unique(by_max[away])) == 1


def test_10_a_crop_with_the_statistics_of_the_chip_has_the_bins_of_the_chip():
    total, _ = blocks()
    bins, statistics = density.segment_density(total, STRIPES)
    statistics = json.loads(json.dumps(statistics))
    window = density.apply_density(statistics, (61, 73), origin=(33, 127))
    np.testing.assert_array_equal(window, bins[33:94, 127:200])
    with pytest.raises(InputError, match="beyond"):
        density.apply_density(statistics, (61, 73), origin=(180, 127))


def test_10_the_quantile_does_not_depend_on_the_size_of_the_field():
    small, _ = blocks(shape=(200, 300))
    large = np.tile(small, (3, 1))
    scales = [density.fit_density(total, STRIPES)["scale"] for total in (small, large)]
    assert scales[0] == pytest.approx(scales[1], rel=1e-6)


def test_11_nothing_and_sameness_are_one_region_not_background():
    for total in (np.zeros((50, 50), np.uint32), np.full((50, 50), 3, np.uint32), np.ones((1, 1), np.uint32)):
        bins, statistics = density.segment_density(total, WardParams())
        assert (bins == 1).all()
        assert statistics["notes"]


def test_11_one_cluster_is_not_made_background():
    total, _ = blocks()
    for background in ("auto", "5,5"):
        bins, statistics = density.segment_density(total, WardParams(distance_threshold=99999.0, background=background))
        assert (bins == 1).all()
        assert "only one region" in statistics["notes"][0]


def test_11_merging_unknown_or_nothing_is_answered():
    bins = np.array([[0, 1], [2, 5]])
    np.testing.assert_array_equal(density.merge_bins(bins, {}), bins)
    np.testing.assert_array_equal(density.merge_bins(bins, {5: 2, 1: 0}), [[0, 0], [2, 2]])
    with pytest.raises(InputError, match=r"no density bin \[7\]; the bins are \[0, 1, 2, 5\]"):
        density.merge_bins(bins, {7: 1})
    total, _ = blocks()
    merged, statistics = density.segment_density(total, STRIPES.with_(merge=((3, 2), (9, 1))))
    assert np.unique(merged).tolist() == [1, 2]
    assert "(9, 1)" in statistics["notes"][-1]


def test_07_threshold_zero_is_a_threshold():
    total, _ = blocks(shape=(60, 60))
    _, statistics = density.segment_density(total, WardParams(distance_threshold=0, dk=1, background="off"))
    assert statistics["distance_threshold"] == 0
    assert len(statistics["bins"]) == 9


def test_background_is_sparse_or_there_is_none():
    yy, xx = np.mgrid[:400, :400]
    tissue = (yy - 200) ** 2 + (xx - 200) ** 2 < 130**2
    total = np.random.default_rng(0).poisson(np.where(tissue, 2.0, 0.02)).astype(np.uint32)
    bins, _ = density.segment_density(total, WardParams(distance_threshold=5.0))
    assert np.unique(bins).tolist() == [0, 1]
    assert (bins[tissue] == 1).mean() > 0.95 and (bins[~tissue] == 0).mean() > 0.9
    full, statistics = density.segment_density(total[100:300, 100:300], WardParams(distance_threshold=1.0))
    assert full.min() == 1
    assert statistics["notes"]
    at_pixel, _ = density.segment_density(total, WardParams(distance_threshold=5.0, background="200,200"))
    assert at_pixel[200, 200] == 0 and at_pixel[0, 0] == 1
    for text, message in (("400,0", "outside"), ("here", "x,y")):
        with pytest.raises(InputError, match=message):
            density.segment_density(total, WardParams(background=text))


def test_knee_cuts_above_the_noise_and_falls_back_to_otsu():
    total, _ = blocks(shape=(600, 600))
    _, statistics = density.segment_density(total, WardParams(background="off"))
    assert 3 <= len(statistics["bins"]) <= 20
    with pytest.warns(UserWarning, match="no knee"):
        density.cut_height(np.linspace(1.0, 2.0, 2000))
    assert density.cut_height(np.array([1.0])) == 1.0


def test_growing_never_loses_a_bin():
    total = np.ones((300, 300), np.uint32)
    total[140:150, 140:150] = 50
    params = WardParams(binsize=10, k=1, dk=5, distance_threshold=0.1, background="off")
    bins, _ = density.segment_density(total, params)
    assert (bins[140:150, 140:150] == 2).all()
    assert 25 >= (bins == 2).mean() * 900 > 1  # grown by two squares at most


def agreement(a, b):
    """Adjusted Rand index."""
    table = np.histogram2d(a.ravel(), b.ravel(), bins=(np.arange(a.max() + 2), np.arange(b.max() + 2)))[0]
    pairs = [(x * (x - 1) / 2).sum() for x in (table, table.sum(0), table.sum(1), np.array([a.size], float))]
    chance = pairs[1] * pairs[2] / pairs[3]
    return (pairs[0] - chance) / ((pairs[1] + pairs[2]) / 2 - chance)


def test_levels_join_like_regions_that_do_not_touch():
    total, truth = blocks(shape=(200, 600), means=(0.08, 0.3, 0.08))
    truth = truth % 2
    bins, statistics = density.segment_density(total, LevelsParams(n_levels=2, background="off"))
    assert agreement(bins, truth) > 0.9
    assert [entry["id"] for entry in statistics["bins"]] == [1, 2]
    assert statistics["bins"][0]["mean"] < statistics["bins"][1]["mean"]
    json.dumps(statistics)


def test_levels_find_the_regions_of_a_tissue():
    sample = tissue(512, 100)
    total = np.zeros((512, 512), np.uint32)
    np.add.at(total, (sample.transcripts.y, sample.transcripts.x), sample.transcripts.counts["total"])
    bins, _ = density.segment_density(total, LevelsParams())
    by_ward, _ = density.segment_density(total, WardParams())
    assert agreement(bins, sample.density) > max(0.6, agreement(by_ward, sample.density))


def test_levels_learn_histograms_and_not_the_mean_alone():
    # two tissues of the same mean density: an even one, and one of bright cells in the dark
    rng = np.random.default_rng(0)
    rate = np.full((200, 400), 0.2)
    rate[:, 200:] = 0.05
    rate[:, 200:].reshape(10, 20, 10, 20)[:, :10, :, :10] = 0.65
    truth = np.ones(rate.shape, int)
    truth[:, 200:] = 2
    bins, _ = density.segment_density(rng.poisson(rate), LevelsParams(n_levels=2, background="off"))
    assert agreement(bins, truth) > 0.8


def test_the_best_of_several_starts_is_kept():
    classes = np.random.default_rng(0).poisson(np.repeat([[2.0, 6.0]], 20, axis=1).repeat(40, axis=0)[None])
    classes = np.ascontiguousarray(classes, np.int32)
    left = np.arange(40)[None, :] < 20
    good = np.stack([np.broadcast_to(side, (40, 40)) for side in (left, ~left)]).astype(np.float32)
    bad = np.ascontiguousarray(good.transpose(0, 2, 1))  # upper and lower half: each level holds both tissues

    def right(*starts):
        return (levels._learn(classes, list(starts), 2.5)[0] > 0.5) == left

    assert right(bad).mean() < 0.6
    assert right(bad, good).mean() > 0.95 and right(good, bad).mean() > 0.95


def test_stray_molecules_are_one_region():
    stray = np.random.default_rng(0).poisson(0.05, (6, 30))
    assert density.segment_density(stray, LevelsParams(binsize=1))[0].max() >= 1


def test_squares_of_windows_give_the_regions_of_the_field():
    total, _ = blocks(shape=(205, 413), means=(0.05, 0.3, 0.1))
    params = LevelsParams(n_levels=2)
    size = density.grain(params)
    sums = np.zeros((-(-205 // size), -(-413 // size)))
    for left in (0, 207):
        row, column, part = squares.part_sums(total[:, left : left + 207], size, 0, left)
        sums[row : row + part.shape[0], column : column + part.shape[1]] += part
    assert density.fit_squares(sums, total.shape, params)["grid"] == density.fit_density(total, params)["grid"]


def test_10_levels_do_not_depend_on_one_hot_spot_and_a_crop_can_have_them():
    total, _ = blocks()
    hot = total.copy()
    hot[50, 50] = 60000
    params = LevelsParams(n_levels=2)
    away = np.ones(total.shape, bool)
    away[:100, :100] = False  # the hot square and its blur
    calm, _ = density.segment_density(total, params)
    bins, statistics = density.segment_density(hot, params)
    assert (bins == calm)[away].mean() > 0.98
    window = density.apply_density(json.loads(json.dumps(statistics)), (61, 73), origin=(33, 127))
    np.testing.assert_array_equal(window, bins[33:94, 127:200])


def test_11_levels_of_nothing_and_sameness_are_one_region():
    for total in (np.zeros((50, 50), np.uint32), np.full((50, 50), 3, np.uint32), np.ones((1, 1), np.uint32)):
        bins, statistics = density.segment_density(total, LevelsParams())
        assert (bins == 1).all()
        assert statistics["notes"]


@pytest.mark.parametrize("params", [LevelsParams(n_levels=2), WardParams(distance_threshold=1.0)])
def test_sparse_tissue_is_not_taken_for_background(params):
    total, _ = blocks(shape=(200, 600), means=(0.07, 0.25, 0.07))
    bins, _ = density.segment_density(total, params)
    assert bins.min() == 1


def test_levels_take_the_empty_part_of_the_border_for_background():
    total, _ = blocks(shape=(200, 600), means=(0.005, 0.25, 0.25))
    bins, _ = density.segment_density(total, LevelsParams())
    assert (bins[:, :60] == 0).all() and (bins[:, 160:] > 0).all()


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.sampled_from([0.0, 0.05, 3.0]),
    st.sampled_from([1, 7, 20]),
    st.integers(0, 9),
)
def test_any_field_has_an_answer(height, width, mean, binsize, seed):
    total = np.random.default_rng(seed).poisson(mean, (height, width))
    before = total.copy()
    for params in (WardParams(binsize=binsize, distance_threshold=1.0), LevelsParams(binsize=binsize)):
        bins, _ = density.segment_density(total, params)
        assert bins.shape == total.shape and bins.min() >= 0 and bins.max() >= 1
    np.testing.assert_array_equal(total, before)


@pytest.mark.parametrize("total", [np.full((4, 4), 0.5), np.full((4, 4), -1), np.full((4, 4), np.nan), np.zeros(4)])
def test_what_is_no_count_is_refused(total):
    with pytest.raises(InputError):
        density.segment_density(total, WardParams())


@pytest.mark.parametrize("side", [1, 2, 3, 7])
def test_squares_are_spread_as_repeated_pixels(side):
    few = np.arange(1, 13, dtype=np.int32).reshape(3, 4)
    whole = few.repeat(side, 0).repeat(side, 1)
    for cut in range(side):
        height, width = whole.shape[0] - cut, whole.shape[1] - cut // 2
        field = squares.spread(few, side, (40, 50), np.s_[5 : 5 + height, 9 : 9 + width])
        assert field.dtype == few.dtype and np.array_equal(field[5 : 5 + height, 9 : 9 + width], whole[:height, :width])
        assert field.sum(dtype=int) == whole[:height, :width].sum(dtype=int)
