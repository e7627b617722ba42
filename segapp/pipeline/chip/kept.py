"""Numbers of a chip that were found once: kept beside it, by what they depend on, and estimated where they are not."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core import align, density
from segapp.core.params import Params
from segapp.core.tiling import Box, Window
from segapp.core.types import Tick
from segapp.io.chip import Chip
from segapp.pipeline.chip.alignment import WHOLE_SIDE, find_alignment
from segapp.pipeline.chip.evaluate import Evaluation
from segapp.pipeline.chip.network import NetworkGather
from segapp.pipeline.chip.numbers import read_statistics, write_statistics
from segapp.pipeline.chip.source import Source, snapshot_of
from segapp.pipeline.chip.statistics import PeaksGather, ScoreGather, gathers
from segapp.pipeline.compute import Snapshot
from segapp.pipeline.stages import PIPELINE

WHOLE = {
    "align": "run",
    "density": "run",
    "nuclei_mask": "fit",
    "nuclei_network": "fit",
    "nuclei_score": "fit",
    "nuclei_rna_mask": "fit",
    "nuclei_rna": "fit",
    "cell_score": "fit",
    "cell_mask": "fit",
    "cytoplasm": "fit",
}
"""Stages with numbers of the whole chip, and the part of them that takes these."""

FOLDER = "numbers"
"""Where they lie in the folder of a chip: one file a stage and choice, so that what a change does not touch stays."""

PLACES, PLACE, AROUND = 9, 512, 96
"""Places on which numbers are estimated, their size in px, and what is read around each."""


NEAR = ("k", "downscale", "n_epochs", "meshsize")
"""Parameters of the alignment that a large chip is not searched again for before its numbers are gathered."""


class Kept:
    """Numbers of one chip: those of everything, from memory or the folder of the chip, and estimates in memory.

    Parameters
    ----------
    chip : Chip
        The chip; its folder need not be writable.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self._lock = threading.RLock()
        self._found: dict[str, Any] = {}
        self._estimated: dict[str, Any] = {}
        self._keys: tuple[Any, Snapshot] | None = None
        self._places: list[Box] | None = None
        folder = chip.path / FOLDER
        self._files = {path.stem for path in folder.glob("*.json")} if folder.is_dir() else set()

    def snapshot(self, params: Mapping[str, Params]) -> Snapshot:
        """Return the choices as those of the whole chip: its keys name what the numbers depend on."""
        with self._lock:
            if self._keys is None or self._keys[0] is not params:
                self._keys = params, snapshot_of(self.chip, params)
            return self._keys[1]

    def name(self, params: Mapping[str, Params], stage: str) -> str:
        """Return the name under which the numbers of a stage are kept."""
        return f"{stage}-{self.snapshot(params).key(PIPELINE[stage], WHOLE[stage])[:24]}"

    def used(self, params: Mapping[str, Params]) -> tuple[str, ...]:
        """Return the stages in use that take numbers of the whole, in the order of work."""
        choice = self.snapshot(params).choice
        return tuple(
            stage.name
            for stage in PIPELINE.closure(("cells", "nuclei"), choice)
            if stage.name in WHOLE and (stage.name != "density" or params["density"].method != "off")  # type: ignore[attr-defined]
        )

    def knows(self, params: Mapping[str, Params], stage: str) -> bool:
        """Whether the numbers of everything are there."""
        name = self.name(params, stage)
        return name in self._found or name in self._files

    def get(self, params: Mapping[str, Params], stage: str) -> Any | None:
        """Return the numbers of everything, or None where they were never gathered."""
        name = self.name(params, stage)
        with self._lock:
            if name not in self._found and name in self._files:
                try:
                    self._found[name] = read_statistics(self.chip.path / FOLDER / f"{name}.json")[stage]
                except (OSError, ValueError, KeyError, TypeError):
                    self._files.discard(name)  # a damaged file is no number: it is gathered again
            return self._found.get(name)

    def known(self) -> set[str]:
        """Return the names of the numbers of everything that are there."""
        return {*self._found, *self._files}

    def all(self, params: Mapping[str, Params]) -> dict[str, Any]:
        """Return all that is known of a chip under these choices, as `run_chip` takes it."""
        values = {stage: self.get(params, stage) for stage in self.used(params)}
        return {stage: value for stage, value in values.items() if value is not None}

    def keep(self, params: Mapping[str, Params], numbers: Mapping[str, Any]) -> bool:
        """Keep numbers of everything; return whether they are on the disk, too."""
        stored = True
        for stage, value in numbers.items():
            if stage not in WHOLE:
                continue
            name = self.name(params, stage)
            with self._lock:
                self._found[name] = value
            try:
                folder = self.chip.path / FOLDER
                folder.mkdir(exist_ok=True)
                write_statistics(folder / f"{name}.json", {stage: value})
                with self._lock:
                    self._files.add(name)
            except OSError:
                stored = False
        return stored

    def work(self, params: Mapping[str, Params]) -> Path:
        """Return the folder for what is gathered now; one that was stopped goes on there."""
        names = "".join(self.name(params, stage) for stage in self.used(params))
        return self.chip.path / FOLDER / f"work-{hashlib.blake2b(names.encode(), digest_size=8).hexdigest()}"

    # ---- estimates

    def numbers(self, params: Mapping[str, Params], stage: str, tick: Tick) -> Any:
        """Return the numbers of everything where they are known, else an estimate of them.

        The alignment is looked for on everything and kept; see `searched`.
        """
        if stage == "align":
            return self._alignment(params, tick)
        known = self.get(params, stage)
        if known is not None:
            return known
        name = self.name(params, stage)
        with self._lock:
            if name in self._estimated:
                return self._estimated[name]
        value = self._density(params, tick) if stage == "density" else self._estimate(params, stage, tick)
        with self._lock:
            self._estimated[name] = value
        return value

    def searched(self, params: Mapping[str, Params]) -> bool:
        """Whether the alignment is that of everything under these choices, rather than under ones near to them.

        On a chip too large to be aligned as it is, the sliders of the search (`NEAR`) begin no new one: what was found
        before stands, as an estimate, until the numbers are gathered.
        """
        unmoved = _unmoved(params)
        if self.knows(params, "align") or self.knows(unmoved, "align"):
            return True
        if max(Source(self.chip, params).shape) <= WHOLE_SIDE:
            return True
        return self._near(unmoved) not in self._estimated

    def _near(self, params: Mapping[str, Params]) -> str:
        """Return the name under which an alignment is remembered for choices near to its own."""
        choice = params["align"]
        defaults = type(choice)()
        there = {name: getattr(defaults, name) for name in NEAR if hasattr(defaults, name)}
        return self.name({**params, "align": choice.with_(**there)}, "align") + " near"

    def _alignment(self, params: Mapping[str, Params], tick: Tick) -> align.Alignment:
        known: align.Alignment | None = self.get(params, "align")
        unmoved = _unmoved(params)
        if known is None and unmoved is not params:
            # moved by hand after everything else: nothing is looked for again
            base = self._alignment(unmoved, tick)
            known = align.shifted(base, params["align"].shift)  # type: ignore[attr-defined]
            if self.knows(unmoved, "align"):
                self.keep(params, {"align": known})
            return known
        near = self._near(params)
        if known is None and not self.searched(params):
            found: align.Alignment = self._estimated[near]
            return found
        if known is None:
            known = find_alignment(Source(self.chip, params), lambda phase, done, total: tick(done, total))
            self.keep(params, {"align": known})
        with self._lock:
            self._estimated[near] = known
        return known

    def _density(self, params: Mapping[str, Params], tick: Tick) -> Any:
        """Divide the chip into regions by a small picture of it: squares are shifted by at most half of one."""
        source = Source(self.chip, params)
        choice: Any = params["density"]
        size = density.grain(choice)
        level = self.chip.level("counts/total", size.bit_length() - 1)
        box, frame, scale = self.chip.box, source.frame, 1 << level
        counts = self.chip.counts("total", box, level)
        sums = np.zeros(tuple(-(-side // size) for side in source.shape))
        row, column = (
            np.floor_divide(start + (np.arange(n) + 0.5) * scale, size).astype(np.int64)
            for start, n in zip((box.y0 - frame.y0, box.x0 - frame.x0), counts.shape, strict=True)
        )
        rows, columns = (row >= 0) & (row < sums.shape[0]), (column >= 0) & (column < sums.shape[1])
        part = counts[np.ix_(rows, columns)].astype(np.float64)
        half = np.zeros((sums.shape[0], part.shape[1]))
        np.add.at(half, row[rows], part)
        np.add.at(sums.T, column[columns], half.T)
        return density.fit_squares(sums, source.shape, choice, tick)

    def _estimate(self, params: Mapping[str, Params], stage: str, tick: Tick) -> Any:
        """Fit on a few places what pass 1 of a run fits on everything."""
        if stage != "nuclei_network" and params["nuclei"].source in ("network", "augment", "union"):  # type: ignore[attr-defined]
            # nuclei are certain pixels of the score here and no more: those of the watershed do
            params = {**params, "nuclei": params["nuclei"].with_(source="watershed")}
        choice = self.snapshot(params).choice
        source = Source(self.chip, params)
        (gather,) = gathers(source, [stage])
        needed = {one.name for name in gather.needs for one in PIPELINE.closure((name,), choice) if one.name in WHOLE}
        found: dict[str, Any] = {
            one: self.numbers(params, one, tick)
            for one in self.used(params)
            if one in needed - {stage} and one != "align"
        }
        source = Source(self.chip, params, found)
        places = self._sampled(source)
        if isinstance(gather, ScoreGather | NetworkGather):
            gather.choose([(core, 1) for core in places])
        if isinstance(gather, NetworkGather):
            gather.start_small(source)
        windows = [Window.around(core, AROUND, source.shape) for core in places]
        seen = [Evaluation(source, window, found) for window in windows]
        if isinstance(gather, PeaksGather) and gather.peaks:
            # as many pixels as hold the UMIs of the places on the chip: the mean is that of everything
            umis = sum(int(one.core("total").sum()) for one in seen)
            gather.pixels = max(round(gather.pixels * umis / max(self.chip.n_umis, 1)), 1)
        while True:
            parts = []
            for done, one in enumerate(seen):
                tick(done, len(seen))
                parts.append(gather.look(one))
            value = gather.settle(parts, params[stage])
            if value is not None:
                return value

    def _sampled(self, source: Source) -> list[Box]:
        """Return fixed places spread in reading order over the tiles that hold a fair number of records."""
        if self._places is None:
            from segapp.io.chip.store import SIDE

            height, width = source.shape
            size = min(PLACE, height, width)
            most = max(self.chip.tiles.values())
            rich = sorted(tile for tile, records in self.chip.tiles.items() if records > most / 20)
            corners = []
            for at in np.linspace(0, len(rich) - 1, min(PLACES, len(rich))).astype(int).tolist():
                row, column = rich[at]
                y, x = (
                    side * SIDE - start + (SIDE - size) // 2
                    for side, start in ((row, source.frame.y0), (column, source.frame.x0))
                )
                corners.append((min(max(y, 0), height - size), min(max(x, 0), width - size)))
            self._places = [(y, x, y + size, x + size) for y, x in dict.fromkeys(corners)]
        return self._places


def _unmoved(params: Mapping[str, Params]) -> Mapping[str, Params]:
    """Return the choices without a shift of the stain by hand."""
    choice: Any = params["align"]
    return {**params, "align": choice.with_(shift=(0.0, 0.0))} if any(choice.shift) else params
