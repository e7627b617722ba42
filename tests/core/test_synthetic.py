"""The simulator: what it promises about truth, stain and RNA, and the digest that freezes it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from skimage.measure import label as connected

from segapp.core.synthetic import TYPE_NAMES, Tissue, rna_over_nuclei, tissue
from segapp.core.synthetic.anatomy import main_pieces
from segapp.core.synthetic.fields import smooth_field
from segapp.core.synthetic.genes import MARKERS
from segapp.core.synthetic.rna import track_lines
from segapp.core.synthetic.settings import FROZEN
from segapp.core.types import InputError

FROZEN_DIGEST = "fb0e9f3fd2a76eb827f15877bbdb1243"


@pytest.fixture(scope="module")
def sample() -> Tissue:
    return tissue(size=256, seed=0)


def image(found: Tissue, layer: str, *genes: str) -> np.ndarray:
    t = found.transcripts
    keep = np.isin(t.gene, [t.genes.index(gene) for gene in genes]) if genes else np.ones(len(t), bool)
    out = np.zeros(found.cells.shape)
    np.add.at(out, (t.y[keep], t.x[keep]), t.counts[layer][keep])
    return out


def test_the_tissue_is_frozen(sample: Tissue) -> None:
    # every measured accuracy refers to this tissue: a change here is a change of all of them
    state = hashlib.blake2b(digest_size=16)
    for array in (sample.stain, sample.nuclei, sample.cells, sample.density, sample.types):
        state.update(array.astype("<i4").tobytes())
    state.update(sample.transcripts.digest.encode())
    assert state.hexdigest() == FROZEN_DIGEST


def test_shapes_types_and_ids(sample: Tissue) -> None:
    assert sample.stain.shape == sample.nuclei.shape == sample.cells.shape == sample.density.shape == (256, 256)
    assert sample.stain.dtype == np.uint8
    assert {a.dtype for a in (sample.nuclei, sample.cells, sample.density)} == {np.dtype(np.int32)}
    ids = np.unique(sample.cells)
    assert ids.tolist() == list(range(len(sample.types) + 1))
    assert len(sample.type_names) == len(TYPE_NAMES) == 5
    assert set(np.unique(sample.density)) <= {0, 1, 2, 3}


def test_a_cell_holds_its_nucleus_and_is_in_one_piece(sample: Tissue) -> None:
    inside = sample.nuclei > 0
    assert (sample.cells[inside] == sample.nuclei[inside]).all()
    # cells cut by the frame may be in pieces; the others are not
    rim = np.ones(sample.cells.shape, bool)
    rim[1:-1, 1:-1] = False
    inner = np.where(np.isin(sample.cells, np.unique(sample.cells[rim])), 0, sample.cells)
    assert connected(inner, background=0, connectivity=1).max() == len(np.unique(inner)) - 1


def test_nuclei_are_of_the_size_of_nuclei() -> None:
    found = tissue(size=512, seed=5)
    areas = np.bincount(found.nuclei.ravel())[1:]
    diameter = 2 * np.sqrt(areas[areas > 60] / np.pi) * 0.5
    assert 7.0 < np.median(diameter) < 9.0


def test_the_stain_is_displaced_by_the_shift_and_nothing_else_is() -> None:
    straight, moved = tissue(128, 2, shift=(0, 0)), tissue(128, 2)
    assert moved.stain_shift == (4, -6)
    # what lies at (x, y) is seen at (x + 4, y - 6)
    np.testing.assert_array_equal(moved.stain[:-6, 4:], straight.stain[6:, :-4])
    for name in ("nuclei", "cells", "density", "types"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(straight, name))
    assert moved.transcripts.digest == straight.transcripts.digest


def test_the_straight_stain_is_bright_on_nuclei() -> None:
    found = tissue(128, 2, shift=(0, 0))
    assert found.stain[found.nuclei > 0].mean() > 2 * found.stain[found.cells == 0].mean()


def test_total_is_spliced_and_unspliced(sample: Tissue) -> None:
    counts = sample.transcripts.counts
    np.testing.assert_array_equal(counts["total"], counts["spliced"] + counts["unspliced"])
    assert counts["unspliced"].sum() > 0


def test_rna_lies_where_it_should(sample: Tissue) -> None:
    nucleus, cell = sample.nuclei > 0, sample.cells > 0
    cytoplasm, outside = cell & ~nucleus, ~cell
    total, unspliced = image(sample, "total"), image(sample, "unspliced")
    assert total[cell].mean() > 1.5 * total[outside].mean()
    assert unspliced[nucleus].mean() > 2 * unspliced[cytoplasm].mean()
    malat1, mitochondrial = image(sample, "total", "Malat1"), image(sample, "total", "mt-Co1", "mt-Nd1", "mt-Cytb")
    assert malat1[nucleus].mean() > 2 * malat1[cytoplasm].mean()
    assert mitochondrial[cytoplasm].mean() > mitochondrial[nucleus].mean()


def test_there_are_more_than_200_genes_and_types_have_markers() -> None:
    found = tissue(size=512, seed=5)
    assert len(found.transcripts.genes) > 200
    assert {"Malat1", "Neat1"} <= set(found.transcripts.genes)
    for type_, markers in enumerate(MARKERS):
        of_type = np.concatenate([[False], found.types == type_])[found.cells]
        of_others = (found.cells > 0) & ~of_type
        total = image(found, "total", *set(markers.split()) & set(found.transcripts.genes))
        assert total[of_type].mean() > 2 * total[of_others].mean()


def test_denser_regions_have_more_nuclei_and_more_rna() -> None:
    found = tissue(size=512, seed=5)
    total = image(found, "total")
    present = [k for k in (1, 2, 3) if (found.density == k).sum() > 2000]
    assert present == [1, 2, 3]
    assert np.all(np.diff([(found.nuclei > 0)[found.density == k].mean() for k in present]) > 0)
    assert np.all(np.diff([total[found.density == k].mean() for k in present]) > 0)


def test_track_lines_catch_less() -> None:
    capture = track_lines(np.random.default_rng(0), 1000, FROZEN)
    low = np.flatnonzero(capture < 1)
    assert 2 * FROZEN.track_width <= len(low) <= 6 * FROZEN.track_width
    assert (capture[low] == FROZEN.track_capture).all()


def test_same_seed_same_tissue_other_seed_other_tissue(sample: Tissue) -> None:
    again, other = tissue(256, 0), tissue(256, 1)
    np.testing.assert_array_equal(again.stain, sample.stain)
    assert again.transcripts.digest == sample.transcripts.digest
    assert other.transcripts.digest != sample.transcripts.digest


def test_fields_have_unit_spread_and_are_smooth() -> None:
    field = smooth_field(np.random.default_rng(3), (300, 300), 10.0)
    assert abs(field.mean()) < 0.2
    assert 0.8 < field.std() < 1.2
    assert np.abs(np.diff(field, axis=0)).max() < 0.5


def test_main_pieces_keeps_the_largest_or_the_marked() -> None:
    labels = np.array([[1, 1, 0, 1], [0, 0, 0, 2]], np.int32)
    assert main_pieces(labels).tolist() == [[1, 1, 0, 0], [0, 0, 0, 2]]
    keep = np.zeros(labels.shape, bool)
    keep[0, 3] = True
    assert main_pieces(labels, keep).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_rna_over_given_nuclei(sample: Tissue) -> None:
    before = sample.nuclei.copy()
    found = rna_over_nuclei(sample.nuclei)
    np.testing.assert_array_equal(sample.nuclei, before)
    inside = found.nuclei > 0
    assert (found.cells[inside] == found.nuclei[inside]).all()
    assert (found.cells > 0).sum() > inside.sum()
    t = found.transcripts
    assert (t.x.max() < 256, t.y.max() < 256, t.x.min() >= 0, t.y.min() >= 0) == (True,) * 4
    assert rna_over_nuclei(sample.nuclei).transcripts.digest == t.digest


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"size": 63}, "size=63"),
        ({"size": True}, "size=True"),
        ({"size": 100.5}, "size=100.5"),
        ({"seed": -1}, "seed=-1"),
        ({"size": 64, "shift": (0.5, 0)}, "shift="),
        ({"size": 64, "shift": (0, 40)}, "shift="),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        tissue(**arguments)


def test_no_nucleus_is_refused() -> None:
    with pytest.raises(InputError, match="no label"):
        rna_over_nuclei(np.zeros((64, 64), np.int32))
