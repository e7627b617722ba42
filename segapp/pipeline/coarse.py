"""A first look at cells: what is visible, on every second, third, ... pixel, before the whole is labelled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.core.label.cells import ComponentsCells
from segapp.core.notes import collected
from segapp.core.params import Params, knobs
from segapp.core.score.mask import default_mk
from segapp.core.squares import spread
from segapp.core.types import Tick
from segapp.pipeline.compute import Snapshot
from segapp.pipeline.stage import Stage
from segapp.pipeline.store import Store

Box = tuple[int, int, int, int]

MOST_PIXELS = 1 << 18
"""Pixels that take part: labels of 512 x 512 px are there in a quarter of the time of 1024 x 1024."""

HALO = 32
"""Pixels around the window whose cells reach into it."""


def coarser(params: Params, step: int) -> Params:
    """Return parameters for every `step`-th pixel: lengths and areas are fewer of them.

    Examples
    --------
    >>> half = coarser(ComponentsCells(distance=8, max_area=400, area_threshold="off"), 2)
    >>> half.distance, half.max_area, half.area_threshold, half.k
    (4, 100, 'off', 3)
    """
    changes: dict[str, Any] = {}
    for knob in knobs(type(params)):
        value = getattr(params, knob.name)
        if isinstance(value, str | bool) or knob.unit not in ("px", "px²"):
            continue
        less = value / (step if knob.unit == "px" else step**2)
        if knob.kind == "int":
            less = int(less) | 1 if knob.odd else round(less)
        changes[knob.name] = type(value)(max(less, knob.ge or 0))
    if isinstance(params, ComponentsCells):
        changes["k"] = max(changes["k"], 3)  # one pixel would erode nothing
    return params.with_(**changes)


def coarse_cells(snapshot: Snapshot, store: Store, window: Box | None, tick: Tick) -> dict[str, Any] | None:
    """Return cells and ghosts as a first look, in blocks of equal pixels, 0 outside the window.

    None where it would not be quicker, or not alike: the labels are there already, what they are made from is not,
    there are edits to replay, or the numbers are those of a whole.
    """
    pipeline, choice = snapshot.pipeline, snapshot.choice
    mask, label, limits = (pipeline.by_name.get(name) for name in ("cell_mask", "cells", "limits"))
    if mask is None or label is None or limits is None or snapshot.numbers is not None:
        return None
    edits: Any = snapshot.params["edits"]
    if store.get(snapshot.key(label)) is not None or edits.log:
        return None
    names = label.needs_of(choice)
    held = _held(snapshot, store, label, {name for name in names if name != "cell_mask"})
    if held is None or held.get("total") is None:
        return None
    shape = held["total"].shape
    part, step = _part(shape, window)
    if step == 1:
        return None

    def thin(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: np.ascontiguousarray(value[part][::step, ::step]) if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }

    with collected():  # what is to be said of the data is said with the result
        few = thin(held)
        if "cell_mask" in names:
            found = _mask(snapshot, store, mask, step, thin, tick)
            if found is None:
                return None
            few["cell_mask"] = found
        cells = label.run(params=coarser(snapshot.params["cells"], step), tick=tick, **few)[0]
        _, kept, ghosts = limits.run(
            params=coarser(snapshot.params["limits"], step), tick=tick, edited_nuclei=None, edited_cells=cells
        )
    return {name: _spread(made, shape, part, step) for name, made in (("cells", kept), ("ghosts", ghosts))}


def _mask(snapshot: Snapshot, store: Store, stage: Stage, step: int, thin: Any, tick: Tick) -> np.ndarray | None:
    """Return the mask of cells: as it is where it is there, else on the pixels that take part."""
    there = store.get(snapshot.key(stage))
    if there is not None:
        made: np.ndarray = thin({"mask": there.values["cell_mask"]})["mask"]
        return made
    held = _held(snapshot, store, stage, set(stage.needs_of(snapshot.choice)))
    if held is None or stage.fit is None:
        return None
    params: Any = snapshot.params["cell_mask"]
    fitted = store.get(snapshot.key(stage, "fit"))
    few = thin(held)
    if fitted is not None:
        statistics = fitted.values["statistics"]
    else:
        statistics = stage.fit(params=params, tick=tick, cell_scores=few["cell_scores"])
    if params.mk == "auto":
        params = params.with_(mk=default_mk(held["cell_score_info"]))
    found: np.ndarray = stage.run(params=coarser(params, step), tick=tick, statistics=statistics, **few)[0]
    return found


def _held(snapshot: Snapshot, store: Store, stage: Stage, names: set[str]) -> dict[str, Any] | None:
    """Return artefacts that are there; None where one is not, or the stage cannot run."""
    if snapshot.blocker(stage) is not None:
        return None
    held: dict[str, Any] = {}
    for name in names:
        entry = store.get(snapshot.key(snapshot.pipeline.giver[name]))
        if entry is None:
            return None
        held[name] = entry.values[name]
    return held


def _part(shape: tuple[int, int], window: Box | None) -> tuple[tuple[slice, slice], int]:
    """Return what is looked at, and of how many pixels one takes part."""
    rows, cols = shape
    x0, y0, x1, y1 = (0, 0, cols, rows) if window is None else window
    top, left = max(y0 - HALO, 0), max(x0 - HALO, 0)
    bottom, right = min(y1 + HALO, rows), min(x1 + HALO, cols)
    step = max(1, math.ceil(math.sqrt((bottom - top) * (right - left) / MOST_PIXELS)))
    return (slice(top, bottom), slice(left, right)), step


def _spread(labels: np.ndarray, shape: tuple[int, int], part: tuple[slice, slice], step: int) -> np.ndarray:
    """Return labels in blocks of equal pixels at their place in the frame."""
    whole = spread(labels, step, shape, part)
    whole.flags.writeable = False
    return whole
