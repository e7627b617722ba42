"""Nuclei by neural networks: one interface, one file an engine, and ENGINES, which names them.

An engine takes an opened `Model` (`segapp.io.models.open_model` opens it) and works in two steps: `fit` runs the
network, `apply` makes nuclei of its answer. Parameters that only the second step looks at (thresholds) do not run the
network again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core.engines import cellpose, deepcell, onnx
from segapp.core.engines.model import Model, Nuclei
from segapp.core.engines.options import APPLY_ONLY, NETWORK, NetworkParams
from segapp.core.engines.stardist import predict as stardist
from segapp.core.types import Tick, no_tick

__all__ = ["APPLY_ONLY", "ENGINES", "NETWORK", "Engine", "Model", "NetworkParams", "Nuclei", "predict_nuclei"]


@dataclass(frozen=True)
class Engine:
    """A way of finding nuclei by a network.

    Parameters
    ----------
    name : str
        Value of ``engine``.
    title : str
        Name for people.
    fit : function
        ``fit(stain, params, model, tick)``: the network's answer, in a value with ``statistics`` (JSON values).
    apply : function
        ``apply(answer, params, tick) -> Nuclei``: labels, scores and the probability of each nucleus.
    """

    name: str
    title: str
    fit: Callable[..., Any]
    apply: Callable[..., Nuclei]

    def predict(self, stain: np.ndarray, params: NetworkParams, model: Model, tick: Tick = no_tick) -> Nuclei:
        """Find nuclei; see `predict_nuclei`."""
        return self.apply(self.fit(stain, params, model, tick), params, tick)


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("stardist", "StarDist", stardist.fit, stardist.apply),
        Engine("cellpose", "Cellpose", cellpose.fit, cellpose.apply),
        Engine("deepcell", "DeepCell", deepcell.fit, deepcell.apply),
        Engine("onnx", "ONNX", onnx.fit, onnx.apply),
    )
}
"""Engine name -> engine, in the order in which they are offered."""


def predict_nuclei(stain: np.ndarray, params: NetworkParams, model: Model, tick: Tick = no_tick) -> Nuclei:
    """Find nuclei in the stain with the chosen network.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Stain in the frame.
    params : NetworkParams
        Engine and its options.
    model : Model
        The network; `segapp.io.models.open_model` opens it.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    Nuclei
        ``labels`` (H, W) int32, 0 is background; ``scores`` (H, W) float32, probability of an object at each pixel;
        ``probability`` (n + 1,) float32, of each nucleus.

    Raises
    ------
    Unavailable
        When the engine needs a package that is not installed; the sentence has the command.
    InputError
        When the stain or the model cannot be used.

    Examples
    --------
    >>> list(ENGINES)
    ['stardist', 'cellpose', 'deepcell', 'onnx']
    """
    return ENGINES[params.engine].predict(stain, params, model, tick)
