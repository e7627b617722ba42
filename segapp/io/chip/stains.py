"""The stain of a chip: in pixels of the counts, of 8 or 16 bits, with its pyramid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core import resample
from segapp.core.bright_field import inverted, looks_bright_field, white_of
from segapp.core.frame import RnaParams, StainParams, pixel_size, resampling
from segapp.core.types import InputError, StainFile, Tick, Transcripts
from segapp.io.chip.pyramid import build_levels, create_level
from segapp.io.chip.store import SIDE

WHITE = 65535

HOT = 16.0
"""How many times as far from the darkest pixel as all but one in a thousand the brightest may lie: so these keep 4,096
levels and more, whatever a few hot pixels are."""

SAMPLED = 2000
"""Rows and columns of a stain, at most, that hot pixels are told from."""


@dataclass(frozen=True)
class Scaling:
    """How pixels that are not of 8 or 16 bits are stored as 16 bits.

    Parameters
    ----------
    bounds : tuple of (float, float)
        For each plane, what becomes 0 and 65,535.
    text : str
        The same in words.
    """

    bounds: tuple[tuple[float, float], ...]
    text: str

    def apply(self, planes: np.ndarray) -> np.ndarray:
        """Return rows of all planes, (..., h, W), as uint16."""
        flat = planes.reshape(-1, *planes.shape[-2:])
        out = np.empty(flat.shape, np.uint16)
        for plane, made, (low, high) in zip(flat, out, self.bounds, strict=True):
            scaled = (plane.astype(np.float64) - low) * (WHITE / (high - low) if high > low else 0.0)
            made[:] = np.rint(np.clip(scaled, 0, WHITE))
        return out.reshape(planes.shape)


def scaling_of(image: np.ndarray, rgb: bool, name: str) -> Scaling | None:
    """Return how a stain is stored as 16 bits; None for one of 8 or 16 bits, which stays as it is.

    Parameters
    ----------
    image : (H, W) or (C, H, W) array of any integer or float dtype
        The stain, channels in front.
    rgb : bool
        Whether the channels are those of one picture, whose ratios must stay.
    name : str
        For words.

    Returns
    -------
    Scaling or None
        Whole numbers from 0 to 65,535 stay the same; others are scaled, each channel by its own range.

    Raises
    ------
    InputError
        When a pixel is NaN, infinite or beyond what float32 holds, or no number.

    Examples
    --------
    >>> scaling_of(np.array([[0.0, 0.25, 1.0]], np.float32), False, "dapi.tif").text
    'The pixels of dapi.tif (float32) were stored as 16 bits: 0 to 1 became 0 to 65535.'
    >>> scaling_of(np.array([[7, 300]], np.int32), False, "dapi.tif").bounds
    ((0.0, 65535.0),)
    """
    if image.dtype.newbyteorder("=") in (np.uint8, np.uint16) or image.dtype == np.bool_:
        return None
    if image.dtype.kind not in "iuf":
        raise InputError(f"{name} holds {image.dtype} values; a stain is made of integers or floats")
    planes = image.reshape(-1, *image.shape[-2:])
    ranges = [(float(plane.min()), float(plane.max())) for plane in planes]
    if not (np.abs(ranges) <= np.finfo(np.float32).max).all():  # false for NaN
        raise InputError(
            f"{name} holds NaN, infinite or immense pixels; replace them, for example by 0, and convert it again"
        )
    how = f"The pixels of {name} ({image.dtype.name}) were stored as 16 bits: "
    if min(low for low, _ in ranges) >= 0 and max(high for _, high in ranges) <= WHITE and _whole(planes):
        return Scaling(((0.0, float(WHITE)),) * len(planes), f"{how}they are whole numbers, which stayed the same.")
    hot = False
    for i, plane in enumerate(planes):
        low, high = ranges[i]
        few = plane[:: -(-plane.shape[0] // SAMPLED), :: -(-plane.shape[1] // SAMPLED)]
        usual = float(np.quantile(few.astype(np.float64), 0.999))
        if high - low > HOT * (usual - low) > 0:
            ranges[i], hot = (low, low + HOT * (usual - low)), True
    if rgb:
        ranges = [(min(low for low, _ in ranges), max(high for _, high in ranges))] * len(planes)
    words = "; ".join(f"{low:.6g} to {high:.6g}" for low, high in dict.fromkeys(ranges))
    what = "became 0 to 65535" if len(set(ranges)) == 1 else "became 0 to 65535, channel by channel"
    return Scaling(tuple(ranges), f"{how}{words} {what}{', and few brighter pixels 65535' if hot else ''}.")


def _read(stain: str | Path | StainFile) -> StainFile:
    if isinstance(stain, StainFile):
        return stain
    from segapp.io.image import read_stain

    return read_stain(stain)


def _planes(stain: StainFile) -> np.ndarray:
    return np.moveaxis(stain.image, -1, 0) if stain.axes == "YXS" else stain.image


def _highest(image: np.ndarray, scaling: Scaling | None) -> list[int]:
    """Return the brightest pixel of each plane as it is stored."""
    if scaling is None:
        return [int(plane.max()) for plane in image.reshape(-1, *image.shape[-2:])]
    most = [plane.max() for plane in image.reshape(-1, *image.shape[-2:])]
    return [int(value) for value in scaling.apply(np.array(most).reshape(-1, 1, 1)).ravel()]


def _bright_field(image: np.ndarray, rgb: bool) -> list[list[bool]]:
    """Whether each plane, and the mean of three where they are one picture, looks bright-field as it is, and turned."""
    planes = list(image.reshape(-1, *image.shape[-2:]))
    if rgb and len(planes) >= 3:
        planes.append(image[:3].mean(axis=0, dtype=np.float32))
    return [
        [looks_bright_field(plane), looks_bright_field(inverted(plane, white_of(plane)))]
        for plane in (np.asarray(plane, np.float32) if plane.dtype.kind != "u" else plane for plane in planes)
    ]


def _whole(planes: np.ndarray) -> bool:
    if planes.dtype.kind != "f":
        return True
    rows = (plane[row : row + SIDE] for plane in planes for row in range(0, plane.shape[0], SIDE))
    return all(bool((part == np.rint(part)).all()) for part in rows)


def check_stain(stain: str | Path | StainFile) -> None:
    """Raise `InputError` for a stain that a chip cannot hold, before its records are read, which takes minutes."""
    found = _read(stain)
    scaling_of(_planes(found), found.axes == "YXS", found.name)


def write_stain(
    out: Path,
    stain: str | Path | StainFile,
    params: StainParams,
    light: Transcripts,
    tell: Callable[[str, int, int], None],
    tick: Tick,
) -> dict[str, Any]:
    """Write the stain in pixels of the counts, and its pyramid; a channel lies in front of its pixels.

    Parameters
    ----------
    out : Path
        Folder of the chip.
    stain : path or StainFile
        Image of the same section.
    params : StainParams
        Its pixel size.
    light : Transcripts
        Corners and header of the records.
    tell : function
        Hears how far the rows are.
    tick : Tick
        Hears how far the pyramid is.

    Returns
    -------
    dict
        What ``chip.json`` says of the stain.

    Raises
    ------
    InputError
        When the stain cannot be used.
    """
    import zarr

    stain = _read(stain)
    onto = resampling(stain, light, pixel_size(light, RnaParams()), params)
    image = _planes(stain)
    scaling = scaling_of(image, stain.axes == "YXS", stain.name)
    shape = image.shape if onto is None else (*image.shape[:-2], *onto.grid.shape)
    group = zarr.open_group(out / "arrays.zarr", mode="a").require_group("stain")
    dtype = np.dtype(np.uint16) if scaling is not None else image.dtype.newbyteorder("=")
    if dtype == np.bool_:
        dtype = np.dtype(np.uint8)
    array = create_level(group, "0", shape, dtype, SIDE)
    for row in range(0, shape[-2], SIDE):
        tell("stain", row, shape[-2])
        last = min(row + SIDE, shape[-2])
        if onto is None:
            part = image[..., row:last, :]
        else:
            planes = image.reshape(-1, *image.shape[-2:])
            if planes.dtype.kind in "iu" and planes.dtype not in (np.uint8, np.uint16):
                planes = planes.astype(np.float64)  # a mean of whole numbers is none
            part = np.stack([resample.window(plane, onto, row, last) for plane in planes])
            part = part.reshape(*shape[:-2], last - row, shape[-1])
        array[..., row:last, :] = part if scaling is None else scaling.apply(part)
    build_levels(group, "mean", SIDE, tick)
    return {
        "shape": list(shape),
        "dtype": dtype.name,
        "axes": stain.axes,
        "channels": list(stain.channels),
        "name": stain.name,
        "digest": (stain.digest if onto is None else f"{stain.digest}:{onto.matrix[0]:.6g}")
        + ("" if scaling is None else ":16 bits"),
        "um_per_px": params.um_per_px,
        "resampled": "" if onto is None else onto.text,
        "highest": _highest(image, scaling),
        "bright_field": _bright_field(image, stain.axes == "YXS"),
        "scaled": "" if scaling is None else scaling.text,
        "bounds": None if scaling is None else [list(pair) for pair in scaling.bounds],
    }
