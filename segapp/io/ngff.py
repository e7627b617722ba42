"""OME-Zarr (NGFF): images of versions 0.1 to 0.5 in, label images of version 0.4 out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.types import Grid, InputError
from segapp.io.atomic import atomic_tree
from segapp.io.zarr_groups import ELEMENTS, element, is_zarr, kind_of_zarr, multiscales, ome, open_zarr

LENGTHS = {
    "micrometer": 1.0,
    "micron": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "nanometer": 1e-3,
    "nm": 1e-3,
    "millimeter": 1e3,
    "mm": 1e3,
}
"""Names of units of length, and micrometres in one."""

_CHUNK = 1024
_SMALLEST = 256


def find_image(path: str | Path) -> Path:
    """Return the folder of the image inside a zarr store.

    Parameters
    ----------
    path : str or Path
        An OME-Zarr image, a store with one image under ``0`` (as bioformats2raw writes it), or a SpatialData store with
        one image; of several the folder of one is given, such as ``section.zarr/images/morphology``.

    Raises
    ------
    InputError
        When there is no image, or there are several.
    """
    path = Path(path)
    kind = kind_of_zarr(path)
    if kind == "spatialdata":
        return element(path, "images", "images")
    if kind == "image" or (kind and path.parent.name in ELEMENTS):
        with open_zarr(path, "an OME-Zarr image") as group:
            inside = multiscales(dict(group.attrs))
        if inside:
            return path
        series = sorted(one for one in path.iterdir() if one.name.isdigit() and is_zarr(one))
        if len(series) == 1:
            return series[0]
        if series:
            raise InputError(f"{path} holds {len(series)} images; name one of them by its folder, such as {series[0]}.")
    raise InputError(f"{path} holds no image; give an OME-Zarr image, or a SpatialData store with one.")


def read_ngff(path: str | Path) -> tuple[np.ndarray, str, tuple[str, ...], float | None]:
    """Read the full resolution of an OME-Zarr image.

    Parameters
    ----------
    path : str or Path
        As `find_image` takes it.

    Returns
    -------
    image : array
        As stored, axes of length 1 among them.
    axes : str
        One letter an axis, such as ``"TCZYX"``.
    channels : tuple of str
        Names of the channels where the image has them.
    um_per_px : float or None
        Side of a pixel in micrometres; None where no unit of length is given.

    Raises
    ------
    InputError
        When there is no such image, or it is damaged.

    References
    ----------
    .. [1] J. Moore et al., "OME-NGFF: a next-generation file format for expanding bioimaging data-access strategies",
       Nature Methods 18, 2021; https://ngff.openmicroscopy.org/0.5/
    """
    path = find_image(path)
    with open_zarr(path, "an OME-Zarr image") as group:
        attributes = dict(group.attrs)
        scales = multiscales(attributes)
        if not scales:
            raise InputError(f"{path} is a zarr group without an image; give an OME-Zarr image.")
        first = scales[0]["datasets"][0]
        array = group[first["path"]]
        names, units = _axes(scales[0], array.ndim)
        image = np.asarray(array[...])
        channels = tuple(str(one.get("label") or "") for one in ome(attributes).get("omero", {}).get("channels", []))
        return image, "".join(names).upper(), channels, _pixel(scales[0], first, names, units)


def zarr_size(path: str | Path) -> tuple[int, int, float | None]:
    """Return height times width, bytes, and the side of a pixel in um of an OME-Zarr image without reading it.

    0, 0 and None where there is none.
    """
    try:
        path = find_image(path)
        with open_zarr(path, "an OME-Zarr image") as group:
            scale = multiscales(dict(group.attrs))[0]
            array = group[scale["datasets"][0]["path"]]
            um = _pixel(scale, scale["datasets"][0], *_axes(scale, array.ndim))
            return int(array.shape[-1] * array.shape[-2]), int(array.nbytes), um
    except InputError:
        return 0, 0, None


def _axes(scale: Mapping[str, Any], n: int) -> tuple[list[str], list[str]]:
    """Names of the axes and their units; up to version 0.3 there were names alone, or none."""
    found = scale.get("axes") or list("tczyx")[-n:]
    names = [axis if isinstance(axis, str) else str(axis["name"]) for axis in found]
    units = ["" if isinstance(axis, str) else str(axis.get("unit", "")) for axis in found]
    if len(names) != n:
        raise InputError(f"an OME-Zarr image has {n} dimensions but names {len(names)} axes; check the file.")
    return names, units


def _pixel(
    scale: Mapping[str, Any], dataset: Mapping[str, Any], names: Sequence[str], units: Sequence[str]
) -> float | None:
    if "x" not in names or units[names.index("x")].lower() not in LENGTHS:
        return None
    at = names.index("x")
    size = LENGTHS[units[at].lower()]
    for step in (*dataset.get("coordinateTransformations", ()), *scale.get("coordinateTransformations", ())):
        if step.get("type") == "scale" and len(step.get("scale", ())) == len(names):
            size *= float(step["scale"][at])
    return size if np.isfinite(size) and size > 0 else None


def write_ome_zarr(
    path: str | Path,
    labels: Mapping[str, np.ndarray],
    grid: Grid,
    *,
    image: np.ndarray | None = None,
    step: int = 1,
) -> None:
    """Write label images, and the picture they lie on, as OME-Zarr 0.4; the folder appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The folder to write; one that is there already is replaced.
    labels : mapping of str to (H, W) integer array
        Label images by name, 0 = background.
    grid : Grid
        Side of a pixel, and where the labels sit in input coordinates.
    image : (h, w) uint8 or uint16 array, optional
        Picture behind the labels, where pixel (r, c) shows pixel (r, c) * `step` of the labels.
    step : int
        Pixels of the labels in one of the picture.

    Raises
    ------
    InputError
        When `path` cannot be written.

    Notes
    -----
    Version 0.4 on zarr 2 is what napari, QuPath, Fiji, Vizarr and the library ome-zarr open today. Labels of lower
    resolutions are picked, never averaged. Coordinates are micrometres of the input: the centre of the first pixel
    is at (`x0`, `y0`) times `um_per_px`.

    References
    ----------
    .. [1] The OME-NGFF specification, version 0.4, https://ngff.openmicroscopy.org/0.4/

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cells.ome.zarr"
    >>> write_ome_zarr(path, {"cells": np.array([[0, 7]])}, Grid(100, 50, height=1, width=2))
    >>> image, axes, _, um = read_ngff(path / "labels" / "cells")
    >>> image.tolist(), axes, um
    ([[0, 7]], 'YX', 0.5)
    """
    levels = {name: picked_levels((np.asarray(values),)) for name, values in labels.items()}
    write_label_levels(path, levels, grid, image=image, step=step)


def write_label_levels(
    path: str | Path,
    labels: Mapping[str, Iterable[Any]],
    grid: Grid,
    *,
    image: np.ndarray | None = None,
    step: int = 1,
) -> None:
    """Write label images of any size, which come by level; the folder appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The folder to write; one that is there already is replaced.
    labels : mapping of str to iterable of arrays
        Label images by name, as `picked_levels` yields them: each level is read window by window.
    grid, image, step
        As `write_ome_zarr` takes them.

    Raises
    ------
    InputError
        When `path` cannot be written.
    """
    import zarr

    with atomic_tree(path) as folder:
        root = zarr.open_group(str(folder), mode="w", zarr_format=2)
        if image is not None:
            _write_pyramid(root, "image", _mean_levels(image), image.dtype, grid, step=step, mean=True)
            low, high = int(image.min()), int(image.max())
            root.attrs["omero"] = {
                "channels": [
                    {
                        "label": "picture",
                        "color": "FFFFFF",
                        "active": True,
                        "window": {"min": 0, "max": int(np.iinfo(image.dtype).max), "start": low, "end": max(high, 1)},
                    }
                ],
                "rdefs": {"model": "greyscale"},
            }
        inner = root.create_group("labels")
        inner.attrs["labels"] = list(labels)
        for name, levels in labels.items():
            group = inner.create_group(name)
            _write_pyramid(group, name, levels, np.int32, grid, step=1, mean=False)
            group.attrs["image-label"] = {"version": "0.4", "source": {"image": "../../"}}


def picked_levels(known: Iterable[Any]) -> Iterator[Any]:
    """Yield all levels of a label image, each every second pixel of the one before, down to the smallest.

    Parameters
    ----------
    known : iterable of (H, W) arrays
        The first levels, largest first: arrays, or what is read by slices.

    Examples
    --------
    >>> [level.shape for level in picked_levels([np.zeros((600, 513), np.int32)])]
    [(600, 513), (300, 257), (150, 129)]
    """
    level = None
    for level in known:
        yield level
    while level is not None and max(level.shape) > _SMALLEST:
        level = level[:][::2, ::2]
        yield level


def _mean_levels(image: np.ndarray) -> Iterator[np.ndarray]:
    yield image
    while max(image.shape) > _SMALLEST:
        image = _half(image)
        yield image


def _write_pyramid(
    group: Any,
    name: str,
    levels: Iterable[Any],
    dtype: Any,
    grid: Grid,
    *,
    step: int,
    mean: bool,
) -> None:
    import numcodecs

    datasets: list[dict[str, Any]] = []
    factor = step
    for level in levels:
        at = str(len(datasets))
        array = group.create_array(
            at,
            shape=level.shape,
            dtype=dtype,
            chunks=tuple(min(_CHUNK, side) for side in level.shape),
            compressors=numcodecs.Blosc("zstd", clevel=3),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        for top in range(0, level.shape[0], _CHUNK):
            for left in range(0, level.shape[1], _CHUNK):
                block = slice(top, top + _CHUNK), slice(left, left + _CHUNK)
                array[block] = np.asarray(level[block]).astype(dtype)
        um = grid.um_per_px * factor
        # a mean lies in the middle of what it was made of, a picked pixel where it was
        shift = (factor - step) / 2 * grid.um_per_px if mean else 0.0
        place = [grid.y0 * grid.um_per_px + shift, grid.x0 * grid.um_per_px + shift]
        datasets.append(
            {
                "path": at,
                "coordinateTransformations": [
                    {"type": "scale", "scale": [um, um]},
                    {"type": "translation", "translation": place},
                ],
            }
        )
        factor *= 2
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "name": name, "axes": axes, "datasets": datasets}]


def _half(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd row or column at the end is repeated."""
    padded = np.pad(image, [(0, side % 2) for side in image.shape], mode="edge").astype(np.float32)
    height, width = padded.shape
    return np.rint(padded.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))).astype(image.dtype)
