"""The first pass of a run: rounds over the tiles that gather the numbers of the whole chip."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from segapp.io.chip.blocks import read_block
from segapp.io.chip.store import SIDE
from segapp.pipeline.chip import job as tasks
from segapp.pipeline.chip.alignment import find_alignment, move_stain
from segapp.pipeline.chip.job import Job, Tile, name_of
from segapp.pipeline.chip.network import NetworkGather
from segapp.pipeline.chip.numbers import read_statistics, write_statistics
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.statistics import Gather, ScoreGather, gathers, upstream
from segapp.pipeline.chip.workers import Workers
from segapp.pipeline.stages import PIPELINE

Tell = Callable[[str, int, int], None]
"""``tell(phase, done, total)``: hears how far a run is; raises `Cancelled` to stop it."""

Settled = Callable[[str, Any], None]
"""``settled(stage, numbers)``: hears of numbers of the whole as soon as they are known."""


def gather_numbers(
    job: Job, pool: Workers, tell: Tell, seconds: dict[str, float], settled: Settled | None = None
) -> Job:
    """Find the numbers of the whole chip, round by round.

    Parameters
    ----------
    job : Job
        The run, with the numbers that it began with.
    pool : Workers
        Who looks at the tiles.
    tell, settled : function
        Hear how far it is, and of numbers that were found.
    seconds : dict
        Gets the time of each phase.

    Returns
    -------
    Job
        The run with all numbers.
    """
    source = job.source()
    frozen, choice = dict(source.statistics), source.choice
    stages = [stage.name for stage in PIPELINE.closure(("cells", "nuclei"), choice)]
    settled = settled or (lambda stage, numbers: None)
    if "align" in stages and source.chip.stain is not None:
        began = time.perf_counter()
        saved = job.path("align.json")
        if "align" not in frozen:
            if not saved.exists():
                tell("align", 0, 1)
                write_statistics(saved, {"align": find_alignment(source, tell)})
            frozen.update(read_statistics(saved))
            settled("align", frozen["align"])
        job = _freeze(job, frozen, 1)
        move_stain(job, frozen["align"], pool, tell)
        job = _freeze(job, frozen, 2)
        seconds["align"] = time.perf_counter() - began
    pending = [gather for gather in gathers(source, stages) if gather.stage not in frozen]
    number = 0
    while pending:
        began = time.perf_counter()
        waits = {gather.stage for gather in pending}
        ready = [gather for gather in pending if not upstream(gather, choice) & (waits - {gather.stage})]
        phase = " + ".join(gather.stage for gather in ready)
        parts = _round(job, pool, number, ready, phase, tell)
        for gather, found in zip(ready, parts, strict=True):
            numbers = gather.settle(found, job.params[gather.stage])
            if numbers is not None:
                frozen[gather.stage] = numbers
                settled(gather.stage, numbers)
                pending.remove(gather)
        number += 1
        job = _freeze(job, frozen, 2 + number)
        seconds[f"numbers: {phase}"] = seconds.get(f"numbers: {phase}", 0) + time.perf_counter() - began
    return job


def follow(results: Iterable[Any], phase: str, done: int, total: int, tell: Tell) -> None:
    """Tell of results as they come."""
    tell(phase, done, total)
    for result in results:
        done += result is not None
        tell(phase, done, total)


def _round(job: Job, pool: Workers, number: int, ready: list[Gather], phase: str, tell: Tell) -> list[list[Any]]:
    """Let all gathers of a round look at the tiles they want; return what each found, in the order of the tiles."""
    source = job.source()
    tiles = job.tiles(source.shape)
    records = _records(job, source, tiles)
    cores = {tile: job.core(tile, source.shape) for tile in tiles}
    for gather in ready:
        if isinstance(gather, ScoreGather | NetworkGather):
            gather.choose([(cores[tile], records[tile]) for tile in tiles])
    exact = tuple(dict.fromkeys(name for gather in ready for name in gather.needs if name.endswith(tasks.EXACT)))
    wanted = {tile: [i for i, gather in enumerate(ready) if gather.wants(cores[tile], records[tile])] for tile in tiles}
    some = [tile for tile in tiles if wanted[tile]]
    todo = [
        (job, number, [ready[i] for i in wanted[tile]], tile, exact, bool(exact))
        for tile in some
        if not job.path(f"round-{number}", name_of(tile, "part")).exists()
    ]
    follow(pool.map(tasks.look, todo), phase, len(some) - len(todo), len(some), tell)
    found: list[list[Any]] = [[] for _ in ready]
    for tile in some:
        parts = read_block(job.path(f"round-{number}", name_of(tile, "part")))["parts"]
        for i, part in zip(wanted[tile], parts, strict=True):
            found[i].append(part)
    return found


def _records(job: Job, source: Source, tiles: list[Tile]) -> dict[Tile, int]:
    """Return about how many records each tile holds."""
    found = dict.fromkeys(tiles, 0)
    for (row, column), records in source.chip.tiles.items():
        top, left = row * SIDE - source.frame.y0, column * SIDE - source.frame.x0
        touched = {(y // job.tile, x // job.tile) for y in (top, top + SIDE - 1) for x in (left, left + SIDE - 1)} | {
            (y // job.tile, x // job.tile)
            for y in range(top, top + SIDE, job.tile)
            for x in range(left, left + SIDE, job.tile)
        }
        for tile in touched & found.keys():
            found[tile] += records
    return found


def _freeze(job: Job, frozen: Mapping[str, Any], version: int) -> Job:
    """Write the numbers that are known, for all workers to read."""
    job = replace(job, version=version)
    write_statistics(job.statistics, frozen)
    return job
