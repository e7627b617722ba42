"""What a report is drawn from: the numbers of the cells, and pixels that come a window at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from segapp.core.doubt import Window
from segapp.core.types import Grid
from segapp.io.table import picture_of

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Placed:
    """A picture and where it lies.

    Parameters
    ----------
    image : (h, w) or (h, w, 3) uint8, or (h, w) integer labels
        Pixels.
    x, y : int
        Its left and upper edge, px of the frame.
    step : int
        Side of one of its pixels, px of the frame.
    """

    image: np.ndarray
    x: int = 0
    y: int = 0
    step: int = 1

    def cut(self, window: Window) -> Placed:
        """Return the pixels that lie in a window, whole: they may reach beyond it."""
        top, left = (max((start - at) // self.step, 0) for start, at in ((window.row, self.y), (window.column, self.x)))
        bottom, right = (
            -(-(start + window.side - at) // self.step) for start, at in ((window.row, self.y), (window.column, self.x))
        )
        part = self.image[top:bottom, left:right]
        return Placed(part, self.x + left * self.step, self.y + top * self.step, self.step)


class Pixels(Protocol):
    """Where pictures and labels come from; nothing but what is asked for need be in memory."""

    def overview(self) -> Placed:
        """Return a picture of the whole, (h, w) uint8."""

    def small_labels(self, side: int) -> Placed:
        """Return the cells of the whole, about `side` px long."""

    def picture(self, window: Window) -> Placed:
        """Return the picture behind a window, (h, w) of any kind."""

    def labels(self, window: Window) -> np.ndarray:
        """Return the cells in a window, at full size."""

    def nuclei(self, window: Window) -> np.ndarray | None:
        """Return the nuclei in a window, at full size; None where there are none beside the cells."""


@dataclass(frozen=True, eq=False)
class Subject:
    """Cells that a report is about.

    Parameters
    ----------
    obs : DataFrame
        One row a cell.
    spatial : (N, 2) float64
        Centres (x, y) in px of the frame.
    made : mapping
        ``uns["segapp"]`` of the table.
    grid : Grid
        Where the frame lies.
    n_genes : int
        Columns of the table.
    pixels : Pixels
        Pictures and labels.
    card : mapping of str to number
        The scorecard, as far as it is known.
    noun : str
        What was segmented: a section, or a chip.
    command : str
        Repeats the result.
    behind : str
        What the close views show, where that is to be said; a sentence.
    lacks : tuple of str
        What is not known, a sentence each.
    numbers : mapping of str to JSON values
        Numbers of the whole by stage, where the cells were made of tiles.
    """

    obs: DataFrame
    spatial: np.ndarray
    made: Mapping[str, Any]
    grid: Grid
    n_genes: int
    pixels: Pixels
    card: Mapping[str, Any]
    noun: str = "section"
    command: str = "segapp run --recipe recipe.json"
    behind: str = ""
    lacks: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


class SectionPixels:
    """Pixels of one section, in memory.

    Parameters
    ----------
    table : AnnData
        With the picture.
    labels : (H, W) integer array
        Cells.
    nuclei : (H, W) integer array or None
        Nuclei under the ids of their cells.
    """

    def __init__(self, table: Any, labels: np.ndarray, nuclei: np.ndarray | None) -> None:
        self.whole = picture_in(table) or Placed(np.zeros(labels.shape, np.uint8))
        self.cells, self.inner = labels, nuclei

    def overview(self) -> Placed:
        """Return the picture inside the table."""
        return self.whole

    def small_labels(self, side: int) -> Placed:
        """Return every n-th pixel."""
        step = max(1, -(-max(self.cells.shape) // side))
        return Placed(self.cells[::step, ::step], step=step)

    def picture(self, window: Window) -> Placed:
        """Return a part of the picture inside the table."""
        return self.whole.cut(window)

    def labels(self, window: Window) -> np.ndarray:
        """Return a part of the cells."""
        return self.cells[_slices(window)]

    def nuclei(self, window: Window) -> np.ndarray | None:
        """Return a part of the nuclei."""
        return None if self.inner is None else self.inner[_slices(window)]


def picture_in(table: Any) -> Placed | None:
    """Return the picture inside a table; None where there is none."""
    image, step = picture_of(table)
    # pixel i of the picture is centred on px i * step of the frame: it covers as many px around it
    before = step // 2
    return None if image is None else Placed(image, -before, -before, step)


def _slices(window: Window) -> tuple[slice, slice]:
    return slice(window.row, window.row + window.side), slice(window.column, window.column + window.side)
