"""Labels against a truth in every statistic of the field: pixels, clusters, objects, and what chance gives."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np

from segapp.core.checks import check_counts, check_labels, check_same_shape
from segapp.core.label.overlap import areas, contiguous, overlaps
from segapp.core.params import Params, knob
from segapp.core.qc import SEED, random_labels
from segapp.core.quality import TAUS
from segapp.core.types import InputError


class CompareParams(Params):
    """Compare labels with a truth, and with labels of the same sizes that lie anywhere."""

    umi_pixels_only: bool = knob(True, doc="Look only at pixels that hold a UMI.")
    random_background: bool = knob(True, doc="Compute the statistics of scattered pixels too, as a floor.")
    ap_taus: tuple[float, ...] = knob(TAUS, doc="Intersections over union above which two labels match.")
    seed: int | Literal["off"] = SEED


def segmentation_statistics(
    truth: np.ndarray, labels: np.ndarray, *, counts: np.ndarray | None, taus: Sequence[float] = TAUS
) -> dict[str, float]:
    """Compare labels with a truth pixel by pixel, as clusters of pixels, and as objects.

    Parameters
    ----------
    truth, labels : (H, W) integer arrays
        0 is background. Any integer dtype, ids may have gaps.
    counts : (H, W) counts or None
        Pixels with a UMI are looked at; all of them without.
    taus : sequence of float
        Intersections over union above which an average precision is wanted.

    Returns
    -------
    dict of str to float
        Rates of pixels (of unlabelled pixels: true negative, false positive; of labelled ones: false negative, true
        positive), precision, accuracy, F1; adjusted Rand score, homogeneity, completeness and V measure of the pixels
        labelled in both; average precision TP / (TP + FP + FN) of objects at each tau. Nothing compared with nothing
        agrees, nothing compared with something scores 0; there is never a NaN.

    Raises
    ------
    InputError
        When an array is no label image, the shapes differ, or a tau is not from 0.5 to 1: below that, one object could
        match two.

    References
    ----------
    Hubert and Arabie, "Comparing partitions", Journal of Classification 2, 1985. Rosenberg and Hirschberg, "V-measure:
    a conditional entropy-based external cluster evaluation measure", EMNLP 2007.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 0, 9, 9]])
    >>> found = segmentation_statistics(truth, np.array([[4, 4, 0, 0, 0, 6]]), counts=None, taus=(0.5,))
    >>> found["Precision"], found["Adjusted rand score"], found["Average precision (0.50)"]
    (1.0, 1.0, 0.3333333333333333)
    """
    truth, labels = check_labels(truth, "truth"), check_labels(labels, "labels")
    check_same_shape({"truth": truth, "labels": labels, "counts": counts})
    if any(not 0.5 <= tau <= 1 for tau in taus):
        raise InputError(f"ap_taus={tuple(taus)} cannot be used: each one is an intersection over union from 0.5 to 1.")
    looked = np.ones(truth.shape, bool) if counts is None else check_counts(counts, "counts") > 0
    return _statistics(truth, labels, looked, taus)


def random_statistics(
    truth: np.ndarray, labels: np.ndarray, *, counts: np.ndarray | None, taus: Sequence[float], seed: int | None
) -> dict[str, float]:
    """Compute `segmentation_statistics` of labels scattered over the pixels looked at: what chance would score.

    Parameters
    ----------
    truth, labels, counts, taus
        As for `segmentation_statistics`.
    seed : int or None
        Seed of the scatter.

    Returns
    -------
    dict of str to float
    """
    truth, labels = check_labels(truth, "truth"), check_labels(labels, "labels")
    looked = np.ones(truth.shape, bool) if counts is None else check_counts(counts, "counts") > 0
    seen = contiguous(np.where(looked, labels, 0))
    scattered = np.zeros(truth.shape, np.int32)
    scattered[looked] = random_labels((int(looked.sum()),), areas(seen)[1:], seed=seed)
    return segmentation_statistics(truth, scattered, counts=counts, taus=taus)


def _statistics(truth: np.ndarray, labels: np.ndarray, looked: np.ndarray, taus: Sequence[float]) -> dict[str, float]:
    truth, labels = (contiguous(np.where(looked, array, 0)) for array in (truth, labels))
    ids_truth, ids_labels, shared = overlaps(truth, labels)
    area_truth, area_labels = areas(truth), areas(labels)
    n_looked = int(looked.sum())
    positive, found, tp = int(area_truth[1:].sum()), int(area_labels[1:].sum()), int(shared.sum())
    negative, fp, fn = n_looked - positive, found - tp, positive - tp
    tn = negative - fp
    union = area_truth[ids_truth] + area_labels[ids_labels] - shared
    n_objects = len(area_truth) + len(area_labels) - 2
    homogeneity, completeness = _entropy_scores(ids_truth, ids_labels, shared)
    statistics = {
        "True negative": _ratio(tn, negative, 1.0),
        "False positive": _ratio(fp, negative, 0.0),
        "False negative": _ratio(fn, positive, 0.0),
        "True positive": _ratio(tp, positive, float(found == 0)),
        "Precision": _ratio(tp, found, float(positive == 0)),
        "Accuracy": _ratio(tp + tn, n_looked, 1.0),
        "F1 score": _ratio(2 * tp, positive + found, 1.0),
        "Adjusted rand score": _rand_score(ids_truth, ids_labels, shared, float(n_objects == 0)),
        "Homogeneity": homogeneity if tp else float(n_objects == 0),
        "Completeness": completeness if tp else float(n_objects == 0),
        "V measure": _ratio(2 * homogeneity * completeness, homogeneity + completeness, 0.0)
        if tp
        else float(n_objects == 0),
    }
    for tau in taus:
        # whole numbers: an intersection over union of exactly tau is no match, whatever the rounding of floats
        limit = Fraction(float(tau)).limit_denominator(10_000)
        matched = int((shared * limit.denominator > limit.numerator * union).sum())
        statistics[f"Average precision ({tau:.2f})"] = _ratio(matched, n_objects - matched, 1.0)
    return statistics


def _rand_score(a: np.ndarray, b: np.ndarray, shared: np.ndarray, otherwise: float) -> float:
    """Adjusted Rand score of two clusterings given by their table; the numbers are too large for 64 bits."""
    n = int(shared.sum())
    if n == 0:
        return otherwise
    within = sum(int(v) ** 2 for v in shared)
    rows, columns = (sum(int(v) ** 2 for v in np.bincount(ids, shared).astype(np.int64)) for ids in (a, b))
    both, only_a, only_b = within - n, rows - within, columns - within
    neither = n * n - within - only_a - only_b
    if only_a == 0 and only_b == 0:
        return 1.0
    whole = (both + only_a) * (only_a + neither) + (both + only_b) * (only_b + neither)
    return float(Fraction(2 * (both * neither - only_a * only_b), whole))


def _entropy_scores(a: np.ndarray, b: np.ndarray, shared: np.ndarray) -> tuple[float, float]:
    """Homogeneity and completeness of clusters `b` against classes `a`."""
    if not len(shared):
        return 0.0, 0.0
    n = float(shared.sum())
    of_a, of_b = np.bincount(a, shared), np.bincount(b, shared)
    entropy_a, entropy_b = (-float((p * np.log(p)).sum()) for p in (of_a[of_a > 0] / n, of_b[of_b > 0] / n))
    information = float((shared / n * np.log(shared * n / (of_a[a] * of_b[b]))).sum())
    return _ratio(information, entropy_a, 1.0), _ratio(information, entropy_b, 1.0)


def _ratio(part: float, whole: float, otherwise: float) -> float:
    return float(part / whole) if whole else otherwise
