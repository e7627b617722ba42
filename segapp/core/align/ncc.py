"""Normalised cross-correlation: how well stain and RNA lie over each other."""

from __future__ import annotations

import numpy as np

from segapp.core._bands import by_bands
from segapp.core.align._sample import overlap_sums
from segapp.core.align.transform import Alignment, Matrix, as_matrix
from segapp.core.checks import check_image, check_mask, check_same_shape, frozen


def ncc(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the normalised cross-correlation of two images.

    Parameters
    ----------
    a, b : (H, W) arrays of any integer or float dtype
        Images.
    mask : (H, W) bool, optional
        Pixels to compare; all by default.

    Returns
    -------
    float
        ``sum((a - mean a)(b - mean b)) / (|a - mean a| |b - mean b|)``, from -1 to 1; 0 where an image is constant.

    Raises
    ------
    InputError
        When an image is not finite and 2-D, or the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.arange(6.0).reshape(2, 3)
    >>> ncc(ramp, 100 - 3 * ramp), ncc(ramp, np.ones((2, 3)))
    (-1.0, 0.0)
    """
    a, b = check_image(a, "a"), check_image(b, "b")
    check_same_shape({"a": a, "b": b, "mask": mask})
    first, second = a.astype(np.float64), b.astype(np.float64)
    if mask is not None:
        inside = check_mask(mask, "mask")
        first, second = first[inside], second[inside]
    if first.size == 0:
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    # a constant image leaves rounding errors behind, not structure
    scale = np.sqrt((first * first).sum()) * np.sqrt((second * second).sum())
    tiny = 1e-12 * max(np.abs(a).max(), 1e-300) * max(np.abs(b).max(), 1e-300) * first.size
    return float(np.clip((first * second).sum() / scale, -1, 1)) if scale > tiny else 0.0


def overlap_ncc(fixed: np.ndarray, moving: np.ndarray, alignment: Alignment) -> tuple[float, float]:
    """Return the normalised cross-correlation of a frame image and a stain moved into the frame.

    Parameters
    ----------
    fixed : (H, W) float32
        Image in the frame.
    moving : (h, w) float32
        Image of the stain.
    alignment : Alignment
        Where the frame lies in the stain.

    Returns
    -------
    ncc : float
        Over the pixels of the frame that the stain covers; 0 where there is nothing to compare.
    overlap : float
        Share of the frame that the stain covers.
    """
    # sums are taken around a value near the mean, so that nothing is lost to rounding
    mean_f, mean_m = (float(image[::4, ::4].mean(dtype=np.float64)) for image in (fixed, moving))
    frame, stain, nodes = frozen(fixed), frozen(moving), alignment.nodes

    def sums(first: int, last: int) -> tuple[int, float, float, float, float, float]:
        return overlap_sums(frame[first:last], stain, nodes, first, len(frame), mean_f, mean_m)

    # twice the width: a pixel is more work than most loops make of it
    bands = by_bands(sums, (len(frame), 2 * frame.shape[1]))
    n, a, b, aa, bb, ab = (sum(column) for column in zip(*bands, strict=True))
    if n == 0:
        return 0.0, 0.0
    cov, var_a, var_b = ab - a * b / n, aa - a * a / n, bb - b * b / n
    # what rounding leaves of a constant image is not structure
    if var_a <= 1e-9 * (aa + n * mean_f**2) or var_b <= 1e-9 * (bb + n * mean_m**2):
        return 0.0, n / fixed.size
    return float(np.clip(cov / np.sqrt(var_a * var_b), -1, 1)), n / fixed.size


class Judge:
    """The NCC of one frame image and one stain under affine maps; each map is judged once.

    Parameters
    ----------
    fixed, moving : float32 arrays
        As for `overlap_ncc`.

    Examples
    --------
    >>> image = np.arange(12, dtype=np.float32).reshape(3, 4)
    >>> Judge(image, -image)(np.eye(2, 3))
    (-1.0, 1.0)
    """

    def __init__(self, fixed: np.ndarray, moving: np.ndarray) -> None:
        self.fixed, self.moving = fixed, moving
        self._known: dict[Matrix, tuple[float, float]] = {}

    def __call__(self, matrix: np.ndarray) -> tuple[float, float]:
        """Return the NCC and the share of the frame that the stain covers, see `overlap_ncc`."""
        key = as_matrix(matrix)
        if key not in self._known:
            shape = (self.fixed.shape[0], self.fixed.shape[1])
            self._known[key] = overlap_ncc(self.fixed, self.moving, Alignment("affine", shape, key))
        return self._known[key]


def warm() -> None:
    """Compile the kernels of this module."""
    image = np.ones((3, 3), np.float32)
    corners = tuple((x, y, x, y) for x in (0.0, 2.0) for y in (0.0, 2.0))
    for alignment in (Alignment("affine", (3, 3)), Alignment("tps", (3, 3), points=corners)):
        overlap_ncc(image, image, alignment)
