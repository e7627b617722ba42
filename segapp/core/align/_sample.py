"""Images read between their pixels along the rows of a frame, and the sums of an alignment over them."""

from __future__ import annotations

import numpy as np
from numba import njit

ALIKE = 1e-9
"""Positions that differ by less px than this over a row are the same but for rounding."""

LONG = 32
"""Columns from which on a row is worth to be split into its interior and its ends."""

Way = tuple[float, float, float, float]
"""Position of column 0 and its step from column to column: x, its step, y, its step."""


@njit(cache=True, nogil=True)
def interpolate_row(nodes: np.ndarray, row: int, height: int, line: np.ndarray) -> None:
    """Write the positions of the nodes for one row of the frame into `line` (2, n_x)."""
    n_y = nodes.shape[1]
    at = row * (n_y - 1) / max(height - 1, 1)
    i = min(int(at), n_y - 2)
    w = at - i
    for j in range(nodes.shape[2]):
        line[0, j] = (1 - w) * nodes[0, i, j] + w * nodes[0, i + 1, j]
        line[1, j] = (1 - w) * nodes[1, i, j] + w * nodes[1, i + 1, j]


@njit(cache=True, nogil=True)
def segment(line: np.ndarray, j: int, width: int) -> tuple[int, int, float, float, float, float]:
    """Return first and last column between the nodes `j` and `j + 1`, and x, its step, y, its step: all are linear."""
    n = line.shape[1] - 1
    step = n / max(width - 1, 1)
    first = int(np.ceil(j / step)) if j > 0 else 0
    last = int(np.ceil((j + 1) / step)) if j < n - 1 else width
    across, down = line[0, j + 1] - line[0, j], line[1, j + 1] - line[1, j]
    return first, min(last, width), line[0, j] - j * across, across * step, line[1, j] - j * down, down * step


@njit(cache=True, nogil=True)
def sample_row(
    image: np.ndarray, top: int, height: int, line: np.ndarray, values: np.ndarray, seen: np.ndarray
) -> None:
    """Read one row of the frame: bilinear `values`, and 1 in `seen` where the image has the pixel, else 0 in both.

    `image` is the rows from `top` on of an image of `height` rows: positions are those in the whole, so that their
    fractions do not depend on which rows are at hand. A position within half a pixel of the image belongs to it;
    beyond the outer centres the image is constant.
    """
    flat, width = image.ravel(), image.shape[1]
    for j in range(line.shape[1] - 1):
        first, last, x0, dx, y0, dy = segment(line, j, values.size)
        way = x0, dx, y0, dy
        begin, end = _interior(width, height, first, last, way) if last - first >= LONG else (first, first)
        _sample_edges(image, flat, top, height, way, first, begin, values, seen)
        if begin < end:
            if abs(dx - 1) * last < ALIKE and abs(dy) * last < ALIKE:
                _sample_straight(flat, top, width, way, begin, values[begin:end])
            else:
                _sample_slanted(flat, top, width, way, begin, values[begin:end], seen[begin:end])
            seen[begin:end] = np.float32(1)
        _sample_edges(image, flat, top, height, way, end, last, values, seen)


@njit(cache=True, nogil=True)
def _interior(width: int, height: int, first: int, last: int, way: Way) -> tuple[int, int]:
    """Return the columns (begin, end) with a pixel of the image on all sides: they follow each other."""
    x0, dx, y0, dy = way
    # short of the edge, so that rounding takes no reader of whole rows beyond it
    right, bottom = width - 1 - 4 * ALIKE, height - 1 - 4 * ALIKE
    while first < last and not (0.0 <= x0 + first * dx < right and 0.0 <= y0 + first * dy < bottom):
        first += 1
    while first < last:
        x, y = x0 + (last - 1) * dx, y0 + (last - 1) * dy
        if 0.0 <= x < right and 0.0 <= y < bottom:
            break
        last -= 1
    return first, last


# neighbours lie side by side where columns are one pixel apart in one row, as a mere shift puts them
@njit(cache=True, nogil=True)
def _sample_straight(flat: np.ndarray, top: int, width: int, way: Way, first: int, values: np.ndarray) -> None:
    x0, dx, y0, dy = way
    # a position a rounding error to the left of a pixel is that pixel
    left, row = np.floor(x0 + first * dx + ALIKE) - first, np.floor(y0 + first * dy + ALIKE)
    at = np.uint64(int(row) - top) * np.uint64(width) + np.uint64(int(left) + first)
    n = np.uint64(values.size + 1)
    above, below = flat[at : at + n], flat[at + np.uint64(width) : at + np.uint64(width) + n]
    for i in range(values.size):
        column = np.float64(np.int32(first + i))  # 32 bits: the compiler turns nothing wider into wide instructions
        u = np.float32(x0 + column * dx - (left + column))
        v = np.float32(y0 + column * dy - row)
        a, b = above[i], below[i]
        a += u * (above[i + 1] - a)
        b += u * (below[i + 1] - b)
        values[i] = a + v * (b - a)


@njit(cache=True, nogil=True)
def _sample_slanted(
    flat: np.ndarray, top: int, width: int, way: Way, first: int, values: np.ndarray, room: np.ndarray
) -> None:
    x0, dx, y0, dy = way
    places = np.empty(values.size, np.uint64)
    for i in range(values.size):  # in wide instructions, which reading from all over the image is not
        column = np.float64(np.int32(first + i))
        x, y = x0 + column * dx, y0 + column * dy
        c, r = np.int32(x), np.int32(y)
        places[i] = np.uint64(np.int64(r) - top) * np.uint64(width) + np.uint64(c)
        values[i], room[i] = np.float32(x - c), np.float32(y - r)
    below, one = np.uint64(width), np.uint64(1)
    for i in range(values.size):
        at, u = places[i], values[i]
        a, b = flat[at], flat[at + below]
        a += u * (flat[at + one] - a)
        b += u * (flat[at + below + one] - b)
        values[i] = a + room[i] * (b - a)


@njit(cache=True, nogil=True)
def _sample_edges(
    image: np.ndarray,
    flat: np.ndarray,
    top: int,
    height: int,
    way: Way,
    begin: int,
    end: int,
    values: np.ndarray,
    seen: np.ndarray,
) -> None:
    x0, dx, y0, dy = way
    width = image.shape[1]
    right, bottom = width - 1.0, height - 1.0
    below, one = np.uint64(width), np.uint64(1)  # unsigned: no index counts from the end
    for column in range(begin, end):
        x, y = x0 + column * dx, y0 + column * dy
        if 0.0 <= x < right and 0.0 <= y < bottom:
            c, r = int(x), int(y)
            at = np.uint64(r - top) * below + np.uint64(c)
            u, v = np.float32(x - c), np.float32(y - r)
            a, b = flat[at], flat[at + below]
            a += u * (flat[at + one] - a)
            b += u * (flat[at + below + one] - b)
            values[column], seen[column] = a + v * (b - a), np.float32(1)
        elif -0.5 <= x < right + 0.5 and -0.5 <= y < bottom + 0.5:
            values[column], seen[column] = bilinear(image, top, height, x, y), np.float32(1)
        else:
            values[column] = seen[column] = np.float32(0)


@njit(cache=True, nogil=True)
def bilinear(image: np.ndarray, top: int, height: int, x: float, y: float) -> float:
    """Return the image at a position that lies within half a pixel of it; beyond the outer centres it is constant."""
    x = min(max(x, 0.0), image.shape[1] - 1.0)
    y = min(max(y, 0.0), height - 1.0)
    c, r = int(x), int(y)
    c1, r1 = min(c + 1, image.shape[1] - 1), min(r + 1, height - 1)
    u, v = x - c, y - r
    r, r1 = r - top, r1 - top
    above = (1 - u) * image[r, c] + u * image[r, c1]
    return (1 - v) * above + v * ((1 - u) * image[r1, c] + u * image[r1, c1])


@njit(cache=True, nogil=True)
def sample_linear(
    image: np.ndarray, top: int, height: int, nodes: np.ndarray, first: int, frame_height: int, out: np.ndarray
) -> None:
    """Move a float32 image into the rows `out` of the frame, from `first` on, bilinear; 0 where it has no pixel.

    `image` is the rows from `top` on of an image of `height` rows.
    """
    line, seen = np.empty((2, nodes.shape[2])), np.empty(out.shape[1], np.float32)
    for row in range(out.shape[0]):
        interpolate_row(nodes, first + row, frame_height, line)
        sample_row(image, top, height, line, out[row], seen)


@njit(cache=True, nogil=True)
def sample_nearest(image: np.ndarray, nodes: np.ndarray, out: np.ndarray) -> None:
    """Move an image of any dtype into the frame `out` by nearest neighbour; 0 where it has no pixel."""
    height, width = out.shape
    line = np.empty((2, nodes.shape[2]))
    for row in range(height):
        interpolate_row(nodes, row, height, line)
        for j in range(line.shape[1] - 1):
            first, last, x0, dx, y0, dy = segment(line, j, width)
            for column in range(first, last):
                x, y = np.floor(x0 + column * dx + 0.5), np.floor(y0 + column * dy + 0.5)
                if 0 <= x < image.shape[1] and 0 <= y < image.shape[0]:
                    out[row, column] = image[int(y), int(x)]
                else:
                    out[row, column] = 0


@njit(cache=True, nogil=True)
def span(matrix: np.ndarray, row: int, width: int, shape: tuple[int, int], margin: float) -> tuple[int, int]:
    """Return the columns (first, end) of a row of the frame that an affine map puts within `margin` px of the image."""
    low, high = 0.0, width - 1.0
    for axis in range(2):
        start, step = matrix[axis, 1] * row + matrix[axis, 2], matrix[axis, 0]
        least, most = -margin - start, shape[1 - axis] - 1 + margin - start
        if abs(step) < 1e-12:
            if least > 0 or most < 0:
                return 0, 0
        elif step > 0:
            low, high = max(low, least / step), min(high, most / step)
        else:
            low, high = max(low, most / step), min(high, least / step)
    return (int(np.ceil(low)), int(np.floor(high)) + 1) if low <= high else (0, 0)


@njit(cache=True, nogil=True)
def overlap_sums(
    fixed: np.ndarray,
    moving: np.ndarray,
    nodes: np.ndarray,
    first: int,
    frame_height: int,
    mean_f: float,
    mean_m: float,
) -> tuple[int, float, float, float, float, float]:
    """Return the number of covered pixels and the sums of f, m, f², m² and f m over them, less the given means.

    `fixed` is the rows from `first` on of a frame of `frame_height` rows.
    """
    height, width = fixed.shape
    line = np.empty((2, nodes.shape[2]))
    values, seen = np.empty(width, np.float32), np.empty(width, np.float32)
    sums = np.zeros(6)
    for row in range(height):
        interpolate_row(nodes, first + row, frame_height, line)
        sample_row(moving, 0, moving.shape[0], line, values, seen)
        _sums(fixed[row], values, seen, mean_f, mean_m, sums)
    return int(sums[0]), sums[1], sums[2], sums[3], sums[4], sums[5]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _sums(
    fixed: np.ndarray, values: np.ndarray, seen: np.ndarray, mean_f: float, mean_m: float, sums: np.ndarray
) -> None:
    n = a = b = aa = bb = ab = 0.0
    for column in range(values.size):
        weight = np.float64(seen[column])
        f, m = (fixed[column] - mean_f) * weight, (values[column] - mean_m) * weight
        n += weight
        a += f
        b += m
        aa += f * f
        bb += m * m
        ab += f * m
    sums[0] += n
    sums[1] += a
    sums[2] += b
    sums[3] += aa
    sums[4] += bb
    sums[5] += ab
