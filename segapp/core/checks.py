"""Checks at the door of public functions: what comes in is right, or one sentence says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.core.types import InputError

_INT32_MAX = np.iinfo(np.int32).max
_UINT32_MAX = np.iinfo(np.uint32).max
_FLOAT32_MAX = float(np.finfo(np.float32).max)

LONGEST_TABLE = 1 << 24
"""Most entries of a table with one entry an id: more than the cells that fit on the largest chip."""


def check_image(image: Any, name: str) -> np.ndarray:
    """Return `image` as a 2-D array of finite real numbers, its dtype kept.

    Parameters
    ----------
    image : (H, W) array of any integer or float dtype, or bool
        Intensities.
    name : str
        What to call it in a message.

    Returns
    -------
    (H, W) array
        The same array, not a copy, where its dtype is one of `plain`.

    Raises
    ------
    InputError
        When it is not 2-D, is empty, is not numeric, or holds NaN, infinity or what is infinite as float32.

    Examples
    --------
    >>> check_image([[1, 2], [3, 4]], "stain").shape
    (2, 2)
    >>> check_image(np.zeros((4, 4, 3)), "stain")
    Traceback (most recent call last):
    ...
    segapp.core.types.InputError: `stain` has shape (4, 4, 3) but a 2-D image is needed; choose one channel.
    """
    array = np.asarray(image)
    if array.ndim != 2:
        hint = "choose one channel" if array.ndim == 3 else "pass an array of rows and columns"
        raise InputError(f"`{name}` has shape {array.shape} but a 2-D image is needed; {hint}.")
    if array.size == 0:
        raise InputError(f"`{name}` has shape {array.shape} and no pixels; pass an image with at least one pixel.")
    if array.dtype.kind not in "buif":
        raise InputError(f"`{name}` has dtype {array.dtype} but real numbers are needed; convert it first.")
    array = plain(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise InputError(f"`{name}` holds {bad} NaN or infinite pixels; fill or crop them first.")
    if array.dtype == np.float64 and (most := max(array.max(), -array.min())) > _FLOAT32_MAX:
        # images are blurred, moved and shown as float32, where it would be infinite
        raise InputError(f"`{name}` holds a pixel of size {most:g}, above {_FLOAT32_MAX:.2g}; divide it by a number.")
    return array


def plain(array: np.ndarray) -> np.ndarray:
    """Return numbers in a dtype that compiled code takes: native integers, float32 or float64.

    Parameters
    ----------
    array : array of any shape, bool, integer or float dtype
        As a file or a user gave it.

    Returns
    -------
    array of the same shape
        The same array where its dtype will do; bool becomes uint8, float16 float32, longdouble float64.

    Examples
    --------
    >>> plain(np.array([True])).dtype.name, plain(np.zeros(1, ">u2")).dtype.isnative
    ('uint8', True)
    """
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float32 if array.dtype.itemsize == 2 else np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def check_counts(counts: Any, name: str) -> np.ndarray:
    """Return `counts` as a 2-D uint32 array.

    Parameters
    ----------
    counts : (H, W) array, integer or float with whole numbers
        UMIs a pixel.
    name : str
        What to call it in a message.

    Returns
    -------
    (H, W) uint32 array
        The same array when it is uint32 already, else a copy.

    Raises
    ------
    InputError
        When it is not 2-D, is empty, or holds NaN, negative or non-whole numbers.

    Examples
    --------
    >>> check_counts(np.array([[0.0, 2.0]]), "counts")
    array([[0, 2]], dtype=uint32)
    >>> check_counts(np.array([[0.5, 2.0]]), "counts")
    Traceback (most recent call last):
    ...
    segapp.core.types.InputError: `counts` holds numbers that are not whole (such as 0.5); pass raw UMI counts, \
not normalised or log-transformed ones.
    """
    array = check_image(counts, name)
    if array.dtype == np.uint32:
        return array
    if array.dtype.kind == "f":
        broken = array != np.rint(array)
        if broken.any():
            raise InputError(
                f"`{name}` holds numbers that are not whole (such as {array[broken][0]:g}); "
                "pass raw UMI counts, not normalised or log-transformed ones."
            )
    if array.dtype.kind != "u" and array.min() < 0:
        raise InputError(f"`{name}` holds negative numbers (down to {array.min():g}); pass raw UMI counts, 0 or more.")
    if array.dtype.itemsize >= 4 and int(array.max()) > _UINT32_MAX:  # float32 has no number between it and 2**32
        raise InputError(f"`{name}` holds {array.max():g} in one pixel, above {_UINT32_MAX}; check the count column.")
    return array.astype(np.uint32)


def check_labels(labels: Any, name: str) -> np.ndarray:
    """Return `labels` as a C-contiguous 2-D int32 array.

    Parameters
    ----------
    labels : (H, W) array of any integer dtype
        0 is background, each other value one object.
    name : str
        What to call it in a message.

    Returns
    -------
    (H, W) int32 array
        The same array when it is C-contiguous int32 already, else a copy.

    Raises
    ------
    InputError
        When it is not 2-D, is empty, is not of an integer dtype, or holds ids below 0 or above 2**31 - 1.

    Examples
    --------
    >>> check_labels(np.array([[0, 300]], dtype=np.uint16), "labels")
    array([[  0, 300]], dtype=int32)
    """
    array = _rows_and_columns(labels, name, "label image")
    if array.dtype.kind not in "ui":
        hint = "label its components first" if array.dtype == np.bool_ else "round and convert it first"
        raise InputError(f"`{name}` has dtype {array.dtype} but labels are whole numbers (0 = background); {hint}.")
    if array.dtype.kind == "i" and array.min() < 0:
        raise InputError(f"`{name}` holds the id {array.min()}; ids start at 1 and 0 is background.")
    if array.dtype.itemsize >= 4 and array.dtype != np.int32 and array.max() > _INT32_MAX:
        raise InputError(f"`{name}` holds the id {array.max()}, above {_INT32_MAX}; renumber the labels first.")
    return np.ascontiguousarray(array, dtype=np.int32)


def check_table_of_ids(labels: np.ndarray, name: str) -> int:
    """Return how long a table is that has an entry for every id of `labels`, from 0 to the highest.

    Parameters
    ----------
    labels : (H, W) int32 array
        From `check_labels`.
    name : str
        What to call it in a message.

    Returns
    -------
    int
        The highest id + 1.

    Raises
    ------
    InputError
        When the table would be longer than `LONGEST_TABLE`: a single huge id would fill the memory.

    Examples
    --------
    >>> check_table_of_ids(np.array([[0, 7]], np.int32), "labels")
    8
    """
    highest = int(labels.max())
    if highest >= LONGEST_TABLE:
        raise InputError(
            f"`{name}` holds the id {highest:,}, too high for a table of all ids (up to {LONGEST_TABLE - 1:,}); "
            "renumber the labels first."
        )
    return highest + 1


def check_mask(mask: Any, name: str) -> np.ndarray:
    """Return `mask` as a C-contiguous 2-D bool array.

    Parameters
    ----------
    mask : (H, W) bool or integer array
        Integers: 0 is outside, anything else inside.
    name : str
        What to call it in a message.

    Returns
    -------
    (H, W) bool array
        The same array when it is C-contiguous bool already, else a copy.

    Raises
    ------
    InputError
        When it is not 2-D, is empty, or is neither bool nor integer.

    Examples
    --------
    >>> check_mask(np.array([[0, 255]], dtype=np.uint8), "mask")
    array([[False,  True]])
    """
    array = _rows_and_columns(mask, name, "mask")
    if array.dtype == np.bool_:
        return np.ascontiguousarray(array)
    if array.dtype.kind not in "ui":
        raise InputError(
            f"`{name}` has dtype {array.dtype} but a mask is True or False; cut the image at a threshold first."
        )
    return np.ascontiguousarray(array != 0)


def check_same_shape(arrays: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the one shape that all `arrays` have.

    Parameters
    ----------
    arrays : mapping of str to array or None
        Names, as the caller knows them, and arrays; None is left out.

    Returns
    -------
    tuple of int
        The shape.

    Raises
    ------
    InputError
        When two shapes differ; every array is named with its shape.

    Examples
    --------
    >>> check_same_shape({"stain": np.zeros((2, 3)), "mask": np.ones((2, 3)), "markers": None})
    (2, 3)
    >>> check_same_shape({"stain": np.zeros((2, 3)), "mask": np.ones((3, 2))})
    Traceback (most recent call last):
    ...
    segapp.core.types.InputError: `stain` has shape (2, 3) but `mask` has (3, 2); pass arrays of the same crop \
and orientation.
    """
    shapes = {name: np.shape(array) for name, array in arrays.items() if array is not None}
    if len(set(shapes.values())) > 1:
        (first, shape), *others = shapes.items()
        rest = ", ".join(f"`{name}` has {other}" for name, other in others if other != shape)
        raise InputError(f"`{first}` has shape {shape} but {rest}; pass arrays of the same crop and orientation.")
    return next(iter(shapes.values()))


def check_odd(k: Any, name: str) -> int:
    """Return the kernel diameter `k` as an odd positive int.

    Parameters
    ----------
    k : int
        Diameter in px.
    name : str
        What to call it in a message.

    Returns
    -------
    int

    Raises
    ------
    InputError
        When it is not a whole number, is below 1, or is even.

    Examples
    --------
    >>> check_odd(5, "k")
    5
    >>> check_odd(4, "k")
    Traceback (most recent call last):
    ...
    segapp.core.types.InputError: `k` is 4 but a kernel diameter is odd and at least 1 px; try 3 or 5.
    """
    if isinstance(k, bool | np.bool_) or not isinstance(k, int | np.integer):
        raise InputError(f"`{name}` is {k!r} but a kernel diameter is a whole number of px, such as 5.")
    if k < 1 or k % 2 == 0:
        low = max(int(k) - 1, 1)
        hint = f"try {low} or {low + 2}" if k >= 1 else "try 5"
        raise InputError(f"`{name}` is {k} but a kernel diameter is odd and at least 1 px; {hint}.")
    return int(k)


def frozen(array: np.ndarray) -> np.ndarray:
    """Return a read-only C-contiguous view: one type for the compiler, whether the store froze the array or not."""
    view: np.ndarray = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _rows_and_columns(value: Any, name: str, what: str) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != 2:
        raise InputError(f"`{name}` has shape {array.shape} but a 2-D {what} is needed.")
    if array.size == 0:
        raise InputError(f"`{name}` has shape {array.shape} and no pixels; pass a {what} with at least one pixel.")
    return array
