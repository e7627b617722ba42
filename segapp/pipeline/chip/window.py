"""A window of a chip as the input of a session: what lies in it, in one frame, with the numbers of the whole chip.

What a session makes of a window is what a run of the whole chip makes there, for objects whose reach lies inside the
window: the same stages run on the same pixels with the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from segapp.core import align, density
from segapp.core.params import Params
from segapp.core.tiling import Window
from segapp.core.types import Grid, InputError, StainFile, Tick, Transcripts
from segapp.pipeline import steps
from segapp.pipeline.chip.kept import WHOLE, Kept
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.view import ChipView
from segapp.pipeline.session import Session

Use = Literal["chip", "window"]

SIDE, SMALLEST, LARGEST = 1024, 256, 2048
"""Side of a window in px: at first, at least, at most."""

STEP = 256
"""Windows begin at multiples of it from the corner of the frame, as the tiles of a run do: blocks of pixels that
functions look at lie alike in both."""


@dataclass(frozen=True, eq=False)
class WindowNumbers:
    """Numbers of the whole chip for a window of it; see `segapp.pipeline.compute.Numbers`.

    Parameters
    ----------
    kept : Kept
        The numbers.
    box : Grid
        The window, in input coordinates.
    use : {"chip", "window"}
        Whether to use them: with "window" each stage fits its own, and only the frame is that of the chip.
    known : frozenset of str
        Names of the numbers of everything that were there when this was made; the others are estimated.
    """

    kept: Kept
    box: Grid
    use: Use = "chip"
    known: frozenset[str] = frozenset()

    def word(self, params: Mapping[str, Params], stage: str) -> str:
        """Return what names the numbers in the keys of a stage."""
        if stage == "stain":
            return "window"  # its digests name the rest
        if self.use == "window" or stage not in WHOLE:
            return ""
        name = self.kept.name(params, stage)
        return f"{name}:{'all' if name in self.known or stage == 'align' else 'estimated'}"

    def given(self, params: Mapping[str, Params], stage: str, tick: Tick) -> tuple[Any, ...] | None:
        """Return the frame and the stain of the window, its part of the alignment and of the density bins."""
        if stage == "stain":
            source = Source(self.kept.chip, params)
            stain = None if self.kept.chip.stain is None else source.raw_stain(self._window(source))
            return stain, self._grid(source)
        if self.use == "window" or stage not in ("align", "density"):
            return None
        if stage == "density":
            if params["density"].method == "off":  # type: ignore[attr-defined]
                return None
            source = Source(self.kept.chip, params)
            found = self.kept.numbers(params, stage, tick)
            window = self._window(source)
            return density.apply_density(found, window.size, window.box[:2]), found
        source = Source(self.kept.chip, params)
        return self._aligned(source, self.kept.numbers(params, stage, tick))

    def fitted(self, params: Mapping[str, Params], stage: str, needs: Mapping[str, Any], tick: Tick) -> Any | None:
        """Return the numbers of a stage."""
        if self.use == "window" or WHOLE.get(stage) != "fit":
            return None
        found = self.kept.numbers(params, stage, tick)
        if stage == "nuclei_network":  # what a network answers is one of the window
            return steps.answer_network(params[stage], tick, needs["stain"], found)
        return found

    def _grid(self, source: Source) -> Grid:
        frame, box = source.frame, self.box
        x0, y0 = max(box.x0, frame.x0), max(box.y0, frame.y0)
        x1 = min(box.x0 + box.width, frame.x0 + frame.width)
        y1 = min(box.y0 + box.height, frame.y0 + frame.height)
        if x0 >= x1 or y0 >= y1:
            raise InputError("the window lies outside the chip as the stain is turned now; move it")
        return Grid(x0, y0, y1 - y0, x1 - x0, frame.um_per_px)

    def _window(self, source: Source) -> Window:
        grid, frame = self._grid(source), source.frame
        y, x = grid.y0 - frame.y0, grid.x0 - frame.x0
        core = (y, x, y + grid.height, x + grid.width)
        return Window(core, core, source.shape)

    def _aligned(self, source: Source, found: align.Alignment) -> tuple[np.ndarray, align.Alignment]:
        window = self._window(source)
        top, left, bottom, right = window.box
        height, width = source.shape
        if found.is_identity:
            stain = source.raw_stain(window)
        else:
            first, last = align.rows_needed(found, height, top, bottom)
            rows = source.raw_stain(Window(window.core, (first, 0, last, width), source.shape))
            stain = align.warp_rows(rows, first, source.shape, found, top, bottom)[:, left:right].copy()
        (a, b, c), (d, e, f) = found.matrix
        local = replace(
            found,
            shape=window.size,
            matrix=((a, b, c + a * left + b * top - left), (d, e, f + d * left + e * top - top)),
            points=tuple((x - left, y - top, u - left, v - top) for x, y, u, v in found.points),
        )
        return stain, local


@dataclass(eq=False)
class ChipWindow:
    """A window of a chip in a session.

    Parameters
    ----------
    kept : Kept
        The chip and its numbers.
    session : Session
        Takes the window as its input.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from segapp.io.chip import convert_chip
    >>> from segapp.io.samples import write_sample
    >>> folder = Path(tempfile.mkdtemp())
    >>> gem, stain, *_ = write_sample("tissue", folder, size=256)
    >>> window = ChipWindow(Kept(convert_chip(gem, folder / "chip")), Session())
    >>> window.open(Grid(40, 60, 150, 130))
    >>> window.session.set("density", method="off")
    >>> window.session.get("total").shape, window.told()
    ((150, 130), 'estimated')
    """

    kept: Kept
    session: Session
    use: Use = "chip"
    box: Grid | None = None

    @property
    def frame(self) -> Grid:
        """Where the whole chip lies, in input coordinates."""
        params = self.session.params
        return Source(self.kept.chip, params).frame

    def read(self, box: Grid) -> tuple[Transcripts, StainFile | None]:
        """Return the records of a window, and a stand-in for its stain: its pixels are read where a stage takes them.

        Raises
        ------
        InputError
            When the window holds no record.
        """
        chip = self.kept.chip
        records = chip.transcripts(box)
        if chip.stain is None:
            return records, None
        words = f"{chip.stain['digest']}:{box.x0},{box.y0},{box.height},{box.width}"
        return records, StainFile(np.zeros((1, 1), np.uint8), name=chip.stain["name"], digest=words)

    def open(self, box: Grid) -> None:
        """Read a window and take it."""
        self.take(box, *self.read(box))

    def take(self, box: Grid, records: Transcripts, stain: StainFile | None) -> None:
        """Let the session have a window that was read; edits stay where they were on the chip."""
        session, before = self.session, self.box
        self.box = box
        path = self.kept.chip.path
        source = {"chip": str(path.resolve()), "box": [box.x0, box.y0, box.width, box.height]}
        session.load(records, stain, name=path.name, source=source, numbers=self.numbers())
        if before is not None and session.params["edits"].log:  # type: ignore[attr-defined]
            session.set("edits", log=_shifted(session.params["edits"], before.x0 - box.x0, before.y0 - box.y0))

    def numbers(self) -> WindowNumbers:
        """Return the numbers for the window as it is now."""
        assert self.box is not None
        return WindowNumbers(self.kept, self.box, self.use, frozenset(self.kept.known()))

    def refresh(self, use: Use | None = None) -> None:
        """Use the numbers of the chip or those of the window, and what was gathered since."""
        self.use = use or self.use
        self.session.use_numbers(self.numbers())

    def told(self) -> Literal["window", "estimated", "chip"]:
        """Return which numbers the present choices use."""
        if self.use == "window":
            return "window"
        params = self.session.params
        return "chip" if all(self.kept.knows(params, stage) for stage in self.kept.used(params)) else "estimated"

    def params(self) -> dict[str, Params]:
        """Return the parameters as a run of the whole chip takes them: edits in px of its frame."""
        session = self.session
        found = dict(session.params)
        edits: Any = found["edits"]
        if edits.log and self.box is not None:
            frame = self.frame
            left, top = max(self.box.x0 - frame.x0, 0), max(self.box.y0 - frame.y0, 0)
            found["edits"] = type(edits)(log=_shifted(edits, left, top))
        return found


def _shifted(edits: Any, dx: float, dy: float) -> tuple[dict[str, Any], ...]:
    """Return edits moved by so many px."""
    moved = []
    for edit in edits.log:
        values = edit.model_dump()
        values["points"] = [(x + dx, y + dy) for x, y in edit.points]
        if getattr(edit, "meant", ()):
            values["meant"] = [[(x + dx, y + dy) for x, y in outline] for outline in edit.meant]
        moved.append(values)
    return tuple(moved)


def densest(chip: Any, frame: Grid, side: int = SIDE) -> Grid:
    """Return the window with most UMIs, by a small picture of the chip."""
    level = 0
    while max(chip.box.shape) >> level > 512 and (chip.path / "arrays.zarr/counts/total" / str(level + 1)).exists():
        level += 1
    counts = chip.counts("total", chip.box, level).astype(np.float64)
    width, height = min(side, frame.width), min(side, frame.height)
    rows, columns = (min(max(size >> level, 1), n) for size, n in zip((height, width), counts.shape, strict=True))
    sums = np.pad(counts, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    x0 = min(max(chip.box.x0 + (int(column) << level), frame.x0), frame.x0 + frame.width - width)
    y0 = min(max(chip.box.y0 + (int(row) << level), frame.y0), frame.y0 + frame.height - height)
    return Grid(x0, y0, height, width, frame.um_per_px)


def snapped(frame: Grid, x0: int, y0: int, width: int, height: int) -> Grid:
    """Return the window that is nearest to what was asked for: inside the frame, on the grid of `STEP`.

    Examples
    --------
    >>> snapped(Grid(10, 10, 5000, 5000), 200, -40, 9999, 500)
    Grid(x0=266, y0=10, height=512, width=2048, um_per_px=0.5)
    """
    at = []
    for start, size, first, whole in ((y0, height, frame.y0, frame.height), (x0, width, frame.x0, frame.width)):
        side = min(max(round(size / STEP) * STEP, SMALLEST), LARGEST, whole)
        offset = min(max(start - first, 0), whole - side)
        offset = round(offset / STEP) * STEP
        at.append((first + offset, min(side, whole - offset)))
    return Grid(at[1][0], at[0][0], at[0][1], at[1][1], frame.um_per_px)


def picture_of(window: ChipWindow, name: str, longest: int = 640) -> np.ndarray:
    """Return a picture of the whole chip: logarithms of the counts of a layer, or the stain between its extremes.

    Returns
    -------
    (h, w) uint8
    """
    view = ChipView(window.kept.chip.path, window.session.params)
    values = view.overview(name, longest).astype(np.float32)
    if name != "stain":
        values = np.log1p(values)
    while max(values.shape) > 2 * longest:  # a stain without levels that are small enough
        values = values[::2, ::2]
    shown = values[values > 0]
    low, high = (0.0, 1.0) if not shown.size else np.percentile(shown, (0.5, 99.5))
    low = min(low, 0.0) if name != "stain" else low
    return np.clip((values - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
