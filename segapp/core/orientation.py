"""The eight ways that an image may lie: turned by quarters, mirrored, rows and columns swapped."""

from __future__ import annotations

from typing import Literal

import numpy as np

from segapp.core.types import InputError

Orientation = Literal["keep", "rot90", "rot180", "rot270", "flip-x", "flip-y", "transpose", "anti-transpose"]


def orient(image: np.ndarray, orientation: str) -> np.ndarray:
    """Turn an image by one of the eight symmetries of the square.

    Parameters
    ----------
    image : (H, W) array
        Any dtype.
    orientation : str
        One of ``keep``, ``rot90`` (anticlockwise), ``rot180``, ``rot270``, ``flip-x`` (left and right swap),
        ``flip-y`` (top and bottom swap), ``transpose``, ``anti-transpose``.

    Returns
    -------
    array
        (H, W), or (W, H) for the four that swap rows and columns; C-contiguous.

    Raises
    ------
    InputError
        For another word.

    Examples
    --------
    >>> import numpy as np
    >>> orient(np.array([[1, 2], [3, 4]]), "flip-x").tolist()
    [[2, 1], [4, 3]]
    """
    if orientation not in ORIENTATIONS:
        raise InputError(f"orientation={orientation} is not known; choose one of {', '.join(ORIENTATIONS)}")
    swap, flip_y, flip_x = ORIENTATIONS[orientation]
    out = image.T if swap else image
    return np.ascontiguousarray(out[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def turned(orientation: str, step: str) -> str:
    """Return the orientation that equals `orientation` followed by `step`; both are words that `orient` takes.

    Examples
    --------
    >>> turned("keep", "rot90"), turned("rot90", "rot270"), turned("flip-x", "rot90")
    ('rot90', 'keep', 'transpose')
    """
    tile = np.array([[0, 1], [2, 3]])
    wanted = orient(orient(tile, orientation), step)
    return next(name for name in ORIENTATIONS if np.array_equal(orient(tile, name), wanted))


def turn_points(points: np.ndarray, shape: tuple[int, ...], step: str) -> np.ndarray:
    """Return where points of an image lie after `orient`.

    Parameters
    ----------
    points : (N, 2) array
        Positions (x, y) in px; centres of pixels are whole numbers.
    shape : (H, W)
        Of the image before.
    step : str
        Orientation.

    Returns
    -------
    (N, 2) float64

    Examples
    --------
    >>> turn_points(np.array([[2.0, 0.0]]), (2, 3), "rot90").tolist()
    [[0.0, 0.0]]
    """
    swap, flip_y, flip_x = ORIENTATIONS[step]
    height, width = shape[:2]
    x, y = np.asarray(points, np.float64).T
    if swap:
        x, y, height, width = y, x, width, height
    return np.stack([width - 1 - x if flip_x else x, height - 1 - y if flip_y else y], -1)


ORIENTATIONS = {
    "keep": (False, False, False),
    "rot90": (True, True, False),
    "rot180": (False, True, True),
    "rot270": (True, False, True),
    "flip-x": (False, False, True),
    "flip-y": (False, True, False),
    "transpose": (True, False, False),
    "anti-transpose": (True, True, True),
}
"""Each orientation as (swap rows and columns, then flip rows, then flip columns)."""
