"""The report of a whole chip: drawn from levels of its pyramids and from windows, whatever its size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.doubt import Window
from segapp.core.scorecard import Scorecard
from segapp.core.types import Grid
from segapp.io.chip.saved import SavedChip
from segapp.io.report.subject import Placed, Subject, picture_in

UNKNOWN = (
    "Not known of a whole chip: the share of cells within the limits of area, and the nuclei in a cell. By chance: "
    "what pixels drawn anywhere hold on average."
)
"""What the scorecard of a section has beyond that of a chip."""


def write_chip_report(saved: SavedChip, path: Path, title: str = "") -> None:
    """Write the report of a chip as one HTML file; see `segapp.io.report.write_report`.

    Parameters
    ----------
    saved : SavedChip
        The cells.
    path : Path
        The file to write.
    title : str
        What the chip is called.

    Notes
    -----
    The overviews are a level of the labels, and the picture inside the table, of some thousand px a side. The close
    views are windows at full size: of the stain as the cells were made on it where it is at hand, else of the UMIs,
    else of the picture inside the table. Besides these the columns of the table are in memory.
    """
    from segapp.io.report.page import write_page

    pixels = ChipPixels(saved)
    write_page(
        path,
        Subject(
            obs=saved.table.obs,
            spatial=saved.table.obsm["spatial"],
            made=saved.table.uns["segapp"],
            grid=saved.grid,
            n_genes=_genes(saved.folder / "cells.h5ad"),
            pixels=pixels,
            card=card_of(saved).to_json(),
            noun="chip",
            command="segapp run --chip CHIP --recipe recipe.json --out DIR",
            behind=pixels.behind,
            lacks=(UNKNOWN,),
            numbers=_numbers(saved.folder / "statistics.json"),
        ),
        title,
    )


class ChipPixels:
    """Pixels of a chip, read from the disk.

    Parameters
    ----------
    saved : SavedChip
        The cells, with the chip and windows of its stain where these are at hand.
    """

    def __init__(self, saved: SavedChip) -> None:
        self.saved = saved
        self.whole = picture_in(saved.table) or Placed(np.zeros((1, 1), np.uint8), step=max(saved.grid.shape))
        if saved.stain is not None:
            self.behind = ""
        elif saved.chip is not None:
            self.behind = "Behind them: the UMIs."
        elif self.whole.step > 1:
            self.behind = f"Behind them: a picture of {self.whole.step} px a pixel; with --chip it has all pixels."
        else:
            self.behind = ""

    def overview(self) -> Placed:
        """Return the picture inside the table."""
        return self.whole

    def small_labels(self, side: int) -> Placed:
        """Return a level of the labels, or every n-th pixel of it."""
        level, found = 0, self.saved.levels("labels")
        while level + 1 < len(found) and max(found[level + 1].shape) >= side:
            level += 1
        step = max(1, -(-max(found[level].shape) // side))
        return Placed(np.asarray(found[level][:])[::step, ::step], step=step << level)

    def picture(self, window: Window) -> Placed:
        """Return the stain, or the UMIs, or a part of the picture inside the table."""
        saved, grid = self.saved, self.saved.grid
        here = Grid(grid.x0 + window.column, grid.y0 + window.row, window.side, window.side, grid.um_per_px)
        if saved.stain is not None:
            return Placed(saved.stain(here), window.column, window.row)
        if saved.chip is not None:
            # a square root, so that single UMIs show beside hot pixels
            return Placed(np.sqrt(saved.chip.counts("total", here).astype(np.float32)), window.column, window.row)
        return self.whole.cut(window)

    def labels(self, window: Window) -> np.ndarray:
        """Return the cells in a window."""
        return self._read("labels", window)

    def nuclei(self, window: Window) -> np.ndarray | None:
        """Return the nuclei in a window."""
        return self._read("nuclei", window) if "nuclei" in self.saved.names else None

    def _read(self, name: str, window: Window) -> np.ndarray:
        rows, columns = (slice(start, start + window.side) for start in (window.row, window.column))
        return np.asarray(self.saved.labels(name)[rows, columns]).astype(np.int32)


def card_of(saved: SavedChip) -> Scorecard:
    """Return the scorecard of a chip, as far as the table tells it.

    Random cells are not drawn: the share of the UMIs that they hold is, on average, the share of the frame that they
    cover, and with the cells of a chip a draw does not differ from that in the digits shown.
    """
    obs, made, grid = saved.table.obs, saved.table.uns["segapp"], saved.grid
    n_umis = int(made["umis_total"])
    assigned = (n_umis - int(made["umis_unassigned"])) / n_umis if n_umis else None
    if not len(obs):
        return Scorecard(0, assigned=assigned)
    area = obs["area_px"].to_numpy()
    covered = float(area.sum(dtype=np.float64)) / (grid.height * grid.width)
    inside = n_umis - int(made.get("umis_outside_frame", 0))
    return Scorecard(
        n_cells=len(obs),
        median_area_px=float(np.median(area)),
        median_umis=float(np.median(obs["n_counts"])),
        median_genes=float(np.median(obs["n_genes"])),
        assigned=assigned,
        random_assigned=covered * inside / n_umis if n_umis else None,
    )


def _genes(path: Path) -> int:
    import h5py

    with h5py.File(path) as file:
        var: Any = file["var"]
        return len(var[var.attrs["_index"]])


def _numbers(path: Path) -> dict[str, Any]:
    """Return the numbers of the chip that the run left beside the table; none where the file is gone."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
