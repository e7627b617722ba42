"""Area limits: cells that are too small or too large are set aside, and stay visible as ghosts."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

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
    area = np.take(areas(contiguous(cells)), contiguous(cells))
    top = math.inf if isinstance(params.max_area, str) else params.max_area
    within = (area >= params.min_area) & (area <= top)
    return np.where(within, cells, 0), np.where(within, 0, cells)


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
    return np.where(np.isin(nuclei, label_ids(ghosts)), 0, nuclei), kept, ghosts
