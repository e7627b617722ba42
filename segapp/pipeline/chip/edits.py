"""Edits by hand on a chip: those that reach into a window, in its coordinates."""

from __future__ import annotations

import math
from typing import Any

from segapp.core.edits.replay import AROUND_PX, reasons
from segapp.core.tiling import Box, Window


def reach_of_edits(params: Any, core: Box, halo: int) -> Box:
    """Return the smallest box around a core and all edits that touch it or its halo.

    Polygons that include or exclude regions are left out: a window cuts them without harm.
    """
    top, left, bottom, right = core
    for edit in params.log:
        if edit.op in ("include", "exclude"):
            continue
        x, y = zip(*edit.points, strict=True)
        near = min(halo, AROUND_PX)
        if (
            min(y) < core[2] + near
            and max(y) >= core[0] - near
            and min(x) < core[3] + near
            and max(x) >= core[1] - near
        ):
            top, left = min(top, int(min(y))), min(left, int(min(x)))
            bottom, right = max(bottom, int(max(y)) + 1), max(right, int(max(x)) + 1)
    return max(top, 0), max(left, 0), bottom, right


def moved_edit(edit: Any, dx: float, dy: float) -> Any:
    """Return an edit moved by so many px, with the outlines that it remembers."""
    meant = tuple(tuple((x + dx, y + dy) for x, y in outline) for outline in edit.meant)
    return edit.model_copy(update={"points": tuple((x + dx, y + dy) for x, y in edit.points), "meant": meant})


def moved_edits(params: Any, box: Box) -> tuple[Any, list[int]]:
    """Return the edits that touch a window, in its coordinates, and their numbers in the log from 1."""
    kept, numbers = [], []
    for number, edit in enumerate(params.log, 1):
        x, y = zip(*edit.points, strict=True)
        if min(y) < box[2] and max(y) >= box[0] and min(x) < box[3] and max(x) >= box[1]:
            kept.append(moved_edit(edit, -box[1], -box[0]))
            numbers.append(number)
        elif edit.op in ("include", "exclude"):
            # it holds nothing of the window, but the first polygon decides about places that are in none
            kept.append(type(edit)(op=edit.op, points=((-9.0, -9.0), (-8.0, -9.0), (-8.0, -8.0)), target=edit.target))
            numbers.append(number)
    return type(params)(log=tuple(kept)), numbers


def reported(report: tuple[str, ...], numbers: list[int], params: Any, window: Window) -> list[tuple[int, str]]:
    """Return what a tile has to say of the edits that begin in its core: (number, sentence) in terms of the frame."""
    found = []
    top, left, bottom, right = window.core
    height, width = window.shape
    for at, reason in reasons(report).items():
        number = numbers[at - 1]
        edit = params.log[number - 1]
        x, y = (math.floor(value) for value in edit.points[0])
        if top <= min(max(y, 0), height - 1) < bottom and left <= min(max(x, 0), width - 1) < right:
            found.append((number, f"Edit {number} ({edit.op} at x {x}, y {y}) no longer applies: {reason}"))
    return found
