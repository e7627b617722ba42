"""The folder that a run wrote, read back: what exporters need without computing anything again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segapp.core.types import Grid, InputError, Transcripts
from segapp.io.atomic import check_out_dir
from segapp.io.chip.saved import SavedChip, is_chip_result, read_chip_result
from segapp.io.chip.store import Chip
from segapp.io.export import Exporter, Result, check_for_chip
from segapp.io.masks import read_labels

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, eq=False)
class SavedResult:
    """Cells of an earlier run; see `segapp.io.export.Result` for the fields."""

    labels: np.ndarray
    nuclei: np.ndarray | None
    table: AnnData
    grid: Grid
    transcripts: Transcripts | None
    recipe: str


def read_result(
    folder: str | Path, transcripts: Transcripts | str | Path | None = None, *, chip: Chip | str | Path | None = None
) -> SavedResult | SavedChip:
    """Read the folder of a run, of a section or of a whole chip.

    Parameters
    ----------
    folder : str or Path
        Holds ``cells.h5ad`` and ``labels.tif``, and ``nuclei.tif`` where there are cells beyond the nuclei; or
        ``labels.zarr``, which is that of a chip.
    transcripts : Transcripts or path, optional
        The UMI records that were segmented, or their file; formats that hold records need them.
    chip : Chip or path, optional
        The chip that was segmented, in place of `transcripts`.

    Returns
    -------
    SavedResult or SavedChip
        The latter of a chip: its labels stay on the disk.

    Raises
    ------
    InputError
        When a file is missing or damaged, the files do not belong together, or `transcripts` are others than those that
        were segmented.
    """
    from anndata import read_h5ad

    folder = Path(folder)
    if is_chip_result(folder):
        if transcripts is not None:
            raise InputError(f"{folder} holds the cells of a whole chip: give it with --chip, in place of --gem.")
        return read_chip_result(folder, chip)
    if chip is not None:
        raise InputError(f"{folder} does not hold the cells of a whole chip: leave out --chip.")
    for name in ("cells.h5ad", "labels.tif"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no {name}; give a folder that segapp run has written.")
    labels = read_labels(folder / "labels.tif")
    nuclei = read_labels(folder / "nuclei.tif") if (folder / "nuclei.tif").is_file() else None
    try:
        table = read_h5ad(folder / "cells.h5ad")
        made = table.uns["segapp"]
        frame = made["frame"]
        x0, y0, height, width = (int(frame[name]) for name in ("x0", "y0", "height", "width"))
        grid = Grid(x0, y0, height, width, float(frame["um_per_px"]))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{folder / 'cells.h5ad'} is damaged or was not written by segapp run; run it again."
        ) from error
    if labels.shape != grid.shape or (nuclei is not None and nuclei.shape != grid.shape):
        raise InputError(f"{folder} holds labels of {labels.shape} for a frame of {grid.shape}; run it again.")
    digest = str(made["inputs"]["transcripts"])
    if isinstance(transcripts, str | Path):
        transcripts = _read_again(Path(transcripts), digest, grid.um_per_px)
    if transcripts is not None and transcripts.digest != digest:
        raise InputError(f"the transcripts are not those that {folder} was made from; give the same file.")
    return SavedResult(labels, nuclei, table, grid, transcripts, str(made["recipe"]))


def _read_again(path: Path, digest: str, um_per_px: float) -> Transcripts:
    """Records of a file as they were read for the run: molecules may have been counted in pixels of another size."""
    from segapp.io.transcripts import read_transcripts

    found = read_transcripts(path)
    return found if found.digest == digest else read_transcripts(path, um_per_px=um_per_px)


def write_exports(result: Result | SavedChip, exporters: Iterable[Exporter], folder: str | Path) -> list[Path]:
    """Write a result in several formats, as ``cells`` and the suffix of each.

    Parameters
    ----------
    result : Result or SavedChip
        What to write.
    exporters : iterable of Exporter
        From `segapp.io.export.find_exporters`.
    folder : str or Path
        Where to; other files in it stay.

    Returns
    -------
    list of Path
        The files, in the order of the exporters.

    Raises
    ------
    InputError
        When the folder cannot be written.
    Unavailable
        When a format is not written for a whole chip, or lacks what it needs.
    """
    check_out_dir(folder)
    exporters = tuple(exporters)
    if isinstance(result, SavedChip):
        check_for_chip(exporters, records=result.chip is not None)
    written = []
    for exporter in exporters:
        path = Path(folder) / f"cells{exporter.suffix}"
        if isinstance(result, SavedChip) and exporter.write_chip is not None:
            exporter.write_chip(result, path)
        else:
            exporter.write(result, path)
        written.append(path)
    return written
