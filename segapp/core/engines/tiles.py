"""Tiles of a large image for a convolutional network, cut so that they leave no trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tile:
    """A part of an image that a network sees, and the part of its answer that is used.

    Parameters
    ----------
    rows, columns : slice
        What is used, in px of the image; it may reach beyond the image up to the next multiple.
    seen_rows, seen_columns : slice
        What is seen: the same with the context around it.
    """

    rows: slice
    columns: slice
    seen_rows: slice
    seen_columns: slice

    def inner(self, step: int = 1) -> tuple[slice, slice]:
        """Return where the part that is used lies in an answer of one value every `step` px."""
        return tuple(
            slice((used.start - seen.start) // step, (used.stop - seen.start) // step)
            for used, seen in ((self.rows, self.seen_rows), (self.columns, self.seen_columns))
        )  # type: ignore[return-value]


def tiles(shape: tuple[int, int], size: int, context: int, multiple: int, least: int = 1) -> list[Tile]:
    """Cut an image into tiles whose answers put together are that of the whole image.

    A convolutional network that halves its resolution on the way answers the same for a pixel wherever a tile starts
    at a multiple of its coarsest step and reaches as far around the pixel as the network looks. At the edges of the
    image, the tiles end where the image ends.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image in px.
    size : int
        Longest side of what is seen, in px; where context leaves less than one multiple, more is seen.
    context : int
        What is seen around what is used, in px.
    multiple : int
        Sides that the network takes are multiples of it.
    least : int
        Tiles that are wanted at least, to be worked out side by side. An image that is one tile is cut into so many
        bands, unless more than half of what a band sees were context.

    Returns
    -------
    list of Tile
        In rows from the top.

    Examples
    --------
    >>> found = tiles((40, 20), size=32, context=7, multiple=4)
    >>> [(tile.rows.start, tile.rows.stop, tile.seen_rows.start, tile.seen_rows.stop) for tile in found]
    [(0, 24, 0, 32), (24, 40, 16, 40)]
    """
    context = -(-context // multiple) * multiple
    sides = [-(-side // multiple) * multiple for side in shape]
    sizes = [size, size]
    if max(sides) <= size and least > 1:
        # what is seen of n bands is the whole, and twice the context at each of the n - 1 cuts
        n = max(min(least, sides[0] // max(2 * context, multiple)), 1)
        sizes[0] = -(-(sides[0] + 2 * context * (n - 1)) // (n * multiple)) * multiple
    spans = [_spans(side, size, context, multiple) for side, size in zip(sides, sizes, strict=True)]
    return [Tile(rows, columns, top, left) for rows, top in spans[0] for columns, left in spans[1]]


def window(image: np.ndarray, tile: Tile, multiple: int) -> np.ndarray:
    """Return what is seen of an image in a tile; beyond its end, the image is mirrored.

    Parameters
    ----------
    image : (H, W) array
        Image.
    tile : Tile
        One of `tiles`.
    multiple : int
        As given to `tiles`.

    Returns
    -------
    (h, w) array of the same dtype
        A view of the image, where it does not reach beyond.
    """
    rows, columns = (
        np.pad(np.arange(side), (0, -side % multiple), mode="reflect" if side > 1 else "edge") for side in image.shape
    )
    return image[_span(rows[tile.seen_rows])][:, _span(columns[tile.seen_columns])]


def _spans(whole: int, size: int, context: int, multiple: int) -> list[tuple[slice, slice]]:
    """What is used and what is seen of each tile along a side."""
    if whole <= size:
        return [(slice(0, whole), slice(0, whole))]
    spans, start = [], 0
    while start < whole:
        # at an edge of the image there is no context, and the room is used
        room = size - context - (context if start else 0)
        stop = min(start + max(room // multiple * multiple, multiple), whole)
        if start and whole - max(start - context, 0) <= size:
            stop = whole
        spans.append((slice(start, stop), slice(max(start - context, 0), min(stop + context, whole))))
        start = stop
    return spans


def _span(index: np.ndarray) -> slice | np.ndarray:
    """A slice where the pixels follow each other, so that inner tiles are no copies."""
    straight = index[-1] - index[0] == len(index) - 1
    return slice(int(index[0]), int(index[-1]) + 1) if straight else index
