"""Inputs for records, the frame, cells as rows of tables, parameters and the simulated tissue."""

import numpy as np

from segapp.core.frame import ORIENTATIONS, StainParams
from segapp.core.params import Params, knob
from segapp.core.rna import NUCLEAR_GENES, RnaParams
from segapp.core.score import METHODS
from segapp.core.stain import NucleiMaskParams
from segapp.core.synthetic.anatomy import Anatomy, draw_nuclei, draw_regions, grow_cells, place_nuclei
from segapp.core.synthetic.settings import FROZEN
from segapp.core.types import Grid
from tests.fuzz.cases_images import shaped
from tests.fuzz.harness import Case
from tests.fuzz.inputs import Fresh, Gen

GENES = (NUCLEAR_GENES, ("malat1",), ("Actb", "nothing"), (), ("nothing",))


def rna_params(g: Gen):
    return g.params(RnaParams, genes=lambda: g.pick(GENES))


def framed(g: Gen):
    grid = g.grid(g.shape())
    return g.transcripts(grid), grid


def seed(g: Gen) -> int:
    return g.int(0, 2**31)


def rng(g: Gen) -> Fresh:
    number = seed(g)
    return Fresh(lambda: np.random.default_rng(number))


def _count(g: Gen):
    transcripts, grid = framed(g)
    return transcripts, g.labels(grid.shape if g.int(0, 19) else (3, 3)), grid


def _check_count(out, transcripts, labels, grid):
    for layer, values in transcripts.counts.items():
        assert int(out.counts[layer].sum()) + out.unassigned[layer] == int(values.sum(dtype=np.int64))


def _place(g: Gen):
    shape = g.shape()
    transcripts = g.transcripts(Grid(g.int(-3, 3), g.int(-3, 3), max(shape[0] - 5, 1), max(shape[1] - 5, 1)))
    stain = g.maybe(lambda: g.stain_file(shape))
    return stain, transcripts, 0.5, g.params(StainParams, channel=lambda: g.pick(("auto", "0", "1", "grey", "DAPI")))


def _records(g: Gen):
    n = g.int(0, 90)
    wide = g.pick((5, 2**31 - 1, 2**33))
    columns = [g.rng.integers(-wide, wide, n) for _ in range(2)]
    gene = g.rng.integers(g.pick((0, 0, 0, -1)), 4, n)
    counts = {"total": g.rng.integers(0, g.pick((3, 2**32 - 1, 2**40)), n)}
    return (*columns, gene, counts, ["b", "a", "b", "c"]), {"cell_id": g.maybe(lambda: g.rng.integers(0, 9, n))}


def _assemble(g: Gen):
    n = g.int(1, 90)
    made = {name: g.rng.integers(-9, 9, n).astype(np.int32) for name in ("x", "y")}
    made |= {"gene": g.rng.integers(0, 4, n).astype(np.int32), "total": g.rng.integers(0, 9, n).astype(np.uint32)}
    return Fresh(lambda: dict(made)), ["b", "a", "d", "c"], {}


def _sort(g: Gen):
    n = g.int(0, 200)
    kinds = (np.int8, np.int32, np.int64, np.uint32)
    return tuple(g.rng.integers(g.pick((0, -100)), 100, n).astype(g.pick(kinds)) for _ in range(g.int(1, 3)))


def _check_sort(order, *keys):
    rows = [(*(int(key[i]) for key in keys), int(i)) for i in order]
    assert rows == sorted(rows)


def _random_labels(g: Gen):
    shape = g.shape()
    areas = g.rng.integers(g.pick((0, 0, -1)), 9, g.int(0, 9))
    return (shape, areas), {"seed": seed(g)}


def _regions(g: Gen):
    corners = g.rng.integers(0, 50, (g.int(1, 9), 2))
    weights = g.maybe(lambda: g.rng.integers(g.pick((0, -1)), 4, len(corners)).astype(float))
    return (corners, weights), {"n": g.int(1, 12), "seed": seed(g)}


def _placed(g: Gen):
    regions = [tuple(g.float(-40, 90) for _ in range(g.pick((2, 4, 3)))) for _ in range(g.int(0, 3))]
    options = {"size": g.int(1, 60), "scale": g.float(0.1, 9), "corner": (g.int(-9, 9), 0), "first": (0, g.int(-9, 9))}
    return (regions,), {**options, "shape": g.shape()}


def anatomy(g: Gen) -> Anatomy:
    shape = (g.int(48, 80), g.int(48, 80))
    source = np.random.default_rng(seed(g))
    regions = draw_regions(source, shape, FROZEN)
    centres, radii, types = place_nuclei(source, regions, FROZEN)
    nuclei, thickness = draw_nuclei(source, shape, centres, radii, FROZEN)
    return Anatomy(regions, nuclei, grow_cells(source, nuclei, FROZEN), types, thickness)


def _draw_nuclei(g: Gen):
    shape, n = g.shape(8), g.int(0, 6)
    return rng(g), shape, g.rng.uniform(0, 1, (n, 2)) * shape, g.rng.uniform(2, 9, n), FROZEN


class _Knobs(Params):
    k: int = knob(5, ge=1, le=99, soft=(1, 21), odd=True, doc="Diameter.")
    word: str = knob("auto", doc="Text.")


def _patch(g: Gen):
    given = g.pick(
        ({"k": "7"}, {"k": 4}, {"k": None}, {"word": 3}, {"no": 1}, {"k": [1]}, {"k": "1e400"}, {"word": "5"})
    )
    return _Knobs, _Knobs(), given


CASES = {
    "cells.cell_geometry": Case(
        lambda g: (shape := g.shape()) and (g.labels(shape), g.maybe(lambda: g.labels(shape))),
        lambda out, labels, *_: out.area_px.sum() == (np.asarray(labels) > 0).sum(),
    ),
    "cells.cells_of_records": Case(_count, lambda out, transcripts, *_: len(out) == len(transcripts)),
    "cells.count_cells": Case(_count, _check_count),
    "cells.mean_in_cells": Case(lambda g: (shape := g.shape()) and (g.image(shape), g.labels(shape))),
    "frame.choose_channel": Case(
        lambda g: (g.stain_file(g.shape()), g.pick(("auto", "0", "2", "grey", "dapi", "RED"))),
        lambda out, *_: out.ndim == 2 and out.dtype in (np.uint8, np.uint16, np.float32),
    ),
    "orientation.orient": Case(
        lambda g: (g.image(g.shape()), g.pick((*ORIENTATIONS, "none"))),
        lambda out, image, _: out.size == image.size and out.flags.c_contiguous,
        infinite=True,
    ),
    "frame.channel_of": Case(
        lambda g: (g.pick(("YX", "YXS", "CYX")), g.params(StainParams)), lambda out, *_: isinstance(out, str)
    ),
    "frame.planes_of": Case(
        lambda g: (g.stain_file(g.shape()), g.pick(("auto", "0", "2", "grey", "dapi", "RED"))),
        lambda out, stain, _: out.ndim in (2, 3) and out.size <= stain.image.size,
        infinite=True,
    ),
    "frame.place_stain": Case(_place, lambda out, *_: out[0] is None or out[0].shape == out[1].shape),
    "orientation.turn_points": Case(
        lambda g: (g.rng.uniform(-9, 70, (g.int(0, 9), 2)), g.shape(), g.pick(tuple(ORIENTATIONS)))
    ),
    "orientation.turned": Case(lambda g: (g.pick(tuple(ORIENTATIONS)), g.pick((*ORIENTATIONS, "none")))),
    "params.classes": Case(lambda g: (g.pick((METHODS, NucleiMaskParams)),)),
    "params.default_params": Case(lambda g: (g.pick((METHODS, NucleiMaskParams)),)),
    "params.knob": Case(lambda g: ((g.int(0, 9),), {"doc": "What.", "ge": 0, "le": 9, "soft": (0, 9)})),
    "params.knobs": Case(lambda g: (g.pick((*METHODS.options, NucleiMaskParams)),)),
    "params.patch": Case(_patch),
    "qc.boundaries": Case(lambda g: ((g.labels(g.shape()),), {"thickness": g.int(1, 9)}), shaped(np.uint8)),
    "qc.draw_regions": Case(_regions),
    "qc.drop_small": Case(
        lambda g: ((g.labels(g.shape()),), {"area_cutoff": g.int(0, 90)}), shaped(np.int32), fresh_result=True
    ),
    "qc.place_regions": Case(_placed),
    "qc.random_labels": Case(_random_labels, lambda out, shape, areas, **_: (out > 0).sum() == areas.sum()),
    "qc.random_labels_like": Case(lambda g: ((g.labels(g.shape()),), {"seed": seed(g)}), shaped(np.int32)),
    "qc.region_corners": Case(lambda g: (g.shape(), g.int(1, 70))),
    "qc.region_weights": Case(lambda g: (g.exact((64, 64), np.uint32), g.rng.integers(0, 50, (3, 2)), g.int(1, 20))),
    "records.assemble": Case(_assemble),
    "records.make_transcripts": Case(_records, lambda out, *given, **_: out.n_umis == int(given[3]["total"].sum())),
    "records.sort_order": Case(_sort, _check_sort),
    "rna.cautions": Case(lambda g: (framed(g)[0], rna_params(g))),
    "rna.find_genes": Case(lambda g: (framed(g)[0], g.pick(GENES))),
    "rna.header_number": Case(lambda g: (framed(g)[0], g.pick(("BinSize", "OffsetY", "no")), 1.0, g.bool())),
    "rna.marks_nuclei": Case(lambda g: (framed(g)[0], rna_params(g))),
    "rna.nuclear_source": Case(lambda g: (framed(g)[0], rna_params(g))),
    "rna.pixel_size": Case(lambda g: (framed(g)[0], rna_params(g)), lambda out, *_: out > 0),
    "rna.rasterize": Case(
        lambda g: (*framed(g), g.pick(("total", "unspliced", "none")), g.maybe(lambda: g.pick(GENES))),
        lambda out, transcripts, grid, *_: out.shape == grid.shape and out.dtype == np.uint32,
    ),
    "rna.rna_layers": Case(lambda g: (*framed(g), rna_params(g)), lambda out, _, grid, __: out[1].shape == grid.shape),
    "synthetic.rna_over_nuclei": Case(
        lambda g: (g.int32_labels(g.shape()), seed(g)), lambda out, nuclei, _: out.cells.shape == nuclei.shape
    ),
    "synthetic.simulate": Case(lambda g: (g.int(60, 72), seed(g), (g.int(-9, 9), g.int(-9, 9)), FROZEN)),
    "synthetic.tissue": Case(
        lambda g: ((g.int(60, 72), seed(g)), {"shift": (g.int(-9, 9), 0)}),
        lambda out, size, *_, **__: out.stain.shape == (size, size) == out.cells.shape,
    ),
    "synthetic.anatomy.draw_nuclei": Case(_draw_nuclei),
    "synthetic.anatomy.draw_regions": Case(lambda g: (rng(g), g.shape(), FROZEN)),
    "synthetic.anatomy.grow_cells": Case(lambda g: (rng(g), g.int32_labels(g.shape()), FROZEN)),
    "synthetic.anatomy.main_pieces": Case(
        lambda g: (shape := g.shape()) and (g.int32_labels(shape), g.maybe(lambda: g.mask(shape, (bool,))))
    ),
    "synthetic.anatomy.place_nuclei": Case(lambda g: (rng(g), g.rng.integers(0, 4, g.shape(), np.int32), FROZEN)),
    "synthetic.fields.quantise": Case(lambda g: (g.rng.normal(0, 9, g.shape()), g.int(1, 4096))),
    "synthetic.fields.smooth_field": Case(lambda g: (rng(g), g.shape(), g.float(1, 90))),
    "synthetic.genes.gene_panel": Case(lambda g: (g.float(0.05, 0.95), g.float(0.05, 0.95))),
    "synthetic.rna.draw_rna": Case(
        lambda g: ((rng(g), anatomy(g), FROZEN), {"window": (g.int(0, 5), g.int(0, 5), 40, 40)})
    ),
    "synthetic.rna.track_lines": Case(lambda g: (rng(g), g.int(1, 3000), FROZEN), lambda out, _, n, __: len(out) == n),
    "synthetic.ssdna.draw_stain": Case(lambda g: (rng(g), anatomy(g), FROZEN)),
    "notes.note": Case(lambda g: (g.pick(("", "no RNA here", "µ")), g.int(1, 3))),
    "types.no_tick": Case(lambda g: (g.int(0, 9), g.int(0, 9))),
}
