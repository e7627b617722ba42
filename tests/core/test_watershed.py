import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import watershed as skimage_watershed

from segapp.core.label import watershed as module
from segapp.core.label.markers import find_peaks_from_mask
from segapp.core.label.watershed import NucleiWatershedParams, label_nuclei, watershed
from segapp.core.stain import NucleiMaskParams, mask_nuclei
from segapp.core.types import Cancelled, InputError


def scene(dtype: type = np.uint8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stain, mask and truth of a grid of discs, some touching."""
    truth = np.zeros((180, 200), np.int32)
    n = 0
    for y in range(20, 180, 35):
        for x in (20, 37, 80, 97, 140, 175):
            n += 1
            cv2.circle(truth, (x, y), 9, n, -1)
    stain = cv2.distanceTransform((truth > 0).astype(np.uint8), cv2.DIST_L2, 5) * 12 + 40.0 * (truth > 0) + 15
    stain += np.random.default_rng(0).normal(0, 3, stain.shape)
    return stain.clip(0, 255).astype(dtype), truth > 0, truth


def test_two_valleys_meet_at_the_ridge() -> None:
    landscape = np.array([[0, 1, 2, 3, 9, 2, 1, 0]])  # the ridge is reached first from the right
    markers = np.array([[4, 0, 0, 0, 0, 0, 0, 7]])
    assert watershed(landscape, markers).tolist() == [[4, 4, 4, 4, 7, 7, 7, 7]]


def test_a_plateau_is_shared_out_by_distance() -> None:
    markers = np.zeros((1, 9), int)
    markers[0, 0], markers[0, 8] = 1, 2
    assert watershed(np.zeros((1, 9)), markers).tolist() == [[1, 1, 1, 1, 1, 2, 2, 2, 2]]


def test_nothing_flows_around_a_corner_or_out_of_the_mask() -> None:
    mask = np.array([[1, 0, 1], [0, 1, 0], [0, 1, 1]], bool)
    markers = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 0]])
    assert watershed(np.zeros((3, 3)), markers, mask).tolist() == [[1, 0, 0], [0, 2, 0], [0, 2, 2]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999), dtype=st.sampled_from([np.float32, np.uint8, np.uint16, np.int32, np.int64]))
def test_the_partition_is_scikit_image_s(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 60, 2))
    span = 1.0 if dtype is np.float32 else 20.0
    landscape = rng.normal(60, span, shape).astype(dtype)
    markers = np.zeros(shape, np.int32)
    n = int(rng.integers(1, 9))
    markers[rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)] = rng.permutation(50)[:n] + 1
    # markers of one height start in an order that scikit-image leaves to its heap: give each its own
    places = np.argwhere(markers)
    landscape[tuple(places.T)] = np.arange(len(places)) - (5 if landscape.dtype.kind != "u" else 0)
    mask = rng.random(shape) < 0.9
    truth = skimage_watershed(landscape, markers, mask=mask)
    assert np.array_equal(watershed(landscape, markers, mask), truth)


def test_the_nuclei_of_a_stain_are_scikit_image_s_basins() -> None:
    stain, mask, _ = scene()
    blurred = cv2.GaussianBlur(stain.astype(float), (3, 3), 0)
    markers = find_peaks_from_mask(mask, min_distance=7)
    truth = skimage_watershed(-blurred, markers, mask=mask)
    assert np.array_equal(label_nuclei(stain, mask, NucleiWatershedParams()), truth)


def test_evenly_bright_nuclei_are_parted_at_their_waist_on_the_distance_landscape() -> None:
    mask = scene()[1]
    stain = np.where(mask, 100, 10).astype(np.uint8)
    labels = label_nuclei(stain, mask, NucleiWatershedParams(landscape="distance"))
    touching = labels[20, 10:48]
    assert len(set(touching[touching > 0])) == 2
    assert abs(int(np.argmax(np.diff(touching[touching > 0]) != 0)) - 17) <= 2


def test_fragments_go_to_their_neighbours_and_no_component_is_lost() -> None:
    rng = np.random.default_rng(3)
    mask = cv2.GaussianBlur(rng.random((200, 200)), (15, 15), 0) > 0.5
    stain = rng.integers(50, 250, mask.shape).astype(np.uint8)
    labels = label_nuclei(stain, mask, NucleiWatershedParams(min_distance=7))
    markers = find_peaks_from_mask(mask, min_distance=7)
    plain = watershed(-cv2.GaussianBlur(stain.astype(float), (3, 3), 0), markers, mask)
    assert labels.max() < plain.max()
    assert np.array_equal(labels > 0, plain > 0)
    areas = np.bincount(labels.ravel())
    assert areas[1:].min() > 0
    n, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    for component in range(1, n):
        found = np.unique(labels[components == component])
        found = found[found > 0]
        if len(found) > 1:
            assert (np.sort(areas[found])[:-1] >= np.pi / 4 * 7**2).all()


@pytest.mark.parametrize("how", ["distance", "peaks", "erosion"])
def test_touching_nuclei_come_apart(how: str) -> None:
    stain, _, truth = scene()
    labels = label_nuclei(
        stain, mask_nuclei(stain, NucleiMaskParams()), NucleiWatershedParams(markers=how, k=3 if how != "peaks" else 13)
    )
    assert labels.max() == truth.max()
    for label in range(1, truth.max() + 1):
        nucleus = truth == label
        found = np.bincount(labels[nucleus]).argmax()
        assert ((labels == found) & nucleus).sum() / ((labels == found) | nucleus).sum() > 0.6


@pytest.mark.parametrize("convert", [lambda s: s.astype(np.uint16) * 257, lambda s: s / 255.0, lambda s: s - 100.0])
@pytest.mark.parametrize("how", ["distance", "peaks", "erosion"])
def test_16_bit_and_float_stains_give_the_labels_of_8_bit(convert: object, how: str) -> None:
    stain, mask, _ = scene()
    other = convert(stain)  # type: ignore[operator]
    params = NucleiWatershedParams(markers=how)
    assert (label_nuclei(other, mask, params) == label_nuclei(stain, mask, params)).mean() > 0.9995


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999))
def test_labels_stay_in_the_mask_keep_their_markers_and_are_connected(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = cv2.GaussianBlur(rng.random((50, 60)), (7, 7), 0) > 0.49
    markers = find_peaks_from_mask(mask, min_distance=4)
    labels = watershed(rng.random((50, 60)), markers, mask)
    assert (labels[~mask] == 0).all()
    assert np.array_equal(labels[markers > 0], markers[markers > 0])
    for label in range(1, labels.max() + 1):
        assert cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)[0] == 2
    # what has no label lies in a piece of the mask without a marker
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert not np.isin(pieces[mask & (labels == 0)], pieces[markers > 0]).any()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32])
def test_extreme_heights_of_every_dtype_keep_their_order(dtype: type) -> None:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    landscape = np.array([[low, low + 1, high, low + 2, low + 1]], dtype)
    markers = np.array([[1, 0, 0, 0, 2]])
    assert watershed(landscape, markers).tolist() == [[1, 1, 1, 2, 2]]
    assert watershed(landscape[:, ::-1], markers).tolist() == [[1, 1, 2, 2, 2]]


def test_work_in_chunks_gives_the_same_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    stain, mask, _ = scene()
    markers = find_peaks_from_mask(mask, min_distance=7)
    whole = watershed(-stain.astype(np.float32), markers, mask)
    calls = []
    monkeypatch.setattr(module, "_CHUNK", 500)
    chunked = watershed(-stain.astype(np.float32), markers, mask, lambda done, total: calls.append((done, total)))
    assert np.array_equal(chunked, whole)
    assert len(calls) > 5
    assert all(done <= total for done, total in calls)


def test_work_can_be_stopped() -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        watershed(np.zeros((9, 9)), np.eye(9, dtype=int), tick=stop)


def test_empty_masks_and_missing_markers_have_an_answer() -> None:
    nothing = np.zeros((9, 9), bool)
    assert label_nuclei(np.eye(9), nothing, NucleiWatershedParams()).max() == 0
    assert watershed(np.eye(9), np.eye(9, dtype=int), nothing).max() == 0
    assert watershed(np.eye(9), np.zeros((9, 9), int)).max() == 0


def test_arguments_are_not_written() -> None:
    stain, mask, _ = scene()
    markers = find_peaks_from_mask(mask, min_distance=7)
    landscape = -stain.astype(np.float32)
    for array in (stain, mask, markers, landscape):
        array.flags.writeable = False
    watershed(landscape, markers, mask)
    label_nuclei(stain, mask, NucleiWatershedParams(markers="erosion"))


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match=r"`stain` has shape \(9, 9\) but `mask` has \(8, 9\)"):
        label_nuclei(np.eye(9), np.ones((8, 9), bool), NucleiWatershedParams())
    with pytest.raises(InputError, match="markers"):
        watershed(np.eye(9), np.eye(9))
    with pytest.raises(InputError, match="NaN"):
        watershed(np.full((9, 9), np.nan), np.eye(9, dtype=int))


def test_warm_compiles_every_kernel() -> None:
    module.warm()
    for kernel in (module._link, module._rank, module._start, module._flood):
        assert kernel.signatures
