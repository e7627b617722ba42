"""Which cells are doubtful, and which windows show them."""

import numpy as np

from segapp.core.doubt import choose_windows, doubts


def test_small_poor_and_unsure_cells_are_doubtful():
    area = np.array([100, 100, 100, 100, 9, 900])
    umis = np.array([50, 50, 50, 2, 4, 450])
    score = np.array([0.9, 0.9, 0.1, 0.9, 0.9, np.nan])
    found = doubts(area, umis, {"score": score})
    assert found.min() >= 0 and found.max() <= 1
    assert found[0] == found[1] == found.min()
    assert (found[2:5] > found[0]).all() and found[5] > found[0]
    assert doubts(area, umis, {"nothing": np.full(6, np.nan)}).tolist() == doubts(area, umis, {}).tolist()
    assert doubts(np.zeros(0), np.zeros(0), {}).shape == (0,)


def test_windows_show_the_surest_and_the_most_doubtful_part_and_do_not_overlap():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 2000)) * 600
    doubt = np.where(x < 300, 0.1, 0.9) * np.where(y < 300, 1.0, 0.9)
    sure, doubtful = choose_windows(x, y, doubt, (600, 600), side=100, n=3)
    assert len(sure) == len(doubtful) == 3
    assert all(w.column + w.side <= 300 and w.row >= 300 for w in sure)
    assert all(w.column >= 300 and w.row + w.side <= 300 for w in doubtful)
    everything = [*sure, *doubtful]
    for i, a in enumerate(everything):
        for b in everything[:i]:
            assert max(abs(a.row - b.row), abs(a.column - b.column)) >= 100
        inside = (x >= a.column) & (x < a.column + 100) & (y >= a.row) & (y < a.row + 100)
        assert a.cells == tuple(np.flatnonzero(inside)) and np.isclose(a.doubt, doubt[inside].mean())


def test_a_frame_smaller_than_a_window_or_almost_empty():
    at = np.array([1.0, 2.0, 3.0])
    sure, doubtful = choose_windows(at, at, at / 10, (5, 8), side=200, n=3)
    assert [w.side for w in sure] == [5] and doubtful == ()
    assert choose_windows(at[:2], at[:2], at[:2], (50, 50), side=20, n=3) == ((), ())
