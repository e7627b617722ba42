import cv2
import numpy as np
import pytest

from segapp.core.engines.resample import place, resize, restore, sixteenths


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (512, 400), np.uint8)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.125, 1.6875, 3.0])
def test_resizing_is_that_of_opencv_in_32_bits(image, scale):
    made = resize(image, scale)
    assert made.dtype == np.float32
    assert made.shape == tuple(round(side * scale) for side in image.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    np.testing.assert_allclose(
        made, cv2.resize(image.astype(np.float32), made.shape[::-1], interpolation=how), atol=1e-2
    )


@pytest.mark.parametrize("scale", [n / 16 for n in (1, 5, 11, 15, 17, 18, 21, 24, 37)])
def test_a_window_is_resized_as_the_whole_to_the_last_bit(image, scale):
    whole, window = resize(image, scale), resize(image[256:, 128:], scale)
    top, left = round(256 * scale), round(128 * scale)
    np.testing.assert_array_equal(window[2:, 2:], whole[top + 2 :, left + 2 :])
    back, part = restore(whole, scale, image.shape), restore(whole[top:, left:], scale, (256, 272))
    rim = int(2 / scale) + 2
    np.testing.assert_array_equal(part[rim:, rim:], back[256 + rim :, 128 + rim :])


def test_resizing_keeps_the_mean_and_brings_back_the_size(image):
    for scale in (0.4, 0.5, 1.7):
        made = resize(image, scale)
        assert abs(made.mean() - image.mean()) < 1.5
        assert restore(made, scale, image.shape).shape == image.shape
    assert resize(image, 1.0) is image and restore(image, 1.02, image.shape) is image
    assert resize(image[:9, :5], 0.001).shape == (1, 1)
    assert resize(image.astype(np.uint32), 0.5).dtype == np.float32


def test_middles_of_pixels_come_in_fractions_that_do_not_depend_on_the_place():
    whole, part = place(np.arange(40), 18, 16)
    np.testing.assert_allclose(whole + part, (np.arange(40) + 0.5) / 1.125 - 0.5)
    far, there = place(np.arange(40) + 18 * 1000, 18, 16)
    np.testing.assert_array_equal(far, whole + 16 * 1000)
    np.testing.assert_array_equal(there, part)
    assert sixteenths(0) == 1
