import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segapp.core.label._discs import fit_discs
from segapp.core.label.nuclei_rna import NUCLEI_RNA, label_nuclei_rna
from segapp.core.params import knobs
from segapp.core.quality import compare_labels
from segapp.core.rna import NUCLEAR_GENES, find_genes, rasterize
from segapp.core.synthetic import tissue
from segapp.core.types import Cancelled, Grid, InputError

PEAKS = NUCLEI_RNA.option("peaks")


def nuclei_and_counts(pairs=True, umis=40, seed=0):
    """Discs of radius 8, half of them in touching pairs, with 0.04 stray UMIs a px around them."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((220, 220), np.int32)
    rows, columns = np.ogrid[:220, :220]
    centres = [(y, x) for y in range(20, 210, 36) for x in range(20, 210, 36)]
    if pairs:
        centres += [(y + 4, x + 14.5) for y, x in centres[::2]]
    for label, (y, x) in enumerate(centres, 1):
        truth[((rows - y) ** 2 + (columns - x) ** 2 <= 64) & (truth == 0)] = label
    expected = np.where(truth > 0, umis / 200, 0.01)
    return truth, rng.poisson(expected).astype(np.uint32)


def test_touching_nuclei_are_told_apart():
    truth, counts = nuclei_and_counts()
    found = compare_labels(truth, label_nuclei_rna(counts, None, None, PEAKS()))
    assert found.ap50 > 0.9
    # faint ones, of 15 UMIs each, are found as well
    truth, counts = nuclei_and_counts(pairs=False, umis=15, seed=1)
    assert compare_labels(truth, label_nuclei_rna(counts, None, None, PEAKS())).ap50 > 0.85


def test_labels_are_numbered_by_row_and_the_same_every_time():
    _, counts = nuclei_and_counts()
    labels = label_nuclei_rna(counts, None, None, PEAKS())
    assert labels.dtype == np.int32
    ids = np.unique(labels)
    assert ids.tolist() == list(range(len(ids)))
    assert (labels == label_nuclei_rna(counts.copy(), None, None, PEAKS())).all()


def test_parameters_act_in_the_direction_they_say():
    truth, counts = nuclei_and_counts()
    usual = label_nuclei_rna(counts, None, None, PEAKS())
    assert (label_nuclei_rna(counts, None, None, PEAKS(cut=0.6)) > 0).sum() < (usual > 0).sum()
    assert label_nuclei_rna(counts, None, None, PEAKS(min_distance=20)).max() < usual.max()
    assert label_nuclei_rna(counts, None, None, PEAKS(min_counts=35)).max() < usual.max()
    assert label_nuclei_rna(counts, None, None, PEAKS(min_area=10_000)).max() == 0
    left = np.zeros(truth.shape, bool)
    left[:, :60] = True
    masked = label_nuclei_rna(counts, None, left, PEAKS())
    assert 0 < masked.max() < usual.max()


@pytest.mark.parametrize(
    "params", [PEAKS(), *(NUCLEI_RNA.option("watershed")(landscape=w) for w in ("distance", "rna"))]
)
def test_empty_and_tiny_inputs(params):
    for shape in ((1, 1), (2, 9), (30, 30)):
        nothing = np.zeros(shape, np.uint32)
        assert label_nuclei_rna(nothing, None, np.zeros(shape, bool), params).shape == shape
        full = label_nuclei_rna(nothing + 3, None, np.ones(shape, bool), params)
        assert full.shape == shape and full.min() >= 0


@settings(max_examples=15, deadline=None)
@given(arrays(np.uint16, (12, 17), elements=st.sampled_from([0, 0, 0, 1, 2, 4000])))
def test_any_counts_give_labels(counts):
    labels = label_nuclei_rna(counts, None, None, PEAKS(min_area=0))
    assert labels.shape == counts.shape and labels.min() >= 0


def test_components_and_watershed_label_the_mask():
    truth, counts = nuclei_and_counts()
    mask = truth > 0
    split = label_nuclei_rna(counts, None, mask, NUCLEI_RNA.option("components")(area_threshold=250, distance=30))
    assert compare_labels(truth, split).ap50 > 0.6
    for landscape, least in (("distance", 0.9), ("rna", 0.5)):
        params = NUCLEI_RNA.option("watershed")(landscape=landscape)
        flooded = label_nuclei_rna(counts, None, mask, params)
        assert ((flooded > 0) == mask).all()
        assert compare_labels(truth, flooded).ap50 > least


def test_the_distance_landscape_is_safe_across_a_track_line():
    truth, counts = nuclei_and_counts(pairs=False)
    # a line of lost counts through a row of nuclei
    counts[19:22] = 0
    params = NUCLEI_RNA.option("watershed")
    whole = label_nuclei_rna(counts, None, truth > 0, params(landscape="distance"))
    assert compare_labels(truth, whole).ap50 == 1
    cut = label_nuclei_rna(counts, None, truth > 0, params(landscape="rna", k=5))
    assert compare_labels(truth, cut).ap50 < 1


def test_bad_input_and_cancel():
    _, counts = nuclei_and_counts()
    with pytest.raises(InputError, match="shape"):
        label_nuclei_rna(counts, None, np.ones((3, 3), bool), PEAKS())
    with pytest.raises(InputError, match="pass one"):
        label_nuclei_rna(counts, None, None, NUCLEI_RNA.option("components")())
    with pytest.raises(InputError, match="whole"):
        label_nuclei_rna(counts / 3, None, None, PEAKS())

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        label_nuclei_rna(counts, None, None, PEAKS(), stop)


def test_simulated_tissue():
    sample = tissue(512, seed=7)
    counts = np.zeros((512, 512), np.uint32)
    found = sample.transcripts
    np.add.at(counts, (found.y, found.x), found.counts["unspliced"])
    labels = label_nuclei_rna(counts, None, None, PEAKS())
    # about 20 unspliced UMIs a nucleus, a tenth of the nuclei have fewer than 8
    assert compare_labels(sample.nuclei, labels).ap50 > 0.6


def test_declarations():
    assert NUCLEI_RNA.names() == ("peaks", "components", "watershed")
    for name in NUCLEI_RNA.names():
        assert next(iter(knobs(NUCLEI_RNA.option(name)))).name == "method"


def test_all_rna_guides_where_nuclear_rna_is_sparse():
    sample = tissue(512, seed=15)
    found = sample.transcripts
    total = np.zeros((512, 512), np.uint32)
    genes = np.zeros((512, 512), np.uint32)
    np.add.at(total, (found.y, found.x), found.counts["total"])
    nuclear = np.isin(found.gene, find_genes(found, NUCLEAR_GENES))
    np.add.at(genes, (found.y[nuclear], found.x[nuclear]), found.counts["total"][nuclear])
    alone = label_nuclei_rna(genes, None, None, PEAKS(guide="off"), total=total)
    guided = label_nuclei_rna(genes, None, None, PEAKS(), total=total)
    assert (alone == label_nuclei_rna(genes, None, None, PEAKS())).all()
    assert compare_labels(sample.nuclei, guided).ap50 > compare_labels(sample.nuclei, alone).ap50
    # nuclear RNA that is not sparse needs no guide
    assert (
        label_nuclei_rna(total, None, None, PEAKS(), total=total) == label_nuclei_rna(total, None, None, PEAKS())
    ).all()
    with pytest.raises(InputError, match="guide"):
        label_nuclei_rna(genes, None, None, PEAKS(guide="total"))
    with pytest.raises(InputError, match="shape"):
        label_nuclei_rna(genes, None, None, PEAKS(), total=total[1:])


def test_an_empty_mask_drops_nothing_where_counts_lie_in_clumps_and_all_where_they_are_noise():
    _, counts = nuclei_and_counts(umis=12)
    nothing = np.zeros(counts.shape, bool)
    assert label_nuclei_rna(counts, None, nothing, PEAKS()).max() > 10
    noise = np.random.default_rng(0).poisson(0.03, counts.shape).astype(np.uint32)
    assert label_nuclei_rna(noise, None, nothing, PEAKS()).max() == 0


def test_peaks_of_a_window_are_those_of_the_whole():
    """A nucleus that joins another, or fades, does so wherever the window begins: nothing depends on a grid."""
    made = tissue(512, seed=4)
    counts = rasterize(made.transcripts, Grid(0, 0, 512, 512), "unspliced")
    means = float(counts.mean()), 0.0
    options = {"sigma": 3.0, "min_distance": 5.0, "means": means}
    whole = np.stack(fit_discs(counts, None, **options))
    for top, left in ((101, 67), (3, 7), (64, 1)):
        part = np.stack(fit_discs(counts[top:, left:], None, **options)) + np.array([[top], [left], [0]])
        inner = [one[:, (one[0] > top + 90) & (one[1] > left + 90) & (one[2] > 0)] for one in (whole, part)]
        assert inner[0].shape[1] > 80
        np.testing.assert_allclose(*inner, rtol=0, atol=1e-6)
