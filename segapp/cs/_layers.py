"""Layers of an AnnData of pixels by the names that the field gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from segapp.core.types import InputError, Unavailable

if TYPE_CHECKING:
    from anndata import AnnData

X = "X"
STAIN, UNSPLICED = "stain", "unspliced"
NEAREST = ("mask", "markers", "bins", "labels", "expanded", "augmented", "selection", "boundary")
"""Suffixes of layers whose values are names, not amounts: they move with nearest neighbour."""


def with_suffix(layer: str, suffix: str) -> str:
    """Return the name of a layer derived from another: ``stain`` and ``mask`` make ``stain_mask``."""
    return f"{layer}{suffix}" if layer.endswith("_") else f"{layer}_{suffix}" if layer else suffix


def find(adata: AnnData, layer: str, *suffixes: str) -> str:
    """Return the layer that is meant: the name with the first suffix that there is, else the name itself.

    Parameters
    ----------
    adata : AnnData
        Table of pixels.
    layer : str
        Name as given.
    *suffixes : str
        Suffixes to try, in order.

    Returns
    -------
    str

    Raises
    ------
    Unavailable
        When neither is there; the layers that are there are named.
    InputError
        When `adata` is no table of pixels.

    Examples
    --------
    >>> from anndata import AnnData
    >>> adata = AnnData(np.zeros((2, 3), np.float32), layers={"stain_mask": np.ones((2, 3), bool)})
    >>> find(adata, "stain", "mask"), find(adata, "stain_mask", "mask"), find(adata, "X")
    ('stain_mask', 'stain_mask', 'X')
    """
    _check(adata)
    names = [with_suffix(layer, suffix) for suffix in suffixes]
    for name in [*names, layer]:
        if name in adata.layers or (name == X and adata.X is not None):
            return name
    tried = " nor ".join(repr(name) for name in [*names, layer])
    there = ", ".join([X, *adata.layers]) if adata.X is not None else ", ".join(adata.layers)
    raise Unavailable(f"there is no layer {tried}; the layers here are {there}: run the step that makes it first")


def read(adata: AnnData, layer: str, *suffixes: str) -> np.ndarray:
    """Return the values of a layer as a dense array, rows = x and columns = y; see `find`."""
    name = find(adata, layer, *suffixes)
    values: Any = adata.X if name == X else adata.layers[name]
    return values.toarray() if sparse.issparse(values) else np.asarray(values)


def read_mask(adata: AnnData, layer: str, *suffixes: str) -> np.ndarray:
    """Return a layer as True where it is not 0: a mask, or the pixels of labels."""
    return read(adata, layer, *suffixes) != 0


def write(adata: AnnData, layer: str, values: np.ndarray) -> None:
    """Replace a layer with its dtype, or make it.

    Parameters
    ----------
    adata : AnnData
        Table of pixels.
    layer : str
        Name.
    values : (X, Y) array
        The new values; nothing of the old layer stays.
    """
    if layer == X:
        adata.X = values
    else:
        adata.layers[layer] = values


def note(adata: AnnData, *path: str, value: Any) -> None:
    """Keep something beside the layers, at ``uns["spatial"][...]``; what is there otherwise stays."""
    place = adata.uns.setdefault("spatial", {})
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value


def scale(adata: AnnData) -> float:
    """Return the length of one pixel in the unit of the technology, 1 where it is not known."""
    spatial = adata.uns.get("spatial", {})
    return float(spatial.get("scale", 1.0)) * float(spatial.get("binsize", 1))


def bounds(adata: AnnData) -> tuple[int, int]:
    """Return the x and y (in pixels of the table) of the first row and column."""
    _check(adata)
    try:
        return int(adata.obs_names[0]), int(adata.var_names[0])
    except ValueError:
        return 0, 0


def _check(adata: Any) -> None:
    if not hasattr(adata, "layers") or not hasattr(adata, "obs_names"):
        raise InputError(f"a {type(adata).__name__} was given, but an AnnData of pixels is needed; see read_bgi_agg")
    if adata.uns.get("__type") == "UMI":
        raise InputError("this AnnData holds cells x genes, but pixels are needed: pass what read_bgi_agg gave")
