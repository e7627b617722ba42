"""Images on the disk at full, half, quarter ... size, so that any view of them reads few bytes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from segapp.core.types import Tick, no_tick

SMALLEST = 512
"""The last level of a pyramid is at most this many px long."""

Kind = Literal["sum", "mean", "nearest"]


def halve(image: np.ndarray, kind: Kind) -> np.ndarray:
    """Halve an image: one pixel for each square of 2 x 2; a last odd row or column is a square of its own.

    Parameters
    ----------
    image : (H, W) or (C, H, W) array
        Counts, a stain or labels.
    kind : {"sum", "mean", "nearest"}
        Sums for counts (uint32 whatever the input), means for a stain (rounded for integers), the upper left pixel
        for labels.

    Returns
    -------
    (..., ceil(H / 2), ceil(W / 2)) array

    Examples
    --------
    >>> halve(np.array([[1, 2, 3], [4, 5, 6]], np.uint16), "sum").tolist()
    [[12, 9]]
    >>> halve(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), "mean").tolist()
    [[3, 5]]
    """
    if kind == "nearest":
        return image[..., ::2, ::2]
    height, width = image.shape[-2:]
    wide = np.uint32 if kind == "sum" else (np.float64 if image.dtype.kind == "f" else np.uint32)
    whole = np.pad(image, [*((0, 0) for _ in image.shape[:-2]), (0, height % 2), (0, width % 2)])
    sums: np.ndarray = whole[..., 0::2, 0::2].astype(wide)
    for part in (whole[..., 0::2, 1::2], whole[..., 1::2, 0::2], whole[..., 1::2, 1::2]):
        np.add(sums, part, out=sums)
    if kind == "sum":
        return sums
    tall = np.minimum(2, height - np.arange(0, height, 2))
    broad = np.minimum(2, width - np.arange(0, width, 2))
    area = tall[:, None] * broad[None, :]
    if image.dtype.kind == "f":
        return (sums / area).astype(image.dtype)
    return ((sums + area // 2) // area).astype(image.dtype)


def halve_centred(image: np.ndarray) -> np.ndarray:
    """Halve a picture so that pixel i is centred near pixel 2 i, where plots of scanpy and squidpy draw it.

    Parameters
    ----------
    image : (H, W) float array
        Means over squares of n px.

    Returns
    -------
    (ceil(H / 2), ceil(W / 2)) array
        Pixel i is the mean of pixels 2 i - 1 and 2 i: it covers n px on both sides of px 2 n i of the frame, as the
        picture of a section does. Outermost pixels are repeated.

    Examples
    --------
    >>> halve_centred(np.array([[1.0, 2.0, 4.0, 6.0, 8.0]])).tolist()
    [[1.0, 3.0, 7.0]]
    """
    height, width = image.shape
    padded = np.pad(image, [(1, height % 2), (1, width % 2)], mode="edge")
    padded = padded[: -(-height // 2) * 2, : -(-width // 2) * 2]
    found: np.ndarray = (padded[::2, ::2] + padded[::2, 1::2] + padded[1::2, ::2] + padded[1::2, 1::2]) / 4
    return found


def n_levels(height: int, width: int) -> int:
    """Return how many levels an image has, the full one included.

    Examples
    --------
    >>> n_levels(512, 100), n_levels(513, 100), n_levels(26460, 26460)
    (1, 2, 7)
    """
    levels = 1
    while max(height, width) > SMALLEST:
        height, width, levels = -(-height // 2), -(-width // 2), levels + 1
    return levels


def create_level(group: Any, name: str, shape: tuple[int, ...], dtype: Any, side: int) -> Any:
    """Create one array of a zarr group, in square chunks of `side` px; a chunk of zeros is not stored."""
    from zarr.codecs import BloscCodec

    lead = shape[:-2]
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(*(1 for _ in lead), min(side, shape[-2]), min(side, shape[-1])),
        compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
        fill_value=0,
        overwrite=True,
    )


def build_levels(group: Any, kind: Kind, side: int, tick: Tick = no_tick) -> None:
    """Write levels ``1``, ``2``, ... of a group from its level ``0``, window by window.

    Parameters
    ----------
    group : zarr.Group
        Holds the array ``0``.
    kind : {"sum", "mean", "nearest"}
        As for `halve`.
    side : int
        Side of a chunk in px; even.
    tick : callable
        Called for every window.
    """
    below = group["0"]
    levels = n_levels(*below.shape[-2:])
    for level in range(1, levels):
        height, width = (-(-size // 2) for size in below.shape[-2:])
        above = create_level(
            group,
            str(level),
            (*below.shape[:-2], height, width),
            np.uint32 if kind == "sum" else below.dtype,
            side,
        )
        rows = range(0, height, side)
        for row in rows:
            tick((level - 1) * len(rows) + row // side, (levels - 1) * len(rows))
            for column in range(0, width, side):
                window = below[..., 2 * row : 2 * (row + side), 2 * column : 2 * (column + side)]
                if window.any():
                    made = halve(window, kind)
                    above[..., row : row + made.shape[-2], column : column + made.shape[-1]] = made
        below = above
