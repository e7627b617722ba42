"""Thresholds found in the histogram of an image, and a threshold that follows the local background."""

from __future__ import annotations

import cv2
import numpy as np

from segapp.core.checks import check_image, check_odd
from segapp.core.notes import note
from segapp.core.types import InputError

N_BINS = 256
"""Most bins of a histogram; multi-Otsu costs their square."""

_KNEE_CLIP = 5
_MOST_WHOLE_BINS = 2**16


def otsu(values: np.ndarray) -> float:
    """Return Otsu's threshold: the cut that makes the variance between two classes largest.

    Parameters
    ----------
    values : array of any shape, integer or float dtype
        Whole-number dtypes are counted one bin a value (up to 65,536 values), floats in 256 bins.

    Returns
    -------
    float
        Values above it are the upper class. For floats it is the centre of a bin.

    Raises
    ------
    InputError
        When `values` is empty, constant, or holds NaN or infinity.

    References
    ----------
    Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979).

    Examples
    --------
    >>> otsu(np.array([1, 1, 2, 2, 8, 9, 9]))
    2.0
    """
    return otsu_of(*_histogram(_check_values(values), _MOST_WHOLE_BINS))


def otsu_of(counts: np.ndarray, centres: np.ndarray) -> float:
    """Return Otsu's threshold of a histogram; what `otsu` does once it has counted.

    Parameters
    ----------
    counts : (N,) float64
        Values in each bin; the first and the last bin hold some.
    centres : (N,) float64
        What the bins stand for, ascending.

    Examples
    --------
    >>> otsu_of(np.array([2.0, 2.0, 0.0, 3.0]), np.array([1.0, 2.0, 3.0, 9.0]))
    2.0
    """
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    mass = np.cumsum(counts * centres)
    difference = mass[:-1] / below - (mass[-1] - mass[:-1]) / above
    return float(centres[np.argmax(below * above * difference**2)])


def multi_otsu(image: np.ndarray, classes: int) -> tuple[float, ...]:
    """Return the thresholds that split a histogram into `classes` with the largest variance between them.

    Parameters
    ----------
    image : array of any shape, integer or float dtype
        Integers that span at most 256 values are counted one bin a value, all else in 256 bins.
    classes : int
        Number of classes, 2 or more.

    Returns
    -------
    tuple of float
        ``classes - 1`` thresholds, ascending; the class above threshold t holds values > t.

    Raises
    ------
    InputError
        When `image` has fewer different values than classes, or holds NaN or infinity.

    Notes
    -----
    Exact, by dynamic programming over the last threshold: `classes` x 256² steps. Equally good cuts (inside a gap
    of the histogram) resolve to the lowest.

    References
    ----------
    Liao, Chen and Chung, A fast algorithm for multilevel thresholding, J. Inf. Sci. Eng. 17 (2001).

    Examples
    --------
    >>> multi_otsu(np.array([10, 10, 11, 90, 91, 91, 200, 201]), 3)
    (11.0, 91.0)
    """
    if classes < 2:
        raise InputError(f"`classes` is {classes} but at least 2 are needed to have a threshold.")
    return multi_otsu_of(*_histogram(_check_values(image), N_BINS), classes)


def multi_otsu_of(counts: np.ndarray, centres: np.ndarray, classes: int) -> tuple[float, ...]:
    """Return the thresholds of a histogram; what `multi_otsu` does once it has counted.

    Parameters
    ----------
    counts : (N,) float64
        Values in each of at most 256 bins; the first and the last bin hold some.
    centres : (N,) float64
        What the bins stand for, ascending.
    classes : int
        Number of classes, 2 or more.

    Raises
    ------
    InputError
        When fewer bins than classes hold values.

    Examples
    --------
    >>> multi_otsu_of(np.array([2.0, 1.0, 0.0, 3.0, 2.0]), np.array([1.0, 2.0, 3.0, 8.0, 9.0]), 2)
    (2.0,)
    """
    full = np.flatnonzero(counts)
    if full.size < classes:
        raise InputError(
            f"the image has {full.size} different levels but {classes} classes are asked for; ask for fewer classes."
        )
    if full.size == classes:
        return tuple(float(value) for value in centres[full[:-1]])
    weight = np.concatenate([[0.0], np.cumsum(counts / counts.sum())])
    mass = np.concatenate([[0.0], np.cumsum(counts / counts.sum() * np.arange(counts.size))])
    # gain[i, j]: what one class of the bins i .. j - 1 adds to the variance between classes
    spans = weight[None, :] - weight[:, None]
    masses = mass[None, :] - mass[:, None]
    gain = np.full(spans.shape, -np.inf)
    np.divide(np.square(masses, out=masses), spans, out=gain, where=spans > 0)
    best = gain[:, -1]
    cuts = []
    for _ in range(classes - 1):
        total = gain + best[None, :]
        cut = np.argmax(total, axis=1)
        cuts.append(cut)
        best = total[np.arange(total.shape[0]), cut]
    start, thresholds = 0, []
    for cut in reversed(cuts):
        start = int(cut[start])
        thresholds.append(float(centres[start - 1]))
    return tuple(thresholds)


def knee(values: np.ndarray) -> float | None:
    """Return the knee of the cumulative distribution, or None where it has none.

    Parameters
    ----------
    values : array of any shape, integer or float dtype
        Whole numbers are taken value by value, others at 256 even steps.

    Returns
    -------
    float or None
        The value at which the share of values below it stops rising steeply. The lowest 5 steps are left out, since
        zeros would always win.

    Raises
    ------
    InputError
        When `values` is empty or holds NaN or infinity.

    References
    ----------
    Satopaa et al., Finding a "Kneedle" in a haystack, ICDCSW (2011); sensitivity 1, concave and rising.

    Examples
    --------
    >>> knee(np.repeat(np.arange(40), np.maximum(1, 2000 // 2 ** np.arange(40))))
    9.0
    >>> knee(np.array([3, 3, 3])) is None
    True
    """
    ordered = np.sort(_check_values(values, constant=True))
    if ordered.dtype.kind == "f" and not np.array_equal(ordered, np.rint(ordered)):
        x = np.linspace(ordered[0], ordered[-1], N_BINS)
    else:
        # as floats once more: the largest integers have neighbours that no float tells apart
        x = np.unique(ordered[np.append(True, ordered[1:] != ordered[:-1])].astype(float))
    return knee_of(x, np.searchsorted(ordered, x, side="right"))


def knee_of(x: np.ndarray, upto: np.ndarray) -> float | None:
    """Return the knee of a cumulative distribution; what `knee` does once it has counted.

    Parameters
    ----------
    x : (N,) float64
        Values, ascending.
    upto : (N,) int64
        How many values are at most that; the last one is all of them.

    Examples
    --------
    >>> knee_of(np.arange(40.0), np.cumsum(np.maximum(1, 2000 // 2 ** np.arange(40))))
    9.0
    """
    y = upto / upto[-1]
    x, y = x[_KNEE_CLIP:], y[_KNEE_CLIP:]
    if x.size < 3 or y[0] == y[-1]:
        return None
    place = _kneedle((x - x[0]) / (x[-1] - x[0]), (y - y[0]) / (y[-1] - y[0]))
    return None if place is None else float(x[place])


def knee_or_otsu(values: np.ndarray) -> float:
    """Return the knee; where there is none, Otsu's threshold with a warning.

    Parameters
    ----------
    values : array of any shape, integer or float dtype
        As `knee`.

    Returns
    -------
    float

    Raises
    ------
    InputError
        As `otsu`.

    Warns
    -----
    UserWarning
        When Otsu's threshold stands in.
    """
    found = knee(values)
    if found is not None:
        return found
    note("the distribution has no knee; Otsu's threshold is used in its place", stacklevel=2)
    return otsu(values)


def local_threshold(image: np.ndarray, k: int, offset: float) -> np.ndarray:
    """Return where pixels exceed the Gaussian mean of their surroundings by more than `offset`.

    Parameters
    ----------
    image : (H, W) array of any integer or float dtype
        Intensities.
    k : int
        Odd diameter of the surroundings in px, at least 3.
    offset : float
        In the unit of `image`. Larger: stricter.

    Returns
    -------
    (H, W) bool array
        The border repeats the edge pixel. The mean of an 8-bit image is rounded to whole levels.

    Raises
    ------
    InputError
        When `image` is not a finite 2-D image, or `k` is even or 1.

    Examples
    --------
    >>> local_threshold(np.array([[10, 10, 60, 10, 10]], np.uint8), 3, 5)
    array([[False, False,  True, False, False]])
    """
    image = check_image(image, "image")
    if check_odd(k, "k") < 3:
        raise InputError("`k` is 1 but the surroundings of a pixel need a diameter of at least 3 px; try 3 or 5.")
    if image.dtype == np.uint8:
        kept = cv2.adaptiveThreshold(image, 1, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, k, -offset)
        return kept.astype(bool)
    values = image.astype(np.float32)
    mean = cv2.GaussianBlur(values, (k, k), 0, borderType=cv2.BORDER_REPLICATE)
    return values - mean > offset


def _check_values(values: np.ndarray, *, constant: bool = False) -> np.ndarray:
    array = check_image(np.reshape(values, (1, -1)), "values")[0]
    if not constant and array.min() == array.max():
        raise InputError(
            f"every value is {array[0]:g}: a constant image has no threshold; check that it is the right one."
        )
    return array


def _histogram(values: np.ndarray, most_whole_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (float64) and the values they stand for."""
    if values.dtype.kind == "f":
        counts, edges = _even_bins(values)
        return counts.astype(float), (edges[1:] + edges[:-1]) / 2
    low, high = int(values.min()), int(values.max())
    if high - low >= most_whole_bins:
        counts, edges = np.histogram(values, bins=N_BINS)
        return counts.astype(float), (edges[1:] + edges[:-1]) / 2
    if values.dtype == np.uint8 and values.size < 1 << 24:  # its counts are float32
        counts = cv2.calcHist([values], [0], None, [256], [0, 256]).ravel()[low : high + 1]
    elif low >= 0 and high < _MOST_WHOLE_BINS:
        counts = np.bincount(values.astype(np.intp, copy=False))[low:]
    else:
        counts = np.bincount(values.astype(np.int64) - low)
    return counts.astype(float), np.arange(low, high + 1, dtype=float)


def _even_bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and edges of `N_BINS` bins; numbers too close for their own precision are taken in a finer one."""
    for dtype in (values.dtype, np.float64):
        try:
            return np.histogram(values.astype(dtype, copy=False), bins=N_BINS)
        except ValueError:
            continue
    raise InputError(
        f"every value is {values.flat[0]:g} or as good as that: a constant image has no threshold; check that it is "
        "the right one."
    )


def _kneedle(x: np.ndarray, y: np.ndarray) -> int | None:
    """Return the index of the first knee of a rising concave curve, both axes scaled to [0, 1]."""
    above = y - x
    padded = np.concatenate([above[:1], above, above[-1:]])
    peaks = (above >= padded[:-2]) & (above >= padded[2:])
    valleys = (above <= padded[:-2]) & (above <= padded[2:])
    drop = np.abs(np.diff(x)).mean()
    found: int | None = None
    level = 0.0
    for i in range(int(np.argmax(peaks)), x.size - 1) if peaks.any() else ():
        if peaks[i]:
            found, level = i, above[i] - drop
        if valleys[i]:
            # the curve rises again: only a fall below the diagonal still counts
            level = 0.0
        if above[i + 1] < level:
            return found
    return None
