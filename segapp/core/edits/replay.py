"""Replay a log of edits on labels; cells are found by points in the frame, whatever their ids are now."""

from __future__ import annotations

import math
import re

import numpy as np

from segapp.core.checks import check_labels, check_same_shape
from segapp.core.edits.declared import Edit, EditsParams
from segapp.core.edits.sheet import APPLY, MEETS, Sheet

SAME = 0.5
"""Share of the common area (intersection over union) below which a cell is not the one that an edit was made for."""

AROUND_PX = 160
"""How far around its points an edit is tried before it is taken into the log: further than a cell is wide."""


def apply_edits(
    nuclei: np.ndarray | None, cells: np.ndarray, params: EditsParams
) -> tuple[np.ndarray | None, np.ndarray, tuple[str, ...]]:
    """Replay a log of edits on nuclei and cells.

    Parameters
    ----------
    nuclei : (H, W) integer array or None
        Nuclei under the ids of their cells, or None where there are none.
    cells : (H, W) integer array
        Cells, 0 is background.
    params : EditsParams
        The log.

    Returns
    -------
    nuclei : (H, W) int32 or None
        A nucleus keeps the id of its cell, and lies within it.
    cells : (H, W) int32
        Cells after all edits. New cells have ids above all that came in.
    report : tuple of str
        A sentence for each edit that no longer applies, or that meets another cell than it was made for (where it says
        which was meant), with its number in the log; the others apply all the same.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    Examples
    --------
    >>> cells = np.array([[1, 1, 0, 2, 2, 0]])
    >>> log = [{"op": "merge", "points": [[0.5, 0.5], [3.5, 0.5]]}, {"op": "delete", "points": [[2.5, 0.5]]}]
    >>> _, edited, report = apply_edits(None, cells, EditsParams(log=log))
    >>> edited.tolist(), report
    ([[1, 1, 0, 1, 1, 0]], ('Edit 2 (delete at x 2, y 0) no longer applies: there is no cell at this point.',))
    """
    cells = check_labels(cells, "cells")
    kernels = None if nuclei is None else check_labels(nuclei, "nuclei")
    check_same_shape({"cells": cells, "nuclei": kernels})
    if not params.log:
        return kernels, cells, ()
    sheet = Sheet(cells, kernels)
    report = []
    for number, edit in enumerate(params.log, 1):
        x, y = (math.floor(value) for value in edit.points[0])
        shared = sheet.shared(edit)
        reason = APPLY[edit.op](sheet, edit)
        if not reason and shared < SAME:
            report.append(
                f"Edit {number} ({edit.op} at x {x}, y {y}) meets another {_name(edit)} than it was made for: "
                f"they share {shared:.0%} of their area."
            )
        if reason:
            report.append(f"Edit {number} ({edit.op} at x {x}, y {y}) no longer applies: {reason}.")
    sheet.keep_region()
    return sheet.nuclei, sheet.cells, tuple(report)


def reasons(report: tuple[str, ...]) -> dict[int, str]:
    """Return why edits of a log no longer apply, by their number from 1.

    Parameters
    ----------
    report : tuple of str
        From `apply_edits`.

    Examples
    --------
    >>> reasons(("Edit 2 (delete at x 2, y 0) no longer applies: there is no cell at this point.",))
    {2: 'there is no cell at this point.'}
    """
    found = (re.match(r"Edit (\d+) \(.*?\) no longer applies: (.*)", sentence) for sentence in report)
    return {int(match[1]): match[2] for match in found if match is not None}


def strangers(report: tuple[str, ...]) -> dict[int, str]:
    """Return how edits of a log meet other cells than they were made for, by their number from 1.

    Parameters
    ----------
    report : tuple of str
        From `apply_edits`.

    Examples
    --------
    >>> strangers(("Edit 2 (delete at x 2, y 0) meets another cell than it was made for: they share 31% of it.",))
    {2: 'they share 31% of it.'}
    """
    found = (re.match(r"Edit (\d+) \(.*?\) meets another .*? made for: (.*)", sentence) for sentence in report)
    return {int(match[1]): match[2] for match in found if match is not None}


def why_not(nuclei: np.ndarray | None, cells: np.ndarray, edit: Edit) -> str:
    """Say why an edit would change nothing now, or nothing.

    Parameters
    ----------
    nuclei : (H, W) int32 or None
        Nuclei under the ids of their cells, after the edits that are in the log.
    cells : (H, W) int32
        Cells, likewise.
    edit : Edit
        The edit that is about to be added.

    Returns
    -------
    str
        A reason, as in the report of `apply_edits`; empty where the edit applies. Only the surroundings of its points
        are looked at.

    Examples
    --------
    >>> cells = np.array([[1, 1, 0, 2, 2]], np.int32)
    >>> why_not(None, cells, Edit(op="delete", points=((2.5, 0.5),)))
    'there is no cell at this point'
    >>> why_not(None, cells, Edit(op="delete", points=((0.5, 0.5),)))
    ''
    """
    found = _near(nuclei, cells, edit)
    if found is None:
        return "it lies outside the frame"
    sheet, moved, _ = found
    return APPLY[edit.op](sheet, moved)


def with_meant(nuclei: np.ndarray | None, cells: np.ndarray, edit: Edit) -> Edit:
    """Return an edit that remembers the outlines of the cells that it meets now.

    Parameters
    ----------
    nuclei, cells : (H, W) int32
        As in `why_not`.
    edit : Edit
        A merge, a split or a delete; another is returned as it is.

    Returns
    -------
    Edit

    Examples
    --------
    >>> cells = np.zeros((9, 9), np.int32)
    >>> cells[2:6, 2:7] = 1
    >>> with_meant(None, cells, Edit(op="delete", points=((4, 4),))).meant
    (((2.0, 2.0), (2.0, 6.0), (7.0, 6.0), (7.0, 2.0)),)
    """
    found = _near(nuclei, cells, edit)
    if found is None or edit.op not in MEETS:
        return edit
    sheet, moved, (x0, y0) = found
    outlines = tuple(tuple((x + x0, y + y0) for x, y in outline) for outline in sheet.outlines(moved))
    return Edit(op=edit.op, points=edit.points, target=edit.target, meant=outlines)


def _near(nuclei: np.ndarray | None, cells: np.ndarray, edit: Edit) -> tuple[Sheet, Edit, tuple[int, int]] | None:
    """Return the surroundings of an edit, the edit in their coordinates, and where they begin; None outside."""
    x, y = np.array(edit.points).T
    height, width = cells.shape
    x0, y0 = (int(np.clip(values.min() - AROUND_PX, 0, side)) for values, side in ((x, width), (y, height)))
    x1, y1 = (int(np.clip(values.max() + AROUND_PX, 0, side)) for values, side in ((x, width), (y, height)))
    moved = Edit(op=edit.op, points=tuple(zip((x - x0).tolist(), (y - y0).tolist(), strict=True)), target=edit.target)
    if x1 <= x0 or y1 <= y0:
        return None
    part = (slice(y0, y1), slice(x0, x1))
    return Sheet(cells[part], None if nuclei is None else nuclei[part]), moved, (x0, y0)


def _name(edit: Edit) -> str:
    return "cell" if edit.target == "cells" else "nucleus"
