"""Inputs for what runs on parts of a whole too large to hold: sums, windows with doubt, rows of a moved stain."""

import math

import numpy as np

from segapp.core.density import LevelsParams, WardParams, grain
from segapp.core.frame import StainParams
from segapp.core.label.nuclei_rna import NUCLEI_RNA, count_clumps
from segapp.core.resample import by_size
from segapp.core.score import count_sums
from segapp.core.score.mask import ScoreMaskParams
from segapp.core.score.moran import moments_of, statistics_of
from segapp.core.squares import bin_sums
from segapp.core.stain import CytoplasmParams, NucleiMaskParams
from segapp.core.tiling import Window, rim
from segapp.core.types import Grid, StainFile, Transcripts
from tests.fuzz.cases_align import alignment
from tests.fuzz.cases_images import shaped
from tests.fuzz.cases_labels import _one_edit
from tests.fuzz.cases_score import bare, moran_params, score_params
from tests.fuzz.harness import Case
from tests.fuzz.inputs import Gen

WHOLE = slice(None), slice(None)


def _window(g: Gen):
    shape = g.shape()
    top, left = (g.int(0, side - 1) for side in shape)
    core = (top, left, g.int(top + 1, shape[0]), g.int(left + 1, shape[1]))
    return Window.around(core, g.int(0, 20), shape, g.pick((1, 8)))


def _sized(g: Gen):
    return "a.tif", g.shape(), g.float(0.2, 4), g.float(0.2, 4), (g.int(0, 9), g.int(0, 9))


def _resampled(g: Gen):
    sized = _sized(g)
    return g.rng.integers(0, 255, sized[1]).astype(np.uint8), by_size(*sized)


def _rows_of(g: Gen):
    image, onto = _resampled(g)
    first = g.int(0, onto.grid.height - 1)
    return image, onto, first, g.int(first, onto.grid.height)


def _file_and_counts(g: Gen):
    at = np.array([0, g.int(0, 30)], np.int32)
    return (
        StainFile(np.zeros(g.shape(), np.uint8), name="a.tif", um_per_px=g.pick((None, 0.25, 3.0))),
        Transcripts(at, at, np.zeros(2, np.int32), {"total": np.ones(2, np.uint32)}, ("a",)),
        g.float(0.2, 4),
        StainParams(),
    )


def _by_place(g: Gen):
    stain, counts, um, _ = _file_and_counts(g)
    return stain, stain.image.shape, counts, um


def _doubt(g: Gen):
    window = _window(g)
    return rim(window, g.int(0, 9)), window


def _labels(g: Gen, shape):
    return np.ascontiguousarray(g.labels(shape, (np.int32,), huge=False))


def _mask(g: Gen, shape):
    return np.ascontiguousarray(g.mask(shape, (np.bool_,)))


def _doubt_and(g: Gen, *more):
    doubt, _ = _doubt(g)
    made = {"mask": lambda: _mask(g, doubt.shape), "labels": lambda: _labels(g, doubt.shape)}
    seeds = g.maybe(made["labels"])
    return (doubt, *(seeds if name == "seeds" else made[name]() for name in more))


def _keeps_doubt(out, doubt, *_):
    assert out.dtype == bool and out[doubt].all()


def _measured(g: Gen):
    window = _window(g)
    return _labels(g, window.size), g.maybe(lambda: _labels(g, window.size)), window


def _check_measured(out, labels, *_):
    areas = np.bincount(labels.ravel(), minlength=1)[1:]
    np.testing.assert_array_equal(out.area, areas)
    assert len(np.unique(out.key[areas > 0])) == np.count_nonzero(areas)


def _rows(g: Gen):
    shape = g.shape()
    placed = alignment(g, g.shape())
    first = g.int(0, placed.shape[0] - 1)
    return shape, placed, first, g.int(first + 1, placed.shape[0])


def _rows_needed(g: Gen):
    shape, placed, first, last = _rows(g)
    return placed, shape[0], first, last


def _warp_rows(g: Gen):
    shape, placed, first, last = _rows(g)
    return g.exact(shape, g.pick((np.uint8, np.uint16))), 0, shape, placed, first, last


def _refine(g: Gen):
    shape = g.shape()
    places = []
    for _ in range(g.int(0, 4)):
        part = g.shape()
        places.append((g.int(0, 9), g.int(0, 9), g.exact(part, np.uint32) * np.uint32(9), g.exact(part, np.uint16)))
    placed = alignment(g, shape)
    while placed.points:
        placed = alignment(g, shape)
    return placed, places, g.odd()


def _regions(g: Gen):
    params = g.params(g.pick((WardParams, LevelsParams)), binsize=40, background=lambda: "auto", merge=lambda: ())
    counts = g.exact(g.shape(), np.uint32)
    return bin_sums(counts, grain(params)), counts.shape, params


def _part(g: Gen):
    return g.exact(g.shape(), np.uint32), g.int(1, 40), g.int(0, 90), g.int(0, 90)


def _check_part(out, counts, *_):
    np.testing.assert_allclose(out[2].sum(), counts.sum(dtype=np.float64))


def _whole(g: Gen):
    binsize, shape = g.int(1, 40), g.shape()
    sums = bin_sums(g.exact(shape, np.uint32), binsize)
    return sums, binsize, shape


def _spread(g: Gen):
    few, side, shape = g.exact(g.shape(), g.pick((np.int32, np.float32))), g.int(1, 9), g.shape()
    top, left = (g.int(0, long - 1) for long in shape)
    height, width = (min(side * n, long - at) for n, long, at in zip(few.shape, shape, (top, left), strict=True))
    return few, side, shape, np.s_[top : top + height, left : left + width]


def _cells(g: Gen):
    n = g.int(0, 60)
    sure = {"score": g.rng.uniform(0, 1, n)} if g.bool() else {}
    if sure and n and g.bool():
        sure["score"][g.int(0, n - 1)] = np.nan
    return g.rng.integers(1, 500, n), g.rng.integers(0, 900, n), sure


def _chosen(g: Gen):
    n, shape = g.int(0, 60), g.shape()
    x, y = g.rng.uniform(0, shape[1], n), g.rng.uniform(0, shape[0], n)
    return (x, y, g.rng.uniform(0, 1, n), shape), {"side": g.int(1, 80), "n": g.int(1, 4)}


def _extent(g: Gen):
    shape = g.shape()
    grid = Grid(g.int(-3, 3), g.int(-3, 3), max(shape[0] - 5, 1), max(shape[1] - 5, 1))
    return shape, "stain.tif", g.transcripts(grid), 0.5, g.params(StainParams, channel=lambda: "auto")


def _peaks(g: Gen):
    return g.params(NUCLEI_RNA.option("peaks"))


def _clumps(g: Gen):
    shape = g.shape()
    nuclear = g.exact(shape, np.uint32)
    total = g.maybe(lambda: nuclear + g.exact(shape, np.uint32))
    return nuclear, g.maybe(lambda: _mask(g, shape)), total, _peaks(g)


def _settled(g: Gen):
    nuclear, mask, total, params = _clumps(g)
    found = count_clumps(nuclear, mask, total, params)
    return (found, params), {"masked": mask is not None, "known": total is not None}


def _fit_rna(g: Gen):
    return *_clumps(g)[:3], g.params(NUCLEI_RNA)


def _mixtures(g: Gen):
    params = score_params(g)
    while params.method in ("gauss", "moran"):
        params = score_params(g)
    return params


def _inside(g: Gen, shape):
    top, left = (g.int(0, side - 1) for side in shape)
    return slice(top, g.int(top + 1, shape[0])), slice(left, g.int(left + 1, shape[1]))


def _sums(g: Gen):
    counts, bins = bare(g)
    return counts, bins, _mixtures(g), _inside(g, counts.shape)


def _histograms(g: Gen):
    counts, bins = bare(g)
    params = _mixtures(g)
    return (count_sums(counts, bins, params), params), {"by_bin": bins is not None}


def _moments(g: Gen):
    counts, bins = bare(g)
    return counts, bins, moran_params(g), _inside(g, counts.shape)


def _all_moments(g: Gen):
    parts = [moments_of(*_moments(g)) for _ in range(g.int(1, 3))]
    return sum(parts[1:], parts[0]), moran_params(g)


def _largest(g: Gen):
    counts, bins, params, inside = _moments(g)
    return counts, bins, params, statistics_of(moments_of(counts, bins, params, WHOLE), params), inside


def _stain_params(g: Gen):
    return g.params(g.pick((NucleiMaskParams, CytoplasmParams)))


def _stain_histogram(g: Gen):
    dtype = g.pick((np.uint8, np.uint16))
    pixels = g.exact(g.shape(), dtype)
    return np.bincount(pixels.ravel(), minlength=65536), np.dtype(dtype), _stain_params(g)


def _counted(g: Gen):
    counts = g.exact((1, g.int(2, 60)), np.int64)[0]  # one level alone is never cut
    counts[[0, -1]] += 1  # counted from the lowest value to the highest
    return counts.astype(float), np.arange(len(counts), dtype=float)


def _cumulative(g: Gen):
    counts, x = _counted(g)
    return x, np.cumsum(counts) / counts.sum()


CASES = {
    "align.refine.refine": Case(_refine),
    "align.rows.rows_needed": Case(_rows_needed, lambda out, placed, height, *_: 0 <= out[0] < out[1] <= height),
    "align.rows.warp_rows": Case(
        _warp_rows, lambda out, image, top, shape, placed, a, b: out.shape == (b - a, placed.shape[1])
    ),
    "align.transform.rescaled": Case(
        lambda g: (alignment(g, g.shape()), g.float(0.1, 20), g.shape()), lambda out, _, __, shape: out.shape == shape
    ),
    "density.fit_squares": Case(_regions),
    "density.grain": Case(lambda g: (g.params(g.pick((WardParams, LevelsParams))),), lambda out, _: out >= 1),
    "squares.part_sums": Case(_part, _check_part),
    "squares.quarters": Case(
        lambda g: (side := g.shape()) and (g.exact((2 * side[0] - g.int(0, 1), 2 * side[1]), np.float64), side),
        lambda out, fine, side: out.shape == (4, *side),
    ),
    "squares.spread": Case(_spread, lambda out, few, side, shape, part: out.shape == shape and out.dtype == few.dtype),
    "squares.whole_squares": Case(_whole, lambda out, sums, *_: out.shape == sums.shape),
    "doubt.choose_windows": Case(_chosen, lambda out, *_, n, **__: max(map(len, out)) <= n),
    "doubt.doubts": Case(_cells, lambda out, area, *_: len(out) == len(area) and ((out >= 0) & (out <= 1)).all()),
    "edits.replay.strangers": Case(lambda g: (g.pick(((), ("Edit 2 (delete) changes nothing",), ("", "x"))),)),
    "edits.replay.with_meant": Case(_one_edit, lambda out, nuclei, cells, edit: out.op == edit.op),
    "frame.extent": Case(_extent, lambda out, shape, *_: out.shape == shape),
    "label.nuclei_rna.count_clumps": Case(_clumps, lambda out, *_: len(out) == 8),
    "label.nuclei_rna.fit_nuclei_rna": Case(_fit_rna),
    "label.nuclei_rna.settle_peaks": Case(_settled),
    "score.fitting.count_sums": Case(_sums),
    "score.fitting.fit_histograms": Case(_histograms),
    "score.mask.fit_threshold": Case(
        lambda g: (g.exact(g.shape(), np.float32) / np.float32(300), g.params(ScoreMaskParams, mk=21))
    ),
    "score.moran.largest_of": Case(_largest, lambda out, *_: math.isfinite(out)),
    "score.moran.moments_of": Case(_moments, lambda out, *_: out.squares >= 0 and math.isfinite(out.fourths)),
    "score.moran.statistics_of": Case(_all_moments, lambda out, *_: out["deviation"] >= 0),
    "stain.fit_cut": Case(lambda g: (g.image(g.shape()), _stain_params(g))),
    "stain.fit_cut_of": Case(_stain_histogram),
    "threshold.knee_of": Case(_cumulative),
    "threshold.multi_otsu_of": Case(
        lambda g: (*_counted(g), g.int(2, 5)), lambda out, *_: list(out) == sorted(out) and len(out) >= 1
    ),
    "threshold.otsu_of": Case(_counted),
    "tiling.components": Case(lambda g: (_mask(g, g.shape()),), shaped(np.int32)),
    "tiling.doubt_components": Case(lambda g: (*_doubt_and(g, "mask", "seeds"), g.float(0, 500)), _keeps_doubt),
    "tiling.doubt_depth": Case(lambda g: (*_doubt_and(g, "mask", "seeds"), g.int(1, 9)), _keeps_doubt),
    "tiling.doubt_objects": Case(lambda g: _doubt_and(g, "labels"), _keeps_doubt),
    "tiling.measure_objects": Case(_measured, _check_measured),
    "frame.resampling": Case(_file_and_counts, lambda out, *_: out is None or min(out.sides) > 0),
    "frame.upright": Case(lambda g: _file_and_counts(g)[::3], lambda out, stain, _: out == stain.image.shape),
    "resample.apply": Case(_resampled, lambda out, _, onto: out.shape == (onto.grid.height, onto.grid.width)),
    "resample.by_place": Case(_by_place, lambda out, *_: out is None),
    "resample.by_size": Case(_sized, lambda out, *_: min(out.grid.shape) >= 1),
    "resample.window": Case(_rows_of, lambda out, _, onto, first, last: len(out) == last - first),
    "tiling.halvings": Case(
        lambda g: (g.int(1, 99_999), g.int(1, 999)), lambda out, side, longest: side <= longest << out
    ),
    "tiling.rim": Case(lambda g: (_window(g), g.int(0, 30)), lambda out, window, _: out.shape == window.size),
    "tiling.spread_over": Case(
        lambda g: ([((i, 0, i + 1, 1), g.int(0, 9)) for i in range(g.int(1, 12))], g.int(1, 9)),
        lambda out, tiles, n: 1 <= len(out) <= n and out <= {core for core, _ in tiles},
    ),
    "tiling.spread": Case(lambda g: (_doubt(g)[0], g.int(0, 9)), _keeps_doubt),
}
