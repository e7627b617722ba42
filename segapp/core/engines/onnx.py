"""Nuclei by any network in ONNX that tells a probability for every pixel, and by our watershed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core.engines.model import Model, Nuclei, mean_probability, once_a_model, optional
from segapp.core.engines.options import OnnxParams
from segapp.core.engines.prepare import equalize, equalize_window, moments_of, percentiles, percentiles_of
from segapp.core.engines.resample import STEPS, resize, restore, sixteenths
from segapp.core.label.watershed import NucleiWatershedParams, label_nuclei
from segapp.core.types import InputError, Tick, no_tick

_SHARES = (1.0, 99.8)
"""Percentiles that are 0 and 1 to the network with ``normalizer=percentile``."""


@dataclass(frozen=True, eq=False)
class Chances:
    """Probability of a nucleus at each pixel, (H, W) float32, and what was worked out on the way."""

    scores: np.ndarray
    statistics: Mapping[str, Any]


def fit(
    stain: np.ndarray,
    params: OnnxParams,
    model: Model,
    tick: Tick = no_tick,
    frozen: Mapping[str, Any] | None = None,
    at: tuple[int, int] = (0, 0),
) -> Chances:
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
    frozen : mapping, optional
        ``black``, ``gain`` and ``sigmoid`` of a whole stain, where `stain` is a window of it, and its ``contrast``.
    at : (int, int)
        Row and column of the window in the whole.

    Returns
    -------
    Chances

    Raises
    ------
    Unavailable
        When onnxruntime is not installed.
    InputError
        When the file is no such network: one channel in, one value a pixel out.

    Notes
    -----
    Tiles lie on one lattice from the corner of the whole stain: a pixel is told by the same tile in every window that
    holds this.
    """
    session = _open(model)
    if frozen is None:
        levels = equalize(stain, params.equalize)
        black, gain = brightness(levels, params)
    else:
        levels = equalize_window(stain, frozen, at)
        black, gain = float(frozen["black"]), float(frozen["gain"])
    told = _ask(session, levels, params, model, (black, gain), at, tick)
    squash = _leaves(told, params) if frozen is None else bool(frozen["sigmoid"])
    if squash:
        told = (1 / (1 + np.exp(-np.clip(told, -30, 30)))).astype(np.float32)
    told = restore(told, params.scale, levels.shape)
    side = _side(session, params.tilesize, model)
    return Chances(np.clip(told, 0, 1), {"model": model.name, "sigmoid": bool(squash), "side": side})


def brightness(levels: np.ndarray, params: OnnxParams) -> tuple[float, float]:
    """Return the brightness that is 0 to the network, and what the rest is multiplied by.

    Examples
    --------
    >>> brightness(np.array([[2, 4]], np.uint8), OnnxParams())
    (3.0, 1.0)
    """
    if levels.dtype in (np.uint8, np.uint16):
        return brightness_of(np.bincount(levels.ravel(), minlength=2), params)
    if params.normalizer == "off":
        return 0.0, 1.0
    if params.normalizer == "percentile":
        low, high = percentiles(levels, *_SHARES)
        return low, 1 / (high - low)
    return float(levels.mean(dtype=np.float64)), 1 / max(float(levels.std(dtype=np.float64)), 1e-6)


def brightness_of(counts: np.ndarray, params: OnnxParams) -> tuple[float, float]:
    """Return the same two from the number of pixels of each brightness 0, 1, 2, ..."""
    if params.normalizer == "off":
        return 0.0, 1.0
    if params.normalizer == "percentile":
        low, high = percentiles_of(counts, *_SHARES)
        return low, 1 / (high - low)
    mean, deviation = moments_of(counts)
    return mean, 1 / max(deviation, 1e-6)


def leaves(levels: np.ndarray, params: OnnxParams, model: Model, scaled: tuple[float, float]) -> bool:
    """Return whether the network answers beyond 0 to 1, so that a sigmoid makes probabilities of its answers.

    Parameters
    ----------
    levels : (H, W) array
        A part of a stain, equalised where the whole is.
    params, model
        As for `fit`.
    scaled : (float, float)
        Of `brightness`.
    """
    return _leaves(_ask(_open(model), levels, params, model, scaled, (0, 0), no_tick), params)


def reach(params: OnnxParams, model: Model) -> int:
    """Return how many px of the stain lie at most between a pixel and the end of the tile that tells it."""
    side = _side(_open(model), params.tilesize, model)
    return math.ceil((side - _context(params, side)) * STEPS / sixteenths(params.scale)) + 2


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


def _ask(
    session: Any,
    levels: np.ndarray,
    params: OnnxParams,
    model: Model,
    scaled: tuple[float, float],
    at: tuple[int, int],
    tick: Tick,
) -> np.ndarray:
    """What the network answers to each pixel of the scaled stain."""
    size = _side(session, params.tilesize, model)
    image = resize(levels, params.scale).astype(np.float32)
    low, gain = (np.float32(value) for value in scaled)
    context = _context(params, size)
    first = [place * sixteenths(params.scale) // STEPS for place in at]
    spans = [_spans(start, start + side, size, context) for start, side in zip(first, image.shape, strict=True)]
    told: np.ndarray = np.empty(image.shape, np.float32)
    name = session.get_inputs()[0].name
    for done, (rows, columns) in enumerate((rows, columns) for rows in spans[0] for columns in spans[1]):
        tick(done, len(spans[0]) * len(spans[1]))
        seen = image[_mirrored(rows[0] - first[0], size, image.shape[0])]
        seen = (seen[:, _mirrored(columns[0] - first[1], size, image.shape[1])] - low) * gain
        answer = np.asarray(session.run(None, {name: np.ascontiguousarray(seen[None, None])})[0])
        if answer.shape != (1, 1, size, size):
            raise InputError(
                f"the network {model.name} answers {answer.shape} to (1, 1, {size}, {size}); one value for each pixel "
                "is needed."
            )
        used = tuple(slice(a - start, b - start) for (_, a, b), start in zip((rows, columns), first, strict=True))
        inner = tuple(slice(a - start, b - start) for start, a, b in (rows, columns))
        told[used] = answer[0, 0][inner]
    return told


def _leaves(told: np.ndarray, params: OnnxParams) -> bool:
    return params.activation == "sigmoid" or (params.activation == "auto" and bool(told.min() < 0 or told.max() > 1))


def _context(params: OnnxParams, size: int) -> int:
    return min(params.context, (size - 1) // 2)


def _mirrored(start: int, size: int, side: int) -> np.ndarray:
    """Return the rows of an image of `side` that a tile sees from `start`; beyond its ends, it is mirrored."""
    at = np.arange(start, start + size) % (2 * side)
    return np.where(at < side, at, 2 * side - 1 - at)


@once_a_model
def _open(model: Model) -> Any:
    """Return the network of a model."""
    runtime = optional("onnxruntime", "'segapp[onnx]'", "nuclei_network.engine=onnx")
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


def _spans(first: int, last: int, size: int, context: int) -> list[tuple[int, int, int]]:
    """For each tile along a side of a window: where it starts, and from where to where its answer is used.

    All in px of the whole: tile n starts at n * (size - 2 * context), and the first to see `last` is used up to it.
    """
    step = size - 2 * context
    end = max(-(-(last - size) // step), 0)
    begin = min(max((first - context) // step, 0), end)
    cuts = [first, *(n * step + context for n in range(begin + 1, end + 1)), last]
    return [(n * step, cuts[n - begin], cuts[n - begin + 1]) for n in range(begin, end + 1)]
