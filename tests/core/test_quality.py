import json

import numpy as np
import pytest

from segapp.core.quality import TAUS, compare_labels, diff_labels


def three_cells():
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:8], labels[2:8, 8:14], labels[10:18, 16:26] = 1, 2, 3
    return labels


def test_three_perfect_cells_give_one():
    truth = three_cells()
    result = compare_labels(truth, truth)
    assert set(result.ap.values()) == {1.0}
    assert (result.tp, result.fp, result.fn, result.f1, result.mean_iou) == (3, 0, 0, 1.0, 1.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint32])
def test_background_id_gaps_and_dtype_do_not_count(dtype):
    truth = three_cells()
    spread = np.array([0, 9, 200, 31])[truth].astype(dtype)
    assert compare_labels(truth, spread) == compare_labels(truth, truth)


def test_empty_prediction_gives_zero():
    truth = three_cells()
    result = compare_labels(truth, np.zeros_like(truth))
    assert set(result.ap.values()) == {0.0}
    assert (result.f1, result.precision, result.recall, result.mean_iou, result.fn) == (0, 0, 0, 0, 3)
    superfluous = compare_labels(np.zeros_like(truth), truth)
    assert (superfluous.ap50, superfluous.precision, superfluous.recall, superfluous.fp) == (0, 0, 0, 3)
    nothing = compare_labels(np.zeros_like(truth), np.zeros_like(truth))
    assert (nothing.ap50, nothing.f1, nothing.recall) == (1, 1, 1)


def test_a_match_is_above_the_threshold():
    truth = np.zeros((1, 40), int)
    truth[0, :20] = 1
    for step, tau in enumerate(TAUS):
        labels = np.zeros_like(truth)
        labels[0, : 10 + step] = 1
        # intersection over union is exactly tau: it matches every threshold below and not its own
        assert [compare_labels(truth, labels).ap[t] for t in TAUS] == [float(t < tau) for t in TAUS]


def test_counts_of_partly_right_labels():
    truth = three_cells()
    labels = truth.copy()
    labels[truth == 2] = 1
    labels[0, 28:] = 40
    result = compare_labels(truth, labels)
    # the merged pair overlaps each cell with exactly one half: no match
    assert (result.tp, result.fp, result.fn) == (1, 2, 2)
    assert result.ap50 == pytest.approx(1 / 5)
    assert result.mean_iou == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert json.loads(json.dumps(result.to_json()))["ap"]["0.50"] == pytest.approx(0.2)


def drawn(text):
    """Labels drawn as text: a digit an id, a dot the background."""
    return np.array([[0 if mark == "." else int(mark) for mark in line] for line in text.split()], np.int32)


def test_every_kind_of_change():
    before = drawn("""
        11.2222.33.44.55.
        11.2222.33.44.55.
        11......33.44.55.
    """)
    after = drawn("""
        77.8899.66666...1
        77.8899.66666.5.1
        7.......66666.5..
    """)
    diff = diff_labels(before, after)
    assert diff.counts == {"kept": 2, "split": 1, "merged": 1, "lost": 0, "gained": 1}
    assert (diff.parts, diff.sources, diff.same) == (2, 2, 0)
    #                                    1  2  3  4  5
    assert diff.before.tolist() == [0, 1, 2, 3, 3, 1]
    #                                   1           5  6  7  8  9
    assert diff.after.tolist() == [0, 5, 0, 0, 0, 1, 3, 1, 2, 2]
    assert diff.median_iou == pytest.approx((5 / 6 + 2 / 6) / 2)


def test_the_picture_of_changes_shows_what_is_lost_where_nothing_is_now():
    before = drawn("11.22 11.22")
    after = drawn("3..22 3..2.")
    diff = diff_labels(before, drawn("3..00 3..00"))
    assert diff.image(before, drawn("3..00 3..00")).tolist() == [[1, 0, 0, 4, 4], [1, 0, 0, 4, 4]]
    # the kept cell became smaller: where it no longer is, nothing is drawn
    assert diff_labels(before, after).image(before, after).tolist() == [[1, 0, 0, 1, 1], [1, 0, 0, 1, 0]]


def test_half_of_a_cell_is_not_enough_to_belong_together():
    assert diff_labels(drawn("1111"), drawn("..22")).kept == 1
    # 2 shared of 4 on each side
    diff = diff_labels(drawn("1111.."), drawn("..2222"))
    assert (diff.kept, diff.lost, diff.gained) == (0, 1, 1)


def test_a_tangle_of_splits_and_merges_counts_each_cell_by_its_own_side():
    diff = diff_labels(drawn("1111112"), drawn("3355555"))
    assert (diff.split, diff.merged, diff.lost, diff.gained, diff.kept) == (1, 1, 0, 0, 0)
    assert diff.before.tolist() == [0, 2, 3] and diff.after.tolist() == [0, 0, 0, 2, 0, 3]


def test_nothing_changes_nothing_is_there_all_is_new():
    labels = three_cells()
    same = diff_labels(labels, np.array([0, 40, 7, 9])[labels])
    assert (same.kept, same.same, same.median_iou) == (3, 3, 1.0)
    nothing = np.zeros_like(labels)
    assert diff_labels(labels, nothing).lost == 3
    assert diff_labels(nothing, labels).gained == 3
    assert set(diff_labels(nothing, nothing).counts.values()) == {0}


def test_every_cell_has_exactly_one_code():
    rng = np.random.default_rng(4)
    before, after = (np.repeat(np.repeat(rng.integers(0, 60, (12, 12)), 5, 0), 5, 1) for _ in range(2))
    after = np.roll(np.where(rng.random((60, 60)) < 0.8, before, after), 1, 1)
    diff = diff_labels(before, after)
    for codes, labels, ends in ((diff.before, before, "lost"), (diff.after, after, "gained")):
        assert set(np.flatnonzero(codes)) == set(np.unique(labels)) - {0}
        assert (codes == {"lost": 4, "gained": 5}[ends]).sum() == diff.counts[ends]
    assert (diff.before == 1).sum() == (diff.after == 1).sum() == diff.kept
