"""One call from files to cells: what the command line does, in Python."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core.types import Grid, InputError, StainFile, Tick, Transcripts, no_tick
from segapp.io.atomic import atomic_dir, check_out_dir
from segapp.io.export import EXPORTERS, Exporter, find_exporters
from segapp.pipeline.presets import PRESETS
from segapp.pipeline.recipe import Recipe, parse_assignments
from segapp.pipeline.session import Session
from segapp.pipeline.tabulate import result_table

if TYPE_CHECKING:
    from anndata import AnnData

OUTPUTS = ("cells.h5ad", "labels.tif", "nuclei.tif", "recipe.json")
"""Names of the files that a run writes into its folder; `nuclei.tif` where there are cells beyond the nuclei."""


@dataclass(frozen=True)
class Result:
    """Cells of one run.

    Parameters
    ----------
    session : Session
        Every intermediate result: ``result.session.get("cell_scores")``.
    table : AnnData
        Cells x genes.
    labels : (H, W) int32
        The counted labels: cells, or nuclei where there are no cells beyond them.
    nuclei : (H, W) int32 or None
        Nuclei under the ids of their cells; None where the labels are the nuclei, or there are none.
    summary : dict
        n_cells, n_umis, umis_assigned, seconds per stage, peak memory, what the stages had to say.
    out : Path or None
        The folder that was written.
    transcripts : Transcripts or None
        The UMI records that were counted.
    """

    session: Session
    table: AnnData
    labels: np.ndarray
    nuclei: np.ndarray | None
    summary: dict[str, Any] = field(default_factory=dict)
    out: Path | None = None
    transcripts: Transcripts | None = None

    @property
    def grid(self) -> Grid:
        """Where the labels sit in input coordinates."""
        return Grid(**self.table.uns["segapp"]["frame"])

    @property
    def recipe(self) -> str:
        """JSON text that repeats the result."""
        return str(self.table.uns["segapp"]["recipe"])

    def __repr__(self) -> str:
        return "Result({n_cells:,} cells, {umis_assigned:,} of {n_umis:,} UMIs assigned)".format(**self.summary)


def run(
    gem: str | Path | Transcripts,
    stain: str | Path | StainFile | None = None,
    *,
    preset: str | None = None,
    recipe: str | Path | Recipe | Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    out: str | Path | None = None,
    export: str | Iterable[str] = (),
    tick: Tick = no_tick,
    watch: Callable[[Session], None] | None = None,
    um_per_px: float | None = None,
) -> Result:
    """Segment one section: from a GEM, and a stain where there is one, to cells x genes.

    Parameters
    ----------
    gem : path or Transcripts
        UMI records, of any format that `segapp.io.transcripts.read_transcripts` knows.
    stain : path or StainFile, optional
        Image of the same section.
    preset : str, optional
        Name of a preset; by default the one that suits the inputs, or the recipe's parameters.
    recipe : path, Recipe or mapping, optional
        Parameters of an earlier run. Not together with `preset`.
    set : mapping or list of str
        ``{"cell_score.k": 9}`` or ``["cell_score.k=9"]``, over the preset or recipe.
    out : path, optional
        Folder for ``cells.h5ad``, ``labels.tif``, ``nuclei.tif`` and ``recipe.json``; they appear all or not at all.
    export : str or iterable of str
        Formats that `out` gets besides, such as ``"geojson,csv"``; see `segapp.io.export.EXPORTERS`.
    tick : Tick
        Called often; raises `Cancelled` to stop.
    watch : function, optional
        Called with the session before work begins, to listen to its events.
    um_per_px : float, optional
        Side of the pixels in micrometres that single molecules are counted in; by default that of the pixels of the
        stain where its file says it, else 0.5. Other formats have their own.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        What was given, what is needed and what to do, in one sentence.
    Unavailable
        When the choices need what is not there, such as a stain.

    Examples
    --------
    >>> from segapp.io.samples import load_sample
    >>> sample = load_sample("tissue", size=128, seed=3)
    >>> result = run(sample.transcripts, sample.stain, set={"cells.area_threshold": 600})
    >>> result.summary["umis_assigned"] + result.table.uns["segapp"]["umis_unassigned"] == result.summary["n_umis"]
    True
    """
    began = time.perf_counter()
    exporters = find_exporters(export)
    if exporters and out is None:
        raise InputError("formats to export were given, but no folder; give `out` too")
    if out is not None:
        check_out_dir(out)
    session = Session()
    choose(session, preset, recipe, set)
    if watch is not None:
        watch(session)
    image = stain if isinstance(stain, StainFile) or stain is None else _read_stain(stain)
    transcripts = gem if isinstance(gem, Transcripts) else _read_transcripts(gem, tick, image, um_per_px)
    chosen = session.preset
    source = {
        name: str(Path(path).resolve())
        for name, path in (("gem", gem), ("stain", stain))
        if isinstance(path, str | Path)
    }
    session.load(transcripts, image, name=str(gem) if isinstance(gem, str | Path) else "", source=source)
    if not chosen:
        # the preset follows from the inputs, and the changes go over it
        session.set_many(patches_of(session, set))
    result = result_of(session, tick)
    result.summary["seconds_total"] = round(time.perf_counter() - began, 3)
    return result if out is None else _write(result, Path(out), exporters)


def result_of(session: Session, tick: Tick = no_tick) -> Result:
    """Return the result of a session under its parameters of now; what is not there yet is computed.

    Parameters
    ----------
    session : Session
        With transcripts loaded.
    tick : Tick
        Called often; raises `Cancelled` to stop.

    Returns
    -------
    Result
        What every exporter of `segapp.io.export.EXPORTERS` writes.

    Raises
    ------
    Unavailable
        When the choices need what is not there, such as a stain.
    """
    began = time.perf_counter()
    table = result_table(session, tick)
    labels, nuclei = session.get("cells"), session.get("nuclei")
    if session.params["cells"].to_json().get("method") == "nuclei":
        nuclei = None
    summary = _summary(session, table, began)
    return Result(session, table, labels, nuclei, summary, transcripts=session.inputs["transcripts"])


def choose(session: Session, preset: str | None, recipe: Any, changes: Any) -> None:
    """Give a session its parameters; every choice is checked before anything is read.

    Parameters
    ----------
    session : Session
        Gets them. Without a preset or recipe it has none yet, and the changes are only checked.
    preset, recipe, changes
        As `run` takes them, `changes` being its ``set``.

    Raises
    ------
    InputError
        When a choice does not exist or fit.
    """
    if preset is not None and recipe is not None:
        raise InputError("both a preset and a recipe were given; give one of them")
    if recipe is not None:
        if isinstance(recipe, str | Path):
            recipe = Recipe.read(recipe)
        session.load_recipe(recipe if isinstance(recipe, Recipe) else Recipe.from_json(recipe))
    elif preset is not None:
        session.use_preset(preset)
    if session.preset:
        session.set_many(patches_of(session, changes))
        return
    # which preset it will be is not known yet: the changes must fit one that might be
    problems = []
    for name in PRESETS:
        trial = Session(pipeline=session.pipeline)
        trial.use_preset(name)
        try:
            trial.set_many(patches_of(trial, changes))
            return
        except InputError as error:
            problems.append(error)
    raise problems[0]


def patches_of(session: Session, changes: Any) -> dict[str, dict[str, Any]]:
    """Return changes as `run` takes them by stage, as `Session.set_many` takes them."""
    if not isinstance(changes, Mapping):
        return dict(parse_assignments(list(changes), session.pipeline))
    texts = [f"{name}=" for name in changes]
    patches: dict[str, dict[str, Any]] = dict(parse_assignments(texts, session.pipeline))
    for name, value in changes.items():
        stage, _, parameter = name.partition(".")
        patches[stage][parameter] = value
    return patches


def _read_transcripts(path: str | Path, tick: Tick, stain: StainFile | None, um_per_px: float | None) -> Transcripts:
    from segapp.io.transcripts import UM_PER_PX, read_transcripts

    said = None if stain is None else stain.um_per_px
    return read_transcripts(path, tick, um_per_px=um_per_px or said or UM_PER_PX)


def _read_stain(path: str | Path) -> StainFile:
    from segapp.io.image import read_stain

    return read_stain(path)


def _summary(session: Session, table: AnnData, began: float) -> dict[str, Any]:
    uns = table.uns["segapp"]
    n_umis = session.inputs["transcripts"].n_umis
    statuses = session.statuses()
    return {
        "n_cells": int(table.n_obs),
        "n_umis": n_umis,
        "umis_assigned": n_umis - int(uns["umis_unassigned"]),
        "median_area_px": float(np.median(table.obs["area_px"])) if table.n_obs else 0.0,
        "median_umis": float(np.median(table.obs["n_counts"])) if table.n_obs else 0.0,
        "scorecard": dict(uns["scorecard"]),
        "preset": session.preset,
        "notes": {name: s.reason for name, s in statuses.items() if s.state == "fresh" and s.reason},
        "seconds": {name: round(s.seconds, 4) for name, s in statuses.items() if s.seconds is not None},
        "seconds_total": round(time.perf_counter() - began, 3),
        "peak_memory_mb": round(peak_memory() / 1e6, 1),
    }


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    try:
        import resource
    except ImportError:  # Windows has no such counter
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def _write(result: Result, out: Path, exporters: tuple[Exporter, ...]) -> Result:
    from segapp.io.masks import write_labels
    from segapp.io.results import write_exports
    from segapp.io.table import write_h5ad

    owned = {*OUTPUTS, *(f"cells{exporter.suffix}" for exporter in EXPORTERS.values())}
    with atomic_dir(out, owned=owned) as folder:
        write_labels(folder / "labels.tif", result.labels)
        if result.nuclei is not None:
            write_labels(folder / "nuclei.tif", result.nuclei)
        (folder / "recipe.json").write_text(result.session.recipe().text(), encoding="utf-8")
        write_h5ad(result.table, folder / "cells.h5ad")
        # a run has the table and the labels in any case
        write_exports(result, [one for one in exporters if one.name not in ("h5ad", "tif")], folder)
    return dataclasses.replace(result, out=out)
