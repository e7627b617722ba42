"""Pictures of a whole chip that fit a screen, from its pyramids, and where on it to look first."""

from __future__ import annotations

import numpy as np

from segapp.core.tiling import Window, halvings
from segapp.core.types import Grid, Unavailable
from segapp.io.chip import Chip
from segapp.pipeline.chip.source import Source

SCREEN = 1024
"""Longest side of an overview in px, about."""

ROUGH = 512
"""Longest side in px of the picture in which the densest place is looked for."""


def overview(source: Source, name: str, longest: int = SCREEN) -> np.ndarray:
    """Return a picture of the whole frame of a chip that is about `longest` px long.

    Parameters
    ----------
    source : Source
        The chip, turned as its parameters say.
    name : str
        ``"stain"`` (means, as it lies) or a layer of the counts (sums).
    longest : int
        Pixels; a power of two smaller than the frame is taken, as far as the pyramid goes.

    Returns
    -------
    (h, w) array
        Pixel (r, c) is frame pixel (r, c) times the power of two. Counts start at a tile of the chip, which may lie
        up to 1,023 px left of and above the frame: they are cut to it within one pixel of the picture.

    Raises
    ------
    Unavailable
        When the chip has no such layer, or no stain.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from segapp.io.chip import convert_chip
    >>> from segapp.io.samples import write_sample
    >>> from segapp.pipeline.stages import PIPELINE
    >>> folder = Path(tempfile.mkdtemp())
    >>> gem, stain, *_ = write_sample("tissue", folder, size=256)
    >>> source = Source(convert_chip(gem, folder / "chip", stain=stain), PIPELINE.defaults())
    >>> overview(source, "total").shape, overview(source, "stain").dtype
    ((256, 256), dtype('uint8'))
    """
    most = halvings(max(source.shape), longest)
    whole = Window((0, 0, *source.shape), (0, 0, *source.shape), source.shape)
    if name == "stain":
        if source.chip.stain is None:
            raise Unavailable("the chip has no stain: convert it with one")
        return source.raw_stain(whole, source.chip.level("stain", most))
    level = source.chip.level(f"counts/{name}", most)
    height, width = (-(-side // (1 << level)) for side in source.shape)
    return source.chip.counts(name, source.grid(whole), level)[:height, :width]


def picture_of(source: Source, name: str, longest: int = 640) -> np.ndarray:
    """Return a picture of the whole chip: logarithms of the counts of a layer, or the stain between its extremes.

    Parameters
    ----------
    source, name, longest
        As `overview` takes them.

    Returns
    -------
    (h, w) uint8
    """
    values = overview(source, name, longest).astype(np.float32)
    if name != "stain":
        values = np.log1p(values)
    while max(values.shape) > 2 * longest:  # a stain without levels that are small enough
        values = values[::2, ::2]
    shown = values[values > 0]
    low, high = (0.0, 1.0) if not shown.size else np.percentile(shown, (0.5, 99.5))
    low = min(low, 0.0) if name != "stain" else low
    return np.clip((values - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)


def densest(chip: Chip, frame: Grid, side: int) -> Grid:
    """Return the window of `side` px with most UMIs, by a small picture of the chip."""
    level = chip.level("counts/total", halvings(max(chip.box.shape), ROUGH))
    counts = chip.counts("total", chip.box, level).astype(np.float64)
    width, height = min(side, frame.width), min(side, frame.height)
    rows, columns = (min(max(size >> level, 1), n) for size, n in zip((height, width), counts.shape, strict=True))
    sums = np.pad(counts, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    x0 = min(max(chip.box.x0 + (int(column) << level), frame.x0), frame.x0 + frame.width - width)
    y0 = min(max(chip.box.y0 + (int(row) << level), frame.y0), frame.y0 + frame.height - height)
    return Grid(x0, y0, height, width, frame.um_per_px)
