"""Label images: one number a cell, 0 for background, as TIFF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.types import InputError
from segapp.io.atomic import atomic_file
from segapp.io.image import read_pixels

_CLASSIC_TIFF = 7 << 29
"""Bytes of pixels that surely fit into a TIFF with 32-bit offsets, even if they do not shrink."""


def read_labels(path: str | Path) -> np.ndarray:
    """Read a label image.

    Parameters
    ----------
    path : str or Path
        TIFF or PNG with one plane of whole numbers (a 1-bit mask counts as one label).

    Returns
    -------
    (H, W) int32
        Labels as numbered in the file, 0 = background.

    Raises
    ------
    InputError
        If the file is missing, a folder, not an image, has several planes, or holds values that are not labels.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.tif"
    >>> write_labels(path, np.array([[0, 70000], [3, 3]]))
    >>> read_labels(path).tolist()
    [[0, 70000], [3, 3]]
    """
    path = Path(path)
    image, axes, _ = read_pixels(path)
    if axes != "YX":
        raise InputError(f"{path} has {image.shape} values, but labels are one plane (rows, columns); save one plane.")
    return _check(image, str(path), np.iinfo(np.int32).max).astype(np.int32)


def write_labels(path: str | Path, labels: np.ndarray) -> None:
    """Write a label image as a uint32 TIFF, compressed with zlib; it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to write.
    labels : (H, W) integer or bool
        Labels, 0 = background, none negative.

    Raises
    ------
    InputError
        If `labels` is not two-dimensional, or holds values that are not labels.

    Notes
    -----
    Equal labels give equal bytes: no date is written.

    Examples
    --------
    >>> write_labels("a.tif", np.array([[0, -1]]))
    Traceback (most recent call last):
    segapp.core.types.InputError: `labels` holds values from -1 to 0, but labels are whole numbers from 0 ...
    """
    import tifffile

    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise InputError(f"`labels` has shape {labels.shape}, but a label image has rows and columns; pass one plane.")
    values = _check(labels, "`labels`", np.iinfo(np.uint32).max).astype(np.uint32)
    with atomic_file(path) as temporary:
        tifffile.imwrite(
            temporary,
            values,
            photometric="minisblack",
            compression="zlib",
            predictor=True,
            rowsperstrip=max(1, (1 << 20) // max(1, values.shape[1] * 4)),
            metadata={"axes": "YX"},
        )


def write_labels_by_tile(path: str | Path, labels: Any, side: int = 1024) -> None:
    """Write labels of any size as a tiled uint32 TIFF, compressed with zlib; it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to write: a BigTIFF where a TIFF of 4 GB may not hold it.
    labels : (H, W) array of uint32
        Labels, 0 = background; only windows of it are read.
    side : int
        Side of a tile in px, a multiple of 16.

    Raises
    ------
    InputError
        If `path` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.tif"
    >>> write_labels_by_tile(path, np.array([[0, 70000], [3, 3]], np.uint32))
    >>> read_labels(path).tolist()
    [[0, 70000], [3, 3]]
    """
    import tifffile

    height, width = labels.shape
    with atomic_file(path) as temporary:
        tifffile.imwrite(
            temporary,
            _tiles(labels, side),
            shape=(height, width),
            dtype=np.uint32,
            tile=(side, side),
            bigtiff=height * width * 4 > _CLASSIC_TIFF,
            photometric="minisblack",
            compression="zlib",
            predictor=True,
            maxworkers=1,  # more of them would hold many tiles at once
            metadata={"axes": "YX"},
        )


def _tiles(labels: Any, side: int) -> Iterator[np.ndarray]:
    """Yield square tiles in reading order; the last ones are filled up with background."""
    for top in range(0, labels.shape[0], side):
        for left in range(0, labels.shape[1], side):
            part = np.asarray(labels[top : top + side, left : left + side])
            whole = np.zeros((side, side), np.uint32)
            whole[: part.shape[0], : part.shape[1]] = part
            yield whole


def _check(values: np.ndarray, name: str, highest: int) -> np.ndarray:
    """Whole numbers from 0 to `highest`; float files of whole numbers are accepted."""
    if values.dtype == bool or not values.size:
        return values
    low, high = values.min(), values.max()
    fits = bool(low >= 0 and high <= highest)
    if not fits or (values.dtype.kind not in "ui" and not np.array_equal(values, np.floor(values))):
        raise InputError(
            f"{name} holds values from {low} to {high}, but labels are whole numbers from 0 to {highest:,}; "
            "give a label image, not an intensity image."
        )
    return values
