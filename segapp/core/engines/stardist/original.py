"""StarDist by its original package, which runs on TensorFlow: for those who have it, and for models known by name."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.engines.model import Model, optional
from segapp.core.types import InputError, Unavailable

PUBLISHED = ("2D_versatile_fluo", "2D_paper_dsb2018", "2D_demo")
"""Models for one channel that the package fetches by name."""

_EXTRA = "'segapp[tensorflow]'"


@dataclass(frozen=True, eq=False)
class Told:
    """Answer of the original predictor: prob (h, w), dist (h, w, rays), pixels a value, thresholds."""

    prob: np.ndarray
    dist: np.ndarray
    grid: int
    prob_thresh: float
    nms_thresh: float


def predict(model: Model, image: np.ndarray, tilesize: int) -> Told:
    """Ask the original package.

    Parameters
    ----------
    model : Model
        ``config["path"]`` is the folder of the model; without it, `name` is one of `PUBLISHED`, which is downloaded.
    image : (H, W) float32
        Normalised.
    tilesize : int
        Longest side of a tile in px.

    Returns
    -------
    Told

    Raises
    ------
    Unavailable
        When TensorFlow is not installed, or the model cannot be fetched.
    InputError
        When the model takes several channels.
    """
    what = f"nuclei_network.model={model.name} by the package that published it"
    optional("tensorflow", _EXTRA, what)
    optional("stardist", _EXTRA, what)
    # the package writes what it does to the output, which belongs to whoever called
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = _open(model)
        if network.config.n_channel_in != 1:
            raise InputError(f"the model {model.name} takes {network.config.n_channel_in} channels, a stain has one.")
        parts = tuple(math.ceil(side / tilesize) for side in image.shape)
        prob, dist = network.predict(image, axes="YX", n_tiles=parts, show_tile_progress=False, verbose=0)[:2]
    return Told(
        np.asarray(prob, np.float32),
        np.asarray(dist, np.float32),
        int(network.config.grid[0]),
        float(network.thresholds.prob),
        float(network.thresholds.nms),
    )


def _open(model: Model) -> Any:
    from stardist.models import StarDist2D

    path = model.config.get("path")
    try:
        if path:
            return StarDist2D(None, name=Path(path).name, basedir=str(Path(path).parent))
        found = StarDist2D.from_pretrained(model.name)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"the StarDist model {model.name} cannot be opened ({str(error).splitlines()[0]}); give the folder of a "
            "model, or set nuclei_network.model=segapp-nuclei, which is part of segapp."
        ) from None
    if found is None:
        raise InputError(f"StarDist publishes no model {model.name}; there are {', '.join(PUBLISHED)}.")
    return found
