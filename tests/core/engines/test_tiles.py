import numpy as np
import pytest

from segapp.core.engines.tiles import tiles, window


@pytest.mark.parametrize("shape", [(1, 1), (16, 40), (333, 421), (640, 128), (1000, 37)])
@pytest.mark.parametrize(("size", "context", "multiple"), [(128, 20, 8), (64, 50, 16), (2000, 100, 16), (200, 0, 4)])
@pytest.mark.parametrize("least", [1, 3])
def test_every_pixel_is_used_once_with_its_context(shape, size, context, multiple, least):
    cut = tiles(shape, size, context, multiple, least)
    whole = [-(-side // multiple) * multiple for side in shape]
    used = np.zeros(whole, int)
    for tile in cut:
        used[tile.rows, tile.columns] += 1
        for inner, seen, end in (
            (tile.rows, tile.seen_rows, whole[0]),
            (tile.columns, tile.seen_columns, whole[1]),
        ):
            assert all(bound % multiple == 0 for bound in (inner.start, inner.stop, seen.start, seen.stop))
            assert seen.start <= max(inner.start - context, 0) and seen.stop >= min(inner.stop + context, end)
            assert seen.stop - seen.start <= max(size, multiple * (1 + 2 * -(-context // multiple)))
    assert (used == 1).all()


def test_an_image_of_one_tile_is_cut_into_bands_where_they_cost_less_than_twice_it():
    assert [len(tiles((1152, 1000), 2000, 106, 16, least)) for least in (1, 2, 4, 100)] == [1, 2, 4, 5]
    assert len(tiles((200, 1000), 2000, 106, 16, 4)) == 1
    for tile in tiles((1152, 1000), 2000, 106, 16, 4):
        assert tile.seen_rows.stop - tile.seen_rows.start <= 2 * (tile.rows.stop - tile.rows.start)


def test_a_window_is_the_image_and_its_mirror_beyond_the_end():
    image = np.arange(10 * 7).reshape(10, 7)
    padded = np.pad(image, ((0, 2), (0, 1)), mode="reflect")
    for tile in tiles(image.shape, 8, 2, 4):
        np.testing.assert_array_equal(window(image, tile, 4), padded[tile.seen_rows, tile.seen_columns])


def test_inner_tiles_are_views():
    image = np.zeros((64, 64))
    assert all(np.shares_memory(window(image, tile, 4), image) for tile in tiles(image.shape, 32, 4, 4))
