"""What a run of a chip will take, before it begins: memory, disk and time, from costs that were measured."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segapp.core.types import InputError
from segapp.io.chip import Chip
from segapp.io.estimate import free_memory
from segapp.pipeline.chip.evaluate import HALO
from segapp.pipeline.chip.start import session_of
from segapp.pipeline.chip.workers import Threads

TILES = (2048, 1024)
"""Sides that are tried, from the quickest to the smallest."""

BASE, PROCESS = 600 << 20, 450 << 20
"""Bytes of the program, and of each further process of it."""

PIXEL = {"window": 75, "network": 160}
"""Bytes of a pixel of a window with all that is computed on it at the peak, without and with a network."""

SQUARE, RECORD, CELL = 120, 90, 250
"""Bytes of a square of the density bins while they are divided, of a record while the table of a row of tiles is
joined, and of a cell."""

KEPT, MADE = 9, 3
"""Bytes on the disk of a pixel while the run lasts, and of what stays; records take `DISK_RECORD` more."""
DISK_RECORD = 14

SECONDS = {"pixel": 0.95e-6, "record": 0.35e-6, "network": 6e-6, "square": 16e-6}
"""Seconds of one core for a pixel, a record, a pixel of a network more, and a square of the density bins."""

CELLS_PER_PIXEL = 1 / 500


@dataclass(frozen=True)
class Plan:
    """What a run takes.

    Parameters
    ----------
    megapixels, records : float, int
        Size of the chip.
    tile, workers : int
        Side of a tile in px, and how many run side by side.
    memory, allowed : int, int or None
        Bytes at the peak of all processes together, and bytes that may be used.
    disk, free : int
        Bytes that the folder of the result grows by at most, and bytes that are free there.
    seconds : float
        From beginning to end.
    advice : str
        What would make it fit, where it does not.
    """

    megapixels: float
    records: int
    tile: int
    workers: int
    memory: int
    allowed: int | None
    disk: int
    free: int
    seconds: float
    advice: str = ""

    def text(self) -> str:
        """Return it in words.

        Examples
        --------
        >>> Plan(700.1, 300_000_000, 2048, 2, 3 << 30, 8 << 30, 9 << 30, 90 << 30, 600.0).text()
        '700.1 megapixels, 300.0 million records: 3.2 GB of memory (8.6 may be used) for 2 tiles of 2048 px side by \
side, 9.7 GB of disk (96.6 are free), about 10 min.'
        """
        allowed = "" if self.allowed is None else f" ({self.allowed / 1e9:.1f} may be used)"
        took = f"{self.seconds:.0f} s" if self.seconds < 90 else f"{self.seconds / 60:.0f} min"
        return (
            f"{self.megapixels:.1f} megapixels, {self.records / 1e6:.1f} million records: "
            f"{self.memory / 1e9:.1f} GB of memory{allowed} for {self.workers} tiles of {self.tile} px side by side, "
            f"{self.disk / 1e9:.1f} GB of disk ({self.free / 1e9:.1f} are free), about {took}."
        )


def plan_run(
    chip: str | Path | Chip,
    out: str | Path,
    *,
    preset: str | None = None,
    recipe: Any = None,
    set: Any = (),
    tile: int | None = None,
    workers: int | None = None,
    memory: int | None = None,
) -> Plan:
    """Estimate what a run takes; it reads nothing but the description of the chip.

    Parameters
    ----------
    chip, out, preset, recipe, set, workers
        As `run_chip` takes them.
    tile : int, optional
        Side of a tile in px; by default the largest that fits.
    memory : int, optional
        Bytes that may be used; by default what is free now.

    Returns
    -------
    Plan
    """
    opened = chip if isinstance(chip, Chip) else Chip.open(chip)
    params: Any = session_of(opened, preset, recipe, set).params
    if opened.stain is not None:
        height, width = opened.stain["shape"][-2:]
    else:
        height, width = opened.bbox[3] - opened.bbox[1] + 1, opened.bbox[2] - opened.bbox[0] + 1
    pixels, records = height * width, opened.n_records
    network = params["nuclei"].source in ("network", "augment", "union")
    squares = 0 if params["density"].method == "off" else pixels // params["density"].binsize ** 2
    side_by_side = workers or Threads().n
    allowed = free_memory() if memory is None else memory

    def peak(tile: int, n: int) -> int:
        window = min(tile + 2 * HALO + 64, max(height, width)) ** 2
        at_once = n * window * (PIXEL["window"] + (PIXEL["network"] if network else 0))
        rows = RECORD * records * min(2 * tile / max(height, 1), 1)
        others = max(at_once, SQUARE * squares, rows + CELL * pixels * CELLS_PER_PIXEL)
        return int(BASE + (n * PROCESS if workers else 0) + others)

    choices = TILES if tile is None else (tile,)
    chosen = next((side for side in choices if allowed is None or peak(side, side_by_side) <= allowed), choices[-1])
    again = (1 + 2 * HALO / chosen) ** 2
    cores = min(side_by_side, Threads().n)
    work = SECONDS["pixel"] * pixels * again + SECONDS["record"] * records
    work += SECONDS["network"] * pixels * again if network else 0
    disk = int(pixels * (KEPT * again + MADE) + DISK_RECORD * records)
    folder = Path(out).resolve()
    while not folder.exists():
        folder = folder.parent
    plan = Plan(
        pixels / 1e6,
        records,
        chosen,
        side_by_side,
        peak(chosen, side_by_side),
        allowed,
        disk,
        shutil.disk_usage(folder).free,
        4 + work / cores + SECONDS["square"] * squares,
        _advice(peak, chosen, side_by_side, allowed),
    )
    return plan


def _advice(peak: Any, tile: int, workers: int, allowed: int | None) -> str:
    """Name the flag under which a run fits."""
    if allowed is None or peak(tile, workers) <= allowed:
        return ""
    for side in (tile, *(side for side in TILES if side < tile)):
        for n in range(workers, 0, -1):
            if peak(side, n) <= allowed:
                tiles = f" --tile {side}" if side != tile else ""
                return f"run it with{tiles}{f' --workers {n}' if n != workers else ''}"
    return f"it needs --memory {peak(1024, 1) / 1e9:.1f}GB at least, so close other programs or take another machine"


def check_fits(plan: Plan) -> None:
    """Refuse a run that cannot fit.

    Raises
    ------
    InputError
        Names the flag that makes it fit.
    """
    if plan.allowed is not None and plan.memory > plan.allowed:
        raise InputError(
            f"the run takes {plan.memory / 1e9:.1f} GB of memory and {plan.allowed / 1e9:.1f} GB may be used; "
            f"{plan.advice}"
        )
    if plan.disk > plan.free:
        raise InputError(
            f"the run takes up to {plan.disk / 1e9:.1f} GB of disk and {plan.free / 1e9:.1f} GB are free; give --out "
            "on another disk"
        )


def bytes_of(text: str) -> int:
    """Return a size in bytes.

    Examples
    --------
    >>> bytes_of("8GB"), bytes_of("512 MB"), bytes_of("1.5g")
    (8000000000, 512000000, 1500000000)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?)i?b?\s*", text.lower())
    if found is None:
        raise InputError(f"--memory {text} cannot be read; give a size such as 8GB")
    return int(float(found[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}[found[2]])
