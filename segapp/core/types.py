"""Values that every floor shares: the frame, the transcripts, the errors and the tick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Tick = Callable[[int, int], None]
"""``tick(done, total)``: reports progress of long work and raises `Cancelled` when it must stop."""


def no_tick(done: int, total: int) -> None:
    """Ignore progress: the default of every function that takes a `Tick`."""


class SegappError(Exception):
    """Something the user can mend; its text is one sentence: what was given, what is needed, what to do."""


class InputError(SegappError):
    """A file, an array or a parameter that cannot be used as it is."""


class Unavailable(SegappError):
    """A method that needs something which is not there: an optional package, a stain, a seed layer."""


class Cancelled(Exception):
    """The work was stopped on request; nothing failed."""


@dataclass(frozen=True)
class Grid:
    """Where an array sits: pixel (r, c) is input position (``x0 + c``, ``y0 + r``).

    Parameters
    ----------
    x0, y0 : int
        Input coordinates of array pixel (0, 0).
    height, width : int
        Shape of every array in this frame, in px.
    um_per_px : float
        Side of a pixel in micrometres.

    Examples
    --------
    >>> grid = Grid(x0=9600, y0=12600, height=300, width=300, um_per_px=0.5)
    >>> grid.shape, grid.um(5), grid.um2(80)
    ((300, 300), 2.5, 20.0)
    """

    x0: int
    y0: int
    height: int
    width: int
    um_per_px: float = 0.5

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self.height, self.width

    def um(self, px: float) -> float:
        """Length in micrometres of `px` pixels."""
        return px * self.um_per_px

    def um2(self, px: float) -> float:
        """Area in square micrometres of `px` pixels."""
        return px * self.um_per_px**2


@dataclass(frozen=True, eq=False)
class Transcripts:
    """UMI records in input coordinates: the content of a GEM, one row a (gene, x, y).

    Parameters
    ----------
    x, y : (N,) int32
        Input coordinates, exactly as the file gives them (header offsets are never added).
    gene : (N,) int32
        Index into `genes`.
    counts : mapping of str to (N,) uint32
        UMIs by layer. ``"total"`` is always there; ``"spliced"``, ``"unspliced"``, ``"exon"`` where the file has them.
    genes : tuple of str
        Gene names, unique, in order of first appearance sorted by name.
    header : mapping of str to str
        The ``#`` lines of the file.
    cell_id : (N,) uint32 or None
        Cell ids that came with the file.
    digest : str
        Hash of the content; it stands for these transcripts in cache keys.
    """

    x: np.ndarray
    y: np.ndarray
    gene: np.ndarray
    counts: Mapping[str, np.ndarray]
    genes: tuple[str, ...]
    header: Mapping[str, str] = field(default_factory=dict)
    cell_id: np.ndarray | None = None
    digest: str = ""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """(x_min, y_min, x_max, y_max), inclusive, in input coordinates."""
        return int(self.x.min()), int(self.y.min()), int(self.x.max()), int(self.y.max())

    @property
    def n_umis(self) -> int:
        """All UMIs, as a 64-bit sum."""
        return int(self.counts["total"].sum(dtype=np.int64))

    def __repr__(self) -> str:
        x0, y0, x1, y1 = self.bbox
        return (
            f"Transcripts({len(self):,} records, {self.n_umis:,} UMIs, {len(self.genes):,} genes, "
            f"x {x0}-{x1}, y {y0}-{y1}, layers {', '.join(self.counts)})"
        )


@dataclass(frozen=True, eq=False)
class StainFile:
    """A stain as the file holds it, before a channel, an orientation and an origin are chosen.

    Parameters
    ----------
    image : (H, W) or (H, W, C) or (C, H, W) array of uint8, uint16 or float
        Pixels as stored; `axes` says which axis is the channel.
    axes : str
        ``"YX"``, ``"YXS"`` (RGB samples) or ``"CYX"``.
    channels : tuple of str
        Names of the channels; empty for a single-channel image.
    name : str
        File name, for messages.
    digest : str
        Hash of the content; it stands for this image in cache keys.
    um_per_px : float or None
        Side of a pixel in micrometres where the file says it.
    """

    image: np.ndarray
    axes: str = "YX"
    channels: tuple[str, ...] = ()
    name: str = "stain"
    digest: str = ""
    um_per_px: float | None = None


@dataclass(frozen=True)
class Fitted:
    """Numbers of a whole image that any window of it needs.

    Parameters
    ----------
    statistics : mapping
        JSON-serialisable.
    """

    statistics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreInfo:
    """How a score map was made: what the mask needs to choose its defaults, and the fitted numbers.

    Parameters
    ----------
    method : str
        Name of the scoring method, such as ``"EM+BP"``.
    k : int
        Kernel diameter in px.
    statistics : mapping
        Numbers fitted on the whole image (mixture parameters per density bin, percentiles); JSON-serialisable.
    """

    method: str
    k: int
    statistics: Mapping[str, Any] = field(default_factory=dict)
