import numpy as np
import pytest

from segapp.core.cautions import counts_are_dense, track_lines
from segapp.core.rna import rasterize
from segapp.core.synthetic import tissue
from segapp.core.types import Grid, InputError


@pytest.fixture(scope="module")
def sample():
    return tissue(size=512, seed=12, shift=(0, 0))


def _runs(lines: np.ndarray) -> int:
    return int((np.diff(lines, prepend=-9) > 1).sum())


def test_total_rna_is_dense_in_nuclei_and_unspliced_rna_is_not(sample):
    grid, nuclei = Grid(0, 0, 512, 512), sample.nuclei > 0
    assert counts_are_dense(rasterize(sample.transcripts, grid, "total"), nuclei)
    assert not counts_are_dense(rasterize(sample.transcripts, grid, "total", ("Malat1", "Neat1")), nuclei)
    assert not counts_are_dense(np.ones((3, 3), int), np.zeros((3, 3), bool))
    with pytest.raises(InputError, match="shape"):
        counts_are_dense(np.ones((3, 3), int), np.zeros((4, 3), bool))


def test_track_lines_of_the_chip_are_found_and_nothing_else(sample):
    rows, columns = track_lines(rasterize(sample.transcripts, Grid(0, 0, 512, 512), "total"))
    # the simulated chip has a line of 4 px about every 260 px, in both directions
    assert 1 <= _runs(rows) <= 2 and 1 <= _runs(columns) <= 2 and len(rows) <= 8 and len(columns) <= 8
    calm = np.random.default_rng(0).poisson(0.3, (400, 400))
    assert [len(found) for found in track_lines(calm)] == [0, 0]
    calm[100:140] = 0  # a gap in the tissue is no line
    assert [len(found) for found in track_lines(calm)] == [0, 0]
    assert [len(found) for found in track_lines(np.zeros((5, 5), int))] == [0, 0]
