"""Where cells are: regions of different density, nuclei that touch, and cytoplasm that fills what is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segapp.core.synthetic.fields import quantise, smooth_field
from segapp.core.synthetic.settings import Settings


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A piece of tissue before anyone looks at it.

    Parameters
    ----------
    regions : (H, W) int32
        0 beside the tissue, then 1 = sparse, 2 = medium, 3 = dense.
    nuclei, cells : (H, W) int32
        Labels; a cell has the id of its nucleus.
    types : (n,) int8
        Cell type of label i + 1.
    thickness : (H, W) float64
        Height of the nucleus above each pixel, 1 at its centre, 0 outside.
    """

    regions: np.ndarray
    nuclei: np.ndarray
    cells: np.ndarray
    types: np.ndarray
    thickness: np.ndarray


def draw_regions(rng: np.random.Generator, shape: tuple[int, int], settings: Settings) -> np.ndarray:
    """Draw density regions: layers that wind through the frame, and an edge of the tissue in one corner."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(float)
    angle = quantise(rng.uniform(0, np.pi))
    # a small frame has thinner layers, so that it shows all of them
    wave = min(settings.layer_width, 0.3125 * min(shape))
    along = (x * np.cos(angle) + y * np.sin(angle)) / wave + quantise(rng.uniform(0, 3.0))
    along += 0.35 * smooth_field(rng, shape, 0.8 * wave) + 0.05 * smooth_field(rng, shape, 25.0)
    # one period of the layers: sparse, medium, dense (thin), medium
    phase = quantise(along % 3.0)
    regions = np.select([phase < 1.15, phase < 1.8, phase < 2.35], [1, 2, 3], 2).astype(np.int32)
    corner = rng.integers(0, 4)
    dx, dy = (x if corner % 2 else width - 1 - x), (y if corner < 2 else height - 1 - y)
    edge = (dx + dy) / (height + width) + 0.05 * smooth_field(rng, shape, 70.0)
    regions[quantise(edge) < settings.outside] = 0
    return regions


def place_nuclei(
    rng: np.random.Generator, regions: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Throw nuclei at random, each with up to three neighbours that touch it; one that overlaps too much is refused.

    Returns
    -------
    centres : (n, 2) float64
        (y, x) in px, multiples of 1/64.
    radii : (n,) float64
        Mean radius in px.
    types : (n,) int8
        Cell types.
    """
    height, width = regions.shape
    n = round(settings.throws * height * width / 1e6)
    chain = settings.companions + 1
    centre = rng.uniform(0, 1, (n, 2)) * (height, width)
    keep = rng.uniform(0, 1, n)
    links = rng.uniform(0, 1, (n, chain))
    kind = rng.uniform(0, 1, (n, chain))
    swell = rng.standard_normal((n, chain))
    angle = rng.uniform(0, 2 * np.pi, (n, chain))
    gap = rng.uniform(settings.closest, 1.05, (n, chain))
    mixes = np.cumsum(settings.type_mix, axis=1)
    base = np.asarray(settings.radius)
    step = int(2 * (base.max() * 1.4)) + 1
    buckets: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    found: list[tuple[float, float, float, int]] = []
    for i in range(n):
        y, x = centre[i]
        radius = 0.0
        for j in range(chain):
            if j:
                if links[i, j] >= settings.company:
                    break
                # the neighbour's size is drawn before its place, which depends on both
                previous = radius
            row, col = int(y), int(x)
            region = regions[row, col]
            if region == 0 or (j == 0 and keep[i] >= settings.density[region]):
                break
            type_ = int(np.searchsorted(mixes[region], kind[i, j], side="right"))
            type_ = min(type_, len(base) - 1)
            radius = float(base[type_] * np.clip(1 + settings.radius_spread * swell[i, j], 0.72, 1.35))
            if j:
                reach = gap[i, j] * (previous + radius)
                y, x = y + reach * np.sin(angle[i, j]), x + reach * np.cos(angle[i, j])
                if not (0 <= y < height and 0 <= x < width) or regions[int(y), int(x)] == 0:
                    break
            y, x = math.floor(y * 64) / 64, math.floor(x * 64) / 64
            key = int(y) // step, int(x) // step
            near = (
                other for a in (-1, 0, 1) for b in (-1, 0, 1) for other in buckets.get((key[0] + a, key[1] + b), ())
            )
            closest = settings.closest
            if any((y - v) ** 2 + (x - u) ** 2 < (closest * (radius + r)) ** 2 for v, u, r in near):
                break
            buckets.setdefault(key, []).append((y, x, radius))
            found.append((y, x, radius, type_))
    table = np.array(found, dtype=float).reshape(-1, 4)
    return table[:, :2], table[:, 2], table[:, 3].astype(np.int8)


def draw_nuclei(
    rng: np.random.Generator, shape: tuple[int, int], centres: np.ndarray, radii: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """Draw nuclei as wavy ellipsoids; where two overlap, a pixel belongs to the one that it lies deeper in.

    Returns
    -------
    nuclei : shape int32
        Labels, in the order of `centres`.
    thickness : shape float64
        Height of the ellipsoid above each pixel, 1 at its centre.
    """
    n = len(radii)
    squeeze = np.abs(rng.standard_normal(n)) * settings.elongation
    lean = rng.uniform(0, np.pi, n)
    waves = rng.standard_normal((n, 2)) * settings.waviness
    phases = rng.uniform(0, 2 * np.pi, (n, 2))
    labels = np.zeros(shape, np.int32)
    depth = np.full(shape, np.inf)
    for i in range(n):
        cy, cx = centres[i]
        # 0.62 bounds the sum of all deformations
        half = int(np.ceil(radii[i] * 1.62)) + 1
        top, left = max(int(cy) - half, 0), max(int(cx) - half, 0)
        rows = slice(top, min(int(cy) + half + 1, shape[0]))
        cols = slice(left, min(int(cx) + half + 1, shape[1]))
        y, x = np.ogrid[rows, cols]
        theta = np.arctan2(y - cy, x - cx)
        edge = 1 + np.clip(squeeze[i], 0, 0.3) * np.cos(2 * (theta - lean[i]))
        edge += np.clip(waves[i, 0], -0.15, 0.15) * np.cos(3 * theta + phases[i, 0])
        edge += np.clip(waves[i, 1], -0.15, 0.15) * np.cos(4 * theta + phases[i, 1])
        rho = quantise(np.hypot(y - cy, x - cx) / (radii[i] * edge))
        inside = (rho < 1) & (rho < depth[rows, cols])
        labels[rows, cols][inside] = i + 1
        depth[rows, cols][inside] = rho[inside]
    labels = main_pieces(labels)
    thickness = quantise(np.sqrt(np.where(labels > 0, 1 - np.minimum(depth, 1) ** 2, 0.0)))
    return labels, thickness


def grow_cells(rng: np.random.Generator, nuclei: np.ndarray, settings: Settings) -> np.ndarray:
    """Grow cytoplasm around nuclei: as far as each cell reaches to each side, with a rough edge, up to the neighbour.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws.
    nuclei : (H, W) int32
        Labels.
    settings : Settings
        Reach, lopsidedness and roughness.

    Returns
    -------
    cells : (H, W) int32
        Every cell holds its nucleus, has its id and is in one piece.
    """
    n = int(nuclei.max())
    reach = settings.cytoplasm * np.exp(settings.cytoplasm_spread * rng.standard_normal(n + 1))
    lean = rng.uniform(0, 2 * np.pi, n + 1)
    lopsided = rng.uniform(0, settings.lopsided, n + 1)
    rough = settings.rough_edge * smooth_field(rng, nuclei.shape, 6.0)
    distance, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    owner = nuclei[nearest[0], nearest[1]]
    centres = np.zeros((n + 1, 2))
    ids = np.unique(nuclei[nuclei > 0])
    centres[ids] = np.array(ndimage.center_of_mass(nuclei > 0, nuclei, ids)).reshape(-1, 2)
    y, x = np.ogrid[: nuclei.shape[0], : nuclei.shape[1]]
    theta = np.arctan2(y - centres[owner, 0], x - centres[owner, 1])
    limit = reach[owner] * (1 + lopsided[owner] * np.cos(theta - lean[owner])) + rough
    cells = np.where((quantise(distance - limit) <= 0) | (nuclei > 0), owner, 0)
    return main_pieces(cells.astype(np.int32), keep=nuclei > 0)


def main_pieces(labels: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
    """Keep one 4-connected piece of each label: the largest, or the one that holds a pixel of `keep`.

    Parameters
    ----------
    labels : (H, W) int32
        Labels whose pieces may be apart.
    keep : (H, W) bool, optional
        Marks the pieces to keep; without it the largest piece stays, the first in reading order when two are equal.

    Examples
    --------
    >>> main_pieces(np.array([[1, 1, 0, 1], [2, 2, 2, 0]], np.int32))
    array([[1, 1, 0, 0],
           [2, 2, 2, 0]], dtype=int32)
    """
    from skimage.measure import label as connected

    pieces = connected(labels, background=0, connectivity=1)
    count = int(pieces.max())
    if count == 0:
        return labels.copy()
    owner = np.zeros(count + 1, np.int64)
    owner[pieces] = labels
    if keep is not None:
        good = np.zeros(count + 1, bool)
        good[pieces[keep]] = True
    else:
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        order = np.lexsort((np.arange(count + 1), -sizes, owner))
        first = np.ones(count + 1, bool)
        first[1:] = owner[order][1:] != owner[order][:-1]
        good = np.zeros(count + 1, bool)
        good[order[first]] = True
    good[0] = False
    return np.where(good[pieces], labels, 0).astype(np.int32)
