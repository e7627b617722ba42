"""A recipe over a whole chip: rounds that gather its numbers, tiles that make its cells, files that hold them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segapp.core.types import InputError
from segapp.io.atomic import atomic_file, check_out_dir
from segapp.io.chip import Chip
from segapp.io.chip.blocks import read_block
from segapp.pipeline.chip import job as tasks
from segapp.pipeline.chip.evaluate import HALO, LARGEST_HALO
from segapp.pipeline.chip.job import Job, Tile, name_of
from segapp.pipeline.chip.joins import disagreeing
from segapp.pipeline.chip.outputs import write_outputs
from segapp.pipeline.chip.rounds import Settled, Tell, follow, gather_numbers
from segapp.pipeline.chip.start import begun, check_tile, session_of
from segapp.pipeline.chip.workers import Workers
from segapp.pipeline.recipe import Recipe

TILE = 2048
"""Side of a tile in px by default: a fifth of the work is done twice, in the halos, and a tile takes about 1 GB."""


@dataclass(frozen=True)
class ChipResult:
    """Cells of a chip, on the disk.

    Parameters
    ----------
    out : Path
        Folder with ``cells.h5ad``, ``labels.zarr``, ``recipe.json``, ``statistics.json`` and ``summary.json``.
    summary : dict
        n_cells, n_umis, umis_assigned, seconds by phase, and what else there is to say.
    """

    out: Path
    summary: dict[str, Any] = field(default_factory=dict)


def run_chip(
    chip: str | Path | Chip,
    out: str | Path,
    *,
    preset: str | None = None,
    recipe: str | Path | Recipe | Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    tile: int = TILE,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    statistics: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
    settled: Settled | None = None,
) -> ChipResult:
    """Segment a converted chip, tile by tile; the result is that of the whole.

    Parameters
    ----------
    chip : path or Chip
        What `segapp.io.chip.convert_chip` wrote.
    out : path
        Folder of the result, and of what is kept until it is whole.
    preset, recipe, set
        As `segapp.run` takes them.
    tile : int
        Side of a tile in px, a multiple of 1,024. Smaller: less memory, more done twice.
    workers : int, optional
        Processes of a local Dask cluster; by default threads of this process, one a processor.
    scheduler : str, optional
        Address of a Dask scheduler.
    resume : bool
        Go on with a run that was stopped, by whatever.
    statistics : mapping, optional
        Numbers of the whole by stage, to be taken instead of those of this chip. A run that goes on keeps those that
        it began with.
    tell : function, optional
        Hears how far the run is; raises `Cancelled` to stop it.
    settled : function, optional
        Hears of numbers of the whole that were found, by stage, as soon as they are known.

    Returns
    -------
    ChipResult

    Raises
    ------
    InputError
        When something cannot be used, or the disk is full; one sentence.
    Unavailable
        When the choices need what is not there.
    """
    start = time.perf_counter()
    opened = chip if isinstance(chip, Chip) else Chip.open(chip)
    check_tile(tile)
    out = Path(out)
    check_out_dir(out)
    session = session_of(opened, preset, recipe, set)
    tell = tell or (lambda phase, done, total: None)
    seconds: dict[str, float] = {}
    begin = begun(
        opened,
        session.params,
        out / "work",
        tile,
        statistics or {},
        "yes" if resume else "no",
        workers,
        scheduler,
    )
    with begin as (job, pool):
        job = gather_numbers(job, pool, tell, seconds, settled)
        blocks = _tiles(job, pool, tell, seconds)
        summary = write_outputs(out, job, session, blocks, pool, tell, seconds)
        summary["seconds"] = {name: round(value, 2) for name, value in seconds.items()}
        summary["seconds_total"] = round(time.perf_counter() - start, 2)
        with atomic_file(out / "summary.json") as temporary:
            temporary.write_text(json.dumps(summary, indent=2), encoding="utf-8")
    shutil.rmtree(out / "work", ignore_errors=True)
    return ChipResult(out, summary)


def gather_statistics(
    chip: str | Path | Chip,
    work: str | Path,
    *,
    preset: str | None = None,
    recipe: str | Path | Recipe | Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    tile: int = TILE,
    statistics: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
    settled: Settled | None = None,
) -> dict[str, Any]:
    """Return the numbers of a whole chip, which `run_chip` finds in its first pass.

    Parameters
    ----------
    chip, preset, recipe, set, tile, statistics, tell, settled
        As `run_chip` takes them.
    work : path
        Folder for what is kept meanwhile; it is removed at the end. Where it was stopped, the same call goes on.

    Returns
    -------
    dict of str to Any
        By stage.
    """
    opened = chip if isinstance(chip, Chip) else Chip.open(chip)
    check_tile(tile)
    session = session_of(opened, preset, recipe, set)
    with begun(opened, session.params, Path(work), tile, statistics or {}, "same") as (job, pool):
        job = gather_numbers(job, pool, tell or (lambda phase, done, total: None), {}, settled)
        found = dict(job.source().statistics)
    shutil.rmtree(work, ignore_errors=True)
    return found


def _tiles(job: Job, pool: Workers, tell: Tell, seconds: dict[str, float]) -> dict[Tile, Any]:
    """Make the cells of all tiles; those that do not agree with a neighbour are made again with more around them."""
    began = time.perf_counter()
    shape = job.source().shape
    tiles = job.tiles(shape)
    while True:
        todo = [(job, tile) for tile in tiles if not job.path("tiles", name_of(tile, "objects")).exists()]
        follow(pool.map(tasks.finish, todo), "cells", len(tiles) - len(todo), len(tiles), tell)
        blocks = {tile: read_block(job.path("tiles", name_of(tile, "objects"))) for tile in tiles}
        wrong = disagreeing(blocks, shape[1], job.tile)
        if not wrong:
            break
        halos = dict(job.halos)
        for tile in wrong:
            halos[tile] = 2 * halos.get(tile, HALO)
            job.path("tiles", name_of(tile, "objects")).unlink()
        if max(halos.values()) > LARGEST_HALO:
            row, column = min(wrong)
            raise InputError(
                f"the tile in row {row}, column {column} does not agree with its neighbours on the cells that cross "
                "their border, however much it sees of them; give another --tile"
            )
        job = replace(job, halos=halos)
    seconds["cells"] = time.perf_counter() - began
    return blocks
