"""A window of a chip as the input of a session: what lies in it, in one frame, with the numbers of the whole chip.

What a session makes of a window is what a run of the whole chip makes there, for objects whose reach lies inside the
window: the same stages run on the same pixels with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from segapp.core import align, density
from segapp.core.notes import note
from segapp.core.params import Params
from segapp.core.tiling import Window
from segapp.core.types import Grid, InputError, StainFile, Tick, Transcripts
from segapp.pipeline import steps
from segapp.pipeline.chip.edits import moved_edit
from segapp.pipeline.chip.kept import WHOLE, Kept
from segapp.pipeline.chip.source import Source
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
        params = self._of_chip(params)
        name = self.kept.name(params, stage)
        sure = self.kept.searched(params) if stage == "align" else name in self.known
        return f"{name}:{'all' if sure else 'estimated'}"

    def given(self, params: Mapping[str, Params], stage: str, tick: Tick) -> tuple[Any, ...] | None:
        """Return the frame and the stain of the window, its part of the alignment and of the density bins."""
        if stage == "stain":
            source = Source(self.kept.chip, params)
            for sentence in source.notes():
                note(sentence)
            stain = None if self.kept.chip.stain is None else source.raw_stain(self._window(source))
            return stain, self._grid(source)
        if self.use == "window" or stage not in ("align", "density"):
            return None
        if stage == "density":
            if params["density"].method == "off":  # type: ignore[attr-defined]
                return None
            source = Source(self.kept.chip, params)
            found = self.kept.numbers(self._of_chip(params), stage, tick)
            window = self._window(source)
            return density.apply_density(found, window.size, window.box[:2]), found
        source = Source(self.kept.chip, params)
        return self._aligned(source, self.kept.numbers(self._of_chip(params), stage, tick))

    def fitted(self, params: Mapping[str, Params], stage: str, needs: Mapping[str, Any], tick: Tick) -> Any | None:
        """Return the numbers of a stage."""
        if self.use == "window" or WHOLE.get(stage) != "fit":
            return None
        found = self.kept.numbers(self._of_chip(params), stage, tick)
        if stage == "nuclei_network":  # what a network answers is one of the window
            at = self._window(Source(self.kept.chip, params)).box[:2]
            return steps.answer_network(params[stage], tick, needs["stain"], found, at)
        return found

    def _of_chip(self, params: Mapping[str, Params]) -> Mapping[str, Params]:
        """Return the parameters that the numbers of the chip go by: landmarks in px of its frame."""
        if not getattr(params["align"], "landmarks", ()):
            return params
        source = Source(self.kept.chip, params)
        grid, frame = self._grid(source), source.frame
        return {**params, **moved_by_hand(params, grid.x0 - frame.x0, grid.y0 - frame.y0)}

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
    def source(self) -> Source:
        """The whole chip as the present choices see it."""
        return Source(self.kept.chip, self.session.params)

    @property
    def frame(self) -> Grid:
        """Where the whole chip lies, in input coordinates."""
        return self.source.frame

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
        """Let the session have a window that was read; edits and landmarks stay where they were on the chip."""
        session, before = self.session, self.box
        self.box = box
        moved = {} if before is None else moved_by_hand(session.params, before.x0 - box.x0, before.y0 - box.y0)
        path = self.kept.chip.path
        source = {"chip": str(path.resolve()), "box": [box.x0, box.y0, box.width, box.height]}
        session.load(records, stain, name=path.name, source=source, numbers=self.numbers())
        if moved:
            names = {"edits": "log", "align": "landmarks"}
            session.set_many({stage: {names[stage]: getattr(moved[stage], names[stage])} for stage in moved})
            session.history.clear()  # no step of the user

    def numbers(self) -> WindowNumbers:
        """Return the numbers for the window as it is now."""
        assert self.box is not None
        return WindowNumbers(self.kept, self.box, self.use, frozenset(self.kept.known()))

    def refresh(self, use: Use | None = None) -> None:
        """Use the numbers of the chip or those of the window, and what was gathered since."""
        self.use = use or self.use
        self.session.use_numbers(self.numbers())

    def keeper(self, params: Mapping[str, Params]) -> Callable[[str, Any], None]:
        """Return what keeps the numbers of a run of the whole chip as they are found, so that none is lost by a stop.

        Parameters
        ----------
        params : mapping of str to Params
            Those of the run; see `params`.
        """

        def keep(stage: str, value: Any) -> None:
            self.kept.keep(params, {stage: value})

        return keep

    def told(self) -> Literal["window", "estimated", "chip"]:
        """Return which numbers the present choices use."""
        if self.use == "window":
            return "window"
        params = self.params()
        return "chip" if all(self.kept.knows(params, stage) for stage in self.kept.used(params)) else "estimated"

    def params(self) -> dict[str, Params]:
        """Return the parameters as a run of the whole chip takes them: edits and landmarks in px of its frame."""
        found = dict(self.session.params)
        if self.box is not None:
            frame = self.frame
            left, top = max(self.box.x0 - frame.x0, 0), max(self.box.y0 - frame.y0, 0)
            found.update(moved_by_hand(found, left, top))
        return found


def moved_by_hand(params: Mapping[str, Params], dx: float, dy: float) -> dict[str, Params]:
    """Return the stages whose parameters hold places in px, with these moved: edits and landmarks.

    Parameters
    ----------
    params : mapping of str to Params
        Parameters of every stage.
    dx, dy : float
        How far.

    Returns
    -------
    dict of str to Params
        Only stages where something moves.
    """
    edits: Any = params["edits"]
    found: dict[str, Params] = {}
    if edits.log and (dx or dy):
        found["edits"] = type(edits)(log=tuple(moved_edit(edit, dx, dy) for edit in edits.log))
    landmarks = getattr(params["align"], "landmarks", ())
    if landmarks and (dx or dy):
        # a spot of the stain and its place on the RNA are counted from one corner
        moved = tuple((u + dx, v + dy, x + dx, y + dy) for u, v, x, y in landmarks)
        found["align"] = params["align"].with_(landmarks=moved)
    return found


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
