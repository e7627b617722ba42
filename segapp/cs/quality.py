"""Quality control: comparison with a truth, regions to look at, random labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core import comparison, qc
from segapp.core.types import InputError
from segapp.cs import _layers as layers
from segapp.cs._face import SLOT, Knobs, build, face

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@face(
    docs={
        "true_layer": "Labels that are true.",
        "pred_layer": "Labels to judge.",
        "data_layer": "Counts that tell which pixels hold a UMI.",
    },
    knobs=(comparison.CompareParams, "umi_pixels_only random_background ap_taus seed"),
)
def compare(
    adata: AnnData, true_layer: str, pred_layer: str, data_layer: str = layers.X, knobs: Knobs = SLOT
) -> pd.DataFrame:
    """Compare labels with true ones: pixel by pixel, as clusters of pixels, and as objects.

    Returns
    -------
    DataFrame
        One row a statistic; column `pred_layer`, and ``background`` for labels of the same sizes scattered anywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> labels = np.array([[1, 1, 0, 0, 9, 9]])
    >>> adata = AnnData(np.ones((1, 6), np.float32), layers={"truth": labels, "labels": labels * 3})
    >>> float(compare(adata, "truth", "labels", seed=0).loc["Average precision (0.50)", "labels"])
    1.0
    """
    import pandas as pd

    params = build(comparison.CompareParams, knobs)
    truth, labels = layers.read(adata, true_layer, "labels"), layers.read(adata, pred_layer, "labels")
    counts = layers.read(adata, data_layer) if params.umi_pixels_only else None
    columns = {pred_layer: comparison.segmentation_statistics(truth, labels, counts=counts, taus=params.ap_taus)}
    if params.random_background:
        columns["background"] = comparison.random_statistics(
            truth, labels, counts=counts, taus=params.ap_taus, seed=_seed(params)
        )
    return pd.DataFrame(columns)


@face(
    docs={
        "regions": "Regions to keep instead of drawing them: (x, y) of the first corner, or (x begin, x end, y begin, "
        "y end).",
        "use_scale": "The regions are in the unit of the technology, such as um; else in pixels of the table.",
        "absolute": "The regions are in the coordinates of the input; else relative to the corner of the table.",
        "weight_func": "How probable a region is, from the table of the region; None for all the same. Without it, "
        "log(1 + UMIs).",
    },
    knobs=(qc.RegionParams, "n size seed"),
)
def select_qc_regions(
    adata: AnnData,
    regions: Sequence[tuple[int, ...]] | None = None,
    knobs: Knobs = SLOT,
    use_scale: bool = True,
    absolute: bool = False,
    weight_func: Callable[[AnnData], float] | str | None = "log1p of UMIs",
) -> None:
    """Choose regions to look at: drawn, rather where there is RNA, or given.

    They go to ``uns["spatial"]["qc"]``, one row (x begin, x end, y begin, y end) each, as rows and columns are named.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(np.pad(np.ones((3, 3), np.float32), ((3, 0), (0, 3))))
    >>> select_qc_regions(adata, n=1, size=3)
    >>> adata.uns["spatial"]["qc"].tolist()
    [[3, 6, 0, 3]]
    """
    params = build(qc.RegionParams, knobs)
    corner = np.array(layers.bounds(adata))
    if regions is not None and len(regions):
        scale = layers.scale(adata) if use_scale else 1.0
        chosen = qc.place_regions(
            regions,
            size=params.size,
            scale=scale,
            corner=(0, 0) if absolute else corner,
            first=corner,
            shape=adata.shape,
        )
    else:
        corners = qc.region_corners(adata.shape, params.size)
        weights = _weights(adata, corners, params.size, weight_func)
        drawn = qc.draw_regions(corners, weights, n=params.n, seed=_seed(params)) + corner
        chosen = np.stack([drawn[:, 0], drawn[:, 0] + params.size, drawn[:, 1], drawn[:, 1] + params.size], -1)
    layers.note(adata, "qc", value=chosen)


@face(
    docs={"areas": "Area of each label in px.", "out_layer": "Where the labels go."},
    knobs=(qc.RandomLabelParams, "seed"),
)
def generate_random_labels(
    adata: AnnData, areas: Sequence[int], knobs: Knobs = SLOT, out_layer: str = "random_labels"
) -> None:
    """Scatter the pixels of labels of given areas over the table, as int32 labels.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(np.zeros((4, 5), np.float32))
    >>> generate_random_labels(adata, [3, 6], seed=0)
    >>> np.bincount(adata.layers["random_labels"].ravel()).tolist()
    [11, 3, 6]
    """
    layers.write(adata, out_layer, qc.random_labels(adata.shape, areas, seed=_seed(build(qc.RandomLabelParams, knobs))))


@face(
    docs={"layer": "Labels whose ids and areas are taken.", "out_layer": "Where the labels go."},
    knobs=(qc.RandomLabelParams, "seed"),
)
def generate_random_labels_like(
    adata: AnnData, layer: str, knobs: Knobs = SLOT, out_layer: str = "random_labels"
) -> None:
    """Scatter the pixels of every label of a layer over the table, as int32 labels.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"labels": np.array([[0, 1, 1, 4]])})
    >>> generate_random_labels_like(adata, "labels", seed=0)
    >>> np.bincount(adata.layers["random_labels"].ravel()).tolist()
    [1, 2, 0, 0, 1]
    """
    seed = _seed(build(qc.RandomLabelParams, knobs))
    layers.write(adata, out_layer, qc.random_labels_like(layers.read(adata, layer, "labels"), seed=seed))


def _weights(adata: AnnData, corners: np.ndarray, size: int, weight_func: Any) -> np.ndarray | None:
    if weight_func is None:
        return None
    if callable(weight_func):
        return np.array([float(weight_func(adata[x : x + size, y : y + size])) for x, y in corners])
    if adata.X is None:
        raise InputError("the table has no X to weigh regions by; pass weight_func=None or a function")
    return qc.region_weights(adata.X, corners, size)


def _seed(params: Any) -> int | None:
    return None if params.seed == "off" else int(params.seed)
