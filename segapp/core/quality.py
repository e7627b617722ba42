"""How good labels are: against known cells, and against another labeling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core.checks import check_labels, check_same_shape
from segapp.core.label._meeting import meet
from segapp.core.label.overlap import areas, overlaps

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
    met = meet(truth, labels)
    n_truth, n_labels, shared = len(met.ids_a), len(met.ids_b), met.pixels
    union = met.area_a[met.at_a] + met.area_b[met.at_b] - shared

    matches = [int((20 * shared > (10 + step) * union).sum()) for step in range(len(TAUS))]
    ap = {tau: _ratio(tp, n_truth + n_labels - tp) for tau, tp in zip(TAUS, matches, strict=True)}
    best = np.zeros(n_truth)
    np.maximum.at(best, met.at_a, shared / union)
    tp = matches[0]
    return Comparison(
        ap=ap,
        f1=_ratio(2 * tp, n_truth + n_labels),
        precision=_ratio(tp, n_labels, otherwise=float(n_truth == 0)),
        recall=_ratio(tp, n_truth, otherwise=float(n_labels == 0)),
        mean_iou=_ratio(float(best.sum()), n_truth, otherwise=float(n_labels == 0)),
        n_truth=n_truth,
        n_labels=n_labels,
        tp=tp,
        fp=n_labels - tp,
        fn=n_truth - tp,
    )


def _ratio(part: float, whole: float, otherwise: float = 1.0) -> float:
    return float(part / whole) if whole else otherwise


CHANGES = ("kept", "split", "merged", "lost", "gained")
"""What may have become of a cell; the code of each is its place here plus 1, and 0 is the background."""

_KEPT, _SPLIT, _MERGED, _LOST, _GAINED = range(1, len(CHANGES) + 1)


@dataclass(frozen=True, eq=False)
class LabelDiff:
    """What became of every cell from one labeling to another.

    Parameters
    ----------
    before, after : (largest id + 1,) uint8
        Code of each id of the two labelings, 0 for ids that do not occur. Before: kept, split, merged or lost; after:
        kept, split, merged or gained.
    kept, split, merged, lost, gained : int
        Cells kept; cells that were split; cells that came from several; cells that are gone; cells that are new.
    parts, sources : int
        How many cells the split ones became, and how many the merged ones came from.
    same : int
        Kept cells that have the very same pixels.
    median_iou : float
        Median intersection over union of the kept cells; 0 where none is kept.
    """

    before: np.ndarray
    after: np.ndarray
    kept: int
    split: int
    merged: int
    lost: int
    gained: int
    parts: int
    sources: int
    same: int
    median_iou: float

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells by name of the change."""
        return {name: getattr(self, name) for name in CHANGES}

    def image(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Draw the changes: codes of the cells after, and of lost cells where nothing is now.

        Parameters
        ----------
        before, after : (H, W) integer arrays
            The labelings that were compared, or the same window of both.

        Returns
        -------
        (H, W) uint8
            Codes, 0 is background.
        """
        drawn = self.after[after]
        gone = self.before[before]
        empty = (after == 0) & (gone == _LOST)
        drawn[empty] = _LOST
        return drawn


def diff_labels(before: np.ndarray, after: np.ndarray) -> LabelDiff:
    """Tell what became of every cell from one labeling to another.

    Parameters
    ----------
    before, after : (H, W) integer arrays
        Two labelings of one frame, 0 is background. Any integer dtype, ids may have gaps and need not correspond.

    Returns
    -------
    LabelDiff
        Every cell has one code.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    Notes
    -----
    Two cells belong together when they share more than half of the smaller one. A cell before that belongs to several
    after was split, a cell after that belongs to several before was merged; a pair that belongs together and to
    nothing else is kept, however much its outline moved (`LabelDiff.median_iou` says how much). In a tangle of both,
    a cell counts by its own side: before as split, after as merged.

    Examples
    --------
    >>> before = np.array([[1, 1, 1, 1, 0, 2, 2, 3, 3, 0, 4]])
    >>> after = np.array([[5, 5, 6, 6, 0, 7, 7, 7, 7, 8, 0]])
    >>> diff = diff_labels(before, after)
    >>> diff.counts
    {'kept': 0, 'split': 1, 'merged': 1, 'lost': 1, 'gained': 1}
    >>> diff.image(before, after).tolist()
    [[2, 2, 2, 2, 0, 3, 3, 3, 3, 5, 4]]
    """
    before, after = check_labels(before, "before"), check_labels(after, "after")
    check_same_shape({"before": before, "after": after})
    area_before, area_after = areas(before), areas(after)
    area_before[0] = area_after[0] = 0
    ids_before, ids_after, shared = overlaps(before, after)
    linked = 2 * shared > np.minimum(area_before[ids_before], area_after[ids_after])
    ids_before, ids_after, shared = ids_before[linked], ids_after[linked], shared[linked]
    links_before = np.bincount(ids_before, minlength=len(area_before))
    links_after = np.bincount(ids_after, minlength=len(area_after))
    splits, merges = links_before[ids_before] > 1, links_after[ids_after] > 1

    codes_before = np.where(area_before > 0, _LOST, 0).astype(np.uint8)
    codes_after = np.where(area_after > 0, _GAINED, 0).astype(np.uint8)
    codes_before[ids_before] = np.where(merges, _MERGED, _KEPT)
    codes_after[ids_after] = np.where(splits, _SPLIT, _KEPT)
    codes_before[ids_before[splits]] = _SPLIT
    codes_after[ids_after[merges]] = _MERGED

    pair = ~splits & ~merges
    shared, whole = shared[pair], (area_before[ids_before] + area_after[ids_after])[pair]
    iou = shared / (whole - shared)
    return LabelDiff(
        before=codes_before,
        after=codes_after,
        kept=int(pair.sum()),
        split=int((codes_before == _SPLIT).sum()),
        merged=int((codes_after == _MERGED).sum()),
        lost=int((codes_before == _LOST).sum()),
        gained=int((codes_after == _GAINED).sum()),
        parts=int((codes_after == _SPLIT).sum()),
        sources=int((codes_before == _MERGED).sum()),
        same=int((iou == 1).sum()),
        median_iou=float(np.median(iou)) if iou.size else 0.0,
    )
