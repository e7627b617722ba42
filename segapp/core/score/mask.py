"""From scores to a mask: a threshold, and morphology that takes off single pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from segapp.core.checks import check_image, check_mask, check_same_shape
from segapp.core.morphology import close_open
from segapp.core.params import Params, knob
from segapp.core.threshold import N_BINS, knee_of, knee_or_otsu, otsu, otsu_of
from segapp.core.types import Fitted, ScoreInfo


class ScoreMaskParams(Params):
    """Decide which pixels are occupied."""

    threshold: float | Literal["auto", "knee"] = knob(
        "auto",
        ge=-1.0,
        le=1.0,
        soft=(0.0, 1.0),
        doc="Score from which a pixel is occupied; auto is Otsu's, knee the knee of the cumulative scores. "
        "Higher: smaller, surer areas.",
    )
    mk: int | Literal["auto"] = knob(
        "auto",
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 21),
        doc="Diameter of the closing and opening kernel; auto is k + 2 for EM and VI methods, else k - 2, at least 3. "
        "Larger: smoother, fewer, bigger pieces.",
    )


def default_mk(info: ScoreInfo) -> int:
    """Return the kernel diameter in px that `mk` = auto stands for.

    Examples
    --------
    >>> default_mk(ScoreInfo("EM+BP", 5)), default_mk(ScoreInfo("gauss", 7)), default_mk(ScoreInfo("moran", 3))
    (7, 5, 3)
    """
    fitted = info.method.lower().startswith(("em", "vi"))
    return info.k + 2 if fitted else max(info.k - 2, 3)


def find_threshold(scores: np.ndarray, rule: Literal["auto", "knee"]) -> float:
    """Return the score from which a pixel is occupied.

    Parameters
    ----------
    scores : (H, W) float32
        Scores; where all are the same nothing can be told apart, and the threshold lies just above them.
    rule : "auto" or "knee"
        Otsu's threshold, or the knee of the cumulative scores; where there is no knee, Otsu's, with a warning.
    """
    lowest, highest = float(scores.min()), float(scores.max())
    if not lowest < highest:
        return float(np.nextafter(np.float32(highest), np.float32(np.inf)))
    return knee_or_otsu(scores) if rule == "knee" else otsu(scores)


def fit_threshold(scores: np.ndarray, params: ScoreMaskParams) -> Fitted:
    """Find the threshold of a whole score map.

    Parameters
    ----------
    scores : (H, W) float
        Scores of `apply_score`.
    params : ScoreMaskParams
        Rule, or the threshold itself.

    Returns
    -------
    Fitted
        ``threshold``.

    Examples
    --------
    >>> fit_threshold(np.array([[0.1, 0.9]], np.float32), ScoreMaskParams(threshold=0.5)).statistics
    {'threshold': 0.5}
    """
    if isinstance(params.threshold, float):
        return Fitted({"threshold": params.threshold})
    return Fitted({"threshold": find_threshold(check_image(scores, "scores"), params.threshold)})


def mask_scores(
    scores: np.ndarray,
    info: ScoreInfo,
    certain: np.ndarray | None,
    params: ScoreMaskParams,
    fitted: Fitted | None = None,
) -> tuple[np.ndarray, float]:
    """Cut scores at a threshold, close, open, and keep what is certain.

    Parameters
    ----------
    scores : (H, W) float
        Scores of `apply_score`.
    info : ScoreInfo
        How the scores were made; ``mk="auto"`` depends on it.
    certain : (H, W) bool or None
        Pixels that are occupied whatever their score, such as nuclei.
    params : ScoreMaskParams
        Threshold and kernel. A threshold of 0 is a threshold.
    fitted : Fitted, optional
        What `fit_threshold` found in the whole map, where `scores` is a window of it.

    Returns
    -------
    mask : (H, W) bool
    threshold : float
        The threshold in use.

    Raises
    ------
    InputError
        If shapes differ or scores have NaN.

    Examples
    --------
    >>> scores = np.zeros((9, 9), np.float32)
    >>> scores[2:7, 2:7] = 0.9
    >>> mask, threshold = mask_scores(scores, ScoreInfo("gauss", 5), None, ScoreMaskParams(threshold=0.5))
    >>> int(mask.sum()), threshold
    (21, 0.5)
    """
    scores = check_image(scores, "scores")
    if certain is not None:
        certain = check_mask(certain, "certain")
        check_same_shape({"scores": scores, "certain": certain})
    threshold = float((fit_threshold(scores, params) if fitted is None else fitted).statistics["threshold"])
    mk = default_mk(info) if params.mk == "auto" else params.mk
    mask = close_open(scores >= threshold, mk)
    return (mask if certain is None else mask | certain), threshold


_NONE = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Sketch:
    """Scores of a map in parts: what a threshold needs of them, between the extremes of the whole.

    Parameters
    ----------
    low, high : float32
        Lowest and highest score of the whole map.

    Examples
    --------
    >>> scores = np.random.default_rng(0).random((40, 50), np.float32)
    >>> sketch = Sketch(scores.min(), scores.max())
    >>> parts = [sketch.look(scores[:13]), sketch.look(scores[13:])]
    >>> all(sketch.threshold(parts, rule) == find_threshold(scores, rule) for rule in ("auto", "knee"))
    True
    """

    low: np.float32
    high: np.float32

    def look(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what a part adds: its histogram, and how many scores lie at or below even steps."""
        # of the type of the scores: the edges are then those that numpy finds by itself
        counts, _ = np.histogram(scores, bins=N_BINS, range=(self.low, self.high))  # type: ignore[arg-type]
        steps = np.linspace(self.low, self.high, N_BINS)
        upto = np.searchsorted(np.sort(scores.ravel()), steps, side="right")
        return counts, upto

    def threshold(self, parts: list[tuple[np.ndarray, np.ndarray]], rule: Literal["auto", "knee"]) -> float:
        """Return what `find_threshold` finds in the whole map."""
        if not self.low < self.high:
            return float(np.nextafter(np.float32(self.high), np.float32(np.inf)))
        edges = np.histogram_bin_edges(_NONE, bins=N_BINS, range=(self.low, self.high))  # type: ignore[arg-type]
        counts = np.sum([part for part, _ in parts], axis=0).astype(float)
        centres = (edges[1:] + edges[:-1]) / 2
        if rule == "knee":
            steps = np.linspace(self.low, self.high, N_BINS)
            found = knee_of(steps, np.sum([part for _, part in parts], axis=0))
            if found is not None:
                return found
        return otsu_of(counts, centres)
