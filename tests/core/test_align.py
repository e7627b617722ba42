"""Alignment: far and near, turned and bent, and never worse than it was."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core import align
from segapp.core.align import AffineParams, Alignment, NoAlignment, TpsParams, affine, align_stain, ncc, warp
from segapp.core.align.ncc import overlap_ncc
from segapp.core.align.rows import rows_needed, warp_rows
from segapp.core.align.search import covered_by, features, turn_matrix
from segapp.core.align.tps import auto_mesh, mesh_points
from segapp.core.align.transform import (
    as_matrix,
    compose,
    matrix_to_theta,
    orientation_matrix,
    spline_basis,
    theta_to_matrix,
)
from segapp.core.frame import ORIENTATIONS, orient
from segapp.core.rna import rasterize
from segapp.core.synthetic import tissue
from segapp.core.types import Cancelled, Grid, InputError, Unavailable

SIZE = 512


@pytest.fixture(scope="module")
def sample():
    """A straight stain, the unspliced counts under it, and nothing between them."""
    made = tissue(SIZE, seed=3, shift=(0, 0))
    return made.stain, rasterize(made.transcripts, Grid(0, 0, SIZE, SIZE), "unspliced")


def moved_stain(stain, matrix):
    """Return a stain in which frame position p is seen at `matrix` p."""
    return cv2.warpAffine(stain, np.asarray(matrix, float)[:2], stain.shape[::-1], flags=cv2.INTER_LINEAR)


def error(alignment, matrix):
    at = np.stack(np.meshgrid(*[np.linspace(0, SIZE - 1, 9)] * 2), -1).reshape(-1, 2)
    expected = at @ np.asarray(matrix)[:, :2].T + np.asarray(matrix)[:, 2]
    return np.linalg.norm(alignment.positions(at) - expected, axis=1).mean()


def test_19_ncc_is_the_true_one():
    rng = np.random.default_rng(0)
    a, b = rng.random((20, 30)), rng.random((20, 30))
    mask = rng.random((20, 30)) > 0.3
    assert ncc(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert ncc(a, b, mask) == pytest.approx(np.corrcoef(a[mask], b[mask])[0, 1])
    assert ncc(a, 5 - 2 * a) == pytest.approx(-1)
    assert ncc(a, np.full_like(a, 0.1)) == 0
    shifted = Alignment("affine", (20, 30), ((1, 0, 3), (0, 1, -2)))
    value, overlap = overlap_ncc(a.astype(np.float32), b.astype(np.float32), shifted)
    assert value == pytest.approx(np.corrcoef(a[2:, :-3].ravel(), b[:-2, 3:].ravel())[0, 1], abs=1e-6)
    assert overlap == pytest.approx(18 * 27 / 600)


def test_19_the_shift_of_the_tissue_is_recovered():
    made = tissue(1024, seed=0)
    nuclear = rasterize(made.transcripts, Grid(0, 0, 1024, 1024), "unspliced")
    stain, alignment = align_stain(made.stain, nuclear, AffineParams())
    assert np.hypot(*np.subtract(alignment.shift, made.stain_shift)) < 0.2
    assert alignment.ncc_after > alignment.ncc_before
    assert stain.dtype == made.stain.dtype and stain.shape == made.stain.shape


@pytest.mark.parametrize(
    ("angle", "scale", "shift"),
    [(0, 1, (128, -128)), (10, 1.05, (-60, 40)), (-10, 0.95, (30, 128)), (6, 1.0, (0, 0)), (0.4, 1.002, (2, 3))],
)
def test_19_far_shifts_turns_and_scales_are_recovered(sample, angle, scale, shift):
    stain, nuclear = sample
    matrix = compose(turn_matrix(angle, scale, stain.shape), np.array([[1, 0, shift[0]], [0, 1, shift[1]]]))
    _, alignment = align_stain(moved_stain(stain, matrix), nuclear, AffineParams())
    assert error(alignment, matrix) < 0.5
    assert alignment.rotation == pytest.approx(angle, abs=0.2)
    assert alignment.scale == pytest.approx(scale, abs=0.004)


@pytest.mark.parametrize("name", ["flip-y", "rot90", "anti-transpose"])
def test_19_the_eight_orientations_are_tried_on_request(sample, name):
    stain, nuclear = sample
    matrix = np.linalg.inv(np.vstack([orientation_matrix(name, stain.shape), [0, 0, 1]]))[:2]
    matrix = compose(np.array([[1, 0, 9.0], [0, 1, -4.0]]), matrix)
    _, alignment = align_stain(moved_stain(stain, matrix), nuclear, AffineParams(orientation="search"))
    assert error(alignment, matrix) < 0.5


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_orientation_matrices_turn_as_orient_does(name):
    image = np.arange(6).reshape(2, 3)
    turned = orient(image, name)
    moved = Alignment("affine", turned.shape, as_matrix(_turn(name, turned.shape)))
    np.testing.assert_array_equal(warp(image, moved, 0), turned)


def _turn(name, shape):
    matrix = orientation_matrix(name, shape)
    source = shape[::-1] if ORIENTATIONS[name][0] else shape
    matrix[:, 2] += (np.array(source[::-1]) - np.array(shape[::-1])) / 2
    return matrix


@settings(max_examples=8, deadline=None)
@given(st.integers(8, 64), st.integers(8, 64), st.integers(0, 99), st.sampled_from(["affine", "tps"]))
def test_19_never_a_lower_ncc_than_the_start(height, width, seed, mode):
    rng = np.random.default_rng(seed)
    stain = rng.integers(0, 255, (height, width)).astype(np.uint8)
    nuclear = rng.poisson(0.3, (height, width))
    kind = {"affine": AffineParams, "tps": TpsParams}[mode]
    moved, alignment = align_stain(stain, nuclear, kind(n_epochs=10))
    assert alignment.ncc_after >= alignment.ncc_before
    assert moved.shape == stain.shape and moved.dtype == stain.dtype


def test_19_a_stain_that_cannot_be_bettered_stays(sample):
    stain, _ = sample
    stain = stain[:200, :200]
    for nuclear in (np.zeros((200, 200), np.uint32), np.ones((200, 200), np.uint32)):
        kept, alignment = align_stain(stain, nuclear, AffineParams())
        np.testing.assert_array_equal(kept, stain)
        assert alignment.is_identity and alignment.note


def test_19_labels_move_by_nearest_neighbour_and_images_bilinearly():
    labels = np.zeros((6, 6), np.int32)
    labels[1:3, 1:3], labels[3:5, 3:5] = 70000, 9
    half = Alignment("affine", (6, 6), ((1, 0, 0.4), (0, 1, 0.0)))
    np.testing.assert_array_equal(warp(labels, half, 0), labels)
    assert warp(labels > 0, half, 0).dtype == bool
    ramp = np.tile(np.arange(6, dtype=np.uint16) * 100, (6, 1))
    np.testing.assert_array_equal(warp(ramp, half, 1)[0], [40, 140, 240, 340, 440, 500])
    np.testing.assert_array_equal(warp(ramp, Alignment("affine", (6, 6), ((1, 0, 2), (0, 1, 0))), 1)[0, 4:], 0)
    assert warp(ramp.astype(float), half, 1).dtype == np.float64
    with pytest.raises(InputError, match="order"):
        warp(ramp, half, 3)


@pytest.mark.parametrize("shift", [(0, 3), (-2, 0), (0.4, -1.25), (-7.3, 4.9), (60.001, 30)])
def test_a_shift_reads_between_pixels_as_any_map_does(shift):
    image = np.random.default_rng(0).random((50, 90), np.float32)
    for shape in ((50, 90), (70, 120)):
        straight = Alignment("affine", shape, ((1, 0, shift[0]), (0, 1, shift[1])))
        slanted = Alignment("affine", shape, ((1 + 1e-7, 0, shift[0]), (1e-7, 1, shift[1])))
        np.testing.assert_allclose(warp(image, straight, 1), warp(image, slanted, 1), atol=1e-4)
        fixed = np.random.default_rng(1).random(shape, np.float32)
        assert overlap_ncc(fixed, image, straight) == pytest.approx(overlap_ncc(fixed, image, slanted), abs=1e-4)


def test_19_theta_is_a_start(sample):
    stain, nuclear = sample
    matrix = np.array([[1, 0, 200.0], [0, 1, 190.0]])  # beyond the reach of the search
    shifted = moved_stain(stain, matrix)
    near = matrix_to_theta(matrix + np.array([[0, 0, 2], [0, 0, -2]]), stain.shape)
    _, alignment = align_stain(shifted, nuclear, AffineParams(theta=tuple(near.ravel())))
    assert error(alignment, matrix) < 0.5
    np.testing.assert_allclose(theta_to_matrix(matrix_to_theta(matrix, (50, 80)), (50, 80)), matrix, atol=1e-9)
    for theta, message in (((1.0, 0.0), "takes 6"), ((1.0, 0.0, 0.0, 1.0, 0.0, 0.0), "line")):
        with pytest.raises(InputError, match=message):
            align_stain(stain, nuclear, AffineParams(theta=theta))


def test_downscale_keeps_the_place(sample):
    stain, nuclear = sample
    matrix = np.array([[1, 0, 13.0], [0, 1, -7.0]])
    _, alignment = align_stain(moved_stain(stain, matrix), nuclear, AffineParams(downscale=3))
    assert error(alignment, matrix) < 0.6


def bent(stain, amplitude=8.0):
    """A smooth bend: the stain, and where frame positions are seen in it."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)

    def bend(x, y):
        return (
            amplitude * np.sin(2 * np.pi * x / 900) * np.cos(2 * np.pi * y / 1100),
            amplitude * np.cos(2 * np.pi * (x + y) / 1400),
        )

    dx, dy = bend(x, y)
    image = cv2.remap(stain, x + dx.astype(np.float32), y + dy.astype(np.float32), cv2.INTER_LINEAR)
    at = np.stack(np.meshgrid(*[np.linspace(30, SIZE - 31, 9)] * 2), -1).reshape(-1, 2)
    seen = at.copy()
    for _ in range(50):
        seen = at - np.stack(bend(seen[:, 0], seen[:, 1]), -1)
    return image, at, seen


def test_a_smooth_bend_is_recovered(sample):
    stain, nuclear = sample
    image, at, seen = bent(stain)
    assert np.linalg.norm(at - seen, axis=1).mean() > 5
    _, alignment = align_stain(image, nuclear, TpsParams())
    assert alignment.points
    assert np.linalg.norm(alignment.positions(at) - seen, axis=1).mean() < 1


def test_landmarks_are_obeyed_and_help(sample):
    stain, nuclear = sample
    image, at, seen = bent(stain)
    chosen = [10, 16, 40, 64, 70]
    landmarks = tuple((*map(float, seen[i]), *map(float, at[i])) for i in chosen)
    _, alignment = align_stain(image, nuclear, TpsParams(landmarks=landmarks))
    np.testing.assert_allclose(alignment.positions(at[chosen]), seen[chosen], atol=1e-6)
    assert np.linalg.norm(alignment.positions(at) - seen, axis=1).mean() < 1
    with pytest.raises(InputError, match="same place"):
        align_stain(image, nuclear, TpsParams(landmarks=((1, 1, 5, 5), (2, 2, 5, 5))))


@pytest.mark.parametrize("shape", [(512, 512), (4000, 3000), (50, 9000), (8, 8), (2, 2)])
def test_automatic_mesh_fits_every_frame(shape):
    mesh = auto_mesh(shape)
    assert 4 <= len(mesh_points(shape, mesh)) <= 600 and 1 <= mesh <= min(shape)


def test_a_frame_of_one_row_is_too_thin_to_bend():
    with pytest.raises(InputError, match="affine"):
        mesh_points((1, 40), 1)


def test_mesh_that_does_not_fit_is_refused(sample):
    with pytest.raises(InputError, match="larger than the shorter side"):
        align_stain(*sample, TpsParams(meshsize=600))
    with pytest.raises(InputError, match="control points"):
        mesh_points((4000, 4000), 16)


def test_spline_is_the_textbook_one():
    from scipy.interpolate import RBFInterpolator

    rng = np.random.default_rng(0)
    points, values, queries = rng.random((9, 2)) * 100, rng.random((9, 2)) * 9, rng.random((50, 2)) * 100
    expected = RBFInterpolator(points, values, kernel="thin_plate_spline", degree=1)(queries)
    np.testing.assert_allclose(spline_basis(points, queries, 100) @ values, expected, atol=1e-8)


def test_spline_agrees_with_kornia():
    import torch
    from kornia.geometry.transform import get_tps_transform, warp_points_tps

    # kornia's kernels sit at the destination, ours at the frame positions: for small moves that is the same
    rng = np.random.default_rng(1)
    points, queries, small = rng.random((12, 2)), rng.random((40, 2)), 1e-6
    moves = rng.normal(0, 1, points.shape)
    source, destination, at = (torch.tensor(array)[None] for array in (points, points + small * moves, queries))
    weights = get_tps_transform(source, destination)
    expected = (warp_points_tps(at, destination, *weights) - at)[0].numpy() / small
    np.testing.assert_allclose(spline_basis(points, queries, 1) @ moves, expected, atol=1e-3)


def test_gradient_steps_agree_with_the_quick_fit(sample, monkeypatch):
    stain, nuclear = sample
    matrix = compose(turn_matrix(2, 1.01, stain.shape), np.array([[1, 0, 12.0], [0, 1, -9.0]]))
    moved = moved_stain(stain, matrix)
    polished = []
    polish = affine._polish
    monkeypatch.setattr(affine, "_polish", lambda *given: polished.append(1) or polish(*given))
    _, quick = align_stain(moved, nuclear, AffineParams())
    assert not polished  # the maximum was found, and torch is not needed
    ecc = affine._ecc
    monkeypatch.setattr(affine, "_ecc", lambda pair, at: (ecc(pair, at)[0], False))
    _, slow = align_stain(moved, nuclear, AffineParams())
    assert polished
    at = np.array([[0, 0], [SIZE - 1, 0], [0, SIZE - 1], [SIZE / 2, SIZE / 2]])
    assert np.linalg.norm(quick.positions(at) - slow.positions(at), axis=1).max() < 0.4
    assert max(error(quick, matrix), error(slow, matrix)) < 0.4


def test_the_edge_of_a_stain_is_not_structure():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.random((200, 200)).astype(np.float32), (0, 0), 2) + 5
    cut = image.copy()
    cut[:, :100] = 0
    covered = covered_by(cut, 31)
    np.testing.assert_array_equal(covered, cut > 0)
    assert covered_by(np.where(rng.random((200, 200)) < 0.02, 9, 0).astype(np.float32), 61)[30:-30, 30:-30].all()
    whole, part = features(image, 1, 10), features(cut, 1, 10, covered)
    assert (part[:, :100] == 0).all()
    assert ncc(whole[:, 100:], part[:, 100:]) > 0.97
    assert ncc(whole[:, 100:], features(cut, 1, 10)[:, 100:]) < 0.9


def test_alignment_survives_json(sample):
    image, _, _ = bent(sample[0])
    stain, alignment = align_stain(image, sample[1], TpsParams(n_epochs=5))
    again = Alignment.from_json(json.loads(json.dumps(alignment.to_json())))
    assert again == alignment
    np.testing.assert_array_equal(warp(image, again, 1), stain)


def test_off_and_errors(sample):
    stain, _ = sample
    kept, alignment = align_stain(stain, None, NoAlignment())
    np.testing.assert_array_equal(kept, stain)
    assert alignment.is_identity and alignment.mode == "off"
    with pytest.raises(Unavailable, match="needs RNA"):
        align_stain(stain, None, AffineParams())
    with pytest.raises(InputError, match="512 x 512 px but the RNA 9 x 9"):
        align_stain(stain, np.zeros((9, 9), np.uint32), AffineParams())


@pytest.mark.parametrize("kind", [AffineParams, TpsParams])
def test_alignment_reports_progress_that_only_grows(sample, kind):
    seen = []
    align_stain(*sample, kind(n_epochs=3), lambda done, total: seen.append(done / total))
    assert len(seen) >= 5 and seen == sorted(seen) and seen[0] >= 0 and seen[-1] <= 1


def test_alignment_can_be_cancelled(sample):
    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        align_stain(*sample, AffineParams(), stop)


def test_warm_compiles():
    align.warm()


def test_landmarks_that_all_but_share_a_place_are_refused(sample):
    stain, rna = sample
    close = ((5.0, 5.0, 5.0, 5.0), (40.0, 5.0, 40.0, 5.0), (8.0, 9.0, 40.0, 5.0 + 1e-9), (5.0, 40.0, 5.0, 40.0))
    with pytest.raises(InputError, match="two landmarks end at the same place"):
        align_stain(stain, rna, TpsParams(landmarks=close))


def test_labels_of_any_width_can_be_moved():
    moved = Alignment("affine", (2, 3), ((1, 0, 1), (0, 1, 0)))
    for dtype in (bool, np.float16, np.longdouble, np.uint64):
        found = warp(np.array([[0, 1, 1], [0, 1, 0]], dtype), moved, 0)
        assert found.dtype == dtype and found.tolist() == [[1, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("points", [(), ((5, 5, 9, 2), (290, 8, 300, 1), (150, 280, 148, 290))], ids=["affine", "tps"])
def test_rows_of_a_part_are_those_of_the_whole_to_the_last_bit(points):
    image = np.random.default_rng(0).integers(0, 65535, (400, 300)).astype(np.uint16)
    matrix = ((1.0001, 0.00013, 9.03), (-0.0001, 0.9999, -12.96))
    moved = Alignment("tps" if points else "affine", image.shape, matrix, points=points)
    whole = warp(image, moved, 1)
    for first, last in ((0, 150), (150, 151), (151, 400)):
        top, bottom = rows_needed(moved, len(image), first, last)
        part = warp_rows(image[top:bottom], top, image.shape, moved, first, last)
        np.testing.assert_array_equal(part, whole[first:last])
