import numpy as np

from segapp.pipeline.chip.joins import disagreeing

WIDTH, SIDE = 20, 10
LEFT, RIGHT = (0, 0), (0, 1)


def block(*cells):
    """Objects of a tile: first pixel (x, y), hash, and whether its core holds that pixel."""
    return {
        "key": np.array([y * WIDTH + x for (x, y), _, _ in cells], np.int64),
        "mark": np.array([mark for _, mark, _ in cells], np.uint64),
        "owned": np.array([owned for _, _, owned in cells], bool),
    }


def test_tiles_that_see_the_same_cells_agree():
    crossing = (9, 3), 77
    assert disagreeing({LEFT: block((*crossing, True)), RIGHT: block((*crossing, False))}, WIDTH, SIDE) == set()
    assert disagreeing({LEFT: block(), RIGHT: block()}, WIDTH, SIDE) == set()


def test_a_cell_of_another_shape_is_the_business_of_both():
    left, right = block(((9, 3), 77, True)), block(((9, 3), 78, False))
    assert disagreeing({LEFT: left, RIGHT: right}, WIDTH, SIDE) == {LEFT, RIGHT}


def test_a_cell_that_its_owner_does_not_know_is_the_business_of_both():
    other, below = ((2, 2), 5, True), block(((1, 12), 6, True))
    seen = block(((8, 3), 77, False), ((15, 3), 8, True))
    blocks = {LEFT: block(other), RIGHT: seen, (1, 0): below}
    assert disagreeing(blocks, WIDTH, SIDE) == {LEFT, RIGHT}
    # even where no tile owns any cell at all
    assert disagreeing({LEFT: block(), RIGHT: block(((8, 3), 77, False))}, WIDTH, SIDE) == {LEFT, RIGHT}
