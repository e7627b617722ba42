"""Cells of all tiles as cells of one chip: who owns which, and whether neighbours agree on those that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.core.types import InputError

Tile = tuple[int, int]

PER_CELL = ("key", "area", "sum_x", "sum_y", "nucleus_area", "mark", "border", "source")


def disagreeing(blocks: Mapping[Tile, Mapping[str, Any]], width: int, side: int) -> set[Tile]:
    """Return the tiles that do not agree on a cell, both those that see it and the one that owns it.

    A cell is named by its first pixel. Where it crosses a border, each tile has seen it whole and has hashed its
    pixels: equal hashes are equal cells, so nothing is lost, cut or doubled.

    Parameters
    ----------
    blocks : mapping of tile to objects
        As `finish_tile` makes them.
    width : int
        Width of the frame in px: key ``y * width + x`` is the pixel (x, y).
    side : int
        Side of a tile in px.

    Returns
    -------
    set of tile
        None, where all is well. A cell that its owner does not know, or knows as another, says nothing of who is
        wrong: either may have seen too little around it.

    Examples
    --------
    >>> def block(key, mark, owned):
    ...     return {"key": np.array([key]), "mark": np.array([mark], np.uint64), "owned": np.array([owned])}
    >>> left, right = block(1, 5, True), block(1, 5, False)
    >>> disagreeing({(0, 0): left, (0, 1): right}, 8, 4)
    set()
    >>> sorted(disagreeing({(0, 0): left, (0, 1): block(2, 5, False)}, 8, 4))
    [(0, 0), (0, 1)]
    """
    tiles = list(blocks)
    keys = np.concatenate([blocks[tile]["key"] for tile in tiles])
    marks = np.concatenate([blocks[tile]["mark"] for tile in tiles])
    owned = np.concatenate([blocks[tile]["owned"] for tile in tiles])
    tile_of = np.repeat(np.arange(len(tiles)), [len(blocks[tile]["key"]) for tile in tiles])
    order = np.argsort(keys[owned], kind="stable")
    own_keys, own_marks = keys[owned][order], marks[owned][order]
    wrong = np.ones(len(keys), bool)
    if len(own_keys):
        at = np.searchsorted(own_keys, keys).clip(max=len(own_keys) - 1)
        wrong = (own_keys[at] != keys) | (own_marks[at] != marks)
    y, x = np.divmod(keys[wrong], width)
    owners = zip((y // side).tolist(), (x // side).tolist(), strict=True)
    return {tiles[i] for i in np.unique(tile_of[wrong])} | set(owners)


def joined(blocks: Mapping[Tile, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cells of the chip in reading order of their first pixels; cell i + 1 is row i.

    Parameters
    ----------
    blocks : mapping of tile to objects
        That agree.

    Returns
    -------
    dict
        One array for each of the numbers of a cell, ``score`` and ``probability`` or None, and what is summed over the
        tiles: ``unassigned`` by layer, ``umis``, ``report``.

    Raises
    ------
    InputError
        When two tiles own one cell, which would be a fault of this program.
    """
    order = None
    made: dict[str, Any] = {}
    for name in (*PER_CELL, "score", "probability"):
        parts = [block[name][block["owned"]] for block in blocks.values() if block[name] is not None]
        values = np.concatenate(parts) if parts else None
        if order is None and values is not None:
            order = np.argsort(values, kind="stable")
        made[name] = None if values is None else values[order]
    if len(made["key"]) > 1 and (np.diff(made["key"]) == 0).any():
        raise InputError("two tiles own one cell; run again without --resume, and report this")
    some = next(iter(blocks.values()))
    made["unassigned"] = {
        layer: sum(block["unassigned"][layer] for block in blocks.values()) for layer in some["unassigned"]
    }
    made["umis"] = sum(block["umis"] for block in blocks.values())
    made["report"] = [text for _, text in sorted(line for block in blocks.values() for line in block["report"])]
    return made


def numbers_of(block: Mapping[str, Any], keys: np.ndarray) -> np.ndarray:
    """Return the table from the labels of a tile to the ids of the chip: (n + 1,) uint32, 0 stays 0."""
    table = np.zeros(len(block["key"]) + 1, np.uint32)
    table[1:] = np.searchsorted(keys, block["key"]) + 1
    return table
