"""A chip in tiles against the same section in one piece: the cells one by one, and the scores pixel by pixel.

    python -m benchmarks.chip_equal --folder SCRATCH

writes benchmarks/CHIP_EQUAL.md. Every configuration that the tests compare on a small section (the dictionaries of
tests/pipeline/chip/configurations.py) is run by `run_chip` in tiles and by a `Session` in one piece with the numbers
that the run found. What was measured stays in SCRATCH/equal.json and is not measured again, so that the script may be
stopped and started at any time; `--only NAME ...` chooses, `--again` measures anew.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import zarr
from scipy import sparse

from segapp.io.chip import Chip, convert_chip
from segapp.io.chip.simulate import write_chip_sample
from segapp.io.gem import read_gem
from segapp.io.image import read_stain
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.evaluate import evaluate
from segapp.pipeline.chip.freeze import freeze
from segapp.pipeline.chip.numbers import read_statistics
from segapp.pipeline.chip.rounds import gather_numbers
from segapp.pipeline.chip.start import begun
from segapp.pipeline.job import patches_of
from segapp.pipeline.session import Session
from tests.pipeline.chip.configurations import EXACT, NETWORKS, PRESETS

CONFIGURATIONS: dict[str, tuple[str, list[str]]] = {
    **{name: (preset, ["align.mode=off", *changes]) for name, (preset, changes) in EXACT.items()},
    **PRESETS,
    **NETWORKS,
}
SCORES = ("cell_scores", "nuclei_scores")
SEED = 13


def main() -> None:
    options = _options()
    folder = Path(options.folder)
    kept = folder / "equal.json"
    rows: dict[str, dict] = json.loads(kept.read_text()) if kept.exists() else {}
    same = {"size": options.size, "tile": options.tile}
    rows = {name: row for name, row in rows.items() if name in CONFIGURATIONS and row.items() >= same.items()}
    wanted = options.only or list(CONFIGURATIONS)
    section: Section | None = None
    for name in wanted:
        if name in rows and not options.again:
            continue
        section = section or Section(folder / f"section{options.size}", options.size)
        rows[name] = {**same, **measure(section, folder / "out", *CONFIGURATIONS[name], options.tile)}
        kept.write_text(json.dumps(rows, indent=2))
        Path(options.out).write_text(report(rows, options), encoding="utf-8")
        print(name, json.dumps(rows[name]), flush=True)
    Path(options.out).write_text(report(rows, options), encoding="utf-8")


class Section:
    """A simulated section as records and stain, and as a chip; what was written before is used again."""

    def __init__(self, folder: Path, size: int) -> None:
        if not (folder / "files" / "truth.zarr").exists():
            write_chip_sample(folder / "files", size, SEED)
        gem, stain = folder / "files" / "chip.gem.gz", folder / "files" / "stain.tif"
        done = (folder / "chip" / "chip.json").exists()
        self.chip = Chip.open(folder / "chip") if done else convert_chip(gem, folder / "chip", stain=stain)
        self.records, self.image = read_gem(gem), read_stain(stain)

    def whole(self, preset: str, changes: list[str], numbers: Mapping[str, Any]) -> Session:
        """Return a session of the section in one piece that uses the numbers of a run in tiles."""
        if "nuclei_network" in numbers:  # it takes its number as a parameter
            changes = [*changes, f"nuclei_network.scale={numbers['nuclei_network'].statistics['scale']}"]
        session = Session()
        session.use_preset(preset)
        session.set_many(patches_of(session, changes))
        session.load(self.records, self.image)
        freeze(session, numbers)
        return session


def measure(section: Section, out: Path, preset: str, changes: list[str], tile: int) -> dict:
    """Run one configuration in both ways; return how the two compare."""
    shutil.rmtree(out, ignore_errors=True)
    began = _clock()
    result = run_chip(section.chip, out, preset=preset, set=changes, tile=tile)
    in_tiles = _since(began)
    tiled = zarr.open_array(out / "labels.zarr", path="labels/0")[:]
    numbers = read_statistics(out / "statistics.json")
    began = _clock()
    session = section.whole(preset, changes, numbers)
    whole = session.get("cells")
    in_one = _since(began)
    table = anndata.read_h5ad(out / "cells.h5ad", backed="r")
    row = {
        "preset": preset,
        "changes": changes,
        **compare_cells(whole, tiled),
        **doubled_rows(table.obs["label"].to_numpy(), table.obs["area_px"].to_numpy(), tiled),
        **on_seams(tiled, tile),
        "tiles": in_tiles,
        "one": in_one,
        "scores": {},
    }
    table.file.close()
    assert result.summary["n_cells"] == row["tiled"]
    names = [name for name in SCORES if _asked(session, name)]
    whole_scores = {name: session.get(name) for name in names}
    del session, tiled, whole
    gc.collect()
    if names:
        shutil.rmtree(out)
        row["scores"] = compare_scores(
            section.chip, out, result.summary["preset"], changes, numbers, whole_scores, tile
        )
    shutil.rmtree(out, ignore_errors=True)
    row["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)
    gc.collect()
    return row


def compare_cells(whole: np.ndarray, tiled: np.ndarray) -> dict[str, Any]:
    """Count the cells of the whole that are the same in tiles, and those that are not, by what became of them.

    `lost` have no pixel in any cell of the tiles, `new` the other way round; `cut` lie in two or more cells of the
    tiles, `joined` are cells of the tiles that lie in two or more of the whole. Pixels that are a cell's in one of
    the two alone are `pixels`, and no cell is `off` its counterpart by more pixels. All of them are 0 exactly where the
    two are one partition.
    """
    a, b = whole.ravel(), tiled.ravel()
    shape = int(a.max()) + 1, int(b.max()) + 1
    pairs = sparse.coo_matrix((np.ones(a.size, np.int64), (a.astype(np.int64), b.astype(np.int64))), shape).tocsr()
    pairs.sum_duplicates()
    areas, of_tiles = (np.asarray(pairs.sum(axis=axis)).ravel() for axis in (1, 0))
    cells = pairs[1:, 1:].tocoo()
    parts, covered = np.bincount(cells.row, minlength=shape[0] - 1), np.bincount(cells.col, minlength=shape[1] - 1)
    equal = (cells.data == areas[1:][cells.row]) & (cells.data == of_tiles[1:][cells.col])
    # each cell of the whole against the cell of the tiles that has most of it
    apart = areas[1:][cells.row] + of_tiles[1:][cells.col] - 2 * cells.data
    off = areas[1:].copy()
    np.minimum.at(off, cells.row, apart)
    there, there_tiled = areas[1:] > 0, of_tiles[1:] > 0
    return {
        "whole": int(there.sum()),
        "tiled": int(there_tiled.sum()),
        "equal": int(equal.sum()),
        "lost": int((there & (parts == 0)).sum()),
        "new": int((there_tiled & (covered == 0)).sum()),
        "cut": int((parts > 1).sum()),
        "joined": int((covered > 1).sum()),
        "pixels": int(areas[1:].sum() + of_tiles[1:].sum() - 2 * cells.data.sum()),
        "off": int(off.max(initial=0)),
    }


def doubled_rows(label: np.ndarray, area: np.ndarray, tiled: np.ndarray) -> dict[str, int]:
    """Count the rows of the table that stand for a cell that has one already, or for other pixels than it has."""
    found = np.bincount(tiled.ravel(), minlength=int(label.max(initial=0)) + 1)
    other = found[label] != area
    return {"doubled": len(label) - len(np.unique(label)), "other_area": int(other.sum())}


def on_seams(labels: np.ndarray, tile: int) -> dict[str, int]:
    """Count the cells that lie across a border of tiles, and the fewest on any side between two tiles."""
    crossing: list[np.ndarray] = []
    for image in (labels, labels.T):
        for at in range(tile, image.shape[0], tile):
            before, after = image[at - 1], image[at]
            both = np.where(before == after, before, 0)
            crossing += [np.unique(part[part > 0]) for part in np.split(both, range(tile, image.shape[1], tile))]
    every = np.unique(np.concatenate(crossing)) if crossing else np.zeros(0)
    return {"on_seams": len(every), "fewest": min((len(part) for part in crossing), default=0)}


def compare_scores(
    chip: Chip,
    out: Path,
    preset: str,
    changes: list[str],
    numbers: Mapping[str, Any],
    whole: Mapping[str, np.ndarray],
    tile: int,
) -> dict[str, dict]:
    """Evaluate scores tile by tile, as a run does; return how far they are from those of the whole."""
    session = Session()
    session.use_preset(preset)
    session.set_many(patches_of(session, changes))
    far = {name: {"largest": 0.0, "differ": 0, "of": 0} for name in whole}
    with begun(chip, session.params, out / "work", tile, numbers, "no") as (job, pool):
        job = gather_numbers(job, pool, lambda phase, done, total: None, {})  # the stain moves; the numbers are there
        source = job.source()
        assert set(source.statistics) == set(numbers)
        for one in job.tiles(source.shape):
            core = job.core(one, source.shape)
            seen = evaluate(source, core, source.statistics, tuple(whole))
            for name, image in whole.items():
                off = np.abs(seen.core(name).astype(np.float64) - image[core[0] : core[2], core[1] : core[3]])
                assert np.isfinite(off).all()
                found = far[name]
                found["largest"] = max(found["largest"], float(off.max()))
                found["differ"] += int(np.count_nonzero(off))
                found["of"] += off.size
    return far


def _asked(session: Session, name: str) -> bool:
    """Whether the cells of a session come from these scores."""
    stages = {stage.name for stage in session.pipeline.closure(("cells", "nuclei"), session.snapshot().choice)}
    return session.pipeline.giver[name].name in stages


def _clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> dict[str, float]:
    return {"seconds": round(time.perf_counter() - began[0], 1), "cpu": round(time.process_time() - began[1], 1)}


def report(rows: Mapping[str, dict], options: argparse.Namespace) -> str:
    across = (options.size - 1) // options.tile
    lines = [
        "# In tiles and in one piece",
        "",
        f"`python -m benchmarks.chip_equal --size {options.size} --tile {options.tile}` ({platform.machine()}). "
        f"A simulated section (`segapp sample chip`) of",
        f"{options.size:,} x {options.size:,} px is segmented in tiles of {options.tile:,} px, which have "
        f"{2 * across * (across + 1)} borders between two of them, and in one piece with the",
        "numbers (cuts, mixtures, thresholds, density bins, alignment) that the run in tiles found. The configurations",
        "are those of tests/pipeline/chip/configurations.py, where the tests take them from.",
        "",
        "- **same**: cells that have the same pixels in both. **lost**: cells of the whole without a pixel in the",
        "  tiles; **new**: the reverse. **cut**: cells of the whole that are two or more in the tiles; **joined**:",
        "  the reverse. **doubled**: rows of the table for a cell that has one, or with another area than its pixels.",
        "  A single pixel of another cell counts as a piece.",
        "- **pixels**: those that belong to a cell in one of the two alone, and by how many a cell differs at most.",
        "- **across borders**: cells that lie on both sides of a border, and the fewest of any border.",
        "- **scores**: the largest difference of a pixel (scores are from 0 to 1), and the share of pixels that",
        "  differ at all, between tiles evaluated as the run does and the whole.",
        "- Processor seconds are of both cores, in tiles and in one piece; halos of 256 px make a tile of 1,024 px",
        "  2.25 times as large. The last column is the memory of the process at its peak so far.",
        "",
        "| configuration | cells | same | lost | new | cut | joined | doubled | pixels | across borders | cell scores "
        "| nuclei scores | processor s: tiles, one | GB |",
        "|---" * 14 + "|",
    ]
    for name in CONFIGURATIONS:
        if name in rows:
            lines.append(_line(name, rows[name]))
    lines += ["", *_conclusion(rows)]
    left = [name for name in CONFIGURATIONS if name not in rows]
    if left:
        lines += ["", f"Not measured yet: {', '.join(left)}."]
    return "\n".join(lines) + "\n"


def _line(name: str, row: dict) -> str:
    scores = [_said(row["scores"].get(score)) for score in SCORES]
    numbers = [row[key] for key in ("whole", "equal", "lost", "new", "cut", "joined")]
    numbers += [row["doubled"] + row["other_area"]]
    said = " | ".join(f"{number:,}" for number in numbers)
    exact = row["equal"] == row["whole"] == row["tiled"]
    pixels = f"{row['pixels']:,}, {0 if exact else row.get('off', '?')}"
    return (
        f"| {name} | {said} | {pixels} | {row['on_seams']:,}, {row['fewest']} | {' | '.join(scores)} "
        f"| {row['tiles']['cpu']:.0f}, {row['one']['cpu']:.0f} | {row['peak_gb']} |"
    )


def _said(score: dict | None) -> str:
    if score is None:
        return "-"
    if score["differ"] == 0:
        return "equal"
    return f"{score['largest']:.1e} ({100 * score['differ'] / score['of']:.2g} %)"


def _conclusion(rows: Mapping[str, dict]) -> list[str]:
    """Say in words what the rows show."""
    exact = [name for name, row in rows.items() if row["equal"] == row["whole"] == row["tiled"] and not row["pixels"]]
    lines = [f"One partition in both: {len(exact)} of {len(rows)} configurations that were measured."]
    for title, belief in (("belief propagation", True), ("every other method", False)):
        largest = [
            score["largest"]
            for name, row in rows.items()
            for kind, score in row["scores"].items()
            if _believes(row, kind) is belief
        ]
        if largest:
            lines.append(f"Largest difference of scores by {title}: {max(largest):.1e}.")
    return lines


def _believes(row: dict, kind: str) -> bool:
    session = Session()
    session.use_preset(row["preset"])
    session.set_many(patches_of(session, row["changes"]))
    stage = session.pipeline.giver[kind].name
    return str(session.params[stage].method).endswith("+BP")  # type: ignore[attr-defined]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="scratch folder with room for the files")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--only", nargs="+", choices=list(CONFIGURATIONS), metavar="NAME", help="some configurations")
    parser.add_argument("--again", action="store_true", help="measure also what is kept")
    parser.add_argument("--out", default=str(Path(__file__).parent / "CHIP_EQUAL.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
