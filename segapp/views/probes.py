"""What the histograms show and what their lines set: one class a kind of threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from segapp.core.display import label_areas
from segapp.core.histogram import MAX_BINS, Histogram, count_outside, histogram, share_from, whole_histogram
from segapp.core.params import knobs
from segapp.core.score.mask import find_threshold
from segapp.core.stain import to_8_bit
from segapp.core.threshold import multi_otsu
from segapp.views.histogram import PARKED, Line, Mark

AREA_BINS = 120
"""Bins of cell areas: cells are few, and finer bins would be a comb."""

LEAST_REACH = 16.0
"""Area in px² that the histogram of areas shows at least."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What a histogram is drawn from.

    Parameters
    ----------
    histogram : Histogram
    values : array
        What was counted; exact shares are taken from it.
    words : mapping of str to float
        The values that words such as ``auto`` stand for.
    cuts : tuple of float
        Otsu's levels of a stain.
    """

    histogram: Histogram
    values: np.ndarray
    words: Mapping[str, float] = field(default_factory=dict)
    cuts: tuple[float, ...] = field(default=())


class Probe(Protocol):
    """A histogram whose lines are parameters of one stage."""

    stage: str
    title: str
    doc: str
    source: str
    mask: str
    unit: str
    log: bool
    back: str

    def measure(self, values: np.ndarray, params: Any, known: float | None) -> Measured:
        """Count; may take long. `known` is the threshold that the stage found, where it did."""

    def again(self, params: Any) -> Any:
        """Return what of the parameters the counting depends on."""

    def lines(self, params: Any, measured: Measured) -> tuple[list[Line], list[Mark]]:
        """Return the lines and marks for parameters."""

    def patch(self, line: str, value: float, measured: Measured) -> dict[str, Any]:
        """Return the parameters that a moved line stands for."""

    def note(self, params: Any, measured: Measured, mask: np.ndarray | None) -> str:
        """Say in words what the lines keep; `mask` is what the stage made, None while it is being computed."""

    def automatic(self, params: Any, measured: Measured) -> tuple[dict[str, Any], str]:
        """Return the parameters of "back to auto", empty where they hold, and what that stands for in words."""


class ScoreProbe:
    """Scores of pixels, and the threshold of their mask."""

    unit = ""
    log = True
    back = "Back to auto"

    def __init__(self, stage: str, title: str, source: str, mask: str, what: str) -> None:
        self.stage, self.title, self.source, self.mask = stage, title, source, mask
        self.what = what
        self.doc = (
            f"Pixels right of the line belong to {what}. Drag the line, or focus it and press the arrow keys. "
            "To the right: smaller, surer areas."
        )

    def again(self, params: Any) -> Any:
        """Only the word is looked at: its value comes from the stage."""
        return params.threshold if isinstance(params.threshold, str) else ""

    def measure(self, values: np.ndarray, params: Any, known: float | None) -> Measured:
        """Count scores; probabilities keep one scale, so that places mean the same after every change."""
        found = histogram(values, bins=MAX_BINS, low=0.0, high=1.0)
        if found.below or found.above:
            found = histogram(values, bins=MAX_BINS)
        words = {params.threshold: known} if known is not None and isinstance(params.threshold, str) else {}
        for word in {"auto", self.again(params)} - {"", *words}:
            words[word] = find_threshold(values, word)
        return Measured(found, values, words)

    def lines(self, params: Any, measured: Measured) -> tuple[list[Line], list[Mark]]:
        """Return the threshold; the automatic one beside it where another holds."""
        knob = next(knob for knob in knobs(type(params)) if knob.name == "threshold")
        low, high = float(knob.ge or 0), float(knob.le if knob.le is not None else 1)
        auto = measured.words["auto"]
        value, text = self.threshold(params, measured), ""
        if isinstance(params.threshold, str):
            text = f"{params.threshold} {value:.3g}"
        line = Line("threshold", f"Threshold of the {self.title.lower()}", knob.doc, value, low, high, 0.01, text=text)
        marks = [] if params.threshold == "auto" else [Mark(auto, f"auto {auto:.3g}")]
        return [line], marks

    def threshold(self, params: Any, measured: Measured) -> float:
        """Return the threshold in use as a number."""
        if isinstance(params.threshold, str):
            return measured.words.get(params.threshold, measured.words["auto"])
        return float(params.threshold)

    def patch(self, line: str, value: float, measured: Measured) -> dict[str, Any]:
        """Return the threshold."""
        return {"threshold": round(value, 4)}

    def note(self, params: Any, measured: Measured, mask: np.ndarray | None) -> str:
        """Say how many pixels reach the threshold, and how many the smoothed mask has."""
        share = share_from(measured.values, self.threshold(params, measured))
        covered = "…" if mask is None else f"; after smoothing, the mask of {self.what} covers {_share(mask):.1%}"
        return f"{share:.1%} of the pixels reach the line{covered}"

    def automatic(self, params: Any, measured: Measured) -> tuple[dict[str, Any], str]:
        """Otsu's threshold."""
        return ({} if params.threshold == "auto" else {"threshold": "auto"}), f"auto: {measured.words['auto']:.3g}"


class StainProbe:
    """Brightness of the stain, and the cut between Otsu's classes that ends the background."""

    source = "stain"
    unit = ""
    log = True
    back = "Back to auto"

    def __init__(self, stage: str, title: str, mask: str, what: str) -> None:
        self.stage, self.title, self.mask, self.what = stage, title, mask, what
        self.doc = (
            "Otsu's method finds the levels that divide the brightness into classes; the line stands on the one that "
            f"ends the background. Further right: only brighter {what}. More classes (in the card) give more levels."
        )

    def again(self, params: Any) -> Any:
        """Return the number of classes: it moves the cuts."""
        return params.otsu_classes

    def measure(self, values: np.ndarray, params: Any, known: float | None) -> Measured:
        """Count the 256 levels that the mask is cut from."""
        levels = to_8_bit(values)
        cuts = multi_otsu(levels, params.otsu_classes)
        return Measured(histogram(levels, bins=256, low=0, high=256), levels, cuts=cuts)

    def lines(self, params: Any, measured: Measured) -> tuple[list[Line], list[Mark]]:
        """Return the chosen cut, which stands on one of the levels, and the others."""
        cuts, index = measured.cuts, min(params.otsu_index, len(measured.cuts) - 1)
        knob = next(knob for knob in knobs(type(params)) if knob.name == "otsu_index")
        line = Line("otsu_index", f"Cut of the {self.title.lower()}", knob.doc, cuts[index], 0, 255, 1, stops=cuts,
                    text=f"level {index}: {cuts[index]:.0f}")  # fmt: skip
        return [line], [Mark(cut, f"level {i}: {cut:.0f}") for i, cut in enumerate(cuts) if i != index]

    def patch(self, line: str, value: float, measured: Measured) -> dict[str, Any]:
        """Return the cut nearest to the line."""
        return {"otsu_index": int(np.argmin(np.abs(np.subtract(measured.cuts, value))))}

    def note(self, params: Any, measured: Measured, mask: np.ndarray | None) -> str:
        """Say how many pixels are bright enough, and how many the mask has in the end."""
        index = min(params.otsu_index, len(measured.cuts) - 1)
        share = share_from(measured.values, measured.cuts[index])
        covered = "…" if mask is None else f"; the mask of {self.what} covers {_share(mask):.1%}"
        return f"{share:.1%} of the pixels are as bright as level {index}{covered}"

    def automatic(self, params: Any, measured: Measured) -> tuple[dict[str, Any], str]:
        """Otsu's levels follow the stain by themselves."""
        return {}, "levels found: " + ", ".join(f"{cut:.0f}" for cut in measured.cuts)


class AreaProbe:
    """Areas of the cells found, and the limits within which they are kept."""

    stage = "limits"
    title = "Cell areas"
    source = "edited_cells"
    mask = "ghosts"
    unit = "px²"
    log = False
    back = "No limits"
    doc = (
        "Cells between the two lines are kept; the others are set aside and stay visible as ghosts. Drag the upper "
        "line out at the right end to switch it off."
    )

    def again(self, params: Any) -> Any:
        """Return how far the picture must reach: a line outside is drawn inside."""
        return max(params.min_area, 0 if isinstance(params.max_area, str) else params.max_area)

    def measure(self, values: np.ndarray, params: Any, known: float | None) -> Measured:
        """Count the areas in bins of whole px."""
        area = label_areas(values)
        area = area[area > 0]
        usual = float(np.percentile(area, 99)) if area.size else 100.0
        # room to the right of the lines, so that they can be dragged on
        reach = max(usual, self.again(params), LEAST_REACH) * 1.25
        return Measured(whole_histogram(area, bins=AREA_BINS, reach=reach), area)

    def lines(self, params: Any, measured: Measured) -> tuple[list[Line], list[Mark]]:
        """Return both limits."""
        low, high = knobs(type(params))
        top = PARKED if isinstance(params.max_area, str) else float(params.max_area)
        lines = [
            Line("min_area", "Smallest area", low.doc, params.min_area, float(low.ge or 0), float(low.le or 0), 1),
            Line("max_area", "Largest area", high.doc, top, float(high.ge or 0), PARKED, 1, keep="to", off=True),
        ]
        return lines, [Mark(float(np.median(measured.values)), "median")] if len(measured.values) else []

    def patch(self, line: str, value: float, measured: Measured) -> dict[str, Any]:
        """Return the limit; a line that is parked is off."""
        return {line: "off" if line == "max_area" and value >= PARKED else round(value)}

    def note(self, params: Any, measured: Measured, mask: np.ndarray | None) -> str:
        """Say how many cells are kept and why the others are not."""
        area = measured.values
        small, large = count_outside(area, params.min_area, PARKED if params.max_area == "off" else params.max_area)
        beyond = f", {measured.histogram.above} lie right of the picture" if measured.histogram.above else ""
        kept = max(len(area) - small - large, 0)
        return f"{kept:,} of {len(area):,} cells kept: {small:,} too small, {large:,} too large{beyond}"

    def automatic(self, params: Any, measured: Measured) -> tuple[dict[str, Any], str]:
        """No limits."""
        start = type(params)()
        return ({} if params == start else start.model_dump()), ""


def _share(mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask)) / mask.size


PROBES: Mapping[str, Probe] = {
    probe.stage: probe
    for probe in (
        ScoreProbe("cell_mask", "Cell score", "cell_scores", "cell_mask", "cells"),
        ScoreProbe("nuclei_rna_mask", "Nuclear RNA score", "nuclei_scores", "rna_nuclei_mask", "nuclei"),
        AreaProbe(),
        StainProbe("nuclei_mask", "Stain: nuclei", "nuclei_mask", "nuclei"),
        StainProbe("cytoplasm", "Stain: cytoplasm", "cytoplasm_mask", "cytoplasm"),
    )
}
"""Stage whose parameters the lines are -> histogram, in the order in which they are offered."""

THRESHOLDS = {"cell_mask": "cell_threshold", "nuclei_rna_mask": "rna_nuclei_threshold"}
"""Artefact in which a stage gives the threshold in use."""
