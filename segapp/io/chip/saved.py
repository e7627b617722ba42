"""The folder that a run of a chip wrote, read back: numbers of its cells, and labels that are read by windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segapp.core.types import Grid, InputError
from segapp.io.chip.store import Chip

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData


@dataclass(frozen=True, eq=False)
class SavedChip:
    """Cells of a whole chip on the disk.

    Parameters
    ----------
    folder : Path
        Of the run.
    table : AnnData
        ``obs``, ``obsm`` and ``uns`` of ``cells.h5ad``, row i being cell i + 1; the counts stay on the disk.
    grid : Grid
        Where the labels sit in input coordinates.
    names : tuple of str
        Label images there are: ``labels``, and ``nuclei`` where there are nuclei beside the labels.
    recipe : str
        JSON text that repeats the result.
    chip : Chip or None
        The records, where they are at hand.
    stain : function or None
        Returns a window, in input coordinates, of the stain as the cells were made on it, where that is at hand.
    """

    folder: Path
    table: AnnData
    grid: Grid
    names: tuple[str, ...]
    recipe: str
    chip: Chip | None = None
    stain: Callable[[Grid], np.ndarray] | None = None

    def levels(self, name: str) -> list[Any]:
        """Return the arrays of a label image, largest first; slices of them are read from the disk."""
        import zarr

        group = zarr.open_group(self.folder / "labels.zarr", path=name, mode="r")
        return [group[str(level)] for level in range(len(list(group.array_keys())))]

    def labels(self, name: str = "labels") -> Any:
        """Return a label image at full size: an array (H, W) uint32 of which only windows are to be read."""
        return self.levels(name)[0]


def is_chip_result(folder: str | Path) -> bool:
    """Whether a folder holds the cells of a whole chip, or what is there of them so far."""
    return (Path(folder) / "labels.zarr").is_dir() and not (Path(folder) / "labels.tif").exists()


def read_chip_result(folder: str | Path, chip: Chip | str | Path | None = None) -> SavedChip:
    """Read the folder of a run of a chip.

    Parameters
    ----------
    folder : str or Path
        Holds ``cells.h5ad`` and ``labels.zarr``.
    chip : Chip or path, optional
        That was segmented; formats that hold records need it.

    Returns
    -------
    SavedChip

    Raises
    ------
    InputError
        When a file is missing or damaged, the run did not end, the files do not belong together, or `chip` is another.
    """
    import h5py
    import numpy as np
    from anndata import AnnData
    from anndata.io import read_elem

    folder = Path(folder)
    if (folder / "work").is_dir():
        raise InputError(f"the run in {folder} did not end; run the same command with --resume, then export.")
    if not (folder / "cells.h5ad").is_file():
        raise InputError(f"{folder} holds no cells.h5ad; give a folder that segapp run has written.")
    try:
        with h5py.File(folder / "cells.h5ad") as file:
            obs, obsm, uns = (read_elem(file[name]) for name in ("obs", "obsm", "uns"))
        made = uns["segapp"]
        frame = made["frame"]
        x0, y0, height, width = (int(frame[name]) for name in ("x0", "y0", "height", "width"))
        grid = Grid(x0, y0, height, width, float(frame["um_per_px"]))
        digest, recipe = str(made["inputs"]["transcripts"]), str(made["recipe"])
        ordered = np.array_equal(obs["label"], np.arange(1, len(obs) + 1))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{folder / 'cells.h5ad'} is damaged or was not written by segapp run --chip; run it again."
        ) from error
    names = tuple(name for name in ("labels", "nuclei") if (folder / "labels.zarr" / name / "0").is_dir())
    if isinstance(chip, str | Path):
        chip = Chip.open(chip)
    if chip is not None and chip.digest != digest:
        raise InputError(f"{chip.path} is not the chip that {folder} was made from; give the same chip.")
    found = SavedChip(folder, AnnData(obs=obs, obsm=obsm, uns=uns), grid, names, recipe, chip)
    if "labels" not in names or not ordered or any(found.labels(name).shape != grid.shape for name in names):
        raise InputError(f"{folder} holds labels.zarr of other cells than cells.h5ad; run it again.")
    return found
