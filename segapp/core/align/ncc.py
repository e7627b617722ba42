"""Normalised cross-correlation: how well stain and RNA lie over each other."""

from __future__ import annotations

import numpy as np
from numba import njit

from segapp.core.align.transform import Alignment, bilinear, interpolate_row
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
    mean_f, mean_m = float(fixed.mean(dtype=np.float64)), float(moving.mean(dtype=np.float64))
    n, a, b, aa, bb, ab = _overlap_sums(frozen(fixed), frozen(moving), alignment.nodes, mean_f, mean_m)
    if n == 0:
        return 0.0, 0.0
    cov, var_a, var_b = ab - a * b / n, aa - a * a / n, bb - b * b / n
    # what rounding leaves of a constant image is not structure
    if var_a <= 1e-9 * (aa + n * mean_f**2) or var_b <= 1e-9 * (bb + n * mean_m**2):
        return 0.0, n / fixed.size
    return float(np.clip(cov / np.sqrt(var_a * var_b), -1, 1)), n / fixed.size


def warm() -> None:
    """Compile the kernels of this module."""
    overlap_ncc(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32), Alignment("off", (2, 2)))


@njit(cache=True, nogil=True)
def _overlap_sums(
    fixed: np.ndarray, moving: np.ndarray, nodes: np.ndarray, mean_f: float, mean_m: float
) -> tuple[int, float, float, float, float, float]:
    height, width = fixed.shape
    n_x = nodes.shape[2]
    line = np.empty((2, n_x))
    step = (n_x - 1) / max(width - 1, 1)
    n = 0
    a = b = aa = bb = ab = 0.0
    for row in range(height):
        interpolate_row(nodes, row, height, line)
        for column in range(width):
            at = column * step
            j = min(int(at), n_x - 2)
            w = at - j
            x = (1 - w) * line[0, j] + w * line[0, j + 1]
            y = (1 - w) * line[1, j] + w * line[1, j + 1]
            if -0.5 <= x < moving.shape[1] - 0.5 and -0.5 <= y < moving.shape[0] - 0.5:
                f = fixed[row, column] - mean_f
                m = bilinear(moving, x, y) - mean_m
                n += 1
                a += f
                b += m
                aa += f * f
                bb += m * m
                ab += f * m
    return n, a, b, aa, bb, ab
