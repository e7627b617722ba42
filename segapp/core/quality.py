"""How good labels are: against known cells, and against another labeling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core.checks import check_labels, check_same_shape
from segapp.core.label.overlap import areas, contiguous, overlaps

TAUS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""The thresholds of intersection over union at which average precision is reported."""


@dataclass(frozen=True)
class Comparison:
    """Agreement of labels with the truth.

    Parameters
    ----------
    ap : dict of float to float
        Average precision TP / (TP + FP + FN) at each threshold 0.50, 0.55, ..., 0.95 of intersection over union.
    f1, precision, recall : float
        At threshold 0.5.
    mean_iou : float
        Mean over the true objects of their best intersection over union, 0 where nothing overlaps.
    n_truth, n_labels : int
        Number of objects.
    tp, fp, fn : int
        Matched, superfluous and missed objects at threshold 0.5.
    """

    ap: dict[float, float]
    f1: float
    precision: float
    recall: float
    mean_iou: float
    n_truth: int
    n_labels: int
    tp: int
    fp: int
    fn: int

    @property
    def ap50(self) -> float:
        """Average precision at threshold 0.5."""
        return self.ap[TAUS[0]]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON-serialisable values; thresholds are text such as ``"0.50"``."""
        names = ("f1", "precision", "recall", "mean_iou", "n_truth", "n_labels", "tp", "fp", "fn")
        return {
            "ap": {f"{tau:.2f}": ap for tau, ap in self.ap.items()},
            **{name: getattr(self, name) for name in names},
        }


def compare_labels(truth: np.ndarray, labels: np.ndarray) -> Comparison:
    """Match labels with true objects and count what agrees.

    Parameters
    ----------
    truth : (H, W) integer array
        True objects, 0 is background. Any integer dtype, ids may have gaps.
    labels : (H, W) integer array
        Objects found, likewise.

    Returns
    -------
    Comparison
        Nothing found where there is something, or something where there is nothing, scores 0; nothing found
        where nothing is scores 1. There is never a NaN.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    Notes
    -----
    Two objects match when their intersection over union is above the threshold. From 0.5 upwards no object can
    match two others, so no assignment has to be solved. Thresholds are compared in whole numbers: an
    intersection over union of exactly 0.55 does not match at 0.55, whatever the rounding of floats.

    References
    ----------
    Caicedo et al., "Nucleus segmentation across imaging experiments", Nature Methods 16, 2019.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 5, 5]])
    >>> compare_labels(truth, np.array([[9, 9, 0, 0, 0]])).ap50
    0.5
    >>> compare_labels(truth, truth.astype(np.uint16)).f1
    1.0
    """
    truth, labels = check_labels(truth, "truth"), check_labels(labels, "labels")
    check_same_shape({"truth": truth, "labels": labels})
    truth, labels = contiguous(truth), contiguous(labels)
    ids_truth, ids_labels, shared = overlaps(truth, labels)
    area_truth, area_labels = areas(truth), areas(labels)
    n_truth, n_labels = len(area_truth) - 1, len(area_labels) - 1
    union = area_truth[ids_truth] + area_labels[ids_labels] - shared

    matches = [int((20 * shared > (10 + step) * union).sum()) for step in range(len(TAUS))]
    ap = {tau: _ratio(tp, n_truth + n_labels - tp) for tau, tp in zip(TAUS, matches, strict=True)}
    best = np.zeros(n_truth + 1)
    np.maximum.at(best, ids_truth, shared / union)
    tp = matches[0]
    return Comparison(
        ap=ap,
        f1=_ratio(2 * tp, n_truth + n_labels),
        precision=_ratio(tp, n_labels, otherwise=float(n_truth == 0)),
        recall=_ratio(tp, n_truth, otherwise=float(n_labels == 0)),
        mean_iou=_ratio(float(best[1:].sum()), n_truth, otherwise=float(n_labels == 0)),
        n_truth=n_truth,
        n_labels=n_labels,
        tp=tp,
        fp=n_labels - tp,
        fn=n_truth - tp,
    )


def _ratio(part: float, whole: float, otherwise: float = 1.0) -> float:
    return float(part / whole) if whole else otherwise
