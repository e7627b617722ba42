"""The stain that the cells of a chip were made on, read again a window at a time."""

from __future__ import annotations

import dataclasses
import json

import numpy as np

from segapp.core import align
from segapp.core.tiling import Window
from segapp.core.types import Grid
from segapp.io.chip.saved import SavedChip
from segapp.pipeline.chip.numbers import numbers_from
from segapp.pipeline.chip.source import Source
from segapp.pipeline.recipe import Recipe, params_from
from segapp.pipeline.stages import PIPELINE


def with_stain(saved: SavedChip) -> SavedChip:
    """Return cells that know the stain they were made on, where their chip is at hand and has one.

    Parameters
    ----------
    saved : SavedChip
        The cells, with the chip.

    Returns
    -------
    SavedChip
        Its `stain` reads the chosen channel, turned and moved as the recipe says. Of a stain that was moved all columns
        of the rows that a window needs are read.
    """
    if saved.chip is None or saved.chip.stain is None:
        return saved
    recipe = Recipe.from_json(json.loads(saved.recipe))
    found = numbers_from({name: value for name, value in recipe.statistics.items() if name == "align"}).get("align")
    source = Source(saved.chip, params_from(PIPELINE, recipe), {} if found is None else {"align": found})
    if source.frame.shape != saved.grid.shape:
        return saved

    def read(grid: Grid) -> np.ndarray:
        top, left = grid.y0 - saved.grid.y0, grid.x0 - saved.grid.x0
        bottom, right = top + grid.height, left + grid.width
        core = (top, left, bottom, right)
        if found is None or found.is_identity:
            return source.raw_stain(Window(core, core, source.shape))
        first, last = align.rows_needed(found, source.shape[0], top, bottom)
        rows = source.raw_stain(Window(core, (first, 0, last, source.shape[1]), source.shape))
        return align.warp_rows(rows, first, source.shape, found, top, bottom)[:, left:right]

    return dataclasses.replace(saved, stain=read)
