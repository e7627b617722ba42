"""The field's own function names on AnnData layers.

Every function takes an AnnData of pixels (rows are x, columns are y; `read_bgi_agg` makes one) and writes its result
into a layer. There is no logic here: the work is done in `segapp.core`, and names, defaults and help come from its
declarations of parameters.

Layers: ``X`` (total counts), ``spliced``, ``unspliced``, ``stain``, ``labels``; results have the suffixes ``_mask``,
``_markers``, ``_distances``, ``_bins``, ``_labels``, ``_scores``, ``_expanded``, ``_augmented`` and ``_boundary``. A
``layer`` is looked up with the suffix first, then literally.
"""

from __future__ import annotations

from segapp.cs.labels import (
    augment_labels,
    expand_labels,
    filter_cell_labels_by_area,
    find_peaks,
    find_peaks_from_mask,
    find_peaks_with_erosion,
    get_cell_shape,
    label_connected_components,
    replace_labels,
    watershed,
)
from segapp.cs.quality import compare, generate_random_labels, generate_random_labels_like, select_qc_regions
from segapp.cs.reading import read_bgi, read_bgi_agg
from segapp.cs.rna import merge_densities, score_and_mask_pixels, segment_densities
from segapp.cs.stain import (
    cellpose,
    deepcell,
    mask_cells_from_stain,
    mask_nuclei_from_stain,
    refine_alignment,
    stardist,
)

__all__ = [
    "augment_labels",
    "cellpose",
    "compare",
    "deepcell",
    "expand_labels",
    "filter_cell_labels_by_area",
    "find_peaks",
    "find_peaks_from_mask",
    "find_peaks_with_erosion",
    "generate_random_labels",
    "generate_random_labels_like",
    "get_cell_shape",
    "label_connected_components",
    "mask_cells_from_stain",
    "mask_nuclei_from_stain",
    "merge_densities",
    "read_bgi",
    "read_bgi_agg",
    "refine_alignment",
    "replace_labels",
    "score_and_mask_pixels",
    "segment_densities",
    "select_qc_regions",
    "stardist",
    "watershed",
]
