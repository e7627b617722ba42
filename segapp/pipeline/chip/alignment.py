"""Alignment of a chip's stain: found on a small picture of all of it, refined at full size in a few places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segapp.core import align
from segapp.core.align.refine import refine
from segapp.core.align.transform import rescaled
from segapp.core.tiling import Window, halvings, one_thread
from segapp.io.chip.blocks import create_image, disk_errors, open_image
from segapp.pipeline.chip.job import Job
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.workers import Workers

WHOLE_SIDE = 4608
"""Chips up to this side are aligned as they are, as a section of one piece is."""

PLACES, PLACE = 5, 1024
"""Places a side, and their size in px, where a larger chip is looked at in full."""


def find_alignment(source: Source, tell: Any) -> align.Alignment:
    """Return where the frame lies in the stain.

    Parameters
    ----------
    source : Source
        The chip.
    tell : function
        Hears how far it is.
    """
    params: Any = source.params["align"]
    shape = source.shape
    if params.mode == "off":
        moved = align.Alignment("off", shape)
        return align.shifted(moved, params.shift)
    level = halvings(max(shape), WHOLE_SIDE)
    whole = Window.around((0, 0, *shape), 0, shape)

    def tick(done: int, total: int) -> None:
        tell("align", done, max(total, 1))

    if level == 0:
        fixed = source.nuclear(whole)
        return align.align_stain(
            source.raw_stain(whole), source.total(whole) if fixed is None else fixed, params, tick
        )[1]
    scale = 1 << level
    stain = source.raw_stain(whole, level)
    counts = small_counts(source, level, stain.shape)
    k = max(params.k // scale | 1, 1)
    small = params.with_(k=k, shift=(0.0, 0.0), **_smaller(params, scale))
    _, found = align.align_stain(stain, counts, small, tick)
    found = rescaled(found, scale, shape)
    found = replace(found, note=found.note or f"found at 1/{scale} of the size and refined in {PLACES**2} places")
    if not found.points:
        found = refine(found, _places(source, found), params.k)
    return align.shifted(found, params.shift) if any(params.shift) else found


def small_counts(source: Source, level: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return nuclear UMIs (or all, where no layer is nuclear) of the whole frame in squares of ``2**level`` px."""
    layer = source.nuclear_source if source.nuclear_source in source.chip.layers else "total"
    size = 1 << level
    counts = np.zeros(shape, np.uint32)
    rows = 1024 // size * size * 2
    width = -(-source.shape[1] // size) * size
    for top in range(0, shape[0] * size, rows):
        window = Window((0, 0, 1, 1), (top, 0, min(top + rows, shape[0] * size), width), source.shape)
        part = source.chip.counts(layer, source.grid(window))
        height = part.shape[0] // size
        summed = part.reshape(height, size, width // size, size).sum((1, 3), dtype=np.uint32)
        counts[top // size : top // size + height] = summed
    return counts


def _smaller(params: Any, scale: int) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if params.mode == "tps":
        changes["landmarks"] = tuple(tuple((v + 0.5) / scale - 0.5 for v in pair) for pair in params.landmarks)
        if params.meshsize != "auto":
            changes["meshsize"] = max(params.meshsize // scale, 16)
    return changes


def _places(source: Source, found: align.Alignment) -> Any:
    """Yield (top, left, counts, stain as aligned so far) of places with RNA, spread over the frame."""
    height, width = source.shape
    for y in np.linspace(0, height - PLACE, PLACES + 2)[1:-1].astype(int).tolist():
        for x in np.linspace(0, width - PLACE, PLACES + 2)[1:-1].astype(int).tolist():
            core = (y, x, y + PLACE, x + PLACE)
            window = Window(core, core, source.shape)
            fixed = source.nuclear(window)
            fixed = source.total(window) if fixed is None else fixed
            top, bottom = align.rows_needed(found, height, y, y + PLACE)
            rows = source.raw_stain(Window(core, (top, 0, bottom, width), source.shape))
            moved = align.warp_rows(rows, top, source.shape, found, y, y + PLACE)[:, x : x + PLACE]
            yield y, x, fixed, moved


def move_stain(job: Job, found: align.Alignment, pool: Workers, tell: Any) -> None:
    """Write the aligned stain, a strip at a time, where it does not lie as it is."""
    done_file = job.path("stain.done")
    if found.is_identity or done_file.exists():
        return
    source = job.source()
    assert source.chip.stain is not None
    create_image(job.path("stain.zarr"), "moved", source.shape, source.chip.stain["dtype"])
    strips = range(0, source.shape[0], 1024)
    tell("move stain", 0, len(strips))
    done = 0
    for result in pool.map(move_strip, [(job, found, top) for top in strips]):
        done += result is not None
        tell("move stain", done, len(strips))
    done_file.touch()


def move_strip(job: Job, found: align.Alignment, first: int) -> int:
    """Move 1,024 rows of the stain."""
    one_thread()
    source = job.source()
    height, width = source.shape
    last = min(first + 1024, height)
    top, bottom = align.rows_needed(found, height, first, last)
    rows = source.raw_stain(Window((0, 0, 1, 1), (top, 0, bottom, width), source.shape))
    with disk_errors(job.path()):
        open_image(job.path("stain.zarr"), "moved")[first:last] = align.warp_rows(
            rows, top, source.shape, found, first, last
        )
    return first
