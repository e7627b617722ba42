"""Ward on the grid: the tree of the definition, and any order of ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core import ward
from segapp.core.types import Cancelled, InputError


def naive_tree(image):
    """Return merges by trying every pair of touching clusters each time."""
    index = np.arange(image.size).reshape(image.shape)
    touching = {frozenset(map(int, p)) for p in zip(index[:, :-1].ravel(), index[:, 1:].ravel(), strict=True)}
    touching |= {frozenset(map(int, p)) for p in zip(index[:-1].ravel(), index[1:].ravel(), strict=True)}
    members = {i: [float(v)] for i, v in enumerate(image.ravel())}
    children, heights = [], []

    def cost(pair):
        a, b = (np.array(members[i]) for i in pair)
        return len(a) * len(b) / (len(a) + len(b)) * (a.mean() - b.mean()) ** 2

    while touching:
        best = min(touching, key=lambda pair: (cost(pair), max(pair), min(pair)))
        heights.append(np.sqrt(2 * cost(best)))
        new = image.size + len(children)
        children.append(sorted(best))
        members[new] = [value for i in best for value in members.pop(i)]
        moved = {frozenset(new if i in best else i for i in pair) for pair in touching}
        touching = {pair for pair in moved if len(pair) == 2}
    return np.array(children).reshape(-1, 2), np.array(heights)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000))
def test_tree_is_that_of_the_definition(height, width, seed):
    image = np.random.default_rng(seed).random((height, width))
    children, heights = ward.ward_tree(image)
    expected, expected_heights = naive_tree(image)
    np.testing.assert_array_equal(np.sort(children, 1), expected)
    np.testing.assert_allclose(heights, expected_heights, atol=1e-9)


def test_equal_distances_go_by_the_numbers_of_the_nodes():
    children, heights = ward.ward_tree(np.zeros((2, 2)))
    np.testing.assert_array_equal(children, [[1, 0], [3, 2], [5, 4]])
    assert not heights.any()


def test_cut_gives_connected_clusters_of_any_number():
    image = np.array([[0, 0, 9, 9], [0, 0, 9, 0]], float)
    children, _ = ward.ward_tree(image)
    np.testing.assert_array_equal(ward.cut_tree(children, image.shape, 3), [[1, 1, 2, 2], [1, 1, 2, 3]])
    assert (ward.cut_tree(children, image.shape, 1) == 1).all()
    assert ward.cut_tree(children, image.shape, 8).max() == 8
    with pytest.raises(InputError, match="from 1 to 8"):
        ward.cut_tree(children, image.shape, 9)


def test_large_trees_reuse_their_room_and_can_be_cancelled():
    image = np.random.default_rng(0).random((160, 160))
    children, heights = ward.ward_tree(image)
    assert sorted(children.ravel().tolist()) == list(range(2 * image.size - 2))
    total = ((image - image.mean()) ** 2).sum()
    assert np.isclose((heights**2 / 2).sum(), total)  # the merges share the whole variance out

    def stop(done, of):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        ward.ward_tree(image, stop)


def test_a_single_pixel_is_one_cluster():
    children, heights = ward.ward_tree(np.ones((1, 1)))
    assert children.shape == (0, 2) and heights.shape == (0,)
    assert ward.cut_tree(children, (1, 1), 1).tolist() == [[1]]
