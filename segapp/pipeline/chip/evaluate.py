"""The stages on one window of a chip, with the numbers of the whole; and how far from its rim they are exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.core.tiling import Box, Window
from segapp.core.types import InputError, Tick, Unavailable, no_tick
from segapp.pipeline import steps
from segapp.pipeline.chip.doubt import Doubt
from segapp.pipeline.chip.edits import moved_edits, reach_of_edits
from segapp.pipeline.chip.source import Source
from segapp.pipeline.stages import PIPELINE

OUTSIDE = {
    "total",
    "nuclear",
    "nuclear_source",
    "frame",
    "stain",
    "alignment",
    "bins",
    "density_statistics",
}
"""Artefacts that a window takes from the chip instead of from a stage."""

HALO = 256
"""Pixels read around a core: enough for most tissue; where it is not, more are."""

LARGEST_HALO = 4096

STEP = 256
"""Windows start at multiples of it: blocks of pixels that functions and networks look at lie alike in all of them."""


class Evaluation:
    """Artefacts of one window; each is computed when it is asked for.

    Parameters
    ----------
    source : Source
        The chip.
    window : Window
        Which part.
    statistics : mapping of str to Any
        Numbers of the whole, by stage.
    kept : mapping, optional
        Artefacts of the same window from an earlier step.
    tick : Tick
        Passed on to the stages.
    """

    def __init__(
        self,
        source: Source,
        window: Window,
        statistics: Mapping[str, Any],
        kept: Mapping[str, Any] | None = None,
        tick: Tick = no_tick,
    ) -> None:
        self.source, self.window, self.statistics, self.tick = source, window, statistics, tick
        self.choice = source.choice
        self.held: dict[str, Any] = dict(kept or {})
        self.edit_numbers: list[int] = []
        self.halo = HALO
        self.doubt = Doubt(self)

    def get(self, name: str) -> Any:
        """Return one artefact."""
        if name not in self.held:
            if name in OUTSIDE:
                self._hold(self.source.given(self.window, {name}))
            else:
                stage = PIPELINE.giver[name]
                needs = {need: self.get(need) for need in stage.needs_of(self.choice)}
                if stage.fit is not None:
                    needs["statistics"] = self._fitted(stage.name, needs)
                params = self.source.params[stage.name]
                if stage.name == "edits":
                    params, self.edit_numbers = moved_edits(params, self.window.box)
                given = stage.run(params=params, tick=self.tick, **needs)
                self._hold(dict(zip(stage.gives, given, strict=True)))
        return self.held[name]

    def core(self, name: str) -> np.ndarray:
        """Return the core of one artefact that is an image."""
        found: np.ndarray = self.get(name)[self.window.inside]
        return found

    def _fitted(self, stage: str, needs: Mapping[str, Any]) -> Any:
        if stage in self.statistics:
            found = self.statistics[stage]
            if stage == "nuclei_network":  # what a network answers is one of the window
                at = self.window.box[:2]
                return steps.answer_network(self.source.params[stage], self.tick, needs["stain"], found, at)
            return found
        raise Unavailable(f"the numbers of {stage} are not known yet: gather them on the chip, or estimate them, first")

    def _hold(self, values: Mapping[str, Any]) -> None:
        for value in values.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False  # sums of one image are remembered where nobody can change it
        self.held.update(values)


def evaluate(
    source: Source,
    core: Box,
    statistics: Mapping[str, Any],
    exact: tuple[str, ...],
    *,
    halo: int = HALO,
    kept: Mapping[str, Any] | None = None,
    tick: Tick = no_tick,
) -> Evaluation:
    """Evaluate the stages on a window around a core that is large enough for the core to be exact.

    Parameters
    ----------
    source : Source
        The chip.
    core : Box
        What is asked for.
    statistics : mapping
        Numbers of the whole, by stage.
    exact : tuple of str
        Artefacts that must be what the whole frame would give, everywhere in the core.
    halo : int
        Pixels to read around the core at first; doubled while they are too few.
    kept : mapping, optional
        What an earlier evaluation found, with its ``window``.
    tick : Tick
        Progress and cancel.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        When even `LARGEST_HALO` does not suffice.
    """
    if kept is not None:
        halo = max(halo, int(kept["halo"]))
    while True:
        window = _window(source, core, halo)
        if kept is not None and kept["window"] == window:
            found = Evaluation(source, window, statistics, kept["artefacts"], tick)
            found.doubt.held.update(kept["doubt"])
        else:
            found = Evaluation(source, window, statistics, tick=tick)
        found.halo = halo
        for name in exact:
            found.get(name)
        if not any(found.doubt.of(name)[window.inside].any() for name in exact):
            return found
        if halo >= LARGEST_HALO or window.size == source.shape:
            raise InputError(
                f"the tile at row {core[0]}, column {core[1]} holds a piece of tissue that belongs together over more "
                f"than {LARGEST_HALO} px: cells there are not separated; raise the threshold of the mask, or set "
                "cells.area_threshold to a number"
            )
        halo *= 2


def _window(source: Source, core: Box, halo: int) -> Window:
    """A window around a core, with all of every edit that reaches into it."""
    top, left, bottom, right = reach_of_edits(source.params["edits"], core, halo)
    wide = Window.around((top, left, bottom, right), halo, source.shape, STEP)
    return Window(core, wide.box, source.shape)
