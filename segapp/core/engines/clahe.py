"""Local contrast equalisation (CLAHE) that can be found on the parts of an image and applied to any window of it.

The numbers are those of OpenCV's. Its own function takes an image whole; here what it counts (histograms of a grid of
cells) adds up over parts, and what it does to a pixel depends on the place of the pixel in the whole image alone.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from segapp.core.stain import find_range, to_levels

GRID = 100
"""Cells along each side, as the field sets them whatever the size of the image."""


@dataclass(frozen=True, eq=False)
class Contrast:
    """What equalises the contrast of an image and of any window of it.

    Parameters
    ----------
    low, high : float
        Brightness that becomes 0 and 255.
    cell : (int, int)
        Height and width of a cell of the grid in px.
    tables : (GRID, GRID, 256) uint8
        What each of 256 levels becomes in the middle of a cell.
    """

    low: float
    high: float
    cell: tuple[int, int]
    tables: np.ndarray

    def apply(self, stain: np.ndarray, at: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Return the equalised levels of a window.

        Parameters
        ----------
        stain : (h, w) array, 8-bit, 16-bit or float
            Brightness.
        at : (int, int)
            Row and column of the window's first pixel in the whole image.

        Returns
        -------
        (h, w) uint8 array
            Linear between the tables of the four nearest cells.
        """
        levels = to_levels(stain, self.low, self.high)
        return _apply(np.ascontiguousarray(levels), self.tables, *self.cell, *at)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values.

        The tables are 2.56 MB, and 9 MB as a list of numbers; neighbouring levels become nearly the same, so that their
        steps pack to a tenth of that in a string (zlib, base64).
        """
        steps = np.diff(self.tables, axis=2, prepend=np.uint8(0))
        packed = base64.b64encode(zlib.compress(steps.tobytes(), 6)).decode("ascii")
        return {"low": self.low, "high": self.high, "cell": list(self.cell), "tables": packed}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Contrast:
        """Return what `to_json` described.

        Examples
        --------
        >>> stain = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
        >>> contrast = find_contrast(stain, 2.0)
        >>> np.array_equal(Contrast.from_json(contrast.to_json()).tables, contrast.tables)
        True
        """
        return cls(float(values["low"]), float(values["high"]), tuple(values["cell"]), _unpacked(values["tables"]))


_Part = tuple[int, int, np.ndarray]
"""First row and column of cells, and (rows, columns, 256) uint32 histograms: what a window adds."""


def find_contrast(stain: np.ndarray, clip_limit: float) -> Contrast:
    """Find the contrast of a whole image.

    Parameters
    ----------
    stain : (H, W) array, 8-bit, 16-bit or float
        Brightness, finite and not constant.
    clip_limit : float
        Most pixels of a level in a cell, times what they would be if all levels were alike; above 0.

    Returns
    -------
    Contrast

    Examples
    --------
    >>> import cv2
    >>> stain = np.random.default_rng(0).integers(0, 256, (130, 211), np.uint8)
    >>> made = find_contrast(stain, 2.0).apply(stain)
    >>> bool(np.all(made == cv2.createCLAHE(2.0, (GRID, GRID)).apply(stain)))
    True
    """
    low, high = find_range(stain)
    return contrast_of([count(to_levels(stain, low, high), stain.shape)], stain.shape, low, high, clip_limit)


def count(levels: np.ndarray, shape: tuple[int, ...], at: tuple[int, int] = (0, 0)) -> _Part:
    """Count the levels of a window in the cells of the grid.

    Parameters
    ----------
    levels : (h, w) uint8
        A window; the windows of an image must not overlap.
    shape : (int, int)
        Height and width of the whole image in px.
    at : (int, int)
        Row and column of the window's first pixel in it.

    Returns
    -------
    _Part
        With what the window adds to the mirror of the image beyond its end, which fills up the last cells.
    """
    spans = []
    for side, whole, first, size in zip(shape, _padded(shape), at, levels.shape, strict=True):
        source = np.pad(np.arange(side), (0, whole - side), mode="reflect" if side > 1 else "edge")
        mine = np.flatnonzero((source >= first) & (source < first + size))
        spans.append((source[mine] - first, mine // (whole // GRID)))
    (rows, row_cells), (columns, column_cells) = spans
    corner = int(row_cells.min()), int(column_cells.min())
    found = np.zeros((int(row_cells.max()) - corner[0] + 1, int(column_cells.max()) - corner[1] + 1, 256), np.uint32)
    _count(np.ascontiguousarray(levels), rows, row_cells - corner[0], columns, column_cells - corner[1], found)
    return *corner, found


def contrast_of(parts: Iterable[_Part], shape: tuple[int, ...], low: float, high: float, clip_limit: float) -> Contrast:
    """Make a contrast of what the windows of an image counted.

    Parameters
    ----------
    parts : iterable of _Part
        Of `count`, one for each window; together they cover the image.
    shape : (int, int)
        Height and width of the image in px.
    low, high : float
        Brightness that became 0 and 255.
    clip_limit : float
        As for `find_contrast`.
    """
    histograms = np.zeros((GRID, GRID, 256), np.uint32)
    for row, column, part in parts:
        histograms[row : row + part.shape[0], column : column + part.shape[1]] += part
    cell = cell_of(shape)
    area = cell[0] * cell[1]
    return Contrast(low, high, cell, _tables(histograms, area, max(int(clip_limit * area / 256), 1)))


def cell_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of a cell of the grid in px.

    Examples
    --------
    >>> cell_of((200, 300)), cell_of((200, 301))
    ((2, 3), (3, 4))
    """
    height, width = _padded(shape)
    return height // GRID, width // GRID


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sides that cells divide: where one has to be longer, OpenCV lengthens both, one that they divide by `GRID`."""
    if not any(side % GRID for side in shape):
        return shape
    return tuple(side + GRID - side % GRID for side in shape)


@lru_cache(maxsize=2)
def _unpacked(text: str) -> np.ndarray:
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(GRID, GRID, 256)
    tables = np.cumsum(steps, axis=2, dtype=np.uint8)
    tables.flags.writeable = False
    return tables


@njit(cache=True, nogil=True)
def _count(
    levels: np.ndarray,
    rows: np.ndarray,
    row_cells: np.ndarray,
    columns: np.ndarray,
    column_cells: np.ndarray,
    out: np.ndarray,
) -> None:
    for i in range(len(rows)):
        for j in range(len(columns)):
            out[row_cells[i], column_cells[j], levels[rows[i], columns[j]]] += 1


@njit(cache=True, nogil=True)
def _tables(histograms: np.ndarray, area: int, limit: int) -> np.ndarray:
    """Clip each histogram, spread what was clipped over all levels, and sum up: OpenCV's arithmetic, step by step."""
    made = np.empty(histograms.shape, np.uint8)
    scale = np.float32(255) / np.float32(area)
    row = np.empty(256, np.int64)
    for y in range(histograms.shape[0]):
        for x in range(histograms.shape[1]):
            clipped = 0
            for level in range(256):
                row[level] = histograms[y, x, level]
                if row[level] > limit:
                    clipped += row[level] - limit
                    row[level] = limit
            row += clipped // 256
            left = clipped % 256
            if left:
                step = max(256 // left, 1)
                for level in range(0, 256, step):
                    if not left:
                        break
                    row[level] += 1
                    left -= 1
            upto = 0
            for level in range(256):
                upto += row[level]
                made[y, x, level] = min(max(np.rint(np.float32(upto) * scale), 0), 255)
    return made


@njit(cache=True, nogil=True)
def _between(at: int, size: int) -> tuple[int, int, np.float32]:
    """Return the cells whose middles lie before and after a pixel, and the weight of the latter."""
    place = np.float32(at) * (np.float32(1) / np.float32(size)) - np.float32(0.5)
    first = int(np.floor(place))
    return max(first, 0), min(first + 1, GRID - 1), place - np.float32(first)


@njit(cache=True, nogil=True)
def _apply(levels: np.ndarray, tables: np.ndarray, height: int, width: int, top: int, left: int) -> np.ndarray:
    made = np.empty(levels.shape, np.uint8)
    columns = levels.shape[1]
    before, after = np.empty(columns, np.int64), np.empty(columns, np.int64)
    share = np.empty(columns, np.float32)
    for x in range(columns):
        before[x], after[x], share[x] = _between(left + x, width)
    one = np.float32(1)
    for y in range(levels.shape[0]):
        above, below, down = _between(top + y, height)
        for x in range(columns):
            level, along = levels[y, x], share[x]
            over = np.float32(tables[above, before[x], level]) * (one - along) + (
                np.float32(tables[above, after[x], level]) * along
            )
            under = np.float32(tables[below, before[x], level]) * (one - along) + (
                np.float32(tables[below, after[x], level]) * along
            )
            made[y, x] = np.rint(over * (one - down) + under * down)
    return made


def warm() -> None:
    """Compile the kernels of this module."""
    stain = np.arange(4, dtype=np.uint8).reshape(2, 2)
    find_contrast(stain, 2.0).apply(stain)
