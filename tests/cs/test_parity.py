"""Against the public implementation, spateo-release 1.1.1; results of `benchmarks/make_cs_fixtures.py`."""

from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from segapp import cs
from segapp.core.convolve import circle_sum
from segapp.core.quality import compare_labels
from segapp.core.score import METHODS, ScoreMaskParams, apply_score, lookup, mask_scores
from segapp.core.score.mixture import fit_mixture, histogram_weights
from segapp.core.score.model import Mixture
from segapp.core.score.nbinom import log_pmf
from segapp.core.types import ScoreInfo
from segapp.io.samples import write_sample

FIXTURES = Path(__file__).parent / "fixtures"


def load(name):
    with np.load(FIXTURES / f"{name}.npz") as file:
        arrays = dict(file)
    given = {key[3:]: values for key, values in arrays.items() if key.startswith("in_")}
    return given, {key: values for key, values in arrays.items() if not key.startswith("in_")}


@pytest.fixture(scope="module")
def tissue():
    given, found = load("tissue")
    # the reference's own intermediate results are the input of the next step
    names = ("stain_mask", "stain_markers", "stain_labels", "cells_mask")
    return given, found, {name: found[name] for name in names}


def table(given, more=()):
    return AnnData(given["total"].astype(np.float32), layers={**given, **dict(more)})


def same_partition(a, b):
    """The same pixels labelled, and a one-to-one correspondence of ids."""
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]).astype(np.int64), axis=1)
    return len(pairs[0]) == len(np.unique(a)) == len(np.unique(b)) and np.array_equal(a == 0, b == 0)


def test_masks_of_the_stain(tissue):
    given, found, _ = tissue
    adata = table(given)
    cs.mask_nuclei_from_stain(adata)
    cs.mask_cells_from_stain(adata, out_layer="cells_mask")
    for name in ("stain_mask", "cells_mask"):
        union = (adata.layers[name] | found[name]).sum()
        assert (adata.layers[name] & found[name]).sum() / union >= 0.999


def test_markers_away_from_the_border(tissue):
    given, found, steps = tissue
    adata = table(given, steps.items())
    cs.find_peaks_from_mask(adata, "stain", 7)
    np.testing.assert_allclose(adata.layers["stain_distances"], found["stain_distances"], atol=1e-2)
    # the reference has none within min_distance of the border, so that others there are not suppressed either
    inner = np.s_[16:-16, 16:-16]
    ours, theirs = adata.layers["stain_markers"][inner] > 0, found["stain_markers"][inner] > 0
    assert theirs.sum() > 10 and (ours & theirs).sum() >= 0.9 * theirs.sum()
    cs.find_peaks(adata, "stain", 5, 5, threshold_abs=-1, out_layer="peaks")
    ours, theirs = adata.layers["peaks"][inner] > 0, found["peaks"][inner] > 0
    assert (ours & theirs).sum() >= 0.9 * max(theirs.sum(), ours.sum())


def test_watershed_and_augmentation_are_the_same_partitions(tissue):
    given, found, steps = tissue
    adata = table(given, steps.items())
    cs.watershed(adata)
    assert same_partition(adata.layers["stain_labels"], found["stain_labels"])
    cs.augment_labels(adata, "stain", "nuclei")
    assert same_partition(adata.layers["nuclei_augmented"], found["nuclei_augmented"])


def test_expansion_but_for_the_seams(tissue):
    given, found, steps = tissue
    adata = table(given, steps.items())
    cs.expand_labels(adata, "stain", distance=3, max_area=10_000)
    ours, theirs = adata.layers["stain_labels_expanded"], found["stain_labels_expanded"]
    # where labels meet the reference leaves a seam, ours none, so that a pixel behind it may go to the other label
    assert (ours[theirs > 0] != theirs[theirs > 0]).mean() < 0.002 and ours[theirs > 0].all()
    assert 0 < (ours[theirs == 0] > 0).sum() < 0.05 * (theirs > 0).sum()


def test_components(tissue):
    given, found, steps = tissue
    adata = table(given, steps.items())
    cs.label_connected_components(adata, "stain", area_threshold=np.inf, out_layer="plain")
    assert same_partition(adata.layers["plain"], found["plain"])
    cs.label_connected_components(adata, "cells", area_threshold=200, min_area=60, out_layer="split")
    assert compare_labels(found["split"], adata.layers["split"]).f1 >= 0.9


def test_what_is_done_with_labels(tissue):
    given, found, _ = tissue
    adata = table(given)
    cs.get_cell_shape(adata, "cells", thickness=2)
    assert np.array_equal(adata.layers["cells_boundary"], found["cells_boundary"])
    cs.filter_cell_labels_by_area(adata, "cells", 120, out_layer="kept")
    assert np.array_equal(adata.layers["kept"], found["kept"])
    cs.generate_random_labels(adata, [40, 7, 300], seed=5)
    assert np.array_equal(adata.layers["random_labels"], found["random"])
    cs.generate_random_labels_like(adata, "cells", seed=6)
    assert np.array_equal(adata.layers["random_labels"], found["random_like"])
    cs.select_qc_regions(adata, n=3, size=30, seed=4)
    assert np.array_equal(adata.uns["spatial"]["qc"], found["regions"])


def test_comparison_row_by_row(tissue):
    given, found, steps = tissue
    compared = cs.compare(table(given, steps.items()), "cells", "stain_labels", data_layer="total", seed=2)
    assert compared.index.tolist() == found["compared_rows"].tolist()
    assert compared.columns.tolist() == ["stain_labels", "background"]
    np.testing.assert_allclose(compared.to_numpy(), found["compared"], atol=1e-9)


SCORED = pytest.mark.parametrize(("sample", "layer"), [("tissue", "unspliced"), ("stereoseq", "total")])


@SCORED
@pytest.mark.parametrize("method", ["gauss", "moran"])
def test_scores_without_a_model(sample, layer, method):
    given, found = load(sample)
    adata = table(given)
    cs.score_and_mask_pixels(adata, layer, 5, method)
    np.testing.assert_allclose(adata.layers[f"{layer}_scores"], found[f"scores_{method}"], atol=2e-3)
    ours, theirs = adata.layers[f"{layer}_mask"], found[f"mask_{method}"]
    assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.99


@SCORED
def test_the_mixture_is_at_least_as_likely(sample, layer):
    given, found = load(sample)
    histogram = lookup.histogram(circle_sum(given[layer].astype(np.uint32), 5))
    values, weights = histogram_weights(histogram, "none")
    fit = fit_mixture(histogram, max_iter=2000, precision=1e-6, weighting="none")
    assert likelihood(fit, values, weights) >= likelihood(theirs(found), values, weights) - 1e-9


@SCORED
def test_posterior_of_the_same_mixture(sample, layer):
    given, found = load(sample)
    mixture = theirs(found)
    info = ScoreInfo("EM", 5, {"mixtures": {"0": mixture.to_json()}})
    scores = apply_score(given[layer], None, None, METHODS.option("EM")(), info)
    # below the background's mean the reference lets a pixel with fewer counts score higher; ours never does
    above = circle_sum(given[layer].astype(np.uint32), 5) >= mixture.mu[0]
    np.testing.assert_allclose(scores[above], found["scores_EM"][above].astype(np.float32), atol=2e-3)


def test_beliefs_and_mask_of_the_same_mixture():
    given, found = load("tissue")
    info = ScoreInfo("EM+BP", 5, {"mixtures": {"0": theirs(found).to_json()}})
    scores = apply_score(given["unspliced"], None, None, METHODS.option("EM+BP")(), info)
    assert np.quantile(np.abs(scores - found["scores_EM_BP"].astype(np.float32)), 0.99) < 5e-3
    mask, _ = mask_scores(scores, info, None, ScoreMaskParams())
    same = found["mask_EM_BP"]
    assert (mask & same).sum() / (mask | same).sum() >= 0.99


def theirs(found):
    w, r, theta = found["mixture"]
    mu = r * (1 - theta) / theta
    return Mixture(tuple(w), tuple(mu), tuple(r))


def likelihood(fit, values, weights):
    parts = [np.log(fit.w[i]) + log_pmf(values, fit.mu[i], fit.r[i], fit.z[i]) for i in (0, 1)]
    return float((weights * np.logaddexp(*parts)).sum())


def test_pixels_of_the_real_gem(tmp_path):
    write_sample("stereoseq", tmp_path)
    _, found = load("stereoseq")
    adata = cs.read_bgi_agg(tmp_path / "stereoseq.gem.gz")
    assert [int(adata.obs_names[0]), int(adata.var_names[0])] == found["agg_start"].tolist()
    assert np.array_equal(np.asarray(adata.X.sum(1)).ravel(), found["agg_x"])
    assert np.array_equal(np.asarray(adata.X.sum(0)).ravel(), found["agg_y"])
    binned = cs.read_bgi_agg(tmp_path / "stereoseq.gem.gz", binsize=7)
    assert [int(binned.obs_names[0]), int(binned.var_names[0])] == found["agg7_start"].tolist()
    assert np.array_equal(binned.X.toarray(), found["agg7"])


def test_bins_of_the_real_gem(tmp_path):
    write_sample("stereoseq", tmp_path)
    _, found = load("stereoseq")
    bins = cs.read_bgi(tmp_path / "stereoseq.gem.gz", binsize=50)[found["bins_names"]]
    assert np.array_equal(np.asarray(bins.X.sum(1)).ravel(), found["bins_counts"])
    assert np.array_equal(np.asarray((bins.X > 0).sum(1)).ravel(), found["bins_genes"])
    assert np.array_equal(bins.obsm["spatial"], found["bins_spatial"])
    assert bins.obsm["contour"][:, 0].tolist() == found["bins_contour"].tolist()
