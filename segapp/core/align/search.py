"""Find a stain that lies far off: every shift at once by Fourier transform, for a few angles and scales."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from segapp.core._bands import side_by_side
from segapp.core.align.transform import compose
from segapp.core.types import Tick

REACH = 0.3
"""Largest shift looked for, as a share of the side: 25 % and a margin."""
ANGLES = (0.0, -2.0, 2.0, -4.0, 4.0, -6.0, 6.0, -8.0, 8.0, -10.0, 10.0, -12.0, 12.0)
SCALES = (0.94, 0.97, 1.0, 1.03, 1.06)
SURE = 9.0
"""Height of a correlation peak, in standard deviations of the surface, that chance does not reach."""

THREADS = 2
"""Angles and scales looked at side by side."""
BROAD = 8.0
"""From this standard deviation in px on, a Gaussian is taken on blocks of pixels: it has no finer detail to lose."""


@dataclass(frozen=True)
class Found:
    """A candidate of the search: frame position to stain position, and how far its peak stands out."""

    matrix: np.ndarray
    score: float


def features(image: np.ndarray, fine: float, coarse: float, covered: np.ndarray | None = None) -> np.ndarray:
    """Keep the structure between two scales, so that uneven light and lone bright pixels do not count.

    Parameters
    ----------
    image : (H, W) float32
        Stain or blurred counts.
    fine, coarse : float
        Standard deviations in px of the two Gaussians whose difference is taken.
    covered : (H, W) bool, optional
        Pixels that the image has; the rest does not count and becomes 0. All by default.

    Returns
    -------
    (H, W) float32
        Mean 0, standard deviation near 1, clipped at 4.
    """
    if covered is None or covered.all():
        small = cv2.GaussianBlur(image, (0, 0), fine) if fine > 0 else image
        band = small - _broad(image, coarse)
    else:
        # Gaussian means over the covered pixels alone: the edge of a stain is not structure
        weight = covered.astype(np.float32)
        small, large = (
            cv2.GaussianBlur(image * weight, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
            for sigma in (fine, coarse)
        )
        band = (small - large) * weight
    spread = float(band.std())
    if spread == 0:
        return np.zeros_like(band)
    return np.clip(band / spread, -4, 4).astype(np.float32)


def covered_by(image: np.ndarray, gap: int) -> np.ndarray:
    """Return which pixels a stain has: all but the parts wider than `gap` px where it is exactly 0.

    Parameters
    ----------
    image : (H, W) float32
        Stain, 0 where there is none.
    gap : int
        Widest space between nuclei in px that counts as covered even if it is 0.

    Returns
    -------
    (H, W) bool

    Examples
    --------
    >>> covered_by(np.array([[3, 0, 5, 0, 0, 0, 0, 0]], np.float32), 3).astype(int).tolist()
    [[1, 1, 1, 0, 0, 0, 0, 0]]
    """
    square = np.ones((gap | 1, gap | 1), np.uint8)
    # a border of 0 keeps the closing from filling a gap that the frame cuts through
    padded = cv2.copyMakeBorder((image != 0).astype(np.uint8), gap, gap, gap, gap, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, square)
    height, width = image.shape
    return closed[gap : gap + height, gap : gap + width] > 0


class Surface:
    """Correlation of one frame image with a stain under any angle and scale, over all shifts."""

    def __init__(self, fixed: np.ndarray, moving: np.ndarray) -> None:
        from scipy import fft  # late: the program starts sooner

        self.shape = fixed.shape
        self.moving = moving
        self._padded = tuple(fft.next_fast_len(int(side * (1 + REACH)) + 1, real=True) for side in fixed.shape)
        self._fixed = np.conj(fft.rfft2(fixed, self._padded))
        reach_y, reach_x = (max(1, int(REACH * side)) for side in fixed.shape)
        # shifts of the padded circle: 0 ... reach, then -reach ... -1
        self._dy, self._dx = _shifts(reach_y), _shifts(reach_x)
        overlap = np.outer(self.shape[0] - np.abs(self._dy), self.shape[1] - np.abs(self._dx))
        self._weight = (1 / np.sqrt(np.maximum(overlap, 1))).astype(np.float32)

    def best(self, turn: np.ndarray) -> Found:
        """Return the best shift for a stain moved by the 2 x 3 matrix `turn`."""
        from scipy import fft  # late: the program starts sooner

        height, width = self.shape
        moved = cv2.warpAffine(self.moving, turn, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        # both axes by themselves: rows of padding and shifts out of reach are not transformed along x
        rows, columns = self._padded
        product = fft.fft(fft.rfft(moved, columns, axis=1), rows, axis=0, overwrite_x=True)
        product *= self._fixed
        near = fft.ifft(product, axis=0, norm="forward", overwrite_x=True)[self._dy]
        surface = fft.irfft(near, columns, axis=1, norm="forward")[:, self._dx] * self._weight
        spread = float(surface.std())
        at = np.unravel_index(int(surface.argmax()), surface.shape)
        shift = np.array([[1.0, 0.0, self._dx[at[1]]], [0.0, 1.0, self._dy[at[0]]]])
        score = float(surface[at] - surface.mean()) / spread if spread > 0 else 0.0
        return Found(compose(turn, shift), score)


def turn_matrix(angle: float, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """Return the 2 x 3 matrix of a turn by `angle` degrees and a `scale` about the centre of the frame."""
    c, s = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    turn = np.array([[c, -s], [s, c]])
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return np.column_stack([turn, centre - turn @ centre])


def search(fixed: np.ndarray, moving: np.ndarray, base: np.ndarray, angles: tuple[float, ...], tick: Tick) -> Found:
    """Find shift, angle and scale of a stain.

    Parameters
    ----------
    fixed, moving : (H, W) and (h, w) float32
        Features of frame and stain, of mean 0.
    base : (2, 3) array
        Orientation, or any start, that angle and scale are added to.
    angles : tuple of float
        Degrees to look at, until one is sure; neighbours of the best are looked at in any case.
    tick : Tick
        Called once a row of the grid.

    Returns
    -------
    Found
        The best candidate; its score says whether chance could have made it.
    """
    surface = Surface(fixed, moving)
    seen: dict[tuple[float, float], Found] = {}

    def look(*places: tuple[float, float]) -> list[Found]:
        keys = [(round(angle, 3), round(scale, 4)) for angle, scale in places]
        new = list(dict.fromkeys(key for key in keys if key not in seen))
        turns = [compose(base, turn_matrix(*key, surface.shape)) for key in new]
        found = side_by_side([partial(surface.best, turn) for turn in turns])
        seen.update(zip(new, found, strict=True))
        return [seen[key] for key in keys]

    def best(places: list[tuple[float, float]]) -> tuple[float, float]:
        return max(zip(look(*places), places, strict=True), key=lambda pair: pair[0].score)[1]

    at = (0.0, 1.0)
    for i, angle in enumerate(angles):
        if look(at)[0].score >= SURE:
            break
        tick(i, len(angles))
        at = best([at, *((angle, scale) for scale in SCALES)])
    # climb to the best angle and scale with ever smaller steps
    for step in (2.0, 1.0, 0.5):
        before = None
        while at != before:
            before = at
            around = [(at[0] + a, at[1] + 0.0125 * b) for a, b in ((step, 0), (-step, 0), (0, step), (0, -step))]
            at = best([at, *(there for there in around if abs(there[0]) <= 15 and 0.85 <= there[1] <= 1.15)])
    return look(at)[0]


def _broad(image: np.ndarray, sigma: float) -> np.ndarray:
    block = int(sigma // (BROAD / 2))
    height, width = image.shape
    if sigma < BROAD or min(height, width) < 4 * block:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    small = cv2.resize(image, (-(-width // block), -(-height // block)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / block)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _shifts(reach: int) -> np.ndarray:
    return np.r_[0 : reach + 1, -reach:0]
