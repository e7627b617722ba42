"""Where the maker of the counts placed them in a picture: what a header says of it, and how it is found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.resample import COPIES, MATRIX, PICTURE_UM
from segapp.core.types import InputError

_OFF = 0.5
"""Largest distance from the straight grid, in bins, at which places in a picture still say where it lies."""


def placement(column: np.ndarray, row: np.ndarray, at: np.ndarray, factors: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries of a header that say where a grid of bins lies in a picture.

    Parameters
    ----------
    column, row : (N,) int array
        Place of each bin in the grid.
    at : (N, 2) array
        x and y of its centre in px of the picture; bins whose place is not finite are left out.
    factors : mapping
        What ``scalefactors_json.json`` holds: the side of a pixel of the picture, the scales of its smaller copies.

    Returns
    -------
    dict of str to str
        ``StainMatrix`` and what is known of the sizes; empty where the bins lie along one line only, or on no straight
        grid.

    References
    ----------
    .. [1] 10x Genomics, "Spatial outputs" of Space Ranger: tissue_positions and scalefactors_json.json,
       https://www.10xgenomics.com/support

    Examples
    --------
    >>> column, row = np.array([0, 9, 0, 9]), np.array([0, 0, 9, 9])
    >>> at = np.stack([4 + 8 * column, 100 - 8 * row], axis=1)
    >>> placement(column, row, at, {"microns_per_pixel": 0.25})
    {'StainMatrix': '8 0 4 0 -8 100', 'StainMicronsPerPixel': '0.25'}
    """
    known = np.isfinite(at).all(axis=1)
    bins = np.column_stack([column[known], row[known], np.ones(known.sum())]).astype(np.float64)
    if len(bins) < 3 or np.linalg.matrix_rank(bins - [*bins[0, :2], 0]) < 3:
        return {}
    # centred: columns of a section may begin far from 0
    centre = bins.mean(axis=0) * [1, 1, 0]
    found, *_ = np.linalg.lstsq(bins - centre, at[known], rcond=None)
    step = np.sqrt(abs(np.linalg.det(found[:2])))
    if not step or np.abs((bins - centre) @ found - at[known]).max() > _OFF * step:
        return {}
    found[2] -= centre[:2] @ found[:2]
    made = {MATRIX: " ".join(f"{_clean(value):.10g}" for value in found.T.ravel())}
    if factors.get("microns_per_pixel"):
        made[PICTURE_UM] = f"{float(factors['microns_per_pixel']):.10g}"
    for copy in COPIES:
        if factors.get(f"tissue_{copy}_scalef"):
            made[f"StainScale_{copy}"] = f"{float(factors[f'tissue_{copy}_scalef']):.10g}"
    return made


def scale_factors(folder: Path) -> dict[str, Any]:
    """Return what ``scalefactors_json.json`` in a folder holds; empty where there is none.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    file = folder / "scalefactors_json.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}); copy it again, or remove it.") from error
    return found if isinstance(found, dict) else {}


def _clean(value: float) -> float:
    return 0.0 if abs(value) < 1e-9 else value
