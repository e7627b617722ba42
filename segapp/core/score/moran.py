"""Local spatial autocorrelation: a pixel scores by how bright its neighbourhood is, where that is no chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core._stencil import weigh_row
from segapp.core.checks import frozen
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


@dataclass(frozen=True)
class Moments:
    """Number, mean, and sums of the powers of the deviations from it, of pixels within density bins.

    Two of them add up without the loss that sums of plain powers suffer (Pebay 2008, SAND2008-6212).

    Parameters
    ----------
    n : int
        Number of pixels.
    mean : float
        Mean of the blurred counts.
    squares, cubes, fourths : float
        Sums of the second to fourth powers of the deviations.

    Examples
    --------
    >>> both = Moments(1, 1.0, 0.0, 0.0, 0.0) + Moments(1, 3.0, 0.0, 0.0, 0.0)
    >>> both.mean, both.squares, both.fourths
    (2.0, 2.0, 2.0)
    """

    n: int
    mean: float
    squares: float
    cubes: float
    fourths: float

    def __add__(self, other: Moments) -> Moments:
        n = self.n + other.n
        if not self.n or not other.n:
            return self if self.n else other
        d, p, q = other.mean - self.mean, self.n / n, other.n / n
        return Moments(
            n,
            self.mean + d * q,
            self.squares + other.squares + d**2 * n * p * q,
            self.cubes + other.cubes + d**3 * n * p * q * (p - q) + 3 * d * (p * other.squares - q * self.squares),
            self.fourths
            + other.fourths
            + d**4 * n * p * q * (p * p - p * q + q * q)
            + 6 * d**2 * (p * p * other.squares + q * q * self.squares)
            + 4 * d * (p * other.cubes - q * self.cubes),
        )


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
    z = _blurred(counts, bins, params.k)
    statistics = statistics_of(_moments(z, bins), params)
    largest = _score(z, bins, params, statistics, 1.0, None) if statistics["deviation"] > 0 else 0.0
    return {**statistics, "largest": largest}


def moments_of(
    counts: np.ndarray, bins: np.ndarray | None, params: MoranParams, inside: tuple[slice, slice]
) -> Moments:
    """Return the moments of the blurred counts in a part of an image, as they add up to those of the whole.

    Parameters
    ----------
    counts, bins, params
        As for `fit_moran`, with what the blur sees around `inside`.
    inside : pair of slices
        The part.
    """
    z = np.ascontiguousarray(_blurred(counts, bins, params.k)[inside])
    return _moments(z, None if bins is None else bins[inside])


def largest_of(
    counts: np.ndarray,
    bins: np.ndarray | None,
    params: MoranParams,
    statistics: Any,
    inside: tuple[slice, slice],
) -> float:
    """Return the largest statistic of a part of an image, before it is scaled.

    Parameters
    ----------
    counts, bins, params
        As for `fit_moran`, with what the method sees around `inside`.
    statistics : mapping
        What `statistics_of` returned for the whole image.
    inside : pair of slices
        The part.
    """
    if statistics["deviation"] <= 0:
        return 0.0  # no pixel stands out
    scores = np.zeros(counts.shape)
    _score_counts(counts, bins, params, statistics, 1.0, scores)
    return float(scores[inside].max())


def statistics_of(moments: Moments, params: MoranParams) -> dict[str, Any]:
    """Return the numbers of the whole image from its moments; the largest statistic, which needs them, is 0 yet."""
    kernel = moran_kernel(params.moran_k)
    n, mean = moments.n, moments.mean
    m2 = moments.squares / n if n else 0.0
    statistics = {"mean": mean, "variance": m2, "expected": 0.0, "deviation": 0.0, "largest": 0.0}
    if n < 3 or m2 <= 1e-12 * max(mean**2, 1e-300):
        return statistics
    b2 = moments.fourths / n / m2**2
    total, squares = float(kernel.sum()), float((kernel**2).sum())
    variance = squares * (n - b2) / (n - 1) + total**2 * (2 * b2 - n) / ((n - 1) * (n - 2)) - total**2 / (n - 1) ** 2
    statistics["expected"] = -total / (n - 1)
    statistics["deviation"] = float(np.sqrt(variance)) if variance > 0 else 0.0
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
    scores = np.zeros(counts.shape, np.float32)
    if statistics["deviation"] > 0 and statistics["largest"] > 0:
        _score_counts(counts, bins, params, statistics, statistics["largest"], scores)
    return scores


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    counts, bins = np.eye(5, dtype=np.uint32), np.ones((5, 5), np.int32)
    for where in (None, bins):
        score_moran(counts, where, MoranParams(), fit_moran(counts, where, MoranParams()))


Rows = Callable[[int, int], np.ndarray]


def _score(
    z: np.ndarray,
    bins: np.ndarray | None,
    params: MoranParams,
    statistics: Any,
    scale: float,
    scores: np.ndarray | None,
) -> float:
    """Write the scores over `scale` unless `scores` is None, and return the largest before scaling."""
    return _score_rows_of(lambda top, bottom: z[top:bottom], z.shape, bins, params, statistics, scale, scores)


def _score_counts(
    counts: np.ndarray,
    bins: np.ndarray | None,
    params: MoranParams,
    statistics: Any,
    scale: float,
    scores: np.ndarray,
) -> None:
    """Do the same from counts, whose deviations are worked out band by band and never kept as a whole."""
    blurred = _blurred_rows(counts, bins, params.k)
    mean, where = statistics["mean"], None if bins is None else frozen(bins)

    def deviations(top: int, bottom: int) -> np.ndarray:
        z = blurred(top, bottom)
        _centre_pixels(z.ravel(), None if where is None else where[top:bottom].ravel(), mean)
        return z

    _score_rows_of(deviations, counts.shape, bins, params, statistics, scale, scores)


def _score_rows_of(
    deviations: Rows,
    shape: tuple[int, ...],
    bins: np.ndarray | None,
    params: MoranParams,
    statistics: Any,
    scale: float,
    scores: np.ndarray | None,
) -> float:
    r, height = params.moran_k // 2, shape[0]
    from scipy.special import ndtri  # late: the program starts sooner

    reach = float(-ndtri(params.moran_p_threshold / 2)) * statistics["deviation"]
    band = statistics["expected"] - reach, statistics["expected"] + reach
    weights = np.ascontiguousarray(moran_kernel(params.moran_k)[r:, r:])
    by_lag, variance = params.moran_statistic == "lag", statistics["variance"]
    where = None if bins is None else frozen(bins)

    def score(first: int, last: int) -> float:
        top, bottom = max(first - r, 0), min(last + r, height)
        here = None if where is None else where[first:last]
        out = None if scores is None else scores[first:last]
        z = deviations(top, bottom)
        return float(_score_rows(z, here, weights, variance, band, by_lag, scale, out, first - top, last - top))

    return max(by_bands(score, shape, r + params.k // 2))


def _blurred(counts: np.ndarray, bins: np.ndarray | None, k: int) -> np.ndarray:
    blurred, rows = np.empty(counts.shape), _blurred_rows(counts, bins, k)

    def blur(first: int, last: int) -> None:
        blurred[first:last] = rows(first, last)

    by_bands(blur, counts.shape, k // 2)
    return blurred


def _blurred_rows(counts: np.ndarray, bins: np.ndarray | None, k: int) -> Rows:
    """Return a function of the first row and the row after the last that returns blurred counts as new float64."""
    # 64 bits: a p-value at the border of significance must not depend on rounding
    if bins is not None:
        whole = gauss_blur_by_bin(counts, bins, k)
        return lambda first, last: whole[first:last].astype(np.float64)
    height, r = len(counts), k // 2

    def rows(first: int, last: int) -> np.ndarray:
        top, bottom = max(first - r, 0), min(last + r, height)
        exact: np.ndarray = counts[top:bottom].astype(np.float64)
        if k > 1:
            exact = cv2.GaussianBlur(exact, (k, k), 0)
        return np.ascontiguousarray(exact[first - top : last - top])

    return rows


def _moments(z: np.ndarray, bins: np.ndarray | None) -> Moments:
    """Return the moments of `z`, and leave the deviations from its mean there."""
    n = z.size if bins is None else int(np.count_nonzero(bins))
    mean = float(z.ravel().sum() / n) if n else 0.0
    return Moments(n, mean, *_centre(z, bins, mean))


def _centre(z: np.ndarray, bins: np.ndarray | None, mean: float) -> tuple[float, float, float]:
    """Take the mean from `z`, in place, and return the sums of the second to fourth powers; outside is 0."""
    flat, width = z.ravel(), z.shape[1]  # a view
    where = None if bins is None else frozen(bins).ravel()

    def centre(first: int, last: int) -> tuple[float, float, float]:
        here = slice(first * width, last * width)
        return _centre_pixels(flat[here], None if where is None else where[here], mean)

    squares, cubes, fourths = (sum(column) for column in zip(*by_bands(centre, z.shape), strict=True))
    return squares, cubes, fourths


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _centre_pixels(z: np.ndarray, bins: np.ndarray | None, mean: float) -> tuple[float, float, float]:
    squares = cubes = fourths = 0.0
    for i in range(z.size):
        z[i] -= mean
        if bins is not None and bins[i] == 0:
            z[i] = 0.0  # outside says nothing about its neighbours
        squared = z[i] * z[i]
        squares += squared
        cubes += squared * z[i]
        fourths += squared * squared
    return squares, cubes, fourths


@njit(cache=True, nogil=True, error_model="numpy")
def _score_rows(
    z: np.ndarray,
    bins: np.ndarray | None,
    weights: np.ndarray,
    variance: float,
    band: tuple[float, float],
    by_lag: bool,
    scale: float,
    scores: np.ndarray | None,
    first: int,
    last: int,
) -> float:
    width = z.shape[1]
    lag, pair = np.empty(width), np.empty(width + 2 * weights.shape[0] - 2)
    line = np.empty(width)
    largest = -np.inf
    for i in range(last - first):
        y = first + i
        weigh_row(z, y, weights, pair, lag)
        _significant(z[y], lag, variance, band[0], band[1], by_lag, line)
        if bins is not None:
            for x in range(width):
                if bins[i, x] == 0:
                    line[x] = 0.0
        largest = max(largest, _largest(line))
        if scores is not None:
            for x in range(width):
                scores[i, x] = line[x] / scale
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _significant(
    z: np.ndarray, lag: np.ndarray, variance: float, low: float, high: float, by_lag: bool, line: np.ndarray
) -> None:
    for x in range(line.size):
        moran = z[x] * lag[x] / variance
        score = lag[x] if by_lag else moran
        line[x] = 0.0 if low <= moran <= high else score


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc"})
def _largest(line: np.ndarray) -> float:
    largest = line[0]
    for x in range(line.size):
        largest = max(largest, line[x])
    return largest
