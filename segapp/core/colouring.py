"""What colours on a screen stand for: brightness by percentiles, one number a label, one colour a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from segapp.core.checks import check_labels, check_same_shape, check_table_of_ids, plain
from segapp.core.display import label_areas, stretch

STEPS = 1000
"""Percentiles are kept in steps of a tenth."""

WIDEST = (0.05, 99.98)
"""Percentiles that become the bytes 0 and 255: a wider contrast than this is noise."""


@dataclass(frozen=True)
class Contrast:
    """How values become bytes, and which byte each percentile of the image has.

    Parameters
    ----------
    black, white : float
        Values that become 0 and 255.
    gamma : float
        Exponent of the brightness.
    levels : tuple of int
        `STEPS` + 1 bytes: that of the percentile 0, 0.1, ... 100. A screen that knows them sets its contrast between
        two percentiles without asking for the image again.
    """

    black: float
    white: float
    gamma: float
    levels: tuple[int, ...]


def contrast(image: np.ndarray, gamma: float, *, counts: bool) -> Contrast:
    """Return how an image becomes bytes so that its contrast can still be set.

    Parameters
    ----------
    image : (H, W) array
        Any numeric type.
    gamma : float
        Exponent of the brightness: below 1 lifts the dark parts.
    counts : bool
        0 is black, whatever the percentiles, and a single count is never white.

    Returns
    -------
    Contrast

    Examples
    --------
    >>> made = contrast(np.arange(100.0).reshape(10, 10), 1.0, counts=False)
    >>> made.levels[0], made.levels[500], made.levels[1000]
    (0, 129, 255)
    """
    black, white = stretch(image, *WIDEST)
    if counts:
        black, white = 0.0, max(white, 1.0)
    step = max(1, int(np.sqrt(image.size / 65536)))
    sample = image[::step, ::step].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        sample = np.array([black])
    values = np.percentile(sample, np.linspace(0, 100, STEPS + 1), method="nearest").clip(black, white)
    # halves, as the width of the widest range is infinite; and that of the narrowest nothing
    share = ((values / 2 - black / 2) / max(white / 2 - black / 2, np.finfo(float).tiny)) ** gamma
    return Contrast(black, white, gamma, tuple((share * 255 + 0.5).astype(int).tolist()))


def label_sums(labels: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the sum of an image over every label, indexed by id; entry 0 is 0.

    Parameters
    ----------
    labels : (H, W) integer array
        0 is background.
    image : (H, W) array
        Any numeric type.

    Returns
    -------
    (largest id + 1,) float64

    Raises
    ------
    InputError
        When the shapes differ.

    Examples
    --------
    >>> label_sums(np.array([[0, 1], [1, 3]]), np.array([[9, 2], [3, 7]])).tolist()
    [0.0, 5.0, 0.0, 7.0]
    """
    check_same_shape({"labels": labels, "image": image})
    labels = check_labels(labels, "labels")
    sums = np.zeros(check_table_of_ids(labels, "labels"))
    _sum(labels.ravel(), plain(image).ravel(), sums)
    sums[0] = 0
    return sums


def label_means(labels: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the mean of an image over every label, indexed by id; 0 where there is no label.

    Examples
    --------
    >>> label_means(np.array([[0, 1], [1, 3]]), np.array([[9, 2], [3, 7]])).tolist()
    [0.0, 2.5, 0.0, 7.0]
    """
    return label_sums(labels, image) / np.maximum(label_areas(labels), 1)


def colour_table(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return a colour for every label id from one number a label, and the numbers that the ends stand for.

    Parameters
    ----------
    values : (largest id + 1,) array
        One number a label id; ids whose number is not above 0 are taken for absent when the ends are chosen.

    Returns
    -------
    table : (largest id + 1,) uint8
        0 for background, else 1 (lowest 2 % of the labels) to 255 (highest 2 %).
    low, high : float
        Numbers that 1 and 255 stand for.

    Examples
    --------
    >>> table, low, high = colour_table(np.array([0.0, 10.0, 30.0]))
    >>> table.tolist(), float(low), float(high)
    ([0, 1, 255], 10.0, 30.0)
    """
    used = values[1:][values[1:] > 0]
    low, high = np.percentile(used, (2, 98), method="nearest") if used.size else (0.0, 1.0)
    table = (np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 254 + 1).astype(np.uint8)
    table[0] = 0
    return table, float(low), float(high)


def warm() -> None:
    """Compile the kernels of this module for the types of counts and scores."""
    labels = np.ones((2, 2), np.int32)
    for dtype in (np.uint32, np.float32):
        image = np.ones((2, 2), dtype)
        image.flags.writeable = False
        label_sums(labels, image)


@njit(cache=True, nogil=True)
def _sum(labels: np.ndarray, image: np.ndarray, sums: np.ndarray) -> None:  # pragma: no cover - compiled
    """Add the pixels of every label."""
    for i in range(labels.size):
        sums[labels[i]] += image[i]
