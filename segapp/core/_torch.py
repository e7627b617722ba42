"""What the kernels compute, by torch: the same results on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.core.types import Tick


def circle_sum(counts: np.ndarray, half: np.ndarray, device: str) -> np.ndarray:
    """Sum counts over circles, exactly.

    Parameters
    ----------
    counts : (H, W) uint32
        Counts.
    half : (k,) int64
        (Length - 1) / 2 of the chords of the circle.
    device : str
        Of torch.

    Returns
    -------
    (H, W) int64
        The border is mirrored with the edge pixel repeated. Whole numbers throughout: convolutions of torch round.
    """
    import torch

    k, (height, width) = len(half), counts.shape
    r = k // 2
    padded = np.pad(counts, r, mode="symmetric").astype(np.int64)
    running = torch.zeros((height + 2 * r, width + k), dtype=torch.int64, device=device)
    torch.cumsum(torch.from_numpy(padded).to(device), 1, out=running[:, 1:])
    total = torch.zeros((height, width), dtype=torch.int64, device=device)
    for j, h in enumerate(half.tolist()):
        rows = running[j : j + height]
        total += rows[:, r + h + 1 : r + h + 1 + width] - rows[:, r - h : r - h + width]
    summed: np.ndarray = total.cpu().numpy()
    return summed


def propagate(
    odds: np.ndarray,
    offsets: np.ndarray,
    *,
    p: float,
    q: float,
    precision: float,
    max_iter: int,
    device: str,
    tick: Tick,
) -> np.ndarray:
    """Do what `segapp.core.score.propagation.propagate` does, flooding and stop rule included.

    Parameters
    ----------
    odds : (H, W) float32
        Odds of the nodes.
    offsets : (N, 2) int64
        Neighbours, each followed by its opposite.
    p, q, precision, max_iter, tick
        As there.
    device : str
        Of torch.

    Returns
    -------
    (H, W) float32
    """
    import torch

    height, width = odds.shape
    n = len(offsets)
    wide = torch.float32 if n <= 8 else torch.float64
    nodes = torch.from_numpy(odds).to(device).to(wide)
    messages = torch.ones((n, height, width), dtype=torch.float32, device=device)
    fresh = torch.ones_like(messages)
    n_messages = sum(max(height - abs(dy), 0) * max(width - abs(dx), 0) for dy, dx in offsets.tolist())
    for done in range(max_iter):
        tick(done, max_iter)
        product = _product(nodes, messages)
        change = torch.zeros((), dtype=torch.float64, device=device)
        for d, (dy, dx) in enumerate(offsets.tolist()):
            if abs(dy) >= height or abs(dx) >= width:
                continue
            # the node at u answers its neighbour at u - offset
            u, v = _window(dy, dx, height, width), _window(-dy, -dx, height, width)
            at, arrived, before = product[u], messages[d ^ 1][u], messages[d][v]
            up, down = p * at + q * arrived, q * at + p * arrived
            fresh[d][v] = (up / down).float()
            t = ((up - before * down) / (up + before * down)).float()
            change += (t + t * t * t / 3).square().sum(dtype=torch.float64)
        messages, fresh = fresh, messages
        if n_messages == 0 or 4 * change.item() / n_messages < precision:
            break
    product = _product(nodes, messages)
    marginals: np.ndarray = (product / (product + 1)).float().cpu().numpy()
    return marginals


def _product(nodes: Any, messages: Any) -> Any:
    product = nodes.clone()
    for ratios in messages:
        product *= ratios
    return product


def _window(dy: int, dx: int, height: int, width: int) -> tuple[slice, slice]:
    return slice(max(0, dy), height + min(0, dy)), slice(max(0, dx), width + min(0, dx))
