import numpy as np
import pytest

from segapp.core.card import describe_cell, same_pixels
from segapp.core.cells import cell_geometry, count_cells, mean_in_cells
from segapp.core.records import make_transcripts
from segapp.core.types import Grid, InputError
from tests.core.test_cells import random_transcripts


def test_every_card_says_what_the_table_says():
    rng = np.random.default_rng(6)
    transcripts, grid = random_transcripts(rng, n=1500), Grid(-1, 99, height=11, width=13)
    labels = rng.integers(0, 6, grid.shape).astype(np.int32) * 11
    nuclei = np.where(rng.random(grid.shape) < 0.3, labels, 0)
    scores = rng.random(grid.shape).astype(np.float32)
    table, geometry = count_cells(transcripts, labels, grid), cell_geometry(labels, nuclei)
    means = mean_in_cells(scores, labels)
    for i, cell in enumerate(table.label.tolist()):
        card = describe_cell(transcripts, labels, grid, cell, n_top=99, nuclei=nuclei, scores=scores)
        row = table.counts["total"][i].toarray().ravel()
        assert card.umis == row.sum() and card.n_genes == (row > 0).sum()
        assert dict(card.top_genes) == {transcripts.genes[g]: row[g] for g in np.flatnonzero(row)}
        assert [n for _, n in card.top_genes] == sorted((n for _, n in card.top_genes), reverse=True)
        assert (card.area_px, card.nucleus_area_px) == (geometry.area_px[i], geometry.nucleus_area_px[i])
        assert (card.x, card.y) == pytest.approx((geometry.x[i], geometry.y[i]))
        assert card.score == pytest.approx(means[i])
        assert card.touches_border == geometry.touches_border[i]


def test_a_cell_without_transcripts_and_genes_that_tie():
    labels = np.zeros((8, 8), np.int32)
    labels[2:4, 2:5], labels[6, 6] = 1, 2
    transcripts = make_transcripts([2, 3, 4, 4], [2, 2, 3, 3], [2, 1, 1, 0], {"total": [3, 1, 2, 3]}, ["a", "b", "c"])
    card = describe_cell(transcripts, labels, Grid(0, 0, 8, 8), 1, n_top=2)
    assert card.top_genes == (("a", 3), ("b", 3)) and card.n_genes == 3
    assert card.box == (2, 2, 4, 5) and (card.x, card.y) == (3.0, 2.5)
    empty = describe_cell(transcripts, labels, Grid(0, 0, 8, 8), 2, n_top=2)
    assert (empty.umis, empty.n_genes, empty.top_genes) == (0, 0, ())
    assert empty.score is None and empty.nucleus_area_px is None


def test_a_cell_that_is_not_there():
    transcripts = make_transcripts([0], [0], [0], {"total": [1]}, ["a"])
    labels = np.ones((2, 2), np.int32)
    for cell in (0, 5, -1):
        with pytest.raises(InputError, match="no cell"):
            describe_cell(transcripts, labels, Grid(0, 0, 2, 2), cell, n_top=1)


def test_same_pixels_whatever_else_changed():
    before = np.zeros((5, 8), np.int32)
    before[1:3, 1:3], before[1:4, 5:7] = 1, 2
    after = before.copy()
    after[3, 5] = 9
    assert same_pixels(before, after, 1)
    assert not same_pixels(before, after, 2)
    assert not same_pixels(before, after, 9) and not same_pixels(after, before, 9)
