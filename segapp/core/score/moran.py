"""Local spatial autocorrelation: a pixel scores by how bright its neighbourhood is, where that is no chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from segapp.core._bands import by_bands
from segapp.core.checks import frozen
from segapp.core.convolve import circle_kernel, gauss_blur_by_bin
from segapp.core.params import knob
from segapp.core.score._moran import BLOCK, TRIAL, largest_in_blocks, powers_of, score_band
from segapp.core.score.gauss import ScoreParams

WHOLE = slice(None), slice(None)
"""All of an image, where a part can be asked for."""

_FEW = 16
"""One of so many blocks may be scored one by one, which is slower, in the search for the largest score."""


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
    blurred = _blurred(counts, bins, params.k)
    survey = _survey(blurred, WHOLE)
    statistics = statistics_of(survey.moments, params)
    return {**statistics, "largest": _largest(blurred, params, statistics, WHOLE, survey)}


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
    return _survey(_blurred(counts, bins, params.k), inside).moments


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
    blurred, r = _blurred(counts, bins, params.k), params.moran_k // 2
    first, last, left, right = _extent(inside, counts.shape)
    around = slice(max(first - r, 0), last + r), slice(max(left - r, 0), right + r)
    return _largest(blurred, params, statistics, inside, _survey(blurred, around))


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
        _score(_blurred(counts, bins, params.k), params, statistics, WHOLE, statistics["largest"], scores)
    return scores


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    counts, bins = np.eye(5, dtype=np.uint32), np.ones((5, 5), np.int32)
    params, numbers = MoranParams(), (0.0, 1.0, 0.0, 0.0)
    for where in (None, bins):
        score_moran(counts, where, params, fit_moran(counts, where, params))
        # small images are not searched
        blurred, nowhere = _blurred(counts, where, params.k), np.zeros((0, 4), np.int64)
        largest_in_blocks(
            blurred.source, blurred.line, blurred.bins, _weights(params), numbers, True, nowhere, np.zeros(0)
        )


@dataclass(frozen=True)
class _Blurred:
    """Blurred counts that are never kept as a whole: a source, and the weights of the line that blurs it."""

    source: np.ndarray
    line: np.ndarray
    bins: np.ndarray | None


def _blurred(counts: np.ndarray, bins: np.ndarray | None, k: int) -> _Blurred:
    if bins is not None:
        return _Blurred(frozen(gauss_blur_by_bin(counts, bins, k)), np.ones(1), frozen(bins))
    # 64 bits: a p-value at the border of significance must not depend on rounding
    return _Blurred(frozen(counts), cv2.getGaussianKernel(k, 0).ravel()[k // 2 :].copy(), None)


@dataclass(frozen=True)
class _Survey:
    """Moments of a part of the blurred counts, and how far they go from `near` in each row of each block of it."""

    moments: Moments
    near: float
    extremes: np.ndarray
    rows: tuple[int, int]
    columns: tuple[int, int]


def _survey(blurred: _Blurred, inside: tuple[slice, slice]) -> _Survey:
    source, bins = blurred.source, blurred.bins
    first, last, left, right = _extent(inside, source.shape)
    n = (last - first) * (right - left) if bins is None else int(np.count_nonzero(bins[inside]))
    extremes = np.zeros((last - first, 2, -(-(right - left) // BLOCK[1])))
    if not n:
        return _Survey(Moments(0, 0.0, 0.0, 0.0, 0.0), 0.0, extremes, (first, last), (left, right))
    # powers are summed around a value near the mean, so that nothing is lost to rounding
    near = _sum(source[inside]) / n

    def powers(top: int, bottom: int) -> tuple[float, ...]:
        sums: tuple[float, ...] = powers_of(
            source, blurred.line, bins, near, (first + top, first + bottom), (left, right), extremes[top:bottom]
        )
        return sums

    bands = by_bands(powers, (last - first, right - left), blurred.line.size)
    s1, s2, s3, s4 = (sum(column) for column in zip(*bands, strict=True))
    d = s1 / n
    moments = Moments(
        n,
        near + d,
        max(s2 - n * d**2, 0.0),
        s3 - 3 * d * s2 + 2 * n * d**3,
        max(s4 - 4 * d * s3 + 6 * d**2 * s2 - 3 * n * d**4, 0.0),
    )
    return _Survey(moments, near, extremes, (first, last), (left, right))


def _sum(image: np.ndarray) -> float:
    if image.dtype.kind == "f":
        return float(image.sum(dtype=np.float64))
    # whole numbers add up to the same in any order
    return float(sum(by_bands(lambda top, bottom: int(image[top:bottom].sum(dtype=np.uint64)), image.shape)))


def _largest(
    blurred: _Blurred, params: MoranParams, statistics: Any, inside: tuple[slice, slice], survey: _Survey
) -> float:
    """Return the largest score before it is scaled: blocks that cannot hold it are not scored."""
    if statistics["deviation"] <= 0:
        return 0.0  # no pixel stands out
    # the more a block sees beyond itself, the fewer are worth it
    few = survey.extremes[:, 0].size // (BLOCK[0] * _FEW * (1 + params.moran_k // BLOCK[1]))
    if few < 2 * TRIAL:
        return _score(blurred, params, statistics, inside, 1.0, None)
    bounds = _bounds(params, statistics, survey)
    order = np.argsort(-bounds, axis=None, kind="stable")[:few]
    i, j = np.unravel_index(order, bounds.shape)
    first, last, left, right = _extent(inside, blurred.source.shape)
    blocks = np.stack([survey.rows[0] + i * BLOCK[0], survey.columns[0] + j * BLOCK[1]], axis=1)
    ends = np.minimum(blocks + BLOCK, [last, right])
    blocks = np.maximum(blocks, [first, left])
    some = (blocks < ends).all(axis=1)
    corners = np.stack([blocks[:, 0], ends[:, 0], blocks[:, 1], ends[:, 1]], axis=1)[some]
    numbers, weights, by_lag = _numbers(params, statistics), _weights(params), params.moran_statistic == "lag"
    largest, seen = largest_in_blocks(
        blurred.source, blurred.line, blurred.bins, weights, numbers, by_lag, corners, bounds.ravel()[order][some]
    )
    # where many blocks are alike, or no score is above 0, all are scored
    return largest if seen < len(corners) and largest > 0 else _score(blurred, params, statistics, inside, 1.0, None)


def _bounds(params: MoranParams, statistics: Any, survey: _Survey) -> np.ndarray:
    """Return what no score of each block is above.

    A neighbourhood's weighted sum is at most its largest deviation times the sum of the weights.
    """
    from scipy.ndimage import maximum_filter, minimum_filter  # late: the program starts sooner

    r, total = params.moran_k // 2, float(moran_kernel(params.moran_k).sum())
    starts = np.arange(0, len(survey.extremes), BLOCK[0])
    size = [2 * -(-r // side) + 1 for side in BLOCK]
    low = minimum_filter(np.minimum.reduceat(survey.extremes[:, 0], starts, axis=0), size)
    high = maximum_filter(np.maximum.reduceat(survey.extremes[:, 1], starts, axis=0), size)
    # outside the bins a deviation is 0
    low, high = (np.stack([side + (survey.near - statistics["mean"]), 0 * side]) for side in (low, high))
    highest, lowest = high.max(axis=0), low.min(axis=0)
    farthest = np.maximum(highest, -lowest)
    if params.moran_statistic == "lag":
        return (highest + 1e-9 * farthest) * total  # a bound allows for the rounding of what it bounds
    bounds: np.ndarray = farthest**2 * (total * (1 + 1e-9) / statistics["variance"])
    return bounds


def _score(
    blurred: _Blurred,
    params: MoranParams,
    statistics: Any,
    inside: tuple[slice, slice],
    scale: float,
    scores: np.ndarray | None,
) -> float:
    """Write the scores over `scale` unless `scores` is None, and return the largest before scaling."""
    weights, numbers = _weights(params), _numbers(params, statistics)
    by_lag = params.moran_statistic == "lag"
    first, last, left, right = _extent(inside, blurred.source.shape)

    def score(top: int, bottom: int) -> float:
        rows, columns = (first + top, first + bottom), (left, right)
        return float(
            score_band(
                blurred.source, blurred.line, blurred.bins, weights, numbers, by_lag, scale, scores, rows, columns
            )
        )

    return max(by_bands(score, (last - first, right - left), params.moran_k // 2 + blurred.line.size))


def _weights(params: MoranParams) -> np.ndarray:
    """Return the weights of the neighbours from the middle to the lower right corner."""
    r = params.moran_k // 2
    return np.ascontiguousarray(moran_kernel(params.moran_k)[r:, r:])


def _numbers(params: MoranParams, statistics: Any) -> tuple[float, float, float, float]:
    """Return mean, variance, and the ends of the band of I that is no more than chance."""
    from scipy.special import ndtri  # late: the program starts sooner

    reach = float(-ndtri(params.moran_p_threshold / 2)) * statistics["deviation"]
    return statistics["mean"], statistics["variance"], statistics["expected"] - reach, statistics["expected"] + reach


def _extent(inside: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    first, last, _ = inside[0].indices(shape[0])
    left, right, _ = inside[1].indices(shape[1])
    return first, last, left, right
