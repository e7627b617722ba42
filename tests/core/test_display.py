import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segapp.core import colouring, display
from segapp.core.display import Window
from segapp.core.types import InputError


def whole(image: np.ndarray) -> Window:
    height, width = image.shape
    return Window(0, 0, width, height, width, height)


def outlines(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Cut the one curve at its gaps."""
    ends = np.flatnonzero(np.isnan(x))
    return [np.stack([x[a:b], y[a:b]], 1) for a, b in zip([0, *(ends[:-1] + 1)], ends, strict=True)]


def area(outline: np.ndarray) -> float:
    x, y = outline.T.astype(float)
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


class TestWindow:
    def test_what_is_beyond_the_array_is_not_sent(self):
        window = Window.visible((100, 200), (-50, -50, 250, 150), (300, 200))
        assert (window.x0, window.y0, window.x1, window.y1) == (0, 0, 200, 100)
        assert window.size == (200, 100)

    def test_never_more_than_512_px(self):
        assert Window.visible((4096, 4096), (0, 0, 4096, 4096), (4000, 4000)).size == (512, 512)

    def test_never_more_than_the_screen_shows(self):
        assert Window.visible((1024, 1024), (0, 0, 1024, 1024), (300, 300)).size == (300, 300)

    def test_zoomed_in_every_pixel_is_sent_once(self):
        window = Window.visible((1024, 1024), (10.2, 20.7, 30.1, 40), (600, 600))
        assert (window.x0, window.y0, window.x1, window.y1) == (10, 20, 31, 40)
        assert window.size == (21, 20)

    def test_a_view_beside_the_array_is_one_pixel(self):
        window = Window.visible((10, 10), (50, 50, 60, 60), (100, 100))
        assert window.width == window.height == 1

    def test_a_view_upside_down_is_the_same(self):
        assert Window.visible((50, 50), (0, 50, 50, 0), (50, 50)) == Window.visible((50, 50), (0, 0, 50, 50), (50, 50))


class TestImages:
    def test_bytes_between_black_and_white(self):
        image = np.array([[-5, 0, 5, 10, 99]], np.float32)
        shown = display.window_image(image, whole(image), black=0, white=10, gamma=1)
        assert shown.tolist() == [[0, 0, 128, 255, 255]]

    def test_pixels_that_fall_together_are_averaged(self):
        image = np.array([[0, 100], [0, 100]], np.uint32)
        assert display.window_image(image, Window(0, 0, 2, 2, 1, 1), black=0, white=100, gamma=1).tolist() == [[128]]

    def test_stretch_of_sparse_counts_reaches_their_largest(self):
        counts = np.zeros((100, 100), np.uint32)
        counts[3, 4] = 9
        assert display.stretch(counts) == (0.0, 9.0)

    def test_stretch_of_a_constant_image_is_not_empty(self):
        black, white = display.stretch(np.full((5, 5), 7.0))
        assert white > black == 7

    def test_the_array_is_not_touched(self):
        image = np.full((4, 4), 3.0, np.float32)
        image.flags.writeable = False
        display.window_image(image, whole(image), black=0, white=9, gamma=0.5)

    def test_several_channels_are_refused(self):
        with pytest.raises(InputError, match="one channel"):
            display.window_image(np.zeros((2, 2, 3)), Window(0, 0, 2, 2, 2, 2), black=0, white=1, gamma=1)


class TestContours:
    def test_one_square(self):
        labels = np.zeros((5, 6), np.int32)
        labels[1:4, 2:5] = 3
        (outline,) = outlines(*display.contours(labels, whole(labels)))
        assert np.array_equal(outline[0], outline[-1])
        assert outline.min(0).tolist() == [2, 1] and outline.max(0).tolist() == [5, 4]

    def test_touching_labels_have_an_outline_each(self):
        labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2]], np.int32)
        assert len(outlines(*display.contours(labels, whole(labels)))) == 2

    def test_a_hole_is_an_outline_the_other_way_round(self):
        labels = np.ones((5, 5), np.int32)
        labels[2, 2] = 0
        signs = sorted(np.sign(area(o)) for o in outlines(*display.contours(labels, whole(labels))))
        assert signs == [-1, 1]

    def test_corners_alone_do_not_join(self):
        labels = np.array([[1, 0], [0, 1]], np.int32)
        assert len(outlines(*display.contours(labels, whole(labels)))) == 2

    def test_nothing_is_an_empty_curve(self):
        x, y = display.contours(np.zeros((3, 3), np.int32), Window(0, 0, 3, 3, 3, 3))
        assert x.size == y.size == 0 and x.dtype == np.float32

    def test_a_window_of_a_large_array_gives_positions_in_the_array(self):
        labels = np.zeros((400, 400), np.int32)
        labels[100:200, 300:400] = 5
        window = Window(200, 0, 400, 400, 50, 100)
        (outline,) = outlines(*display.contours(display.window_labels(labels, window), window))
        assert outline.min(0).tolist() == [300, 100] and outline.max(0).tolist() == [400, 200]

    @settings(max_examples=40, deadline=None)
    @given(arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
    def test_outlines_enclose_the_labels(self, labels):
        """Each convex corner takes an eighth of a pixel away and each concave one adds it."""
        x, y = display.contours(labels, whole(labels))
        found = outlines(x, y) if x.size else []
        total = sum(area(outline) for outline in found)
        corners = sum(self.corners(outline) for outline in found)
        assert total + corners / 8 == pytest.approx(np.count_nonzero(labels), abs=1e-4)

    @staticmethod
    def corners(outline: np.ndarray) -> int:
        """Convex minus concave corners; a corner is a step that is neither level nor upright."""
        # once round is four convex corners more than concave ones for an outline, four fewer for a hole
        return 4 if area(outline) > 0 else -4


class TestColours:
    def test_a_label_keeps_its_colour(self):
        few, many = np.array([0, 7]), np.arange(500)
        assert display.colour_ids(few)[1] == display.colour_ids(many)[7]

    def test_neighbouring_ids_differ_and_none_is_clear(self):
        colours = display.colour_ids(np.arange(1, 5000))
        assert colours.min() >= 1
        assert (np.diff(colours.astype(int)) != 0).all()


def test_numbers_of_the_status_line():
    labels = np.array([[0, 4, 4], [9, 9, 9]])
    assert display.summary(labels) == {"n_cells": 2, "median_area": 2.5}
    assert display.summary(np.zeros((2, 2), int)) == {"n_cells": 0, "median_area": None}
    assert display.count_labels(labels) == 2


@pytest.mark.parametrize(
    "values",
    [
        [-1.7e308, 1.7e308],
        [1e300, 1e300],
        [np.nan, 3.0],
        [np.inf, -np.inf],
        [0, 2e-311],
        [0, 5e-324],
        [-5e-324, 5e-324],
    ],
)
def test_every_range_has_a_contrast(values):
    image = np.array([values])
    black, white = display.stretch(image)
    assert np.isfinite([black, white]).all() and white > black
    levels = colouring.contrast(image, 0.5, counts=False).levels
    assert list(levels) == sorted(levels) and levels[0] >= 0 and levels[-1] <= 255
