"""The stain moved by hand: by a shift, by landmarks that match less well, and how a place is measured."""

import numpy as np
import pytest

from segapp.core.align import AffineParams, Alignment, NoAlignment, TpsParams, align_stain, measure, shifted
from segapp.core.convolve import gauss_blur


@pytest.fixture(scope="module")
def pair():
    """RNA, and a stain that lies 3 px too far to the right."""
    rng = np.random.default_rng(11)
    rna = np.zeros((160, 160), np.uint32)
    rna[tuple(rng.integers(10, 150, (2, 90)))] = 9
    return rna, np.roll(gauss_blur(rna, 9), 3, 1)


def test_a_shift_moves_right_and_down():
    stain = np.zeros((12, 12), np.uint8)
    stain[4, 5] = 9
    moved, alignment = align_stain(stain, None, NoAlignment(shift=(2, 3)))
    assert moved[7, 7] == 9 and moved.sum() == 9
    assert alignment.mode == "off" and alignment.shift == (-2.0, -3.0)
    still, alignment = align_stain(stain, None, NoAlignment())
    assert (still == stain).all() and alignment.is_identity


def test_a_shift_comes_after_the_alignment_and_what_it_costs_is_said(pair):
    rna, stain = pair
    _, found = align_stain(stain, rna, AffineParams())
    _, moved = align_stain(stain, rna, AffineParams(shift=(4, 0)))
    at = np.array([[50.0, 60.0]])
    assert np.allclose(moved.positions(at), found.positions(at - (4, 0)))
    assert moved.ncc_after < found.ncc_after
    assert f"from {found.ncc_after:.3f} to {moved.ncc_after:.3f}" in moved.note


def test_shifts_move_a_spline_with_its_control_points():
    points = tuple((float(x), float(y), x + 2.0 + 0.02 * y, y - 1.0) for x in (0, 40, 80) for y in (0, 40, 80))
    bent = Alignment("tps", (81, 81), points=points, ncc_after=0.5)
    at = np.array([[30.0, 20.0], [70.0, 65.0]])
    moved = shifted(bent, (5, -3))
    assert np.allclose(moved.positions(at), bent.positions(at - (5, -3)))
    assert moved.ncc_after is None
    assert shifted(bent, (0.0, 0.0)) is bent


def test_landmarks_that_match_less_well_are_refused_unless_told(pair):
    rna, stain = pair
    # three pairs that ask for a stain 20 px off
    landmarks = tuple((x + 23.0, y, x, y) for x, y in ((20.0, 20.0), (120.0, 30.0), (60.0, 130.0)))
    _, kept = align_stain(stain, rna, TpsParams(landmarks=landmarks, n_epochs=0))
    assert kept.is_identity and "align.accept=any" in kept.note and kept.ncc_after == kept.ncc_before
    _, taken = align_stain(stain, rna, TpsParams(landmarks=landmarks, n_epochs=0, accept="any"))
    assert taken.ncc_after < taken.ncc_before
    marks = np.array(landmarks)
    assert np.allclose(taken.positions(marks[:, 2:]), marks[:, :2], atol=1e-6)


def test_measuring_places(pair):
    rna, stain = pair
    off = Alignment("off", (160, 160))
    there, here, away = measure(stain, rna, [shifted(off, (-3, 0)), off, shifted(off, (9, 9))], 9)
    assert there > 0.99 > here > away
