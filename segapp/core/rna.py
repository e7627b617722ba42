"""Count images: UMIs of all transcripts, and of those that mark nuclei, in the pixels of a frame."""

from __future__ import annotations

import difflib
from typing import Literal

import numpy as np
from numba import njit

from segapp.core.params import Params, knob
from segapp.core.types import Grid, InputError, Transcripts, Unavailable

Nuclear = Literal["auto", "unspliced", "genes", "exon", "spliced", "total"]

_LAYERS = ("unspliced", "exon", "spliced", "total")

NUCLEAR_GENES = ("Malat1", "Neat1", "Meg3", "Snhg11", "Kcnq1ot1", "Xist", "Miat", "Firre")
"""Transcripts known to stay in the nucleus; see the references of `RnaParams`."""


class RnaParams(Params):
    """Choose the transcripts that mark nuclei, and the size of a pixel.

    Notes
    -----
    The default `genes` are retained in the nucleus: Malat1 and Neat1 [1]_, Meg3 and Snhg11 [2]_, Kcnq1ot1 [3]_,
    Xist [4]_, Miat [5]_ and Firre [6]_. Unspliced counts hold introns of every gene, which makes them the denser
    marker.

    References
    ----------
    .. [1] Hutchinson et al., "A screen for nuclear transcripts identifies two linked noncoding RNAs associated with
           SC35 splicing domains", BMC Genomics 8:39, 2007.
    .. [2] Bakken et al., "Single-nucleus and single-cell transcriptomes compared in matched cortical cell types",
           PLoS ONE 13:e0209648, 2018.
    .. [3] Pandey et al., "Kcnq1ot1 antisense noncoding RNA mediates lineage-specific transcriptional silencing
           through chromatin-level regulation", Molecular Cell 32:232-246, 2008.
    .. [4] Clemson et al., "XIST RNA paints the inactive X chromosome at interphase", Journal of Cell Biology
           132:259-275, 1996.
    .. [5] Sone et al., "The mRNA-like noncoding RNA Gomafu constitutes a novel nuclear domain in a subset of
           neurons", Journal of Cell Science 120:2498-2506, 2007.
    .. [6] Hacisuleyman et al., "Topological organization of multichromosomal regions by the long intergenic
           noncoding RNA Firre", Nature Structural & Molecular Biology 21:198-206, 2014.
    """

    nuclear: Nuclear = knob(
        "auto",
        doc="Transcripts that mark nuclei. auto takes unspliced counts where present, else the nuclear genes found; "
        "genes are those listed; total marks whole cells, and nuclei merge.",
    )
    genes: tuple[str, ...] = knob(NUCLEAR_GENES, doc="Nuclear genes, in upper or lower case; those found are summed.")
    um_per_px: float | Literal["auto"] = knob(
        "auto",
        unit="um",
        ge=0.01,
        le=1000.0,
        soft=(0.1, 10.0),
        doc="Side of a pixel in micrometres; auto is what the file says, or 0.5 times the BinSize of a GEM.",
    )


def pixel_size(transcripts: Transcripts, params: RnaParams) -> float:
    """Return the side of a pixel in micrometres.

    Parameters
    ----------
    transcripts : Transcripts
        Their header may hold ``MicronsPerPixel``, or ``BinSize``; a BinSize of 1 is taken where it has neither.
    params : RnaParams
        A number in `um_per_px` wins over the header.

    Returns
    -------
    float
        Micrometres.

    Raises
    ------
    InputError
        When that is not a positive number.
    """
    if params.um_per_px != "auto":
        return float(params.um_per_px)
    if "MicronsPerPixel" in transcripts.header:
        return header_number(transcripts, "MicronsPerPixel", 0.5, positive=True)
    return 0.5 * header_number(transcripts, "BinSize", 1.0, positive=True)


def rasterize(transcripts: Transcripts, grid: Grid, layer: str, genes: tuple[str, ...] | None = None) -> np.ndarray:
    """Sum the UMIs of a layer into pixels.

    Parameters
    ----------
    transcripts : Transcripts
        In input coordinates.
    grid : Grid
        The frame, or a window of it: records outside are left out.
    layer : str
        A key of ``transcripts.counts``, such as ``"total"``.
    genes : tuple of str, optional
        Count these genes only, upper and lower case being the same; names not in the data count nothing.

    Returns
    -------
    counts : (H, W) uint32
        UMIs in each pixel.

    Raises
    ------
    Unavailable
        When there is no such layer.
    InputError
        When a pixel holds more than 2**32 - 1 UMIs.

    Examples
    --------
    >>> import numpy as np
    >>> at = np.array([5, 6, 6], np.int32)
    >>> rna = Transcripts(at, at, np.array([0, 0, 1], np.int32), {"total": np.array([1, 2, 4], np.uint32)}, ("A", "B"))
    >>> rasterize(rna, Grid(5, 5, 2, 2), "total").tolist()
    [[1, 0], [0, 6]]
    >>> rasterize(rna, Grid(5, 5, 2, 2), "total", ("b",)).tolist()
    [[0, 0], [0, 4]]
    """
    if layer not in transcripts.counts:
        raise Unavailable(
            f"the transcripts have no {layer} counts; the layers here are {', '.join(transcripts.counts)}"
        )
    wanted = np.ones(max(len(transcripts.genes), 1), np.bool_)
    if genes is not None:
        wanted[:] = False
        wanted[find_genes(transcripts, genes)] = True
    out = np.zeros(grid.shape, np.uint32)
    fits = _accumulate(
        _frozen(transcripts.x, np.int32),
        _frozen(transcripts.y, np.int32),
        _frozen(transcripts.gene, np.int32),
        _frozen(transcripts.counts[layer], np.uint32),
        wanted,
        grid.x0,
        grid.y0,
        out,
    )
    if not fits:
        raise InputError(f"a pixel holds more than {2**32 - 1:,} {layer} UMIs; check the counts of the GEM file")
    return out


def find_genes(transcripts: Transcripts, genes: tuple[str, ...]) -> np.ndarray:
    """Return the indices of `genes` among the genes of the transcripts; upper and lower case are the same.

    Parameters
    ----------
    transcripts : Transcripts
        Their `genes` are searched.
    genes : tuple of str
        Names.

    Returns
    -------
    indices : (N,) intp
        Ascending. Names that are not there are left out; a name that occurs in two spellings gives both.
    """
    names = {name.strip().lower() for name in genes}
    return np.array([i for i, name in enumerate(transcripts.genes) if name.lower() in names], np.intp)


def rna_layers(transcripts: Transcripts, grid: Grid, params: RnaParams) -> tuple[np.ndarray | None, np.ndarray, str]:
    """Make the count images of nuclear and of all transcripts.

    Parameters
    ----------
    transcripts : Transcripts
        In input coordinates.
    grid : Grid
        The frame.
    params : RnaParams
        What counts as nuclear.

    Returns
    -------
    nuclear : (H, W) uint32 or None
        None when ``nuclear="auto"`` finds nothing that marks nuclei.
    total : (H, W) uint32
        All UMIs.
    source : str
        What `nuclear` was made of, such as ``"unspliced"`` or ``"genes: Malat1, Neat1"``; where it is None, one
        sentence that says why.

    Raises
    ------
    Unavailable
        When the layer or the genes that were asked for are not in the data.
    """
    total = rasterize(transcripts, grid, "total")
    source = nuclear_source(transcripts, params)
    if not marks_nuclei(transcripts, params):
        return None, total, source
    if source == "total":
        return total, total, source
    if source in _LAYERS:
        return rasterize(transcripts, grid, source), total, source
    return rasterize(transcripts, grid, "total", params.genes), total, source


def marks_nuclei(transcripts: Transcripts, params: RnaParams) -> bool:
    """Return whether something in the transcripts marks nuclei; see `nuclear_source`."""
    source = nuclear_source(transcripts, params)
    return source in _LAYERS or source.startswith("genes: ")


def nuclear_source(transcripts: Transcripts, params: RnaParams) -> str:
    """Say which transcripts mark nuclei: a layer, ``"genes: ..."``, or a sentence where nothing does.

    Parameters
    ----------
    transcripts : Transcripts
        Layers and genes are looked up in them.
    params : RnaParams
        What was asked for.

    Returns
    -------
    str
        ``"unspliced"``, ``"spliced"``, ``"exon"``, ``"total"``, ``"genes: NAMES"``, or one sentence.

    Raises
    ------
    Unavailable
        When the layer or the genes that were asked for by name are not in the data.
    """
    layers = ", ".join(transcripts.counts)
    if params.nuclear == "total":
        return "total"
    if params.nuclear in _LAYERS:
        if params.nuclear not in transcripts.counts:
            raise Unavailable(
                f"rna.nuclear={params.nuclear} needs {params.nuclear} counts, but the transcripts have only {layers}; "
                "set rna.nuclear=genes or total"
            )
        return params.nuclear
    # a column of zeros marks nothing: some exporters write one whatever the assay
    if params.nuclear == "auto" and "unspliced" in transcripts.counts and transcripts.counts["unspliced"].any():
        return "unspliced"
    found = find_genes(transcripts, params.genes)
    if len(found):
        return "genes: " + ", ".join(transcripts.genes[i] for i in found)
    names = ", ".join(params.genes) or "an empty list"
    sentence = (
        f"nothing marks nuclei in these transcripts: there are no unspliced counts (layers: {layers}) and none of the "
        f"nuclear genes ({names}); set rna.genes to genes of this organism, or rna.nuclear=total"
    )
    if params.nuclear == "genes":
        raise Unavailable(
            f"rna.nuclear=genes found none of {names} among {len(transcripts.genes):,} genes"
            f"{_like(transcripts, params)}; set rna.genes"
        )
    return sentence


def cautions(transcripts: Transcripts, params: RnaParams) -> tuple[str, ...]:
    """Say what the user should know of the choice of nuclear RNA, one sentence each.

    Parameters
    ----------
    transcripts : Transcripts
        Layers and genes are looked up in them.
    params : RnaParams
        What was asked for.

    Returns
    -------
    tuple of str
        That total or spliced RNA marks cells rather than nuclei; genes of a list of the user's own that are not in
        the data, with names like them.

    Examples
    --------
    >>> at = np.zeros(1, np.int32)
    >>> rna = Transcripts(at, at, at, {"total": np.ones(1, np.uint32)}, ("Malat1",))
    >>> cautions(rna, RnaParams(genes=("malat1", "Malta1")))
    ('rna.genes: Malta1 is not among 1 genes (Malat1?).',)
    """
    found = []
    if params.nuclear in ("total", "spliced", "exon"):
        found.append(
            f"{params.nuclear.capitalize()} RNA fills whole cells: nuclei labelled from it merge. Unspliced RNA or "
            "genes that stay in the nucleus tell them apart."
        )
    uses_genes = nuclear_source(transcripts, params).startswith("genes: ")
    missing = _missing(transcripts, params.genes)
    if uses_genes and missing and params.genes != NUCLEAR_GENES:
        found.append(
            f"rna.genes: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not among "
            f"{len(transcripts.genes):,} genes{_like(transcripts, params)}."
        )
    return tuple(found)


def _missing(transcripts: Transcripts, genes: tuple[str, ...]) -> list[str]:
    there = {name.lower() for name in transcripts.genes}
    return [name for name in genes if name.strip().lower() not in there]


def _like(transcripts: Transcripts, params: RnaParams) -> str:
    """Names in the data that are spelled much like those that are missing, in parentheses."""
    spelled = {name.lower(): name for name in transcripts.genes}
    close = {
        spelled[match]
        for name in _missing(transcripts, params.genes)
        for match in difflib.get_close_matches(name.strip().lower(), spelled, n=2, cutoff=0.75)
    }
    return f" ({', '.join(sorted(close))}?)" if close else ""


def header_number(transcripts: Transcripts, name: str, default: float, positive: bool = False) -> float:
    """Return a number of the GEM header, or `default` where the header does not have it."""
    text = transcripts.header.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or (positive and value <= 0):
        raise InputError(
            f"the header of the GEM says {name}={text}, which is not a {'positive ' * positive}number; mend it"
        )
    return value


def warm() -> None:
    """Compile the kernels of this module."""
    one, counts = _frozen(np.zeros(1), np.int32), _frozen(np.ones(1), np.uint32)
    _accumulate(one, one, one, counts, np.ones(1, np.bool_), 0, 0, np.zeros((1, 1), np.uint32))


def _frozen(column: np.ndarray, dtype: type) -> np.ndarray:
    """Return a read-only view: one type for the compiler, whether the store froze the array or not."""
    view: np.ndarray = np.ascontiguousarray(column, dtype).view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True)
def _accumulate(
    x: np.ndarray,
    y: np.ndarray,
    gene: np.ndarray,
    values: np.ndarray,
    wanted: np.ndarray,
    x0: int,
    y0: int,
    out: np.ndarray,
) -> bool:
    height, width = out.shape
    for i in range(len(x)):
        row, column = y[i] - y0, x[i] - x0
        if wanted[gene[i]] and 0 <= row < height and 0 <= column < width:
            before = out[row, column]
            out[row, column] = before + values[i]
            if out[row, column] < before:
                return False
    return True
