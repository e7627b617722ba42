"""SpatialData: transcripts from a points element, or from a table of bins. The library itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.records import make_transcripts
from segapp.core.types import InputError, Tick, Transcripts, no_tick
from segapp.io.bins import transcripts_of_bins
from segapp.io.transcripts_table import CONTROLS
from segapp.io.zarr_groups import element, elements, kind_of_zarr, multiscales, open_zarr

UM_PER_PX = 0.5
"""Side of a pixel in micrometres that points are counted in, where the store has no picture that says otherwise."""

_SQUARE = r"square_0*(\d+)um"
_FEATURES = ("feature_name", "gene", "target", "genes", "gene_name", "name")


def read_spatialdata(path: str | Path, tick: Tick = no_tick, *, um_per_px: float = UM_PER_PX) -> Transcripts:
    """Read transcripts of a SpatialData store.

    Parameters
    ----------
    path : str or Path
        The store, or the folder of one element in it: ``section.zarr/points/transcripts``, or
        ``section.zarr/tables/square_008um``. The store alone suffices where it has one points element, or no points and
        one table.
    tick : callable
        Called between the steps.
    um_per_px : float
        Side of the pixels in micrometres that points are counted in, where no picture decides.

    Returns
    -------
    Transcripts
        Points are counted in the pixels of the picture where the store has exactly one, through the transformations
        of both to their common coordinate system, else in squares of `um_per_px`, points being in micrometres. Bins
        are read as `segapp.io.bins.read_anndata` reads them; those without a place of their own have the centres of
        the shapes that they annotate.

    Raises
    ------
    InputError
        When the store is damaged, or holds no transcripts, or several elements of them and none is named.

    References
    ----------
    .. [1] L. Marconato et al., "SpatialData: an open and universal data framework for spatial omics", Nature Methods
       22, 2025; the layout on the disk: https://spatialdata.scverse.org/en/stable/design_doc.html
    """
    path = Path(path)
    kind = kind_of_zarr(path)
    if kind == "points":
        return _points(path, tick, um_per_px)
    if kind in ("tables", "anndata"):
        return _table(path, tick, um_per_px)
    if elements(path, "points"):
        return _points(element(path, "points", "points"), tick, um_per_px)
    return _table(element(path, "tables", "points and tables"), tick, um_per_px)


# ---- points


def _points(path: Path, tick: Tick, um_per_px: float) -> Transcripts:
    import polars as pl

    with open_zarr(path, "points of SpatialData") as group:
        attributes = dict(group.attrs)
    parts = path / "points.parquet"
    try:
        source = str(parts / "*.parquet") if parts.is_dir() else str(parts)
        names = list(pl.read_parquet_schema(next(iter(sorted(parts.glob("*.parquet"))), parts)))
        feature = _feature(path, attributes, names)
        wanted = ["x", "y", feature, *(name for name in ("qv",) if name in names)]
        frame = pl.read_parquet(source, columns=wanted)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as points ({str(error).splitlines()[0][:120]}); it is damaged or not complete."
        ) from error
    tick(1, 3)
    frame = frame.with_columns(pl.col(feature).cast(pl.String))
    if "qv" in frame.columns:
        frame = frame.filter(pl.col("qv") >= 20)
    frame = frame.filter(~pl.col(feature).str.to_lowercase().str.contains(f"^({'|'.join(CONTROLS)})"))
    if not len(frame):
        raise InputError(f"{path} holds no point of a gene of sufficient quality; check the element.")
    at = np.column_stack([frame[axis].cast(pl.Float64).to_numpy() for axis in "xy"])
    if not np.isfinite(at).all():
        raise InputError(f"{path} has {np.sum(~np.isfinite(at).all(axis=1)):,} points without a place; check it.")
    matrix, um = _to_pixels(path, attributes, um_per_px)
    pixels = np.floor(at @ matrix[:2, :2].T + matrix[:2, 2] + 1e-9).astype(np.int64)
    tick(2, 3)
    genes = frame[feature].unique(maintain_order=True)
    code = frame[feature].cast(pl.Enum(genes)).to_physical().to_numpy().astype(np.int32)
    header = {"FileFormat": "SpatialData", "MicronsPerPixel": f"{um:g}"}
    ones = {"total": np.ones(len(code), np.uint32)}
    made = make_transcripts(pixels[:, 0], pixels[:, 1], code, ones, genes.to_list(), header=header)
    tick(3, 3)
    return made


def _feature(path: Path, attributes: Mapping[str, Any], names: Sequence[str]) -> str:
    said = dict(attributes.get("spatialdata_attrs", {})).get("feature_key")
    found = next((name for name in (said, *_FEATURES) if name in names), None)
    if found is None or not {"x", "y"} <= set(names):
        raise InputError(f"{path} has the columns {', '.join(names[:8])}; points of transcripts have x, y and a gene.")
    return str(found)


def _to_pixels(path: Path, attributes: Mapping[str, Any], um_per_px: float) -> tuple[np.ndarray, float]:
    """Affine matrix from the points to pixels, and the side of a pixel in micrometres."""
    points = transformations(attributes, path.name)
    images = elements(path.parent.parent, "images")
    if len(images) == 1:
        with open_zarr(images[0], "an image of SpatialData") as group:
            scale: Mapping[str, Any] = next(iter(multiscales(dict(group.attrs))), {})
        image = transformations(scale, images[0].name)
        common = next((name for name in ("global", *points) if name in points and name in image), None)
        if common is not None:
            matrix = np.linalg.inv(image[common]) @ points[common]
            per_px = 1 / np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
            # points and picture in the same pixels: only the caller knows how large these are
            return matrix, um_per_px if np.isclose(per_px, 1) else float(per_px)
    return np.diag([1 / um_per_px, 1 / um_per_px, 1.0]), um_per_px


def transformations(attributes: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
    """Return the affine matrix (x, y, 1) to every coordinate system of an element.

    Parameters
    ----------
    attributes : mapping
        With ``coordinateTransformations``, as SpatialData writes them.
    name : str
        Of the element, for sentences.

    Returns
    -------
    dict of str to (3, 3) float64

    Raises
    ------
    InputError
        When a transformation is of a kind that cannot be read.
    """
    found = {}
    for one in attributes.get("coordinateTransformations", ()):
        if isinstance(one.get("output"), Mapping):
            found[str(one["output"]["name"])] = _matrix(one, name)
    return found


def _matrix(one: Mapping[str, Any], name: str) -> np.ndarray:
    axes = [axis["name"] for axis in one.get("input", {}).get("axes", ())] or ["x", "y"]
    kind = one.get("type")
    out = np.eye(3)
    at = [axes.index("x"), axes.index("y")]
    if kind == "scale":
        out[0, 0], out[1, 1] = (float(one["scale"][i]) for i in at)
    elif kind == "translation":
        out[:2, 2] = [float(one["translation"][i]) for i in at]
    elif kind == "affine":
        rows = np.asarray(one["affine"], dtype=np.float64)
        to = [axis["name"] for axis in one.get("output", {}).get("axes", ())] or axes
        out[:2] = rows[np.ix_([to.index("x"), to.index("y")], [*at, -1])]
    elif kind == "sequence":
        for inner in one["transformations"]:
            out = _matrix(inner, name) @ out
    elif kind == "mapAxis":
        mapped = one["mapAxis"]
        out = np.array([[mapped[i] == j for j in "xy"] + [False] for i in "xy"] + [[False, False, True]], dtype=float)
    elif kind != "identity":
        raise InputError(f"{name} has a transformation of the kind {kind}, which cannot be read; give it as an affine.")
    return out


# ---- tables of bins


def _table(path: Path, tick: Tick, um_per_px: float) -> Transcripts:
    import re

    with open_zarr(path, "a table of SpatialData") as group:
        region = str(dict(group.attrs).get("region", ""))
        named = re.search(_SQUARE, f"{path.name} {region}")
        places = None
        if not {"array_row", "array_col"} <= set(group["obs"]) and "spatial" not in group["obsm"]:
            places = _centres(path.parent.parent / "shapes" / region, group)
        return transcripts_of_bins(
            group, str(path), tick, um_per_px=um_per_px, places=places, bin_um=float(named[1]) if named else None
        )


def _centres(shapes: Path, group: Any) -> np.ndarray | None:
    """Centre of the shape of each row of the table; None where the shapes are not there."""
    import polars as pl
    from anndata.io import read_elem

    file = shapes / "shapes.parquet"
    if not file.is_file():
        return None
    key = str(dict(group.attrs).get("instance_key", ""))
    frame = pl.read_parquet(file)
    index = next((name for name in frame.columns if name.startswith("__index_level")), None) or (
        key if key in frame.columns else None
    )
    at = centres_of_wkb(frame["geometry"].to_list(), str(shapes))
    wanted = np.asarray(read_elem(group[f"obs/{key}"]))
    ids = np.arange(len(at)) if index is None else frame[index].to_numpy()
    order = {one: i for i, one in enumerate(ids.tolist())}
    missing = [one for one in wanted.tolist() if one not in order]
    if missing:
        raise InputError(f"{shapes} has no shape for {len(missing):,} rows of the table, such as {missing[0]}.")
    return at[[order[one] for one in wanted.tolist()]]


def centres_of_wkb(shapes: Sequence[bytes], name: str) -> np.ndarray:
    """Return the middle of the box around each point or polygon in well-known binary form.

    Parameters
    ----------
    shapes : sequence of bytes
        All points, or all polygons of one ring with as many corners each, as squares are.
    name : str
        For sentences.

    Returns
    -------
    (N, 2) float64
        x and y.

    Raises
    ------
    InputError
        When the shapes are something else.

    Examples
    --------
    >>> import struct
    >>> centres_of_wkb([struct.pack("<BIdd", 1, 1, 3.0, 4.0)], "spots").tolist()
    [[3.0, 4.0]]
    """
    lengths = {len(one) for one in shapes}
    if len(lengths) == 1:
        rows = np.frombuffer(b"".join(shapes), np.uint8).reshape(len(shapes), -1)
        kinds = rows[:, :5].copy()
        start = {1: 5, 3: 13}.get(int(kinds[0, 1]))
        if start is not None and (kinds == [1, kinds[0, 1], 0, 0, 0]).all() and (rows.shape[1] - start) % 16 == 0:
            corners = np.ascontiguousarray(rows[:, start:]).view("<f8").reshape(len(rows), -1, 2)
            middle: np.ndarray = (corners.min(axis=1) + corners.max(axis=1)) / 2
            return middle
    raise InputError(f"{name} holds shapes of many forms, but bins are squares or points; give a table of bins.")
