import inspect
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from segapp import cs
from segapp.core.score import METHODS
from segapp.core.stain import NucleiMaskParams
from segapp.core.types import InputError, Unavailable

TINY = Path(__file__).parent.parent / "core" / "engines" / "fixtures" / "tiny"

# what a user of the field knows: names in order, with the defaults that the field has
KNOWN = {
    "refine_alignment": "stain_layer='stain' rna_layer='unspliced' mode='rigid' downscale=1 k=5 n_epochs=100 "
    "transform_layers=None",
    "mask_nuclei_from_stain": "otsu_classes=3 otsu_index=0 local_k=55 offset=5 mk=5 layer='stain' out_layer=None",
    "mask_cells_from_stain": "otsu_classes=3 otsu_index=0 mk=7 layer='stain' out_layer=None",
    "find_peaks": "layer k=3 min_distance=7 mask_layer=None out_layer=None",
    "find_peaks_from_mask": "layer min_distance=7 distances_layer=None markers_layer=None",
    "find_peaks_with_erosion": "layer='stain' k=3 square=False min_area=80 n_iter=-1 float_k=5 float_threshold=None "
    "out_layer=None",
    "watershed": "layer='stain' k=3 mask_layer=None markers_layer=None out_layer=None",
    "augment_labels": "source_layer target_layer out_layer=None",
    "expand_labels": "layer distance=5 max_area=400 mask_layer=None out_layer=None",
    "segment_densities": "layer binsize=20 k=3 dk=3 distance_threshold=None background=None out_layer=None",
    "merge_densities": "layer mapping=None out_layer=None",
    "replace_labels": "layer mapping out_layer=None",
    "score_and_mask_pixels": "layer k=5 method='EM+BP' moran_kwargs=None em_kwargs=None vi_kwargs=None bp_kwargs=None "
    "threshold=None use_knee=False mk=None bins_layer=None certain_layer=None scores_layer=None mask_layer=None",
    "label_connected_components": "layer seed_layer=None area_threshold=500 k=3 min_area=100 n_iter=-1 distance=8 "
    "max_area=400 out_layer=None",
    "filter_cell_labels_by_area": "layer area_cutoff=7",
    "get_cell_shape": "layer thickness=1 out_layer=None",
    "stardist": "model='segapp-nuclei' tilesize=2000 min_overlap=None context=None normalizer='percentile' "
    "equalize=2.0 sanitize=True layer='stain' out_layer=None",
    "cellpose": "model='nuclei' diameter=None normalize=True equalize=2.0 layer='stain' out_layer=None",
    "deepcell": "model='nuclear' equalize=2.0 layer='stain' out_layer=None",
    "compare": "true_layer pred_layer data_layer='X' umi_pixels_only=True random_background=True "
    "ap_taus=(0.5,0.55,0.6,0.65,0.7,0.75,0.8,0.85,0.9,0.95) seed=None",
    "select_qc_regions": "regions=None n=4 size=2000 seed=None use_scale=True absolute=False",
    "generate_random_labels": "areas seed=None out_layer='random_labels'",
    "generate_random_labels_like": "layer seed=None out_layer='random_labels'",
    "read_bgi_agg": "stain_path=None binsize=1 gene_agg=None prealigned=False label_column=None version='stereo'",
    "read_bgi": "binsize=None segmentation_adata=None labels_layer=None labels=None seg_binsize=1 label_column=None "
    "add_props=True version='stereo'",
}


def test_every_name_of_the_field_is_there_and_nothing_else():
    assert sorted(cs.__all__) == sorted(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_names_and_defaults_stand_in_the_order_that_users_know(name):
    parameters = list(inspect.signature(getattr(cs, name)).parameters.values())
    assert parameters[0].name == ("path" if name.startswith("read") else "adata")
    written = [
        item.name if item.default is item.empty else f"{item.name}={item.default!r}".replace(", ", ",")
        for item in parameters[1:]
    ]
    assert written[: len(KNOWN[name].split())] == KNOWN[name].split()


@pytest.mark.parametrize("name", KNOWN)
def test_help_tells_of_every_parameter(name):
    function = getattr(cs, name)
    section = function.__doc__.split("Parameters\n----------\n")[1]
    lines = section.splitlines()
    for parameter in inspect.signature(function).parameters:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{parameter} : "))
        assert lines[at + 1].startswith("    ") and len(lines[at + 1]) > 10


def test_defaults_are_those_of_the_declaration():
    parameters = inspect.signature(cs.mask_nuclei_from_stain).parameters
    for name, field in NucleiMaskParams.model_fields.items():
        assert parameters[name].default == field.default
    assert inspect.signature(cs.score_and_mask_pixels).parameters["method"].default == METHODS.default


def test_a_wrong_value_is_one_sentence():
    adata = AnnData(layers={"stain": np.eye(8)})
    with pytest.raises(InputError, match="mk=4 is even"):
        cs.mask_nuclei_from_stain(adata, mk=4)
    with pytest.raises(TypeError, match="mkk"):
        cs.mask_nuclei_from_stain(adata, mkk=5)
    with pytest.raises(InputError, match="method=magic is not known"):
        cs.score_and_mask_pixels(AnnData(layers={"n": np.eye(8, dtype=int)}), "n", 5, "magic")


@pytest.mark.parametrize("engine", ["cellpose", "deepcell"])
def test_networks_say_in_one_sentence_what_is_missing(engine):
    adata = AnnData(layers={"stain": np.eye(8)})
    with pytest.raises(Unavailable, match=rf"{engine}, which is not installed: run `pip install .*{engine}"):
        getattr(cs, engine)(adata)
    assert list(adata.layers) == ["stain"]


def test_a_published_model_says_in_one_sentence_what_fetches_it():
    adata = AnnData(layers={"stain": np.eye(8)})
    with pytest.raises(Unavailable, match=r"2D_versatile_fluo .* run `pip install 'segapp\[tensorflow\]'`"):
        cs.stardist(adata, "2D_versatile_fluo")


def test_a_network_writes_labels_and_scores():
    stain = np.kron(np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1]]), np.hanning(18)[:, None] * np.hanning(18))
    stain = (20 + 200 * stain).astype(np.uint8)
    adata = AnnData(layers={"stain": stain})
    cs.stardist(adata, str(TINY), equalize=0, scale=1)
    labels, scores = adata.layers["stain_labels"], adata.layers["stain_scores"]
    assert (labels.dtype, scores.dtype, labels.max()) == (np.int32, np.float32, 3)
    assert len(adata.uns["spatial"]["probability"]["stain_labels"]) == 4
    cs.stardist(adata, str(TINY), equalize=0, scale=1, prob_thresh=0.9, out_layer="few")
    assert adata.layers["few"].max() == 0 and "few_scores" in adata.layers


def test_a_missing_layer_names_those_that_are_there():
    adata = AnnData(np.zeros((4, 4), np.float32), layers={"stain": np.eye(4)})
    with pytest.raises(Unavailable, match=r"'absent_labels' nor 'absent'; the layers here are X, stain"):
        cs.expand_labels(adata, "absent")


def test_cells_x_genes_are_refused():
    adata = AnnData(np.zeros((4, 4), np.float32), uns={"__type": "UMI"})
    with pytest.raises(InputError, match="cells x genes"):
        cs.segment_densities(adata, "X")
    with pytest.raises(InputError, match="ndarray was given"):
        cs.watershed(np.zeros((3, 3)))
