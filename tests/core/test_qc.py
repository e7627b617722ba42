import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segapp.core import comparison, qc
from segapp.core.label.flood import flood_image
from segapp.core.types import InputError


def two_cells():
    labels = np.zeros((12, 14), np.int32)
    labels[1:6, 1:6], labels[6:11, 7:13] = 1, 2
    return labels


def test_perfect_labels_score_one_whatever_ids_and_dtype():
    truth = two_cells()
    for dtype in (np.uint8, np.uint16, np.int64):
        found = comparison.segmentation_statistics(truth, np.array([0, 90, 7])[truth].astype(dtype), counts=None)
        wrong = {"False positive", "False negative"}
        assert all(value == (name not in wrong) for name, value in found.items())


def test_an_empty_prediction_is_zero_and_nothing_is_nan():
    truth, nothing = two_cells(), np.zeros((12, 14), int)
    found = comparison.segmentation_statistics(truth, nothing, counts=None)
    assert found["True positive"] == found["Precision"] == found["Average precision (0.50)"] == 0
    assert found["True negative"] == 1 and found["False negative"] == 1
    both = comparison.segmentation_statistics(nothing, nothing, counts=None)
    assert both["F1 score"] == both["Average precision (0.95)"] == both["Adjusted rand score"] == 1
    assert not any(np.isnan(list(values.values())).any() for values in (found, both))


def test_pixels_without_umis_do_not_count():
    truth = two_cells()
    counts = (truth == 1).astype(int)
    found = comparison.segmentation_statistics(truth, np.where(truth == 1, 5, 0), counts=counts)
    assert found["Average precision (0.95)"] == 1 and found["True negative"] == 1


def test_statistics_by_hand():
    truth = np.array([[1, 1, 1, 1, 2, 2, 0, 0]])
    labels = np.array([[4, 4, 4, 0, 4, 6, 6, 0]])
    found = comparison.segmentation_statistics(truth, labels, counts=None, taus=(0.5, 0.6))
    assert found["True positive"] == 5 / 6 and found["False positive"] == 1 / 2
    assert found["Precision"] == 5 / 6 and found["Accuracy"] == 6 / 8
    # label 4 shares 3 px with cell 1, of 5 in both together: 0.6 is above 0.5 and not above 0.6
    assert found["Average precision (0.50)"] == 1 / 3 and found["Average precision (0.60)"] == 0
    # pairs of the five pixels labelled in both: 3 within both, 1 only in the truth's, 3 only in the other
    both, a, b, all_ = 3, 4, 6, 10
    assert found["Adjusted rand score"] == pytest.approx((both - a * b / all_) / ((a + b) / 2 - a * b / all_))


def test_chance_scores_about_nothing():
    truth = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((8, 8), int))
    truth[:, ::8] = 0
    found = comparison.random_statistics(truth, truth, counts=None, taus=(0.5,), seed=0)
    assert abs(found["Adjusted rand score"]) < 0.02 and found["Average precision (0.50)"] == 0
    assert found == comparison.random_statistics(truth, truth, counts=None, taus=(0.5,), seed=0)


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="shape"):
        comparison.segmentation_statistics(two_cells(), np.zeros((3, 3), int), counts=None)
    with pytest.raises(InputError, match=r"0\.5 to 1"):
        comparison.segmentation_statistics(two_cells(), two_cells(), counts=None, taus=(0.3,))


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.uint8, (7, 9), elements=st.integers(0, 4)),
    arrays(np.uint8, (7, 9), elements=st.integers(0, 4)),
    arrays(np.uint8, (7, 9), elements=st.integers(0, 1)),
)
def test_statistics_are_numbers_for_any_labels(truth, labels, counts):
    for found in (
        comparison.segmentation_statistics(truth, labels, counts=counts),
        comparison.random_statistics(truth, labels, counts=counts, taus=(0.5,), seed=1),
    ):
        values = np.array(list(found.values()))
        assert np.isfinite(values).all() and values.max() <= 1 + 1e-12
        assert np.delete(values, list(found).index("Adjusted rand score")).min() >= -1e-12


def test_the_last_square_that_fits_is_there():
    assert qc.region_corners((6, 7), 3).tolist() == [[0, 0], [3, 0], [0, 3], [3, 3]]
    with pytest.raises(InputError, match="does not fit"):
        qc.region_corners((2, 7), 3)
    with pytest.raises(InputError, match="no RNA"):
        qc.draw_regions(qc.region_corners((6, 6), 3), np.zeros(4), n=1, seed=0)


def test_random_labels_keep_areas_and_fit():
    labels = qc.random_labels((9, 11), [0, 90, 9], seed=3)
    assert np.bincount(labels.ravel()).tolist() == [0, 0, 90, 9] and labels.dtype == np.int32
    for areas in ([100], [-1], [1.5]):
        with pytest.raises(InputError, match="areas"):
            qc.random_labels((9, 11), areas, seed=3)
    assert not qc.random_labels((3, 3), [], seed=0).any()


def test_boundaries_lie_inside_and_the_frame_is_none():
    labels = np.zeros((9, 9), np.uint16)
    labels[:6, :6] = 700
    one, two = (qc.boundaries(labels, thickness=t) for t in (1, 2))
    assert set(np.unique(one)) == {0, 255} and not one[0, 0] and not one[labels == 0].any()
    assert (one > 0).sum() == 11 and (two > 0).sum() == 20
    assert (qc.boundaries(labels, thickness=50) > 0).sum() == 36


def test_flooding_keeps_markers_outside_the_mask():
    image = np.array([[9, 0, 0, 0, 8]])
    mask = np.array([[0, 1, 1, 0, 0]], bool)
    assert flood_image(image, np.array([[3, 0, 0, 0, 0]]), mask, k=1).tolist() == [[3, 3, 3, 0, 0]]
    assert flood_image(image, np.array([[1, 0, 0, 0, 1]], bool), mask, k=1).tolist() == [[1, 1, 1, 0, 2]]
    with pytest.raises(InputError, match="shape"):
        flood_image(image, np.zeros((2, 2), int), mask, k=1)
