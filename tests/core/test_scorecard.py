import numpy as np
import pytest

from segapp.core.cells import count_cells
from segapp.core.qc import random_labels_like
from segapp.core.scorecard import Scorecard, genes_per_cell, scorecard
from segapp.core.types import Cancelled, Grid, InputError
from tests.core.test_cells import random_transcripts


def test_genes_and_umis_are_those_of_the_table():
    rng = np.random.default_rng(8)
    transcripts, grid = random_transcripts(rng, n=900), Grid(0, 100, height=10, width=12)
    labels = rng.integers(0, 5, grid.shape).astype(np.int32) * 7
    table = count_cells(transcripts, labels, grid).counts["total"]
    genes = genes_per_cell(transcripts, labels, grid)
    assert genes.tolist() == (table.toarray() > 0).sum(1).tolist()
    total = np.zeros(grid.shape, np.uint32)
    row, col = transcripts.y - grid.y0, transcripts.x - grid.x0
    inside = (row >= 0) & (row < 10) & (col >= 0) & (col < 12)
    np.add.at(total, (row[inside], col[inside]), transcripts.counts["total"][inside])
    card = scorecard(labels, total, n_umis=transcripts.n_umis, genes=genes)
    umis = table.sum(1)
    assert card.median_umis == np.median(np.asarray(umis))
    assert card.median_genes == np.median(genes)
    assert card.assigned == pytest.approx(umis.sum() / transcripts.n_umis)


def test_without_structure_the_cells_are_as_good_as_chance():
    total = np.full((60, 60), 2, np.uint32)
    labels = np.zeros((60, 60), np.int32)
    labels[5:15, 5:15], labels[30:50, 30:40] = 1, 2
    card = scorecard(labels, total, n_umis=7200)
    assert card.ratio == pytest.approx(1.0) and card.per_cell_ratio == pytest.approx(1.0)
    assert card.random_assigned == pytest.approx(card.assigned)


def test_the_baseline_is_that_of_random_labels():
    rng = np.random.default_rng(5)
    total = rng.poisson(0.4, (150, 150)).astype(np.uint32)
    labels = np.zeros((150, 150), np.int32)
    for cell, (row, col) in enumerate(np.argwhere(np.ones((7, 7))) * 20 + 5, 1):
        labels[row : row + 12, col : col + 12] = cell
        total[row : row + 12, col : col + 12] += 2
    card = scorecard(labels, total, n_umis=int(total.sum()))
    random = random_labels_like(labels, seed=1)
    held = np.bincount(random.ravel(), total.ravel())[1:]
    assert card.random_umis == pytest.approx(np.median(held), rel=0.05)
    assert card.random_assigned == pytest.approx(held.sum() / total.sum(), rel=0.05)
    assert card.ratio > 1.4
    assert scorecard(labels, total, n_umis=int(total.sum())) == card


def test_random_cells_do_not_overlap():
    total = np.arange(20, dtype=np.uint32).reshape(4, 5)
    labels = np.arange(20, dtype=np.int32).reshape(4, 5) % 3 + 1
    card = scorecard(labels, total, n_umis=190)
    assert card.random_assigned == card.assigned == 1.0


def test_nuclei_are_counted_in_pieces():
    labels = np.zeros((6, 12), np.int32)
    labels[1:5, 1:5], labels[1:5, 6:11] = 3, 8
    nuclei = np.zeros_like(labels)
    nuclei[2, 2] = nuclei[3, 3] = 3  # touch at a corner: one nucleus
    nuclei[2, 7], nuclei[2, 9] = 8, 8  # two pieces under one id: a merged cell
    nuclei[4, 9:11] = 8
    assert scorecard(labels, labels, n_umis=1, nuclei=nuclei).nuclei_per_cell == 2.0
    nuclei[4, 9:11], nuclei[2, 8] = 0, 8
    assert scorecard(labels, labels, n_umis=1, nuclei=nuclei).nuclei_per_cell == 1.0


def test_ghosts_lower_the_share_within_the_limits():
    labels, ghosts = np.zeros((1, 6), np.int32), np.zeros((1, 6), np.int32)
    labels[0, :3], ghosts[0, 3:] = (1, 2, 4), 9
    assert scorecard(labels, labels, n_umis=9, ghosts=ghosts).within_limits == 0.75
    assert scorecard(labels, labels, n_umis=9).within_limits is None


def test_without_cells():
    nothing = np.zeros((3, 3), np.int32)
    card = scorecard(nothing, nothing + 1, n_umis=9, ghosts=nothing + 4)
    assert card == Scorecard(0, assigned=0.0, within_limits=0.0)
    assert card.ratio is None
    assert card.to_json() == {"n_cells": 0, "assigned": 0.0, "within_limits": 0.0}


def test_it_can_be_stopped_and_refuses_other_shapes():
    def stop(done, total):
        raise Cancelled

    labels = np.ones((3, 3), np.int32)
    with pytest.raises(Cancelled):
        scorecard(labels, labels, n_umis=9, tick=stop)
    with pytest.raises(InputError, match="shape"):
        scorecard(labels, labels[:2], n_umis=9)
    with pytest.raises(InputError, match="frame"):
        genes_per_cell(random_transcripts(np.random.default_rng(1)), labels, Grid(0, 0, 2, 2))
