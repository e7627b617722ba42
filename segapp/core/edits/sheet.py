"""One function an operation, on labels that remember where each of them lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import cv2
import numpy as np
from skimage.draw import line as pixels_between
from skimage.draw import polygon as pixels_inside

from segapp.core.edits.declared import Edit
from segapp.core.label.expand import expand
from segapp.core.label.overlap import areas, contiguous, label_ids
from segapp.core.types import InputError

Box = tuple[slice, slice]


class Sheet:
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
        """Return the labels that an edit works on."""
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

    def met(self, edit: Edit) -> list[int]:
        """Ids of what an edit works on: under its points, or crossed by its line."""
        if edit.op != "split":
            return self.at(edit) if edit.op in MEETS else []
        layer = self.layer(edit)
        rows, columns = _along(edit, self.cells.shape)
        crossed = rows[:0] if layer is None else layer[rows, columns]
        return [_most(crossed[crossed > 0])] if crossed.any() else []

    def outlines(self, edit: Edit) -> list[list[tuple[float, float]]]:
        """Outlines (x, y) of what an edit works on, each to within a pixel, of the largest piece."""
        found = []
        layer = self.layer(edit)
        for label in self.met(edit):
            assert layer is not None
            rows, columns = self.boxes[label]
            # each pixel as 2 x 2, so that the outline runs along its sides
            whole = np.kron((layer[rows, columns] == label).astype(np.uint8), np.ones((2, 2), np.uint8))
            curves, _ = cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            curve = cv2.approxPolyDP(max(curves, key=cv2.contourArea), 1.0, True)[:, 0]
            corners = np.ceil(curve / 2.0)
            found.append([(float(x + columns.start), float(y + rows.start)) for x, y in corners])
        return found

    def shared(self, edit: Edit) -> float:
        """Smallest share of its area that a cell which was meant has in common with one that is met; 1 without any."""
        layer = self.layer(edit)
        if not edit.meant or layer is None:
            return 1.0
        numbers = self.met(edit)
        least = 1.0
        for outline in edit.meant:
            x, y = np.array(outline).T
            rows, columns = pixels_inside(y - 0.5, x - 0.5, layer.shape)
            under = layer[rows, columns]
            best = 0.0
            for label in numbers:
                both = int((under == label).sum())
                area = int((layer[self.boxes[label]] == label).sum())
                best = max(best, both / max(len(rows) + area - both, 1))
            least = min(least, best)
        return least

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
        """Return an id that no label has, for what lies in `box`."""
        label = self.next_id
        if label > np.iinfo(np.int32).max:
            raise InputError(
                f"the labels go up to {label - 1:,}, the largest id there is, so that an edit can add none; "
                "number them from 1 on first"
            )
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


def _draw(sheet: Sheet, edit: Edit) -> str:
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


def _merge(sheet: Sheet, edit: Edit) -> str:
    found = sheet.at(edit)
    if len(found) < 2:
        return f"its points lie on {len(found) or 'no'} {_name(edit)}, and two are needed"
    for other in found[1:]:
        sheet.replace(other, found[0])
    return ""


def _delete(sheet: Sheet, edit: Edit) -> str:
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


def _split(sheet: Sheet, edit: Edit) -> str:
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


def _region(sheet: Sheet, edit: Edit) -> str:
    rows, columns = _inside(edit, sheet.cells.shape)
    if not len(rows):
        return "the polygon holds no pixel of the frame"
    if sheet.region is None:
        sheet.region = np.full(sheet.cells.shape, edit.op == "exclude")
    sheet.region[rows, columns] = edit.op == "include"
    return "" if sheet.cells[rows, columns].any() else "there is no cell in the polygon"


MEETS = ("merge", "split", "delete")
"""Operations on cells that are there already."""

APPLY: dict[str, Callable[[Sheet, Edit], str]] = {
    "draw": _draw,
    "merge": _merge,
    "split": _split,
    "delete": _delete,
    "include": _region,
    "exclude": _region,
}
"""Operation to a function of (sheet, edit): it changes the sheet, or returns why it does not."""


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
    from scipy import ndimage  # late: the program starts sooner

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
