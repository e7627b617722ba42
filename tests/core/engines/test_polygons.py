import subprocess
import sys

import numpy as np
import pytest

from segapp.core.engines.stardist import polygons
from segapp.core.engines.stardist.polygons import largest_pieces, render, suppress
from segapp.core.types import Cancelled


def some(n=1500, side=400, rays=32, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, side, (n, 2)).astype(np.int32)
    dist = (rng.uniform(4, 12, (n, 1)) * rng.uniform(0.7, 1.3, (n, rays))).astype(np.float32)
    return points, dist, rng.permutation(n).astype(np.float32) / n


def test_the_original_package_chooses_and_draws_the_same():
    from stardist.geometry import polygons_to_label
    from stardist.nms import non_maximum_suppression_sparse

    points, dist, prob = some()
    stay = suppress(points, dist, prob, 0.4)
    their_points, their_prob, their_dist, theirs = non_maximum_suppression_sparse(dist, prob, points, nms_thresh=0.4)
    np.testing.assert_array_equal(stay, theirs)
    expected = polygons_to_label(their_dist, their_points, shape=(400, 400), prob=their_prob)
    np.testing.assert_array_equal(render(points[stay], np.zeros((len(stay), 2)), dist[stay], (400, 400)), expected)
    doubled = polygons_to_label(their_dist, their_points * 2, (800, 800), prob=their_prob, scale_dist=(2, 2))
    np.testing.assert_array_equal(
        render(points[stay] * 2, np.zeros((len(stay), 2)), dist[stay], (800, 800), 2), doubled
    )


def test_equal_probabilities_go_by_place_whatever_the_order():
    points, dist, _ = some(n=500)
    prob = np.full(500, 0.5, np.float32)
    shuffled = np.random.default_rng(1).permutation(500)
    first = {tuple(points[i]) for i in suppress(points, dist, prob, 0.3)}
    second = {tuple(points[shuffled][i]) for i in suppress(points[shuffled], dist[shuffled], prob, 0.3)}
    assert first == second


def test_a_lower_share_leaves_fewer_polygons():
    points, dist, prob = some()
    counts = [len(suppress(points, dist, prob, share)) for share in (0.1, 0.4, 0.8)]
    assert counts[0] < counts[1] < counts[2]


def test_block_by_block_is_as_all_at_once(monkeypatch):
    points, dist, prob = some(n=4000, side=1500)
    expected = suppress(points, dist, prob, 0.4)
    monkeypatch.setattr(polygons, "_MANY", 100)
    monkeypatch.setattr(polygons, "_BLOCK", 500)
    np.testing.assert_array_equal(suppress(points, dist, prob, 0.4), expected)

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        suppress(points, dist, prob, 0.4, stop)


def test_polygons_are_chosen_and_drawn_alike_wherever_they_lie():
    points, dist, prob = some()
    parts = np.random.default_rng(3).random((len(points), 2))
    stay = suppress(points, dist, prob, 0.4)
    labels = render(points[stay], parts[stay], dist[stay], (400, 400), 0.9)
    for away in (7, 1000, 5119):
        moved = points + np.array([away, away // 2])
        np.testing.assert_array_equal(suppress(moved.astype(np.int32), dist, prob, 0.4), stay)
        there = render(moved[stay], parts[stay], dist[stay], (400 + away, 400 + away // 2), 0.9)
        # what lies beyond the corner of the one lies in the other
        inner = np.s_[40:, 40:]
        np.testing.assert_array_equal(there[away:, away // 2 :][inner], labels[inner])


def test_nothing_is_nothing():
    points, dist, prob = np.zeros((0, 2), np.int32), np.zeros((0, 32), np.float32), np.zeros(0, np.float32)
    assert suppress(points, dist, prob, 0.4).tolist() == []
    assert render(points, points, dist, (5, 5)).tolist() == [[0] * 5] * 5


def test_the_largest_piece_of_a_label_stays():
    labels = np.array([[1, 2, 1, 1], [0, 2, 0, 0], [3, 0, 3, 4]], np.int32)
    expected = [[0, 2, 1, 1], [0, 2, 0, 0], [3, 0, 0, 4]]
    assert largest_pieces(labels).tolist() == expected
    whole = np.array([[1, 0], [0, 1]], np.int32)
    assert largest_pieces(whole) is whole, "pieces that touch at a corner are one"
    empty = np.zeros((3, 3), np.int32)
    assert largest_pieces(empty) is empty


def test_the_compiled_functions_come_without_the_package_around_them():
    code = (
        "import sys, warnings; before = warnings.formatwarning\n"
        "from segapp.core.engines.stardist.polygons import _compiled\n"
        "_compiled()\n"
        "assert 'stardist' not in sys.modules and 'tensorflow' not in sys.modules\n"
        "assert warnings.formatwarning is before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
