import numpy as np
import pytest

from segapp.core.checks import (
    check_counts,
    check_image,
    check_labels,
    check_mask,
    check_odd,
    check_same_shape,
)
from segapp.core.types import InputError


def test_valid_arrays_come_back_without_a_copy() -> None:
    image = np.ones((3, 4), np.float32)
    counts = np.ones((3, 4), np.uint32)
    labels = np.ones((3, 4), np.int32)
    mask = np.ones((3, 4), bool)
    assert check_image(image, "i") is image
    assert check_counts(counts, "c") is counts
    assert check_labels(labels, "l") is labels
    assert check_mask(mask, "m") is mask


@pytest.mark.parametrize(
    "dtype",
    [np.uint8, np.uint16, np.int16, np.int64, np.uint64, np.float32, np.float64],
)
def test_counts_of_every_dtype_become_uint32(dtype: type) -> None:
    counts = check_counts(np.array([[0, 7], [200, 3]], dtype), "counts")
    assert counts.dtype == np.uint32
    assert counts.tolist() == [[0, 7], [200, 3]]


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (np.array([[0.5]]), "whole"),
        (np.array([[-1]]), "negative"),
        (np.array([[np.nan]]), "NaN"),
        (np.array([[np.inf]]), "infinite"),
        (np.array([[2**40]]), "above"),
        (np.zeros((2, 2, 2)), "2-D"),
        (np.zeros((0, 2)), "no pixels"),
        (np.array([["a"]]), "dtype"),
        (np.array([[1j]]), "dtype"),
    ],
)
def test_a_non_integer_negative_or_nan_count_layer_is_refused(bad: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        check_counts(bad, "counts")


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (np.array([[1.0]]), "whole numbers"),
        (np.array([[True]]), "components"),
        (np.array([[-3]]), "-3"),
        (np.array([[2**33]]), "renumber"),
        (np.zeros(5, int), "2-D"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(bad: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        check_labels(bad, "labels")


def test_labels_of_a_view_become_contiguous() -> None:
    view = np.arange(12, dtype=np.uint16).reshape(3, 4).T
    labels = check_labels(view, "labels")
    assert labels.flags.c_contiguous
    assert labels.dtype == np.int32
    assert np.array_equal(labels, view)


def test_a_float_mask_is_refused() -> None:
    with pytest.raises(InputError, match="threshold"):
        check_mask(np.array([[0.3]]), "mask")


def test_shapes_that_differ_are_all_named() -> None:
    with pytest.raises(
        InputError,
        match=r"`a` has shape \(2, 2\) but `b` has \(3, 2\), `d` has \(2, 4\)",
    ):
        check_same_shape(
            {
                "a": np.zeros((2, 2)),
                "b": np.zeros((3, 2)),
                "c": None,
                "d": np.zeros((2, 4)),
            }
        )


@pytest.mark.parametrize("bad", [0, -1, 2, 4.0, True, "5", None])
def test_a_kernel_diameter_is_odd_and_positive(bad: object) -> None:
    with pytest.raises(InputError, match="`mk` is"):
        check_odd(bad, "mk")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint64])
def test_counts_of_two_to_the_32_are_refused_in_every_dtype(dtype) -> None:
    # float32 has no number between the largest count and 2**32
    with pytest.raises(InputError, match="check the count column"):
        check_counts(np.full((1, 2), 2**32, dtype), "counts")


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_what_is_infinite_as_float32_is_refused(value) -> None:
    image = np.array([[0.0, value]])
    with pytest.raises(InputError, match="divide it by a number"):
        check_image(image, "stain")
    assert check_image(np.array([[3.4e38, -3.4e38]]), "stain").dtype == np.float64
