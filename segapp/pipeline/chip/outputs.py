"""The files of a run: labels with the ids of the chip, cells x genes, and what makes them repeatable."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.display import stretch
from segapp.core.label.augment import SOURCES
from segapp.core.tiling import Window, halvings, one_thread
from segapp.io.chip.blocks import SIDE, build_pyramid, create_image, disk_errors, open_image, read_block
from segapp.io.chip.cells import merge_counts, write_table
from segapp.io.chip.pyramid import halve, halve_centred, n_levels
from segapp.io.table import versions
from segapp.pipeline.chip.job import Job, Tile, name_of
from segapp.pipeline.chip.joins import joined, numbers_of
from segapp.pipeline.chip.numbers import numbers_json, write_statistics
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.workers import Workers
from segapp.pipeline.session import Session

PICTURE = 2048
"""Longest side in px of the pictures inside the table."""


def write_outputs(
    out: Path,
    job: Job,
    session: Session,
    blocks: Mapping[Tile, Mapping[str, Any]],
    pool: Workers,
    tell: Any,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """Write ``labels.zarr``, ``cells.h5ad``, ``recipe.json`` and ``statistics.json``; return the summary.

    Parameters
    ----------
    out : Path
        Folder.
    job : Job
        The run.
    session : Session
        Its parameters.
    blocks : mapping of tile to objects
        That agree.
    pool : Workers
        Who writes the labels.
    tell : function
        Hears how far it is.
    seconds : dict
        Gets the time of each phase.
    """
    source = job.source()
    cells = joined(blocks)
    keys = cells["key"]
    began = time.perf_counter()
    with_nuclei = "nuclei" in read_block(job.path("tiles", name_of(next(iter(blocks)), "pixels")))
    _write_labels(out, job, source, blocks, keys, with_nuclei, pool, tell)
    seconds["labels"] = time.perf_counter() - began
    began = time.perf_counter()
    recipe = dataclasses.replace(session.recipe(), statistics=numbers_json(source.statistics)).text()
    frame = {name: getattr(source.frame, name) for name in ("x0", "y0", "height", "width", "um_per_px")}
    outside = source.chip.n_umis - int(cells["umis"])
    unassigned = int(cells["unassigned"]["total"]) + outside
    obs = _obs(cells, source)
    centre = np.column_stack([cells["sum_x"], cells["sum_y"]]) / np.maximum(cells["area"], 1)[:, None]
    uns = {
        "spatial": {"segapp": _pictures(out, source, cells["area"])},
        "segapp": {
            "umis_total": source.chip.n_umis,
            "umis_unassigned": unassigned,
            "umis_outside_frame": outside,
            "frame": frame,
            "recipe": recipe,
            "versions": versions(),
            "inputs": {"transcripts": source.chip.digest},
        },
    }
    sizes = write_table(
        out / "cells.h5ad",
        obs,
        source.chip.genes,
        source.chip.layers,
        _pieces(job, source, blocks, keys, tell),
        spatial=centre,
        spatial_input=centre + np.array([source.frame.x0, source.frame.y0]),
        uns=uns,
    )
    (out / "recipe.json").write_text(recipe, encoding="utf-8")
    write_statistics(out / "statistics.json", source.statistics)
    seconds["table"] = time.perf_counter() - began
    n = len(keys)
    return {
        "n_cells": n,
        "n_umis": source.chip.n_umis,
        "umis_assigned": source.chip.n_umis - unassigned,
        "median_area_px": float(np.median(cells["area"])) if n else 0.0,
        "median_umis": float(np.median(sizes["n_counts"])) if n else 0.0,
        "preset": session.preset,
        "notes": [*source.notes(), *cells["report"]],
        "megapixels": source.shape[0] * source.shape[1] / 1e6,
        "tile": job.tile,
    }


def _obs(cells: Mapping[str, Any], source: Source) -> dict[str, np.ndarray]:
    n, um = len(cells["key"]), source.frame.um_per_px
    obs: dict[str, np.ndarray] = {
        "label": np.arange(1, n + 1, dtype=np.uint32),
        "area_px": cells["area"],
        "area_um2": cells["area"] * um**2,
    }
    params: Any = source.params
    if params["nuclei"].source != "off":
        obs["nucleus_area_px"] = cells["nucleus_area"]
        obs["nuclear_fraction"] = cells["nucleus_area"] / np.maximum(cells["area"], 1)
    obs["source"] = np.array(SOURCES)[cells["source"]]
    if cells["score"] is not None:
        obs["score"] = cells["score"]
    obs["touches_border"] = cells["border"]
    obs["library"] = np.full(n, "segapp")
    if cells["probability"] is not None:
        engine = params["nuclei_network"].engine
        obs["engine"] = np.where(obs["source"] == "network", engine, obs["source"])
        obs["nucleus_probability"] = cells["probability"]
    return obs


def _pieces(
    job: Job, source: Source, blocks: Mapping[Tile, Mapping[str, Any]], keys: np.ndarray, tell: Any
) -> Iterator[dict[str, Any]]:
    """Yield the counts of the cells whose first pixel lies in one row of tiles after the other."""
    rows = sorted({row for row, _ in blocks})
    # a cell reaches down into later rows of tiles: their counts wait until its own row is written
    waiting: dict[int, dict[str, list[Any]]] = {}
    bounds = [int(np.searchsorted(keys, row * job.tile * source.shape[1])) for row in (*rows, rows[-1] + 1)]
    for row in (*rows, rows[-1] + 1):
        if row <= rows[-1]:
            tell("table", row, len(rows))
            for tile, block in blocks.items():
                if tile[0] == row:
                    _spread_counts(read_block(job.path("tiles", name_of(tile, "counts"))), block, keys, bounds, waiting)
        ready = row - 1
        if ready >= rows[0]:
            parts = waiting.pop(ready, {})
            yield {layer: merge_counts(parts.get(layer, [])) for layer in source.chip.layers}


def _spread_counts(
    counts: Mapping[str, Any],
    block: Mapping[str, Any],
    keys: np.ndarray,
    bounds: list[int],
    waiting: dict[int, dict[str, list[Any]]],
) -> None:
    if "row" not in counts:
        return
    numbers = np.searchsorted(keys, block["key"])
    for layer, value in counts.items():
        if layer in ("row", "gene"):
            continue
        row, gene, count = (counts["row"], counts["gene"], value) if layer == "total" else value
        at = numbers[row]
        for band in range(len(bounds) - 1):
            here = (at >= bounds[band]) & (at < bounds[band + 1])
            if here.any():
                waiting.setdefault(band, {}).setdefault(layer, []).append((at[here], gene[here], count[here]))


def _write_labels(
    out: Path,
    job: Job,
    source: Source,
    blocks: Mapping[Tile, Mapping[str, Any]],
    keys: np.ndarray,
    with_nuclei: bool,
    pool: Workers,
    tell: Any,
) -> None:
    names = ("labels", "nuclei") if with_nuclei else ("labels",)
    for name in names:
        create_image(out / "labels.zarr", f"{name}/0", source.shape, np.uint32, min(job.tile, SIDE))
    todo = [(job, str(out), tile, numbers_of(blocks[tile], keys), names) for tile in blocks]
    tell("labels", 0, len(todo))
    done = 0
    for result in pool.map(write_tile, todo):
        done += result is not None
        tell("labels", done, len(todo))
    for name in names:
        build_pyramid(out / "labels.zarr", name, lambda at, n: tell("pyramid", at, n))


def write_tile(job: Job, out: str, tile: Tile, numbers: np.ndarray, names: tuple[str, ...]) -> Tile:
    """Write the labels of one tile with the ids of the chip."""
    one_thread()
    pixels = read_block(job.path("tiles", name_of(tile, "pixels")))
    labels = numbers[pixels["labels"]]
    top, left, bottom, right = pixels["core"]
    with disk_errors(Path(out)):
        for name in names:
            image = labels if name == "labels" else np.where(pixels["nuclei"], labels, 0).astype(np.uint32)
            open_image(Path(out) / "labels.zarr", f"{name}/0")[top:bottom, left:right] = image
    return tile


def _small_stain(source: Source, level: int) -> np.ndarray:
    """Return means over squares of ``2**level`` px of the stain as the cells were made on it, read by windows."""
    whole = Window((0, 0, *source.shape), (0, 0, *source.shape), source.shape)
    found = source.statistics.get("align")
    if source.moved is None or found is None or found.is_identity:
        return source.raw_stain(whole, level)
    rows, columns = source.shape
    small = np.zeros([-(-side // (1 << level)) for side in source.shape], np.float32)
    for top in range(0, rows, SIDE):
        for left in range(0, columns, SIDE):
            box = (top, left, min(top + SIDE, rows), min(left + SIDE, columns))
            part = source.stain(Window(box, box, source.shape))
            for _ in range(level):
                part = halve(part, "mean")
            at = top >> level, left >> level
            small[at[0] : at[0] + part.shape[0], at[1] : at[1] + part.shape[1]] = part
    return small


def _pictures(out: Path, source: Source, area: np.ndarray) -> dict[str, Any]:
    level = min(halvings(max(source.shape), PICTURE), n_levels(*source.shape) - 1)
    finer = max(level - 1, 0)
    if source.chip.stain is not None:
        image = _small_stain(source, finer).astype(np.float32)
    else:
        from segapp.pipeline.chip.alignment import small_counts

        image = small_counts(source, finer, tuple(-(-side // (1 << finer)) for side in source.shape)).astype(np.float32)
    if level:
        image = halve_centred(image)
    if source.chip.stain is None:
        image = np.sqrt(image)
    black, white = stretch(image)
    grey = np.clip((image - black) * (255.0 / (white - black)) + 0.5, 0, 255).astype(np.uint8)
    median = float(np.median(area)) if len(area) else 1.0
    return {
        "images": {
            "hires": np.repeat(grey[:, :, np.newaxis], 3, axis=2),
            "segmentation": open_image(out / "labels.zarr", f"labels/{level}")[:].astype(np.int32),
        },
        "scalefactors": {
            "tissue_hires_scalef": 1.0 / (1 << level),
            "spot_diameter_fullres": 2.0 * float(np.sqrt(median / np.pi)),
            "microns_per_pixel": float(source.frame.um_per_px),
        },
        "metadata": {"software": "segapp"},
    }
