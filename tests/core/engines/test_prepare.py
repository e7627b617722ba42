import cv2
import numpy as np
import pytest

from segapp.core.engines.prepare import equalize, percentiles
from segapp.core.types import InputError


def test_contrast_is_equalised_as_the_field_does(stain):
    expected = cv2.createCLAHE(2.0, (100, 100)).apply(stain)
    np.testing.assert_array_equal(equalize(stain, 2.0), expected)
    assert equalize(stain, 0) is stain


def test_every_bit_depth_is_equalised_alike(stain):
    levels = stain.copy()
    levels[0, 0], levels[0, 1] = 0, 255
    wide = levels.astype(np.uint16) * 257
    np.testing.assert_array_equal(equalize(levels, 2.0), equalize(wide, 2.0))
    np.testing.assert_array_equal(equalize(levels, 2.0), equalize(levels.astype(np.float32) / 255, 2.0))


@pytest.mark.parametrize("clip_limit", [0, 2.0])
def test_a_constant_stain_is_refused(clip_limit):
    with pytest.raises(InputError, match="the value 7 in every pixel"):
        equalize(np.full((40, 40), 7, np.uint8), clip_limit)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [2, 7, 5000])
def test_percentiles_are_those_of_numpy(dtype, size):
    image = np.random.default_rng(size).gamma(2, 40, (1, size)).clip(0, 255).astype(dtype)
    for low, high in ((0, 100), (1, 99.8), (33.3, 66.6)):
        np.testing.assert_allclose(percentiles(image, low, high), np.percentile(image, (low, high)), rtol=1e-6)


def test_percentiles_of_a_mostly_empty_image_differ():
    image = np.zeros((50, 50), np.uint8)
    image[3, 3] = 9
    assert percentiles(image, 1, 99.8) == (0.0, 9.0)
