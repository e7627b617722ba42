"""GEM and stain as one AnnData of pixels: obs = x, var = y, counts and stain in layers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from segapp.core.frame import choose_channel, orient
from segapp.core.params import Params, knob
from segapp.core.types import InputError, Tick, Transcripts, no_tick
from segapp.io.gem import read_gem
from segapp.io.image import read_stain

if TYPE_CHECKING:
    from anndata import AnnData

PIXELS, CELLS = "AGG", "UMI"
"""``uns["__type"]`` of a table of pixels and of a table of cells x genes."""

RESOLUTION: Mapping[str, tuple[float, str]] = {"stereo": (0.5, "um")}
"""Technology -> length and unit of one step of x and y."""

GeneSet = Sequence[str] | Callable[[str], bool]


class AggParams(Params):
    """Read UMIs and a stain into pixels."""

    binsize: int = knob(
        1, unit="px", ge=1, le=10_000, soft=(1, 100), doc="Side of the squares that are summed. Larger: coarser pixels."
    )
    prealigned: bool = knob(False, doc="The stain begins at the lowest x and y of the RNA instead of at (0, 0).")
    orientation: Literal["keep", "rot90", "rot180", "rot270", "flip-x", "flip-y", "transpose", "anti-transpose"] = knob(
        "keep", doc="How to turn the stain. keep: a row of the file is one x; transpose: a row of the file is one y."
    )
    version: str = knob("stereo", doc="Technology, which sets the length of one step of x and y.")


@dataclass(frozen=True)
class _Extent:
    """Bins of the table: the first one along x and y, and how many there are."""

    x0: int
    y0: int
    shape: tuple[int, int]
    binsize: int


def read_agg(
    path: str | Path,
    params: AggParams,
    *,
    stain_path: str | Path | None = None,
    gene_agg: Mapping[str, GeneSet] | None = None,
    label_column: str | None = None,
    tick: Tick = no_tick,
) -> AnnData:
    r"""Sum the UMIs of a GEM file in each pixel, and lay the stain over them.

    Parameters
    ----------
    path : str or Path
        GEM file, plain or gzip.
    params : AggParams
        Bin size, and how the stain lies.
    stain_path : str or Path, optional
        TIFF or PNG of one channel, in the coordinates of the GEM; row = x, column = y unless
        ``params.orientation`` says otherwise.
    gene_agg : mapping of str to (sequence of str or callable), optional
        Further layers: name -> genes to sum, or a function that tells whether a gene belongs to it.
    label_column : str, optional
        Column of cell ids, which becomes the layer ``labels``.
    tick : callable
        Progress of the reading.

    Returns
    -------
    AnnData
        Rows are x, columns y. ``X`` and the layers ``spliced``, ``unspliced`` and ``exon``, where the file has
        them, are CSR uint32 sums; ``stain`` keeps its dtype, ``labels`` are int32. ``obs_names`` and ``var_names``
        count bins from the origin of the file: bin ``i`` spans x from ``i * binsize`` to ``(i + 1) * binsize``,
        whatever the lowest coordinate is. ``uns["spatial"]`` holds binsize, scale (length of a step of x), its
        unit, and the offsets of the GEM header, which are never added.

    Raises
    ------
    InputError
        When a file cannot be read, or the stain has several channels.

    Notes
    -----
    A bin of the stain is the mean of its pixels (cut off at the edge of the image), a bin of labels the highest id.
    A stain that ends before the RNA does is padded with 0, with a warning.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\nActb\t7\t20\t2\nMalat1\t9\t21\t3\n")
    >>> adata = read_agg(path, AggParams())
    >>> adata.obs_names.tolist(), adata.var_names.tolist(), adata.X.toarray().tolist()
    (['7', '8', '9'], ['20', '21'], [[2, 0], [0, 0], [0, 3]])
    """
    import pandas as pd
    from anndata import AnnData

    transcripts = read_gem(path, tick, cell_column=label_column)
    stain, corner = None, (0, 0)
    if stain_path is not None:
        stain = orient(choose_channel(read_stain(stain_path), "auto"), params.orientation)
        corner = transcripts.bbox[:2] if params.prealigned else (0, 0)
        _warn_of_gaps(transcripts, stain.shape, corner)
    extent = _extent(transcripts, stain, corner, params.binsize)
    layers: dict[str, Any] = {
        name: _sums(transcripts, transcripts.counts[name], extent) for name in transcripts.counts if name != "total"
    }
    for name, genes in (gene_agg or {}).items():
        chosen = choose_genes(transcripts, genes)[transcripts.gene]
        layers[name] = _sums(transcripts, np.where(chosen, transcripts.counts["total"], 0), extent)
    if stain is not None:
        layers["stain"] = _bin_image(stain, corner, extent)
    if label_column is not None and transcripts.cell_id is not None:
        layers["labels"] = _bin_labels(transcripts, extent)
    return AnnData(
        X=_sums(transcripts, transcripts.counts["total"], extent),
        obs=pd.DataFrame(index=_names(extent.x0, extent.shape[0])),
        var=pd.DataFrame(index=_names(extent.y0, extent.shape[1])),
        layers=layers,
        uns=spatial_uns(transcripts, PIXELS, params.binsize, params.version),
    )


def spatial_uns(transcripts: Transcripts, kind: str, binsize: int, version: str) -> dict[str, Any]:
    """Return ``uns`` of a table: its kind, bin size, scale, and the header of the GEM.

    Parameters
    ----------
    transcripts : Transcripts
        Where the header comes from.
    kind : str
        `PIXELS` or `CELLS`.
    binsize : int
        Side of a bin in px.
    version : str
        Technology; of one that is not known the scale is 1, without a unit.

    Returns
    -------
    dict
    """
    scale, unit = RESOLUTION.get(version, (1.0, ""))
    spatial: dict[str, Any] = {"binsize": binsize, "scale": scale, "scale_unit": unit}
    return {"__type": kind, "pp": {}, "spatial": spatial | {"header": dict(transcripts.header)}}


def choose_genes(transcripts: Transcripts, genes: GeneSet) -> np.ndarray:
    """Return which genes belong to a set, (G,) bool: those named, or those a function says yes to."""
    if callable(genes):
        return np.array([bool(genes(name)) for name in transcripts.genes], bool)
    if isinstance(genes, str):
        raise InputError(f"gene_agg={genes} is one word; give a list of genes, such as ['Malat1', 'Neat1'].")
    wanted = set(genes)
    return np.array([name in wanted for name in transcripts.genes], bool)


def _extent(transcripts: Transcripts, stain: np.ndarray | None, corner: tuple[int, int], binsize: int) -> _Extent:
    x0, y0, x1, y1 = transcripts.bbox
    if min(x0, y0) < 0:
        raise InputError(f"the GEM begins at x {x0}, y {y0}, but a table of pixels has no negative coordinates.")
    if stain is not None:
        x1, y1 = (max(last, at + side - 1) for last, at, side in zip((x1, y1), corner, stain.shape, strict=True))
    first_x, first_y = x0 // binsize, y0 // binsize
    return _Extent(first_x, first_y, (x1 // binsize - first_x + 1, y1 // binsize - first_y + 1), binsize)


def _sums(transcripts: Transcripts, counts: np.ndarray, extent: _Extent) -> sparse.csr_matrix:
    kept = np.flatnonzero(counts)
    row = transcripts.x[kept] // extent.binsize - extent.x0
    column = transcripts.y[kept] // extent.binsize - extent.y0
    # summed in 64 bits: a large bin can hold more than 32 bits
    table = sparse.coo_matrix((counts[kept].astype(np.int64), (row, column)), shape=extent.shape).tocsr()
    table.sum_duplicates()
    if table.nnz and int(table.data.max()) > np.iinfo(np.uint32).max:
        return table
    return table.astype(np.uint32)


def _bin_image(image: np.ndarray, corner: tuple[int, int], extent: _Extent) -> np.ndarray:
    """Place the image in the table; a bin is the mean of the pixels that it holds."""
    b = extent.binsize
    skipped = [max(first * b - at, 0) for first, at in zip((extent.x0, extent.y0), corner, strict=True)]
    image = image[skipped[0] :, skipped[1] :]
    out = np.zeros(extent.shape, image.dtype)
    if not image.size:
        return out
    place = [(at + skip) // b for at, skip in zip(corner, skipped, strict=True)]
    lead = [(at + skip) % b for at, skip in zip(corner, skipped, strict=True)]
    starts = [np.maximum(np.arange(0, gap + side, b) - gap, 0) for gap, side in zip(lead, image.shape, strict=True)]
    sums = np.add.reduceat(np.add.reduceat(image, starts[0], axis=0, dtype=np.float64), starts[1], axis=1)
    sizes = [np.diff(np.append(start, side)) for start, side in zip(starts, image.shape, strict=True)]
    means = sums / np.outer(*sizes)
    values = means if image.dtype.kind == "f" else np.rint(means)
    at_x, at_y = place[0] - extent.x0, place[1] - extent.y0
    out[at_x : at_x + values.shape[0], at_y : at_y + values.shape[1]] = values.astype(image.dtype)
    return out


def _bin_labels(transcripts: Transcripts, extent: _Extent) -> np.ndarray:
    labels = np.zeros(extent.shape, np.int32)
    assert transcripts.cell_id is not None
    at = transcripts.x // extent.binsize - extent.x0, transcripts.y // extent.binsize - extent.y0
    np.maximum.at(labels, at, check_ids(transcripts.cell_id))
    return labels


def check_ids(ids: np.ndarray) -> np.ndarray:
    """Return cell ids as int32; those above 2**31 - 1 are refused."""
    if len(ids) and int(ids.max()) > np.iinfo(np.int32).max:
        raise InputError(f"the GEM holds the cell id {int(ids.max())}, above {2**31 - 1}; renumber the cells first.")
    return ids.astype(np.int32)


def _warn_of_gaps(transcripts: Transcripts, shape: tuple[int, ...], corner: tuple[int, int]) -> None:
    last = transcripts.bbox[2:]
    ends = [at + side - 1 for at, side in zip(corner, shape, strict=True)]
    if ends[0] >= last[0] and ends[1] >= last[1]:
        return
    turned = shape[1] + corner[0] > last[0] and shape[0] + corner[1] > last[1]
    hint = "; turned it would cover it: try orientation='transpose'" if turned else ""
    warnings.warn(
        f"the stain ends at x {ends[0]}, y {ends[1]} but the RNA at x {last[0]}, y {last[1]}; the rest is 0{hint}",
        UserWarning,
        stacklevel=4,
    )


def _names(first: int, n: int) -> list[str]:
    return [str(i) for i in range(first, first + n)]
