"""Local spatial autocorrelation: a pixel scores by how bright its neighbourhood is, where that is no chance."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from scipy.stats import norm

from segapp.core.convolve import circle_kernel, gauss_blur_by_bin
from segapp.core.params import knob
from segapp.core.score.gauss import ScoreParams


class MoranParams(ScoreParams):
    """Local Moran statistic of the blurred counts."""

    method: Literal["moran"] = knob("moran", doc="How pixels are scored: local spatial autocorrelation.")
    moran_k: int = knob(
        7, unit="px", odd=True, ge=3, le=99, soft=(3, 21), doc="Diameter of the neighbourhood. Larger: smoother scores."
    )
    moran_p_threshold: float = knob(
        0.05,
        ge=0.0,
        le=1.0,
        soft=(0.0, 0.2),
        doc="Pixels with a p-value from this on score 0. Lower: fewer, surer cells.",
    )
    moran_statistic: Literal["lag", "I"] = knob(
        "lag",
        doc="lag: the neighbourhood's weighted sum of deviations, low in the background. "
        "I: local Moran's I, which is high in even background too.",
    )


def moran_kernel(k: int) -> np.ndarray:
    """Return the Gaussian weights of the neighbours within a circle of diameter `k` px, 0 in the middle."""
    line = cv2.getGaussianKernel(k, 0)
    kernel = (line @ line.T) * circle_kernel(k)
    kernel[k // 2, k // 2] = 0
    return kernel


def fit_moran(counts: np.ndarray, bins: np.ndarray | None, params: MoranParams) -> dict[str, Any]:
    """Return the moments of the blurred counts and the largest statistic: all that a window cannot know by itself.

    Parameters
    ----------
    counts : (H, W) uint32
        UMIs a pixel.
    bins : (H, W) int32 or None
        Density bins; pixels of bin 0 are left out.
    params : MoranParams
        Settings.

    Returns
    -------
    dict
        mean, variance, expected and deviation of I under no autocorrelation, and largest statistic; floats.
    """
    blurred = _blurred(counts, bins, params.k)
    inside = blurred.ravel() if bins is None else blurred[bins > 0]
    kernel = moran_kernel(params.moran_k)
    n = inside.size
    mean = float(inside.sum() / n) if n else 0.0
    z = inside - mean
    squared = z * z
    m2 = float(squared.sum() / n) if n else 0.0
    statistics = {"mean": mean, "variance": m2, "expected": 0.0, "deviation": 0.0, "largest": 0.0}
    if n < 3 or m2 <= 1e-12 * max(mean**2, 1e-300):
        return statistics
    b2 = float(np.vdot(squared, squared) / n) / m2**2
    total, squares = float(kernel.sum()), float((kernel**2).sum())
    variance = squares * (n - b2) / (n - 1) + total**2 * (2 * b2 - n) / ((n - 1) * (n - 2)) - total**2 / (n - 1) ** 2
    statistics["expected"] = -total / (n - 1)
    statistics["deviation"] = float(np.sqrt(variance)) if variance > 0 else 0.0
    scores = _statistic(blurred, bins, params, statistics)
    statistics["largest"] = float(scores.max())
    return statistics


def score_moran(counts: np.ndarray, bins: np.ndarray | None, params: MoranParams, statistics: Any) -> np.ndarray:
    """Score pixels by the local Moran statistic, the largest of the whole image being 1.

    Parameters
    ----------
    counts, bins, params
        As for `fit_moran`.
    statistics : mapping
        What `fit_moran` returned for the whole image.

    Returns
    -------
    (H, W) float32
        0 where p >= `moran_p_threshold` (two-sided, normal approximation) and in bin 0; may be negative.

    Notes
    -----
    ``lag`` is c = sum_j w_ij z_j with z the deviations from the mean; ``I`` is z_i c_i / m2. Significance is that of
    I in both cases.

    References
    ----------
    Anselin (1995), Local indicators of spatial association, Geographical Analysis 27, 93-115.

    Examples
    --------
    >>> counts = np.zeros((40, 40), np.uint32)
    >>> counts[15:22, 15:22] = 9
    >>> scores = score_moran(counts, None, MoranParams(), fit_moran(counts, None, MoranParams()))
    >>> float(scores.max()), float(scores[0, 0])
    (1.0, 0.0)
    """
    scores = _statistic(_blurred(counts, bins, params.k), bins, params, statistics)
    largest = statistics["largest"]
    return (scores / largest if largest > 0 else np.zeros_like(scores)).astype(np.float32)


def _statistic(blurred: np.ndarray, bins: np.ndarray | None, params: MoranParams, statistics: Any) -> np.ndarray:
    if statistics["deviation"] <= 0:
        return np.zeros(blurred.shape)
    z = blurred - statistics["mean"]
    if bins is not None:
        z[bins == 0] = 0  # outside says nothing about its neighbours
    lag = cv2.filter2D(z, cv2.CV_64F, moran_kernel(params.moran_k), borderType=cv2.BORDER_REFLECT)
    moran = np.multiply(z, lag, out=z)
    moran /= statistics["variance"]
    cut = float(norm.isf(params.moran_p_threshold / 2)) * statistics["deviation"]
    chance = (moran <= statistics["expected"] + cut) & (moran >= statistics["expected"] - cut)
    scores = lag if params.moran_statistic == "lag" else moran
    scores[chance if bins is None else chance | (bins == 0)] = 0
    return scores


def _blurred(counts: np.ndarray, bins: np.ndarray | None, k: int) -> np.ndarray:
    # 64 bits: a p-value at the border of significance must not depend on rounding
    if bins is not None:
        return gauss_blur_by_bin(counts, bins, k).astype(np.float64)
    exact = counts.astype(np.float64)
    return exact if k == 1 else cv2.GaussianBlur(exact, (k, k), 0)
