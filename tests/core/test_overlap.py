import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segapp.core.label.overlap import areas, contiguous, label_ids, overlaps, replace_labels, touches_border
from segapp.core.types import InputError

labelings = arrays(np.int32, (7, 9), elements=st.integers(0, 5))


def test_overlaps_counts_shared_pixels():
    a = np.array([[1, 1, 2, 0], [1, 1, 2, 2]])
    b = np.array([[3, 3, 3, 3], [0, 3, 8, 8]])
    assert [column.tolist() for column in overlaps(a, b)] == [[1, 2, 2], [3, 3, 8], [3, 1, 2]]


@settings(max_examples=30, deadline=None)
@given(labelings, labelings)
def test_overlaps_equals_counting_pairs(a, b):
    found = {(i, j): n for i, j, n in zip(*(column.tolist() for column in overlaps(a, b)), strict=True)}
    expected: dict = {}
    for pair in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        if all(pair):
            expected[pair] = expected.get(pair, 0) + 1
    assert found == expected


def test_overlaps_of_huge_ids_and_of_nothing():
    a = np.zeros((4, 4), np.uint32)
    assert [len(column) for column in overlaps(a, a)] == [0, 0, 0]
    a[0, :2] = 2**31 - 1
    assert [column.tolist() for column in overlaps(a, a)] == [[2**31 - 1], [2**31 - 1], [2]]


def test_shapes_must_agree():
    with pytest.raises(InputError, match="shape"):
        overlaps(np.zeros((2, 2), int), np.zeros((2, 3), int))


def test_contiguous_keeps_order_and_areas():
    labels = np.array([[0, 900, 900], [40, 40, 40]], np.uint16)
    assert contiguous(labels).tolist() == [[0, 2, 2], [1, 1, 1]]
    assert areas(contiguous(labels)).tolist() == [1, 3, 2]
    huge = np.array([[0, 2**31 - 1, 12]])
    assert contiguous(huge).tolist() == [[0, 2, 1]]
    assert label_ids(huge).tolist() == [12, 2**31 - 1]


@settings(max_examples=20, deadline=None)
@given(labelings)
def test_relabelling_does_not_change_areas(labels):
    assert areas(contiguous(labels))[1:].tolist() == areas(labels)[label_ids(labels)].tolist()


def test_touches_border():
    labels = np.zeros((5, 5), int)
    labels[2, 2], labels[4, 1], labels[1, 4] = 1, 7, 3
    assert touches_border(labels).tolist() == [3, 7]


def test_replacing_a_layer_replaces_its_dtype():
    labels = np.array([[0, 1, 2]], np.uint8)
    replaced = replace_labels(labels, {1: 256, 2: 70_000})
    assert replaced.tolist() == [[0, 256, 70_000]]
    assert replaced.dtype == np.int32
    assert labels.tolist() == [[0, 1, 2]]
    assert replace_labels(labels, {1: 2, 2: 1}).tolist() == [[0, 2, 1]]
    with pytest.raises(InputError, match="whole numbers"):
        replace_labels(labels.astype(np.float32) / 2, {1: 2})
    with pytest.raises(InputError, match="-4"):
        replace_labels(labels, {1: -4})
