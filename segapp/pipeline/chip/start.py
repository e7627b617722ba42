"""The beginning of a run of a chip: its choices, its folder, and who works on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from segapp.core.notes import collected
from segapp.core.params import Params
from segapp.core.tiling import threads_kept
from segapp.core.types import InputError, Unavailable
from segapp.io.atomic import atomic_file
from segapp.io.chip import Chip
from segapp.io.chip.blocks import disk_errors
from segapp.pipeline.chip.job import Job
from segapp.pipeline.chip.numbers import write_statistics
from segapp.pipeline.chip.source import preset_of, snapshot_of
from segapp.pipeline.chip.workers import Workers, open_workers
from segapp.pipeline.job import choose, patches_of
from segapp.pipeline.session import Session
from segapp.pipeline.stages import PIPELINE

Resume = Literal["no", "yes", "same"]


def session_of(chip: Chip, preset: str | None, recipe: Any, changes: Any) -> Session:
    """Return a session with the parameters of a run, and nothing loaded.

    Raises
    ------
    InputError
        When a choice does not exist or fit.
    Unavailable
        When the choices need what the chip does not have.
    """
    session = Session()
    choose(session, preset, recipe, changes)
    if not session.preset:
        session.use_preset(preset_of(chip))
        session.set_many(patches_of(session, changes))
    snapshot = snapshot_of(chip, session.params)
    for stage in PIPELINE.closure(("cells", "nuclei"), snapshot.choice):
        reason = snapshot.blocker(stage)
        if reason is not None:
            raise Unavailable(reason)
    return session


def check_tile(tile: int) -> None:
    """Raise `InputError` for a side that a tile cannot have."""
    if tile < 256 or (tile % 1024 and tile > 1024):
        raise InputError(f"--tile {tile} cannot be used: it is a multiple of 1024 px")


@contextmanager
def begun(
    chip: Chip,
    params: Mapping[str, Params],
    work: Path,
    tile: int,
    given: Mapping[str, Any],
    resume: Resume,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[Job, Workers]]:
    """Begin a run in its folder, or go on with one; yield it and who works on it.

    Parameters
    ----------
    chip : Chip
        The chip.
    params : mapping of str to Params
        Parameters of every stage.
    work : Path
        Folder for what is kept during the run.
    tile : int
        Side of a tile in px.
    given : mapping of str to Any
        Numbers that are known before; a run that goes on keeps those that it began with.
    resume : {"no", "yes", "same"}
        Whether to go on with what `work` holds: never, always, or where it is of the same choices.
    workers, scheduler
        As `run_chip` takes them.
    """
    text = json.dumps({name: values.to_json() for name, values in params.items()})
    job = Job(str(chip.path.resolve()), str(work.resolve()), text, tile=tile)
    _open_folder(work, job, chip, given, resume)
    pool = open_workers(workers, scheduler)
    try:
        # what a tile says of its data concerns one place of many
        with collected(), threads_kept(), disk_errors(work.parent):
            yield job, pool
    finally:
        pool.close()


def _open_folder(work: Path, job: Job, chip: Chip, given: Mapping[str, Any], resume: Resume) -> None:
    out, about = work.parent, {"chip": chip.digest, "tile": job.tile, "params": json.loads(job.text)}
    begun = job.path("run.json")
    same = begun.exists() and json.loads(begun.read_text(encoding="utf-8")) == about
    if begun.exists() and (same or resume != "same"):
        if resume == "no":
            raise InputError(f"{out} holds a run that did not end; add --resume to go on, or give another folder")
        if not same:
            raise InputError(
                f"{out} holds a run of another chip, recipe or tile, which cannot go on with these; give another folder"
            )
        return
    if (out / "cells.h5ad").exists():
        raise InputError(f"{out} holds a finished run already; give another folder")
    shutil.rmtree(job.path(), ignore_errors=True)
    with disk_errors(out):
        write_statistics(job.statistics, given)
        with atomic_file(begun) as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")
