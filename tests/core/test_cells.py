"""Genes in cells, and the size and place of cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core.cells import cell_geometry, count_cells, mean_in_cells
from segapp.core.records import make_transcripts
from segapp.core.types import Cancelled, Grid, InputError


def brute_force(t, labels, grid, layer):
    ids = sorted(set(labels.ravel().tolist()) - {0})
    table = np.zeros((len(ids), len(t.genes)), dtype=np.int64)
    for x, y, gene, n in zip(t.x.tolist(), t.y.tolist(), t.gene.tolist(), t.counts[layer].tolist(), strict=True):
        row, column = y - grid.y0, x - grid.x0
        if 0 <= row < grid.height and 0 <= column < grid.width and labels[row, column]:
            table[ids.index(labels[row, column]), gene] += n
    return ids, table


def random_transcripts(rng, n=400, n_genes=7):
    x, y, gene = rng.integers(-3, 15, n), rng.integers(97, 112, n), rng.integers(0, n_genes, n)
    spliced, unspliced = rng.integers(0, 3, n), rng.integers(0, 2, n)
    counts = {"total": spliced + unspliced, "spliced": spliced, "unspliced": unspliced}
    return make_transcripts(x, y, gene, counts, [f"g{i}" for i in range(n_genes)])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 30))
def test_behaviour_21_every_umi_is_counted_once(seed):
    rng = np.random.default_rng(seed)
    t, grid = random_transcripts(rng), Grid(0, 100, height=10, width=12)
    labels = rng.choice([0, 2, 3, 70000], grid.shape)
    cells = count_cells(t, labels, grid)
    for layer in t.counts:
        ids, table = brute_force(t, labels, grid, layer)
        matrix = cells.counts[layer]
        assert cells.label.tolist() == ids and np.array_equal(matrix.toarray(), table)
        assert matrix.has_sorted_indices and matrix.dtype == np.int32 and (matrix.data > 0).all()
        assert int(matrix.sum(dtype=np.int64)) + cells.unassigned[layer] == int(t.counts[layer].sum(dtype=np.int64))


def test_behaviour_21_cells_without_umis_are_kept():
    t = make_transcripts([0], [0], [0], {"total": [5]}, ["a"])
    cells = count_cells(t, np.array([[4, 9]]), Grid(0, 0, 1, 2))
    assert cells.label.tolist() == [4, 9] and cells.counts["total"].toarray().tolist() == [[5], [0]]


def test_umis_outside_the_frame_are_unassigned_and_named():
    t = make_transcripts([-1, 0, 1, 2, 0, 0], [0, 0, 0, 0, -1, 1], [0] * 6, {"total": [1, 2, 4, 8, 16, 32]}, ["a"])
    cells = count_cells(t, np.array([[1, 0]]), Grid(0, 0, 1, 2))
    assert cells.counts["total"].toarray().tolist() == [[2]]
    assert (cells.unassigned["total"], cells.outside) == (61, 57)


def test_behaviour_06_counts_of_a_cell_do_not_wrap():
    t = make_transcripts([0, 1], [0, 0], [0, 0], {"total": [4294967295, 4294967295]}, ["a"])
    cells = count_cells(t, np.array([[1, 1]]), Grid(0, 0, 1, 2))
    assert cells.counts["total"].toarray().tolist() == [[2 * 4294967295]] and cells.counts["total"].dtype == np.int64
    t = make_transcripts([0, 1], [0, 0], [0, 0], {"total": [65535, 65535]}, ["a"])
    assert count_cells(t, np.array([[1, 1]], np.uint8), Grid(0, 0, 1, 2)).counts["total"].toarray().tolist() == [
        [131070]
    ]


def test_no_cell_at_all():
    t = make_transcripts([0], [0], [0], {"total": [5]}, ["a"])
    labels = np.zeros((2, 3), np.int32)
    cells, geometry = count_cells(t, labels, Grid(0, 0, 2, 3)), cell_geometry(labels, labels)
    assert cells.counts["total"].shape == (0, 1) and cells.unassigned == {"total": 5}
    assert len(geometry.label) == len(geometry.area_px) == len(geometry.nuclear_fraction) == 0
    assert len(mean_in_cells(labels, labels)) == 0


def test_relabelling_changes_only_the_ids():
    rng = np.random.default_rng(3)
    t, grid = random_transcripts(rng), Grid(0, 100, height=10, width=12)
    labels = rng.integers(0, 5, grid.shape)
    names = np.array([0, 3, 40, 41, 2_000_000_000])
    a, b = count_cells(t, labels, grid), count_cells(t, names[labels], grid)
    assert b.label.tolist() == names[1:].tolist()
    assert np.array_equal(a.counts["total"].toarray(), b.counts["total"].toarray())
    assert np.array_equal(cell_geometry(labels).area_px, cell_geometry(names[labels]).area_px)


def test_the_shape_of_the_frame_is_needed():
    t = make_transcripts([0], [0], [0], {"total": [5]}, ["a"])
    with pytest.raises(InputError, match=r"\(1, 2\) but the frame has \(2, 1\)"):
        count_cells(t, np.array([[1, 1]]), Grid(0, 0, 2, 1))


def test_counting_stops_when_it_is_told_to():
    def stop(done, total):
        raise Cancelled

    t = make_transcripts([0], [0], [0], {"total": [5]}, ["a"])
    with pytest.raises(Cancelled):
        count_cells(t, np.array([[1, 1]]), Grid(0, 0, 1, 2), tick=stop)


def test_geometry_of_hand_drawn_cells():
    labels = np.array(
        [
            [0, 0, 0, 0, 0, 5],
            [0, 2, 2, 0, 0, 0],
            [0, 2, 2, 0, 9, 0],
            [0, 2, 0, 0, 9, 0],
            [0, 0, 0, 0, 0, 0],
        ]
    )
    nuclei = np.zeros_like(labels)
    nuclei[1, 1:3], nuclei[4, 4] = 2, 8
    g = cell_geometry(labels, nuclei)
    assert g.label.tolist() == [2, 5, 9] and g.area_px.tolist() == [5, 1, 2]
    assert g.x.tolist() == [1.4, 5.0, 4.0] and g.y.tolist() == [1.8, 0.0, 2.5]
    assert g.touches_border.tolist() == [False, True, False]
    assert g.nucleus_area_px.tolist() == [2, 0, 0] and g.nuclear_fraction.tolist() == [0.4, 0.0, 0.0]
    assert cell_geometry(labels).nuclear_fraction is None


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1 << 30))
def test_geometry_against_masks_of_each_cell(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 4, 6], (7, 9)).astype(np.uint16)
    g = cell_geometry(labels)
    for i, label in enumerate(g.label):
        rows, columns = np.nonzero(labels == label)
        assert g.area_px[i] == len(rows)
        assert np.isclose(g.x[i], columns.mean()) and np.isclose(g.y[i], rows.mean())
        at_edge = (rows == 0) | (rows == 6) | (columns == 0) | (columns == 8)
        assert g.touches_border[i] == at_edge.any()
