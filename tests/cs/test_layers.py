"""Every function on samples, in both orientations of the array."""

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from segapp import cs
from segapp.core.quality import compare_labels
from segapp.core.rna import rasterize
from segapp.core.types import Grid, InputError
from segapp.io.samples import load_sample

SIDE = 192


@pytest.fixture(scope="module")
def tissue():
    sample = load_sample("tissue", size=SIDE, seed=1)
    grid = Grid(0, 0, SIDE, SIDE)
    dx, dy = sample.stain_shift
    layers = {name: rasterize(sample.transcripts, grid, name) for name in ("total", "unspliced")}
    layers |= {"stain": np.roll(sample.stain.image, (-dy, -dx), (0, 1)), "raw": sample.stain.image}
    return layers | {name: sample.truth[name] for name in ("nuclei", "cells")}


@pytest.fixture(scope="module")
def real():
    transcripts = load_sample("stereoseq").transcripts
    x0, y0, x1, y1 = transcripts.bbox
    return rasterize(transcripts, Grid(x0, y0, y1 - y0 + 1, x1 - x0 + 1), "total")[:160, 20:170]


def table(arrays, turned=True, *names):
    """Pixels as the field lays them out, rows = x (turned), or rows = y."""
    chosen = {name: arrays[name] for name in names or arrays}
    chosen = {name: np.ascontiguousarray(values.T) if turned else values.copy() for name, values in chosen.items()}
    total = chosen.pop("total", None)
    return AnnData(None if total is None else sparse.csr_matrix(total), layers=chosen)


def same(adatas, layer):
    """The layer in both orientations, the second one turned back."""
    return adatas[0].layers[layer], adatas[1].layers[layer].T


def partition_agrees(a, b, least=0.98):
    return compare_labels(a, b).f1 >= least


def test_from_stain_to_cells_in_both_orientations(tissue):
    adatas = [table(tissue, turned) for turned in (False, True)]
    for adata in adatas:
        cs.mask_nuclei_from_stain(adata)
        cs.mask_cells_from_stain(adata, out_layer="stain_cells_mask")
        cs.find_peaks_from_mask(adata, "stain")
        cs.watershed(adata)
        cs.expand_labels(adata, "stain", mask_layer="stain_cells")
        cs.get_cell_shape(adata, "stain_labels_expanded")
    for layer in ("stain_mask", "stain_cells_mask"):
        assert np.array_equal(*same(adatas, layer)) and adatas[0].layers[layer].dtype == bool
    np.testing.assert_allclose(*same(adatas, "stain_distances"), atol=1e-5)
    for layer in ("stain_labels", "stain_labels_expanded"):
        assert adatas[0].layers[layer].dtype == np.int32
        assert partition_agrees(*same(adatas, layer), least=0.9)
    labels, grown = adatas[0].layers["stain_labels"], adatas[0].layers["stain_labels_expanded"]
    assert np.array_equal(grown[labels > 0], labels[labels > 0]) and (grown > 0).sum() > (labels > 0).sum()
    # a handful of nuclei, and a border where the stain was rolled in
    assert compare_labels(tissue["nuclei"], labels).recall > 0.8
    assert set(np.unique(adatas[0].layers["stain_labels_expanded_boundary"])) == {0, 255}


def test_other_markers_feed_the_watershed(tissue):
    adata = table(tissue)
    cs.mask_nuclei_from_stain(adata)
    cs.find_peaks(adata, "stain", 5, 7, mask_layer="stain")
    n_peaks = adata.layers["stain_markers"].max()
    assert n_peaks > 10 and not adata.layers["stain_markers"][~adata.layers["stain_mask"]].any()
    cs.find_peaks_with_erosion(adata, min_area=60, out_layer="cores_markers")
    assert adata.layers["cores_markers"].max() > 10
    cs.watershed(adata, markers_layer="cores", out_layer="by_cores")
    assert adata.layers["by_cores"].max() == adata.layers["cores_markers"].max()
    adata.layers["bool_markers"] = adata.layers["cores_markers"] > 0
    cs.watershed(adata, markers_layer="bool", out_layer="by_bool")
    assert np.array_equal(adata.layers["by_bool"], adata.layers["by_cores"])


@pytest.mark.parametrize("method", ["gauss", "Moran", "em", "EM+gauss", "em+bp", "VI+gauss", "vi+bp"])
def test_every_score_in_both_orientations(tissue, real, method):
    options = {"vi_kwargs": {"n_epochs": 20}} if method.lower().startswith("vi") else {}
    for counts in (tissue["total"], real):
        adatas = [table({"total": counts}, turned) for turned in (False, True)]
        for adata in adatas:
            cs.score_and_mask_pixels(adata, "X", 5, method, **options)
        straight, turned = same(adatas, "X_scores")
        assert straight.dtype == np.float32 and np.isfinite(straight).all()
        np.testing.assert_allclose(straight, turned, atol=2e-3)
        masks = same(adatas, "X_mask")
        assert masks[0].dtype == bool and masks[0].mean() < 0.99
        assert counts is real or masks[0].mean() > 0.05
        assert (masks[0] != masks[1]).mean() < 2e-3


def test_components_with_and_without_seeds(tissue):
    adatas = [table(tissue, turned) for turned in (False, True)]
    for adata in adatas:
        cs.score_and_mask_pixels(adata, "X", 7, "EM+BP", certain_layer="nuclei")
        assert adata.layers["X_mask"][adata.layers["nuclei"] > 0].all()
        cs.label_connected_components(adata, "X", seed_layer="nuclei", max_area=1200)
        labels, nuclei = adata.layers["X_labels"], adata.layers["nuclei"]
        assert np.array_equal(labels[nuclei > 0], nuclei[nuclei > 0])
        left = adata.uns["spatial"]["unassigned"]["X_labels"]
        assert left["distance"] + left["area"] == int((adata.layers["X_mask"] & (labels == 0)).sum())
        cs.label_connected_components(adata, "X", area_threshold=np.inf, out_layer="plain")
    assert partition_agrees(*same(adatas, "X_labels"), least=0.9)
    assert partition_agrees(*same(adatas, "plain"), least=1.0)


def test_densities_in_both_orientations_and_the_background_pixel(real):
    adatas = [table({"total": real}, turned) for turned in (False, True)]
    for adata in adatas:
        cs.segment_densities(adata, "X", binsize=10, background=False)
    bins = same(adatas, "X_bins")
    assert np.array_equal(*bins) and bins[0].min() == 1 and bins[0].max() > 1
    # (x, y) of the table: its row and column
    x, y = (int(v) for v in np.argwhere(adatas[1].layers["X_bins"] == adatas[1].layers["X_bins"].max())[0])
    cs.segment_densities(adatas[1], "X", binsize=10, background=(x, y), out_layer="chosen_bins")
    assert adatas[1].layers["chosen_bins"][x, y] == 0
    assert np.array_equal(adatas[1].layers["chosen_bins"] == 0, adatas[1].layers["X_bins"] == bins[0].max())
    with pytest.raises(InputError, match="outside"):
        cs.segment_densities(adatas[1], "X", binsize=10, background=(155, 0))
    top = int(bins[0].max())
    cs.merge_densities(adatas[0], "X", {top: 1})
    assert adatas[0].layers["X_bins"].max() == top - 1
    before = adatas[0].layers["X_bins"].copy()
    cs.merge_densities(adatas[0], "X")
    assert np.array_equal(adatas[0].layers["X_bins"], before)
    with pytest.raises(InputError, match="no density bin"):
        cs.merge_densities(adatas[0], "X", {99: 1})


def test_bins_are_found_by_their_suffix_and_can_be_left_out(real):
    adata = table({"total": real})
    adata.layers["X_bins"] = np.zeros(adata.shape, int)
    adata.layers["X_bins"][:80] = 1
    cs.score_and_mask_pixels(adata, "X", 5, "gauss")
    assert not adata.layers["X_scores"][80:].any()
    cs.score_and_mask_pixels(adata, "X", 5, "gauss", bins_layer=False)
    assert adata.layers["X_scores"][80:].any()


def test_the_threshold_may_be_zero_and_the_knee_wins_over_it(real):
    adata = table({"total": real})
    cs.score_and_mask_pixels(adata, "X", 5, "gauss", threshold=0)
    assert adata.layers["X_mask"].all()
    cs.score_and_mask_pixels(adata, "X", 5, "gauss", threshold=0, use_knee=True)
    assert not adata.layers["X_mask"].all()


@pytest.mark.parametrize("part", ["em", "vi"])
def test_the_start_of_a_fit_is_given_as_a_whole_or_by_bin(part):
    rng = np.random.default_rng(11)
    counts = np.concatenate([rng.poisson(1, 6000), rng.poisson(12, 2000), rng.poisson(60, 2000)]).reshape(100, 100)
    adata = AnnData(layers={"total": counts})
    # three populations: a mixture of two takes the middle one for background or for occupied, by its start
    starts = {
        "low": {"w": (0.8, 0.2), "mu": (1, 30), "var": (1.2, 500)},
        "high": {"w": (0.9, 0.1), "mu": (3.5, 60), "var": (30, 66)},
    }
    for name, start in starts.items():
        for kind, params in (("whole", start), ("by_bin", {0: start})):
            kwargs = {f"{part}_kwargs": {"params": params}}
            cs.score_and_mask_pixels(adata, "total", 1, f"{part}+gauss", scores_layer=f"{name}_{kind}", **kwargs)
        assert np.array_equal(adata.layers[f"{name}_whole"], adata.layers[f"{name}_by_bin"])
    middle = np.abs(counts - 12) < 3
    assert adata.layers["low_whole"][middle].mean() > 0.9
    assert adata.layers["high_whole"][middle].mean() < 0.1
    with pytest.raises(InputError, match="pass w, mu and var"):
        cs.score_and_mask_pixels(adata, "total", 1, f"{part}+gauss", **{f"{part}_kwargs": {"params": {"w": (0.9, 1)}}})


def test_options_of_the_parts_reach_them_and_others_are_told_of(tissue):
    adata = table(tissue, True, "total")
    cs.score_and_mask_pixels(adata, "X", 5, "EM+BP", bp_kwargs={"p": 0.9, "q": 0.1}, scores_layer="strong")
    cs.score_and_mask_pixels(adata, "X", 5, "EM+BP", em_kwargs={"downsample": 0.5, "seed": 3}, scores_layer="drawn")
    cs.score_and_mask_pixels(adata, "X", 5, "EM+BP", em_kwargs={"max_iter": np.int64(50)}, scores_layer="plain")
    assert not np.array_equal(adata.layers["strong"], adata.layers["plain"])
    assert not np.array_equal(adata.layers["drawn"], adata.layers["plain"])
    with pytest.warns(UserWarning, match="no effect with method gauss"):
        cs.score_and_mask_pixels(adata, "X", 5, "gauss", bp_kwargs={"p": 0.9})
    with pytest.raises(InputError, match=r"bp_kwargs has no strength; it takes .*k, max_iter"):
        cs.score_and_mask_pixels(adata, "X", 5, "EM+BP", bp_kwargs={"strength": 1})


def test_alignment_moves_what_it_is_asked_to_and_never_worsens(tissue):
    for turned in (False, True):
        adata = table(tissue, turned)
        adata.layers["drawn_labels"] = table(tissue, turned).layers["nuclei"].astype(np.uint16)
        kinds = {name: adata.layers[name].dtype for name in ("raw", "drawn_labels")}
        cs.refine_alignment(adata, "raw", transform_layers=["raw", "drawn_labels"])
        found = adata.uns["spatial"]["alignment"]
        assert found["ncc_after"] >= found["ncc_before"] and found["theta"].shape == (2, 3)
        assert {name: adata.layers[name].dtype for name in kinds} == kinds
        assert set(np.unique(adata.layers["drawn_labels"])) <= set(np.unique(tissue["nuclei"]))
        # the stain of the sample lies (4, -6) px away: theta has its shift in half widths, x of the array first
        shift = found["theta"][:, 2] * SIDE / 2
        assert np.allclose(shift, (-6, 4) if turned else (4, -6), atol=1)


def test_alignment_takes_a_start_and_bends(tissue):
    adata = table(tissue, False)
    start = np.array([[1, 0, 8 / SIDE], [0, 1, -12 / SIDE]])
    cs.refine_alignment(adata, "raw", theta=start, n_epochs=10)
    assert np.allclose(adata.uns["spatial"]["alignment"]["theta"][:, 2] * SIDE / 2, (4, -6), atol=1)
    marks = [(x + 4, y - 6, x, y) for x in (0, SIDE - 1) for y in (0, SIDE - 1)]
    cs.refine_alignment(adata, "raw", mode="non-rigid", meshsize=64, landmarks=marks, n_epochs=5)
    found = adata.uns["spatial"]["alignment"]
    if found["mode"] == "tps":
        assert found["src_points"].shape == found["displacement"].shape
        assert np.abs(found["src_points"]).max() <= 1
    with pytest.raises(InputError, match="meshsize"):
        cs.refine_alignment(adata, "raw", meshsize=64)
    with pytest.raises(InputError, match="mode=bent"):
        cs.refine_alignment(adata, "raw", mode="bent")


def test_replacing_a_layer_replaces_its_dtype():
    adata = AnnData(layers={"labels": np.array([[0, 1, 2]], np.uint8)})
    cs.replace_labels(adata, "labels", {1: 300, 2: 1})
    assert adata.layers["labels"].tolist() == [[0, 300, 1]] and adata.layers["labels"].dtype == np.int32
    adata.layers["n_mask"] = np.array([[False, True, True]])
    adata.layers["n"] = np.array([[0, 0, 9]])
    cs.score_and_mask_pixels(adata, "n", 1, "gauss", scores_layer="n_mask", mask_layer="out")
    assert adata.layers["n_mask"].dtype == np.float32 and adata.layers["n_mask"].max() == 1
    cs.label_connected_components(adata, "out", area_threshold=np.inf, out_layer="n_mask")
    assert adata.layers["n_mask"].dtype == np.int32


def test_suffix_first_then_the_literal_name():
    labels = np.array([[0, 1, 0, 0]])
    adata = AnnData(layers={"cell": labels, "cell_labels": labels * 7})
    cs.expand_labels(adata, "cell", distance=1)
    assert adata.layers["cell_labels_expanded"].max() == 7
    cs.expand_labels(adata, "cell_labels", distance=1, out_layer="literal")
    assert np.array_equal(adata.layers["literal"], adata.layers["cell_labels_expanded"])
    del adata.layers["cell_labels"]
    cs.expand_labels(adata, "cell", distance=1)
    assert adata.layers["cell_expanded"].max() == 1


def test_augmented_labels_tell_where_they_come_from(tissue):
    adata = table(tissue)
    adata.layers["few_labels"] = np.where(adata.layers["nuclei"] % 2 == 1, adata.layers["nuclei"], 0).astype(np.uint16)
    cs.augment_labels(adata, "nuclei", "few")
    found = adata.layers["few_labels_augmented"]
    assert np.array_equal(found > 0, adata.layers["nuclei"] > 0)
    sources = np.array(adata.uns["spatial"]["sources"]["few_labels_augmented"])
    assert set(sources[found[adata.layers["few_labels"] > 0]]) == {"target"} and "source" in sources
    adata.layers["scores"] = np.ones(adata.shape)
    with pytest.raises(InputError, match="dtype"):
        cs.augment_labels(adata, "nuclei", "scores")


def test_small_cells_are_dropped(tissue):
    adata = table(tissue)
    areas = np.bincount(adata.layers["cells"].ravel())
    cs.filter_cell_labels_by_area(adata, "cells", 150)
    kept = np.bincount(adata.layers["cells"].ravel(), minlength=len(areas))
    assert np.array_equal(kept[1:], np.where(areas[1:] < 150, 0, areas[1:])) and (areas[1:] < 150).any()


def test_compare_and_random_labels(tissue):
    adata = table(tissue)
    perfect = cs.compare(adata, "cells", "cells", seed=0)
    assert perfect.loc["Average precision (0.95)", "cells"] == 1 and perfect.loc["F1 score", "cells"] == 1
    assert perfect.loc["Average precision (0.50)", "background"] == 0 and not perfect.isna().any().any()
    adata.layers["none"] = np.zeros(adata.shape, np.uint8)
    empty = cs.compare(adata, "cells", "none", umi_pixels_only=False, random_background=False)
    assert list(empty.columns) == ["none"] and not empty.isna().any().any()
    assert empty.loc["Average precision (0.50)", "none"] == 0 and empty.loc["Precision", "none"] == 0
    cs.generate_random_labels_like(adata, "cells", seed=1)
    same_areas = [np.bincount(adata.layers[name].ravel()) for name in ("cells", "random_labels")]
    assert np.array_equal(*same_areas)
    cs.generate_random_labels(adata, [5, 9], out_layer="two")
    assert np.bincount(adata.layers["two"].ravel())[1:].tolist() == [5, 9]
    with pytest.raises(InputError, match="sum to"):
        cs.generate_random_labels(adata, [10**6])


def test_regions_drawn_and_given():
    counts = np.zeros((60, 90), np.float32)
    counts[20:40, 40:60] = 1
    adata = AnnData(counts, uns={"spatial": {"scale": 0.5, "scale_unit": "um", "binsize": 2}})
    adata.obs_names, adata.var_names = [str(i + 100) for i in range(60)], [str(i + 300) for i in range(90)]
    cs.select_qc_regions(adata, n=1, size=20, seed=0)
    assert adata.uns["spatial"]["qc"].tolist() == [[120, 140, 340, 360]]
    cs.select_qc_regions(adata, n=1, size=20, weight_func=lambda part: float(part.obs_names[0] == "100"))
    assert adata.uns["spatial"]["qc"][0, 0] == 100
    with pytest.warns(UserWarning, match="only 12 regions"):
        cs.select_qc_regions(adata, n=20, size=20, weight_func=None)
    assert len(np.unique(adata.uns["spatial"]["qc"], axis=0)) == 12
    cs.select_qc_regions(adata, regions=[(10, 15, 20, 25), (5, 5)], size=20)
    assert adata.uns["spatial"]["qc"].tolist() == [[110, 115, 320, 325], [105, 125, 305, 325]]
    with pytest.warns(UserWarning, match="cut off"):
        cs.select_qc_regions(adata, regions=[(150, 330)], size=20, use_scale=False, absolute=True)
    assert adata.uns["spatial"]["qc"].tolist() == [[150, 160, 330, 350]]
    with pytest.raises(InputError, match="outside"):
        cs.select_qc_regions(adata, regions=[(150, 330)], size=20, use_scale=False)
    with pytest.raises(InputError, match="does not fit"):
        cs.select_qc_regions(adata)
