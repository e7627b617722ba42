"""Nuclei by a StarDist network: what it answers is kept sparsely, so that thresholds move without running it again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core._bands import side_by_side, threads
from segapp.core.engines.model import Model, Nuclei
from segapp.core.engines.options import FLOOR, StardistParams
from segapp.core.engines.prepare import equalize, equalize_window, percentiles
from segapp.core.engines.resample import STEPS, place, resize, sixteenths, to_sixteenth
from segapp.core.engines.stardist.network import Progress, convolutions, network, one_thread, reach
from segapp.core.engines.stardist.polygons import largest_pieces, render, suppress
from segapp.core.engines.tiles import Tile, tiles, window
from segapp.core.types import Tick, no_tick

_LEAST = np.float32(1e-3)
"""Shortest distance of a polygon, as the original package sets it."""

Ask = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Normalised (H, W) float32 -> prob (H / grid, W / grid) and dist (rays, H / grid, W / grid)."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a network answered, without what no threshold can bring back.

    Parameters
    ----------
    points : (n, 2) int32
        Middles (row, column) of polygons in px of the scaled image.
    prob : (n,) float32
        Probability of each, `FLOOR` or more.
    dist : (n, rays) float32
        Distances to the edge in px of the scaled image.
    chance : (h, w) float32
        Probability of an object at every `grid`-th px of the scaled image.
    grid : int
        See `chance`.
    shape : (int, int)
        Height and width of the stain.
    scale : float
        Side of the scaled image over that of the stain, a multiple of 1/16.
    prob_thresh, nms_thresh : float
        Thresholds that the network came with.
    statistics : mapping
        Scale, brightness and thresholds that were used, as JSON values.
    """

    points: np.ndarray
    prob: np.ndarray
    dist: np.ndarray
    chance: np.ndarray
    grid: int
    shape: tuple[int, int]
    scale: float
    prob_thresh: float
    nms_thresh: float
    statistics: Mapping[str, Any]


def fit(
    stain: np.ndarray,
    params: StardistParams,
    model: Model,
    tick: Tick = no_tick,
    frozen: Mapping[str, Any] | None = None,
    at: tuple[int, int] = (0, 0),
) -> Candidates:
    """Run the network over the stain, tile by tile.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness of a nuclear stain.
    params : StardistParams
        Everything but the thresholds is looked at.
    model : Model
        The network, as `segapp.io.models.open_model` gives it.
    tick : Tick
        Progress and cancel.
    frozen : mapping, optional
        ``scale``, ``black`` and ``white`` of a whole stain, where `stain` is a window of it; see `find_scale` and
        `percents`; and its ``contrast``, see `segapp.core.engines.prepare.equalize_window`.
    at : (int, int)
        Row and column of the window in the whole.

    Returns
    -------
    Candidates

    Raises
    ------
    InputError
        When the stain or the model cannot be used.
    Unavailable
        When the model needs a package that is not installed.

    Notes
    -----
    The tiles overlap by twice as far as the network looks and start at multiples of its coarsest step: their answers
    are those for the whole image, to the last bit, since each is worked out on one thread. Tiles are worked out side by
    side. Memory grows with a tile, and with the number of pixels that may be the middle of a nucleus: about 150 bytes
    for each.
    """
    levels = equalize(stain, params.equalize) if frozen is None else equalize_window(stain, frozen, at)
    if model.kind == "package":
        return _original(levels, params, model, tick)
    ask, known = _ask(model)
    if frozen is None:
        low, high = _brightness(levels, params, model)
        scale = _scale(levels, params, model, (low, high), ask, known["multiple"], tick)
    else:
        low, high, scale = (float(frozen[name]) for name in ("black", "white", "scale"))
    image = resize(levels, scale)
    gain = np.float32(1 / (high - low))
    step, multiple = known["grid"], known["multiple"]
    context = known["reach"] if params.context == "auto" else params.context
    overlap = 0 if params.min_overlap == "auto" else params.min_overlap
    cut = tiles(image.shape, params.tilesize, max(context, -(-overlap // 2)), multiple, threads())
    rows, columns = (-(-side // step) for side in image.shape)
    chance = np.zeros((rows, columns), np.float32)

    progress = Progress(tick, len(cut) * len(convolutions(known["module"])))

    def answer(tile: Tile) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        seen = window(image, tile, multiple).astype(np.float32)
        with progress.here():
            some, far = ask((seen - np.float32(low)) * gain)
        inner = tile.inner(step)
        top, left = tile.rows.start // step, tile.columns.start // step
        # beyond the end of the image there is only its mirror
        part = some[inner][: rows - top, : columns - left]
        chance[top : top + part.shape[0], left : left + part.shape[1]] = part
        found = np.nonzero(part >= FLOOR)
        points = ((np.stack(found, axis=1) + np.array([top, left])) * step).astype(np.int32)
        dist = far[:, inner[0], inner[1]][:, found[0], found[1]].T.astype(np.float32)
        return points, _rounded(part[found]), dist

    found = side_by_side([functools.partial(answer, tile) for tile in cut])
    tick(progress.total, progress.total)
    points, prob, dist = (np.concatenate(part) for part in zip(*found, strict=True))
    return Candidates(
        points=points,
        prob=prob,
        dist=np.maximum(dist, _LEAST),
        chance=chance,
        grid=step,
        shape=levels.shape,
        scale=scale,
        prob_thresh=float(model.config.get("prob_thresh", 0.5)),
        nms_thresh=float(model.config.get("nms_thresh", 0.4)),
        statistics={"model": model.name, "scale": round(scale, 4), "black": float(low), "white": float(high)},
    )


def percents(params: StardistParams, model: Model) -> tuple[float, float] | None:
    """Return the percentiles of a stain that are 0 and 1 to the network; None where it takes brightness as it is."""
    if params.normalizer == "off":
        return None
    low, high = model.config.get("percentiles", (1.0, 99.8))
    return low if params.pmin == "auto" else params.pmin, high if params.pmax == "auto" else params.pmax


def find_scale(
    levels: np.ndarray, params: StardistParams, model: Model, brightness: tuple[float, float], tick: Tick = no_tick
) -> float:
    """Return by how much a stain, or a part of it, is enlarged for the network; see `estimate_scale`."""
    ask, known = _ask(model)
    return _scale(levels, params, model, brightness, ask, known["multiple"], tick)


def _original(levels: np.ndarray, params: StardistParams, model: Model, tick: Tick) -> Candidates:
    """The same from the original package's own prediction, on TensorFlow."""
    from segapp.core.engines.stardist.original import predict

    low, high = _brightness(levels, params, model)
    scale = 1.0 if params.scale == "auto" else to_sixteenth(params.scale)
    image = resize(levels, scale)
    tick(0, 1)
    told = predict(model, (image.astype(np.float32) - np.float32(low)) * np.float32(1 / (high - low)), params.tilesize)
    found = np.nonzero(told.prob >= FLOOR)
    return Candidates(
        points=np.stack(found, axis=1).astype(np.int32) * np.int32(told.grid),
        prob=_rounded(told.prob[found]),
        dist=np.maximum(told.dist[found], _LEAST),
        chance=told.prob,
        grid=told.grid,
        shape=levels.shape,
        scale=scale,
        prob_thresh=told.prob_thresh,
        nms_thresh=told.nms_thresh,
        statistics={"model": model.name, "scale": round(scale, 4), "black": float(low), "white": float(high)},
    )


def apply(candidates: Candidates, params: StardistParams, tick: Tick = no_tick) -> Nuclei:
    """Choose polygons by the thresholds and draw them; the network is not asked.

    Parameters
    ----------
    candidates : Candidates
        Of `fit`.
    params : StardistParams
        ``prob_thresh``, ``nms_thresh`` and ``sanitize`` are looked at.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    Nuclei
        Labels by falling probability: 1 is the surest nucleus.
    """
    least = candidates.prob_thresh if params.prob_thresh == "auto" else params.prob_thresh
    share = candidates.nms_thresh if params.nms_thresh == "auto" else params.nms_thresh
    sure = np.nonzero(candidates.prob >= least)[0]
    points, dist, prob = candidates.points[sure], candidates.dist[sure], candidates.prob[sure]
    stay = suppress(points, dist, prob, share, tick)
    middles = place(points[stay], sixteenths(candidates.scale), STEPS)
    labels = render(*middles, dist[stay], candidates.shape, 1 / candidates.scale, tick)
    if params.sanitize:
        labels = largest_pieces(labels)
    # a polygon under surer ones, or beyond the edge, leaves no pixel
    seen = np.bincount(labels.ravel(), minlength=len(stay) + 1) > 0
    seen[0] = True
    number = np.cumsum(seen, dtype=np.int32) - 1
    probability = np.concatenate([np.zeros(1, np.float32), prob[stay]])[seen]
    return Nuclei(number[labels].astype(np.int32), _full(candidates), probability)


def _rounded(prob: np.ndarray) -> np.ndarray:
    """Equal where only the order of additions made a difference: such ties go by place, whatever the tiles were."""
    return np.rint(prob * np.float32(2**17)) / np.float32(2**17)


def _full(candidates: Candidates) -> np.ndarray:
    """The probabilities at every pixel of the stain, linear between those that the network told."""
    sides = []
    for size, told in zip(candidates.shape, candidates.chance.shape, strict=True):
        # a value stands for the first of `grid` pixels of the scaled image
        at, further = place(np.arange(size), STEPS, sixteenths(candidates.scale))
        low, first = np.divmod(at, candidates.grid)
        behind = ((first + further) / candidates.grid).astype(np.float32)
        sides.append((np.clip(low, 0, told - 1), np.clip(low + 1, 0, told - 1), behind))
    (top, bottom, down), (left, right, along) = sides
    made = np.empty(candidates.shape, np.float32)
    for start in range(0, len(top), 512):
        part = slice(start, start + 512)
        below = down[part, None]
        rows = candidates.chance[top[part]] * (1 - below) + candidates.chance[bottom[part]] * below
        made[part] = rows[:, left] * (1 - along) + rows[:, right] * along
    return made


def _brightness(levels: np.ndarray, params: StardistParams, model: Model) -> tuple[float, float]:
    """What is 0 and what is 1 to the network."""
    shares = percents(params, model)
    return (0.0, 1.0) if shares is None else percentiles(levels, *shares)


def _scale(
    levels: np.ndarray,
    params: StardistParams,
    model: Model,
    brightness: tuple[float, float],
    ask: Ask,
    multiple: int,
    tick: Tick,
) -> float:
    """The factor that was chosen, else that which gives nuclei the size of those in training, where it is known."""
    if params.scale != "auto":
        return to_sixteenth(params.scale)
    diameter = model.config.get("diameter")
    if not diameter:
        return 1.0
    from segapp.core.engines.stardist.size import estimate_scale

    black, white = brightness
    found = estimate_scale(
        levels, ask, diameter=float(diameter), multiple=multiple, black=black, white=white, tick=tick
    )
    return to_sixteenth(found)


def _ask(model: Model) -> tuple[Ask, dict[str, Any]]:
    """Who answers for an image, and what is known of it."""
    import torch

    module = network(model)
    # a graphics card where there is one
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module.to(device)

    def ask(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        beyond = [(0, -side % module.multiple) for side in image.shape]
        if any(more for _, more in beyond):
            image = np.pad(image, beyond, mode="symmetric")
        with torch.inference_mode(), one_thread():
            prob, dist = module(torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device))
        return prob[0].cpu().numpy(), dist[0].cpu().numpy()

    known = {"grid": module.grid, "multiple": module.multiple, "reach": reach(module), "module": module}
    return ask, known
