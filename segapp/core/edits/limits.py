"""Area limits: cells that are too small or too large are set aside, and stay visible as ghosts."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numba import njit

from segapp.core.checks import check_labels, check_same_shape
from segapp.core.label.overlap import areas, contiguous, label_ids
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
    dense = contiguous(cells)
    area = areas(dense)
    top = math.inf if isinstance(params.max_area, str) else params.max_area
    kept, ghosts = np.zeros_like(cells), np.zeros_like(cells)
    _share(cells.ravel(), dense.ravel(), (area >= params.min_area) & (area <= top), kept.ravel(), ghosts.ravel())
    return kept, ghosts


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
    kept, ghosts = apply_limits(cells, params)
    if nuclei is None:
        return None, kept, ghosts
    nuclei = check_labels(nuclei, "nuclei")
    check_same_shape({"nuclei": nuclei, "cells": kept})
    gone = label_ids(ghosts)
    if not len(gone):
        return nuclei.copy(), kept, ghosts
    if int(gone[-1]) > _MOST_IDS:
        return np.where(np.isin(nuclei, gone), 0, nuclei), kept, ghosts
    dropped = np.zeros(int(gone[-1]) + 2, np.bool_)
    dropped[gone] = True  # the last entry stands for all higher ids
    left = np.empty_like(nuclei)
    _drop(nuclei.ravel(), dropped, left.ravel())
    return left, kept, ghosts


_MOST_IDS = 1 << 24


@njit(cache=True, nogil=True)
def _share(
    cells: np.ndarray, dense: np.ndarray, within: np.ndarray, kept: np.ndarray, ghosts: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Write every pixel of a cell to one of two images."""
    for i in range(cells.size):
        if cells[i] != 0:
            if within[dense[i]]:
                kept[i] = cells[i]
            else:
                ghosts[i] = cells[i]


@njit(cache=True, nogil=True)
def _drop(labels: np.ndarray, dropped: np.ndarray, left: np.ndarray) -> None:  # pragma: no cover - compiled
    """Copy labels without those that are dropped."""
    last = dropped.size - 1
    for i in range(labels.size):
        left[i] = 0 if dropped[min(labels[i], last)] else labels[i]


def warm() -> None:
    """Compile the kernels on tiny inputs, writeable and read-only."""
    for writeable in (True, False):
        labels = np.ones((1, 1), np.int32)
        labels.flags.writeable = writeable
        keep_within_limits(labels, labels, LimitsParams(min_area=2))
