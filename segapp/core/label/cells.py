"""Cells from nuclei and a region: split components, bounded expansion, watershed, or the nuclei themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from segapp.core.checks import check_counts, check_labels, check_mask, check_same_shape
from segapp.core.convolve import gauss_blur
from segapp.core.label.components import SplitParams, label_components, limit
from segapp.core.label.expand import grow
from segapp.core.label.watershed import watershed
from segapp.core.params import Params, Variants, knob
from segapp.core.types import InputError, Tick, Unavailable, no_tick


class _Method(Params):
    method: str = knob("", doc="How cells are made.")


class _Region(_Method):
    region: Literal["rna", "stain", "both"] = knob(
        "rna",
        doc="Where cells may be: rna = the mask of total RNA, stain = the cytoplasm mask of the stain, both = where "
        "either shows a cell.",
    )


class ComponentsCells(SplitParams, _Region):
    """Label the components of the region: those with nuclei grow from them, large ones without are split."""

    method: Literal["components"] = knob(
        "components", doc="components, expand, watershed or nuclei: how nuclei and region become cells."
    )


class ExpandCells(_Region):
    """Grow every nucleus by a distance within the region, up to an area."""

    method: Literal["expand"] = knob(
        "expand", doc="components, expand, watershed or nuclei: how nuclei and region become cells."
    )
    distance: int = knob(
        5, unit="px", ge=0, le=500, soft=(0, 40), doc="How far nuclei grow into the region. Higher: larger cells."
    )
    max_area: int | Literal["off"] = knob(
        400,
        unit="px²",
        ge=0,
        le=1_000_000,
        soft=(50, 4000),
        step=10,
        doc="Largest area that a cell grows to; off: no limit. Higher: larger cells.",
    )


class WatershedCells(_Region):
    """Flood the whole region from the nuclei; cells meet where there is least RNA."""

    method: Literal["watershed"] = knob(
        "watershed", doc="components, expand, watershed or nuclei: how nuclei and region become cells."
    )
    k: int = knob(
        11,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 31),
        doc="Diameter of the blur of total RNA that is flooded. Larger: smoother borders.",
    )


class NucleiCells(_Method):
    """Count the nuclei alone, without cytoplasm."""

    method: Literal["nuclei"] = knob(
        "nuclei", doc="components, expand, watershed or nuclei: how nuclei and region become cells."
    )


CELLS = Variants("method", (ComponentsCells, ExpandCells, WatershedCells, NucleiCells), "components")
"""Ways to make cells."""


@dataclass(frozen=True, eq=False)
class CellLabels:
    """Cells, and the pixels of the region that belong to none.

    Parameters
    ----------
    labels : (H, W) int32
        Cells, 0 is background. A cell has the id of its nucleus and holds all its pixels; cells without a nucleus
        have ids above those of the nuclei.
    unassigned : mapping of str to int
        Pixels of the region without a cell, by reason: ``"distance"`` is too far from every nucleus or piece,
        ``"area"`` is within reach of cells that are at their largest area.
    """

    labels: np.ndarray
    unassigned: Mapping[str, int] = field(default_factory=dict)


def label_cells(
    nuclei: np.ndarray | None,
    region_mask: np.ndarray | None,
    total_counts: np.ndarray | None,
    params: Params,
    tick: Tick = no_tick,
) -> CellLabels:
    """Make cells from nuclei and the region that cells may fill.

    Parameters
    ----------
    nuclei : (H, W) integer array or None
        Nuclei, 0 is background; None only for the method components.
    region_mask : (H, W) bool array or None
        Where cells may be; pixels of nuclei always are. Not used, and may be None, for the method nuclei.
    total_counts : (H, W) counts or None
        UMIs a pixel; used by the method watershed.
    params : Params
        One of `CELLS`.
    tick : Tick
        Reports progress and cancels.

    Returns
    -------
    CellLabels
        No nucleus is lost, changed in id, or cut.

    Raises
    ------
    Unavailable
        When the method needs nuclei or a region and there are none.
    InputError
        When an array is not what is needed, or shapes differ.

    Examples
    --------
    >>> nuclei = np.array([[0, 0, 5, 0, 0, 0, 0]])
    >>> region = np.array([[0, 1, 1, 1, 1, 0, 1]], bool)
    >>> label_cells(nuclei, region, None, ExpandCells(distance=1)).labels.tolist()
    [[0, 5, 5, 5, 0, 0, 0]]
    >>> label_cells(nuclei, region, None, ComponentsCells()).labels.tolist()
    [[0, 5, 5, 5, 5, 0, 6]]
    """
    if not isinstance(params, ComponentsCells | ExpandCells | WatershedCells | NucleiCells):
        raise InputError(
            f"{type(params).__name__} is not a way to make cells; choose one of {', '.join(CELLS.names())}."
        )
    if nuclei is None and not isinstance(params, ComponentsCells):
        raise Unavailable(
            f"cells.method={params.method} needs nuclei and there are none; choose a source of nuclei, or "
            "cells.method=components."
        )
    kernels = None if nuclei is None else check_labels(nuclei, "nuclei")
    if isinstance(params, NucleiCells):
        assert kernels is not None
        return CellLabels(kernels.copy(), {"distance": 0, "area": 0})
    if region_mask is None:
        raise Unavailable(
            f"cells.method={params.method} needs a mask of cells; choose where cells may be in cells.region."
        )
    region = check_mask(region_mask, "region_mask")
    check_same_shape({"region_mask": region, "nuclei": kernels, "total_counts": total_counts})
    if kernels is not None:
        region = region | (kernels > 0)

    if isinstance(params, ComponentsCells):
        made = label_components(region, **params.options(), seeds=kernels, tick=tick)
        return CellLabels(made.labels, {"distance": made.unassigned_distance, "area": made.unassigned_area})
    assert kernels is not None
    if isinstance(params, ExpandCells):
        cap = limit(params.max_area)
        grown = grow(kernels, distance=params.distance, max_area=cap, mask=region, tick=tick)
        return CellLabels(grown.labels, {"distance": grown.too_far, "area": grown.too_large})
    if total_counts is None:
        raise Unavailable(
            "cells.method=watershed needs the counts of total RNA; choose cells.method=expand without them."
        )
    blurred = gauss_blur(check_counts(total_counts, "total_counts"), params.k)
    flooded = watershed(-blurred, kernels, region, tick)
    return CellLabels(flooded, {"distance": int((region & (flooded == 0)).sum()), "area": 0})


def join_regions(rna: np.ndarray | None, stain: np.ndarray | None) -> np.ndarray | None:
    """Return where cells may be: the one mask that is given, or where either of two shows a cell.

    Parameters
    ----------
    rna, stain : (H, W) bool array or None
        Mask of total RNA, cytoplasm mask of the stain.

    Returns
    -------
    (H, W) bool or None
        None when neither is given.

    Raises
    ------
    InputError
        When a mask is not one, or the shapes differ.

    Examples
    --------
    >>> join_regions(np.array([[True, False]]), np.array([[False, False]])).tolist()
    [[True, False]]
    """
    masks = [check_mask(mask, name) for name, mask in (("rna", rna), ("stain", stain)) if mask is not None]
    if len(masks) == 2:
        check_same_shape({"rna": masks[0], "stain": masks[1]})
        return masks[0] | masks[1]
    return masks[0] if masks else None
