"""One tile of a chip: its cells, measured whole, and the molecules of its core counted in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.core.cells import count_cells
from segapp.core.label.augment import SOURCES
from segapp.core.label.overlap import contiguous, label_ids
from segapp.core.tiling import Box, measure_objects
from segapp.core.types import Grid, InputError
from segapp.pipeline.chip.edits import reported
from segapp.pipeline.chip.evaluate import Evaluation
from segapp.pipeline.chip.source import Source
from segapp.pipeline.tabulate import cell_sources

Block = dict[str, Any]


def finish_tile(source: Source, found: Evaluation) -> tuple[Block, Block, Block]:
    """Return what the core of a tile adds to the result.

    Parameters
    ----------
    source : Source
        The chip.
    found : Evaluation
        Of a window whose core is exact.

    Returns
    -------
    objects : dict
        One value for each cell that has a pixel in the core: ``key`` (its first pixel in the frame), whether the core
        owns it (holds that pixel), sizes, sums and sources of the whole cell; and the sums of the tile.
    pixels : dict
        ``labels`` of the core, 1 + the index into `objects`, and ``nuclei`` (bool).
    counts : dict
        Sparse counts of the core's molecules by layer: ``row`` (index into `objects`), ``gene``, one column a layer.
    """
    window, inside = found.window, found.window.inside
    cells, nuclei = found.get("cells"), found.get("nuclei")
    ids = label_ids(cells)
    dense = contiguous(cells)
    measured = measure_objects(dense, nuclei, window)
    here = label_ids(dense[inside])
    at = here - 1
    table = np.zeros(len(ids) + 1, np.int32)
    table[here] = np.arange(1, len(here) + 1)
    labels = table[dense[inside]]

    top, left, bottom, right = window.core
    y, x = np.divmod(measured.key[at], window.shape[1])
    objects: Block = {
        "key": measured.key[at],
        "owned": (y >= top) & (y < bottom) & (x >= left) & (x < right),
        "area": measured.area[at],
        "sum_x": measured.sum_x[at],
        "sum_y": measured.sum_y[at],
        "nucleus_area": measured.nucleus_area[at],
        "mark": measured.mark[at],
        "border": _touches_frame(dense, window, len(ids))[at],
        "source": _sources(found, cells, nuclei)[at],
        "score": _scores(found, dense, len(ids), at),
        "probability": _probability(found, cells, nuclei, ids, at),
        "report": reported(found.get("edit_report"), found.edit_numbers, source.params["edits"], window),
        "region_px": int((~found.doubt.of("cells")[inside]).sum()),
    }
    counts, sums = _counts(source, labels, window.core)
    objects.update(sums)
    pixels = {"labels": labels, "core": window.core}
    if nuclei is not None and getattr(source.params["cells"], "method", "") != "nuclei":
        pixels["nuclei"] = nuclei[inside] > 0
    return objects, pixels, counts


def _touches_frame(dense: np.ndarray, window: Any, n: int) -> np.ndarray:
    touches = np.zeros(n + 1, bool)
    sides = (dense[0], dense[:, 0], dense[-1], dense[:, -1])
    for side, goes_on in zip(sides, window.open, strict=True):
        if not goes_on:
            touches[side] = True
    return touches[1:]


def _sources(found: Evaluation, cells: np.ndarray, nuclei: np.ndarray | None) -> np.ndarray:
    names = cell_sources(cells, nuclei, found.get("nuclei_provenance"))
    return np.array([SOURCES.index(name) for name in names], np.uint8)


def _scores(found: Evaluation, dense: np.ndarray, n: int, at: np.ndarray) -> np.ndarray | None:
    """Mean score of each cell, of the map from which the cells were cut."""
    if found.choice.value("cells", "region") in ("rna", "both"):
        scores = found.get("cell_scores")
    elif found.choice.value("nuclei", "source") == "rna":
        scores = found.get("nuclei_scores")
    else:
        return None
    inside = dense > 0
    where = dense[inside]
    total = np.bincount(where, weights=scores[inside].astype(np.float64), minlength=n + 1)
    mean = total[1:] / np.maximum(np.bincount(where, minlength=n + 1)[1:], 1)
    return mean.astype(np.float32)[at]


def _probability(
    found: Evaluation, cells: np.ndarray, nuclei: np.ndarray | None, ids: np.ndarray, at: np.ndarray
) -> np.ndarray | None:
    """What the network thinks of each nucleus, where one was asked; NaN for cells without."""
    told = found.get("nuclei_probability")
    if told is None:
        return None
    sources = _sources(found, cells, nuclei)
    known = (ids < len(told)) & (sources != SOURCES.index("components")) & (sources != SOURCES.index("drawn"))
    probability = np.full(len(ids), np.nan, np.float32)
    probability[known] = told[ids[known]]
    return probability[at]


def _counts(source: Source, labels: np.ndarray, core: Box) -> tuple[Block, Block]:
    top, left, bottom, right = core
    frame = source.frame
    grid = Grid(frame.x0 + left, frame.y0 + top, bottom - top, right - left, frame.um_per_px)
    layers = source.chip.layers
    try:
        records = source.chip.transcripts(grid)
    except InputError:  # no record at all
        return {}, {"unassigned": dict.fromkeys(layers, 0), "umis": 0}
    made = count_cells(records, labels, grid)
    total = made.counts["total"]
    counts: Block = {"row": np.repeat(np.arange(total.shape[0], dtype=np.int32), np.diff(total.indptr))}
    counts["gene"], counts["total"] = total.indices.astype(np.int32), total.data
    for layer, matrix in made.counts.items():
        if layer != "total":
            rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
            counts[layer] = (rows, matrix.indices.astype(np.int32), matrix.data)
    # rows of the counts follow the labels that occur: all of them
    return counts, {"unassigned": dict(made.unassigned), "umis": records.n_umis}
