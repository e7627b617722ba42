"""Smooth random fields, quantised so that the same seed gives the same tissue on every machine."""

from __future__ import annotations

import numpy as np


def quantise(values: np.ndarray | float, steps: int = 1024) -> np.ndarray:
    """Round to multiples of 1 / `steps`: the last bits of a sum or an exponential differ between machines.

    Examples
    --------
    >>> quantise(np.array([0.3333333333]), 8)
    array([0.375])
    """
    return np.rint(np.asarray(values) * steps) / steps


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> np.ndarray:
    """Return a Gaussian random field of mean 0 and standard deviation about 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws; their number depends on `shape` and `scale` alone.
    shape : (int, int)
        Height and width in px.
    scale : float
        Distance in px between independent values; blobs are about this size.

    Returns
    -------
    field : shape float64
        Multiples of 1/1024.

    Notes
    -----
    A coarse grid of normal draws is interpolated by uniform cubic B-splines, separably and elementwise: no Fourier
    transform and no matrix product whose order of summation depends on the machine.
    """
    axes = [_spline_weights(n, scale) for n in shape]
    rows, cols = (int(start.max()) + 4 for start, _ in axes)
    grid = quantise(rng.standard_normal((rows, cols)))
    (row, row_w), (col, col_w) = axes
    tall = np.zeros((shape[0], cols))
    for k in range(4):
        tall += row_w[k][:, None] * grid[row + k]
    out = np.zeros(shape)
    for k in range(4):
        out += col_w[k][None, :] * tall[:, col + k]
    # mean square of the spline weights over a cell is 0.479 per axis
    return quantise(out / 0.479)


def _spline_weights(n: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(n) / scale
    start = at.astype(int)
    t = at - start
    weights = (
        np.stack(
            [
                (1 - t) ** 3,
                3 * t**3 - 6 * t**2 + 4,
                -3 * t**3 + 3 * t**2 + 3 * t + 1,
                t**3,
            ]
        )
        / 6
    )
    return start, weights
