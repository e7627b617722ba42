"""How much to enlarge a stain so that its nuclei have the size that the network knows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from segapp.core._bands import side_by_side
from segapp.core.engines.resample import resize
from segapp.core.types import InputError, Tick, no_tick

__all__ = ["estimate_scale"]

Ask = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Normalised (H, W) float32 -> prob (H / grid, W / grid) and dist (rays, H / grid, W / grid)."""

_FACTORS = (0.25, 0.5, 1.0, 2.0)
"""Sizes that are tried: the network knows nuclei from 0.6 to 1.6 of its size, so no nucleus falls between two."""

_SIDE = 320
"""Side of a window in px of the network: some 50 nuclei of the size that it knows where they lie close."""

_RANKS = (0.98, 0.85, 0.7)
"""Which windows are looked at, by contrast: the most contrast of all is often dust."""

_SURE = 0.5
"""Least probability of a nucleus that counts."""

_MANY = 10
"""Nuclei from which more of them no longer speak for a factor."""

_SPREAD = 0.35
"""Deviation of the logarithm of a size from the one that the network knows, at which a factor loses 40 % of its say."""


def estimate_scale(
    image: np.ndarray,
    ask: Ask,
    *,
    diameter: float,
    multiple: int,
    black: float = 0.0,
    white: float = 1.0,
    tick: Tick = no_tick,
) -> float:
    """Estimate the factor by which nuclei reach the size that a network was trained on.

    Some windows of the image are shown to the network at a quarter, half, the same and twice their size. A factor is
    the more plausible, the surer the network is of what it finds there, and the nearer the median diameter of that is
    to the one of the training. The best factor is corrected by that median.

    Parameters
    ----------
    image : (H, W) array, 8-bit, 16-bit or float
        Brightness.
    ask : callable
        Normalised (h, w) float32, sides multiples of `multiple` -> prob (h / grid, w / grid) and
        dist (rays, h / grid, w / grid) in px.
    diameter : float
        Median diameter of nuclei in training, px.
    multiple : int
        See `ask`.
    black, white : float
        Brightness that is 0 and 1 to the network.
    tick : Tick
        Progress and cancel, by factor.

    Returns
    -------
    float
        0.05 to 20; 1 where no nucleus is found at any size.

    Raises
    ------
    InputError
        When `white` is not above `black`.

    Notes
    -----
    The cost does not grow with the image: at most 12 windows of 320 x 320 px.

    Examples
    --------
    A network that sees a nucleus wherever it is bright, as wide as a fifth of what it is shown:

    >>> def ask(image):
    ...     prob = np.zeros((image.shape[0] // 2, image.shape[1] // 2), np.float32)
    ...     prob[prob.shape[0] // 2, prob.shape[1] // 2] = 0.9
    ...     return prob, np.full((32, *prob.shape), image.shape[0] / 10, np.float32)
    >>> image = np.ones((80, 80), np.float32)
    >>> round(estimate_scale(image, ask, diameter=16, multiple=16), 2)
    1.0
    """
    if not white > black:
        raise InputError(f"white ({white:g}) must be above black ({black:g}).")

    def seen(window: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
        levels = resize(window, factor).astype(np.float32)
        return _nuclei((levels - np.float32(black)) / np.float32(white - black), ask, multiple)

    best, scale = 0.0, 1.0
    for i, factor in enumerate(_FACTORS):
        tick(i, len(_FACTORS))
        windows = _windows(image, round(_SIDE / factor))
        found = side_by_side([partial(seen, window, factor) for window in windows])
        prob, wide = (np.concatenate(part) for part in zip(*found, strict=True))
        if not len(prob):
            continue
        median = float(np.median(wide))
        fits = np.exp(-0.5 * (np.log(median / diameter) / _SPREAD) ** 2)
        say = float(np.mean(prob**2) * np.sqrt(min(len(prob), _MANY)) * fits)
        if say > best:
            best, scale = say, factor * diameter / median
    return float(np.clip(scale, 0.05, 20.0))


def _windows(image: np.ndarray, side: int) -> list[np.ndarray]:
    """Windows of an image by rank of contrast; all of it where it is not much larger than one."""
    if max(image.shape) <= 1.5 * side:
        return [image]
    counts = [max(round(length / side), 1) for length in image.shape]
    edges = [np.linspace(0, length, n + 1).astype(int) for length, n in zip(image.shape, counts, strict=True)]
    parts = []
    for top, bottom in zip(edges[0][:-1], edges[0][1:], strict=True):
        for left, right in zip(edges[1][:-1], edges[1][1:], strict=True):
            # no more than one side, also where the image is narrow
            parts.append(image[top : min(bottom, top + side), left : min(right, left + side)])
    thin = max(side // 128, 1)
    order = np.argsort([float(part[::thin, ::thin].std()) for part in parts], kind="stable")
    ranks = sorted({round(rank * (len(parts) - 1)) for rank in _RANKS}, reverse=True)
    return [parts[order[rank]] for rank in ranks]


def _nuclei(image: np.ndarray, ask: Ask, multiple: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and diameters of what the network sees: one where it is surest around."""
    height, width = image.shape
    padded = np.pad(image, ((0, -height % multiple), (0, -width % multiple)), mode="symmetric")
    prob, dist = ask(np.ascontiguousarray(padded, np.float32))
    step = padded.shape[0] // prob.shape[0]
    prob = prob[: -(-height // step), : -(-width // step)]
    from scipy import ndimage  # late: the program starts sooner

    at = np.nonzero((prob == ndimage.maximum_filter(prob, 5)) & (prob > _SURE))
    rays = dist[:, at[0], at[1]]
    area = 0.5 * np.sin(2 * np.pi / len(rays)) * (rays * np.roll(rays, -1, axis=0)).sum(axis=0)
    return prob[at], 2 * np.sqrt(np.maximum(area, 1e-6) / np.pi)
