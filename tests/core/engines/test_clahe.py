"""Local equalisation against OpenCV's, and on parts against the whole."""

import cv2
import numpy as np
import pytest

from segapp.core.engines import clahe


def noise(height, width, blur, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    return cv2.GaussianBlur(image, (0, 0), blur) if blur else image


@pytest.mark.parametrize(
    "shape",
    [(200, 300), (200, 301), (201, 300), (512, 512), (130, 211), (100, 50), (60, 99), (3, 5), (2, 2), (1, 7), (768, 1)],
)
@pytest.mark.parametrize(("clip_limit", "blur"), [(0.5, 0), (2.0, 1.5), (2.0, 0), (40.0, 3)])
def test_the_levels_are_those_of_opencv(shape, clip_limit, blur):
    image = noise(*shape, blur)
    image[0, 0] = 255 - image[0, 0]
    made = clahe.find_contrast(image, clip_limit).apply(image)
    expected = cv2.createCLAHE(clip_limit, (clahe.GRID, clahe.GRID)).apply(image)
    # one level where a compiler of OpenCV joins a product and a sum, which rounds once instead of twice
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert np.mean(made != expected) < 1e-3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(333, 271), (300, 200), (70, 45)])
def test_parts_add_up_to_the_whole(shape, dtype):
    image = (noise(*shape, 2) * (1 if dtype == np.uint8 else 3.7)).astype(dtype)
    whole = clahe.find_contrast(image, 2.0)
    boxes = [(slice(y, y + 64), slice(x, x + 50)) for y in range(0, shape[0], 64) for x in range(0, shape[1], 50)]
    parts = [
        clahe.count(clahe.to_levels(image[box], whole.low, whole.high), shape, (box[0].start, box[1].start))
        for box in boxes
    ]
    found = clahe.contrast_of(parts, shape, whole.low, whole.high, 2.0)
    np.testing.assert_array_equal(found.tables, whole.tables)
    assert found.cell == whole.cell == clahe.cell_of(shape)
    made = np.zeros(shape, np.uint8)
    for box in boxes:
        made[box] = clahe.Contrast.from_json(found.to_json()).apply(image[box], (box[0].start, box[1].start))
    np.testing.assert_array_equal(made, whole.apply(image))


def test_the_json_values_are_small_enough_to_travel_with_a_tile():
    values = clahe.find_contrast(noise(1200, 1300, 3), 2.0).to_json()
    assert len(values["tables"]) < 1_000_000
    assert clahe.Contrast.from_json(values).tables.flags.writeable is False


def test_kernels_compile_ahead():
    clahe.warm()
    assert clahe._apply.signatures
