import numpy as np
import pytest

from segapp.core import bright_field
from segapp.core.bright_field import inverted, looks_bright_field, white_of
from segapp.io.samples import load_sample


@pytest.fixture(scope="module", params=["tissue", "mosta"])
def stain(request):
    return load_sample(request.param).stain.image


def crops(image, size=300, step=250):
    rows, columns = (range(0, side - size + 1, step) for side in image.shape)
    return [image[y : y + size, x : x + size] for y in rows for x in columns]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_fluorescence_is_told_from_bright_field_whole_and_in_crops(stain, dtype):
    image = (stain.astype(np.float64) * (1 if dtype == np.uint8 else 16)).astype(dtype)
    for part in [image, *crops(image)]:
        assert not looks_bright_field(part)
        assert looks_bright_field(inverted(part, white_of(part)))


def test_black_around_a_picture_does_not_hide_bright_field(stain):
    image = inverted(stain, 255.0)
    image[: image.shape[0] // 5] = 0
    assert looks_bright_field(image)


def test_noise_and_flat_images_are_no_bright_field():
    rng = np.random.default_rng(0)
    assert not looks_bright_field(rng.normal(100, 10, (400, 400)))
    assert not looks_bright_field(np.full((50, 50), 7, np.uint8))
    assert not looks_bright_field(np.zeros((1, 1), np.uint8))


def test_turned_over_white_is_what_lies_outside():
    deep = np.array([[0, 1000, 4095]], np.uint16)
    assert inverted(deep, white_of(deep)).tolist() == [[4095, 3095, 0]]
    assert inverted(deep, white_of(deep)).dtype == np.uint16
    floats = np.array([[-1.0, 0.5]], np.float32)
    assert inverted(floats, white_of(floats)).tolist() == [[1.5, 0.0]]
    assert inverted(np.array([[250]], np.uint8), white_of(np.array([[250]], np.uint8))).tolist() == [[5]]
    assert len(bright_field._spread(10_000)) == bright_field._PLACES
