"""Numbers of a whole chip, gathered tile by tile: each stage that fits has one `Gather`.

A gather looks at the core of each tile and returns what adds up; when it has seen them all it settles, with the same
function of the core as the fit of a whole image. One that needs a second look (the histogram of scores between their
extremes) asks for another round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from segapp.core import density, score, squares, tiling
from segapp.core import stain as stain_core
from segapp.core.label import nuclei_rna
from segapp.core.score.range import WHOLE, Range
from segapp.core.tiling import Box
from segapp.core.types import Fitted, ScoreInfo
from segapp.pipeline.chip.evaluate import Evaluation
from segapp.pipeline.chip.network import NetworkGather
from segapp.pipeline.chip.source import Source
from segapp.pipeline.stage import Choice
from segapp.pipeline.stages import PIPELINE

MOST_ROUNDS = 40
"""Rounds of belief propagation at most. Each is a pixel that windows have to be larger; where messages do not settle by
then they swing, and further rounds move few scores."""

SAMPLED = 9
"""Tiles on which the rounds of belief propagation are counted."""


class Gather(Protocol):
    """How the numbers of one stage are found."""

    stage: str
    needs: tuple[str, ...]

    def wants(self, core: Box, records: int) -> bool:
        """Whether to look at a tile in this round."""

    def look(self, seen: Evaluation) -> Any:
        """Return what the core of a tile adds."""

    def settle(self, parts: Iterable[Any], params: Any) -> Any | None:
        """Return the numbers of the stage, or None for another round."""


class DensityGather:
    """UMIs in the squares of the density bins."""

    stage = "density"
    needs: tuple[str, ...] = ("total",)

    def __init__(self, source: Source) -> None:
        self.shape = source.shape

    def wants(self, core: Box, records: int) -> bool:
        """All tiles that hold records."""
        return records > 0

    def look(self, seen: Evaluation) -> Any:
        """Return the squares of a tile and their sums."""
        params: Any = seen.source.params["density"]
        return squares.part_sums(seen.core("total"), density.grain(params), *seen.window.core[:2])

    def settle(self, parts: Iterable[Any], params: Any) -> Any:
        """Add up and divide into regions."""
        size = density.grain(params)
        sums = np.zeros(tuple(-(-side // size) for side in self.shape))
        for row, column, part in parts:
            sums[row : row + part.shape[0], column : column + part.shape[1]] += part
        return density.fit_squares(sums, self.shape, params)


class CutGather:
    """Histogram of the stain."""

    needs: tuple[str, ...] = ("stain",)

    def __init__(self, source: Source, stage: str) -> None:
        self.stage = stage
        assert source.chip.stain is not None
        self.dtype = np.dtype(source.chip.stain["dtype"])

    def wants(self, core: Box, records: int) -> bool:
        """All tiles: a stain goes beyond the RNA."""
        return True

    def look(self, seen: Evaluation) -> Any:
        """Return the histogram of a tile, as long as its brightest pixel needs."""
        return np.bincount(seen.core("stain").ravel())

    def settle(self, parts: Iterable[Any], params: Any) -> Any:
        """Add up and cut."""
        whole = np.zeros(1 << 16, np.int64)
        for part in parts:
            whole[: len(part)] += part
        return stain_core.fit_cut_of(whole, self.dtype, params)


class ScoreGather:
    """Histograms of sums over circles, then the rounds of belief propagation on a few tiles."""

    def __init__(self, source: Source, stage: str) -> None:
        self.stage = stage
        self.counts = "nuclear" if stage == "nuclei_score" else "total"
        density_params: Any = source.params["density"]
        self.binned = stage == "cell_score" and density_params.method != "off"
        self.needs: tuple[str, ...] = (self.counts, "bins") if self.binned else (self.counts,)
        params = source.params[stage]
        self.range = Range(params) if getattr(params, "method", "") in WHOLE else None
        self.info: ScoreInfo | None = None
        self.sampled: frozenset[Box] = frozenset()

    def choose(self, tiles: list[tuple[Box, int]]) -> None:
        """Choose the tiles on which rounds are counted: spread evenly over those with much RNA."""
        self.sampled = tiling.spread_over(tiles, SAMPLED)

    def wants(self, core: Box, records: int) -> bool:
        """All tiles at first, then the sampled ones."""
        return self.info is None or core in self.sampled

    def _images(self, seen: Evaluation) -> tuple[np.ndarray, np.ndarray | None]:
        return seen.get(self.counts), seen.get("bins") if self.binned else None

    def look(self, seen: Evaluation) -> Any:
        """Return the histograms of a tile, or the rounds it takes."""
        counts, bins = self._images(seen)
        params: Any = seen.source.params[self.stage]
        if self.info is None:
            if self.range is not None:
                return self.range.look(counts, bins, seen.window.inside)
            return score.count_sums(counts, bins, params, seen.window.inside)
        rounds = 0

        def count(done: int, total: int) -> None:
            nonlocal rounds
            rounds = done + 1

        inside = seen.window.inside
        score.apply_score(counts[inside], None if bins is None else bins[inside], None, params, self.info, count)
        return rounds

    def settle(self, parts: Iterable[Any], params: Any) -> Any | None:
        """Fit the mixtures, then freeze the most rounds that a tile took."""
        found = list(parts)
        if self.info is not None:
            statistics = {**self.info.statistics, "rounds": min(math.ceil(sum(found) / len(found)), MOST_ROUNDS)}
            return ScoreInfo(self.info.method, self.info.k, statistics)
        if self.range is not None:
            return self.range.settle(found)
        histograms: dict[str, np.ndarray] = {}
        for part in found:
            for name, row in part.items():
                known = histograms.get(name, np.zeros(0, np.int64))
                longer, shorter = (known, row) if len(known) >= len(row) else (row, known)
                histograms[name] = longer.copy()
                histograms[name][: len(shorter)] += shorter
        ordered = {name: histograms[name] for name in sorted(histograms, key=int)}
        info = score.fit_histograms(ordered, params, by_bin=self.binned)
        if not params.method.endswith("+BP"):
            return info
        self.info = info
        return None


class ThresholdGather:
    """Extremes of the scores, then their histogram between these."""

    def __init__(self, source: Source, stage: str) -> None:
        self.stage = stage
        self.scores = "nuclei_scores" if stage == "nuclei_rna_mask" else "cell_scores"
        self.needs: tuple[str, ...] = (self.scores,)
        self.sketch: score.Sketch | None = None

    def wants(self, core: Box, records: int) -> bool:
        """All tiles."""
        return True

    def look(self, seen: Evaluation) -> Any:
        """Return what a tile adds to the sketch."""
        scores = seen.core(self.scores)
        return (scores.min(), scores.max()) if self.sketch is None else self.sketch.look(scores)

    def settle(self, parts: Iterable[Any], params: Any) -> Any | None:
        """Find the threshold once the histogram is there."""
        if isinstance(params.threshold, float):
            return Fitted({"threshold": params.threshold})
        found = list(parts)
        if self.sketch is None:
            self.sketch = score.Sketch(min(low for low, _ in found), max(high for _, high in found))
            if self.sketch.low < self.sketch.high:
                return None
            found = []
        return Fitted({"threshold": self.sketch.threshold(found, params.threshold)})


class PeaksGather:
    """Means of the counts, for nuclei as discs over a background; other methods need nothing of the whole."""

    stage = "nuclei_rna"

    def __init__(self, source: Source) -> None:
        self.pixels = source.shape[0] * source.shape[1]
        self.peaks = getattr(source.params[self.stage], "method", "") == "peaks"
        self.needs: tuple[str, ...] = ("nuclear", "total", "rna_nuclei_mask") if self.peaks else ()

    def wants(self, core: Box, records: int) -> bool:
        """All tiles that hold records."""
        return self.peaks and records > 0

    def look(self, seen: Evaluation) -> Any:
        """Return the counts of a tile."""
        nuclear, total, mask = (seen.core(name) for name in self.needs)
        params: Any = seen.source.params[self.stage]
        return nuclei_rna.count_clumps(nuclear, mask, total, params)

    def settle(self, parts: Iterable[Any], params: Any) -> Any | None:
        """Add up; a tile without records adds its pixels, which the frame knows."""
        if not self.peaks:
            return Fitted()
        sums = np.sum(list(parts), axis=0).tolist()
        return nuclei_rna.settle_peaks([float(self.pixels), *sums[1:]], params, masked=True, known=True)


def gathers(source: Source, stages: Iterable[str]) -> list[Gather]:
    """Return the gathers of stages that fit, in the order of the stages; settled thresholds need none."""
    made: list[Gather] = []
    for stage in stages:
        params: Any = source.params[stage]
        if stage == "density" and params.method != "off":
            made.append(DensityGather(source))
        elif stage == "nuclei_rna":
            made.append(PeaksGather(source))
        elif stage == "nuclei_network":
            made.append(NetworkGather(source))
        elif stage in ("nuclei_mask", "cytoplasm"):
            made.append(CutGather(source, stage))
        elif stage in ("nuclei_score", "cell_score"):
            made.append(ScoreGather(source, stage))
        elif stage in ("nuclei_rna_mask", "cell_mask"):
            made.append(ThresholdGather(source, stage))
    return made


def upstream(gather: Gather, choice: Choice) -> set[str]:
    """Return the names of the stages that a gather needs the results of."""
    return {
        stage.name for name in gather.needs if name in PIPELINE.giver for stage in PIPELINE.closure((name,), choice)
    }
