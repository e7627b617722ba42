"""A stain of another pixel size comes onto the pixels of the counts: means of what they cover, where they lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core import frame, resample
from segapp.core.frame import StainParams
from segapp.core.types import InputError, StainFile, Transcripts


def transcripts_over(width, height, **header):
    x, y = np.array([0, width - 1], np.int32), np.array([0, height - 1], np.int32)
    return Transcripts(x, y, np.zeros(2, np.int32), {"total": np.ones(2, np.uint32)}, ("Actb",), header)


def the_l(height=12, width=20):
    """An L that no turn or mirroring leaves as it is."""
    image = np.zeros((height, width), np.uint16)
    image[2:9, 3] = 1000
    image[8, 3:8] = 1000
    return image


def test_whole_ratios_give_plain_means():
    image = np.random.default_rng(0).integers(0, 4000, (24, 40)).astype(np.uint16)
    onto = resample.by_size("a.tif", image.shape, 0.25, 2.0, (0, 0))
    means = image.reshape(3, 8, 5, 8).mean(axis=(1, 3))
    np.testing.assert_array_equal(resample.apply(image, onto), np.floor(means + 0.5).astype(np.uint16))


@pytest.mark.parametrize("um", [0.2125, 0.325, 0.4972, 1.7])
@settings(deadline=None, max_examples=20)
@given(height=st.integers(20, 60), width=st.integers(20, 60), seed=st.integers(0, 99))
def test_each_pixel_is_the_mean_over_what_it_covers(um, height, width, seed):
    image = np.random.default_rng(seed).uniform(0, 9, (height, width)).astype(np.float32)
    onto = resample.by_size("a.tif", image.shape, um, 2.0, (0, 0))
    made = resample.apply(image, onto)
    edges = [np.minimum(np.arange(n + 1) * 2.0 / um, size) for n, size in zip(made.shape, image.shape, strict=True)]
    weights = [
        np.clip(np.minimum(e[1:, None], np.arange(1, n + 1)) - np.maximum(e[:-1, None], np.arange(n)), 0, None)
        for e, n in zip(edges, image.shape, strict=True)
    ]
    weights = [w / w.sum(axis=1, keepdims=True) for w in weights]
    np.testing.assert_allclose(made, weights[0] @ image.astype(np.float64) @ weights[1].T, rtol=1e-5, atol=1e-5)


def test_stripes_finer_than_a_pixel_do_not_alias():
    image = np.zeros((80, 80), np.uint8)
    image[:, ::2] = 200
    made = resample.apply(image, resample.by_size("a.tif", image.shape, 0.3, 2.0, (0, 0)))
    assert np.ptp(made.astype(int)[:, :-1]) <= 32 and abs(made.mean() - 100) < 3


def test_coarser_stains_are_interpolated():
    image = np.tile(np.arange(0, 80, 8, dtype=np.uint8), (10, 1))
    made = resample.apply(image, resample.by_size("a.tif", image.shape, 2.0, 0.5, (0, 0)))
    assert made.shape == (40, 40)
    assert (np.diff(made.astype(int)[:, 2:-2], axis=1) == 2).all()


def test_the_frame_is_that_of_the_counts_and_the_l_stands_upright():
    fine = StainFile(np.kron(the_l(), np.ones((8, 8), np.uint16)), name="dapi.tif", um_per_px=0.25)
    stain, grid = frame.place_stain(fine, transcripts_over(20, 12), 2.0, StainParams())
    np.testing.assert_array_equal(stain, the_l())
    assert (grid.x0, grid.y0, grid.shape, grid.um_per_px) == (0, 0, (12, 20), 2.0)


@pytest.mark.parametrize(("given_um", "um"), [(None, 0.25), (0.9, 0.25)])
def test_a_number_wins_over_the_file(given_um, um):
    fine = StainFile(np.kron(the_l(), np.ones((8, 8), np.uint16)), name="dapi.tif", um_per_px=given_um)
    stain, _ = frame.place_stain(fine, transcripts_over(20, 12), 2.0, StainParams(um_per_px=um))
    np.testing.assert_array_equal(stain, the_l())


def test_off_and_sizes_that_are_the_same_leave_the_pixels_alone():
    image = the_l()
    for said, params in ((0.25, StainParams(um_per_px="off")), (2.0, StainParams()), (None, StainParams())):
        file = StainFile(image, name="a.tif", um_per_px=said)
        assert frame.resampling(file, transcripts_over(20, 12), 2.0, params) is None
        np.testing.assert_array_equal(frame.place_stain(file, transcripts_over(20, 12), 2.0, params)[0], image)


def test_metadata_that_cannot_be_right_names_the_way_out():
    file = StainFile(the_l(), name="a.tif", um_per_px=0.25)
    with pytest.raises(InputError, match=r"2 x 3 px .* of 2 µm .*try stain.um_per_px=off$"):
        frame.place_stain(file, transcripts_over(20, 12), 2.0, StainParams())


@pytest.mark.parametrize("orientation", ["rot90", "flip-x", "transpose"])
def test_orientation_comes_before_the_size(orientation):
    image = np.kron(the_l(), np.ones((4, 4), np.uint16))
    file = StainFile(image, name="a.tif", um_per_px=0.5)
    expected = frame.orient(the_l(), orientation)
    over = transcripts_over(*expected.shape[::-1])
    stain, _ = frame.place_stain(file, over, 2.0, StainParams(orientation=orientation))
    np.testing.assert_array_equal(stain, expected)


def placed(matrix, **more):
    """Counts over the whole L whose file says where they lie."""
    return transcripts_over(20, 12, StainMatrix=" ".join(map(str, matrix)), **more)


def paint(shape, matrix):
    """The picture in which the L of bins lies as a matrix between centres says, each pixel by its own place."""
    a, b, c, d, e, f = matrix
    back = np.linalg.inv(np.array([[a, b], [d, e]]))
    v, u = np.mgrid[: shape[0], : shape[1]]
    x, y = np.tensordot(back, np.stack([u - c, v - f]), axes=1)
    x, y = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (x >= 0) & (x < 20) & (y >= 0) & (y < 12)
    image = np.zeros(shape, np.uint16)
    image[inside] = the_l()[y[inside], x[inside]]
    return image


@pytest.mark.parametrize(
    "matrix",
    [
        (8, 0, 43.5, 0, 8, 27.5),
        (8, 0, 43.5, 0, -8, 127.5),  # rows of the array run upward
        (0, 8, 43.5, 8, 0, 27.5),  # rows of the array are columns of the image
        (7.98, 0.14, 43.5, -0.14, 7.98, 40.5),  # a slide that lies askew by a degree
    ],
    ids=["straight", "flipped", "swapped", "askew"],
)
def test_counts_that_know_their_place_in_the_picture(matrix):
    file = StainFile(paint((260, 300), matrix), name="he.tif")
    stain, grid = frame.place_stain(file, placed(matrix), 2.0, StainParams())
    assert grid.shape == (12, 20)
    error = np.abs(stain.astype(int) - the_l())
    assert error.max() <= (0 if matrix[1] in (0, 8) else 250)
    assert "as the file of the counts places them" in frame.resampling(file, placed(matrix), 2.0, StainParams()).text


def test_smaller_copies_of_the_picture():
    matrix = (8, 0, 43.5, 0, 8, 27.5)
    half = paint((260, 300), matrix).reshape(130, 2, 150, 2).mean(axis=(1, 3)).astype(np.uint16)
    over = placed(matrix, StainScale_hires="0.5", StainMicronsPerPixel="0.25")
    for file in (StainFile(half, name="tissue_hires_image.png"), StainFile(half[:100, :110], name="a", um_per_px=0.5)):
        stain, _ = frame.place_stain(file, over, 2.0, StainParams())
        assert np.abs(stain.astype(int) - the_l()).max() == 0


def test_another_picture_is_refused():
    with pytest.raises(InputError, match=r"is not the picture that the counts were placed in.*stain\.um_per_px"):
        frame.place_stain(StainFile(the_l(), name="x.tif"), placed((8, 0, 43.5, 0, 8, 27.5)), 2.0, StainParams())
    with pytest.raises(InputError, match="six numbers"):
        frame.place_stain(StainFile(the_l(), name="x.tif"), placed((8, 0, 1)), 2.0, StainParams())


def test_a_number_or_a_turn_takes_the_picture_by_hand():
    over = placed((8, 0, 43.5, 0, 8, 27.5))
    fine = StainFile(np.kron(the_l(), np.ones((8, 8), np.uint16)), name="dapi.tif")
    stain, _ = frame.place_stain(fine, over, 2.0, StainParams(um_per_px=0.25))
    np.testing.assert_array_equal(stain, the_l())


def test_rows_of_a_window_are_those_of_the_whole():
    image = np.random.default_rng(1).integers(0, 255, (57, 43)).astype(np.uint8)
    onto = resample.by_size("a.tif", image.shape, 0.325, 0.5, (0, 0))
    whole = resample.apply(image, onto)
    parts = [resample.window(image, onto, row, min(row + 7, len(whole))) for row in range(0, len(whole), 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    resample.warm()
