"""Inputs for what a screen asks for: cards of cells, colours, histograms, the scorecard."""

import numpy as np

from tests.fuzz.harness import Case
from tests.fuzz.inputs import Gen

SHOWN = ("sparse", "noise", "constant", "hot", "negative", "zero", "broken")


def one_number_each(g: Gen) -> np.ndarray:
    return g.exact((1, g.int(1, 90)), np.float64, ("noise", "constant", "hot", "zero", "negative"))[0]


def _described(g: Gen):
    grid = g.grid(g.shape())
    labels = g.labels(grid.shape)
    cell = int(g.pick((1, 2, 7, int(np.max(labels)))))
    options = {
        "n_top": g.int(0, 5),
        "nuclei": g.maybe(lambda: g.labels(grid.shape)),
        "scores": g.maybe(lambda: g.exact(grid.shape, np.float32)),
    }
    return (g.transcripts(grid), labels, grid, cell), options


def _histogram(g: Gen):
    low = g.maybe(lambda: g.float(-10, 300))
    high = g.maybe(lambda: (low or 0) + g.float(-1, 300))
    return (g.image(g.shape(), kinds=SHOWN[:-1]),), {"bins": g.int(-1, 300), "low": low, "high": high}


def _scorecard(g: Gen):
    shape = g.shape()
    labels = g.labels(shape)
    options = {
        "n_umis": g.int(0, 10**6),
        "genes": g.maybe(lambda: g.rng.integers(0, 9, len(np.unique(labels)) - bool((np.asarray(labels) == 0).any()))),
        "nuclei": g.maybe(lambda: g.labels(shape)),
        "ghosts": g.maybe(lambda: g.labels(shape)),
    }
    return (labels, g.counts(shape)), options


def _two(g: Gen):
    shape = g.shape()
    return g.labels(shape), g.labels(shape)


def _counted(g: Gen):
    grid = g.grid(g.shape())
    return g.transcripts(grid), g.labels(grid.shape), grid


CASES = {
    "card.describe_cell": Case(_described),
    "card.same_pixels": Case(lambda g: (*_two(g), g.int(1, 7))),
    "colouring.colour_table": Case(lambda g: (one_number_each(g),), lambda out, values: len(out[0]) == len(values)),
    "colouring.contrast": Case(lambda g: ((g.image(g.shape(), kinds=SHOWN), g.float(0.1, 5)), {"counts": g.bool()})),
    "colouring.label_means": Case(
        lambda g: (shape := g.shape()) and (g.labels(shape), g.image(shape, kinds=SHOWN[:-1]))
    ),
    "colouring.label_sums": Case(
        lambda g: (shape := g.shape()) and (g.labels(shape), g.image(shape, kinds=SHOWN[:-1]))
    ),
    "histogram.count_outside": Case(lambda g: (g.image(g.shape(), kinds=SHOWN[:-1]), g.float(-9, 90), g.float(0, 300))),
    "histogram.whole_histogram": Case(
        lambda g: ((g.rng.integers(0, 4000, g.int(0, 200)),), {"bins": g.int(1, 256), "reach": g.float(0, 5000)}),
        lambda out, values, **_: out.total == values.size,
    ),
    "histogram.histogram": Case(_histogram, lambda out, values, **_: out.total == values.size),
    "histogram.share_from": Case(
        lambda g: (g.image(g.shape(), kinds=SHOWN), g.float(-10, 300)), lambda out, *_: 0 <= out <= 1
    ),
    "quality.diff_labels": Case(_two),
    "scorecard.genes_per_cell": Case(_counted),
    "scorecard.scorecard": Case(_scorecard),
}
