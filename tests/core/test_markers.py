import cv2
import numpy as np
import pytest
from skimage.feature import peak_local_max

from segapp.core.convolve import gauss_blur
from segapp.core.label import markers
from segapp.core.label.markers import depth, find_peaks, find_peaks_from_mask, find_peaks_with_erosion, label_mask
from segapp.core.threshold import otsu
from segapp.core.types import InputError


def discs(shape: tuple[int, int], *centres: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for y, x, r in centres:
        cv2.circle(mask, (x, y), r, 1, -1)
    return mask > 0


def blobs(seed: int, shape: tuple[int, int] = (150, 160)) -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, shape), (13, 13), 0) * 100 + 100


def test_two_touching_discs_have_two_markers_the_bigger_first() -> None:
    found = find_peaks_from_mask(discs((60, 90), (30, 25, 15), (30, 52, 13)), min_distance=7)
    assert found.max() == 2
    (y1, x1), (y2, x2) = np.argwhere(found == 1)[0], np.argwhere(found == 2)[0]
    assert abs(y1 - 30) <= 1
    assert abs(x1 - 25) <= 1
    assert abs(y2 - 30) <= 1
    assert abs(x2 - 52) <= 1


@pytest.mark.parametrize("min_distance", [1, 4, 9])
def test_peaks_are_the_field_s_when_its_border_rule_is_off(min_distance: int) -> None:
    image = blobs(0)
    blurred = gauss_blur(image, 5)
    truth = peak_local_max(
        blurred.astype(float), min_distance=min_distance, p_norm=2, exclude_border=False, threshold_abs=otsu(blurred)
    )
    found = find_peaks(image, k=5, min_distance=min_distance)
    assert found[tuple(truth.T)].tolist() == list(range(1, len(truth) + 1))
    assert found.max() == len(truth)


def test_depths_of_a_mask_are_the_field_s_when_its_border_rule_is_off() -> None:
    mask = blobs(1) > 101
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    truth = peak_local_max(depth, min_distance=7, p_norm=2, exclude_border=False)
    found = find_peaks_from_mask(mask, min_distance=7)
    assert found[tuple(truth.T)].tolist() == list(range(1, len(truth) + 1))


def test_peaks_near_the_border_are_kept() -> None:
    image = np.zeros((40, 40))
    for y, x in ((0, 0), (2, 20), (39, 39), (20, 37)):
        image[y, x] = 50
    assert find_peaks(image, k=3, min_distance=7).max() == 4
    mask = discs((40, 40), (0, 20, 6), (39, 39, 8), (20, 0, 5))
    assert find_peaks_from_mask(mask, min_distance=7).max() == 3


def test_peaks_of_the_background_are_below_the_floor() -> None:
    rng = np.random.default_rng(0)
    stain = rng.normal(10, 2, (80, 80))
    stain[discs((80, 80), (20, 20, 5), (60, 50, 5))] += 150
    blurred = gauss_blur(stain, 9)
    found = find_peaks(stain, k=9, min_distance=7)
    assert found.max() == 2
    assert (blurred[found > 0] > otsu(blurred)).all()
    assert find_peaks(stain, k=9, min_distance=7, threshold_abs=0).max() > 10


def test_a_threshold_of_zero_is_a_threshold() -> None:
    image = np.array([[-5.0, -9.0, -9.0, -9.0, 3.0, -9.0]])
    assert find_peaks(image, k=1, min_distance=1, threshold_abs=0).tolist() == [[0, 0, 0, 0, 1, 0]]
    assert find_peaks(image, k=1, min_distance=1, threshold_abs=-8).max() == 2
    scores = np.full((30, 30), -1.0)
    scores[10:20, 10:20] = 0.5
    scores[12:18, 12:18] = 9
    options = {"k": 3, "square": False, "min_area": 200, "n_iter": -1, "float_k": 1}
    assert (find_peaks_with_erosion(scores, float_threshold=0, **options) > 0).sum() == 100
    assert (find_peaks_with_erosion(scores, float_threshold=5, **options) > 0).sum() == 36


def test_the_mask_applies_before_the_search_so_that_outside_maxima_do_not_hide_inside_ones() -> None:
    image = np.zeros((1, 20))
    image[0, 9], image[0, 11] = 5, 9
    mask = np.zeros((1, 20), bool)
    mask[0, :10] = True
    assert find_peaks(image, k=1, min_distance=4, mask=mask, threshold_abs=0)[0, 9] == 1


def test_no_two_peaks_are_closer_than_min_distance() -> None:
    points = np.argwhere(find_peaks(np.full((30, 30), 4.0), k=1, min_distance=6, threshold_abs=0))
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + 99 * np.eye(len(points))
    assert distance.min() >= 6


def test_empty_and_full_masks_have_an_answer() -> None:
    assert find_peaks_from_mask(np.zeros((9, 9), bool), min_distance=3).max() == 0
    full = find_peaks_from_mask(np.ones((9, 9), bool), min_distance=3)
    assert full[4, 4] == full.max() == 1


def test_erosion_finds_both_discs_and_loses_no_small_one() -> None:
    mask = discs((80, 100), (30, 30, 14), (30, 54, 14), (70, 90, 3), (5, 5, 2))
    found = find_peaks_with_erosion(mask, k=3, square=False, min_area=80, n_iter=-1, float_k=5)
    assert found.max() == 4
    assert found.dtype == np.int32
    for y, x in ((30, 28), (30, 56), (70, 90), (5, 5)):
        assert found[y, x]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_peaks_do_not_depend_on_the_dtype(dtype: type) -> None:
    image = np.rint(blobs(2).clip(0, 255)).astype(dtype)
    reference = find_peaks(image.astype(np.float64), k=3, min_distance=5, threshold_abs=100)
    assert np.array_equal(find_peaks(image, k=3, min_distance=5, threshold_abs=100), reference)


def test_depth_is_the_exact_distance_and_ends_nowhere_at_the_border() -> None:
    mask = np.ones((9, 9), bool)
    assert np.array_equal(depth(mask), np.full((9, 9), 9))
    mask[0, 0] = False
    y, x = np.indices((9, 9))
    assert np.allclose(depth(mask), np.hypot(y, x), atol=1e-5)


def test_components_are_numbered_in_reading_order() -> None:
    assert label_mask(np.eye(3, dtype=bool)).max() == 1
    assert label_mask(np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]])).tolist() == [[1, 0, 2], [0, 0, 0], [3, 0, 0]]


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="constant"):
        find_peaks(np.ones((9, 9)), k=3, min_distance=3)
    with pytest.raises(InputError, match="`k` is 2"):
        find_peaks(np.eye(9), k=2, min_distance=3)
    with pytest.raises(InputError, match="min_distance"):
        find_peaks_from_mask(np.eye(9) > 0, min_distance=0)
    with pytest.raises(InputError, match="shape"):
        find_peaks(np.eye(9), k=3, min_distance=3, mask=np.ones((8, 9), bool))


def test_warm_compiles_the_kernel() -> None:
    markers.warm()
    assert markers._place_apart.signatures


def test_depth_is_the_root_of_a_whole_number_wherever_the_mask_lies_in_memory() -> None:
    rng = np.random.default_rng(1)
    for _ in range(400):
        shape = rng.integers(2, 20, 2)
        mask = rng.random(shape) < rng.choice([0.5, 0.8, 0.95])
        mask[0, 0] = False
        deep = depth(mask)
        squares = np.rint(deep.astype(np.float64) ** 2)
        assert np.array_equal(deep, np.sqrt(squares).astype(np.float32))
        rows, columns = np.nonzero(~mask)
        y, x = np.indices(shape)
        nearest = ((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(-1)
        assert np.array_equal(squares, nearest)
