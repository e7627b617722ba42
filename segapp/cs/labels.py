"""Labels: markers, watershed, components, expansion, and what is done with labels afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from segapp.core import qc
from segapp.core.label import augment, cells, components, expand, flood, markers, overlap
from segapp.core.label.watershed import NucleiWatershedParams
from segapp.core.types import InputError
from segapp.cs import _layers as layers
from segapp.cs._face import SLOT, Knobs, build, face

if TYPE_CHECKING:
    from anndata import AnnData

_EXPAND = cells.CELLS.option("expand")


@face(
    docs={
        "layer": "Layer of values, taken as it is named.",
        "mask_layer": "Layer of a mask to look inside; pixels outside do not compete.",
        "threshold_abs": "Peaks are higher than this after the blur. None: Otsu's threshold.",
    },
    knobs=(NucleiWatershedParams, "k min_distance"),
)
def find_peaks(
    adata: AnnData,
    layer: str,
    knobs: Knobs,
    mask_layer: str | None = None,
    out_layer: str | None = None,
    threshold_abs: float | None = None,
) -> None:
    """Mark the peaks of a layer, one label each, highest first.

    The int32 markers go to ``{layer}_markers``.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"stain": np.array([[9, 3, 0, 0, 5, 0, 0]])})
    >>> find_peaks(adata, "stain", k=1, min_distance=2, threshold_abs=0)
    >>> adata.layers["stain_markers"].tolist()
    [[1, 0, 0, 0, 2, 0, 0]]
    """
    params = build(NucleiWatershedParams, knobs)
    image = layers.read(adata, layer)
    if image.dtype == bool:
        raise InputError(f"the layer {layer} is a mask; use find_peaks_from_mask")
    mask = None if mask_layer is None else layers.read_mask(adata, mask_layer, "mask")
    found = markers.find_peaks(
        image, k=params.k, min_distance=params.min_distance, mask=mask, threshold_abs=threshold_abs
    )
    layers.write(adata, out_layer or layers.with_suffix(layer, "markers"), found)


@face(
    docs={
        "layer": "Layer of the mask: ``{layer}_mask``, else the name itself.",
        "distances_layer": "Where depths go; ``{layer}_distances`` without it.",
        "markers_layer": "Where markers go; ``{layer}_markers`` without it.",
    },
    knobs=(NucleiWatershedParams, "min_distance"),
)
def find_peaks_from_mask(
    adata: AnnData,
    layer: str,
    knobs: Knobs,
    distances_layer: str | None = None,
    markers_layer: str | None = None,
) -> None:
    """Mark the pixels that lie deepest inside a mask.

    The depth (float32 px) goes to ``{layer}_distances``, the int32 markers to ``{layer}_markers``.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"stain_mask": np.array([[0, 1, 1, 1, 0, 0, 1, 1, 1]], bool)})
    >>> find_peaks_from_mask(adata, "stain", min_distance=2)
    >>> adata.layers["stain_markers"].tolist()
    [[0, 0, 2, 0, 0, 0, 0, 0, 1]]
    """
    params = build(NucleiWatershedParams, knobs)
    mask = layers.read(adata, layer, "mask")
    found = markers.find_peaks_from_mask(mask, min_distance=params.min_distance)
    layers.write(adata, distances_layer or layers.with_suffix(layer, "distances"), markers.chamfer(mask))
    layers.write(adata, markers_layer or layers.with_suffix(layer, "markers"), found)


@face(
    docs={"layer": "Layer to erode: ``{layer}_scores``, else ``{layer}_mask``, else the name itself."},
    knobs=(markers.ErosionParams, "k square min_area n_iter float_k float_threshold"),
)
def find_peaks_with_erosion(
    adata: AnnData,
    layer: str = layers.STAIN,
    knobs: Knobs = SLOT,
    out_layer: str | None = None,
) -> None:
    """Mark what is left of each component of a mask, or of scores cut at a threshold, when it has been eroded.

    The int32 markers go to ``{layer}_markers``.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 0, 1], [1, 1, 1, 0, 1]], bool)
    >>> adata = AnnData(layers={"stain_mask": mask})
    >>> find_peaks_with_erosion(adata, min_area=4)
    >>> adata.layers["stain_markers"].max(1).tolist()
    [1, 2, 2]
    """
    params = build(markers.ErosionParams, knobs)
    threshold = None if params.float_threshold == "auto" else params.float_threshold
    found = markers.find_peaks_with_erosion(
        layers.read(adata, layer, "scores", "mask"), **params.model_dump() | {"float_threshold": threshold}
    )
    layers.write(adata, out_layer or layers.with_suffix(layer, "markers"), found)


@face(
    docs={
        "layer": "Layer of values, taken as it is named.",
        "markers_layer": "Layer of markers, labels or a mask; ``{layer}_markers`` without it.",
    },
    knobs=(NucleiWatershedParams, "k"),
)
def watershed(
    adata: AnnData,
    layer: str = layers.STAIN,
    knobs: Knobs = SLOT,
    mask_layer: str | None = None,
    markers_layer: str | None = None,
    out_layer: str | None = None,
) -> None:
    """Flood a blurred layer inside a mask from markers, brightest pixels first.

    The int32 labels go to ``{layer}_labels``; they have the ids of their markers.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> stain = np.array([[0, 5, 9, 4, 1, 6, 8, 0]])
    >>> adata = AnnData(layers={"stain": stain, "stain_mask": stain > 0, "stain_markers": stain > 7})
    >>> watershed(adata, k=1)
    >>> adata.layers["stain_labels"].tolist()
    [[0, 1, 1, 1, 2, 2, 2, 0]]
    """
    params = build(NucleiWatershedParams, knobs)
    mask = layers.read(adata, layer if mask_layer is None else mask_layer, "mask")
    starts = layers.read(adata, layer if markers_layer is None else markers_layer, "markers")
    found = flood.flood_image(layers.read(adata, layer), starts, mask, k=params.k)
    layers.write(adata, out_layer or layers.with_suffix(layer, "labels"), found)


@face(
    docs={
        "source_layer": "Labels that may be added: ``{source_layer}_labels``, else the name itself.",
        "target_layer": "Labels to augment, likewise.",
    }
)
def augment_labels(adata: AnnData, source_layer: str, target_layer: str, out_layer: str | None = None) -> None:
    """Keep the target labels that some source label confirms, and add the source labels that the target missed.

    The int32 labels go to ``{target_layer}_augmented``, and where each one came from to
    ``uns["spatial"]["sources"][out_layer]``, by id.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> source, target = np.array([[5, 5, 0, 0, 0, 8]]), np.array([[0, 2, 2, 0, 3, 0]])
    >>> adata = AnnData(layers={"stain_labels": source, "stardist_labels": target})
    >>> augment_labels(adata, "stain_labels", "stardist_labels")
    >>> adata.layers["stardist_labels_augmented"].tolist()
    [[0, 1, 1, 0, 0, 2]]
    """
    name = layers.find(adata, target_layer, "labels")
    found, origin = augment.augment(layers.read(adata, source_layer, "labels"), layers.read(adata, name))
    out_layer = out_layer or layers.with_suffix(name, "augmented")
    layers.write(adata, out_layer, found)
    words = {"watershed": "source", "network": "target"}
    sources = [words.get(augment.SOURCES[code], "") for code in origin]
    layers.note(adata, "sources", out_layer, value=sources)


@face(
    docs={
        "layer": "Layer of the labels: ``{layer}_labels``, else the name itself.",
        "mask_layer": "Layer of a mask to grow inside; everywhere without it.",
    },
    knobs=(_EXPAND, "distance max_area"),
)
def expand_labels(
    adata: AnnData,
    layer: str,
    knobs: Knobs,
    mask_layer: str | None = None,
    out_layer: str | None = None,
) -> None:
    """Grow labels by a distance, up to an area that is never exceeded.

    The int32 labels go to ``{label_layer}_expanded``, such as ``stain_labels_expanded``.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"stain_labels": np.array([[0, 1, 0, 0, 0, 2, 0]])})
    >>> expand_labels(adata, "stain", distance=2)
    >>> adata.layers["stain_labels_expanded"].tolist()
    [[1, 1, 1, 1, 2, 2, 2]]
    """
    params = build(_EXPAND, knobs)
    name = layers.find(adata, layer, "labels")
    mask = None if mask_layer is None else layers.read_mask(adata, mask_layer, "mask")
    found = expand.expand(
        layers.read(adata, name), distance=params.distance, max_area=components.limit(params.max_area), mask=mask
    )
    layers.write(adata, out_layer or layers.with_suffix(name, "expanded"), found)


@face(
    docs={
        "layer": "Layer of the mask: ``{layer}_mask``, else the name itself.",
        "seed_layer": "Labels that grow and keep their ids, such as nuclei: ``{seed_layer}_labels``, else the name.",
    },
    knobs=(components.SplitParams, "area_threshold k min_area n_iter distance max_area"),
)
def label_connected_components(
    adata: AnnData,
    layer: str,
    seed_layer: str | None = None,
    knobs: Knobs = SLOT,
    out_layer: str | None = None,
) -> None:
    """Label the components of a mask; those with seeds grow from them, large ones without are split.

    The int32 labels go to ``{layer}_labels``. Pixels of the mask that no label holds are counted by reason in
    ``uns["spatial"]["unassigned"][out_layer]``: too far from a seed or piece, or within reach of labels that were full.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"unspliced_mask": np.array([[1, 1, 0, 0], [0, 0, 0, 1]], bool)})
    >>> label_connected_components(adata, "unspliced", area_threshold=np.inf)
    >>> adata.layers["unspliced_labels"].tolist()
    [[1, 1, 0, 0], [0, 0, 0, 2]]
    """
    params = build(components.SplitParams, knobs)
    seeds = None if seed_layer is None else layers.read(adata, seed_layer, "labels")
    found = components.label_components(layers.read_mask(adata, layer, "mask"), seeds=seeds, **params.options())
    out_layer = out_layer or layers.with_suffix(layer, "labels")
    layers.write(adata, out_layer, found.labels)
    left = {"distance": found.unassigned_distance, "area": found.unassigned_area}
    layers.note(adata, "unassigned", out_layer, value=left)


@face(
    docs={
        "layer": "Layer of the labels: ``{layer}_labels``, else the name itself.",
        "mapping": "New id of each id to replace; 0 removes.",
        "out_layer": "Where the result goes; the same layer without it.",
    }
)
def replace_labels(adata: AnnData, layer: str, mapping: Mapping[int, int], out_layer: str | None = None) -> None:
    """Replace ids, all at once; a layer that is replaced takes the int32 of its new values.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"labels": np.array([[0, 1, 2]], np.uint8)})
    >>> replace_labels(adata, "labels", {1: 300})
    >>> adata.layers["labels"]
    array([[  0, 300,   2]], dtype=int32)
    """
    name = layers.find(adata, layer, "labels")
    layers.write(adata, out_layer or name, overlap.replace_labels(layers.read(adata, name), mapping))


@face(
    docs={
        "layer": "Layer of the labels: ``{layer}_labels``, else the name itself.",
        "out_layer": "Where the result goes; the same layer without it.",
    },
    knobs=(qc.AreaParams, "area_cutoff"),
)
def filter_cell_labels_by_area(adata: AnnData, layer: str, knobs: Knobs, out_layer: str | None = None) -> None:
    """Drop cells of less than `area_cutoff` pixels; the others keep their ids.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"labels": np.array([[1, 0, 5, 5]])})
    >>> filter_cell_labels_by_area(adata, "labels", area_cutoff=2)
    >>> adata.layers["labels"].tolist()
    [[0, 0, 5, 5]]
    """
    name, params = layers.find(adata, layer, "labels"), build(qc.AreaParams, knobs)
    kept = qc.drop_small(layers.read(adata, name), area_cutoff=params.area_cutoff)
    layers.write(adata, out_layer or name, kept)


@face(
    docs={"layer": "Layer of the labels: ``{layer}_labels``, else the name itself."},
    knobs=(qc.BoundaryParams, "thickness"),
)
def get_cell_shape(adata: AnnData, layer: str, knobs: Knobs, out_layer: str | None = None) -> None:
    """Draw the boundary of every cell, inside it, as 255 in a uint8 layer ``{label_layer}_boundary``.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"labels": np.array([[0, 3, 3, 3, 7, 7]])})
    >>> get_cell_shape(adata, "labels")
    >>> adata.layers["labels_boundary"].tolist()
    [[0, 255, 0, 255, 255, 0]]
    """
    name, params = layers.find(adata, layer, "labels"), build(qc.BoundaryParams, knobs)
    drawn = qc.boundaries(layers.read(adata, name), thickness=params.thickness)
    layers.write(adata, out_layer or layers.with_suffix(name, "boundary"), drawn)
