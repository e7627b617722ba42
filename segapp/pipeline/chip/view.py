"""A chip for who looks at it: pictures of all of it at once, and an honest preview of any window.

For the app: open a `ChipView` with the folder of a chip; nothing is read before it is asked for, so it opens at once.
`overview` gives pictures that fit a screen, from the pyramids. When parameters change, give them to `with_params`.
`estimate` fits the numbers of the chip on a few fixed places while a slider moves; `freeze` takes those of everything,
from `segapp.pipeline.chip.run.gather_statistics` when it rests, or from a run. `preview` evaluates the stages on a
window with these numbers: its labels are those that a run of the whole chip with them gives there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.params import Params
from segapp.core.tiling import Window
from segapp.core.types import Tick, Unavailable, no_tick
from segapp.io.chip import Chip
from segapp.pipeline.chip.evaluate import evaluate
from segapp.pipeline.chip.job import EXACT
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.statistics import NetworkGather, ScoreGather, gathers, upstream
from segapp.pipeline.presets import default_preset, preset_params
from segapp.pipeline.stage import Choice
from segapp.pipeline.stages import PIPELINE

Box = tuple[int, int, int, int]

SCREEN = 1024
"""Longest side of an overview in px, about."""

SAMPLED, SAMPLE = 3, 512
"""Places a side, and their size in px, that `estimate` fits on."""


@dataclass(eq=False)
class ChipView:
    """Pictures and previews of a converted chip.

    Parameters
    ----------
    path : str or Path
        Folder of the chip.
    params : mapping of str to Params, optional
        Parameters of every stage; those of the preset that suits the chip by default.
    statistics : mapping of str to Any
        Numbers of the whole by stage.

    Examples
    --------
    >>> import tempfile
    >>> from segapp.io.chip import convert_chip
    >>> from segapp.io.samples import write_sample
    >>> folder = Path(tempfile.mkdtemp())
    >>> gem, stain, *_ = write_sample("tissue", folder, size=256)
    >>> _ = convert_chip(gem, folder / "chip", stain=stain)
    >>> view = ChipView(folder / "chip")
    >>> view.overview("total").shape, view.overview("stain").dtype
    ((256, 256), dtype('uint8'))
    """

    path: str | Path
    params: Mapping[str, Params] | None = None
    statistics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chip = Chip.open(self.path)
        if self.params is None:
            # the light source tells whether something marks nuclei
            rough = Source(self.chip, PIPELINE.defaults())
            self.params = preset_params(default_preset(self.chip.stain is not None, rough.has_nuclear), PIPELINE)
        self.source = Source(self.chip, self.params, dict(self.statistics))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frame in px."""
        return self.source.shape

    def with_params(self, params: Mapping[str, Params]) -> ChipView:
        """Return a view with other parameters, and without the numbers that the old ones gave."""
        return ChipView(self.path, params)

    def freeze(self, statistics: Mapping[str, Any]) -> ChipView:
        """Return a view with the numbers of the whole chip; see `segapp.pipeline.chip.job.read_statistics`."""
        return ChipView(self.path, self.params, statistics)

    def overview(self, name: str, longest: int = SCREEN) -> np.ndarray:
        """Return a picture of the whole frame that is about `longest` px long.

        Parameters
        ----------
        name : str
            ``"stain"`` (means, as it lies) or a layer of the counts (sums).
        longest : int
            Pixels; a power of two smaller than the frame is taken.

        Returns
        -------
        (h, w) array
            Pixel (r, c) is frame pixel (r, c) times the power of two. Counts start at a tile of the chip, which may lie
            up to 1,023 px left of and above the frame: they are cut to it within one pixel of the picture.
        """
        level = 0
        while max(self.shape) > longest << level:
            level += 1
        whole = Window((0, 0, *self.shape), (0, 0, *self.shape), self.shape)
        if name == "stain":
            if self.chip.stain is None:
                raise Unavailable("the chip has no stain: convert it with one")
            while level and not (self.chip.path / "arrays.zarr" / "stain" / str(level)).exists():
                level -= 1
            return self.source.raw_stain(whole, level)
        while level and not (self.chip.path / "arrays.zarr" / "counts" / name / str(level)).exists():
            level -= 1
        height, width = (-(-side // (1 << level)) for side in self.shape)
        return self.chip.counts(name, self.source.grid(whole), level)[:height, :width]

    def estimate(self) -> dict[str, Any]:
        """Return numbers of the chip fitted on a few fixed places: quick, and marked as estimated by who shows them.

        The stain is taken as it lies where no alignment is known, and density bins are left to the whole: where they
        are asked for, there are none before `freeze`.
        """
        found = dict(self.statistics)
        choice = Choice(self.source.params, frozenset({"transcripts"} | ({"stain_file"} if self.chip.stain else set())))
        stages = [stage.name for stage in PIPELINE.closure(("cells", "nuclei"), choice)]
        pending = [one for one in gathers(self.source, stages) if one.stage not in found and one.stage != "density"]
        cores = self._places()
        while pending:
            source = Source(self.chip, self.source.params, {**found, "density": found.get("density", {})})
            waits = {one.stage for one in pending}
            for gather in [one for one in pending if not upstream(one, choice) & (waits - {one.stage})]:
                if isinstance(gather, ScoreGather):
                    gather.binned = gather.binned and bool(found.get("density"))
                if isinstance(gather, ScoreGather | NetworkGather):
                    gather.choose([(core, 1) for core in cores])
                exact = tuple(name for name in gather.needs if name.endswith(EXACT))
                parts = [gather.look(evaluate(source, core, found, exact)) for core in cores]
                numbers = gather.settle(parts, source.params[gather.stage])
                if numbers is not None:
                    found[gather.stage] = numbers
                    pending.remove(gather)
        return found

    def preview(
        self, box: Box, names: tuple[str, ...] = ("cells", "nuclei"), tick: Tick = no_tick
    ) -> dict[str, np.ndarray | None]:
        """Return artefacts in a box of the frame, evaluated with the numbers of the whole.

        Parameters
        ----------
        box : (top, left, bottom, right)
            In px of the frame, half-open.
        names : tuple of str
            Artefacts that are images.
        tick : Tick
            Progress and cancel.

        Returns
        -------
        dict
            Each cut to the box; None for one that the choices leave out. Ids of labels are those of the preview.

        Raises
        ------
        Unavailable
            When a number of the whole is missing: `freeze` or `estimate` first.
        """
        needed = tuple(name for name in names if name in ("cells", "nuclei", "cell_scores", "nuclei_scores"))
        with warnings.catch_warnings():
            # what a stage says of its data it says of a window here
            warnings.simplefilter("ignore", UserWarning)
            found = evaluate(self.source, box, self.statistics, needed, tick=tick)
            values = {name: found.get(name) for name in names}
        inside = found.window.inside
        return {name: None if value is None else value[inside] for name, value in values.items()}

    def _places(self) -> list[Box]:
        height, width = self.shape
        size = min(SAMPLE, height, width)
        rows = np.unique(np.linspace(0, height - size, SAMPLED + 2)[1:-1].astype(int)).tolist()
        columns = np.unique(np.linspace(0, width - size, SAMPLED + 2)[1:-1].astype(int)).tolist()
        return [(y, x, y + size, x + size) for y in rows for x in columns]
