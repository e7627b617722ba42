"""Inputs for the alignment."""

import numpy as np

from segapp.core.align import ALIGN
from segapp.core.align.transform import Alignment, as_matrix
from segapp.core.frame import ORIENTATIONS
from segapp.core.types import no_tick
from tests.fuzz.cases_images import shaped
from tests.fuzz.harness import Case
from tests.fuzz.inputs import Gen

SMOOTH = ("noise", "blobs", "sparse", "constant", "zero", "hot")


def pair(g: Gen):
    return g.exact(g.shape(), np.float32, SMOOTH), g.exact(g.shape(), np.float32, SMOOTH)


def alignment(g: Gen, shape):
    if g.bool():
        return Alignment("affine", shape, as_matrix(g.matrix()))
    height, width = shape
    corners = [(x, y) for x in (0.0, max(width - 1.0, 1.0)) for y in (0.0, max(height - 1.0, 1.0))]
    return Alignment("tps", shape, points=tuple((x, y, x + g.float(-5, 5), y + g.float(-5, 5)) for x, y in corners))


def _landmarks(g: Gen):
    return tuple(tuple(g.float(-5, 70) for _ in range(4)) for _ in range(g.pick((0, 0, 1, 3, 5))))


def _theta(g: Gen):
    return g.pick(((), (1.0, 0.0, 0.1, 0.0, 1.0, 0.0), (1.0, 2.0), (0.0,) * 6, (0.9, 0.2, 0, -0.2, 0.9, 0.5)))


def _align(g: Gen):
    shape = g.shape()
    limited = {"n_epochs": 5, "downscale": 8, "meshsize": 70, "k": 21}
    given = {"theta": lambda: _theta(g), "landmarks": lambda: _landmarks(g), "shift": lambda: _shift(g)}
    params = g.params(ALIGN, **given, **limited)
    return g.image(shape), g.maybe(lambda: g.counts(shape)), params


def _shift(g: Gen):
    return g.pick(((0.0, 0.0), (g.float(-90, 90), g.float(-90, 90))))


def _check_align(out, stain, _, params):
    moved, found = out
    assert moved.shape == stain.shape and found.shape == stain.shape
    # accept=any asks for whatever was found, and a shift by hand is obeyed, both at the price of a lower NCC
    if found.ncc_before is not None and params.accept == "better" and "the shift by hand lowers" not in found.note:
        assert found.ncc_after >= found.ncc_before - 1e-6


def _affine(g: Gen):
    orientations = g.pick((("keep",), tuple(ORIENTATIONS), ("keep", "flip-x")))
    start = g.maybe(g.matrix)
    return pair(g), {"n_epochs": g.int(0, 4), "orientations": orientations, "start": start, "tick": no_tick}


def _tps(g: Gen):
    options = {"meshsize": g.float(5.0, 40.0), "landmarks": _landmarks(g), "n_epochs": g.int(0, 4), "tick": no_tick}
    return (*pair(g), g.matrix()), options


def _climb(g: Gen):
    import torch

    target = torch.tensor(g.rng.normal(0, 3, 4))
    return lambda x: -((x - target) ** 2).sum(), g.rng.normal(0, 3, 4), g.int(0, 20), no_tick


def _sampled(g: Gen):
    import torch

    from segapp.core.align.affine import tensor

    fixed, moving = (tensor(g.exact(g.shape(), np.float32)) for _ in range(2))
    grid = torch.tensor(g.rng.uniform(-1.3, 1.3, (1, *fixed.shape[2:], 2)).astype(np.float32))
    return fixed, moving, grid


def _ncc(g: Gen):
    shape = g.shape()
    return g.image(shape), g.image(shape), g.maybe(lambda: g.mask(shape))


def _warp(g: Gen):
    image = g.pick((g.image, g.labels, g.mask))(g.shape())
    return image, alignment(g, g.shape()), g.int(0, 1)


def _search(g: Gen):
    fixed, moving = (g.rng.normal(0, 1, g.shape()).astype(np.float32) for _ in range(2))
    return fixed, moving, g.matrix(), g.pick(((0.0,), (0.0, 4.0, -4.0))), no_tick


def _features(g: Gen):
    shape = g.shape()
    fine = g.float(0.5, 4)
    return g.exact(shape, np.float32, SMOOTH), fine, fine + g.float(0.5, 10), g.maybe(lambda: g.mask(shape, (bool,)))


def _basis(g: Gen):
    points = np.array([(0, 0), (9, 0), (0, 9), (9, 9)], float) + g.rng.uniform(-2, 2, (4, 2))
    return points, g.rng.uniform(-20, 40, (g.int(1, 50), 2)), 20.0


CASES = {
    "align.align_stain": Case(_align, _check_align),
    "align.affine.align_affine": Case(_affine),
    "align.affine.climb": Case(_climb),
    "align.affine.independent_pixels": Case(pair, lambda out, *_: out >= 1),
    "align.affine.sampled_ncc": Case(_sampled, lambda out, *_: -1.001 <= float(out) <= 1.001),
    "align.affine.tensor": Case(lambda g: (pair(g)[0],)),
    "align.ncc.ncc": Case(_ncc, lambda out, *_: -1 <= out <= 1),
    "align.ncc.overlap_ncc": Case(
        lambda g: (made := pair(g)) and (*made, alignment(g, made[0].shape)),
        lambda out, *_: -1 <= out[0] <= 1 and 0 <= out[1] <= 1,
    ),
    "align.search.covered_by": Case(lambda g: (pair(g)[0], g.int(0, 20)), shaped(np.bool_)),
    "align.search.features": Case(_features, shaped(np.float32)),
    "align.search.search": Case(_search),
    "align.search.turn_matrix": Case(lambda g: (g.float(-400, 400), g.float(0.1, 9), g.shape())),
    "align.tps.align_tps": Case(_tps),
    "align.tps.auto_mesh": Case(lambda g: ((g.int(1, 30_000), g.int(1, 30_000)),), lambda out, _: out > 0),
    "align.tps.folds": Case(lambda g: (alignment(g, g.shape(2)),)),
    "align.tps.landmark_affine": Case(lambda g: (_landmarks(g),)),
    "align.tps.mesh_points": Case(lambda g: (g.shape(), g.float(1, 90))),
    "align.transform.as_matrix": Case(lambda g: (g.matrix(),)),
    "align.transform.compose": Case(lambda g: (g.matrix(), g.matrix())),
    "align.transform.matrix_to_theta": Case(lambda g: (g.matrix(), g.shape())),
    "align.transform.orientation_matrix": Case(lambda g: (g.pick(tuple(ORIENTATIONS)), g.shape())),
    "align.transform.rescale": Case(lambda g: (g.matrix(), g.float(0.01, 64))),
    "align.transform.spline_basis": Case(_basis),
    "align.transform.theta_to_matrix": Case(lambda g: (g.matrix(), g.shape())),
    "align.transform.to_unit": Case(lambda g: (g.shape(),)),
    "align.by_hand.measure": Case(
        lambda g: (
            (shape := g.shape())
            and (g.image(shape), g.counts(shape), [alignment(g, shape) for _ in range(g.int(0, 2))], g.odd())
        ),
        lambda out, *_: all(-1 <= value <= 1 for value in out),
    ),
    "align.by_hand.shifted": Case(lambda g: (alignment(g, g.shape()), (g.float(-90, 90), g.float(-90, 90)))),
    "align.transform.warp": Case(
        _warp, lambda out, image, found, _: out.shape == found.shape and out.dtype == np.asarray(image).dtype
    ),
}
