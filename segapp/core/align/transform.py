"""Where the frame lies in the stain: the alignment as numbers, and arrays moved by it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from segapp.core._bands import by_bands
from segapp.core.align._sample import sample_linear, sample_nearest
from segapp.core.checks import check_image, frozen
from segapp.core.types import InputError

Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]
IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))

NODE_STEP, MOST_NODES = 8, 513
"""A thin-plate spline is evaluated every 8 px, at 513 positions a side at most; bilinear between them."""


@dataclass(frozen=True)
class Alignment:
    """How the stain lies under the frame. Made of numbers only: `to_json` and `from_json` lose nothing.

    Parameters
    ----------
    mode : str
        ``"off"``, ``"affine"`` or ``"tps"``.
    shape : (int, int)
        Height and width of the frame in px.
    matrix : ((a, b, c), (d, e, f))
        The stain position (a x + b y + c, d x + e y + f) that belongs to frame position (x, y), in px.
    orientation : str
        The flip or transpose that the search found; it is part of `matrix`.
    points : tuple of (x, y, u, v)
        Control points of a thin-plate spline: frame position (x, y) lies at stain position (u, v). Empty for an
        affine alignment; where there are points, they rule and `matrix` is the affine part that they started from.
    ncc_before, ncc_after : float or None
        Normalised cross-correlation of stain and blurred RNA before and after; None where there is no RNA.
    note : str
        What the user should know, empty where there is nothing to say.
    """

    mode: str
    shape: tuple[int, int]
    matrix: Matrix = IDENTITY
    orientation: str = "keep"
    points: tuple[tuple[float, float, float, float], ...] = ()
    ncc_before: float | None = None
    ncc_after: float | None = None
    note: str = ""

    @property
    def shift(self) -> tuple[float, float]:
        """(dx, dy) in px: how far the stain lay from the transcripts at the centre of the frame.

        With a flip or transpose it is counted after turning the stain about its centre.
        """
        x, y = (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2
        at = self.positions(np.array([[x, y]]))[0]
        return float(at[0] - x), float(at[1] - y)

    @property
    def rotation(self) -> float:
        """Degrees by which the stain was turned, clockwise as displayed; flips and transposes left out."""
        a = self._unflipped
        return float(np.degrees(np.arctan2(a[1, 0] - a[0, 1], a[0, 0] + a[1, 1])))

    @property
    def scale(self) -> float:
        """Side of a frame pixel in stain pixels: the square root of the change of area."""
        return float(np.sqrt(abs(np.linalg.det(np.array(self.matrix)[:, :2]))))

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        return self.matrix == IDENTITY and not self.points

    def positions(self, xy: np.ndarray) -> np.ndarray:
        """Return the stain positions of frame positions.

        Parameters
        ----------
        xy : (N, 2) array
            Frame positions (x, y) in px.

        Returns
        -------
        (N, 2) float64
            Stain positions (x, y) in px.
        """
        xy = np.asarray(xy, np.float64)
        if not self.points:
            matrix = np.array(self.matrix)
            return xy @ matrix[:, :2].T + matrix[:, 2]
        points = np.array(self.points)
        out = np.empty((len(xy), 2))
        for i in range(0, len(xy), 32768):  # bounds the memory of the basis
            out[i : i + 32768] = spline_basis(points[:, :2], xy[i : i + 32768], max(self.shape)) @ points[:, 2:]
        return out

    def to_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values, with shift, rotation and scale for the reader."""
        return asdict(self) | {"shift": self.shift, "rotation": self.rotation, "scale": self.scale}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Alignment:
        """Rebuild the alignment that `to_json` described."""
        kept = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        first, second = (tuple(float(v) for v in row) for row in kept.pop("matrix", IDENTITY))
        points = tuple(tuple(float(v) for v in point) for point in kept.pop("points", ()))
        height, width = kept.pop("shape")
        return cls(matrix=(first, second), points=points, shape=(int(height), int(width)), **kept)  # type: ignore[arg-type]

    @cached_property
    def nodes(self) -> np.ndarray:
        """(2, n_y, n_x) float64: stain x and y at positions spread evenly over the frame, bilinear in between."""
        height, width = self.shape
        n_y, n_x = (min(MOST_NODES, max(2, -(-side // NODE_STEP) + 1)) if self.points else 2 for side in self.shape)
        y, x = np.meshgrid(
            np.linspace(0, max(height - 1, 1), n_y), np.linspace(0, max(width - 1, 1), n_x), indexing="ij"
        )
        at = self.positions(np.stack([x.ravel(), y.ravel()], -1))
        return np.ascontiguousarray(at.T.reshape(2, n_y, n_x))

    @property
    def _unflipped(self) -> np.ndarray:
        return np.array(self.matrix)[:, :2] @ orientation_matrix(self.orientation, self.shape)[:, :2].T


def warp(image: np.ndarray, alignment: Alignment, order: int) -> np.ndarray:
    """Move an array from the stain into the frame.

    Parameters
    ----------
    image : (h, w) array of any integer, bool or float dtype
        Pixels of the stain, or labels or a mask drawn on it.
    alignment : Alignment
        What `align_stain` found.
    order : int
        1 for images (bilinear), 0 for labels and masks (nearest neighbour: no value appears that was not there).

    Returns
    -------
    (H, W) array
        Same dtype, in the shape of the frame; 0 where the stain has no pixel. Integers are rounded.

    Raises
    ------
    InputError
        When `image` is not 2-D, or `order` is neither 0 nor 1.

    Examples
    --------
    >>> import numpy as np
    >>> moved = Alignment("affine", (2, 3), ((1, 0, 1), (0, 1, 0)))  # the stain lies 1 px to the right
    >>> warp(np.array([[0, 7, 9], [0, 5, 5]], np.uint8), moved, 1).tolist()
    [[7, 9, 0], [5, 5, 0]]
    """
    if order not in (0, 1):
        raise InputError(
            f"order={order} is not known; use 1 (bilinear) for images and 0 (nearest) for labels and masks"
        )
    array = np.asarray(image)
    if alignment.is_identity and array.shape == alignment.shape:
        return array.copy()
    check_image(array, "image")
    if order == 0:
        # bytes move, whatever they mean: one compiled kernel a width serves every dtype
        if array.dtype.itemsize > 8:
            return warp(array.astype(np.float64), alignment, 0).astype(array.dtype)
        raw = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
        nearest = np.zeros(alignment.shape, raw.dtype)
        sample_nearest(frozen(raw), alignment.nodes, nearest)
        return nearest.view(array.dtype)
    moved, pixels = np.empty(alignment.shape, array.dtype), frozen(array.astype(np.float32, copy=False))
    nodes, height = alignment.nodes, alignment.shape[0]

    def move(first: int, last: int) -> None:
        linear = np.empty((last - first, alignment.shape[1]), np.float32)
        sample_linear(pixels, 0, len(pixels), nodes, first, height, linear)
        moved[first:last] = linear if array.dtype.kind == "f" else _whole(linear, array.dtype)

    by_bands(move, alignment.shape)
    return moved


def theta_to_matrix(theta: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Convert a 2 x 3 matrix in the units of `torch.nn.functional.affine_grid` to px.

    Parameters
    ----------
    theta : (2, 3) array
        As `affine_grid` takes it with ``align_corners=False``: the image spans -1 to 1 on both axes.
    shape : (int, int)
        Height and width in px, of frame and stain alike.

    Returns
    -------
    (2, 3) float64
        Frame position to stain position in px.

    Examples
    --------
    >>> theta_to_matrix([[1, 0, 0.5], [0, 1, 0]], (100, 200)).tolist()
    [[1.0, 0.0, 50.0], [0.0, 1.0, 0.0]]
    """
    unit = to_unit(shape)
    return (np.linalg.inv(unit) @ np.vstack([np.asarray(theta, np.float64), [0, 0, 1]]) @ unit)[:2]


def matrix_to_theta(matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Convert a 2 x 3 matrix in px to the units of `torch.nn.functional.affine_grid`; see `theta_to_matrix`."""
    unit = to_unit(shape)
    return (unit @ np.vstack([np.asarray(matrix, np.float64), [0, 0, 1]]) @ np.linalg.inv(unit))[:2]


def to_unit(shape: tuple[int, ...]) -> np.ndarray:
    """Return the 3 x 3 matrix from px to the units of `affine_grid`: the image spans -1 to 1 on both axes."""
    height, width = shape
    return np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])


def orientation_matrix(orientation: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the 2 x 3 matrix that turns a stain about its centre, as `segapp.core.frame.orient` does.

    Parameters
    ----------
    orientation : str
        One of the eight names.
    shape : (int, int)
        Height and width of the frame in px.

    Returns
    -------
    (2, 3) float64
        Frame position to stain position; centre to centre.
    """
    from segapp.core.frame import ORIENTATIONS

    swap, flip_y, flip_x = ORIENTATIONS[orientation]
    turn = np.diag([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0])
    turn = turn[::-1] if swap else turn
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return np.column_stack([turn, centre - turn @ centre])


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return the 2 x 3 matrix of `inner` followed by `outer`."""
    return (np.vstack([outer, [0, 0, 1]]) @ np.vstack([inner, [0, 0, 1]]))[:2]


def rescale(matrix: np.ndarray, factor: float) -> np.ndarray:
    """Return the same transform for images that are `factor` times as large."""
    scale = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
    return (scale @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(scale))[:2]


def rescaled(alignment: Alignment, factor: float, shape: tuple[int, int]) -> Alignment:
    """Return an alignment for images that are `factor` times as large, in a frame of the given shape.

    Examples
    --------
    >>> small = Alignment("affine", (10, 10), ((1, 0, 1), (0, 1, 0)))
    >>> rescaled(small, 4, (40, 40)).shift
    (4.0, 0.0)
    """
    points = tuple(tuple((value + 0.5) * factor - 0.5 for value in point) for point in alignment.points)
    matrix = as_matrix(rescale(np.array(alignment.matrix), factor))
    return replace(alignment, shape=shape, matrix=matrix, points=points)  # type: ignore[arg-type]


def as_matrix(matrix: np.ndarray) -> Matrix:
    """Return a 2 x 3 array as plain numbers."""
    (a, b, c), (d, e, f) = np.asarray(matrix, np.float64).tolist()
    return (a, b, c), (d, e, f)


def spline_basis(points: np.ndarray, queries: np.ndarray, size: float) -> np.ndarray:
    """Return the matrix that turns values at control points into values of a thin-plate spline at queries.

    Parameters
    ----------
    points : (N, 2) array
        Control points, at least 3, not all on one line.
    queries : (M, 2) array
        Where the spline is wanted.
    size : float
        Extent of the frame; coordinates are divided by it, which keeps the system well conditioned.

    Returns
    -------
    (M, N) float64
        The spline is linear in the values: ``basis @ values``. It passes through them, is exact for affine maps, and
        bends least in between.

    Notes
    -----
    Kernels sit at fixed frame positions, so one solve serves every step of an optimisation.

    References
    ----------
    Bookstein, "Principal warps: thin-plate splines and the decomposition of deformations", IEEE Transactions on
    Pattern Analysis and Machine Intelligence 11:567-585, 1989.
    """
    points, queries = np.asarray(points, np.float64) / size, np.asarray(queries, np.float64) / size
    n = len(points)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _bending(points, points)
    system[:n, n:] = np.column_stack([np.ones(n), points])
    system[n:, :n] = system[:n, n:].T
    inverse = np.linalg.solve(system, np.eye(n + 3, n))
    return np.hstack([_bending(queries, points), np.ones((len(queries), 1)), queries]) @ inverse


def warm() -> None:
    """Compile the kernels of this module."""
    moved = Alignment("affine", (2, 2), ((1.0, 0.0, 0.5), (0.0, 1.0, 0.0)))
    for dtype in (np.uint8, np.uint16, np.int32, np.uint64):
        warp(np.ones((2, 2), dtype), moved, 0)
    warp(np.ones((2, 2), np.float32), moved, 1)


def _whole(linear: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.itemsize >= 4:
        # the largest integers have no neighbour among floats that is not above them
        highest = np.iinfo(dtype).max
        np.minimum(linear, np.nextafter(np.float32(highest), np.float32(0)), out=linear)
    return np.rint(linear, out=linear).astype(dtype)


def _bending(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1)
    return 0.5 * squared * np.log(np.where(squared > 0, squared, 1.0))
