import json

import numpy as np
import pytest

from segapp.core.quality import TAUS, compare_labels


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
