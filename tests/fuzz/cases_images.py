"""Inputs for the functions on images, masks and thresholds."""

import numpy as np

from segapp.core.bright_field import white_of
from segapp.core.density import LevelsParams, WardParams, fit_density
from segapp.core.display import Window
from segapp.core.stain import CytoplasmParams, NucleiMaskParams
from segapp.core.ward import ward_tree
from tests.fuzz.harness import Case
from tests.fuzz.inputs import Gen


def shaped(dtype):
    """The result is an array like the first argument, of `dtype`."""

    def check(out, first, *_, **__):
        assert isinstance(out, np.ndarray) and out.shape == np.shape(first) and out.dtype == dtype

    return check


def one_image(g: Gen):
    return (g.image(g.shape()),)


def mask_and_odd(g: Gen):
    return g.mask(g.shape()), g.odd()


def ward(**limits):
    return lambda g: g.params(WardParams, background=lambda: _background(g), merge=lambda: _merge(g), **limits)


def _background(g: Gen) -> str:
    return g.pick(("auto", "off", "0,0", "70,3", "x"))


def _merge(g: Gen):
    return g.pick(((), ((1, 2),), ((2, 0), (1, 2)), ((9, 1),)))


def _region_params(g: Gen):
    kind = g.pick((WardParams, LevelsParams))
    return g.params(kind, binsize=40, background=lambda: _background(g), merge=lambda: _merge(g))


def _density_statistics(g: Gen):
    shape = g.shape()
    statistics = fit_density(g.exact(shape, np.uint32), _region_params(g))
    row, column = g.int(0, shape[0] - 1), g.int(0, shape[1] - 1)
    window = (g.int(1, shape[0] - row + 1), g.int(1, shape[1] - column + 1))
    return statistics, window, (row, column)


def _window(g: Gen, shape):
    x0, y0 = g.int(0, shape[1] - 1), g.int(0, shape[0] - 1)
    view = (x0, y0, g.int(x0 + 1, shape[1]), g.int(y0 + 1, shape[0]))
    return Window.visible(shape, view, (g.int(1, 70), g.int(1, 70)))


def _window_image(g: Gen):
    shape = g.shape()
    black = g.float(-10, 300)
    options = {"black": black, "white": black + g.float(0.01, 1e4), "gamma": g.float(0.1, 5)}
    return (g.image(shape, kinds=("sparse", "noise", "constant", "hot", "negative")), _window(g, shape)), options


def _contours(g: Gen):
    shape = g.shape()
    return g.int32_labels(shape), Window(0, 0, shape[1], shape[0], shape[1], shape[0])


def _check_density(out, total, params, *_):
    bins, statistics = out
    assert bins.shape == total.shape and bins.dtype == np.int32 and bins.min() >= 0
    assert sum(item["share"] for item in statistics["bins"]) < 1.0001


def _check_closed(out, mask, k):
    shaped(np.bool_)(out, mask)
    if k == 1:
        assert np.array_equal(out, np.asarray(mask) != 0)


def _check_eroded(out, mask, **_):
    shaped(np.bool_)(out, mask)
    assert not (out & ~(np.asarray(mask) != 0)).any() and out.any() == np.asarray(mask).any()


def _check_thresholds(out, image, classes):
    assert len(out) == classes - 1 and list(out) == sorted(out)


def _check_tree(out, image, *_):
    children, heights = out
    assert children.shape == (image.size - 1, 2) and (heights >= 0).all()


def _cut_tree(g: Gen):
    shape = g.shape()
    children, _ = ward_tree(g.exact(shape, np.float32))
    return children, shape, g.int(1, shape[0] * shape[1])


def _check_cut(out, children, shape, n):
    assert out.dtype == np.int32 and out.shape == shape and np.array_equal(np.unique(out), np.arange(1, n + 1))


def _brightness(g: Gen):
    """A stain as it was read: finite, of a dtype that images have."""
    return g.exact(g.shape(), g.pick((np.uint8, np.uint16, np.float32, np.float64)))


def _turned_over(g: Gen):
    stain = g.exact(g.shape(), g.pick((np.uint8, np.uint16, np.float32)))
    return stain, white_of(stain)


def _histogram(g: Gen):
    stain = g.exact(g.shape(), g.pick((np.uint8, np.uint16)))
    return np.bincount(stain.ravel(), minlength=g.pick((0, 256, 1 << 16))), stain.dtype


def _levels(g: Gen):
    low = g.float(-10, 300)
    return _brightness(g), low, low + g.float(0.01, 1e4)


CASES = {
    "bright_field.inverted": Case(
        _turned_over,
        lambda out, stain, white: out.dtype == stain.dtype and (out + stain == stain.dtype.type(white)).all(),
    ),
    "bright_field.looks_bright_field": Case(lambda g: (_brightness(g),), lambda out, _: isinstance(out, bool)),
    "bright_field.white_of": Case(lambda g: (_brightness(g),), lambda out, planes: out >= planes.max()),
    "cautions.counts_are_dense": Case(lambda g: (shape := g.shape()) and (g.counts(shape), g.mask(shape))),
    "cautions.track_lines": Case(lambda g: (g.counts(g.shape()),)),
    "checks.check_image": Case(lambda g: (g.image(g.shape()), "stain"), lambda out, image, _: out.shape == image.shape),
    "checks.check_counts": Case(lambda g: (g.image(g.shape()), "counts"), shaped(np.uint32)),
    "checks.check_labels": Case(lambda g: (g.image(g.shape()), "labels"), shaped(np.int32)),
    "checks.check_mask": Case(lambda g: (g.image(g.shape()), "mask"), shaped(np.bool_)),
    "checks.check_same_shape": Case(
        lambda g: ({"a": g.mask(g.pick(((3, 4), (4, 3)))), "b": None, "c": g.mask((3, 4))},)
    ),
    "checks.check_odd": Case(lambda g: (g.pick((g.int(-9, 99), 2.0, True, "5", None, np.int8(7), 2**40 + 1)), "k")),
    "checks.check_table_of_ids": Case(
        lambda g: (g.int32_labels(g.shape()), "labels"), lambda out, labels, _: out == labels.max() + 1
    ),
    "checks.plain": Case(one_image, lambda out, image: out.shape == image.shape and out.dtype.isnative, infinite=True),
    "checks.frozen": Case(lambda g: (g.image(g.shape()),), infinite=True),
    "convolve.circle_kernel": Case(
        lambda g: (g.int(-3, 99),), lambda out, k: out.shape == (k, k) and out.sum() and out[k // 2, k // 2] == 1
    ),
    "convolve.circle_sum": Case(lambda g: (g.counts(g.shape()), g.odd(99)), shaped(np.uint32)),
    "convolve.circle_sum_by_bin": Case(
        lambda g: (shape := g.shape()) and (g.counts(shape), g.labels(shape), g.odd(33)), shaped(np.float32)
    ),
    "convolve.gauss_blur": Case(lambda g: (g.image(g.shape()), g.odd(99)), shaped(np.float32)),
    "convolve.gauss_blur_by_bin": Case(
        lambda g: (shape := g.shape()) and (g.image(shape), g.labels(shape), g.odd(33)), shaped(np.float32)
    ),
    "density.segment_density": Case(lambda g: (g.counts(g.shape()), _region_params(g)), _check_density),
    "density.fit_density": Case(lambda g: (g.counts(g.shape()), _region_params(g))),
    "density.apply_density": Case(
        _density_statistics, lambda out, _, shape, origin: out.shape == shape and out.dtype == np.int32
    ),
    "density.merge_bins": Case(lambda g: (g.labels(g.shape()), dict(_merge(g))), shaped(np.int32)),
    "squares.bin_sums": Case(lambda g: (g.counts(g.shape()), g.int(1, 80))),
    "density.cut_height": Case(lambda g: (np.sort(g.exact((1, g.int(1, 300)), np.float64)[0]),)),
    "display.stretch": Case(one_image, lambda out, image: out[1] > out[0]),
    "display.window_image": Case(_window_image, lambda out, image, window, **_: out.dtype == np.uint8),
    "display.window_labels": Case(
        lambda g: (shape := g.shape()) and (g.labels(shape), _window(g, shape)),
        lambda out, labels, window: out.dtype == np.int32 and set(np.unique(out)) <= {0, *np.unique(labels)},
    ),
    "display.contours": Case(_contours, lambda out, *_: len(out[0]) == len(out[1]), infinite=True),
    "display.colour_ids": Case(
        lambda g: (g.labels(g.shape()),), lambda out, labels: ((out > 0) == (np.asarray(labels) > 0)).all()
    ),
    "display.colour_bins": Case(
        lambda g: (last := g.int(1, 300)) and (g.rng.integers(0, last + 1, g.shape(), dtype=np.int32), last),
        shaped(np.uint8),
    ),
    "display.count_labels": Case(lambda g: (g.labels(g.shape()),)),
    "display.summary": Case(lambda g: (g.labels(g.shape()),)),
    "display.label_areas": Case(
        lambda g: (g.labels(g.shape()),), lambda out, labels: out.sum() == (np.asarray(labels) > 0).sum()
    ),
    "levels.find_levels": Case(
        lambda g: (
            (g.exact(g.shape(), np.float64, ("noise", "blobs", "sparse", "constant", "hot", "zero")), g.float(0.1, 90)),
            {"n_levels": g.int(2, 9), "k": g.odd(9), "smoothness": g.float(0, 20)},
        ),
        lambda out, density, scale, n_levels, **_: out.dtype == np.int32 and out.min() >= 0 and out.max() <= n_levels,
    ),
    "morphology.circle_dilate": Case(mask_and_odd, shaped(np.bool_)),
    "morphology.circle_erode": Case(mask_and_odd, shaped(np.bool_)),
    "morphology.close_open": Case(mask_and_odd, _check_closed),
    "morphology.erode_components": Case(
        lambda g: (
            (g.mask(g.shape()),),
            {"k": g.odd(), "square": g.bool(), "min_area": g.int(0, 6000), "n_iter": g.int(-1, 9)},
        ),
        _check_eroded,
    ),
    "stain.find_range": Case(lambda g: (_brightness(g),), lambda out, _: out[0] < out[1]),
    "stain.find_range_of": Case(_histogram, lambda out, *_: out[0] < out[1]),
    "stain.mask_cells": Case(lambda g: (g.image(g.shape()), g.params(CytoplasmParams)), shaped(np.bool_)),
    "stain.mask_nuclei": Case(lambda g: (g.image(g.shape()), g.params(NucleiMaskParams)), shaped(np.bool_)),
    "stain.to_8_bit": Case(one_image, shaped(np.uint8)),
    "stain.to_levels": Case(_levels, shaped(np.uint8)),
    "threshold.knee": Case(one_image),
    "threshold.knee_or_otsu": Case(one_image),
    "threshold.local_threshold": Case(lambda g: (g.image(g.shape()), g.odd(99), g.float(-1e3, 1e3)), shaped(np.bool_)),
    "threshold.multi_otsu": Case(lambda g: (g.image(g.shape()), g.int(2, 5)), _check_thresholds),
    "threshold.otsu": Case(one_image),
    "ward.ward_tree": Case(one_image, _check_tree),
    "ward.cut_tree": Case(_cut_tree, _check_cut),
}
