"""Edits by hand as parameters: a log that is replayed on labels, and addresses them by points in the frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator
from scipy import ndimage
from skimage.draw import line as pixels_between
from skimage.draw import polygon as pixels_inside

from segapp.core.checks import check_labels, check_same_shape
from segapp.core.label.expand import expand
from segapp.core.label.overlap import areas, contiguous, label_ids
from segapp.core.params import Params, knob

Box = tuple[slice, slice]

NEEDED = {"draw": 3, "include": 3, "exclude": 3, "merge": 2, "split": 2, "delete": 1}
"""Points that each operation needs at least."""


class Edit(BaseModel):
    """One edit; `points` are (x, y) in px of the frame, pixel (r, c) covers x from c to c + 1 and y from r to r + 1.

    ``draw``
        A polygon becomes a new cell, or a new nucleus, on the pixels that are free.
    ``merge``
        All cells under the points become one, with the id of the first.
    ``split``
        A line cuts the cell that it crosses most in two; the part with more of the nucleus keeps the id.
    ``delete``
        Every cell under a point goes, with its nucleus; with target nuclei only the nucleus goes.
    ``include``, ``exclude``
        Polygons that say which cells are kept. The last polygon around a place decides; places that are in none
        are out when the first polygon includes, and in when it excludes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: Literal["draw", "merge", "split", "delete", "include", "exclude"]
    points: tuple[tuple[float, float], ...]
    target: Literal["cells", "nuclei"] = "cells"

    @model_validator(mode="before")
    @classmethod
    def _check(cls, value: Any) -> Any:
        if isinstance(value, Edit):
            return value
        sentence = _problem(value)
        if sentence:
            raise ValueError(sentence)
        return value


class EditsParams(Params):
    """Cells drawn, merged, split, deleted, included or excluded by hand."""

    log: tuple[Edit, ...] = knob(
        (), doc="Edits in the order they were made; each names its cells by points, so it survives other parameters."
    )


class LimitsParams(Params):
    """Keep cells between a smallest and a largest area."""

    min_area: int = knob(
        0, unit="px²", ge=0, le=1_000_000, soft=(0, 500), doc="Smaller cells are set aside. Higher: fewer cells."
    )
    max_area: int | Literal["off"] = knob(
        "off", unit="px²", ge=1, le=10_000_000, soft=(100, 5000), step=10, doc="Larger cells are set aside; off: none."
    )


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
        A sentence for each edit that no longer applies, with its number in the log; the others apply all the same.

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
    sheet = _Sheet(cells, kernels)
    report = []
    for number, edit in enumerate(params.log, 1):
        reason = _APPLY[edit.op](sheet, edit)
        if reason:
            x, y = (math.floor(value) for value in edit.points[0])
            report.append(f"Edit {number} ({edit.op} at x {x}, y {y}) no longer applies: {reason}.")
    sheet.keep_region()
    return sheet.nuclei, sheet.cells, tuple(report)


def apply_limits(cells: np.ndarray, params: LimitsParams) -> tuple[np.ndarray, np.ndarray]:
    """Set cells aside that are smaller or larger than the limits.

    Parameters
    ----------
    cells : (H, W) integer array
        Cells, 0 is background.
    params : LimitsParams
        Both limits are kept: a cell of exactly `min_area` or `max_area` stays.

    Returns
    -------
    kept, ghosts : (H, W) int32
        Cells within the limits, and those that were set aside; ids stay.

    Raises
    ------
    InputError
        When `cells` is not a label image.

    Examples
    --------
    >>> kept, ghosts = apply_limits(np.array([[1, 2, 2, 3, 3, 3]]), LimitsParams(min_area=2, max_area=2))
    >>> kept.tolist(), ghosts.tolist()
    ([[0, 2, 2, 0, 0, 0]], [[1, 0, 0, 3, 3, 3]])
    """
    cells = check_labels(cells, "cells")
    area = np.take(areas(contiguous(cells)), contiguous(cells))
    top = math.inf if isinstance(params.max_area, str) else params.max_area
    within = (area >= params.min_area) & (area <= top)
    return np.where(within, cells, 0), np.where(within, 0, cells)


def keep_within_limits(
    nuclei: np.ndarray | None, cells: np.ndarray, params: LimitsParams
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Set cells aside by area, as `apply_limits`, and drop their nuclei with them.

    Parameters
    ----------
    nuclei : (H, W) integer array or None
        Nuclei under the ids of their cells.
    cells : (H, W) integer array
        Cells, 0 is background.
    params : LimitsParams
        The limits.

    Returns
    -------
    nuclei : (H, W) int32 or None
        Nuclei of the cells that stay.
    kept, ghosts : (H, W) int32
        As in `apply_limits`.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    Examples
    --------
    >>> keep_within_limits(np.array([[1, 2, 0]]), np.array([[1, 2, 2]]), LimitsParams(min_area=2))[0].tolist()
    [[0, 2, 0]]
    """
    kept, ghosts = apply_limits(cells, params)
    if nuclei is None:
        return None, kept, ghosts
    nuclei = check_labels(nuclei, "nuclei")
    check_same_shape({"nuclei": nuclei, "cells": kept})
    return np.where(np.isin(nuclei, label_ids(ghosts)), 0, nuclei), kept, ghosts


class _Sheet:
    """Labels while edits are applied, with the bounding box of every label so that an edit touches little."""

    def __init__(self, cells: np.ndarray, nuclei: np.ndarray | None) -> None:
        self.cells = cells.copy()
        self.nuclei = None if nuclei is None else nuclei.copy()
        self.boxes = _boxes(self.cells)
        if self.nuclei is not None:
            for label, box in _boxes(self.nuclei).items():
                self.boxes[label] = _around(self.boxes.get(label, box), box)
        self.next_id = max(self.boxes, default=0) + 1
        self.region: np.ndarray | None = None

    def layer(self, edit: Edit) -> np.ndarray | None:
        return self.cells if edit.target == "cells" else self.nuclei

    def at(self, edit: Edit) -> list[int]:
        """Ids under the points, each once, in the order of the points."""
        layer = self.layer(edit)
        found: dict[int, None] = {}
        if layer is not None:
            height, width = layer.shape
            for x, y in edit.points:
                r, c = math.floor(y), math.floor(x)
                if 0 <= r < height and 0 <= c < width and layer[r, c] > 0:
                    found[int(layer[r, c])] = None
        return list(found)

    def replace(self, old: int, new: int) -> None:
        """Give a label another id in both layers; 0 removes it."""
        box = self.boxes.pop(old)
        for layer in (self.cells, self.nuclei):
            if layer is not None:
                part = layer[box]
                part[part == old] = new
        if new:
            self.boxes[new] = _around(self.boxes.get(new, box), box)

    def new(self, box: Box) -> int:
        label = self.next_id
        self.next_id += 1
        self.boxes[label] = box
        return label

    def keep_region(self) -> None:
        """Remove the cells of which more than half lies where the polygons exclude."""
        if self.region is None:
            return
        numbered = contiguous(self.cells)
        whole = areas(numbered)
        out = 2 * np.bincount(numbered[self.region], minlength=len(whole)) < whole
        removed = label_ids(np.where(out[numbered], self.cells, 0))
        for layer in (self.cells, self.nuclei):
            # a nucleus goes with its cell
            if layer is not None and len(removed):
                layer[np.isin(layer, removed)] = 0


def _draw(sheet: _Sheet, edit: Edit) -> str:
    rows, columns = _inside(edit, sheet.cells.shape)
    layer = sheet.layer(edit)
    if layer is None:
        return "there are no nuclei to draw on"
    if not len(rows):
        return "the polygon holds no pixel of the frame"
    free = layer[rows, columns] == 0
    if not free.any():
        return f"every pixel of the polygon belongs to other {edit.target}"
    rows, columns = rows[free], columns[free]
    box = (slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1))
    if edit.target == "cells":
        sheet.cells[rows, columns] = sheet.new(box)
        return ""
    assert sheet.nuclei is not None
    cell = _most(sheet.cells[rows, columns])
    if cell and not (sheet.nuclei[sheet.boxes[cell]] == cell).any():
        # a cell without a nucleus takes it
        sheet.boxes[cell] = _around(sheet.boxes[cell], box)
    else:
        cell = sheet.new(box)
    sheet.nuclei[rows, columns] = cell
    # a nucleus lies within its cell
    sheet.cells[rows, columns] = cell
    return ""


def _merge(sheet: _Sheet, edit: Edit) -> str:
    found = sheet.at(edit)
    if len(found) < 2:
        return f"its points lie on {len(found) or 'no'} {_name(edit)}, and two are needed"
    for other in found[1:]:
        sheet.replace(other, found[0])
    return ""


def _delete(sheet: _Sheet, edit: Edit) -> str:
    found = sheet.at(edit)
    if not found:
        return f"there is no {_name(edit)} at this point"
    for label in found:
        if edit.target == "nuclei":
            assert sheet.nuclei is not None
            part = sheet.nuclei[sheet.boxes[label]]
            part[part == label] = 0
        else:
            sheet.replace(label, 0)
    return ""


def _split(sheet: _Sheet, edit: Edit) -> str:
    layer = sheet.layer(edit)
    rows, columns = _along(edit, sheet.cells.shape)
    if layer is None or not layer[rows, columns].any():
        return f"the line crosses no {_name(edit)}"
    crossed = layer[rows, columns]
    label = _most(crossed[crossed > 0])
    box = sheet.boxes[label]
    whole = layer[box] == label
    cut = np.zeros(layer.shape, bool)
    cut[rows, columns] = True
    halves = _halves(whole, cut[box])
    if halves is None:
        return f"the line does not cross the {_name(edit)} from side to side"
    cell = sheet.cells[box] == label
    nucleus = None if sheet.nuclei is None else sheet.nuclei[box] == label
    # the rest of the cell, and of the nucleus, follows the half that it is nearest to
    rest = cell if nucleus is None else cell | nucleus
    halves = expand(halves, distance=rest.size, max_area=math.inf, mask=rest)
    weigh = nucleus if nucleus is not None and nucleus.any() else rest
    if (halves[weigh] == 2).sum() > (halves[weigh] == 1).sum():
        halves = np.array([0, 2, 1], np.int32)[halves]
    new = sheet.new(box)
    for part, own in ((sheet.cells[box], cell), (None if sheet.nuclei is None else sheet.nuclei[box], nucleus)):
        if part is not None and own is not None:
            part[own & (halves == 2)] = new
    return ""


def _region(sheet: _Sheet, edit: Edit) -> str:
    rows, columns = _inside(edit, sheet.cells.shape)
    if not len(rows):
        return "the polygon holds no pixel of the frame"
    if sheet.region is None:
        sheet.region = np.full(sheet.cells.shape, edit.op == "exclude")
    sheet.region[rows, columns] = edit.op == "include"
    return "" if sheet.cells[rows, columns].any() else "there is no cell in the polygon"


_APPLY: dict[str, Callable[[_Sheet, Edit], str]] = {
    "draw": _draw,
    "merge": _merge,
    "split": _split,
    "delete": _delete,
    "include": _region,
    "exclude": _region,
}


def _halves(whole: np.ndarray, cut: np.ndarray) -> np.ndarray | None:
    """Number the two largest parts that a line leaves of an object 1 and 2, and give them the line's own pixels."""
    # the line is joined by corners, so parts are told apart by sides
    n, parts, stats, _ = cv2.connectedComponentsWithStats((whole & ~cut).astype(np.uint8), connectivity=4)
    if n < 3:
        return None
    first, second = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:2] + 1
    halves = np.where(parts == first, 1, np.where(parts == second, 2, 0)).astype(np.int32)
    return expand(halves, distance=whole.size, max_area=math.inf, mask=whole)


def _inside(edit: Edit, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels whose centre lies in the polygon."""
    x, y = np.array(edit.points).T
    rows, columns = pixels_inside(y - 0.5, x - 0.5, shape)
    return rows, columns


def _along(edit: Edit, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the line through the points, inside the frame."""
    corners = np.floor(np.array(edit.points)).astype(int)
    legs = [pixels_between(y0, x0, y1, x1) for (x0, y0), (x1, y1) in itertools.pairwise(corners)]
    rows, columns = (np.concatenate(part) for part in zip(*legs, strict=True))
    seen = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return rows[seen], columns[seen]


def _boxes(labels: np.ndarray) -> dict[int, Box]:
    return {
        int(label): box for label, box in zip(label_ids(labels), ndimage.find_objects(contiguous(labels)), strict=True)
    }


def _most(ids: np.ndarray) -> int:
    found, n = np.unique(ids, return_counts=True)
    return int(found[n.argmax()])


def _around(a: Box, b: Box) -> Box:
    rows, columns = (slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(a, b, strict=True))
    return rows, columns


def _name(edit: Edit) -> str:
    return "cell" if edit.target == "cells" else "nucleus"


def _problem(value: Any) -> str:
    """Say what is wrong with an edit as it was given, or nothing."""
    if not isinstance(value, dict):
        return f"log holds {value!r} but an edit has op, points and target; see the documentation of edits."
    op, points, target = value.get("op"), value.get("points"), value.get("target", "cells")
    if op not in NEEDED:
        return f"log holds an edit with op={op}; it must be one of {', '.join(NEEDED)}."
    if target not in ("cells", "nuclei"):
        return f"log holds a {op} with target={target}; it must be cells or nuclei."
    if set(value) - {"op", "points", "target"}:
        return (
            f"log holds a {op} with {', '.join(sorted(set(value) - {'op', 'points', 'target'}))}, which is not known."
        )
    if not isinstance(points, list | tuple) or not all(_is_point(point) for point in points):
        return f"log holds a {op} whose points are not pairs of numbers such as [[12.5, 40.0]]."
    if len(points) < NEEDED[op]:
        return f"log holds a {op} with {len(points)} points but {NEEDED[op]} are needed."
    return ""


def _is_point(point: Any) -> bool:
    if not isinstance(point, list | tuple) or len(point) != 2:
        return False
    return all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e6 for v in point)
