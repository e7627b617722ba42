import numpy as np
import pytest

from segapp.core.label.augment import SOURCES, augment, union
from segapp.core.label.select import NucleiParams, select_nuclei
from segapp.core.types import InputError, Unavailable


def labelings():
    watershed, network = np.zeros((12, 30), np.uint8), np.zeros((12, 30), np.int64)
    watershed[2:6, 2:6] = 250
    network[3:7, 3:8] = 100_000
    watershed[2:6, 12:16] = 9
    network[8:11, 22:26] = 4
    return watershed, network


def test_augment_takes_any_integer_dtypes_and_keeps_the_source_of_each_label():
    watershed, network = labelings()
    labels, provenance = augment(watershed, network)
    assert labels.dtype == np.int32
    assert [SOURCES[code] for code in provenance] == ["", "network", "watershed"]
    assert ((labels == 1) == (network == 100_000)).all()
    assert ((labels == 2) == (watershed == 9)).all()
    assert labels.max() == 2, "a network label without a watershed label under it is removed"


def test_augment_with_another_shape_is_one_sentence():
    watershed, network = labelings()
    with pytest.raises(InputError, match=r"`watershed` has shape \(12, 30\) but `network` has \(12, 29\)"):
        augment(watershed, network[:, :-1])


def test_union_keeps_every_network_label():
    watershed, network = labelings()
    labels, provenance = union(watershed, network)
    assert [SOURCES[code] for code in provenance] == ["", "network", "network", "watershed"]
    assert ((labels == 1) == (network == 4)).all()


def test_empty_labelings():
    watershed, network = labelings()
    nothing = np.zeros_like(network)
    labels, provenance = augment(nothing, network)
    assert labels.max() == 0 and provenance.tolist() == [0]
    labels, provenance = augment(watershed, nothing)
    assert labels.max() == 2 and provenance.tolist() == [0, 1, 1]


def test_huge_ids():
    watershed, network = labelings()
    labels, _ = augment(watershed, np.where(network == 100_000, 2**31 - 1, network))
    assert ((labels == 1) == (network == 100_000)).all()


@pytest.mark.parametrize("source", ["watershed", "network", "rna"])
def test_one_source_keeps_its_ids(source):
    watershed, network = labelings()
    given = {"watershed": watershed, "network": network, "rna": watershed}
    labels, provenance = select_nuclei(*given.values(), NucleiParams(source=source))
    assert (labels == given[source]).all()
    assert {SOURCES[provenance[i]] for i in np.unique(labels)[1:]} == {source}


def test_both_sources_and_what_is_missing():
    watershed, network = labelings()
    assert (select_nuclei(watershed, network, None, NucleiParams(source="augment"))[0].max()) == 2
    assert (select_nuclei(watershed, network, None, NucleiParams(source="union"))[0].max()) == 3
    with pytest.raises(Unavailable, match="needs the labels of network"):
        select_nuclei(watershed, None, None, NucleiParams(source="augment"))
    with pytest.raises(Unavailable, match="off"):
        select_nuclei(watershed, None, None, NucleiParams(source="off"))
