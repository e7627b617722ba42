"""Files: GEM and stain as pixels, GEM as bins x genes or cells x genes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segapp.core.types import InputError
from segapp.cs import _layers as layers
from segapp.cs._face import SLOT, Knobs, build, face
from segapp.io import agg, bgi

if TYPE_CHECKING:
    from anndata import AnnData


@face(
    docs={
        "path": "GEM file, plain or gzip.",
        "stain_path": "TIFF or PNG of the stain in the coordinates of the GEM.",
        "gene_agg": "Further layers: name -> genes to sum, or a function that tells whether a gene belongs to it.",
        "label_column": "Column of cell ids, which becomes the layer ``labels``.",
    },
    binning=(agg.AggParams, "binsize"),
    lying=(agg.AggParams, "prealigned"),
    rest=(agg.AggParams, "version orientation"),
)
def read_bgi_agg(
    path: str | Path,
    stain_path: str | Path | None = None,
    binning: Knobs = SLOT,
    gene_agg: Mapping[str, agg.GeneSet] | None = None,
    lying: Knobs = SLOT,
    label_column: str | None = None,
    rest: Knobs = SLOT,
) -> AnnData:
    r"""Read a GEM file, and a stain, into pixels: rows are x, columns y.

    Returns
    -------
    AnnData
        ``X`` (total), ``spliced``, ``unspliced`` and ``exon`` counts where the file has them, ``stain``, ``labels``.
        Names of rows and columns count bins from the origin of the file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\nActb\t7\t20\t2\nMalat1\t9\t21\t3\n")
    >>> adata = read_bgi_agg(path, gene_agg={"nuclear": ["Malat1"]})
    >>> adata.obs_names.tolist(), adata.layers["nuclear"].toarray().tolist()
    (['7', '8', '9'], [[0, 0], [0, 0], [0, 3]])
    """
    params = build(agg.AggParams, binning, lying, rest)
    return agg.read_agg(
        path,
        params,
        stain_path=stain_path,
        gene_agg=gene_agg,
        label_column=label_column,
    )


@face(
    docs={
        "path": "GEM file, plain or gzip.",
        "binsize": "Side of square bins in px, counted from the origin of the file.",
        "segmentation_adata": "Table of pixels that holds the labels.",
        "labels_layer": "Its layer of labels: ``{labels_layer}_labels``, else the name itself.",
        "labels": "Array of labels, rows = x from 0 on and columns = y from 0 on, or an npy file of it.",
        "label_column": "Column of cell ids in the GEM.",
    },
    elements=(bgi.BgiParams, "seg_binsize"),
    rest=(bgi.BgiParams, "add_props version"),
)
def read_bgi(
    path: str | Path,
    binsize: int | None = None,
    segmentation_adata: AnnData | None = None,
    labels_layer: str | None = None,
    labels: np.ndarray | str | Path | None = None,
    elements: Knobs = SLOT,
    label_column: str | None = None,
    rest: Knobs = SLOT,
) -> AnnData:
    r"""Count genes in bins, or in cells that labels or a column of the file give; name exactly one of them.

    Returns
    -------
    AnnData
        Bins or cells x genes: ``X`` (total) and the other layers. ``obs["area"]`` in px², ``obsm["spatial"]`` (x, y),
        ``obsm["bbox"]`` and ``obsm["contour"]`` (hexadecimal well-known binary) in the coordinates of the file, where
        pixel (x, y) covers x to x + 1 and y to y + 1. A cell without UMIs has ``obs["empty"]``; in
        ``uns["segapp"]`` stands how many UMIs lie in no cell.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\nActb\t7\t20\t2\nMalat1\t9\t21\t3\n")
    >>> pixels = read_bgi_agg(path)
    >>> pixels.layers["labels"] = np.array([[4, 4], [0, 4], [0, 0]])
    >>> cells = read_bgi(path, segmentation_adata=pixels, labels_layer="labels")
    >>> cells.X.toarray().tolist(), cells.obsm["bbox"].tolist(), cells.uns["segapp"]["umis_unassigned"]
    ([[2, 0]], [[7, 20, 9, 22]], 3)
    """
    ways = {
        "binsize": binsize,
        "segmentation_adata": segmentation_adata,
        "labels": labels,
        "label_column": label_column,
    }
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        raise InputError(f"{' and '.join(given) or 'nothing'} was given; give exactly one of {', '.join(ways)}")
    if (segmentation_adata is None) != (labels_layer is None):
        raise InputError("segmentation_adata and labels_layer belong together; give both or neither")
    params = build(bgi.BgiParams, elements, rest)
    if binsize is not None:
        return bgi.read_bins(path, binsize, params)
    if label_column is not None:
        return bgi.read_column(path, label_column, params)
    origin = (0, 0)
    if segmentation_adata is not None and labels_layer is not None:
        side = int(segmentation_adata.uns.get("spatial", {}).get("binsize", 1))
        params = params.with_(seg_binsize=side)
        x, y = layers.bounds(segmentation_adata)
        origin = (x * side, y * side)
        labels = layers.read(segmentation_adata, labels_layer, "labels")
    elif isinstance(labels, str | Path):
        labels = np.load(labels)
    return bgi.read_labelled(path, np.asarray(labels), params, origin=origin)
