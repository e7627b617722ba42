"""What a worker does: it knows the folder of a run and a tile, and leaves files behind."""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from segapp.core.notes import collected
from segapp.core.params import Params
from segapp.core.tiling import Box, one_thread
from segapp.io.chip import Chip
from segapp.io.chip.blocks import disk_errors, read_block, write_block
from segapp.pipeline.chip.evaluate import HALO, Evaluation, evaluate
from segapp.pipeline.chip.numbers import read_statistics
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.statistics import Gather
from segapp.pipeline.chip.tile import finish_tile
from segapp.pipeline.recipe import Recipe, params_from
from segapp.pipeline.stages import PIPELINE

Tile = tuple[int, int]
KEPT = ("selected_nuclei", "nuclei_provenance", "nuclei_probability", "cell_scores", "nuclei_scores", "cell_score_info")
"""Artefacts that the first pass leaves for the second, where it makes them."""


EXACT = ("_scores", "_mask")
"""Ends of the names of artefacts that numbers of the whole are gathered from: windows must be large enough for them."""


@dataclass(frozen=True)
class Job:
    """One run of one chip, as it travels to workers.

    Parameters
    ----------
    chip, work : str
        Folder of the chip, and of what is kept during the run.
    text : str
        Parameters of every stage, as JSON.
    version : int
        Which file of statistics is the newest.
    tile : int
        Side of a tile in px.
    halos : mapping of tile to int
        Tiles that need more around them than others.
    """

    chip: str
    work: str
    text: str
    version: int = 0
    tile: int = 2048
    halos: Mapping[Tile, int] = field(default_factory=dict)

    def path(self, *parts: str) -> Path:
        """Return a path below the folder of the run."""
        return Path(self.work).joinpath(*parts)

    def source(self) -> Source:
        """Return the chip with all that is frozen so far."""
        return _source(self.chip, self.work, self.statistics, self.statistics.stat().st_mtime_ns, self.text)

    @property
    def statistics(self) -> Path:
        """The file with all that is frozen so far."""
        return self.path(f"statistics-{self.version}.json")

    @property
    def params(self) -> Mapping[str, Params]:
        """Parameters of every stage."""
        return _params(self.text)

    def core(self, tile: Tile, shape: tuple[int, int]) -> Box:
        """Return the core of a tile."""
        top, left = tile[0] * self.tile, tile[1] * self.tile
        return top, left, min(top + self.tile, shape[0]), min(left + self.tile, shape[1])

    def tiles(self, shape: tuple[int, int]) -> list[Tile]:
        """Return all tiles in reading order."""
        return [(r, c) for r in range(-(-shape[0] // self.tile)) for c in range(-(-shape[1] // self.tile))]


@lru_cache(maxsize=4)
def _params(text: str) -> Mapping[str, Params]:
    return params_from(PIPELINE, Recipe(json.loads(text)))


@lru_cache(maxsize=2)
def _source(chip: str, work: str, statistics: Path, written: int, text: str) -> Source:
    moved = (Path(work) / "stain.zarr", "moved")
    return Source(Chip.open(chip), _params(text), read_statistics(statistics), moved if moved[0].exists() else None)


def name_of(tile: Tile, kind: str) -> str:
    """Return the name of a file of one tile."""
    return f"{tile[0]}_{tile[1]}.{kind}"


def look(job: Job, number: int, gathers: list[Gather], tile: Tile, exact: tuple[str, ...], keep: bool) -> Tile:
    """Look at one tile for all gathers of a round, and leave what they found, and what the second pass can use."""
    one_thread()
    path = job.path(f"round-{number}", name_of(tile, "part"))
    if path.exists():
        return tile
    source = job.source()
    core = job.core(tile, source.shape)
    kept_path = job.path("kept", name_of(tile, "window"))
    kept = read_block(kept_path) if kept_path.exists() else None
    halo = job.halos.get(tile, HALO) if keep or exact else _NEAR
    with collected(), disk_errors(job.path()):
        seen = evaluate(source, core, source.statistics, exact, halo=halo, kept=kept)
        parts = [gather.look(seen) for gather in gathers]
        if keep and kept is None:
            write_block(kept_path, _kept(seen))
        write_block(path, {"parts": parts})
    del seen, kept
    _give_back()
    return tile


_NEAR = 128
"""Halo where only sums over neighbourhoods are taken: more than the widest blur and neighbourhood reach together."""


def _kept(seen: Evaluation) -> dict[str, Any]:
    artefacts = {name: seen.held[name] for name in KEPT if name in seen.held}
    doubt = {name: seen.doubt.held[name] for name in KEPT if name in seen.doubt.held}
    return {"window": seen.window, "halo": seen.halo, "artefacts": artefacts, "doubt": doubt}


def _give_back() -> None:
    """Hand what a tile freed back to the system: glibc keeps it in pieces that the next tile does not fill."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # not in every C library
        trim(0)


def finish(job: Job, tile: Tile) -> Tile:
    """Make the cells of one tile and leave them as three files; the objects come last and say that it is done."""
    one_thread()
    done = job.path("tiles", name_of(tile, "objects"))
    if done.exists():
        return tile
    source = job.source()
    kept_path = job.path("kept", name_of(tile, "window"))
    with collected(), disk_errors(job.path()):
        kept = read_block(kept_path) if kept_path.exists() else None
        found = evaluate(
            source,
            job.core(tile, source.shape),
            source.statistics,
            ("cells",),
            halo=job.halos.get(tile, HALO),
            kept=kept,
        )
        objects, pixels, counts = finish_tile(source, found)
        write_block(job.path("tiles", name_of(tile, "pixels")), pixels)
        write_block(job.path("tiles", name_of(tile, "counts")), counts)
        write_block(done, objects)
        kept_path.unlink(missing_ok=True)
    del found, kept, objects, pixels, counts
    _give_back()
    return tile
