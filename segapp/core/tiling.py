"""Windows of an image too large to hold: where a result can be trusted, and which window an object belongs to.

A window is a core and a halo around it. What lies near its open sides may differ from what the whole image would give;
this *doubt* is carried along as a mask from step to step. A core without doubt is exact.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from segapp.core._bands import work_alone
from segapp.core.checks import frozen

# (top, left, bottom, right) in px of the frame, half-open
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Window:
    """A part of a frame: a core, and what is read around it.

    Parameters
    ----------
    core, box : Box
        What is asked for, and what is read.
    shape : (int, int)
        Height and width of the frame in px.

    Examples
    --------
    >>> window = Window((0, 100, 50, 200), (0, 68, 82, 232), (400, 300))
    >>> window.size, window.open, window.inside
    ((82, 164), (False, True, True, True), (slice(0, 50, None), slice(32, 132, None)))
    """

    core: Box
    box: Box
    shape: tuple[int, int]

    @classmethod
    def around(cls, core: Box, halo: int, shape: tuple[int, int], step: int = 64) -> Window:
        """Return a core with a halo, whose first row and column are multiples of `step`.

        Parameters
        ----------
        core : Box
            What is asked for.
        halo : int
            Pixels around it, at least; the frame ends it.
        shape : (int, int)
            Of the frame.
        step : int
            Some functions look at blocks of pixels: a window must cut none.
        """
        top, left = (max(side - halo, 0) // step * step for side in core[:2])
        bottom, right = (
            min(-(-(side + halo) // step) * step, size) for side, size in zip(core[2:], shape, strict=True)
        )
        return cls(core, (top, left, bottom, right), shape)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what is read."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    @property
    def open(self) -> tuple[bool, bool, bool, bool]:
        """Whether the frame goes on beyond each side: top, left, bottom, right."""
        top, left, bottom, right = self.box
        return top > 0, left > 0, bottom < self.shape[0], right < self.shape[1]

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where the core lies in what is read."""
        (top, left, bottom, right), (y, x) = self.core, self.box[:2]
        return slice(top - y, bottom - y), slice(left - x, right - x)


def halvings(side: int, longest: int) -> int:
    """Return how often a side has to be halved to be at most `longest`.

    Examples
    --------
    >>> halvings(512, 512), halvings(513, 512), halvings(26460, 2048)
    (0, 1, 4)
    """
    level = 0
    while side > longest << level:
        level += 1
    return level


def rim(window: Window, reach: int) -> np.ndarray:
    """Return the pixels within `reach` px of the open sides of a window: (h, w) bool."""
    doubt = np.zeros(window.size, bool)
    if reach > 0:
        top, left, bottom, right = window.open
        doubt[:reach] |= top
        doubt[:, :reach] |= left
        doubt[-reach:] |= bottom
        doubt[:, -reach:] |= right
    return doubt


def spread(doubt: np.ndarray, reach: int) -> np.ndarray:
    """Return the pixels within `reach` px of a doubtful one, along rows and columns."""
    if reach <= 0:
        return doubt
    kernel = np.ones((2 * reach + 1, 1), np.uint8)
    return cv2.dilate(cv2.dilate(doubt.view(np.uint8), kernel), kernel.T).view(bool)


def doubt_objects(doubt: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the doubtful pixels, and all pixels of objects that hold one or touch one.

    Parameters
    ----------
    doubt : (h, w) bool
        Doubtful pixels.
    labels : (h, w) int32
        Objects, 0 is none.

    Examples
    --------
    >>> doubt_objects(np.array([[True, False, False, False, False]]), np.array([[0, 4, 4, 0, 5]], np.int32)).tolist()
    [[True, True, True, False, False]]
    """
    touched = labels[spread(doubt, 1)]
    if not touched.any():
        return doubt
    table = np.zeros(int(labels.max()) + 1, bool)
    table[touched] = True
    table[0] = False
    return doubt | table[labels]


def components(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of a mask: (h, w) int32."""
    return cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)[1]


def doubt_components(
    doubt: np.ndarray, mask: np.ndarray, seeds: np.ndarray | None, area_threshold: float
) -> np.ndarray:
    """Return the pixels of which a window cannot tell what becomes of their component.

    A component that reaches into doubt has seeds for sure where one of them is without doubt; without any seeds in the
    frame it is too large for sure where its part without doubt is.

    Parameters
    ----------
    doubt : (h, w) bool
        Doubtful pixels.
    mask : (h, w) bool
        Where cells may be.
    seeds : (h, w) int32 or None
        Nuclei; None where there are none in the whole frame.
    area_threshold : float
        Components above it are split.

    Returns
    -------
    (h, w) bool
        `doubt` and such components.
    """
    parts = components(mask)
    n = int(parts.max()) + 1
    reaches = np.zeros(n, bool)
    reaches[parts[spread(doubt, 1)]] = True
    if seeds is None:
        sure = np.bincount(parts[~doubt], minlength=n) > area_threshold
    else:
        sure = np.zeros(n, bool)
        sure[parts[(seeds > 0) & ~doubt]] = True
    unknown = reaches & ~sure
    unknown[0] = False
    return doubt | unknown[parts] if unknown.any() else doubt


def doubt_depth(doubt: np.ndarray, mask: np.ndarray, seeds: np.ndarray | None, step: int) -> np.ndarray:
    """Return the pixels of components without seeds that are deeper inside than they are away from doubt.

    How many erosions such a pixel survives depends on what lies beyond.

    Parameters
    ----------
    doubt, mask, seeds
        As for `doubt_components`.
    step : int
        Pixels that an erosion reaches.
    """
    parts = components(mask)
    split = np.ones(int(parts.max()) + 1, bool)
    if seeds is not None:
        split[parts[seeds > 0]] = False
    split[0] = False
    large = split[parts]
    if not doubt.any() or not large.any():
        return doubt
    deep = cv2.distanceTransform(large.view(np.uint8), cv2.DIST_L1, 3)
    away = cv2.distanceTransform((~doubt).view(np.uint8), cv2.DIST_L1, 3)
    return doubt | (large & (deep + step >= away))


@dataclass(frozen=True, eq=False)
class Objects:
    """Cells of a window, one value a label from 1 on.

    Parameters
    ----------
    key : (n,) int64
        Place of the first pixel in reading order in the whole frame, ``y * width + x``: the same whatever the window,
        and no two cells have the same.
    area, sum_x, sum_y, nucleus_area : (n,) int64
        Pixels, sums of their coordinates in the frame, pixels of nuclei among them.
    mark : (n,) uint64
        Hash of the pixels and of which of them are nuclei: two windows that see a cell alike have the same.
    """

    key: np.ndarray
    area: np.ndarray
    sum_x: np.ndarray
    sum_y: np.ndarray
    nucleus_area: np.ndarray
    mark: np.ndarray


def measure_objects(labels: np.ndarray, nuclei: np.ndarray | None, window: Window) -> Objects:
    """Measure the cells of a window in coordinates of the frame.

    Parameters
    ----------
    labels : (h, w) int32
        Cells 1 to n.
    nuclei : (h, w) int32 or None
        Nuclei.
    window : Window
        Where they lie.

    Examples
    --------
    >>> window = Window((0, 0, 1, 3), (0, 0, 1, 3), (1, 3))
    >>> found = measure_objects(np.array([[0, 1, 1]], np.int32), None, window)
    >>> found.key.tolist(), found.area.tolist(), found.sum_x.tolist()
    ([1], [2], [3])
    """
    n = int(labels.max(initial=0)) + 1
    numbers = np.zeros((n, 5), np.int64)
    numbers[:, 0] = np.iinfo(np.int64).max
    mark = np.zeros(n, np.uint64)
    inner = np.zeros((1, 1), np.int32) if nuclei is None else nuclei
    _measure(frozen(labels), frozen(inner), window.box[0], window.box[1], window.shape[1], numbers, mark)
    key, area, sum_x, sum_y, nucleus_area = (np.ascontiguousarray(column) for column in numbers[1:].T)
    return Objects(key, area, sum_x, sum_y, nucleus_area, mark[1:])


@njit(cache=True, nogil=True)
def _measure(
    labels: np.ndarray, nuclei: np.ndarray, top: int, left: int, width: int, numbers: np.ndarray, mark: np.ndarray
) -> None:
    known = nuclei.shape == labels.shape
    for r in range(labels.shape[0]):
        for c in range(labels.shape[1]):
            label = labels[r, c]
            if label == 0:
                continue
            y, x = r + top, c + left
            place = np.int64(y) * width + x
            row = numbers[label]
            row[0] = min(row[0], place)
            row[1] += 1
            row[2] += x
            row[3] += y
            inner = known and nuclei[r, c] > 0
            row[4] += inner
            mixed = (np.uint64(2 * place) + np.uint64(inner)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            mark[label] += mixed * np.uint64(0xBF58476D1CE4E5B9)


def one_thread() -> None:
    """Let a tile use the thread that it runs in alone: tiles run side by side, and theirs would wait for each other."""
    cv2.setNumThreads(1)
    work_alone()


@contextlib.contextmanager
def threads_kept() -> Iterator[None]:
    """Give OpenCV its threads back at the end: their number is one for the whole process, and `one_thread` sets it."""
    before = cv2.getNumThreads()
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def warm() -> None:
    """Compile the kernels of this module."""
    window = Window((0, 0, 1, 1), (0, 0, 1, 1), (1, 1))
    one = np.ones((1, 1), np.int32)
    measure_objects(one, one, window)


def spread_over(tiles: list[tuple[Box, int]], n: int) -> frozenset[Box]:
    """Choose tiles that are spread evenly over the half with most records.

    Parameters
    ----------
    tiles : list of (Box, int)
        Cores, and how many records each holds.
    n : int
        How many, at most.

    Examples
    --------
    >>> sorted(spread_over([((0, x, 8, x + 8), x % 16) for x in range(0, 64, 8)], 2))
    [(0, 8, 8, 16), (0, 56, 8, 64)]
    """
    rich = sorted(tiles, key=lambda tile: -tile[1])[: max(len(tiles) // 2, 1)]
    cores = sorted(core for core, _ in rich)
    at = np.linspace(0, len(cores) - 1, min(n, len(cores))).astype(int)
    return frozenset(cores[i] for i in at)
