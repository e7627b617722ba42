import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segapp.core.outline import hull, trace_outlines


def signed_area(ring):
    return 0.5 * float(np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]))


def test_a_ring_with_a_hole_and_two_pieces():
    labels = np.zeros((6, 9), np.uint16)
    labels[1:4, 1:4] = 40
    labels[2, 2] = 0
    labels[0, 7] = labels[1, 8] = 3  # they touch at a corner only
    found = trace_outlines(labels)
    assert found.label.tolist() == [3, 3, 40, 40] and found.hole.tolist() == [False, False, False, True]
    assert len(set(found.part.tolist())) == 3
    assert [signed_area(found.ring(i)) for i in range(4)] == [1, 1, 9, -1]
    assert found.ring(2).min(0).tolist() == [1, 1] and found.ring(2).max(0).tolist() == [4, 4]


def test_nothing_has_no_outline():
    found = trace_outlines(np.zeros((3, 4), int))
    assert len(found.xy) == 0 and found.start.tolist() == [0] and len(found.label) == 0


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)))
def test_rings_close_and_enclose_the_pixels_of_their_label(labels):
    found = trace_outlines(labels)
    area = np.zeros(4)
    for i in range(len(found.label)):
        ring = found.ring(i)
        assert np.array_equal(ring[0], ring[-1]) and len(ring) >= 5
        steps = np.abs(np.diff(ring, axis=0))
        assert ((steps == 0).sum(1) == 1).all()  # every step runs along one axis
        assert (signed_area(ring) < 0) == found.hole[i]
        area[found.label[i]] += signed_area(ring)
    assert area[1:].tolist() == np.bincount(labels.ravel(), minlength=4)[1:].tolist()


def test_the_hull_of_one_pixel_is_the_pixel():
    corners, area, centre = hull(np.array([[100_000, 7]]))
    assert area == 1 and centre == (100_000.5, 7.5) and corners.min(0).tolist() == [100_000, 7]
