"""A stain in pixels of another size than the counts: brought onto their pixels, each the mean of what it covers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from segapp.core.types import Grid, InputError, StainFile, Transcripts

MATRIX, PICTURE_UM = "StainMatrix", "StainMicronsPerPixel"
"""Entries of a header: where the maker of the counts placed them in a picture, and the side of its pixels."""

COPIES = ("hires", "lowres")
"""Smaller copies of that picture, known by their names; the header says their scale as ``StainScale_hires``."""

SAME = 1e-3
"""Relative difference of sizes below which pixels are taken as equally large."""

_MARGIN = 0.1
"""Share of a picture that the box of the counts may reach beyond it."""


@dataclass(frozen=True)
class Resampling:
    """How a picture comes onto the pixels of counts.

    Parameters
    ----------
    matrix : tuple of 6 floats
        ``(a, b, c, d, e, f)``: the point (x, y) of the frame, pixel corners being whole numbers, shows the point
        ``(a x + b y + c, d x + e y + f)`` of the picture.
    grid : Grid
        The frame that it comes onto.
    text : str
        What is done, in words.
    """

    matrix: tuple[float, float, float, float, float, float]
    grid: Grid
    text: str

    @property
    def sides(self) -> tuple[float, float]:
        """Pixels of the picture along x and along y in one of the frame."""
        a, b, _, d, e, _ = self.matrix
        return math.hypot(a, b), math.hypot(d, e)


def by_size(name: str, shape: tuple[int, int], um: float, um_per_px: float, start: tuple[int, int]) -> Resampling:
    """Return how a picture whose pixels have another side than those of the counts comes onto them.

    Parameters
    ----------
    name : str
        Of the picture, for words.
    shape : (int, int)
        Its height and width, upright.
    um, um_per_px : float
        Side of a pixel of the picture, and of the counts, in micrometres.
    start : (int, int)
        Input position (x, y) of its first pixel, in pixels of the counts.

    Notes
    -----
    A last row or column that is covered by a twentieth or less is left out.

    Examples
    --------
    >>> by_size("a.tif", (80, 160), 0.25, 2.0, (0, 0)).grid.shape
    (10, 20)
    """
    ratio = um_per_px / um
    height, width = (max(1, math.ceil(side / ratio - 0.05)) for side in shape)
    how = f"averaged {ratio:.3g}:1" if ratio > 1 else f"interpolated 1:{1 / ratio:.3g}"
    return Resampling(
        (ratio, 0.0, 0.0, 0.0, ratio, 0.0),
        Grid(*start, height, width, um_per_px),
        f"The stain {name} of {um:.4g} µm/px was {how} onto pixels of {um_per_px:.4g} µm.",
    )


def by_place(stain: StainFile, shape: tuple[int, int], transcripts: Transcripts, um_per_px: float) -> Resampling | None:
    """Return how the picture comes onto the counts whose file says where they lie in it; None where it does not.

    Parameters
    ----------
    stain : StainFile
        Its name tells copies of lower resolution, else its pixel size does.
    shape : (int, int)
        Height and width of the picture.
    transcripts : Transcripts
        With ``StainMatrix`` in their header: six numbers as in `Resampling.matrix`, from the number of a pixel of the
        counts to that of a pixel of the picture, centres being whole numbers.
    um_per_px : float
        Side of a pixel of the counts in micrometres.

    Raises
    ------
    InputError
        When the counts lie outside the picture, so that it must be another.
    """
    header = transcripts.header
    if MATRIX not in header:
        return None
    centres = _numbers(header)
    x0, y0, x1, y1 = transcripts.bbox
    grid = Grid(x0, y0, y1 - y0 + 1, x1 - x0 + 1, um_per_px)
    for scale in _scales(stain, header):
        a, b, c, d, e, f = (number * scale for number in centres)
        # from centres of pixels as whole numbers to their corners, and from input coordinates to the frame
        c, f = (
            c + scale / 2 + a * (x0 - 0.5) + b * (y0 - 0.5),
            f + scale / 2 + d * (x0 - 0.5) + e * (y0 - 0.5),
        )
        found = Resampling((a, b, c, d, e, f), grid, "")
        if _inside(found, shape):
            along = " and ".join(f"{side:.3g}" for side in dict.fromkeys(round(side, 3) for side in found.sides))
            turn = math.degrees(math.atan2(d, a))
            text = (
                f"The stain {stain.name} was brought onto pixels of {um_per_px:.4g} µm as the file of the counts "
                f"places them in it: averaged {along}:1, turned by {turn:.1f} degrees"
                + (", mirrored" if a * e - b * d < 0 else "")
                + "."
            )
            return Resampling(found.matrix, grid, text)
    raise InputError(
        f"{stain.name} of {shape[0]} x {shape[1]} px (rows x columns) is not the picture that the counts were placed "
        "in: they lie outside it; give the full-resolution image that Space Ranger had, or tissue_hires_image.png, or "
        "say the side of its pixels with stain.um_per_px"
    )


def apply(image: np.ndarray, onto: Resampling) -> np.ndarray:
    """Bring a picture onto the pixels of the counts.

    Parameters
    ----------
    image : (H, W) uint8, uint16 or float32
        Of the orientation that `onto` was made for.
    onto : Resampling
        How.

    Returns
    -------
    (h, w) array of the same dtype
        Each pixel is the mean over the square that it covers in the picture; where its side is shorter than a pixel of
        the picture, the picture is interpolated. Over a slightly turned picture the square stays upright. Outside
        the picture it is 0; at the edge the mean is over what there is.

    Examples
    --------
    >>> image = np.array([[0, 4, 9, 9], [8, 4, 9, 9]], np.uint8)
    >>> apply(image, by_size("a.tif", image.shape, 0.5, 1.0, (0, 0))).tolist()
    [[4, 9]]
    """
    return window(image, onto, 0, onto.grid.height)


def window(image: np.ndarray, onto: Resampling, first: int, last: int) -> np.ndarray:
    """Return rows `first` to `last` of what `apply` returns.

    Examples
    --------
    >>> image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    >>> window(image, by_size("a.tif", image.shape, 0.5, 1.0, (0, 0)), 1, 2).tolist()
    [[11, 13]]
    """
    wide, tall = onto.sides
    out = np.zeros((last - first, onto.grid.width), image.dtype)
    round_up = 0.5 if image.dtype.kind in "ui" else 0.0
    _average(image, out, np.array(onto.matrix), max(wide, 1.0) / 2, max(tall, 1.0) / 2, first, round_up)
    return out


def _numbers(header: Mapping[str, str]) -> tuple[float, ...]:
    numbers = tuple(float(word) for word in header[MATRIX].split())
    if len(numbers) != 6 or not np.isfinite(numbers).all() or not numbers[0] * numbers[4] - numbers[1] * numbers[3]:
        raise InputError(f"{MATRIX} in the header of the counts is {header[MATRIX]!r}, but six numbers are needed")
    return numbers


def _scales(stain: StainFile, header: Mapping[str, str]) -> list[float]:
    """Pixels of this file in one of the picture that the counts were placed in, likely ones first."""
    for copy in COPIES:
        if f"{copy}_image" in stain.name and f"StainScale_{copy}" in header:
            return [float(header[f"StainScale_{copy}"])]
    found = [1.0]
    if stain.um_per_px and PICTURE_UM in header:
        found.append(float(header[PICTURE_UM]) / stain.um_per_px)
    return found


def _inside(onto: Resampling, shape: tuple[int, int]) -> bool:
    a, b, c, d, e, f = onto.matrix
    height, width = onto.grid.shape
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, width) for y in (0, height)]
    return all(
        -_MARGIN * side <= place[axis] <= (1 + _MARGIN) * side
        for place in corners
        for axis, side in enumerate(shape[::-1])
    )


@njit(cache=True, nogil=True)
def _average(image, out, matrix, half_x, half_y, first, round_up):  # type: ignore[no-untyped-def]
    height, width = image.shape
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            x, y = c + 0.5, first + r + 0.5
            u = matrix[0] * x + matrix[1] * y + matrix[2]
            v = matrix[3] * x + matrix[4] * y + matrix[5]
            left, right = max(u - half_x, 0.0), min(u + half_x, float(width))
            top, bottom = max(v - half_y, 0.0), min(v + half_y, float(height))
            if right <= left or bottom <= top:
                continue
            total = 0.0
            for i in range(int(top), min(math.ceil(bottom), height)):
                row = 0.0
                for j in range(int(left), min(math.ceil(right), width)):
                    row += float(image[i, j]) * (min(right, j + 1.0) - max(left, float(j)))
                total += row * (min(bottom, i + 1.0) - max(top, float(i)))
            out[r, c] = total / ((right - left) * (bottom - top)) + round_up


def warm() -> None:
    """Compile what is used, or load it where it was compiled before."""
    for dtype in (np.uint8, np.uint16, np.float32):
        apply(np.ones((2, 2), dtype), by_size("", (2, 2), 1.0, 2.0, (0, 0)))
