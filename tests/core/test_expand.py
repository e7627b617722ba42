import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segapp.core.label import overlap
from segapp.core.label.expand import expand, grow
from segapp.core.types import Cancelled, InputError

labelings = arrays(np.int32, (6, 8), elements=st.sampled_from([0, 0, 0, 0, 0, 1, 2, 5]))
masks = arrays(np.bool_, (6, 8))


def by_definition(labels, distance, max_area, mask):
    """The tie rule as the docstring states it, one pixel at a time."""
    grown = labels.copy()
    height, width = grown.shape
    for _ in range(distance):
        before = grown.copy()
        for i in range(height):
            for j in range(width):
                if before[i, j] or not mask[i, j]:
                    continue
                sides = [(i - 1, j), (i, j - 1), (i, j + 1), (i + 1, j)]
                beside = {int(before[y, x]) for y, x in sides if 0 <= y < height and 0 <= x < width}
                with_room = [label for label in beside if label and (grown == label).sum() < max_area]
                if with_room:
                    grown[i, j] = min(with_room)
    return grown


@settings(max_examples=60, deadline=None)
@given(labelings, masks, st.integers(0, 4), st.integers(0, 12))
def test_equals_the_definition(labels, mask, distance, max_area):
    grown = expand(labels, distance=distance, max_area=max_area, mask=mask)
    assert grown.tolist() == by_definition(labels, distance, max_area, mask).tolist()


@settings(max_examples=30, deadline=None)
@given(labelings, masks, st.integers(0, 6), st.integers(1, 12))
def test_cap_is_exact_and_growth_stays_in_the_mask(labels, mask, distance, max_area):
    before = np.bincount(labels.ravel(), minlength=6)
    grown = expand(labels, distance=distance, max_area=max_area, mask=mask)
    after = np.bincount(grown.ravel(), minlength=6)
    assert (after[1:] <= np.maximum(before[1:], max_area)).all()
    assert (after[1:] >= before[1:]).all()
    assert (grown[labels > 0] == labels[labels > 0]).all()
    assert not (grown[~mask & (labels == 0)]).any()


def test_no_permanent_seam_between_labels():
    labels = np.zeros((9, 21), np.int32)
    labels[4, 5], labels[4, 15] = 3, 8
    grown = expand(labels, distance=20, max_area=math.inf)
    assert (grown > 0).all()
    assert grown[4, 10] == 3, "the pixel in the middle goes to the smaller id"
    assert (grown[:, :10] == 3).all() and (grown[:, 11:] == 8).all()


def test_labels_outside_the_mask_grow_into_it():
    labels = np.array([[4, 0, 0, 0]])
    mask = np.array([[False, True, True, False]])
    assert expand(labels, distance=5, max_area=99, mask=mask).tolist() == [[4, 4, 4, 0]]


def test_input_is_never_returned_or_changed():
    labels = np.ones((3, 3), np.int32)
    labels.flags.writeable = False
    grown = expand(labels, distance=3, max_area=99)
    assert grown is not labels and not np.shares_memory(grown, labels)
    assert grown.flags.writeable


def test_a_cross_grows_to_a_diamond():
    labels = np.zeros((5, 5), np.uint8)
    labels[2, 2] = 200
    grown = expand(labels, distance=2, max_area=400)
    assert grown.dtype == np.int32
    assert (grown > 0).sum() == 13
    assert (expand(labels, distance=2, max_area=9) > 0).sum() == 9


def test_huge_ids_do_not_need_huge_tables():
    labels = np.array([[0, 2**31 - 1, 0, 7]])
    assert expand(labels, distance=1, max_area=2).tolist() == [[2**31 - 1, 2**31 - 1, 7, 7]]


def test_more_labels_than_a_table_is_meant_for_are_grown(monkeypatch):
    monkeypatch.setattr(overlap, "LONGEST_TABLE", 8)
    labels = np.zeros((3, 60), np.int32)
    labels[1, ::2] = 5 * np.arange(1, 31)
    assert (expand(labels, distance=9, max_area=math.inf) > 0).all()


def test_unassigned_is_counted_by_reason():
    labels = np.array([[1, 0, 0, 0, 0, 0, 0, 0]])
    mask = np.array([[0, 1, 1, 1, 1, 0, 1, 1]], bool)
    grown = grow(labels, distance=3, max_area=3, mask=mask)
    assert grown.labels.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]]
    assert (grown.too_far, grown.too_large) == (3, 1)


def test_cancel_and_bad_input():
    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        expand(np.array([[1, 0]]), distance=3, max_area=9, tick=stop)
    with pytest.raises(InputError, match="shape"):
        expand(np.array([[1, 0]]), distance=3, max_area=9, mask=np.ones((2, 2), bool))
    with pytest.raises(InputError, match="distance=-1"):
        expand(np.array([[1, 0]]), distance=-1, max_area=9)
