"""Stain: alignment, masks, networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core import align, engines
from segapp.core import stain as core
from segapp.core.engines import options
from segapp.core.types import InputError
from segapp.cs import _layers as layers
from segapp.cs._face import SLOT, Knobs, build, face, fields
from segapp.io import models

if TYPE_CHECKING:
    from anndata import AnnData

_MODES = {"rigid": "affine", "non-rigid": "tps", "affine": "affine", "tps": "tps"}
_AFFINE = align.ALIGN.option("affine")
_TPS = align.ALIGN.option("tps")


@face(
    docs={
        "stain_layer": "Layer of the stain, which moves.",
        "rna_layer": "Layer of the RNA, which stays: counts, or a mask.",
        "mode": "rigid shifts, turns, scales and shears (a 2 x 3 matrix), non-rigid bends too (thin-plate spline).",
        "transform_layers": "One layer or several to move and replace; nothing moves without it.",
    },
    knobs=(_AFFINE, "downscale k n_epochs"),
    more=(_TPS, "theta orientation meshsize landmarks"),
)
def refine_alignment(
    adata: AnnData,
    stain_layer: str = layers.STAIN,
    rna_layer: str = layers.UNSPLICED,
    mode: str = "rigid",
    knobs: Knobs = SLOT,
    transform_layers: str | list[str] | None = None,
    more: Knobs = SLOT,
) -> None:
    """Find how the stain lies on the RNA, and move layers accordingly.

    The transform is kept in ``uns["spatial"]["alignment"]``: ``theta`` in the units of torch's `affine_grid` on the
    layer as it is stored, for non-rigid also ``src_points`` and ``displacement``, and ``ncc_before`` and
    ``ncc_after``. The result never has a lower normalised cross-correlation than the stain as it lies. A `downscale`
    below 1 is the share of the side that is left: 0.5 is the same as 2.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> from segapp.core.convolve import gauss_blur
    >>> rna = np.zeros((128, 128), np.uint32)
    >>> rna[tuple(np.random.default_rng(0).integers(8, 120, (2, 60)))] = 9
    >>> stain = np.roll(gauss_blur(rna, 9), (3, -2), (0, 1))
    >>> adata = AnnData(layers={"stain": stain, "unspliced": rna})
    >>> refine_alignment(adata, transform_layers="stain")
    >>> adata.uns["spatial"]["alignment"]["ncc_after"] > adata.uns["spatial"]["alignment"]["ncc_before"]
    True
    """
    if mode not in _MODES:
        raise InputError(f"mode={mode} is not known; use 'rigid' (affine) or 'non-rigid' (thin-plate spline)")
    stain, rna = layers.read(adata, stain_layer), layers.read(adata, rna_layer)
    chosen = {"mode": _MODES[mode], **knobs, **more, "downscale": _blocks(knobs["downscale"])}
    if rna.dtype == np.bool_:
        chosen["k"] = 1  # a mask is smooth already
    if chosen["theta"] is not None:
        chosen["theta"] = tuple(np.ravel(chosen["theta"]).tolist())
    known = fields(align.ALIGN.option(_MODES[mode]))
    asked = {name: value for name, value in chosen.items() if name in known or value is not None}
    _, found = align.align_stain(stain, rna, build(align.ALIGN, asked))
    layers.note(adata, "alignment", value=_described(found))
    names = [transform_layers] if isinstance(transform_layers, str) else transform_layers or []
    for name in names:
        values = layers.read(adata, name)
        moves_whole = values.dtype == np.bool_ or name.rsplit("_", 1)[-1] in layers.NEAREST
        layers.write(adata, name, align.warp(values, found, 0 if moves_whole else 1))


@face(knobs=(core.NucleiMaskParams, "otsu_classes otsu_index local_k offset mk"))
def mask_nuclei_from_stain(
    adata: AnnData,
    knobs: Knobs,
    layer: str = layers.STAIN,
    out_layer: str | None = None,
) -> None:
    """Mask the nuclei of a stain: above a multi-Otsu cut and brighter than their surroundings.

    The bool mask goes to ``{layer}_mask``.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> stain = np.full((64, 64), 10, np.uint8)
    >>> stain[20:30, 20:30], stain[:4] = 200, 14
    >>> adata = AnnData(layers={"stain": stain})
    >>> mask_nuclei_from_stain(adata, mk=1)
    >>> int(adata.layers["stain_mask"].sum())
    100
    """
    mask = core.mask_nuclei(layers.read(adata, layer), build(core.NucleiMaskParams, knobs))
    layers.write(adata, out_layer or layers.with_suffix(layer, "mask"), mask)


@face(knobs=(core.CytoplasmParams, "otsu_classes otsu_index mk"))
def mask_cells_from_stain(
    adata: AnnData,
    knobs: Knobs,
    layer: str = layers.STAIN,
    out_layer: str | None = None,
) -> None:
    """Mask the cells of a stain: above a multi-Otsu cut, nuclei and the fainter cytoplasm around them.

    The bool mask goes to ``{layer}_mask``.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"stain": np.repeat(np.array([10, 12, 90, 200], np.uint8), 16).reshape(8, 8)})
    >>> mask_cells_from_stain(adata, otsu_classes=2, mk=1)
    >>> int(adata.layers["stain_mask"].sum())
    32
    """
    mask = core.mask_cells(layers.read(adata, layer), build(core.CytoplasmParams, knobs))
    layers.write(adata, out_layer or layers.with_suffix(layer, "mask"), mask)


@face(
    first=(options.StardistParams, "model tilesize min_overlap context normalizer equalize sanitize"),
    more=(options.StardistParams, "prob_thresh nms_thresh scale pmin pmax predictor"),
)
def stardist(
    adata: AnnData,
    first: Knobs,
    layer: str = layers.STAIN,
    out_layer: str | None = None,
    more: Knobs = SLOT,
) -> None:
    """Find nuclei with StarDist, without TensorFlow.

    The int32 labels go to ``{layer}_labels``, the float32 probability of an object at each pixel to ``{layer}_scores``.
    The default model comes with segapp; a name of a published one needs TensorFlow, which fetches it.

    Raises
    ------
    Unavailable
        When a model needs a package that is not installed; one sentence says what to do.
    """
    _predict(adata, layer, out_layer, build(options.StardistParams, first, more))


@face(
    first=(options.CellposeParams, "model diameter normalize equalize"),
    more=(options.CellposeParams, "flow_threshold cellprob_threshold"),
)
def cellpose(
    adata: AnnData,
    first: Knobs,
    layer: str = layers.STAIN,
    out_layer: str | None = None,
    more: Knobs = SLOT,
) -> None:
    """Find nuclei or cells with Cellpose, version 3 or 4.

    The int32 labels go to ``{layer}_labels``, the float32 probability of an object at each pixel to ``{layer}_scores``.

    Raises
    ------
    Unavailable
        When Cellpose is not installed; one sentence says what to do.
    """
    _predict(adata, layer, out_layer, build(options.CellposeParams, first, more))


@face(first=(options.DeepcellParams, "model equalize"), more=(options.DeepcellParams, "um_per_px"))
def deepcell(
    adata: AnnData,
    first: Knobs,
    layer: str = layers.STAIN,
    out_layer: str | None = None,
    more: Knobs = SLOT,
) -> None:
    """Find nuclei with DeepCell.

    The int32 labels go to ``{layer}_labels``, 1 in nuclei and 0 elsewhere to ``{layer}_scores``.

    Raises
    ------
    Unavailable
        When DeepCell is not installed; one sentence says what to do.
    """
    _predict(adata, layer, out_layer, build(options.DeepcellParams, first, more))


def _predict(adata: AnnData, layer: str, out_layer: str | None, params: engines.NetworkParams) -> None:
    found = engines.predict_nuclei(layers.read(adata, layer), params, models.open_model(params))
    out_layer = out_layer or layers.with_suffix(layer, "labels")
    layers.write(adata, out_layer, found.labels)
    base = out_layer.removesuffix("_labels")
    layers.write(adata, layers.with_suffix(base, "scores"), found.scores)
    layers.note(adata, "probability", out_layer, value=found.probability)


def _blocks(downscale: float | None) -> int:
    if downscale is None:
        return 1
    if not downscale > 0:
        raise InputError(f"downscale={downscale} cannot be used; 2 and 0.5 both halve the side, 1 leaves it")
    return max(round(1 / downscale if downscale < 1 else downscale), 1)


def _described(found: align.Alignment) -> dict[str, Any]:
    """The alignment in the units of the field, in values that every file format holds."""
    to_unit = np.array([[2 / found.shape[1], 2 / found.shape[0]]])
    described: dict[str, Any] = {
        "mode": found.mode,
        "theta": align.matrix_to_theta(np.array(found.matrix), found.shape),
        "orientation": found.orientation,
        "shape": np.array(found.shape),
        "note": found.note,
    }
    if found.points:
        points = np.array(found.points)
        described["src_points"] = (points[:, :2] + 0.5) * to_unit - 1
        described["displacement"] = (points[:, 2:] - points[:, :2]) * to_unit
    for name in ("ncc_before", "ncc_after"):
        if getattr(found, name) is not None:
            described[name] = float(getattr(found, name))
    return described
