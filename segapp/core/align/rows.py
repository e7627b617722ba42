"""Some rows of a moved stain at a time: exactly those that `warp` gives, for stains too large to hold."""

from __future__ import annotations

import numpy as np

from segapp.core.align._sample import sample_linear
from segapp.core.align.transform import Alignment
from segapp.core.checks import frozen

_MARGIN = 3


def rows_needed(alignment: Alignment, height: int, first: int, last: int) -> tuple[int, int]:
    """Return the rows of the stain (first, end) that rows `first` to `last` of the frame need.

    Parameters
    ----------
    alignment : Alignment
        Where the frame lies in the stain.
    height : int
        Rows of the stain.
    first, last : int
        Rows of the frame, half-open.

    Examples
    --------
    >>> rows_needed(Alignment("affine", (100, 100), ((1, 0, 0), (0, 1, 5))), 100, 10, 20)
    (12, 28)
    """
    width = alignment.shape[1]
    if alignment.points:
        n = alignment.nodes.shape[1] - 1
        scale = n / max(alignment.shape[0] - 1, 1)
        y = alignment.nodes[1, int(first * scale) : int((last - 1) * scale) + 2]
    else:
        rows, columns = np.array([first, first, last - 1, last - 1]), np.array([0, width - 1, 0, width - 1])
        y = alignment.positions(np.stack([columns, rows], -1))[:, 1]
    top, bottom = int(np.floor(y.min())) - _MARGIN, int(np.ceil(y.max())) + _MARGIN + 1
    top = min(max(top, 0), height - 1)
    return top, max(min(bottom, height), top + 1)


def warp_rows(
    image: np.ndarray, top: int, shape: tuple[int, int], alignment: Alignment, first: int, last: int
) -> np.ndarray:
    """Move rows of a stain into rows of the frame, bilinear.

    Parameters
    ----------
    image : (n, w) uint8 or uint16 array
        Rows of the stain from `top` on, all columns; those that `rows_needed` names.
    top : int
        First of these rows.
    shape : (int, int)
        Height and width of the whole stain.
    alignment : Alignment
        Where the frame lies in the stain.
    first, last : int
        Rows of the frame, half-open.

    Returns
    -------
    (last - first, W) array
        The same dtype; rows `first` to `last` of what `warp` gives.

    Examples
    --------
    >>> moved = Alignment("affine", (2, 3), ((1, 0, 1), (0, 1, 0)))
    >>> warp_rows(np.array([[0, 5, 5]], np.uint8), 1, (2, 3), moved, 1, 2).tolist()
    [[5, 5, 0]]
    """
    width = alignment.shape[1]
    pixels = image.astype(np.float32)
    moved = np.zeros((last - first, width), np.float32)
    sample_linear(frozen(pixels), top, shape[0], alignment.nodes, first, alignment.shape[0], moved)
    return np.rint(moved, out=moved).astype(image.dtype)


def warm() -> None:
    """Compile the kernels of this module."""
    bent = Alignment("tps", (2, 2), points=((0, 0, 0, 0), (1, 0, 1, 0), (0, 1, 0, 1)))
    warp_rows(np.ones((2, 2), np.uint8), 0, (2, 2), bent, 0, 2)
