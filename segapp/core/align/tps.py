"""Non-rigid alignment: a mesh of control points under a thin-plate spline, moved by NCC and by landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segapp.core.align.affine import (
    COARSE,
    FINE,
    NEAR_FACTOR,
    NEAR_SIDE,
    Pair,
    climb,
    independent_pixels,
    sampled_ncc,
    tensor,
)
from segapp.core.align.ncc import overlap_ncc
from segapp.core.align.progress import Progress
from segapp.core.align.search import covered_by, features
from segapp.core.align.transform import Alignment, as_matrix, spline_basis, warp
from segapp.core.device import device
from segapp.core.types import InputError, Tick

Points = tuple[tuple[float, float, float, float], ...]

PASSES = ((192, 32, 4.5), (144, 10, 4.0), (112, 6, 4.0))
"""Windows are matched one by one: their side in px of the input, how far each may move, and how many standard
deviations of chance a match must stand out."""
REACH = 32
"""Windows are compared over moves of this many px in any case: chance is judged by all of them."""
COVERED = 0.7
"""Share of a window that the stain must cover."""
GAP = 60
"""A part of the stain that is exactly 0 over more px than this is not there."""
MESH = 160.0
"""Distance of control points in px where the frame does not call for another: ten nuclei across."""
BEND = 8.0
"""Standard deviation in px of the bends that are expected, so that control points fade to the affine map where no
nuclei tell; neighbours of the mesh are expected to move alike."""
ALIKE = 1.25
"""Over how many mesh sizes control points move alike: the finer mesh follows a bend, the prior keeps it smooth."""
MATCH = 3.0
"""Error in px of a matched window that stands out by one standard deviation of chance."""
_CLOSEST = 0.01
"""Distance in px below which two landmarks are one: a spline through both would be infinitely steep."""
COARSE_NODES = 65
"""Positions a side at which the spline is evaluated in each step; bilinear between them."""


@dataclass(frozen=True)
class Prior:
    """What is expected of the offsets of control points before the images are seen.

    Parameters
    ----------
    mean : (N, 2) array
        Offsets from the affine map in px.
    stiffness : (N, N) array
        Inverse covariance of either coordinate, in 1 / px^2.
    """

    mean: np.ndarray
    stiffness: np.ndarray


def auto_mesh(shape: tuple[int, int]) -> float:
    """Return the distance of control points in px that suits a frame.

    It is `MESH`, or what makes 6 to 12 of them along the shorter side; more in a long strip.

    Examples
    --------
    >>> auto_mesh((480, 900)), auto_mesh((1200, 1200)), auto_mesh((3000, 4800))
    (80.0, 160.0, 250.0)
    """
    side = min(shape)
    mesh = max(float(np.clip(MESH, side / 12, side / 6)), 1.0)
    while np.prod(_counts(shape, mesh)) > 600 and mesh < side:  # a long strip
        mesh = min(1.5 * mesh, float(side))
    return mesh


def mesh_points(shape: tuple[int, int], meshsize: float) -> np.ndarray:
    """Return the control points of a mesh over the frame.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the frame in px.
    meshsize : float
        Largest distance between neighbours in px.

    Returns
    -------
    (N, 2) float64
        Positions (x, y), corners included.

    Raises
    ------
    InputError
        When the frame is one row or column, the mesh is larger than the shorter side, or has more than 1,600 points.

    Examples
    --------
    >>> mesh_points((101, 201), 100)[[0, -1]].tolist()
    [[0.0, 0.0], [200.0, 100.0]]
    """
    height, width = shape
    if min(shape) < 2:
        raise InputError(f"a frame of {height} x {width} px is too thin to bend; set align.mode=affine")
    if meshsize > min(shape):
        raise InputError(
            f"meshsize={meshsize:g} px is larger than the shorter side of the image ({min(shape)} px); "
            "lower it, or set align.mode=affine"
        )
    n_y, n_x = _counts(shape, meshsize)
    if n_y * n_x > 1600:
        least = int(np.ceil(np.sqrt(height * width / 1400)))
        raise InputError(
            f"meshsize={meshsize:g} px gives {n_y * n_x:,} control points on {height} x {width} px; "
            f"use at least {least}"
        )
    y, x = np.meshgrid(np.linspace(0, height - 1, n_y), np.linspace(0, width - 1, n_x), indexing="ij")
    return np.stack([x.ravel(), y.ravel()], -1)


def landmark_affine(landmarks: Points) -> np.ndarray | None:
    """Return the affine map, frame to stain, that fits landmarks best; None for fewer than 3 or all on a line.

    Parameters
    ----------
    landmarks : tuple of (x_from, y_from, x_to, y_to)
        The stain position (x_from, y_from) belongs at the frame position (x_to, y_to).

    Returns
    -------
    (2, 3) float64 or None
    """
    if len(landmarks) < 3:
        return None
    marks = np.array(landmarks, np.float64)
    middle = marks[:, 2:].mean(0)
    at = marks[:, 2:] - middle
    spread = np.linalg.svd(at, compute_uv=False)
    if spread[1] < 0.05 * spread[0]:
        return None
    fit, *_ = np.linalg.lstsq(np.column_stack([at, np.ones(len(at))]), marks[:, :2], rcond=None)
    linear = fit[:2].T
    return np.column_stack([linear, fit[2] - linear @ middle])


def align_tps(
    fixed: np.ndarray,
    moving: np.ndarray,
    matrix: np.ndarray,
    *,
    meshsize: float,
    landmarks: Points,
    n_epochs: int,
    tick: Tick,
) -> Points:
    """Find the control points under which stain and blurred RNA have the highest NCC.

    Windows over the frame are matched one by one first, which sees moves of up to 32 px; a spline through the matches,
    weighted by how clear they are, is then polished by the gradient of the NCC of the whole image.

    Parameters
    ----------
    fixed : (H, W) float32
        Blurred counts in the frame.
    moving : (h, w) float32
        Stain.
    matrix : (2, 3) array
        Affine start, frame position to stain position in px.
    meshsize : float
        Distance of control points in px.
    landmarks : tuple of (x_from, y_from, x_to, y_to)
        Pairs that the result obeys exactly: stain position, frame position.
    n_epochs : int
        Largest number of gradient steps.
    tick : Tick
        Progress.

    Returns
    -------
    tuple of (x, y, u, v)
        Frame positions and their stain positions; the landmarks come last.

    Raises
    ------
    InputError
        When the mesh does not fit the image, or two landmarks share a frame position.
    """
    shape = (fixed.shape[0], fixed.shape[1])
    mesh = mesh_points(shape, meshsize)
    marks = np.array(landmarks, np.float64).reshape(-1, 4)
    apart = np.linalg.norm(marks[:, None, 2:] - marks[None, :, 2:], axis=-1)
    if (apart[np.triu_indices(len(marks), 1)] < _CLOSEST).any():
        raise InputError("two landmarks end at the same place; remove one of them")
    if len(marks):
        # a mesh point beside a landmark would fight it
        gap = np.linalg.norm(mesh[:, None] - marks[None, :, 2:], axis=-1).min(1)
        mesh = mesh[gap > meshsize / 4]
    points = np.vstack([mesh, marks[:, 2:]])
    free = len(mesh)
    affine = Alignment("affine", shape, as_matrix(matrix))
    offsets = np.zeros_like(points)
    offsets[free:] = marks[:, :2] - affine.positions(marks[:, 2:])
    pair = Pair(fixed, moving).shrunk(NEAR_SIDE, NEAR_FACTOR)
    covered = covered_by(pair.moving, max(1, int(GAP / pair.factor)))
    pair = Pair(
        features(pair.fixed, 0.5 / pair.factor, COARSE / pair.factor),
        features(pair.moving, FINE / pair.factor, COARSE / pair.factor, covered),
        pair.factor,
    )
    size = float(max(shape))
    if len(marks):
        offsets[:free] = _Guess(offsets[free:], points[free:])(mesh)
    prior = Prior(offsets[:free].copy(), _stiffness(mesh, ALIKE * meshsize))
    progress = Progress(tick)
    match, polish = progress.part(0, 0.4), progress.part(0.4, 1)
    for step, (window, reach, least) in enumerate(PASSES):
        match(step, len(PASSES))
        bent = _bent(affine, points, offsets)
        at, moves, trust = _match_windows(pair, covered, bent, window, reach, least)
        if len(at):
            basis = spline_basis(points, at, size)[:, :free]
            offsets[:free] = _solve(basis, basis @ offsets[:free] + moves, trust, prior)
    if n_epochs and free:
        offsets[:free] = _polish(pair, affine, points, offsets, prior, n_epochs, polish)
    return _bent(affine, points, offsets).points


def _counts(shape: tuple[int, int], meshsize: float) -> tuple[int, int]:
    height, width = shape
    return int(np.ceil(height / meshsize)) + 1, int(np.ceil(width / meshsize)) + 1


def folds(alignment: Alignment) -> bool:
    """Return whether the spline turns over itself anywhere, so that a piece of stain would appear twice."""
    grid = alignment.nodes
    along_x, along_y = np.diff(grid, axis=2)[:, :-1], np.diff(grid, axis=1)[:, :, :-1]
    area = along_x[0] * along_y[1] - along_x[1] * along_y[0]
    return bool((area > 0).any() and (area < 0).any()) or bool((area == 0).any())


class _Guess:
    """Offsets anywhere from those of the landmarks: a spline through them, or their mean where they are few."""

    def __init__(self, offsets: np.ndarray, points: np.ndarray) -> None:
        self.offsets, self.points = offsets, points
        spread = np.linalg.svd(points - points.mean(0), compute_uv=False) if len(points) >= 3 else np.zeros(2)
        self.bends = spread[1] > 0.05 * spread[0]

    def __call__(self, at: np.ndarray) -> np.ndarray:
        if self.bends:
            return spline_basis(self.points, at, float(np.ptp(self.points, axis=0).max())) @ self.offsets
        mean = self.offsets.mean(0) if len(self.offsets) else np.zeros(2)
        return np.broadcast_to(mean, (len(at), 2)).copy()


def _bent(affine: Alignment, points: np.ndarray, offsets: np.ndarray) -> Alignment:
    stain = affine.positions(points) + offsets
    pairs = tuple((float(x), float(y), float(u), float(v)) for (x, y), (u, v) in zip(points, stain, strict=True))
    return Alignment("tps", affine.shape, affine.matrix, points=pairs)


def _shrunk(bent: Alignment, pair: Pair) -> Alignment:
    points = tuple(tuple((v + 0.5) / pair.factor - 0.5 for v in point) for point in bent.points)
    return Alignment("tps", (pair.fixed.shape[0], pair.fixed.shape[1]), points=points)  # type: ignore[arg-type]


def _match_windows(
    pair: Pair, covered: np.ndarray, bent: Alignment, window: float, reach: float, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match windows of the frame with the moved stain: centres, what is still missing in the stain (px), and trust."""
    none = np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0)
    height, width = pair.fixed.shape
    side, far = int(min(window / pair.factor, height // 2, width // 2)), int(REACH / pair.factor)
    if side < 16 or far < 2:
        return none
    moved, seen = (warp(image, _shrunk(bent, pair), 1) for image in (pair.moving, covered.astype(np.float32)))
    linear = np.array(bent.matrix)[:, :2]
    padded = cv2.copyMakeBorder(moved, far, far, far, far, cv2.BORDER_CONSTANT, value=0)
    centres, moves, trust = [], [], []
    for row in np.linspace(0, height - side, max(2, round(2 * height / side))).astype(int):
        for column in np.linspace(0, width - side, max(2, round(2 * width / side))).astype(int):
            part = pair.fixed[row : row + side, column : column + side]
            area = padded[row : row + side + 2 * far, column : column + side + 2 * far]
            share = seen[row : row + side, column : column + side].mean()
            if share < COVERED or part.std() < 1e-3 or area.std() < 1e-3:
                continue
            clear, peak = _peak(cv2.matchTemplate(area, part, cv2.TM_CCOEFF_NORMED))
            if clear > least and np.abs(peak - far).max() * pair.factor <= reach:
                centres.append(np.array([column, row]) + (side - 1) / 2)
                moves.append(linear @ (peak - far))
                trust.append(clear)
    if not centres:
        return none
    return (np.array(centres) + 0.5) * pair.factor - 0.5, np.array(moves) * pair.factor, np.array(trust)


def _peak(surface: np.ndarray) -> tuple[float, np.ndarray]:
    """Return how far the peak stands out (standard deviations) and where it is (x, y), between pixels."""
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    spread = float(surface.std())
    clear = float(surface[row, column] - np.median(surface)) / spread if spread > 0 else 0.0
    at = np.array([column, row], np.float64)
    if not (0 < row < surface.shape[0] - 1 and 0 < column < surface.shape[1] - 1):
        return 0.0, at  # the true peak may lie outside
    for axis, line in enumerate((surface[row, column - 1 : column + 2], surface[row - 1 : row + 2, column])):
        bend = float(line[0] - 2 * line[1] + line[2])
        at[axis] += 0.5 * float(line[0] - line[2]) / bend if bend < 0 else 0.0
    return clear, at


def _stiffness(mesh: np.ndarray, length: float) -> np.ndarray:
    """Return the inverse covariance of the moves of control points, in 1 / px^2: smooth, and `BEND` px large."""
    squared = ((mesh[:, None] - mesh[None]) ** 2).sum(-1)
    alike = np.exp(-squared / (2 * length**2))
    return np.linalg.inv(BEND**2 * (alike + 1e-3 * np.eye(len(mesh))))


def _solve(basis: np.ndarray, wanted: np.ndarray, trust: np.ndarray, prior: Prior) -> np.ndarray:
    """Fit offsets of control points to matched windows; a window that disagrees with its neighbours counts less."""
    sure = (trust / MATCH) ** 2
    weight = sure
    found = prior.mean
    for _ in range(10):
        normal = basis.T @ (weight[:, None] * basis) + prior.stiffness
        pull = basis.T @ (weight[:, None] * (wanted - basis @ prior.mean))
        found = prior.mean + np.linalg.solve(normal, pull)
        miss = np.linalg.norm(basis @ found - wanted, axis=1)
        weight = sure / (1 + (miss / max(1.0, 1.5 * float(np.median(miss)))) ** 2)
    return found


def _polish(
    pair: Pair, affine: Alignment, points: np.ndarray, offsets: np.ndarray, prior: Prior, n_epochs: int, tick: Tick
) -> np.ndarray:
    import torch
    from torch.nn.functional import interpolate

    free = len(prior.mean)
    height, width = pair.fixed.shape
    n_y, n_x = min(COARSE_NODES, height), min(COARSE_NODES, width)
    y, x = np.meshgrid(np.linspace(0, height - 1, n_y), np.linspace(0, width - 1, n_x), indexing="ij")
    frame = (np.stack([x.ravel(), y.ravel()], -1) + 0.5) * pair.factor - 0.5
    basis = spline_basis(points, frame, float(max(affine.shape)))
    still = affine.positions(frame) + basis @ np.vstack([np.zeros((free, 2)), offsets[free:]])
    where = device()
    fixed, moving = tensor(pair.fixed).to(where), tensor(pair.moving).to(where)
    sides = np.array([pair.moving.shape[1], pair.moving.shape[0]]) * pair.factor
    base, part, size, mean, stiffness = (
        torch.tensor(numbers, device=where) for numbers in (still, basis[:, :free], sides, prior.mean, prior.stiffness)
    )
    # the likelihood of a correlation rests on its independent pixels; this turns the prior into its currency
    rho, _ = overlap_ncc(pair.fixed, pair.moving, _shrunk(_bent(affine, points, offsets), pair))
    rho = float(np.clip(rho, 0.05, 0.95))
    price = (1 - rho**2) / (2 * rho * independent_pixels(pair.fixed, pair.moving))

    def value(numbers: torch.Tensor) -> torch.Tensor:
        moves = numbers.reshape(free, 2).to(where)
        at = (2 * (base + part @ moves) + 1) / size - 1
        coarse = at.T.reshape(1, 2, n_y, n_x).float()
        grid = interpolate(coarse, (height, width), mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
        return sampled_ncc(fixed, moving, grid) - price * ((moves - mean) * (stiffness @ (moves - mean))).sum()

    return climb(value, offsets[:free].ravel(), n_epochs, tick).reshape(free, 2)
