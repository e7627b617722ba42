"""Inputs for the functions on labels, markers and edits."""

import math

import numpy as np

from segapp.core.edits import EditsParams, LimitsParams
from segapp.core.label.augment import SOURCES, augment, union
from segapp.core.label.cells import CELLS
from segapp.core.label.components import limit
from segapp.core.label.nuclei_rna import NUCLEI_RNA
from segapp.core.label.overlap import label_ids
from segapp.core.label.select import NucleiParams
from segapp.core.label.watershed import NucleiWatershedParams
from tests.fuzz.cases_images import shaped
from tests.fuzz.harness import Case
from tests.fuzz.inputs import Gen

OPERATIONS = ("draw", "merge", "split", "delete", "include", "exclude")


def one_label_image(g: Gen):
    return (g.labels(g.shape()),)


def two_label_images(g: Gen):
    shape = g.shape()
    return g.labels(shape), g.labels(shape if g.int(0, 19) else (shape[1], shape[0]))


def check_labels_out(out, first, *_, **__):
    shaped(np.int32)(out, first)
    assert out.min() >= 0


def _check_grown(out, labels, *, distance, max_area, mask):
    check_labels_out(out, labels)
    assert np.array_equal(out[np.asarray(labels) > 0], np.asarray(labels)[np.asarray(labels) > 0])
    new = (out > 0) & (np.asarray(labels) == 0)
    assert mask is None or not (new & ~(np.asarray(mask) != 0)).any()
    ids, sizes = np.unique(out[out > 0], return_counts=True)
    before = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    assert all(size <= max(max_area, before[i]) for i, size in zip(ids, sizes, strict=True))


def _check_growth(out, labels, *, distance, max_area, mask):
    _check_grown(out.labels, labels, distance=distance, max_area=max_area, mask=mask)
    left = (out.labels == 0) & (True if mask is None else np.asarray(mask) != 0)
    assert (out.too_far + out.too_large, min(out.too_far, out.too_large) >= 0) == (left.sum(), True)


def _check_two(out, first, second):
    labels, provenance = out
    check_labels_out(labels, first)
    assert len(provenance) == labels.max() + 1 and provenance.max(initial=0) < len(SOURCES)
    assert np.array_equal(label_ids(labels), np.arange(1, labels.max() + 1))


def _check_components(out, mask, *, seeds, **_):
    check_labels_out(out.labels, mask)
    if seeds is not None:
        assert np.array_equal(out.labels[np.asarray(seeds) > 0], np.asarray(seeds)[np.asarray(seeds) > 0])


def _check_contiguous(out, labels):
    check_labels_out(out, labels)
    assert np.array_equal(label_ids(out), np.arange(1, len(label_ids(labels)) + 1))


def _check_limits(out, cells, params):
    kept, ghosts = out
    assert np.array_equal(kept + ghosts, np.asarray(cells).astype(np.int64)) and not ((kept > 0) & (ghosts > 0)).any()


def _check_peaks(out, image, **_):
    check_labels_out(out, image)
    assert np.array_equal(np.sort(out[out > 0]), np.arange(1, out.max() + 1))


def _check_watershed(out, landscape, markers, mask):
    check_labels_out(out, landscape)
    inside = np.ones(out.shape, bool) if mask is None else np.asarray(mask) != 0
    kept = (np.asarray(markers) > 0) & inside
    assert np.array_equal(out[kept], np.asarray(markers)[kept].astype(np.int64)) and not out[~inside].any()


def _check_outlines(out, labels):
    x, y = out.xy.astype(float).T
    for i in range(len(out.label)):
        ring = out.ring(i)
        assert np.array_equal(ring[0], ring[-1]) and len(ring) >= 5
    total = 0.0
    for i in range(len(out.label)):
        x, y = out.ring(i).astype(float).T
        total += 0.5 * (x[:-1] * y[1:] - x[1:] * y[:-1]).sum()
    assert total == (np.asarray(labels) > 0).sum()


def _growth(g: Gen):
    shape = g.shape()
    options = {
        "distance": g.int(0, 12),
        "max_area": g.pick((g.int(0, 400), math.inf)),
        "mask": g.maybe(lambda: g.mask(shape)),
    }
    return (g.labels(shape),), options


def _components(g: Gen):
    shape = g.shape()
    options = {
        "area_threshold": g.pick((g.int(0, 900), math.inf)),
        "k": g.odd(9),
        "min_area": g.int(0, 400),
        "n_iter": g.int(-1, 9),
        "distance": g.int(0, 12),
        "max_area": g.pick((g.int(0, 900), math.inf)),
        "seeds": g.maybe(lambda: g.labels(shape)),
    }
    return (g.mask(shape),), options


def _log(g: Gen):
    edits = []
    for _ in range(g.int(0, 3)):
        points = tuple((g.float(-5, 70), g.float(-5, 70)) for _ in range(g.int(1, 5)))
        edits.append({"op": g.pick(OPERATIONS), "points": points, "target": g.pick(("cells", "cells", "nuclei"))})
    return edits


def _edits(g: Gen):
    shape = g.shape()
    cells = g.labels(shape)
    return g.maybe(lambda: g.labels(shape)), cells, g.params(EditsParams, log=lambda: _log(g))


def _one_edit(g: Gen):
    shape = g.shape()
    log = _log(g) or [{"op": "delete", "points": ((0.5, 0.5),)}]
    edits = g.params(EditsParams, log=lambda: log[:1]).log
    return g.maybe(lambda: g.int32_labels(shape)), g.int32_labels(shape), edits[0]


def _cells(g: Gen):
    shape = g.shape()
    return (
        g.maybe(lambda: g.labels(shape)),
        g.maybe(lambda: g.mask(shape)),
        g.maybe(lambda: g.counts(shape)),
        g.params(CELLS, area_threshold=900, distance=30),
    )


def _nuclei_rna(g: Gen):
    shape = g.shape()
    scores = g.maybe(lambda: g.exact(shape, np.float32) / 300)
    return g.counts(shape), scores, g.maybe(lambda: g.mask(shape)), g.params(NUCLEI_RNA)


def _sources(g: Gen):
    shape = g.shape()
    return (*(g.maybe(lambda: g.labels(shape)) for _ in range(3)), g.params(NucleiParams))


def _probability(g: Gen):
    shape = g.shape()
    network = g.int32_labels(shape)
    labels, provenance = g.pick((augment, union))(g.int32_labels(shape), network)
    return labels, provenance, network, g.rng.random(shape, np.float32), g.rng.random(network.max() + 1, np.float32)


def _flood(g: Gen):
    shape = g.shape()
    markers = g.pick((g.mask, g.labels))(shape)
    return (g.image(shape), markers, g.mask(shape)), {"k": g.odd()}


def _watershed(g: Gen):
    shape = g.shape()
    return g.image(shape), g.labels(shape), g.maybe(lambda: g.mask(shape))


def _peaks(g: Gen):
    shape = g.shape()
    options = {
        "k": g.odd(),
        "min_distance": g.int(0, 70),
        "mask": g.maybe(lambda: g.mask(shape)),
        "threshold_abs": g.maybe(lambda: g.float(-10, 300)),
    }
    return (g.image(shape),), options


def _erosion(g: Gen):
    options = {
        "k": g.odd(),
        "square": g.bool(),
        "min_area": g.int(0, 400),
        "n_iter": g.int(-1, 9),
        "float_k": g.odd(),
        "float_threshold": g.maybe(lambda: g.float(-10, 300)),
    }
    return (g.image(g.shape()),), options


CASES = {
    "edits.replay.apply_edits": Case(_edits, lambda out, nuclei, cells, _: check_labels_out(out[1], cells)),
    "edits.limits.apply_limits": Case(
        lambda g: (g.labels(g.shape()), g.params(LimitsParams)), _check_limits, fresh_result=True
    ),
    "edits.limits.keep_within_limits": Case(
        lambda g: (shape := g.shape()) and (g.maybe(lambda: g.labels(shape)), g.labels(shape), g.params(LimitsParams)),
        lambda out, nuclei, cells, params: _check_limits(out[1:], cells, params),
        fresh_result=True,
    ),
    "edits.replay.reasons": Case(
        lambda g: (g.pick(((), ("Edit 2 (delete) no longer applies: gone.", "else"), ("Edit x",))),)
    ),
    "edits.replay.why_not": Case(_one_edit, lambda out, *_: isinstance(out, str)),
    "label.augment.augment": Case(two_label_images, _check_two, fresh_result=True),
    "label.augment.union": Case(two_label_images, _check_two, fresh_result=True),
    "label.augment.provenance_of": Case(
        lambda g: (g.labels(g.shape()), g.pick(SOURCES)),
        lambda out, labels, _: len(out) == int(np.max(labels)) + 1,
    ),
    "label.cells.join_regions": Case(
        lambda g: (shape := g.shape()) and (g.maybe(lambda: g.mask(shape)), g.maybe(lambda: g.mask(shape)))
    ),
    "label.cells.label_cells": Case(_cells, lambda out, *_: out.labels.dtype == np.int32),
    "label.components.erode_to_cores": Case(
        lambda g: ((g.mask(g.shape()),), {"k": g.odd(), "min_area": g.int(0, 400), "n_iter": g.int(-1, 9)}),
        lambda out, mask, **_: out.any() == np.asarray(mask).any(),
    ),
    "label.components.label_components": Case(_components, _check_components, fresh_result=True),
    "label.components.limit": Case(
        lambda g: (g.pick((g.int(0, 999), "off")),), lambda out, value: out == limit(value), infinite=True
    ),
    "label.expand.expand": Case(_growth, _check_grown, fresh_result=True),
    "label.expand.grow": Case(_growth, _check_growth),
    "label.flood.flood_image": Case(_flood, check_labels_out, fresh_result=True),
    "label.markers.chamfer": Case(lambda g: (g.mask(g.shape()),), shaped(np.float32)),
    "label.markers.depth": Case(lambda g: (g.mask(g.shape()),), shaped(np.float32)),
    "label.markers.find_peaks": Case(_peaks, _check_peaks),
    "label.markers.find_peaks_from_mask": Case(
        lambda g: ((g.mask(g.shape()),), {"min_distance": g.int(0, 70)}),
        lambda out, mask, **_: _check_peaks(out, mask) or out.any() == np.asarray(mask).any(),
    ),
    "label.markers.find_peaks_with_erosion": Case(_erosion, check_labels_out),
    "label.markers.label_mask": Case(lambda g: (g.mask(g.shape()),), check_labels_out),
    "label.nuclei_rna.label_nuclei_rna": Case(_nuclei_rna, check_labels_out),
    "label.overlap.overlaps": Case(two_label_images, lambda out, *_: (out[2] > 0).all()),
    "label.overlap.areas": Case(lambda g: (g.labels(g.shape()),), lambda out, labels: out.sum() == np.size(labels)),
    "label.overlap.fits_table": Case(one_label_image, lambda out, labels: out or int(np.max(labels)) > np.size(labels)),
    "label.overlap.label_ids": Case(
        one_label_image, lambda out, labels: np.array_equal(out, np.unique(labels)[np.unique(labels) > 0])
    ),
    "label.overlap.contiguous": Case(one_label_image, _check_contiguous, fresh_result=True),
    "label.overlap.touches_border": Case(one_label_image),
    "label.overlap.replace_labels": Case(
        lambda g: (g.labels(g.shape()), g.pick(({}, {1: 2, 2: 1}, {1: 0}, {3: 2**31 - 1}, {1: -1}, {1: 2**40}))),
        check_labels_out,
        fresh_result=True,
    ),
    "label.select.nucleus_probability": Case(
        _probability, lambda out, labels, provenance, *_: len(out) == len(provenance)
    ),
    "label.select.select_nuclei": Case(_sources, lambda out, *_: out[0].dtype == np.int32),
    "label.watershed.label_nuclei": Case(
        lambda g: (shape := g.shape()) and (g.image(shape), g.mask(shape), g.params(NucleiWatershedParams)),
        check_labels_out,
    ),
    "label.watershed.watershed": Case(_watershed, _check_watershed, fresh_result=True),
    "outline.trace_outlines": Case(one_label_image, _check_outlines),
    "outline.polygons": Case(
        lambda g: (
            (shape := g.shape()) and ((g.labels(shape), g.grid(shape)), {"side": g.pick((1, 1, 50, 0, 2.5, True))})
        ),
        lambda out, labels, _, side: list(out) == np.unique(labels)[np.unique(labels) > 0].tolist(),
    ),
    "outline.hull": Case(
        lambda g: (g.rng.integers(-(10 ** g.int(1, 6)), 10**6, (g.int(1, 60), 2)),), lambda out, points: out[1] >= 1
    ),
}
