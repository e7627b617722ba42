"""SpatialData out: picture, labels, shapes and table of the cells as one store."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core.outline import polygons
from segapp.core.types import Grid, Unavailable
from segapp.io.atomic import atomic_tree

if TYPE_CHECKING:
    from anndata import AnnData

_KEYS = {"region": "cells", "region_key": "region", "instance_key": "label"}

INSTALL = "pip install 'segapp[formats]'"


def write_spatialdata(
    path: str | Path,
    table: AnnData,
    labels: np.ndarray,
    grid: Grid,
    *,
    nuclei: np.ndarray | None = None,
    outlines: Iterable[Mapping[int, Any]] | None = None,
    then: Callable[[Path], None] | None = None,
) -> None:
    """Write cells as a SpatialData store; the folder appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The folder to write; a store that is there already is replaced.
    table : AnnData
        Cells x genes, as `segapp.io.table.to_anndata` makes it.
    labels : (H, W) integer array
        Cells, 0 = background. Of an `xarray.DataArray` of int32 in chunks only some are in memory at a time.
    grid : Grid
        Where the labels sit in input coordinates, and the side of a pixel.
    nuclei : (H, W) integer array, optional
        Nuclei under the ids of their cells.
    outlines : iterable of mapping of label to polygons, optional
        Outlines of the cells in parts, as `segapp.core.outline.polygons` makes them; by default traced here.
    then : function, optional
        Completes the store at the path that it gets, before it takes its place.

    Raises
    ------
    InputError
        When `path` cannot be written.
    Unavailable
        When the library spatialdata is not installed.

    Notes
    -----
    Elements: the image ``picture`` (what the cells were shown on, at most 4096 px a side), the labels ``cells`` and
    ``nuclei`` at full resolution, the shapes ``outlines`` (exact polygons of the cells) and the table ``table``, whose
    ``region`` is ``cells`` and whose ``label`` is the instance: the value in the labels, and the index of the shapes.
    Coordinate systems: ``global`` is px of the input, ``um`` the same in micrometres.

    References
    ----------
    .. [1] L. Marconato et al., "SpatialData: an open and universal data framework for spatial omics", Nature Methods
       22, 2025.
    """
    check_installed()
    with warnings.catch_warnings():
        # the library warns of what it will change, which is nothing that a user of this function can act on
        warnings.simplefilter("ignore")
        import spatialdata

        store = spatialdata.SpatialData(**_elements(table, labels, grid, nuclei, outlines))
        with atomic_tree(path) as folder:
            store.write(folder)
            if then is not None:
                then(folder)


def check_installed() -> None:
    """Raise `Unavailable` where the library that writes SpatialData is not installed."""
    if find_spec("spatialdata") is None:
        raise Unavailable(f"SpatialData is written by its own library, which is not installed: {INSTALL}")


def _elements(
    table: AnnData,
    labels: np.ndarray,
    grid: Grid,
    nuclei: np.ndarray | None,
    outlines: Iterable[Mapping[int, Any]] | None = None,
) -> dict[str, Any]:
    import geopandas as gpd
    import shapely
    from spatialdata.models import Image2DModel, Labels2DModel, ShapesModel, TableModel
    from xarray import DataArray

    to_input = _transformations(grid, 1, [grid.x0, grid.y0])
    images = {}
    found = next(iter(table.uns.get("spatial", {}).values()), None)
    if found is not None:
        picture = found["images"]["hires"]
        step = round(1 / float(found["scalefactors"]["tissue_hires_scalef"]))
        # where pixel i of the picture is centred on px i * step of the frame, it covers as many px around it
        before = step // 2
        corner = [grid.x0 - before, grid.y0 - before]
        images["picture"] = Image2DModel.parse(
            np.ascontiguousarray(picture[:, :, :1].transpose(2, 0, 1)),
            dims=("c", "y", "x"),
            c_coords=["picture"],
            transformations=_transformations(grid, step, corner),
            scale_factors=_factors(picture.shape[:2]),
        )
    values = {"cells": labels} if nuclei is None else {"cells": labels, "nuclei": nuclei}
    # one part after the other, of which only the shapes stay
    some_of = (polygons(labels, grid),) if outlines is None else outlines
    found_shapes = {label: _shape(shapely, parts) for some in some_of for label, parts in some.items()}
    shapes = gpd.GeoDataFrame(
        {"geometry": list(found_shapes.values())}, index=np.fromiter(found_shapes, np.int64, len(found_shapes))
    ).sort_index()
    del found_shapes
    elements: dict[str, Any] = {
        "images": images,
        "labels": {
            name: Labels2DModel.parse(
                array if isinstance(array, DataArray) else np.asarray(array).astype(np.int32),
                dims=("y", "x"),
                transformations=to_input,
                scale_factors=_factors(labels.shape),
            )
            for name, array in values.items()
        },
        "tables": {"table": TableModel.parse(_table(table), **(_KEYS if table.n_obs else {}))},
    }
    if len(shapes):
        # outlines are in input coordinates already
        elements["shapes"] = {"outlines": ShapesModel.parse(shapes, transformations=_transformations(grid, 1, [0, 0]))}
    return elements


def _transformations(grid: Grid, step: int, corner: list[int]) -> dict[str, Any]:
    from spatialdata.transformations import Scale, Sequence, Translation

    axes = ("x", "y")
    to_px = Sequence([Scale([step, step], axes=axes), Translation(corner, axes=axes)])
    return {"global": to_px, "um": Sequence([to_px, Scale([grid.um_per_px] * 2, axes=axes)])}


def _factors(shape: tuple[int, ...]) -> list[int] | None:
    """Halves, until a level has less than about 1000 px a side."""
    n = max(0, int(np.ceil(np.log2(max(shape) / 1024)))) if max(shape) > 1024 else 0
    return [2] * n or None


def _shape(shapely: Any, parts: Any) -> Any:
    shapes = [shapely.Polygon(rings[0], rings[1:]) for rings in parts]
    return shapes[0] if len(shapes) == 1 else shapely.MultiPolygon(shapes)


def _table(table: AnnData) -> AnnData:
    """Copy with the keys that SpatialData wants, without the pictures, which are elements of their own."""
    import pandas as pd
    from anndata import AnnData

    obs = table.obs.copy()
    obs["region"] = pd.Categorical(["cells"] * len(obs), categories=["cells"])
    obs["label"] = obs["label"].astype(np.int64)
    made = table.uns["segapp"]
    return AnnData(
        X=table.X,
        obs=obs,
        var=table.var.copy(),
        layers=dict(table.layers),
        obsm=dict(table.obsm),
        uns={"segapp": {key: value for key, value in made.items() if key != "versions"}},
    )
