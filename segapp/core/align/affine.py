"""Affine alignment: far off by correlation, near by the ECC algorithm, the rest by gradients of the true NCC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from segapp.core._bands import side_by_side
from segapp.core.align._ecc import Ecc
from segapp.core.align.ncc import Judge, overlap_ncc
from segapp.core.align.progress import Progress
from segapp.core.align.search import ANGLES, SURE, Found, features, search
from segapp.core.align.transform import Alignment, as_matrix, compose, orientation_matrix, rescale, to_unit
from segapp.core.types import Tick

if TYPE_CHECKING:
    import torch

SEARCH_SIDE, SEARCH_FACTOR = 256, 4
"""The search shrinks images towards this side, by this factor at most: nuclei must stay visible."""
NEAR_SIDE, NEAR_FACTOR = 512, 2
"""The gradient steps do the same; a nucleus stays several px wide, so nothing is lost."""
LARGEST_SIDE = 3072
"""Larger images are shrunk to this side whatever becomes of nuclei, to bound time and memory."""
CHANCE = 6.0
"""A peak of the search below this height may be chance: it is not followed."""
NEARLY = 4.0
"""A turn or scale that moves the rim by less than this many px may be no turn at all."""
MIN_OVERLAP = 0.3
"""Share of the frame that the stain must still cover, compared with the start."""
FINE, COARSE = 2.0, 20.0
"""Band in px of the input that the near steps compare. Blurring the stain by `FINE` first matters: bilinear sampling
smooths its noise between pixels only, and NCC would drift to half pixels for it."""
CHI2 = 13.8
"""Two more free numbers must improve the fit beyond what chance does once in a thousand (chi-squared, 2 degrees)."""
FARTHEST = 1e3
"""A step of more px than this has lost its way."""
STIFFNESS = 50.0
"""About 1 over the curvature of NCC with displacement in px, so that the first step has the right length."""
GAINED = 1e-6
"""The ECC algorithm ends when a step adds less than this to the correlation."""
SAME = 1e-3
"""The ECC algorithm that comes back to a correlation this near its start was at the maximum already."""
GAIN = 1e-6
"""A candidate must be better than the start by this much NCC: less is rounding."""


@dataclass(frozen=True)
class Pair:
    """Frame image and stain at one resolution.

    Parameters
    ----------
    fixed, moving : float32 arrays
        Blurred counts and stain.
    factor : float
        Side of their pixels in px of the input.
    """

    fixed: np.ndarray
    moving: np.ndarray
    factor: float = 1.0

    @cached_property
    def ecc(self) -> Ecc:
        """The ECC algorithm on this pair."""
        return Ecc(self.fixed, self.moving)

    def shrunk(self, side: int, most: int) -> Pair:
        """Return the pair with whole blocks of pixels averaged, so that it comes near `side`, by `most` at most."""
        longest = max(self.fixed.shape)
        factor = max(1, min(most, longest // side), -(-longest // LARGEST_SIDE))
        return self.blocks(min(factor, *self.fixed.shape, *self.moving.shape))

    def blocks(self, factor: int) -> Pair:
        """Return the pair with blocks of `factor` x `factor` pixels averaged; a ragged edge is left out."""
        factor = min(factor, *self.fixed.shape, *self.moving.shape)
        if factor <= 1:
            return self
        return Pair(_shrink(self.fixed, factor), _shrink(self.moving, factor), self.factor * factor)


def align_affine(
    fixed: np.ndarray,
    moving: np.ndarray,
    *,
    n_epochs: int,
    orientations: tuple[str, ...],
    start: np.ndarray | None,
    tick: Tick,
    judge: Judge | None = None,
) -> tuple[np.ndarray, str, str]:
    """Find the affine transform under which stain and blurred RNA have the highest NCC.

    Parameters
    ----------
    fixed : (H, W) float32
        Blurred counts in the frame.
    moving : (h, w) float32
        Stain.
    n_epochs : int
        Largest number of gradient steps at the end; 0 leaves them out. They stop when they no longer help.
    orientations : tuple of str
        Flips and transposes to try; the first is the one that is given.
    start : (2, 3) array or None
        Frame position to stain position in px, taken as near: no search is made. None searches.
    tick : Tick
        Progress.
    judge : Judge, optional
        Of the same two images, so that what the caller asks for too is computed once.

    Returns
    -------
    matrix : (2, 3) float64
        Frame position to stain position in px; the start where nothing better was found.
    orientation : str
        Which of `orientations` it holds.
    note : str
        What the user should know.

    References
    ----------
    Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization", IEEE
    Transactions on Pattern Analysis and Machine Intelligence 30:1858-1865, 2008.
    """
    full, progress = Pair(fixed, moving), Progress(tick)
    given = np.eye(2, 3) if start is None else np.asarray(start, np.float64)
    best, orientation, note = given, orientations[0], ""
    judge = judge or Judge(fixed, moving)
    before, cover = judge(given)
    if start is None:
        found, turned = _search(full, orientations, progress)
        if found.score >= CHANCE:
            best, orientation = found.matrix, turned
        else:
            note = "no clear match of stain and RNA far from the start; only small moves were tried"
    near = full.shrunk(NEAR_SIDE, NEAR_FACTOR)
    near = _bands(near, 0.5 / near.factor, FINE / near.factor, COARSE / near.factor)
    converged = False
    fit = progress.part(0.6, 0.8)
    for coarse in (2, 1):
        fit(2 - coarse, 2)
        best, converged = _ecc(near.blocks(coarse), best)
    fit(2, 2)
    # gradient steps have nothing to add to a maximum that is found, and torch takes seconds to import
    n_epochs = 0 if converged else n_epochs
    turn = orientation_matrix(orientation, fixed.shape)[:, :2] if start is None else given[:, :2]
    candidates = [*_simplest(near, best, turn, n_epochs, progress), best]
    for matrix in candidates:
        after, covered = judge(matrix)
        if after > before + GAIN and covered >= MIN_OVERLAP * cover:
            return matrix, orientation, note
    return given, orientations[0], note or "nothing better than the start was found, so it is kept"


def climb(value: Callable[[torch.Tensor], torch.Tensor], start: np.ndarray, n_epochs: int, tick: Tick) -> np.ndarray:
    """Maximise a torch function of a few numbers by L-BFGS; return the best numbers met, never worse than the start.

    Parameters
    ----------
    value : callable
        Takes a float64 tensor like `start`, returns a scalar tensor.
    start : array
        Start; one unit of every number should move the image by about one px.
    n_epochs : int
        Largest number of iterations.
    tick : Tick
        Called once an evaluation.

    Returns
    -------
    array like `start`
        Best numbers met.
    """
    import torch
    from scipy.optimize import minimize

    best, met, last = -np.inf, np.array(start, np.float64), np.array(start, np.float64)
    epoch = 0

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best, met
        tick(min(epoch, n_epochs), n_epochs)
        numbers = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        gain = STIFFNESS * value(numbers)
        (slope,) = torch.autograd.grad(gain, numbers)
        if gain.item() > best:
            best, met = gain.item(), at.copy()
        return -gain.item(), -slope.numpy()

    def stop(at: np.ndarray) -> None:
        nonlocal epoch, last
        epoch += 1
        step, last = float(np.abs(at - last).max()), at.copy()
        if not 0.01 <= step < FARTHEST:
            raise StopIteration  # a hundredth of a px is far below what the noise of counts allows to see

    # not torch's own L-BFGS: torch.optim takes seconds to import
    minimize(loss, met, jac=True, method="L-BFGS-B", callback=stop, options={"maxiter": n_epochs, "ftol": 1e-9})
    return met


def sampled_ncc(fixed: torch.Tensor, moving: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Return the NCC of a frame image and a stain sampled at `grid`, over their overlap, as a torch scalar.

    Parameters
    ----------
    fixed, moving : (1, 1, H, W) and (1, 1, h, w) tensors
        Images, `moving` of mean 0.
    grid : (1, H, W, 2) tensor
        Positions for `torch.nn.functional.grid_sample`, ``align_corners=False``.

    Returns
    -------
    scalar tensor
        Differentiable in `grid`.
    """
    import torch

    # a step of the optimiser that overshoots must not take the sampler beyond what integers hold
    grid = grid.nan_to_num(4.0).clamp(-4, 4)
    moved = torch.nn.functional.grid_sample(moving, grid, padding_mode="border", align_corners=False)
    inside = (grid.detach().abs() <= 1).all(-1)[:, None].to(moved.dtype)
    n = inside.sum().clamp(min=1)
    a = (fixed - (fixed * inside).sum() / n) * inside
    b = (moved - (moved * inside).sum() / n) * inside
    return (a * b).sum() / (a.square().sum() * b.square().sum()).clamp(min=1e-6).sqrt()


def tensor(image: np.ndarray) -> torch.Tensor:
    """Return an image as a (1, 1, H, W) float32 tensor of mean 0 and standard deviation 1."""
    import torch

    spread = float(image.std()) or 1.0
    return torch.from_numpy(((image - image.mean()) / spread).astype(np.float32))[None, None]


def _search(full: Pair, orientations: tuple[str, ...], progress: Progress) -> tuple[Found, str]:
    pair = _bands(full.shrunk(SEARCH_SIDE, SEARCH_FACTOR), 0.7, 0.7, 4.0)
    best, orientation = Found(np.eye(2, 3), -np.inf), orientations[0]
    # a glance at each orientation first: the right one is often sure without its grid of angles
    for angles, begin, end in ((ANGLES[:1], 0.0, 0.1), (ANGLES[1:], 0.1, 0.6)):
        for i, name in enumerate(orientations):
            tick = progress.part(*(begin + (end - begin) * part / len(orientations) for part in (i, i + 1)))
            found = search(pair.fixed, pair.moving, orientation_matrix(name, pair.fixed.shape), angles, tick)
            if found.score > best.score:
                best, orientation = found, name
        if best.score >= SURE:
            break
    return Found(rescale(best.matrix, pair.factor), best.score), orientation


def _ecc(pair: Pair, matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    """Move `matrix` to the nearest maximum of the enhanced correlation coefficient; keep it where there is none."""
    if min(pair.fixed.shape) < 16 or min(pair.moving.shape) < 16:
        return matrix, False
    start = rescale(matrix, 1 / pair.factor)
    moved = pair.ecc.climb(start, 6, GAINED)
    if moved is None:
        return matrix, False
    shape = pair.fixed.shape
    was, _ = overlap_ncc(pair.fixed, pair.moving, _plain(start, shape))
    now, cover = overlap_ncc(pair.fixed, pair.moving, _plain(moved, shape))
    if now > was and cover > MIN_OVERLAP:
        return rescale(moved, pair.factor), True
    return matrix, now > was - SAME and cover > MIN_OVERLAP


def _ecc_shift(pair: Pair, matrix: np.ndarray) -> np.ndarray:
    """Shift `matrix` to the nearest maximum of the enhanced correlation coefficient, and turn nothing."""
    moved = pair.ecc.climb(rescale(matrix, 1 / pair.factor), 2, GAINED)
    return matrix if moved is None else rescale(moved, pair.factor)


def _simplest(pair: Pair, matrix: np.ndarray, turn: np.ndarray, n_epochs: int, progress: Progress) -> list[np.ndarray]:
    """Polish a shift, a similarity and an affine map; return them in order of preference.

    Free numbers that the data do not call for only add noise: a stain that is merely shifted is found twice as well
    by a shift. The next model is taken where it improves the fit beyond chance.
    """
    angle_scale = matrix[:, :2] @ turn.T
    even = np.array([[1.0, 0.0], [0.0, 1.0]]) * (angle_scale[0, 0] + angle_scale[1, 1]) / 2
    even = even + np.array([[0.0, -1.0], [1.0, 0.0]]) * (angle_scale[1, 0] - angle_scale[0, 1]) / 2
    shape = pair.fixed.shape
    middle = np.array([shape[1] - 1, shape[0] - 1]) / 2 * pair.factor
    at = matrix[:, :2] @ middle + matrix[:, 2]
    models = []
    rim = np.abs(even - np.eye(2)).sum() * max(shape) / 2 * pair.factor
    starts = [(even @ turn, 4), (matrix[:, :2], 6)]
    if rim < NEARLY:
        starts.insert(0, (turn, 2))
    for i, (linear, free) in enumerate(starts):
        tick = progress.part(*(0.8 + 0.2 * part / len(starts) for part in (i, i + 1)))
        tick(0, 1)
        start = np.column_stack([linear, at - linear @ middle])
        if n_epochs:
            found = _polish(pair, start, free, n_epochs, tick)
        else:
            found = start if free == 6 else _ecc_shift(pair, start)
        value, cover = overlap_ncc(pair.fixed, pair.moving, _plain(rescale(found, 1 / pair.factor), shape))
        models.append((value if cover > MIN_OVERLAP else -1.0, found, free))
    samples = independent_pixels(pair.fixed, pair.moving)
    order = [models[0]]
    for model in models[1:]:
        rho = float(np.clip(model[0], 0.01, 0.99))
        needed = CHI2 * (model[2] - order[0][2]) / 2 * (1 - rho**2) / (2 * rho * samples)
        order.insert(0 if model[0] > order[0][0] + needed else 1, model)
    return [found for _, found, _ in order]


def independent_pixels(a: np.ndarray, b: np.ndarray) -> float:
    """Return how many independent pairs of pixels the correlation of two images of one shape rests on.

    Parameters
    ----------
    a, b : float32 arrays
        Images; the common corner of both is used.

    Returns
    -------
    float
        At least 1: the number of pixels over the sum of the product of their autocorrelations.

    References
    ----------
    Clifford, Richardson and Hemon, "Assessing the significance of the correlation between two spatial processes",
    Biometrics 45:123-134, 1989.
    """
    from scipy import fft  # late: the program starts sooner

    height, width = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])

    def power_of(image: np.ndarray) -> np.ndarray:
        spectrum = fft.rfft2(image[:height, :width] - image[:height, :width].mean())
        power: np.ndarray = np.square(spectrum.real) + np.square(spectrum.imag)
        return power

    power = side_by_side([partial(power_of, image) for image in (a, b)])
    # half of the spectrum stands for the other, but for the columns that are their own mirror image
    twice = np.full(width // 2 + 1, 2.0)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    sums = [float(part.sum(0, dtype=np.float64) @ twice) for part in (*power, power[0] * power[1])]
    return max(1.0, sums[0] * sums[1] / sums[2]) if sums[2] > 0 else 1.0


def _polish(pair: Pair, matrix: np.ndarray, free: int, n_epochs: int, tick: Tick) -> np.ndarray:
    """Climb to the highest NCC with 2 (shift), 4 (and turn, scale) or 6 free numbers."""
    import torch
    from torch.nn.functional import affine_grid

    fixed, moving = tensor(pair.fixed), tensor(pair.moving)
    height, width = pair.fixed.shape
    # one unit of each number moves the rim of the frame by about one px of the input
    rim = 2 / max(height, width)
    changes = np.zeros((6, 2, 3))
    changes[0, 0, 2] = changes[1, 1, 2] = 1
    changes[2, 0, 0] = changes[2, 1, 1] = changes[3, 1, 0] = rim
    changes[3, 0, 1] = -rim
    changes[4, 0, 0] = changes[5, 1, 0] = changes[5, 0, 1] = rim
    changes[4, 1, 1] = -rim
    changes = changes[:free] / pair.factor
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    from_centre = np.column_stack([np.eye(2), -centre])
    start = compose(rescale(matrix, 1 / pair.factor), np.column_stack([np.eye(2), centre]))
    base, steps, last = torch.tensor(start), torch.tensor(changes), torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    to_stain = torch.tensor(to_unit(pair.moving.shape))
    to_frame = torch.tensor(np.vstack([from_centre, [0, 0, 1]]) @ np.linalg.inv(to_unit(pair.fixed.shape)))

    def value(numbers: torch.Tensor) -> torch.Tensor:
        now = torch.cat([base + torch.einsum("i,ijk->jk", numbers, steps), last])
        theta = (to_stain @ now @ to_frame)[None, :2].float()
        return sampled_ncc(fixed, moving, affine_grid(theta, [1, 1, height, width], align_corners=False))

    numbers = climb(value, np.zeros(free), n_epochs, tick)
    return rescale(compose(start + np.einsum("i,ijk->jk", numbers, changes), from_centre), pair.factor)


def _bands(pair: Pair, fine_fixed: float, fine_moving: float, coarse: float) -> Pair:
    look = [partial(features, pair.fixed, fine_fixed, coarse), partial(features, pair.moving, fine_moving, coarse)]
    fixed, moving = side_by_side(look)
    return Pair(fixed, moving, pair.factor)


def _plain(matrix: np.ndarray, shape: tuple[int, ...]) -> Alignment:
    return Alignment("affine", (shape[0], shape[1]), as_matrix(matrix))


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    height, width = image.shape[0] // factor, image.shape[1] // factor
    return cv2.resize(image[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
