"""RNA: density bins, scores and masks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from segapp.core import density, score
from segapp.core.params import default_params
from segapp.core.types import InputError
from segapp.cs import _layers as layers
from segapp.cs._face import SLOT, Knobs, build, face, fields

if TYPE_CHECKING:
    from anndata import AnnData

_WARD = density.DENSITY.option("ward")
_FITS, _OWN = ("em", "vi"), ("method", "k")
"""Parts that fit a mixture, and the parameters that the function itself takes."""


@face(
    docs={
        "layer": "Layer of counts, taken as it is named.",
        "background": "Region that is no tissue and becomes 0: None takes the commonest on the border if it is sparse, "
        "False none, (x, y) the one at this row and column of the table.",
    },
    knobs=(_WARD, "binsize k dk distance_threshold"),
    scaling=(_WARD, "scale"),
)
def segment_densities(
    adata: AnnData,
    layer: str,
    knobs: Knobs,
    background: tuple[int, int] | Literal[False] | None = None,
    out_layer: str | None = None,
    scaling: Knobs = SLOT,
) -> None:
    """Divide the tissue into regions of like RNA density.

    The int32 bins go to ``{layer}_bins``: 1, 2, ... from the sparsest to the densest, 0 is background.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> total = np.zeros((40, 60), np.uint32)
    >>> total[:, 20:], total[:, 40:] = 2, 9
    >>> adata = AnnData(layers={"total": total})
    >>> segment_densities(adata, "total", binsize=10, k=1, dk=1, distance_threshold=0.1, background=(0, 0))
    >>> adata.layers["total_bins"][0, [0, 20, 40]].tolist()
    [0, 1, 2]
    """
    word = "off" if background is False else "auto"
    if background is not None and background is not False:
        # the table has rows = x, so its (x, y) is the (row, column) of the array
        row, column = background
        word = f"{column},{row}"
    params = build(_WARD, knobs, scaling, {"background": word})
    bins, _ = density.segment_density(layers.read(adata, layer), params)
    layers.write(adata, out_layer or layers.with_suffix(layer, "bins"), bins)


@face(
    docs={
        "layer": "Layer of the bins: ``{layer}_bins``, else the name itself.",
        "mapping": "From bin to bin, all at once; 0 makes background.",
        "out_layer": "Where the result goes; the same layer without it.",
    }
)
def merge_densities(
    adata: AnnData, layer: str, mapping: Mapping[int, int] | None = None, out_layer: str | None = None
) -> None:
    """Join density bins; without a mapping nothing changes, a bin that is not there is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> adata = AnnData(layers={"X_bins": np.array([[1, 2, 3]])})
    >>> merge_densities(adata, "X", {3: 2})
    >>> adata.layers["X_bins"].tolist()
    [[1, 2, 2]]
    """
    name = layers.find(adata, layer, "bins")
    layers.write(adata, out_layer or name, density.merge_bins(layers.read(adata, name), mapping or {}))


@face(
    docs={
        "layer": "Layer of counts, taken as it is named.",
        "moran_kwargs": "For moran: k, p_threshold, statistic.",
        "em_kwargs": "For EM methods: max_iter, precision, weighting, seed, downsample (pixels, or a share below 1), "
        "and params, the start: ``{'w': (a, b), 'mu': (a, b), 'var': (a, b)}``, background first, or such by bin.",
        "vi_kwargs": "For VI methods: n_epochs, zero_inflated, params.",
        "bp_kwargs": "For BP methods: k, square, p, q, precision, max_iter.",
        "use_knee": "Cut at the knee of the scores; `threshold` is left out.",
        "certain_layer": "Layer of a mask or labels of pixels that are occupied whatever their counts.",
        "scores_layer": "Where scores go; ``{layer}_scores`` without it.",
        "mask_layer": "Where the mask goes; ``{layer}_mask`` without it.",
    },
    knobs=(score.METHODS, "k method"),
    cut=(score.ScoreMaskParams, "threshold"),
    smoothing=(score.ScoreMaskParams, "mk"),
)
def score_and_mask_pixels(
    adata: AnnData,
    layer: str,
    knobs: Knobs,
    moran_kwargs: Knobs | None = None,
    em_kwargs: Knobs | None = None,
    vi_kwargs: Knobs | None = None,
    bp_kwargs: Knobs | None = None,
    cut: Knobs = SLOT,
    use_knee: bool = False,
    smoothing: Knobs = SLOT,
    bins_layer: str | Literal[False] | None = None,
    certain_layer: str | None = None,
    scores_layer: str | None = None,
    mask_layer: str | None = None,
) -> None:
    """Score each pixel by how surely it is occupied, and mask those that are.

    The float32 scores go to ``{layer}_scores``, the bool mask to ``{layer}_mask``.

    Notes
    -----
    Method names may be in upper or lower case. EM uses every pixel unless `downsample` is given. Options of a method
    that does not run are left out, with a warning.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(0.2, (64, 64))
    >>> counts[20:40, 20:40] += rng.poisson(2, (20, 20))
    >>> adata = AnnData(layers={"unspliced": counts})
    >>> score_and_mask_pixels(adata, "unspliced", k=5, method="em+bp", bp_kwargs={"p": 0.7, "q": 0.3})
    >>> adata.layers["unspliced_scores"].dtype.name, bool(adata.layers["unspliced_mask"][30, 30])
    ('float32', True)
    """
    counts = layers.read(adata, layer)
    bins = None
    if bins_layer is not False and (bins_layer or layers.with_suffix(layer, "bins") in adata.layers):
        bins = layers.read(adata, bins_layer or layer, "bins")
    certain = None if certain_layer is None else layers.read_mask(adata, certain_layer)
    given = {"moran": moran_kwargs, "em": em_kwargs, "vi": vi_kwargs, "bp": bp_kwargs}
    method = knobs["method"] if knobs["method"] is not None else default_params(score.METHODS).method  # type: ignore[attr-defined]
    options = _options(str(method), given, counts.size)
    params = build(score.METHODS, knobs, options)
    cut = {"threshold": "knee"} if use_knee else cut
    rule = build(score.ScoreMaskParams, cut, smoothing)
    info = score.fit_score(counts, bins, params)
    scores = score.apply_score(counts, bins, certain, params, info)
    mask, _ = score.mask_scores(scores, info, certain, rule)
    layers.write(adata, scores_layer or layers.with_suffix(layer, "scores"), scores)
    layers.write(adata, mask_layer or layers.with_suffix(layer, "mask"), mask)


def _options(method: str, given: Mapping[str, Knobs | None], size: int) -> dict[str, Any]:
    """Options of the parts of a method, by the names of the declaration: ``bp_kwargs={"p": 0.7}`` is ``bp_p``."""
    known = fields(score.METHODS)
    used = score.METHODS.option(method).model_fields
    options: dict[str, Any] = {}
    for part, values in given.items():
        for name, value in (values or {}).items():
            if name == "downsample":
                name, value = "sample", _sample(value, size)
            elif name == "params" and part in _FITS:
                name, value = "start", _start(value)
            field = f"{part}_{name}"
            if field not in known and part in _FITS and name not in _OWN:
                field = name  # options that every fit has bear no prefix
            if field not in known:
                names = [item.removeprefix(f"{part}_") for item in sorted(known) if item.startswith(f"{part}_")]
                raise InputError(f"{part}_kwargs has no {name}; it takes {', '.join(names)}")
            if field in used:
                options[field] = value
            else:
                warnings.warn(f"{part}_kwargs[{name!r}] has no effect with method {method}", UserWarning, stacklevel=4)
    return options


def _start(given: Mapping[Any, Any] | None) -> tuple[tuple[float, ...], ...]:
    """Rows of `start`: one for every bin that is named, or one for all."""
    by_bin = {0: given} if given and {"w", "mu", "var"} & set(given) else given or {}
    rows = []
    for bin_, values in by_bin.items():
        try:
            rows.append((int(bin_), *(float(number) for name in ("w", "mu", "var") for number in values[name])))
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"params={given!r} cannot be read; pass w, mu and var, a pair of numbers each, or such by density bin"
            ) from None
    return tuple(rows)


def _sample(value: Any, size: int) -> Any:
    """Pixels to draw: a share of the image below 1, else their number; 1.0 is all of them."""
    if value is None or value == 1.0:
        return "off"
    return max(round(value * size), 100) if 0 < value < 1 else value
