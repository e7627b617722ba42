"""A recipe over a whole chip: rounds that gather its numbers, tiles that make its cells, files that hold them."""

from __future__ import annotations

import json
import pickle
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segapp.core.types import InputError, Unavailable
from segapp.io.atomic import atomic_file, check_out_dir
from segapp.io.chip import Chip
from segapp.io.chip.blocks import disk_errors, read_block
from segapp.pipeline.chip import job as tasks
from segapp.pipeline.chip.alignment import find_alignment, move_stain
from segapp.pipeline.chip.evaluate import HALO, LARGEST_HALO
from segapp.pipeline.chip.job import Job, Tile, name_of
from segapp.pipeline.chip.joins import disagreeing
from segapp.pipeline.chip.outputs import write_outputs
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.statistics import Gather, NetworkGather, ScoreGather, gathers, upstream
from segapp.pipeline.chip.workers import Workers, open_workers
from segapp.pipeline.compute import Snapshot
from segapp.pipeline.recipe import Recipe
from segapp.pipeline.session import Session
from segapp.pipeline.stage import Choice
from segapp.pipeline.stages import PIPELINE

TILE = 2048
"""Side of a tile in px by default: a fifth of the work is done twice, in the halos, and a tile takes about 1 GB."""

Tell = Callable[[str, int, int], None]
"""``tell(phase, done, total)``: hears how far a run is; raises `Cancelled` to stop it."""

Sizes = dict[str, Any]


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
        Numbers of the whole by stage, to be taken instead of those of this chip.
    tell : function, optional
        Hears how far the run is; raises `Cancelled` to stop it.

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
    began = time.perf_counter()
    opened = chip if isinstance(chip, Chip) else Chip.open(chip)
    if tile < 256 or (tile % 1024 and tile > 1024):
        raise InputError(f"--tile {tile} cannot be used: it is a multiple of 1024 px")
    out = Path(out)
    check_out_dir(out)
    session = session_of(opened, preset, recipe, set)
    text = json.dumps({name: params.to_json() for name, params in session.params.items()})
    job = Job(str(opened.path.resolve()), str((out / "work").resolve()), text, tile=tile)
    tell = tell or (lambda phase, done, total: None)
    _open_folder(out, job, opened, resume)
    pool = open_workers(workers, scheduler)
    seconds: dict[str, float] = {}
    try:
        with warnings.catch_warnings(), disk_errors(out):
            warnings.simplefilter("ignore", UserWarning)
            job = _gather(job, pool, dict(statistics or {}), tell, seconds)
            blocks = _tiles(job, pool, tell, seconds)
            summary = write_outputs(out, job, session, blocks, pool, tell, seconds)
            summary["seconds"] = {name: round(value, 2) for name, value in seconds.items()}
            summary["seconds_total"] = round(time.perf_counter() - began, 2)
            with atomic_file(out / "summary.json") as temporary:
                temporary.write_text(json.dumps(summary, indent=2), encoding="utf-8")
    finally:
        pool.close()
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
) -> dict[str, Any]:
    """Return the numbers of a whole chip, which `run_chip` finds in its first pass; nothing stays on the disk.

    Parameters
    ----------
    chip, preset, recipe, set, tile, statistics, tell
        As `run_chip` takes them.
    work : path
        Folder for what is kept meanwhile; it is made, and removed at the end.

    Returns
    -------
    dict of str to Any
        By stage.
    """
    opened = chip if isinstance(chip, Chip) else Chip.open(chip)
    session = session_of(opened, preset, recipe, set)
    text = json.dumps({name: params.to_json() for name, params in session.params.items()})
    job = Job(str(opened.path.resolve()), str(Path(work).resolve()), text, tile=tile)
    pool = open_workers(None, None)
    try:
        with warnings.catch_warnings(), disk_errors(Path(work)):
            warnings.simplefilter("ignore", UserWarning)
            job = _gather(job, pool, dict(statistics or {}), tell or (lambda phase, done, total: None), {})
            return dict(job.source().statistics)
    finally:
        pool.close()
        shutil.rmtree(work, ignore_errors=True)


def session_of(chip: Chip, preset: str | None, recipe: Any, changes: Any) -> Session:
    """Return a session with the parameters of a run, and nothing loaded.

    Raises
    ------
    InputError
        When a choice does not exist or fit.
    Unavailable
        When the choices need what the chip does not have.
    """
    from segapp.core.rna import RnaParams, marks_nuclei
    from segapp.pipeline.chip.source import light_transcripts
    from segapp.pipeline.job import _choose, _patches
    from segapp.pipeline.presets import default_preset

    session = Session()
    _choose(session, preset, recipe, changes)
    light = light_transcripts(chip)
    if not session.preset:
        session.use_preset(default_preset(chip.stain is not None, marks_nuclei(light, RnaParams())))
        session.set_many(_patches(session, changes))
    inputs: dict[str, Any] = {"transcripts": light} | ({"stain_file": light} if chip.stain is not None else {})
    snapshot = Snapshot(PIPELINE, inputs, session.params)
    for stage in PIPELINE.closure(("cells", "nuclei"), snapshot.choice):
        reason = snapshot.blocker(stage)
        if reason is not None:
            raise Unavailable(reason)
    return session


def _open_folder(out: Path, job: Job, chip: Chip, resume: bool) -> None:
    """Begin a run, or find the one that was begun unchanged."""
    about = {"chip": chip.digest, "tile": job.tile, "params": json.loads(job.text)}
    begun = job.path("run.json")
    if begun.exists():
        if not resume:
            raise InputError(f"{out} holds a run that did not end; add --resume to go on, or give another folder")
        if json.loads(begun.read_text(encoding="utf-8")) != about:
            raise InputError(
                f"{out} holds a run of another chip, recipe or tile, which cannot go on with these; give another folder"
            )
        return
    if (out / "cells.h5ad").exists():
        raise InputError(f"{out} holds a finished run already; give another folder")
    shutil.rmtree(job.path(), ignore_errors=True)
    with disk_errors(out), atomic_file(begun) as temporary:
        temporary.write_text(json.dumps(about), encoding="utf-8")


def _gather(job: Job, pool: Workers, given: dict[str, Any], tell: Tell, seconds: dict[str, float]) -> Job:
    """Find the numbers of the whole chip, round by round."""
    frozen = given
    job = _freeze(job, frozen, 0)
    source = job.source()
    choice = Choice(job.params, frozenset({"transcripts"} | ({"stain_file"} if source.chip.stain else set())))
    stages = [stage.name for stage in PIPELINE.closure(("cells", "nuclei"), choice)]
    if "align" in stages and source.chip.stain is not None:
        began = time.perf_counter()
        if "align" not in frozen:
            saved = job.path("align.pickle")
            if not saved.exists():
                tell("align", 0, 1)
                with atomic_file(saved) as temporary:
                    temporary.write_bytes(pickle.dumps(find_alignment(source, tell)))
            frozen["align"] = pickle.loads(saved.read_bytes())
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
                pending.remove(gather)
        number += 1
        job = _freeze(job, frozen, 2 + number)
        seconds[f"numbers: {phase}"] = seconds.get(f"numbers: {phase}", 0) + time.perf_counter() - began
    return job


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
    _follow(pool.map(tasks.look, todo), phase, len(some) - len(todo), len(some), tell)
    found: list[list[Any]] = [[] for _ in ready]
    for tile in some:
        parts = read_block(job.path(f"round-{number}", name_of(tile, "part")))["parts"]
        for i, part in zip(wanted[tile], parts, strict=True):
            found[i].append(part)
    return found


def _records(job: Job, source: Source, tiles: list[Tile]) -> dict[Tile, int]:
    """Return about how many records each tile holds."""
    from segapp.io.chip.store import SIDE

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
    with atomic_file(job.path(f"statistics-{version}.pickle")) as temporary:
        temporary.write_bytes(pickle.dumps(dict(frozen)))
    return replace(job, version=version)


def _tiles(job: Job, pool: Workers, tell: Tell, seconds: dict[str, float]) -> dict[Tile, Any]:
    """Make the cells of all tiles; those that do not agree with a neighbour are made again with more around them."""
    began = time.perf_counter()
    tiles = job.tiles(job.source().shape)
    while True:
        todo = [(job, tile) for tile in tiles if not job.path("tiles", name_of(tile, "objects")).exists()]
        _follow(pool.map(tasks.finish, todo), "cells", len(tiles) - len(todo), len(tiles), tell)
        blocks = {tile: read_block(job.path("tiles", name_of(tile, "objects"))) for tile in tiles}
        wrong = disagreeing(blocks)
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


def _follow(results: Iterable[Any], phase: str, done: int, total: int, tell: Tell) -> None:
    tell(phase, done, total)
    for result in results:
        done += result is not None
        tell(phase, done, total)
