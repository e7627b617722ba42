"""Area limits: cells that are too small or too large are set aside, and stay visible as ghosts."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core.checks import check_labels, check_same_shape, frozen
from segapp.core.label.overlap import areas, contiguous, fits_table, label_ids
from segapp.core.params import Params, knob


class LimitsParams(Params):
    """Keep cells between a smallest and a largest area."""

    min_area: int = knob(
        0, unit="px²", ge=0, le=1_000_000, soft=(0, 500), doc="Smaller cells are set aside. Higher: fewer cells."
    )
    max_area: int | Literal["off"] = knob(
        "off", unit="px²", ge=1, le=10_000_000, soft=(100, 5000), step=10, doc="Larger cells are set aside; off: none."
    )


def apply_limits(cells: np.ndarray, params: LimitsParams) -> tuple[np.ndarray, np.ndarray]:
    """Set cells aside that are smaller or larger than the limits.

    Parameters
    ----------
    cells : (H, W) integer array
        Cells, 0 is background.
    params : LimitsParams
        Both limits are kept: a cell of exactly `min_area` or `max_area` stays.

    Returns
    -------
    kept, ghosts : (H, W) int32
        Cells within the limits, and those that were set aside; ids stay.

    Raises
    ------
    InputError
        When `cells` is not a label image.

    Examples
    --------
    >>> kept, ghosts = apply_limits(np.array([[1, 2, 2, 3, 3, 3]]), LimitsParams(min_area=2, max_area=2))
    >>> kept.tolist(), ghosts.tolist()
    ([[0, 2, 2, 0, 0, 0]], [[1, 0, 0, 3, 3, 3]])
    """
    cells = check_labels(cells, "cells")
    return _share_out(cells, *_set_aside(cells, params))


def keep_within_limits(
    nuclei: np.ndarray | None, cells: np.ndarray, params: LimitsParams
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Set cells aside by area, as `apply_limits`, and drop their nuclei with them.

    Parameters
    ----------
    nuclei : (H, W) integer array or None
        Nuclei under the ids of their cells.
    cells : (H, W) integer array
        Cells, 0 is background.
    params : LimitsParams
        The limits.

    Returns
    -------
    nuclei : (H, W) int32 or None
        Nuclei of the cells that stay.
    kept, ghosts : (H, W) int32
        As in `apply_limits`.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    Examples
    --------
    >>> keep_within_limits(np.array([[1, 2, 0]]), np.array([[1, 2, 2]]), LimitsParams(min_area=2))[0].tolist()
    [[0, 2, 0]]
    """
    cells = check_labels(cells, "cells")
    numbers, aside = _set_aside(cells, params)
    kept, ghosts = _share_out(cells, numbers, aside)
    if nuclei is None:
        return None, kept, ghosts
    nuclei = check_labels(nuclei, "nuclei")
    check_same_shape({"nuclei": nuclei, "cells": kept})
    if numbers is not cells:
        return np.where(np.isin(nuclei, label_ids(ghosts)), 0, nuclei), kept, ghosts
    source, left = frozen(nuclei), np.empty_like(nuclei)
    by_bands(lambda first, last: _drop(source[first:last], aside, left[first:last]), nuclei.shape)
    return left, kept, ghosts


def _set_aside(cells: np.ndarray, params: LimitsParams) -> tuple[np.ndarray, np.ndarray]:
    """Return cells under numbers that a table can hold, the same array where their ids are, and which go, by number."""
    numbers = cells if fits_table(cells) else contiguous(cells)
    area = areas(numbers)
    top = math.inf if isinstance(params.max_area, str) else params.max_area
    aside = (area > 0) & ((area < params.min_area) | (area > top))
    aside[0] = False
    return numbers, aside


def _share_out(cells: np.ndarray, numbers: np.ndarray, aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells that stay, and those that are set aside."""
    source, by_number = frozen(cells), frozen(numbers)
    kept, ghosts = np.empty_like(cells), np.empty_like(cells)
    by_bands(
        lambda first, last: _share(
            source[first:last], by_number[first:last], aside, kept[first:last], ghosts[first:last]
        ),
        cells.shape,
    )
    return kept, ghosts


@njit(cache=True, nogil=True)
def _share(
    cells: np.ndarray, numbers: np.ndarray, aside: np.ndarray, kept: np.ndarray, ghosts: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Write every pixel of a cell to one of two images, and 0 to the other."""
    height, width = cells.shape
    for y in range(height):
        for x in range(width):
            goes = aside[numbers[y, x]]
            kept[y, x] = 0 if goes else cells[y, x]
            ghosts[y, x] = cells[y, x] if goes else 0


@njit(cache=True, nogil=True)
def _drop(nuclei: np.ndarray, aside: np.ndarray, left: np.ndarray) -> None:  # pragma: no cover - compiled
    """Copy nuclei without those of cells that were set aside."""
    height, width = nuclei.shape
    for y in range(height):
        for x in range(width):
            label = nuclei[y, x]
            left[y, x] = 0 if label < aside.size and aside[label] else label


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    labels = np.ones((1, 1), np.int32)
    keep_within_limits(labels, labels, LimitsParams(min_area=2))
