"""Belief propagation on the pixel grid: neighbours vote, so that single pixels do not decide alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from segapp.core import _torch
from segapp.core._bands import by_bands
from segapp.core.device import device
from segapp.core.params import Params, knob
from segapp.core.types import InputError, Tick, no_tick

LOG_ODDS_LIMIT = float(np.log(1e6))
"""Node log odds are held within +-13.8: a pixel can be sure, never beyond what its neighbours could question."""

_FAST = {
    "reassoc",
    "contract",
    "nsz",
}  # sums may be reordered for SIMD; NaN and infinity keep their meaning


class PropagationKnobs(Params):
    """How strongly neighbouring pixels pull each other to the same state."""

    bp_k: int = knob(
        3,
        unit="px",
        odd=True,
        ge=3,
        le=7,
        soft=(3, 7),
        doc="Diameter of the neighbourhood that exchanges messages. Larger: smoother, and slower.",
    )
    bp_square: bool = knob(
        False,
        doc="Square neighbourhood instead of a circle: with bp_k 3, 8 neighbours instead of 4.",
    )
    bp_p: float = knob(
        0.6,
        ge=0.01,
        le=0.99,
        soft=(0.5, 0.9),
        doc="Potential of equal neighbours. Higher: smoother, fuller areas.",
    )
    bp_q: float = knob(
        0.4,
        ge=0.01,
        le=0.99,
        soft=(0.1, 0.5),
        doc="Potential of different neighbours. Higher: rougher borders kept.",
    )
    bp_evidence: float = knob(
        1.0,
        ge=0.01,
        le=1.0,
        soft=(0.1, 1.0),
        doc="What a pixel's own counts weigh. Circles of neighbours share counts, so at 1 the same UMIs are heard "
        "several times and scores are too sure. Lower: less sure, and neighbours decide more.",
    )
    bp_precision: float = knob(
        1e-6,
        ge=0.0,
        le=1.0,
        soft=(1e-8, 1e-4),
        step=1e-8,
        doc="Stops when the mean squared change of the messages falls below this. Higher: sooner, less settled.",
    )
    bp_max_iter: int = knob(
        100,
        ge=1,
        le=10_000,
        soft=(1, 200),
        doc="Most rounds of messages. Higher: reaches further.",
    )


def neighbour_offsets(k: int, square: bool) -> np.ndarray:
    """Return the neighbours of a pixel as (N, 2) int64 offsets (row, column), each followed by its opposite.

    Parameters
    ----------
    k : int
        Diameter of the neighbourhood in px, odd.
    square : bool
        Square instead of circle (dx² + dy² <= ((k - 1) / 2)²).

    Examples
    --------
    >>> neighbour_offsets(3, False).tolist()
    [[0, 1], [0, -1], [1, 0], [-1, 0]]
    """
    if k < 3 or k % 2 == 0:
        raise InputError(f"the neighbourhood of belief propagation has k={k}; it must be odd and at least 3 px")
    radius = k // 2
    half = [
        (dy, dx)
        for dy in range(radius + 1)
        for dx in range(-radius, radius + 1)
        if (dy > 0 or dx > 0) and (square or dy * dy + dx * dx <= radius * radius)
    ]
    return np.array([pair for dy, dx in half for pair in ((dy, dx), (-dy, -dx))], dtype=np.int64)


def propagate(
    log_odds: np.ndarray,
    *,
    k: int,
    square: bool,
    p: float,
    q: float,
    precision: float,
    max_iter: int,
    tick: Tick = no_tick,
) -> np.ndarray:
    """Return the marginal probability of "occupied" of every pixel by loopy belief propagation.

    The graph has one node a pixel with two states; the edge potential is `p` for equal and `q` for different
    neighbours. Every round sends all messages at once (flooding) and the rounds end when the mean squared change of
    the log messages is below `precision`.

    Parameters
    ----------
    log_odds : (H, W) float32
        log P(X | occupied) - log P(X | background); held within +-`LOG_ODDS_LIMIT`, infinities included.
    k : int
        Diameter of the neighbourhood in px, odd. Pixels outside the image send nothing.
    square : bool
        Square neighbourhood instead of a circle.
    p, q : float
        Potentials of equal and of different neighbours, above 0.
    precision : float
        Mean squared change of the messages at which the rounds end.
    max_iter : int
        Most rounds.
    tick : Tick
        Called once a round.

    Returns
    -------
    (H, W) float32
        P(occupied) in [0, 1].

    Raises
    ------
    InputError
        If `log_odds` is not 2-D or has NaN, or a potential is not positive.

    Notes
    -----
    A message is kept as the ratio M = m(occupied) / m(background), not as its logarithm: with P the product of the
    node's odds and all arriving ratios, the message that answers M is (p P + q M) / (q P + p M). One division a
    message, no exponentials, and all in SIMD registers. The change of log M is taken from the same two numbers by
    log(a / b) = 2 artanh((a - b) / (a + b)).

    References
    ----------
    Yedidia, Freeman, Weiss (2003), Understanding belief propagation and its generalizations.

    Examples
    --------
    A doubtful pixel amid sure ones is carried along:

    >>> odds = np.full((5, 5), 4.0, np.float32)
    >>> odds[2, 2] = -0.5
    >>> alone = 1 / (1 + np.exp(0.5))
    >>> settings = dict(k=3, square=False, p=0.6, q=0.4, precision=1e-6, max_iter=100)
    >>> round(float(alone), 2), round(float(propagate(odds, **settings)[2, 2]), 2)
    (0.38, 0.75)
    """
    if log_odds.ndim != 2:
        raise InputError(f"`log_odds` has {log_odds.ndim} dimensions; belief propagation needs a 2-D image")
    if not (p > 0 and q > 0):
        raise InputError(f"the potentials are p={p} and q={q}; both must be above 0")
    offsets = neighbour_offsets(k, square)
    height, width = log_odds.shape
    odds = np.empty((height, width), np.float32)

    def open_up(first: int, last: int) -> bool:
        held = np.clip(log_odds[first:last], -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT, dtype=np.float32)
        return bool(np.isnan(np.exp(held, out=odds[first:last])).any())

    if any(by_bands(open_up, odds.shape)):
        raise InputError("`log_odds` has NaN; give every pixel a number, 0 where nothing is known")
    if odds.size == 0:
        return odds
    where = device()
    if where != "cpu":
        return _torch.propagate(
            odds, offsets, p=p, q=q, precision=precision, max_iter=max_iter, device=where, tick=tick
        )
    n, reach = len(offsets), k // 2
    # with many neighbours the product of the ratios leaves the range of float32
    wide = np.float32 if n <= 8 else np.float64
    potentials = np.float32(p), np.float32(q)
    messages = np.empty((n, height, width), np.float32)
    changes = np.zeros((height, n))

    def begin(first: int, last: int) -> None:
        messages[:, first:last] = 1  # what lies outside sends this, ever

    def flood(first: int, last: int) -> tuple[int, int, np.ndarray]:
        rows = np.ones((4, n, reach + 1, width), np.float32)
        _flood(odds, offsets, *potentials, messages, np.empty(width, wide), rows, changes, first, last)
        return first, last, rows[2:]

    by_bands(begin, odds.shape)
    n_messages = sum(max(height - abs(dy), 0) * max(width - abs(dx), 0) for dy, dx in offsets.tolist())
    for done in range(max_iter):
        tick(done, max_iter)
        for first, last, sent in by_bands(flood, odds.shape):
            _deliver(offsets, messages, sent, first, last)
        if n_messages == 0 or _total(changes) / n_messages < precision:
            break
    marginals = np.empty_like(odds)
    by_bands(lambda first, last: _marginals(odds, messages, np.empty(width, wide), marginals, first, last), odds.shape)
    return marginals


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)(function)


@_jit
def _multiply(product: np.ndarray, ratios: np.ndarray) -> None:
    for j in range(len(product)):
        product[j] *= ratios[j]


@_jit
def _answer(product: np.ndarray, arrived: np.ndarray, message: np.ndarray, p: float, q: float) -> float:
    """Replace messages by those of this round, and return the sum of the squared changes of their logarithms."""
    change = np.float32(0.0)
    for j in range(len(message)):
        up = p * product[j] + q * arrived[j]
        down = q * product[j] + p * arrived[j]
        before = message[j]
        message[j] = up / down
        t = (up - before * down) / (up + before * down)
        d = t + t * t * t * np.float32(1 / 3)
        change += d * d
    return 4.0 * float(change)


@_jit
def _take(message: np.ndarray, arrived: np.ndarray, product: np.ndarray) -> None:
    for j in range(len(product)):
        arrived[j] = message[j]
        product[j] *= message[j]


@_jit
def _copy(source: np.ndarray, to: np.ndarray) -> None:
    for j in range(len(to)):
        to[j] = source[j]


@_jit
def _flood(
    odds: np.ndarray,
    offsets: np.ndarray,
    p: float,
    q: float,
    messages: np.ndarray,
    product: np.ndarray,
    rows: np.ndarray,
    changes: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Send the messages of the rows of a band, in place; those to other bands are left in ``rows[2:]``.

    One array holds the messages before and after: a row is copied to ``rows[0]`` when its turn comes, and what is sent
    down waits in ``rows[1]`` until the row that it goes to has been copied. ``rows[2]`` and ``rows[3]`` are what is
    sent above and below the band.
    """
    n, height, width = messages.shape
    arrived, waiting, above, below = rows[0], rows[1], rows[2], rows[3]
    depth = rows.shape[2]
    for y in range(begin, end):
        for j in range(width):
            product[j] = odds[y, j]
        for d in range(n):
            _take(messages[d, y], arrived[d, 0], product)
            dy = offsets[d, 0]
            if dy < 0 and y + dy >= begin:
                _copy(waiting[d, y % depth], messages[d, y])
        # messages[d] at v came from v + offset d; node u = (y, x) now answers every neighbour u - offset d
        for d in range(n):
            dy, dx = offsets[d]
            row = y - dy
            if row < 0 or row >= height:
                continue
            first, last = max(0, dx), min(width, width + dx)
            if first >= last:
                continue
            here = slice(first - dx, last - dx)
            if row < begin:
                message = above[d, begin - 1 - row]
            elif row >= end:
                message = below[d, row - end]
            elif dy < 0:
                message = waiting[d, row % depth]
            else:
                message = messages[d, row]
            if row < begin or dy < 0:
                _copy(messages[d, row, here], message[here])
            changes[y, d] = _answer(product[first:last], arrived[d ^ 1, 0, first:last], message[here], p, q)


@njit(cache=True, nogil=True)
def _deliver(offsets: np.ndarray, messages: np.ndarray, sent: np.ndarray, begin: int, end: int) -> None:
    """Write what a band sent to the rows above and below it."""
    height = messages.shape[1]
    for d in range(len(offsets)):
        dy = offsets[d, 0]
        for i in range(min(dy, begin)):
            if begin - 1 - i + dy < end:  # sent by a row of this band
                messages[d, begin - 1 - i] = sent[0, d, i]
        for i in range(min(-dy, height - end)):
            if end + i + dy >= begin:
                messages[d, end + i] = sent[1, d, i]


@_jit
def _marginals(
    odds: np.ndarray, messages: np.ndarray, product: np.ndarray, marginals: np.ndarray, begin: int, end: int
) -> None:
    n, _, width = messages.shape
    for y in range(begin, end):
        for j in range(width):
            product[j] = odds[y, j]
        for d in range(n):
            _multiply(product, messages[d, y])
        for j in range(width):
            marginals[y, j] = product[j] / (product[j] + 1)


@njit(cache=True, nogil=True)
def _total(changes: np.ndarray) -> float:
    # one after the other, so that the stop rule hears the same number on any number of threads
    total = 0.0
    for change in changes.flat:
        total += change
    return total


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    for k in (3, 5):
        propagate(
            np.zeros((4, 5), np.float32),
            k=k,
            square=False,
            p=0.6,
            q=0.4,
            precision=1e-6,
            max_iter=2,
        )
