"""The table of cells x genes as AnnData, laid out so that scanpy and squidpy plot it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from segapp.core.cells import CellGeometry, cell_geometry, count_cells, mean_in_cells
from segapp.core.checks import check_labels, check_same_shape
from segapp.core.display import stretch
from segapp.core.types import Grid, InputError, Tick, Transcripts, no_tick
from segapp.io.atomic import atomic_file
from segapp.io.hdf5 import new_hdf5

if TYPE_CHECKING:
    from anndata import AnnData

MAX_SIDE = 4096
"""Longest side, in px, of the pictures inside the table; a larger frame is stored at 1/2, 1/3, ... of its size."""

_PACKAGES = ("segapp", "numpy", "scipy", "scikit-image", "opencv-python-headless", "numba", "torch", "anndata")


def to_anndata(
    transcripts: Transcripts,
    labels: np.ndarray,
    grid: Grid,
    *,
    nuclei: np.ndarray | None = None,
    background: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    sources: Sequence[str] | np.ndarray | None = None,
    recipe: Mapping[str, Any] | str | None = None,
    inputs: Mapping[str, str] | None = None,
    library: str = "segapp",
    tick: Tick = no_tick,
) -> AnnData:
    """Count genes in cells and describe each cell.

    Parameters
    ----------
    transcripts : Transcripts
        UMI records in input coordinates.
    labels : (H, W) integer
        Cells, 0 = background; each label becomes one row, whether it holds UMIs or not.
    grid : Grid
        The frame of `labels`: where it sits in input coordinates, and µm per px.
    nuclei : (H, W) integer, optional
        Nuclei, for the nuclear area of each cell.
    background : (H, W) array, optional
        Picture to show behind the cells, such as the stain; without it, the total counts are shown.
    scores : (H, W) array, optional
        Score map; a cell's score is the mean over its pixels.
    sources : sequence of str, optional
        Where the label of each cell came from (``"watershed"``, ``"rna"``, ...), ordered by label.
    recipe : mapping or str, optional
        What makes the result repeatable; stored as JSON text, because HDF5 holds no None and no ragged lists.
    inputs : mapping of str to str, optional
        Name of each input -> its hash. The hash of `transcripts` is always there.
    library : str
        Name under which scanpy and squidpy find the pictures.
    tick : callable
        Progress of the counting.

    Returns
    -------
    AnnData
        ``X`` (cells, genes) is CSR integer counts of the layer ``total``; ``layers`` holds the others.
        ``obs``: label, area_px, area_um2, n_counts, n_genes, touches_border, library, and nucleus_area_px,
        nuclear_fraction (of the area), score, source where known. ``obsm["spatial"]``: centroid (x, y) in frame px,
        matching the pictures; ``obsm["spatial_input"]``: the same in the coordinates of the input.
        ``uns["spatial"][library]``: pictures ``hires`` (H, W, 3) uint8 and ``segmentation`` (H, W) int32, with their
        scale factors. ``uns["segapp"]``: umis_total, umis_unassigned, umis_outside_frame, frame, recipe, versions,
        inputs. The sum of ``X`` plus umis_unassigned is umis_total.

    Raises
    ------
    InputError
        If an array does not have the shape of the frame.

    References
    ----------
    .. [1] G. Palla et al., "Squidpy: a scalable framework for spatial omics analysis", Nature Methods 19, 2022.
    .. [2] The on-disk format of AnnData, https://anndata.readthedocs.io/en/stable/fileformat-prose.html

    Examples
    --------
    >>> from segapp.core.records import make_transcripts
    >>> t = make_transcripts([10, 11, 12], [5, 5, 5], [0, 0, 1], {"total": [1, 2, 4]}, ["a", "b"])
    >>> table = to_anndata(t, np.array([[7, 7, 0]]), Grid(10, 5, height=1, width=3))
    >>> table.obs["label"].tolist(), table.X.toarray().tolist(), table.uns["segapp"]["umis_unassigned"]
    ([7], [[3, 0]], 4)
    >>> table.obsm["spatial"].tolist(), table.obsm["spatial_input"].tolist()
    ([[0.5, 0.0]], [[10.5, 5.0]])
    """
    import pandas as pd
    from anndata import AnnData

    labels = check_labels(labels, "labels")
    given = {"labels": labels, "nuclei": nuclei, "background": background, "scores": scores}
    check_same_shape({name: array for name, array in given.items() if array is not None})
    cells = count_cells(transcripts, labels, grid, tick)
    geometry = cell_geometry(labels, nuclei)
    n = len(cells.label)
    if sources is not None and len(sources) != n:
        raise InputError(f"`sources` names {len(sources)} cells, but `labels` holds {n}; give one source a cell.")

    total = cells.counts["total"]
    obs = pd.DataFrame(
        {
            "label": cells.label,
            "area_px": geometry.area_px,
            "area_um2": geometry.area_px * grid.um_per_px**2,
            "n_counts": np.asarray(total.sum(axis=1, dtype=np.int64)).ravel(),
            "n_genes": np.diff(total.indptr).astype(np.int32),
        },
        index=cells.label.astype(str),
    )
    if geometry.nucleus_area_px is not None:
        obs["nucleus_area_px"] = geometry.nucleus_area_px
        obs["nuclear_fraction"] = geometry.nuclear_fraction
    if sources is not None:
        obs["source"] = pd.Categorical([str(source) for source in sources])
    if scores is not None:
        obs["score"] = mean_in_cells(scores, labels)
    obs["touches_border"] = geometry.touches_border
    # squidpy looks a cell's picture up by the name of its library.
    obs["library"] = pd.Categorical([library] * n, categories=[library])

    spatial = np.column_stack([geometry.x, geometry.y])
    table = AnnData(
        X=total,
        obs=obs,
        var=pd.DataFrame(index=pd.Index(transcripts.genes, dtype=object)),
        layers={name: matrix for name, matrix in cells.counts.items() if name != "total"},
        obsm={"spatial": spatial, "spatial_input": spatial + np.array([grid.x0, grid.y0])},
    )
    if background is None:
        background = _picture_of_counts(transcripts, grid)
    table.uns["spatial"] = {library: _pictures(background, labels, geometry, grid)}
    text = recipe if isinstance(recipe, str) else json.dumps(recipe if recipe is not None else {})
    table.uns["segapp"] = {
        "umis_total": transcripts.n_umis,
        "umis_unassigned": cells.unassigned["total"],
        "umis_outside_frame": cells.outside,
        "frame": {
            "x0": grid.x0,
            "y0": grid.y0,
            "height": grid.height,
            "width": grid.width,
            "um_per_px": grid.um_per_px,
        },
        "recipe": text,
        "versions": versions(),
        "inputs": {"transcripts": transcripts.digest, **(inputs or {})},
    }
    return table


def _pictures(background: np.ndarray, labels: np.ndarray, geometry: CellGeometry, grid: Grid) -> dict[str, Any]:
    """What ``uns["spatial"][library]`` holds; pixel (r, c) of a picture shows frame px (r, c) / scale factor."""
    step = -(-max(labels.shape) // MAX_SIDE)
    area = float(np.median(geometry.area_px)) if len(geometry.area_px) else 1.0
    return {
        "images": {"hires": _hires(background, step), "segmentation": labels[::step, ::step].astype(np.int32)},
        "scalefactors": {
            "tissue_hires_scalef": 1.0 / step,
            # The diameter of a circle as large as the median cell.
            "spot_diameter_fullres": 2.0 * float(np.sqrt(area / np.pi)),
            "microns_per_pixel": float(grid.um_per_px),
        },
        "metadata": {"software": "segapp"},
    }


def _hires(image: np.ndarray, step: int) -> np.ndarray:
    """Means of step x step blocks as bytes, three equal channels: squidpy takes the last axis for the channels."""
    black, white = stretch(image)
    pixels: np.ndarray = image.astype(np.float32)
    if step > 1:
        # Block i is centred on frame px i * step: that is where a plot draws pixel i.
        height, width = (-(-n // step) * step for n in image.shape)
        before = step // 2
        pixels = cv2.copyMakeBorder(pixels, before, step, before, step, cv2.BORDER_REPLICATE)[:height, :width]
        pixels = cv2.resize(pixels, (width // step, height // step), interpolation=cv2.INTER_AREA)
    grey = np.clip((pixels - black) * (255.0 / (white - black)) + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _picture_of_counts(transcripts: Transcripts, grid: Grid) -> np.ndarray:
    """Total counts as an image, on a square-root scale, so that single UMIs show beside hot pixels."""
    row, column = transcripts.y - grid.y0, transcripts.x - grid.x0
    inside = (row >= 0) & (row < grid.height) & (column >= 0) & (column < grid.width)
    place = row[inside].astype(np.int64) * grid.width + column[inside]
    umis = np.bincount(place, weights=transcripts.counts["total"][inside], minlength=grid.height * grid.width)
    return np.sqrt(umis).astype(np.float32).reshape(grid.shape)


def picture_of(table: AnnData) -> tuple[np.ndarray | None, int]:
    """Return the picture inside a table, and how many px of the frame one of its pixels is wide.

    Parameters
    ----------
    table : AnnData
        As `to_anndata` makes it.

    Returns
    -------
    image : (h, w) uint8 or None
        Grey values; None where there is no picture.
    step : int
    """
    found = next(iter(table.uns.get("spatial", {}).values()), None)
    if found is None:
        return None, 1
    image = np.asarray(found["images"]["hires"])[:, :, 0]
    return image, round(1 / float(found["scalefactors"]["tissue_hires_scalef"]))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_h5ad(table: AnnData, path: str | Path) -> None:
    """Write a table as .h5ad (gzip); the file appears whole or not at all.

    Parameters
    ----------
    table : AnnData
        What to write.
    path : str or Path
        The file to write.

    Raises
    ------
    InputError
        If `path` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from anndata import AnnData, read_h5ad
    >>> path = Path(tempfile.mkdtemp()) / "cells.h5ad"
    >>> write_h5ad(AnnData(np.ones((2, 3), dtype=np.float32)), path)
    >>> read_h5ad(path).shape
    (2, 3)
    """
    from anndata.io import write_elem

    table.strings_to_categoricals()
    with atomic_file(path) as temporary, new_hdf5(temporary) as (file, _):
        # Level 1: the pictures and counts shrink nearly as much as at the default level, several times faster.
        write_elem(file, "/", table, dataset_kwargs={"compression": "gzip", "compression_opts": 1})
