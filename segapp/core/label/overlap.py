"""What labels share: pixels in common, areas, ids, which of them touch the frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

from segapp.core.checks import LONGEST_TABLE, check_labels, check_same_shape, check_table_of_ids
from segapp.core.label._meeting import SPARE_IDS, meet
from segapp.core.types import InputError


def overlaps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the pixels that each label of `a` shares with each label of `b`.

    Parameters
    ----------
    a, b : (H, W) integer arrays
        Labels; 0 is background and takes no part.

    Returns
    -------
    ids_a, ids_b : (N,) int32
        Pairs of ids that share pixels, ordered by `ids_a`, then `ids_b`.
    pixels : (N,) int64
        Number of shared pixels of each pair, at least 1.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    Examples
    --------
    >>> a = np.array([[1, 1, 0], [1, 1, 9]])
    >>> b = np.array([[0, 4, 4], [0, 4, 4]])
    >>> [column.tolist() for column in overlaps(a, b)]
    [[1, 9], [4, 4], [2, 1]]
    """
    a, b = check_labels(a, "a"), check_labels(b, "b")
    check_same_shape({"a": a, "b": b})
    met = meet(a, b)
    return met.ids_a[met.at_a], met.ids_b[met.at_b], met.pixels


def areas(labels: np.ndarray) -> np.ndarray:
    """Return the area of every label, indexed by id.

    Parameters
    ----------
    labels : (H, W) integer array
        Labels, 0 is background.

    Returns
    -------
    (largest id + 1,) int64
        Pixels a label; entry 0 is the background, ids that do not occur have 0.

    Raises
    ------
    InputError
        When `labels` is not a label image, or its ids are too high for a table.

    Examples
    --------
    >>> areas(np.array([[0, 3], [3, 1]])).tolist()
    [1, 1, 0, 2]
    """
    labels = check_labels(labels, "labels")
    return _areas(labels.ravel(), check_table_of_ids(labels, "labels"))


def fits_table(labels: np.ndarray) -> bool:
    """Return whether a table of all ids is worth its room: huge ids with gaps are ranked instead.

    Parameters
    ----------
    labels : (H, W) int32
        From `segapp.core.checks.check_labels`.

    Examples
    --------
    >>> fits_table(np.array([[0, 7]], np.int32)), fits_table(np.array([[0, 2**30]], np.int32))
    (True, False)
    """
    return int(labels.max()) < min(4 * labels.size + SPARE_IDS + 1, LONGEST_TABLE)


def label_ids(labels: np.ndarray) -> np.ndarray:
    """Return the ids that occur, in ascending order, without the background.

    Parameters
    ----------
    labels : (H, W) integer array
        Labels, 0 is background.

    Returns
    -------
    (N,) int32

    Examples
    --------
    >>> label_ids(np.array([[0, 300], [7, 7]])).tolist()
    [7, 300]
    """
    labels = check_labels(labels, "labels")
    if not fits_table(labels):
        ids = np.unique(labels)
    else:
        ids = np.flatnonzero(_present(labels.ravel(), int(labels.max()) + 1)).astype(np.int32)
    return ids[ids > 0]


def contiguous(labels: np.ndarray) -> np.ndarray:
    """Renumber labels 1 ... N in the order of their ids.

    Parameters
    ----------
    labels : (H, W) integer array
        Labels, 0 is background.

    Returns
    -------
    (H, W) int32
        New array. Id ``i`` was ``label_ids(labels)[i - 1]``.

    Examples
    --------
    >>> contiguous(np.array([[0, 300], [7, 7]], dtype=np.uint16)).tolist()
    [[0, 2], [1, 1]]
    """
    labels = check_labels(labels, "labels")
    ids = label_ids(labels)
    if not fits_table(labels):
        return np.where(labels > 0, np.searchsorted(ids, labels) + 1, 0).astype(np.int32)
    if len(ids) == labels.max():
        return labels.copy()
    table = np.zeros(int(labels.max()) + 1, np.int32)
    table[ids] = np.arange(1, len(ids) + 1, dtype=np.int32)
    return np.take(table, labels)


def touches_border(labels: np.ndarray) -> np.ndarray:
    """Return the ids of the labels with a pixel in the outermost row or column.

    Parameters
    ----------
    labels : (H, W) integer array
        Labels, 0 is background.

    Returns
    -------
    (N,) int32
        Ids in ascending order.

    Examples
    --------
    >>> touches_border(np.pad(np.array([[5, 6], [0, 6]]), ((0, 1), (1, 1)))).tolist()
    [5, 6]
    """
    labels = check_labels(labels, "labels")
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return edge[edge > 0]


def replace_labels(labels: np.ndarray, mapping: Mapping[int, int]) -> np.ndarray:
    """Replace ids: ``{from: to}``; ids that are not named stay as they are.

    Parameters
    ----------
    labels : (H, W) integer array
        Labels of any integer dtype, 0 is background.
    mapping : mapping of int to int
        New id of each id to replace; 0 removes a label, one new id for several merges them.

    Returns
    -------
    (H, W) int32
        New array, wide enough for every new id whatever the dtype that came in. All ids are replaced at once, so
        ``{1: 2, 2: 1}`` swaps.

    Raises
    ------
    InputError
        When `labels` is not a label image or an id of the mapping is negative or too large.

    Examples
    --------
    >>> replace_labels(np.array([[0, 1], [2, 3]], dtype=np.uint8), {1: 300, 3: 0}).tolist()
    [[0, 300], [2, 0]]
    """
    labels = check_labels(labels, "labels")
    top = np.iinfo(np.int32).max
    wrong = [pair for pair in mapping.items() if not all(0 <= int(i) <= top and int(i) == i for i in pair)]
    if wrong:
        raise InputError(
            f"the mapping {wrong[0][0]}: {wrong[0][1]} cannot be used; ids are whole numbers of 0 or more."
        )
    ids = np.unique(labels)
    new = np.array([int(mapping.get(int(i), int(i))) for i in ids], dtype=np.int32)
    return new[np.searchsorted(ids, labels)]


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    tiny = np.ones((2, 2), np.int32)
    overlaps(tiny, tiny)
    label_ids(tiny)
    areas(tiny)


@njit(cache=True, nogil=True)
def _present(labels: np.ndarray, n: int) -> np.ndarray:
    present = np.zeros(n, np.bool_)
    for label in labels:
        present[label] = True
    return present


@njit(cache=True, nogil=True)
def _areas(labels: np.ndarray, n: int) -> np.ndarray:
    area = np.zeros(n, np.int64)
    for label in labels:
        area[label] += 1
    return area
