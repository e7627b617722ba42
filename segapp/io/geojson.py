"""Outlines of cells as GeoJSON, with the nucleus of each as QuPath knows it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core.checks import check_same_shape
from segapp.core.outline import polygons
from segapp.core.types import Grid
from segapp.io.atomic import atomic_file

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

_SPACE = uuid.UUID("5e9a9905-0000-4000-8000-000000000000")


def write_geojson(
    path: str | Path,
    labels: np.ndarray,
    grid: Grid,
    *,
    nuclei: np.ndarray | None = None,
    table: AnnData | None = None,
) -> None:
    """Write one feature a cell; the file appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to write.
    labels : (H, W) integer array
        Cells, 0 = background.
    grid : Grid
        Where `labels` sits in input coordinates.
    nuclei : (H, W) integer array, optional
        Nuclei under the ids of their cells.
    table : AnnData, optional
        Cells x genes with a column ``label``: its numeric columns become measurements.

    Raises
    ------
    InputError
        When an array is no label image of the shape of `grid`, or `path` cannot be written.

    Notes
    -----
    Coordinates are those of the input, in px; the corner of pixel (x, y) is (x, y), so that outlines lie exactly on the
    pixels. Every object is a ``cell``, with or without a nucleus: Xenium Ranger leaves out all others.
    A cell in several pieces is a MultiPolygon, holes are rings. Over an image that begins at (0, 0) of the
    input, which is how a stain is placed by default, QuPath draws them in place.

    References
    ----------
    .. [1] H. Butler et al., "The GeoJSON Format", RFC 7946, 2016.
    .. [2] P. Bankhead et al., "QuPath: open source software for digital pathology image analysis", Scientific Reports
       7:16878, 2017; objects as GeoJSON: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cells.geojson"
    >>> write_geojson(path, np.array([[0, 7]]), Grid(100, 50, height=1, width=2))
    >>> json.loads(path.read_text())["features"][0]["geometry"]["coordinates"][0][0]
    [102, 50]
    """
    check_same_shape({"labels": labels, "nuclei": nuclei})
    cells = polygons(labels, grid)
    inner = {} if nuclei is None else polygons(nuclei, grid)
    write_features(path, cell_features(cells, inner, {} if table is None else measurements(table.obs), grid))


def write_features(path: str | Path, features: Iterable[Mapping[str, Any]]) -> None:
    """Write features one after the other, as they come; the file appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to write.
    features : iterable of mapping
        As `cell_features` makes them.

    Raises
    ------
    InputError
        When `path` cannot be written.
    """
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write('{"type": "FeatureCollection", "features": [')
        for i, feature in enumerate(features):
            out.write(",\n" if i else "\n")
            # dumps, not dump: that one encodes every number in Python
            out.write(json.dumps(feature, allow_nan=False))
        out.write("\n]}\n")


def cell_features(
    cells: Mapping[int, Sequence[Sequence[np.ndarray]]],
    nuclei: Mapping[int, Sequence[Sequence[np.ndarray]]],
    measured: Mapping[int, Mapping[str, float]],
    grid: Grid,
) -> Iterator[dict[str, Any]]:
    """Yield the feature of each cell.

    Parameters
    ----------
    cells, nuclei : mapping of label to polygons
        As `segapp.core.outline.polygons` makes them; nuclei under the ids of their cells.
    measured : mapping of label to numbers by name
        What `measurements` makes.
    grid : Grid
        Frame of the whole, of which the ids of the features are made.

    Examples
    --------
    >>> from segapp.core.outline import polygons
    >>> grid = Grid(100, 50, height=1, width=2)
    >>> (feature,) = cell_features(polygons(np.array([[0, 7]]), grid), {}, {7: {"n_counts": 3}}, grid)
    >>> feature["properties"]
    {'objectType': 'cell', 'name': '7', 'measurements': {'label': 7, 'n_counts': 3}}
    """
    for label, parts in cells.items():
        feature: dict[str, Any] = {
            "type": "Feature",
            "id": str(uuid.uuid5(_SPACE, f"{grid.x0} {grid.y0} {label}")),
            "geometry": _geometry(parts),
        }
        if label in nuclei:
            feature["nucleusGeometry"] = _geometry(nuclei[label])
        feature["properties"] = {
            "objectType": "cell",
            "name": str(label),
            "measurements": {"label": label, **measured.get(label, {})},
        }
        yield feature


def _geometry(parts: Sequence[Sequence[np.ndarray]]) -> dict[str, Any]:
    """Return one polygon, or several as a MultiPolygon; QuPath takes no nested collections."""
    rings = [[ring.tolist() for ring in part] for part in parts]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def measurements(obs: DataFrame) -> dict[int, dict[str, float]]:
    """Return the finite numbers of each cell, by its label and their names.

    Parameters
    ----------
    obs : DataFrame
        One row a cell, with a column ``label``.
    """
    numbers = [name for name in obs.columns if name != "label" and obs[name].dtype.kind in "iuf"]
    columns = [obs[name].to_numpy().tolist() for name in numbers]
    found = {}
    for label, *values in zip(obs["label"].tolist(), *columns, strict=True):
        finite = {name: value for name, value in zip(numbers, values, strict=True) if np.isfinite(value)}
        found[int(label)] = finite
    return found
