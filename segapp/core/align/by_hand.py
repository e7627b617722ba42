"""The stain moved by hand, and how well it lies on the RNA then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segapp.core.align.ncc import overlap_ncc
from segapp.core.align.transform import Alignment, as_matrix, compose
from segapp.core.checks import check_counts, check_image
from segapp.core.convolve import gauss_blur
from segapp.core.params import knob


def shift_knob() -> Any:
    """Declare the parameter that moves the stain by hand."""
    return knob(
        (0.0, 0.0),
        unit="px",
        doc="How far (dx, dy) the stain is moved by hand, after everything else: right and down are positive.",
    )


def measure(stain: np.ndarray, counts: np.ndarray, alignments: Sequence[Alignment], k: int) -> list[float]:
    """Return how well a stain lies on the RNA under each of several alignments.

    Parameters
    ----------
    stain : (h, w) array of any integer or float dtype
        Stain as it lies.
    counts : (H, W) counts
        RNA that marks nuclei, or all RNA.
    alignments : sequence of Alignment
        What to compare.
    k : int
        Diameter in px of the Gaussian that blurs the counts first.

    Returns
    -------
    list of float
        The normalised cross-correlation over the pixels that the stain covers, one for each alignment.

    Raises
    ------
    InputError
        When an array is not 2-D.

    Examples
    --------
    >>> rna = np.zeros((64, 64), np.uint32)
    >>> rna[20, 30] = rna[40, 12] = 9
    >>> stain = np.roll(gauss_blur(rna, 5), 4, 1)
    >>> off = Alignment("off", (64, 64))
    >>> before, after = measure(stain, rna, [off, shifted(off, (-4, 0))], 5)
    >>> before < 0.5, after > 0.99
    (True, True)
    """
    moving = check_image(stain, "stain").astype(np.float32)
    fixed = gauss_blur(check_counts(counts, "counts"), k)
    return [overlap_ncc(fixed, moving, alignment)[0] for alignment in alignments]


def shifted(alignment: Alignment, shift: tuple[float, float]) -> Alignment:
    """Return an alignment that moves the stain on by (dx, dy) px of the frame, right and down.

    Parameters
    ----------
    alignment : Alignment
    shift : (float, float)

    Returns
    -------
    Alignment
        Without the NCC that it had: the place is another.

    Examples
    --------
    >>> shifted(Alignment("off", (9, 9)), (2, 1)).positions(np.array([[5.0, 5.0]])).tolist()
    [[3.0, 4.0]]
    """
    dx, dy = shift
    if not dx and not dy:
        return alignment
    matrix = compose(np.array(alignment.matrix), np.array([[1.0, 0.0, -dx], [0.0, 1.0, -dy]]))
    points = tuple((x + dx, y + dy, u, v) for x, y, u, v in alignment.points)
    return replace(alignment, matrix=as_matrix(matrix), points=points, ncc_before=None, ncc_after=None)
