import cv2
import numpy as np
import pytest

from segapp.core.params import patch
from segapp.core.stain import CytoplasmParams, NucleiMaskParams, mask_cells, mask_nuclei, to_8_bit
from segapp.core.types import InputError


@pytest.fixture(scope="module")
def stain() -> np.ndarray:
    """Blurred discs on an uneven background with noise, 8-bit, using the whole range."""
    rng = np.random.default_rng(4)
    image = np.zeros((200, 240))
    for y, x in rng.integers(5, 195, (60, 2)):
        cv2.circle(image, (int(x), int(y)), 6, float(rng.uniform(90, 200)), -1)
    image = cv2.GaussianBlur(image, (5, 5), 0) + np.linspace(5, 40, 240) + rng.normal(0, 4, image.shape)
    return np.rint((image - image.min()) / np.ptp(image) * 255).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_nuclei_are_found_and_the_bright_side_of_the_background_is_not() -> None:
    image = np.tile(np.linspace(10, 90, 240), (200, 1))
    truth = np.zeros(image.shape, np.uint8)
    for x in range(20, 240, 40):
        for y in range(20, 200, 40):
            cv2.circle(truth, (x, y), 7, 1, -1)
    image += 100 * truth
    assert iou(mask_nuclei(image.astype(np.uint8), NucleiMaskParams()), truth == 1) > 0.95


@pytest.mark.parametrize(
    "convert",
    [
        lambda s: s.astype(np.uint16) * 257,
        lambda s: s.astype(np.uint16) * 16 + 100,
        lambda s: s.astype(np.int32) - 40,
        lambda s: s / 255,
        lambda s: s.astype(np.float32) * 1e4 - 3e5,
    ],
)
def test_16_bit_and_float_stains_work_as_8_bit_does(stain: np.ndarray, convert: object) -> None:
    other = convert(stain)  # type: ignore[operator]
    assert np.array_equal(mask_nuclei(other, NucleiMaskParams()), mask_nuclei(stain, NucleiMaskParams()))
    assert np.array_equal(mask_cells(other, CytoplasmParams()), mask_cells(stain, CytoplasmParams()))


def test_a_few_hot_pixels_do_not_change_the_mask_of_a_16_bit_stain(stain: np.ndarray) -> None:
    wide = stain.astype(np.uint16) * 10
    hot = wide.copy()
    hot[::97, ::101] = 65_535
    assert iou(mask_nuclei(hot, NucleiMaskParams()), mask_nuclei(wide, NucleiMaskParams())) > 0.95


def test_offset_makes_the_mask_stricter(stain: np.ndarray) -> None:
    areas = [mask_nuclei(stain, NucleiMaskParams(offset=offset)).sum() for offset in (-10, 5, 40)]
    assert areas[0] > areas[1] > areas[2]
    assert mask_nuclei(stain, NucleiMaskParams(offset=0)).sum() >= areas[1]


def test_cells_hold_their_nuclei(stain: np.ndarray) -> None:
    nuclei = mask_nuclei(stain, NucleiMaskParams())
    cells = mask_cells(stain, CytoplasmParams(otsu_classes=4))
    assert cells.sum() > nuclei.sum()


@pytest.mark.parametrize(
    "mask", [lambda s: mask_nuclei(s, NucleiMaskParams()), lambda s: mask_cells(s, CytoplasmParams())]
)
@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (np.full((9, 9), 7, np.uint8), "7 in every pixel"),
        (np.full((9, 9), 0.5), "0.5 in every pixel"),
        (np.where(np.eye(9) > 0, np.nan, 1.0), "NaN"),
        (np.zeros((9, 9, 3), np.uint8), "channel"),
        ((np.eye(9) * 255).astype(np.uint8), "otsu_classes=3"),
    ],
)
def test_stains_that_cannot_be_cut_are_refused(mask: object, bad: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        mask(bad)  # type: ignore[operator]


def test_bad_parameters_are_one_sentence() -> None:
    for changes, word in (
        ({"local_k": 54}, "even"),
        ({"mk": 2}, "even"),
        ({"otsu_index": 2}, "needs at least otsu_classes=4"),
        ({"local_k": 1}, "out of range"),
        ({"offset": "much"}, "whole number"),
    ):
        with pytest.raises(InputError, match=word):
            patch(NucleiMaskParams, NucleiMaskParams(), changes)


def test_an_8_bit_stain_keeps_its_levels(stain: np.ndarray) -> None:
    assert to_8_bit(stain) is stain
    assert np.array_equal(to_8_bit(stain.astype(float)), stain)
