"""Nuclei by neural networks: one interface, one file an engine, and ENGINES, which names those that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from segapp.core.params import Params, knob
from segapp.core.types import Tick, Unavailable, no_tick

Predict = Callable[..., tuple[np.ndarray, np.ndarray]]

ENGINES: dict[str, Predict] = {}
"""Engine name -> ``predict(stain, params, tick) -> labels, scores``; empty while no engine comes with segapp."""


class NetworkParams(Params):
    """Find nuclei in the stain with a neural network."""

    engine: Literal["stardist", "cellpose", "deepcell", "onnx"] = knob("stardist", doc="Network that finds the nuclei.")
    equalize: float = knob(
        2.0,
        ge=0.0,
        le=100.0,
        soft=(0.0, 10.0),
        doc="Clip limit of the local contrast equalisation (CLAHE) before the network; 0 leaves the stain as it is. "
        "Higher: faint nuclei come up, noise too.",
    )


def predict_nuclei(stain: np.ndarray, params: NetworkParams, tick: Tick = no_tick) -> tuple[np.ndarray, np.ndarray]:
    """Find nuclei in the stain with the chosen network.

    Parameters
    ----------
    stain : (H, W) uint8, uint16 or float32
        Stain in the frame.
    params : NetworkParams
        Engine and its options.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    labels : (H, W) int32
        Nuclei; 0 is background.
    scores : (H, W) float32
        Probability of an object.

    Raises
    ------
    Unavailable
        When the engine does not come with this version.

    Examples
    --------
    >>> sorted(ENGINES)
    []
    """
    if params.engine not in ENGINES:
        there = (
            f"the engines here are {', '.join(sorted(ENGINES))}" if ENGINES else "this version brings no network yet"
        )
        raise Unavailable(
            f"the network {params.engine} is not available: {there}; set nuclei.source=watershed to find nuclei without"
        )
    return ENGINES[params.engine](stain, params, tick)
