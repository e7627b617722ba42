import numpy as np
import pytest

from segapp.core.label.cells import CELLS, join_regions, label_cells
from segapp.core.params import knobs
from segapp.core.types import InputError, Unavailable


def scene():
    nuclei, region = np.zeros((40, 60), np.int32), np.zeros((40, 60), bool)
    nuclei[16:24, 12:20], nuclei[16:24, 32:40] = 4, 9
    region[10:30, 6:46] = True
    # a component without a nucleus, and a nucleus outside the region
    region[34:38, 50:58] = True
    nuclei[1:5, 1:5] = 2
    counts = np.zeros((40, 60), np.uint32)
    counts[region] = 2
    counts[10:30, 24:28] = 1
    return nuclei, region, counts


@pytest.mark.parametrize("method", CELLS.names())
def test_no_nucleus_is_lost_and_cells_keep_their_ids(method):
    nuclei, region, counts = scene()
    made = label_cells(nuclei, region, counts, CELLS.option(method)())
    assert made.labels.dtype == np.int32
    assert (made.labels[nuclei > 0] == nuclei[nuclei > 0]).all()
    assert not made.labels[~region & (nuclei == 0)].any()
    assert set(made.unassigned) == {"distance", "area"}
    if method != "nuclei":
        left = int(((made.labels == 0) & region).sum())
        assert sum(made.unassigned.values()) == left


def test_methods_differ_as_they_say():
    nuclei, region, counts = scene()
    nuclei_only = label_cells(nuclei, None, None, CELLS.option("nuclei")())
    assert (nuclei_only.labels == nuclei).all() and nuclei_only.labels is not nuclei
    expanded = label_cells(nuclei, region, None, CELLS.option("expand")(distance=2)).labels
    assert set(np.unique(expanded)) == {0, 2, 4, 9}
    assert (expanded == 4).sum() == 64 + 4 * 8 * 2 + 4
    components = label_cells(nuclei, region, None, CELLS.option("components")(max_area="off", distance=30)).labels
    assert set(np.unique(components)) == {0, 2, 4, 9, 10}
    flooded = label_cells(nuclei, region, counts, CELLS.option("watershed")(k=3)).labels
    assert (flooded[10:30, 6:24] == 4).all() and (flooded[10:30, 28:46] == 9).all()
    assert not flooded[34:38, 50:58].any()


def test_components_do_without_nuclei():
    _, region, _ = scene()
    labels = label_cells(None, region, None, CELLS.option("components")(area_threshold="off")).labels
    assert set(np.unique(labels)) == {0, 1, 2}
    assert ((labels > 0) == region).all()


@pytest.mark.parametrize("method", ["expand", "watershed", "nuclei"])
def test_what_is_missing_is_one_sentence(method):
    nuclei, region, _ = scene()
    with pytest.raises(Unavailable, match="needs nuclei"):
        label_cells(None, region, None, CELLS.option(method)())
    if method != "nuclei":
        with pytest.raises(Unavailable, match="mask of cells"):
            label_cells(nuclei, None, None, CELLS.option(method)())
        with pytest.raises(InputError, match="shape"):
            label_cells(nuclei, region[:-1], None, CELLS.option(method)())


def test_join_regions():
    a, b = np.array([[True, False, False]]), np.array([[0, 1, 0]], np.uint8)
    assert join_regions(a, b).tolist() == [[True, True, False]]
    assert join_regions(a, None).tolist() == a.tolist()
    assert join_regions(None, b).tolist() == [[False, True, False]]
    assert join_regions(None, None) is None


def test_declarations_start_with_the_method():
    for name in CELLS.names():
        assert next(iter(knobs(CELLS.option(name)))).name == "method"
    assert CELLS.option("components")().area_threshold == 500
    assert (CELLS.option("expand")().distance, CELLS.option("expand")().max_area) == (5, 400)
