"""Nuclei by Cellpose, versions 3 and 4: an optional package."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.core.engines.model import Found, Model, Nuclei, mean_probability, optional
from segapp.core.engines.options import CellposeParams
from segapp.core.engines.prepare import equalize
from segapp.core.types import InputError, Tick, no_tick

_EXTRA = "'segapp[cellpose]'"


def fit(stain: np.ndarray, params: CellposeParams, model: Model, tick: Tick = no_tick) -> Found:
    """Run Cellpose on the stain.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness of a nuclear stain.
    params : CellposeParams
        Diameter, thresholds, contrast.
    model : Model
        ``config["path"]`` is the file of the network, else `name` is that of a published one.
    tick : Tick
        Called before and after; the package cannot be stopped on its way.

    Returns
    -------
    Found
        The score of a pixel is the probability that Cellpose tells, that of a nucleus its mean.

    Raises
    ------
    Unavailable
        When Cellpose is not installed.
    InputError
        When Cellpose refuses the model or the image.

    References
    ----------
    .. [1] Stringer et al., "Cellpose: a generalist algorithm for cellular segmentation", Nature Methods 18, 2021.
    .. [2] Pachitariu et al., "Cellpose-SAM: superhuman generalization for cellular segmentation", bioRxiv, 2025.
    """
    models = optional("cellpose.models", _EXTRA, "nuclei_network.engine=cellpose")
    levels = equalize(stain, params.equalize)
    tick(0, 1)
    asked: dict[str, Any] = {
        "diameter": None if params.diameter == "auto" else params.diameter,
        "normalize": params.normalize,
    }
    for name in ("flow_threshold", "cellprob_threshold"):
        value = getattr(params, name)
        if value != "auto":
            asked[name] = value
    try:
        network, takes_channels = _open(models, params.model, model.config.get("path"))
        if takes_channels:
            asked["channels"] = [0, 0]
        # masks, flows, styles, and of one of the classes diameters
        masks, flows, *rest = network.eval(levels, **asked)
    except (ValueError, FileNotFoundError, KeyError, IndexError) as error:
        raise InputError(f"Cellpose cannot use the model {params.model} on this stain ({_first(error)}).") from None
    tick(1, 1)
    labels = np.asarray(masks).astype(np.int32)
    odds = np.asarray(flows[2], np.float32).reshape(labels.shape)
    scores = (1 / (1 + np.exp(-np.clip(odds, -30, 30)))).astype(np.float32)
    used: dict[str, Any] = {"model": params.model}
    if len(rest) > 1:
        used["diameter"] = float(np.ravel(rest[1])[0])
    return Found(Nuclei(labels, scores, mean_probability(scores, labels)), used)


def apply(found: Found, params: CellposeParams, tick: Tick = no_tick) -> Nuclei:
    """Return what was found: Cellpose makes nuclei and thresholds in one go."""
    return found.nuclei


def _open(models: Any, name: str, path: str | None) -> tuple[Any, bool]:
    """The network, and whether its version wants to be told which channels to use."""
    if not hasattr(models, "Cellpose"):
        # version 4 has one class and one network of its own
        return models.CellposeModel(gpu=_on_card(), **({"pretrained_model": path} if path else _named(name))), False
    if path:
        return models.CellposeModel(gpu=_on_card(), pretrained_model=path), True
    # this class estimates diameters too
    return models.Cellpose(gpu=_on_card(), model_type=name), True


def _named(name: str) -> dict[str, str]:
    return {} if name in ("nuclei", "cyto", "cyto2", "cyto3") else {"pretrained_model": name}


def _on_card() -> bool:
    import torch

    return torch.cuda.is_available()


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
