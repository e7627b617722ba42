"""What each stage runs: core functions behind one calling convention, ``step(params, tick, **needs)``."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from segapp.core import align, bright_field, cautions, density, edits, engines, frame, rna, score
from segapp.core import stain as stain_core
from segapp.core.label import cells, nuclei_rna, select, watershed
from segapp.core.notes import note
from segapp.core.types import Fitted, Grid, ScoreInfo, StainFile, Tick, Transcripts, Unavailable
from segapp.io import models

WIDE_UM = 1.0
"""Side of a pixel, in micrometres, above which it may hold several cells."""

_LINES = (
    "The registration lines of the chip ({n} rows and columns) caught less RNA, and flooding counts cuts {what} along "
    "them; set {other}."
)


def place_stain(
    params: frame.StainParams, tick: Tick, transcripts: Transcripts, stain_file: StainFile | None = None
) -> tuple[np.ndarray | None, Grid]:
    """Stain file -> one channel, upright, and the extent of the frame."""
    um = rna.pixel_size(transcripts, rna.RnaParams())
    placed = frame.place_stain(stain_file, transcripts, um, params)
    onto = None if stain_file is None else frame.resampling(stain_file, transcripts, um, params)
    if onto is not None:
        note(onto.text)
    if placed[0] is not None and bright_field.looks_bright_field(placed[0]):
        note(cautions.BRIGHT[params.invert])
    if stain_file is not None and um > WIDE_UM:
        note(
            f"At {um:g} µm a nucleus is a few pixels wide: outlines are coarse, and kernels and areas, which are in "
            "px, want far smaller numbers than at 0.5 µm."
        )
    return placed


def count_rna(
    params: rna.RnaParams, tick: Tick, transcripts: Transcripts, extent: Grid
) -> tuple[np.ndarray | None, np.ndarray, str, Grid]:
    """Transcripts -> nuclear counts, total counts, where the nuclear ones come from, the frame with its pixel size."""
    grid = dataclasses.replace(extent, um_per_px=rna.pixel_size(transcripts, params))
    if grid.um_per_px > WIDE_UM:
        note(
            f"A pixel is {grid.um_per_px:g} µm wide and may hold several cells: RNA alone tells cells apart only where "
            "pixels are far smaller than a cell; use a stain, or a finer binning."
        )
    for sentence in rna.cautions(transcripts, params):
        note(sentence)
    return (*rna.rna_layers(transcripts, grid, params), grid)


def align_stain(
    params: Any, tick: Tick, stain_raw: np.ndarray, nuclear: np.ndarray | None = None, total: np.ndarray | None = None
) -> tuple[np.ndarray, Any]:
    """Stain and counts -> stain in the frame of the counts; total counts stand in where no nuclear ones are known."""
    fixed = nuclear if nuclear is not None else total
    return align.align_stain(stain_raw, fixed, params, tick)


def fit_cut(params: Any, tick: Tick, stain: np.ndarray) -> Fitted:
    """Stain -> its range, and the cut between classes of brightness."""
    return stain_core.fit_cut(stain, params)


def mask_nuclei(
    params: stain_core.NucleiMaskParams, tick: Tick, stain: np.ndarray, statistics: Fitted
) -> tuple[np.ndarray]:
    """Stain -> mask of nuclei."""
    return (stain_core.mask_nuclei(stain, params, statistics),)


def label_stain_nuclei(params: Any, tick: Tick, stain: np.ndarray, nuclei_mask: np.ndarray) -> tuple[np.ndarray]:
    """Stain and mask -> nuclei."""
    return (watershed.label_nuclei(stain, nuclei_mask, params, tick),)


def fit_network(params: Any, tick: Tick, stain: np.ndarray) -> Any:
    """Stain -> what a network answers, before thresholds."""
    return engines.ENGINES[params.engine].fit(stain, params, models.open_model(params), tick)


def answer_network(params: Any, tick: Tick, stain: np.ndarray, numbers: Fitted, at: tuple[int, int]) -> Any:
    """Window of a stain, the numbers of the whole and its place there -> what a network answers in the window."""
    return engines.ENGINES[params.engine].fit(stain, params, models.open_model(params), tick, numbers.statistics, at)


def predict_nuclei(
    params: Any, tick: Tick, stain: np.ndarray, statistics: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Answer of a network -> nuclei, scores, probability of each nucleus, which network it was."""
    return (*engines.ENGINES[params.engine].apply(statistics, params, tick), params.engine)


def bin_density(params: Any, tick: Tick, total: np.ndarray) -> tuple[np.ndarray | None, dict[str, Any]]:
    """Total counts -> density bins; None when they are off."""
    if params.method == "off":
        return None, {}
    return density.segment_density(total, params, tick)


def fit_nuclei_score(params: Any, tick: Tick, nuclear: np.ndarray | None, nuclear_source: str) -> ScoreInfo:
    """Nuclear counts -> the numbers of the scoring method."""
    return score.fit_score(_nuclear(nuclear, nuclear_source), None, params, tick)


def score_nuclei(
    params: Any, tick: Tick, nuclear: np.ndarray | None, nuclear_source: str, statistics: ScoreInfo
) -> tuple[np.ndarray, ScoreInfo]:
    """Nuclear counts -> probability of a nucleus at each pixel."""
    counts = _nuclear(nuclear, nuclear_source)
    return score.apply_score(counts, None, None, params, statistics, tick), statistics


def fit_nuclei_threshold(params: score.ScoreMaskParams, tick: Tick, nuclei_scores: np.ndarray) -> Fitted:
    """Scores -> threshold."""
    return score.fit_threshold(nuclei_scores, params)


def mask_rna_nuclei(
    params: score.ScoreMaskParams,
    tick: Tick,
    nuclei_scores: np.ndarray,
    nuclei_score_info: ScoreInfo,
    statistics: Fitted,
) -> tuple[np.ndarray, float]:
    """Scores -> mask of nuclei and the threshold that was used."""
    return score.mask_scores(nuclei_scores, nuclei_score_info, None, params, statistics)


def fit_rna_nuclei(
    params: Any, tick: Tick, nuclear: np.ndarray | None, total: np.ndarray, rna_nuclei_mask: np.ndarray
) -> Fitted:
    """Nuclear counts, all counts and mask -> numbers of the whole that the method peaks needs."""
    return nuclei_rna.fit_nuclei_rna(_nuclear(nuclear, ""), rna_nuclei_mask, total, params)


def label_rna_nuclei(
    params: Any,
    tick: Tick,
    nuclear: np.ndarray | None,
    total: np.ndarray,
    nuclei_scores: np.ndarray,
    rna_nuclei_mask: np.ndarray,
    statistics: Fitted,
) -> tuple[np.ndarray]:
    """Nuclear counts, all counts, scores and mask -> nuclei."""
    if nuclear is not None and params.method != "peaks" and cautions.counts_are_dense(nuclear, rna_nuclei_mask):
        note(
            f"The counts are dense, and nuclei by {params.method} merge there: set nuclei_rna.method=peaks, or "
            "rna.nuclear to unspliced RNA or genes that stay in the nucleus."
        )
    if nuclear is not None and getattr(params, "landscape", "") == "rna":
        rows, columns = cautions.track_lines(nuclear)
        if len(rows) or len(columns):
            note(_LINES.format(n=len(rows) + len(columns), what="nuclei", other="nuclei_rna.landscape=distance"))
    counts = _nuclear(nuclear, "")
    found = nuclei_rna.label_nuclei_rna(
        counts, nuclei_scores, rna_nuclei_mask, params, tick, total=total, fitted=statistics
    )
    return (found,)


def select_nuclei(
    params: select.NucleiParams,
    tick: Tick,
    watershed_nuclei: np.ndarray | None = None,
    network_nuclei: np.ndarray | None = None,
    network_scores: np.ndarray | None = None,
    network_probability: np.ndarray | None = None,
    rna_nuclei: np.ndarray | None = None,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Chosen source -> nuclei, which source each came from, and what a network thinks of each, where one was asked."""
    if params.source == "off":
        return None, np.zeros(1, np.uint8), None
    labels, provenance = select.select_nuclei(watershed_nuclei, network_nuclei, rna_nuclei, params)
    if network_nuclei is None or network_scores is None or network_probability is None:
        return labels, provenance, None
    told = select.nucleus_probability(labels, provenance, network_nuclei, network_scores, network_probability)
    return labels, provenance, told


def fit_cell_score(params: Any, tick: Tick, total: np.ndarray, bins: np.ndarray | None) -> ScoreInfo:
    """Total counts and density bins -> the numbers of the scoring method."""
    return score.fit_score(total, bins, params, tick)


def score_cells(
    params: Any,
    tick: Tick,
    total: np.ndarray,
    bins: np.ndarray | None,
    statistics: ScoreInfo,
    selected_nuclei: np.ndarray | None = None,
) -> tuple[np.ndarray, ScoreInfo]:
    """Total counts -> probability of a cell at each pixel; nuclei are certain where they are asked to be."""
    return score.apply_score(total, bins, _certain(selected_nuclei), params, statistics, tick), statistics


def fit_cell_threshold(params: score.ScoreMaskParams, tick: Tick, cell_scores: np.ndarray) -> Fitted:
    """Scores -> threshold."""
    return score.fit_threshold(cell_scores, params)


def mask_cell_scores(
    params: score.ScoreMaskParams,
    tick: Tick,
    cell_scores: np.ndarray,
    cell_score_info: ScoreInfo,
    statistics: Fitted,
    selected_nuclei: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Scores -> mask of cells and the threshold that was used."""
    return score.mask_scores(cell_scores, cell_score_info, _certain(selected_nuclei), params, statistics)


def mask_cytoplasm(
    params: stain_core.CytoplasmParams, tick: Tick, stain: np.ndarray, statistics: Fitted
) -> tuple[np.ndarray]:
    """Stain -> mask of nuclei and cytoplasm."""
    return (stain_core.mask_cells(stain, params, statistics),)


def label_cells(
    params: Any,
    tick: Tick,
    total: np.ndarray,
    selected_nuclei: np.ndarray | None = None,
    cell_mask: np.ndarray | None = None,
    cytoplasm_mask: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, int]]:
    """Nuclei and masks -> cells; a cell keeps the id of its nucleus."""
    region = cells.join_regions(cell_mask, cytoplasm_mask)
    if params.method == "watershed":
        rows, columns = cautions.track_lines(total)
        if len(rows) or len(columns):
            note(_LINES.format(n=len(rows) + len(columns), what="cells", other="cells.method=components or expand"))
    if selected_nuclei is None and cell_mask is not None:
        note(
            "Total RNA shows where cells are, rarely where one ends: touching cells merge. Nuclei from a stain or from "
            "nuclear RNA tell them apart."
        )
    made = cells.label_cells(selected_nuclei, region, total, params, tick)
    return made.labels, dict(made.unassigned)


def apply_edits(
    params: edits.EditsParams, tick: Tick, cell_labels: np.ndarray, selected_nuclei: np.ndarray | None = None
) -> tuple[np.ndarray | None, np.ndarray, tuple[str, ...]]:
    """Replay the edits on nuclei and cells; what no longer applies is listed."""
    found = edits.apply_edits(selected_nuclei, cell_labels, params)
    for sentence in found[2]:
        note(sentence)
    return found


def apply_limits(
    params: edits.LimitsParams, tick: Tick, edited_nuclei: np.ndarray | None, edited_cells: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Keep cells within the area limits; the others become ghosts, their nuclei are dropped with them."""
    return edits.keep_within_limits(edited_nuclei, edited_cells, params)


def _certain(nuclei: np.ndarray | None) -> np.ndarray | None:
    return None if nuclei is None else nuclei > 0


def _nuclear(nuclear: np.ndarray | None, source: str) -> np.ndarray:
    if nuclear is None:
        raise Unavailable(source or "there are no nuclear counts: choose rna.nuclear or rna.genes")
    return nuclear
