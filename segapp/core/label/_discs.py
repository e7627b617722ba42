"""Nuclei as discs of one size over a background: a mixture fitted to the places of UMIs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from segapp.core.types import Tick, no_tick

ROUNDS = 60
SETTLE = 20
"""Rounds over which the price rises to its height: at first every nucleus is free, so that all can find their place."""
FIRST_BLUR = 0.4
"""Blur of the counts that peaks are taken from, in `sigma`: finer than a nucleus, so that every nucleus has a peak."""
PRICE = 1.5
"""UMIs that a nucleus pays in every round: half of its three parameters, two coordinates and a weight."""
RADIUS, EDGE = 1.52, 0.54
"""A nucleus is a disc of this radius with edges blurred by diffusion, in `sigma`: flat inside, unlike a Gaussian."""
REACH = 3.0
STEP = 0.01
"""Step of the table of a profile, in `sigma`."""


@dataclass(frozen=True)
class Guide:
    """How all other RNA helps where nuclear RNA is sparse. Lengths are in `sigma`.

    Parameters
    ----------
    share, blur : float
        Background of the nuclear counts, see `Background`.
    place : float
        What one UMI of other RNA says of the place of a nucleus, against one of nuclear RNA; low, for cytoplasm
        is lopsided, and a cell has ten times more of it.
    presence : float
        The same of whether there is a nucleus.
    start : float
        The same of where peaks are looked for.
    square : int
        Side in px of the squares that other RNA is summed in.
    """

    share: float = 0.15
    blur: float = 3.0
    place: float = 0.12
    presence: float = 0.06
    start: float = 0.03
    square: int = 4


@dataclass(frozen=True)
class Background:
    """Share of the counts, blurred by so many `sigma`, that holds cytoplasm and stray RNA; and a little of their mean.

    The mean keeps lone UMIs in empty surroundings from being nuclei.
    """

    share: float
    blur: float
    mean: float = 0.1


def fit_discs(
    nuclear: np.ndarray,
    other: np.ndarray | None,
    *,
    sigma: float,
    min_distance: float,
    tick: Tick = no_tick,
    means: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Explain UMIs by discs over a background.

    Parameters
    ----------
    nuclear : (H, W) counts
        UMIs a pixel of RNA that stays in nuclei; some above 0.
    other : (H, W) counts or None
        UMIs of all other RNA, where it guides.
    sigma : float
        Spread of the RNA of one nucleus in px.
    min_distance : float
        Nuclei closer than this become one.
    tick : Tick
        Reports progress and cancels.
    means : (float, float), optional
        UMIs a pixel of both kinds in the whole image, where these are windows of it.

    Returns
    -------
    y, x : (N,) float64
        Centres in px, by row.
    weight : (N,) float64
        UMIs that a nucleus explains, less what it pays.
    """
    guide = Guide()
    image = nuclear.astype(np.float32)
    rest = None if other is None else other.astype(np.float32)
    seen = image if rest is None else image + guide.start * rest
    if means is None:
        means = float(image.mean(dtype=np.float64)), 0.0 if rest is None else float(rest.mean(dtype=np.float64))
    everywhere = means[0] + (0.0 if rest is None else guide.start * means[1])
    fine = cv2.GaussianBlur(seen, (0, 0), FIRST_BLUR * sigma, borderType=cv2.BORDER_REFLECT_101)
    summit = (fine == cv2.dilate(fine, np.ones((5, 5), np.uint8))) & (fine > 0.5 * everywhere)
    y, x = (np.ascontiguousarray(axis, dtype=np.float64) for axis in np.nonzero(summit))
    weight = fine[summit].astype(np.float64) * math.pi * sigma**2 * (means[0] / everywhere)

    reach = REACH * sigma
    step = STEP * sigma
    disc = _profile(RADIUS * sigma, EDGE * sigma, reach, step)
    if rest is None or means[1] == 0:
        ground = Background(0.2, 2.1)
        events = _events(image, 1, _ground(image, ground, sigma, means[0]))
        for done in range(ROUNDS):
            if done > 5:
                _join(y, x, weight, weight.copy(), min_distance, *nuclear.shape)
            share, share_y, share_x = _share(*events, y, x, weight, weight, disc, step, reach, *nuclear.shape)
            moved = share > 0
            y[moved], x[moved] = share_y[moved] / share[moved], share_x[moved] / share[moved]
            weight = np.where(weight > 0, np.maximum(share - PRICE * min(1.0, done / SETTLE), 0.0), 0.0)
            tick(done + 1, ROUNDS)
    else:
        weight = _fit_guided(image, rest, guide, sigma, min_distance, y, x, weight, disc, tick, means)
    order = np.lexsort((x, y))
    return y[order], x[order], weight[order]


def draw_discs(y: np.ndarray, x: np.ndarray, radius: float, shape: tuple[int, int]) -> np.ndarray:
    """Give every pixel within the radius of a centre to the nearest: (H, W) int32, 1 + the index of the centre.

    Examples
    --------
    >>> draw_discs(np.array([1.0]), np.array([1.0]), 1.1, (3, 4)).tolist()
    [[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
    """
    return _draw(y, x, radius, *shape)


def warm() -> None:
    """Compile the kernels on tiny inputs."""
    counts = np.zeros((12, 12), np.uint32)
    counts[5:8, 5:8] = 2
    for other in (None, counts):
        y, x, _ = fit_discs(counts, other, sigma=3.0, min_distance=5)
    draw_discs(y, x, 3.0, (12, 12))


def _fit_guided(
    image: np.ndarray,
    rest: np.ndarray,
    guide: Guide,
    sigma: float,
    min_distance: float,
    y: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    disc: np.ndarray,
    tick: Tick,
    means: tuple[float, float],
) -> np.ndarray:
    reach, wide, step = REACH * sigma, 3.9 * sigma, STEP * sigma
    # the other RNA of a cell: half in the nucleus, half in a disc almost twice as wide
    edge = 0.45 * sigma
    cell = 0.5 * _profile(RADIUS * sigma, edge, wide, step) + 0.5 * _profile(2.7 * sigma, edge, wide, step)
    spread, cell_spread = 0.64 * sigma**2, 1.1 * sigma**2
    events = _events(image, 1, _ground(image, Background(guide.share, guide.blur), sigma, means[0]))
    others = _events(rest, guide.square, _ground(rest, Background(0.4, 4.0), sigma, means[1]))
    alive = weight
    amount = weight * (means[1] / means[0]) * 0.6
    shape = image.shape
    for done in range(ROUNDS):
        if done > 5:
            _join(y, x, alive, amount, min_distance, *shape)
        share, share_y, share_x = _share(*events, y, x, alive, alive, disc, step, reach, *shape)
        cells, cells_y, cells_x = _share(*others, y, x, amount, alive, cell, step, wide, *shape)
        sure = share / spread + guide.place * cells / cell_spread
        moved = sure > 0
        y[moved] = ((share_y / spread + guide.place * cells_y / cell_spread)[moved]) / sure[moved]
        x[moved] = ((share_x / spread + guide.place * cells_x / cell_spread)[moved]) / sure[moved]
        price = PRICE * min(1.0, done / SETTLE)
        explained = share + guide.presence * cells
        left = (alive > 0) & (explained > price)
        part = np.where(left, 1 - price / np.maximum(explained, 1e-9), 0.0)
        alive = np.where(left, np.maximum(share * part, 1e-3), 0.0)
        amount = cells * part
        tick(done + 1, ROUNDS)
    return np.where(alive > 0, alive + guide.presence * amount, 0.0)


def _ground(image: np.ndarray, ground: Background, sigma: float, mean: float) -> np.ndarray:
    blurred = cv2.GaussianBlur(image, (0, 0), ground.blur * sigma, borderType=cv2.BORDER_REFLECT_101)
    return ground.share * blurred + ground.mean * mean


def _events(
    image: np.ndarray, square: int, ground: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return place, UMIs and background of every pixel or square that holds RNA."""
    height, width = image.shape
    at_y, at_x = np.arange(0, height, square), np.arange(0, width, square)
    sums = image if square == 1 else np.add.reduceat(np.add.reduceat(image, at_y, axis=0), at_x, axis=1)
    rows, columns = np.nonzero(sums)
    y = np.minimum(at_y[rows] + (square - 1) / 2, height - 1)
    x = np.minimum(at_x[columns] + (square - 1) / 2, width - 1)
    there = ground[y.astype(np.intp), x.astype(np.intp)].astype(np.float64)
    return y.astype(np.float64), x.astype(np.float64), sums[rows, columns].astype(np.float64), there


def _profile(radius: float, edge: float, reach: float, step: float) -> np.ndarray:
    """Return the density at distance 0, 1, ... steps from the centre of a disc blurred by a Gaussian; its sum is 1."""
    from scipy.special import i0e  # late: the program starts sooner

    at = (np.arange(int(reach / step) + 2) * step)[:, None]
    inner = (np.arange(400) + 0.5) * radius / 400
    ring = inner / edge**2 * np.exp(-((at - inner) ** 2) / (2 * edge**2)) * i0e(at * inner / edge**2)
    density: np.ndarray = ring.sum(axis=1) / (400 * math.pi * radius)
    return density


@njit(cache=True, nogil=True)
def _chain(
    y: np.ndarray, x: np.ndarray, alive: np.ndarray, tile: float, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    head = np.full(rows * columns, -1, np.int64)
    following = np.full(len(y), -1, np.int64)
    for i in range(len(y) - 1, -1, -1):
        if alive[i] > 0:
            place = int(y[i] / tile) * columns + int(x[i] / tile)
            following[i] = head[place]
            head[place] = i
    return head, following


@njit(cache=True, nogil=True)
def _join(
    y: np.ndarray, x: np.ndarray, weight: np.ndarray, amount: np.ndarray, min_distance: float, height: int, width: int
) -> None:
    """Join nuclei that are closer than `min_distance` and add up their amounts.

    Which come together, and in which order, follows from where they lie and from their numbers alone: the squares that
    they are looked up in lie otherwise in a window than in the whole.
    """
    if min_distance <= 0:
        return
    rows, columns = int(height / min_distance) + 1, int(width / min_distance) + 1
    head, following = _chain(y, x, weight, min_distance, rows, columns)
    first_y, first_x = y.copy(), x.copy()
    near, far = np.empty(len(y), np.int64), 2 * min_distance
    for i in range(len(y)):
        if weight[i] <= 0:
            continue
        m = 0
        a, b = int(first_y[i] / min_distance), int(first_x[i] / min_distance)
        for v in range(max(a - 2, 0), min(a + 3, rows)):
            for u in range(max(b - 2, 0), min(b + 3, columns)):
                j = head[v * columns + u]
                while j >= 0:
                    if j != i and abs(first_y[j] - first_y[i]) < far and abs(first_x[j] - first_x[i]) < far:
                        m = _insert(near, m, j)
                    j = following[j]
        for q in range(m):
            j = near[q]
            apart = (y[i] - y[j]) ** 2 + (x[i] - x[j]) ** 2
            if 0 < weight[j] <= weight[i] and apart < min_distance**2:
                both = weight[i] + weight[j]
                y[i] = (y[i] * weight[i] + y[j] * weight[j]) / both
                x[i] = (x[i] * weight[i] + x[j] * weight[j]) / both
                amount[i], amount[j] = amount[i] + amount[j], 0.0
                weight[i], weight[j] = both, 0.0


@njit(cache=True, nogil=True)
def _insert(numbers: np.ndarray, m: int, number: int) -> int:
    """Put a number among the first `m`, which ascend; return how many there are then."""
    at = m
    while at > 0 and numbers[at - 1] > number:
        numbers[at] = numbers[at - 1]
        at -= 1
    numbers[at] = number
    return m + 1


@njit(cache=True, nogil=True)
def _share(
    event_y: np.ndarray,
    event_x: np.ndarray,
    umis: np.ndarray,
    background: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    amount: np.ndarray,
    alive: np.ndarray,
    profile: np.ndarray,
    step: float,
    reach: float,
    height: int,
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share every UMI between the nuclei near it and the background, by how well each explains it."""
    n = len(y)
    rows, columns = int(height / reach) + 1, int(width / reach) + 1
    head, following = _chain(y, x, alive, reach, rows, columns)
    share, share_y, share_x = np.zeros(n), np.zeros(n), np.zeros(n)
    near, explains = np.empty(n, np.int64), np.empty(n)
    for e in range(len(event_y)):
        a, b = int(event_y[e] / reach), int(event_x[e] / reach)
        m = 0
        for v in range(max(a - 1, 0), min(a + 2, rows)):
            for u in range(max(b - 1, 0), min(b + 2, columns)):
                i = head[v * columns + u]
                while i >= 0:
                    apart = (y[i] - event_y[e]) ** 2 + (x[i] - event_x[e]) ** 2
                    if amount[i] > 0 and apart < reach * reach:
                        m = _insert(near, m, i)
                    i = following[i]
        total = background[e]
        for q in range(m):  # in the order of their numbers, so that sums are the same to the last bit in every window
            i = near[q]
            apart = (y[i] - event_y[e]) ** 2 + (x[i] - event_x[e]) ** 2
            explains[q] = amount[i] * profile[int(math.sqrt(apart) / step)]
            total += explains[q]
        for q in range(m):
            part = explains[q] / total * umis[e]
            share[near[q]] += part
            share_y[near[q]] += part * event_y[e]
            share_x[near[q]] += part * event_x[e]
    return share, share_y, share_x


@njit(cache=True, nogil=True)
def _draw(y: np.ndarray, x: np.ndarray, radius: float, height: int, width: int) -> np.ndarray:
    labels = np.zeros((height, width), np.int32)
    nearest = np.full((height, width), radius * radius)
    for i in range(len(y)):
        for v in range(max(int(y[i] - radius), 0), min(int(y[i] + radius) + 2, height)):
            for u in range(max(int(x[i] - radius), 0), min(int(x[i] + radius) + 2, width)):
                apart = (v - y[i]) ** 2 + (u - x[i]) ** 2
                if apart < nearest[v, u]:
                    nearest[v, u] = apart
                    labels[v, u] = i + 1
    return labels
