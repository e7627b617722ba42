"""The frame: where every array of a run sits, and how stain and transcripts are brought into it.

Array pixel (r, c) is input position (x0 + c, y0 + r). The frame is the stain's where there is one, else the
bounding box of the transcripts. Rows are y and columns are x.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from segapp.core import bright_field, resample
from segapp.core.orientation import ORIENTATIONS, Orientation, orient, turn_points, turned
from segapp.core.params import Params, knob
from segapp.core.rna import RnaParams, header_number, pixel_size, rasterize, rna_layers, warm
from segapp.core.types import Grid, InputError, StainFile, Transcripts

Origin = Literal["zero", "min", "header"]

RGB_NAMES = {1: ("grey",), 2: ("grey", "alpha"), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
MAX_AREA_RATIO = 2.0

__all__ = [
    "ORIENTATIONS",
    "RnaParams",
    "StainParams",
    "choose_channel",
    "extent",
    "orient",
    "pixel_size",
    "place_stain",
    "rasterize",
    "rna_layers",
    "turn_points",
    "turned",
    "warm",
]


class StainParams(Params):
    """Choose the channel of the stain and say how its pixels lie over the transcripts."""

    channel: str = knob(
        "auto",
        doc="Channel to use, by name or number from 0; grey is the mean of an RGB image. "
        "auto takes the only channel there is.",
    )
    orientation: Orientation = knob(
        "keep",
        doc="How to turn the stain before use, where its rows are not the y of the transcripts. "
        "rot90 turns anticlockwise; flip-x swaps left and right; transpose swaps rows and columns.",
    )
    origin: Origin = knob(
        "zero",
        doc="Input position of the first pixel of the stain: zero is (0, 0), min the smallest x and y of the "
        "transcripts, header the OffsetX and OffsetY of the GEM.",
    )
    um_per_px: float | Literal["auto", "off"] = knob(
        "auto",
        unit="um",
        ge=0.005,
        le=1000.0,
        soft=(0.1, 10.0),
        doc="Side of a pixel of the stain in micrometres; where it is another than that of the counts, the stain is "
        "averaged onto their pixels. auto is the place of the counts in their picture where their file knows it "
        "(Visium HD), else what the file of the stain says, else that of the counts; off takes it as that of the "
        "counts.",
    )
    invert: Literal["off", "on"] = knob(
        "off",
        doc="on: the stain is turned over before anything else, so that dark nuclei on a bright background (H&E and "
        "other bright-field) become bright; of an RGB image with channel=auto, grey is taken.",
    )


def place_stain(
    stain_file: StainFile | None, transcripts: Transcripts, um_per_px: float, params: StainParams
) -> tuple[np.ndarray | None, Grid]:
    """Bring the stain into the frame, and make the frame.

    Parameters
    ----------
    stain_file : StainFile or None
        The stain as its file holds it; None for transcripts alone.
    transcripts : Transcripts
        In input coordinates.
    um_per_px : float
        Side of a pixel in micrometres.
    params : StainParams
        Channel, orientation, origin, pixel size, and whether to turn it over.

    Returns
    -------
    stain : (H, W) uint8, uint16 or float32, or None
        One channel, turned upright, in the pixels of the transcripts; other integer and float types become float32.
        None without a stain.
    grid : Grid
        The stain's extent, or the bounding box of the transcripts where there is no stain, or where their file says
        how they lie in it.

    Raises
    ------
    InputError
        Several channels and none chosen, a constant or non-finite stain, transcripts outside the stain, or a stain
        of more than twice the area of the transcripts' bounding box.

    Examples
    --------
    >>> import numpy as np
    >>> at = np.array([0, 2], np.int32)
    >>> rna = Transcripts(at, at, np.zeros(2, np.int32), {"total": np.ones(2, np.uint32)}, ("Malat1",))
    >>> stain, grid = place_stain(StainFile(np.arange(9, dtype=np.uint8).reshape(3, 3)), rna, 0.5, StainParams())
    >>> grid
    Grid(x0=0, y0=0, height=3, width=3, um_per_px=0.5)
    """
    if len(transcripts) == 0:
        raise InputError("the transcripts are empty: there is not one record to make a frame of; check the GEM file")
    x_min, y_min, x_max, y_max = transcripts.bbox
    if stain_file is None:
        return None, Grid(x_min, y_min, y_max - y_min + 1, x_max - x_min + 1, um_per_px)
    onto = resampling(stain_file, transcripts, um_per_px, params)
    if onto is None:
        grid = Grid(*_origin(transcripts, params.origin), *upright(stain_file, params), um_per_px)
    else:
        grid = onto.grid
    _check_cover(stain_file, grid, transcripts, params)
    channel = channel_of(stain_file.axes, params)
    stain = orient(choose_channel(stain_file, channel), params.orientation)
    shape = stain.shape
    stain = stain if onto is None else resample.apply(stain, onto)
    if params.invert == "on":
        stain = bright_field.inverted(stain, bright_field.white_of(planes_of(stain_file, channel)))
        if onto is not None:  # outside the picture there is background
            stain[resample.apply(np.ones(shape, np.uint8), onto) == 0] = 0
    return stain, grid


def channel_of(axes: str, params: StainParams) -> str:
    """Return the channel to choose: of an RGB image in bright-field grey, where none is asked for.

    Examples
    --------
    >>> channel_of("YXS", StainParams(invert="on")), channel_of("YXS", StainParams())
    ('grey', 'auto')
    """
    return "grey" if params.channel == "auto" and params.invert == "on" and axes == "YXS" else params.channel


def planes_of(stain_file: StainFile, channel: str) -> np.ndarray:
    """Return the channels that a choice of one looks at: three for grey, (3, H, W), else the one."""
    if stain_file.axes == "YXS" and channel.lower() in ("grey", "gray") and stain_file.image.shape[-1] >= 3:
        return np.moveaxis(stain_file.image[..., :3], -1, 0)
    return choose_channel(stain_file, channel)


def resampling(
    stain_file: StainFile, transcripts: Transcripts, um_per_px: float, params: StainParams
) -> resample.Resampling | None:
    """Return how the pixels of the stain become those of the transcripts; None where they are the same.

    Parameters
    ----------
    stain_file, transcripts, um_per_px, params
        As `place_stain` takes them.

    Raises
    ------
    InputError
        When the transcripts lie outside the picture that their file places them in.

    Examples
    --------
    >>> at = np.array([0, 4], np.int32)
    >>> bins = Transcripts(at, at, at, {"total": np.ones(2, np.uint32)}, tuple("abcde"))
    >>> fine = StainFile(np.zeros((40, 40), np.uint8), name="dapi.tif", um_per_px=0.25)
    >>> resampling(fine, bins, 2.0, StainParams()).text
    'The stain dapi.tif of 0.25 µm/px was averaged 8:1 onto pixels of 2 µm.'
    """
    shape = upright(stain_file, params)
    if params.um_per_px == "auto" and params.orientation == "keep" and params.origin == "zero":
        placed = resample.by_place(stain_file, shape, transcripts, um_per_px)
        if placed is not None:
            return placed
    um = stain_file.um_per_px if params.um_per_px == "auto" else params.um_per_px
    if um is None or um == "off" or abs(um_per_px / um - 1) < resample.SAME:
        return None
    return resample.by_size(stain_file.name, shape, um, um_per_px, _origin(transcripts, params.origin))


def upright(stain_file: StainFile, params: StainParams) -> tuple[int, int]:
    """Return height and width of a stain, turned upright."""
    at = stain_file.axes.find("Y"), stain_file.axes.find("X")
    if min(at) < 0 or stain_file.image.ndim != len(stain_file.axes):
        choose_channel(stain_file, params.channel)  # says what is wrong
    height, width = (stain_file.image.shape[axis] for axis in at)
    return (width, height) if ORIENTATIONS[params.orientation][0] else (height, width)


def extent(shape: tuple[int, int], name: str, transcripts: Transcripts, um_per_px: float, params: StainParams) -> Grid:
    """Return the frame of a stain whose pixels are elsewhere; `place_stain` does the same with them.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the stain once it is upright.
    name : str
        For messages.
    transcripts : Transcripts
        Their bounding box, and their header, are looked at.
    um_per_px : float
        Side of a pixel in micrometres.
    params : StainParams
        Orientation and origin.

    Raises
    ------
    InputError
        When the stain does not cover the transcripts, or is of more than twice their area.
    """
    grid = Grid(*_origin(transcripts, params.origin), *shape, um_per_px)
    if not _covers(grid, transcripts.bbox):
        x_min, y_min, x_max, y_max = transcripts.bbox
        raise InputError(
            f"{name} does not fit the transcripts: it is {grid.height} x {grid.width} px (rows x columns) from "
            f"({grid.x0}, {grid.y0}), they span x {x_min}-{x_max}, y {y_min}-{y_max}; "
            f"{_likely_cause(grid, transcripts, params)}"
        )
    return grid


def choose_channel(stain_file: StainFile, channel: str) -> np.ndarray:
    """Return one channel of a stain as a 2-D image.

    Parameters
    ----------
    stain_file : StainFile
        Axes ``"YX"``, ``"YXS"`` (RGB samples) or ``"CYX"``.
    channel : str
        Name (any case), number from 0, ``"grey"`` for the mean of RGB samples, or ``"auto"``.

    Returns
    -------
    image : (H, W) uint8, uint16 or float32
        C-contiguous, native byte order.

    Raises
    ------
    InputError
        ``"auto"`` with several channels, an unknown channel, or an image that is empty, constant or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> rgb = StainFile(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), axes="YXS")
    >>> choose_channel(rgb, "green").tolist()
    [[1, 4], [7, 10]]
    """
    image, axes, file_name = stain_file.image, stain_file.axes, stain_file.name
    if image.ndim != len(axes) or axes not in ("YX", "YXS", "CYX"):
        raise InputError(
            f"{file_name} has axes {axes} and shape {image.shape}: pass one 2-D image, an RGB image (YXS) "
            "or a stack of channels (CYX)"
        )
    if axes != "YX":
        image = _pick(np.moveaxis(image, -1, 0) if axes == "YXS" else image, stain_file, channel)
    elif channel.lower() not in {"auto", "0", *(name.lower() for name in stain_file.channels)}:
        raise InputError(f"{file_name} has a single channel, not {channel}; set stain.channel=auto")
    if image.size == 0:
        raise InputError(f"{file_name} has no pixels (shape {image.shape}); pass another file")
    if image.dtype == bool:
        image = image.astype(np.uint8)
    elif image.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        if image.dtype.kind not in "iuf":
            raise InputError(f"{file_name} holds {image.dtype} values; a stain is made of integers or floats")
        image = image.astype(np.float32)
    image = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
    low, high = image.min(), image.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{file_name} holds NaN or infinite pixels; replace them, for example by 0, and load it again")
    if low == high:
        raise InputError(
            f"{file_name} is constant (every pixel is {low:g}), so there is nothing to segment; "
            "choose another file or channel"
        )
    return image


def _pick(planes: np.ndarray, stain_file: StainFile, channel: str) -> np.ndarray:
    rgb = stain_file.axes == "YXS"
    names = stain_file.channels or (RGB_NAMES.get(len(planes), ()) if rgb else ())
    names = names if len(names) == len(planes) else tuple(str(i) for i in range(len(planes)))
    lowered = [name.lower() for name in names]
    if channel.lower() == "auto":
        if len(planes) == 1:
            return planes[0]
    elif channel.lower() in lowered:
        return planes[lowered.index(channel.lower())]
    elif channel.isdigit() and int(channel) < len(planes):
        return planes[int(channel)]
    elif rgb and channel.lower() in ("grey", "gray") and len(planes) >= 3:
        mean = planes[:3].mean(axis=0, dtype=np.float32)
        return np.rint(mean).astype(planes.dtype) if planes.dtype.kind in "iu" else mean
    choices = ", ".join((*names, *(("grey",) if rgb and len(planes) >= 3 else ())))
    kind = "an RGB image" if rgb and len(planes) >= 3 else f"an image of {len(planes)} channels"
    given = "" if channel.lower() == "auto" else f", and none is called {channel}"
    bright = "; of dark nuclei on white (H&E), set stain.invert=on" if rgb and len(planes) >= 3 else ""
    raise InputError(f"{stain_file.name} is {kind}{given}; set stain.channel to one of {choices}{bright}")


def _origin(transcripts: Transcripts, origin: str) -> tuple[int, int]:
    if origin == "zero":
        return 0, 0
    if origin == "min":
        return transcripts.bbox[:2]
    missing = [name for name in ("OffsetX", "OffsetY") if name not in transcripts.header]
    if missing:
        raise InputError(
            f"stain.origin=header needs {' and '.join(missing)} in the header of the GEM; set stain.origin=zero or min"
        )
    return int(header_number(transcripts, "OffsetX", 0)), int(header_number(transcripts, "OffsetY", 0))


def _outside(grid: Grid, transcripts: Transcripts) -> int:
    x, y = transcripts.x, transcripts.y
    inside = (x >= grid.x0) & (x < grid.x0 + grid.width) & (y >= grid.y0) & (y < grid.y0 + grid.height)
    return int(transcripts.counts["total"][~inside].sum(dtype=np.int64))


def _covers(grid: Grid, bbox: tuple[int, int, int, int]) -> bool:
    x_min, y_min, x_max, y_max = bbox
    inside = grid.x0 <= x_min and grid.y0 <= y_min and x_max < grid.x0 + grid.width and y_max < grid.y0 + grid.height
    return inside and grid.height * grid.width <= MAX_AREA_RATIO * (x_max - x_min + 1) * (y_max - y_min + 1)


def _check_cover(stain_file: StainFile, grid: Grid, transcripts: Transcripts, params: StainParams) -> None:
    bbox = transcripts.bbox
    if _covers(grid, bbox):
        return
    x_min, y_min, x_max, y_max = bbox
    width, height = x_max - x_min + 1, y_max - y_min + 1
    outside = _outside(grid, transcripts)
    if outside:
        share = 100 * outside / max(transcripts.n_umis, 1)
        problem = f"does not cover the transcripts: {outside:,} UMIs ({share:.3g} %) lie outside"
    elif grid.height * grid.width > MAX_AREA_RATIO * height * width:
        problem = f"has {grid.height * grid.width / (height * width):.1f} times the area of the transcripts"
    else:
        return  # records without a UMI may lie anywhere
    shape = upright(stain_file, params)
    cause = _likely_cause(grid, transcripts, params)
    if grid.shape != shape and _covers(Grid(*_origin(transcripts, params.origin), *shape), bbox):
        cause = "it fits with its pixels as they are: try stain.um_per_px=off"
    resampled = "" if grid.shape == shape else f" in pixels of {grid.um_per_px:.4g} µm"
    raise InputError(
        f"{stain_file.name} {problem}; it is {grid.height} x {grid.width} px (rows x columns){resampled} from "
        f"({grid.x0}, {grid.y0}), the transcripts span {height} x {width} px, x {x_min}-{x_max}, y {y_min}-{y_max}; "
        f"{cause}"
    )


def _likely_cause(grid: Grid, transcripts: Transcripts, params: StainParams) -> str:
    """Say what would make the stain fit: another origin, a transpose, both, or another scale."""
    bbox = transcripts.bbox
    swapped = "keep" if ORIENTATIONS[params.orientation][0] else "transpose"
    origins = [params.origin, *(o for o in ("zero", "min", "header") if o != params.origin)]
    for orientation in (params.orientation, swapped):
        shape = grid.shape if orientation == params.orientation else grid.shape[::-1]
        for origin in origins:
            if origin == "header" and not {"OffsetX", "OffsetY"} <= set(transcripts.header):
                continue
            x0, y0 = _origin(transcripts, origin)
            if _covers(Grid(x0, y0, *shape), bbox):
                changes = [f"stain.orientation={orientation}"] * (orientation != params.orientation)
                changes += [f"stain.origin={origin}"] * (origin != params.origin)
                why = (
                    "its rows and columns look swapped"
                    if orientation != params.orientation
                    else "its origin looks wrong"
                )
                return f"{why}: try {' and '.join(changes)}"
    width, height = bbox[2] - bbox[0] + 1, bbox[3] - bbox[1] + 1
    scale_y, scale_x = height / grid.height, width / grid.width
    if max(scale_y, scale_x) < 1.25 * min(scale_y, scale_x):
        size = "larger" if scale_y > 1 else "smaller"
        um = grid.um_per_px * (scale_y + scale_x) / 2
        return (
            f"its pixels look {size} than those of the transcripts: say their side in micrometres, such as "
            f"stain.um_per_px={um:.2g}"
        )
    return "crop or pad the stain to the transcripts, or pass the GEM that belongs to it"
