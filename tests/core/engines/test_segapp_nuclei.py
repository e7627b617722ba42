from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from segapp.core.engines.options import StardistParams
from segapp.core.engines.stardist.predict import apply, fit
from segapp.core.engines.stardist.size import estimate_scale
from segapp.core.quality import compare_labels
from segapp.core.synthetic import tissue
from segapp.io.models import open_model

IMAGES = Path(__file__).parents[2] / "data" / "nuclei"
KEYS = sorted(path.name[:16] for path in IMAGES.glob("*_img.png"))


def read(key: str) -> tuple[np.ndarray, np.ndarray]:
    image, labels = (cv2.imread(str(IMAGES / f"{key}_{what}.png"), cv2.IMREAD_UNCHANGED) for what in ("img", "mask"))
    return image, labels.astype(np.int32)


def predict(image: np.ndarray, **options):
    params = StardistParams(equalize=0, **options)
    return apply(fit(image, params, open_model(params)), params)


@pytest.fixture(scope="module")
def found():
    return {key: predict(read(key)[0]) for key in KEYS}


def test_nuclei_of_images_never_trained_on(found):
    compared = [compare_labels(read(key)[1], found[key].labels) for key in KEYS]
    tp, fp, fn = (sum(getattr(one, name) for one in compared) for name in ("tp", "fp", "fn"))
    assert len(KEYS) == 6 and tp + fn > 150
    assert tp / (tp + fp + fn) >= 0.80


def test_every_one_of_these_images_is_found_well_enough(found):
    for key in KEYS:
        assert compare_labels(read(key)[1], found[key].labels).f1 >= 0.55, key


def test_simulated_tissue():
    piece = tissue(384, 12, shift=(0, 0))
    compared = compare_labels(piece.nuclei, predict(piece.stain).labels)
    assert compared.ap50 >= 0.88


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_same_nuclei_are_found_at_half_and_double_size(factor):
    key = "66612c188d73e931"
    image, labels = read(key)
    shape = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    resized = cv2.resize(image, shape, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    truth = cv2.resize(labels.astype(np.float32), shape, interpolation=cv2.INTER_NEAREST).astype(np.int32)
    assert compare_labels(truth, predict(resized).labels).f1 >= 0.8


def test_brightness_and_depth_of_the_image_do_not_matter(found):
    key = KEYS[0]
    image = read(key)[0]
    darker = (image.astype(np.float32) * 37.5 + 400).astype(np.uint16)
    compared = compare_labels(found[key].labels, predict(darker).labels)
    assert compared.ap50 > 0.95


def test_an_image_without_nuclei_is_not_enlarged():
    def nothing(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = (image.shape[0] // 2, image.shape[1] // 2)
        return np.zeros(shape, np.float32), np.ones((32, *shape), np.float32)

    assert estimate_scale(np.zeros((50, 70), np.uint8), nothing, diameter=18, multiple=16, white=255) == 1.0


def test_the_cost_of_the_scale_does_not_grow_with_the_image():
    seen = []

    def count(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(image.size)
        assert image.shape[0] % 16 == 0 and image.shape[1] % 16 == 0
        shape = (image.shape[0] // 2, image.shape[1] // 2)
        return np.zeros(shape, np.float32), np.ones((32, *shape), np.float32)

    image = np.random.default_rng(0).integers(0, 255, (3000, 2500), np.uint8)
    estimate_scale(image, count, diameter=18, multiple=16, white=255)
    assert len(seen) <= 12 and max(seen) <= (1.5 * 320 + 16) ** 2
