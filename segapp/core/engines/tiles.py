"""Tiles of a large image for a convolutional network, cut so that they leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
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


def tiles(shape: tuple[int, int], size: int, context: int, multiple: int) -> list[Tile]:
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
    spans = []
    for side in shape:
        whole = -(-side // multiple) * multiple
        if whole <= size:
            spans.append([(slice(0, whole), slice(0, whole))])
            continue
        span, start = [], 0
        while start < whole:
            # at an edge of the image there is no context, and the room is used
            room = size - context - (context if start else 0)
            stop = min(start + max(room // multiple * multiple, multiple), whole)
            if start and whole - max(start - context, 0) <= size:
                stop = whole
            span.append((slice(start, stop), slice(max(start - context, 0), min(stop + context, whole))))
            start = stop
        spans.append(span)
    return [Tile(rows, columns, top, left) for rows, top in spans[0] for columns, left in spans[1]]


def windows(image: np.ndarray, cut: list[Tile], multiple: int) -> Iterator[tuple[Tile, np.ndarray]]:
    """Return what is seen of an image in each tile; beyond its end, the image is mirrored.

    Parameters
    ----------
    image : (H, W) array
        Image.
    cut : list of Tile
        Of `tiles`.
    multiple : int
        As given to `tiles`.

    Yields
    ------
    tile : Tile
        Where it is.
    window : (h, w) array of the same dtype
        What is seen.
    """
    rows, columns = (
        np.pad(np.arange(side), (0, -side % multiple), mode="reflect" if side > 1 else "edge") for side in image.shape
    )
    for tile in cut:
        seen = image[_span(rows[tile.seen_rows])][:, _span(columns[tile.seen_columns])]
        yield tile, seen


def _span(index: np.ndarray) -> slice | np.ndarray:
    """A slice where the pixels follow each other, so that inner tiles are no copies."""
    straight = index[-1] - index[0] == len(index) - 1
    return slice(int(index[0]), int(index[-1]) + 1) if straight else index
