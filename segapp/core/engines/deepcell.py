"""Nuclei by DeepCell (NuclearSegmentation, Mesmer): an optional package on TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.core.engines.model import Found, Model, Nuclei, mean_probability, optional
from segapp.core.engines.options import DeepcellParams
from segapp.core.engines.prepare import equalize
from segapp.core.types import InputError, Tick, no_tick

_USUAL_UM = 0.5

_CLASSES = {"nuclear": "NuclearSegmentation", "mesmer": "Mesmer"}


def fit(stain: np.ndarray, params: DeepcellParams, model: Model, tick: Tick = no_tick) -> Found:
    """Run DeepCell on the stain.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness of a nuclear stain.
    params : DeepcellParams
        Which application, and the size of a pixel.
    model : Model
        ``config["path"]`` is the folder of a saved model, if one is given.
    tick : Tick
        Called before and after; the package cannot be stopped on its way.

    Returns
    -------
    Found
        DeepCell tells no probabilities: the score is 1 in nuclei and 0 elsewhere.

    Raises
    ------
    Unavailable
        When DeepCell is not installed, or its model cannot be fetched.
    InputError
        When there is no such application.

    References
    ----------
    .. [1] Greenwald et al., "Whole-cell segmentation of tissue images with human-level performance using large-scale
       data annotation and deep learning", Nature Biotechnology 40, 2022.
    """
    path = model.config.get("path")
    word = "nuclear" if path else params.model
    if word not in _CLASSES:
        raise InputError(
            f"nuclei_network.model={params.model} is not known to DeepCell; choose one of {', '.join(_CLASSES)}, or "
            "give the folder of a saved model."
        )
    applications = optional("deepcell.applications", "deepcell", "nuclei_network.engine=deepcell")
    levels = equalize(stain, params.equalize).astype(np.float32)
    tick(0, 1)
    application = _open(getattr(applications, _CLASSES[word]), path)
    size = _USUAL_UM if params.um_per_px == "auto" else params.um_per_px
    if word == "mesmer":
        # nuclear and membrane channels; without a membrane, nuclei are asked for
        batch = np.stack([levels, np.zeros_like(levels)], axis=-1)[None]
        masks = application.predict(batch, image_mpp=size, compartment="nuclear")
    else:
        masks = application.predict(levels[None, :, :, None], image_mpp=size)
    tick(1, 1)
    labels = np.asarray(masks)[0, :, :, 0].astype(np.int32)
    scores = (labels > 0).astype(np.float32)
    return Found(Nuclei(labels, scores, mean_probability(scores, labels)), {"model": params.model, "um_per_px": size})


def apply(found: Found, params: DeepcellParams, tick: Tick = no_tick) -> Nuclei:
    """Return what was found: DeepCell makes nuclei in one go."""
    return found.nuclei


def _open(kind: Any, path: str | None) -> Any:
    if not path:
        return kind()
    tensorflow = optional("tensorflow", "deepcell", "nuclei_network.engine=deepcell")
    return kind(model=tensorflow.keras.models.load_model(path))
