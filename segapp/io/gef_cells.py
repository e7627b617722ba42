"""GEF of cell bins: the cells that SAW has cut, with their borders and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segapp.core.records import make_transcripts
from segapp.core.types import Grid, InputError, Tick, Transcripts, no_tick
from segapp.io.gef import header_of_gef, names_of_genes, open_hdf5

_PAD = np.iinfo(np.int16).max
_NEEDED = ("cell", "cellExp", "gene")


def read_gef_cells(path: str | Path, tick: Tick = no_tick) -> Transcripts:
    """Read what the cells of a cell-bin GEF hold.

    Parameters
    ----------
    path : str or Path
        HDF5 with ``cellBin/cell`` (id, x, y, offset, geneCount), ``cellBin/cellExp`` (geneID, count) and
        ``cellBin/gene``.
    tick : callable
        Called between the steps.

    Returns
    -------
    Transcripts
        One record a (cell, gene). Such a file has lost where in a cell a record lies: every record is at the centre of
        its cell, and `cell_id` names the cell. Ids begin at 1 as in `read_gef_borders`.

    Raises
    ------
    InputError
        When the file is missing, damaged, or holds no cell bins.

    References
    ----------
    .. [1] STOmics, "geftools", https://github.com/STOmics/geftools

    Examples
    --------
    >>> import tempfile, h5py
    >>> path = Path(tempfile.mkdtemp()) / "a.cellbin.gef"
    >>> with h5py.File(path, "w") as file:
    ...     cell = [("id", "u4"), ("x", "i4"), ("y", "i4"), ("offset", "u4"), ("geneCount", "u2")]
    ...     file["cellBin/cell"] = np.array([(0, 7, 9, 0, 1)], cell)
    ...     file["cellBin/cellExp"] = np.array([(0, 5)], [("geneID", "u4"), ("count", "u2")])
    ...     file["cellBin/gene"] = np.array([(b"Actb",)], [("geneName", "S32")])
    >>> t = read_gef_cells(path)
    >>> t.bbox, t.counts["total"].tolist(), t.cell_id.tolist()
    ((7, 9, 7, 9), [5], [1])
    """
    path = Path(path)
    with open_hdf5(path, "a GEF of cell bins") as file:
        cells = _cells(path, file)
        held, gene = file["cellBin/cellExp"], file["cellBin/gene"][:]
        size = cells["geneCount"].astype(np.int64)
        if not np.array_equal(cells["offset"].astype(np.int64), np.cumsum(size) - size) or size.sum() != len(held):
            raise InputError(
                f"{path} lists {size.sum():,} records by cell but holds {len(held):,}, or not in order; copy the file "
                "again."
            )
        tick(1, 2)
        rows, held = np.repeat(np.arange(len(cells)), size), held[:]
        codes = held["geneID"].astype(np.int64)
        if codes.size and codes.max() >= len(gene):
            raise InputError(f"{path} counts a gene that it does not name; copy the file again.")
        header = {**header_of_gef(file, file["cellBin/cell"]), "FileFormat": "GEF of cell bins", "Places": "of cells"}
        made = make_transcripts(
            cells["x"][rows],
            cells["y"][rows],
            codes,
            {"total": held["count"]},
            names_of_genes(gene),
            header=header,
            cell_id=rows + 1,
        )
    tick(2, 2)
    return made


def read_gef_borders(path: str | Path) -> tuple[np.ndarray, Grid]:
    """Draw the borders of the cells of a cell-bin GEF as labels.

    Parameters
    ----------
    path : str or Path
        HDF5 with ``cellBin/cell`` and ``cellBin/cellBorder``.

    Returns
    -------
    labels : (H, W) int32
        Cells, numbered from 1 in the order of the file; the smallest box around all of them. Where two overlap the
        later one is on top.
    grid : Grid
        Where the labels sit in input coordinates.

    Raises
    ------
    InputError
        When the file is missing, damaged, or has no borders.
    """
    path = Path(path)
    with open_hdf5(path, "a GEF of cell bins") as file:
        cells = _cells(path, file)
        if "cellBorder" not in file["cellBin"]:
            raise InputError(f"{path} has cells without borders; give a GEF with cellBin/cellBorder.")
        border = file["cellBin/cellBorder"][:].astype(np.int32)
        resolution = header_of_gef(file, file["cellBin/cell"]).get("MicronsPerPixel", "0.5")
    if border.ndim != 3 or border.shape[0] != len(cells) or border.shape[2] != 2:
        raise InputError(f"{path} has borders of shape {border.shape} for {len(cells):,} cells; copy the file again.")
    # older files end a border with zeros
    known = (border != _PAD).all(axis=2) & (np.cumsum((border != 0).any(axis=2)[:, ::-1], axis=1)[:, ::-1] > 0)
    xy = border + np.stack([cells["x"], cells["y"]], axis=1).astype(np.int32)[:, np.newaxis, :]
    if not known.any():
        raise InputError(f"{path} has empty borders of cells; give a GEF with cellBin/cellBorder filled.")
    low, high = xy[known].min(axis=0), xy[known].max(axis=0)
    labels = np.zeros((high[1] - low[1] + 1, high[0] - low[0] + 1), np.int32)
    for i in range(len(cells)):
        corners = (xy[i][known[i]] - low).astype(np.int32)
        if len(corners):
            cv2.fillPoly(labels, [corners], i + 1)
    return labels, Grid(int(low[0]), int(low[1]), labels.shape[0], labels.shape[1], float(resolution))


def _cells(path: Path, file: Any) -> np.ndarray:
    group = file.get("cellBin")
    if group is None or any(name not in group for name in _NEEDED):
        raise InputError(f"{path} has no cell bins (cellBin with {', '.join(_NEEDED)}); give a cell-bin GEF of SAW.")
    cells: np.ndarray = group["cell"][:]
    missing = {"x", "y", "offset", "geneCount"} - set(cells.dtype.names or ())
    if missing or not len(cells):
        what = f"lacks {', '.join(sorted(missing))}" if missing else "is empty"
        raise InputError(f"{path}: cellBin/cell {what}; give a cell-bin GEF of SAW.")
    return cells
