"""Nuclei by any network in ONNX that tells a probability for every pixel, and by our watershed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from segapp.core.engines.model import Model, Nuclei, mean_probability, optional
from segapp.core.engines.options import OnnxParams
from segapp.core.engines.prepare import equalize, percentiles, resize
from segapp.core.label.watershed import NucleiWatershedParams, label_nuclei
from segapp.core.types import InputError, Tick, no_tick


@dataclass(frozen=True, eq=False)
class Chances:
    """Probability of a nucleus at each pixel, (H, W) float32, and what was worked out on the way."""

    scores: np.ndarray
    statistics: Mapping[str, Any]


def fit(stain: np.ndarray, params: OnnxParams, model: Model, tick: Tick = no_tick) -> Chances:
    """Run the network over the stain, tile by tile.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness of a nuclear stain.
    params : OnnxParams
        Everything but the threshold and the smallest distance is looked at.
    model : Model
        ``content`` is the file.
    tick : Tick
        Progress and cancel, by tiles.

    Returns
    -------
    Chances

    Raises
    ------
    Unavailable
        When onnxruntime is not installed.
    InputError
        When the file is no such network: one channel in, one value a pixel out.
    """
    runtime = optional("onnxruntime", "'segapp[onnx]'", "nuclei_network.engine=onnx")
    levels = equalize(stain, params.equalize)
    session = _open(runtime, model)
    size = _side(session, params.tilesize, model)
    image = resize(levels, params.scale).astype(np.float32)
    low, gain = _brightness(image, params)
    context = min(params.context, (size - 1) // 2)
    spans = [_spans(side, size, context) for side in image.shape]
    reach = [max(size - side, 0) for side in image.shape]
    padded = np.pad(image, [(0, more) for more in reach], mode="symmetric") if any(reach) else image
    told: np.ndarray = np.empty(image.shape, np.float32)
    name = session.get_inputs()[0].name
    for done, (rows, columns) in enumerate((rows, columns) for rows in spans[0] for columns in spans[1]):
        tick(done, len(spans[0]) * len(spans[1]))
        start = rows[0], columns[0]
        seen = (padded[start[0] : start[0] + size, start[1] : start[1] + size] - low) * gain
        answer = np.asarray(session.run(None, {name: np.ascontiguousarray(seen[None, None])})[0])
        if answer.shape != (1, 1, size, size):
            raise InputError(
                f"the network {model.name} answers {answer.shape} to (1, 1, {size}, {size}); one value for each pixel "
                "is needed."
            )
        used = slice(rows[1], rows[2]), slice(columns[1], columns[2])
        inner = slice(rows[1] - start[0], rows[2] - start[0]), slice(columns[1] - start[1], columns[2] - start[1])
        told[used] = answer[0, 0][inner]
    squash = params.activation == "sigmoid" or (params.activation == "auto" and (told.min() < 0 or told.max() > 1))
    if squash:
        told = (1 / (1 + np.exp(-np.clip(told, -30, 30)))).astype(np.float32)
    if told.shape != levels.shape:
        told = cv2.resize(told, levels.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return Chances(np.clip(told, 0, 1), {"model": model.name, "sigmoid": bool(squash), "side": size})


def apply(chances: Chances, params: OnnxParams, tick: Tick = no_tick) -> Nuclei:
    """Cut the probabilities at the threshold and separate nuclei that touch; the network is not asked.

    Parameters
    ----------
    chances : Chances
        Of `fit`.
    params : OnnxParams
        ``threshold`` and ``min_distance`` are looked at.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    Nuclei
        The score of a nucleus is the mean over its pixels.
    """
    mask = chances.scores >= params.threshold
    if not mask.any():
        return Nuclei(np.zeros(mask.shape, np.int32), chances.scores, np.zeros(1, np.float32))
    how = NucleiWatershedParams(markers="distance", landscape="distance", min_distance=params.min_distance)
    labels = label_nuclei(chances.scores, mask, how, tick)
    return Nuclei(labels, chances.scores, mean_probability(chances.scores, labels))


def _open(runtime: Any, model: Model) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(model.content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # the runtime has an exception of its own for every kind of damage
        raise InputError(f"{model.name} cannot be read as an ONNX network ({str(error).splitlines()[0]}).") from None
    shape = session.get_inputs()[0].shape
    if len(session.get_inputs()) != 1 or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 1):
        raise InputError(
            f"the network {model.name} takes {[list(item.shape) for item in session.get_inputs()]}; one image of one "
            "channel (1, 1, height, width) is needed."
        )
    return session


def _side(session: Any, tilesize: int, model: Model) -> int:
    """Side of a tile: what the network prescribes, else what is asked for, a multiple of 32."""
    height, width = session.get_inputs()[0].shape[2:]
    fixed = [side for side in (height, width) if isinstance(side, int)]
    if len(set(fixed)) > 1:
        raise InputError(f"the network {model.name} takes images of {height} x {width} px; a square is needed.")
    return fixed[0] if fixed else max(tilesize // 32, 1) * 32


def _spans(side: int, size: int, context: int) -> list[tuple[int, int, int]]:
    """For each tile along a side: where it starts, and from where to where its answer is used."""
    if side <= size:
        return [(0, 0, side)]
    starts = [*range(0, side - size, size - 2 * context), side - size]
    cuts = [0, *(start + (before + size - start) // 2 for before, start in pairwise(starts)), side]
    return [(start, cuts[i], cuts[i + 1]) for i, start in enumerate(starts)]


def _brightness(image: np.ndarray, params: OnnxParams) -> tuple[np.float32, np.float32]:
    if params.normalizer == "off":
        return np.float32(0), np.float32(1)
    if params.normalizer == "percentile":
        low, high = percentiles(image, 1.0, 99.8)
        return np.float32(low), np.float32(1 / (high - low))
    return np.float32(image.mean(dtype=np.float64)), np.float32(1 / max(float(image.std(dtype=np.float64)), 1e-6))
