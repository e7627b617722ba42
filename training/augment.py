"""Crops as a network sees them: turned, resized, crowded, and with the faults of ssDNA images of a chip."""

from __future__ import annotations

import cv2
import numpy as np

from training.data import SHARPER, Picture, targets

SIZES = (0.6, 1.6)
"""Nuclei are shown at this part of the size that the network is made for."""

RIM = 20
"""Seen around a crop when its targets are made: rays run on to the true edge, and half nuclei keep their middle."""


def crop(
    rng: np.random.Generator, pictures: list[Picture], chances: np.ndarray, side: int, n_rays: int, grid: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw one crop.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    pictures : list of Picture
        What crops are taken from.
    chances : (n,) float
        How probable each is; sums to 1.
    side : int
        Height and width in px.
    n_rays, grid : int
        As the network's.

    Returns
    -------
    image : (side, side) float32
        Normalised brightness.
    prob : (side / grid, side / grid) float32
        Target of the probability.
    dist : (n_rays, side / grid, side / grid) float32
        Target of the distances, px.
    valid : (side / grid, side / grid) float32
        1 where the image is one, 0 beyond its border.
    """
    index = int(rng.choice(len(pictures), p=chances))
    wide = side + 2 * RIM
    size = float(np.exp(rng.uniform(*np.log(SIZES))))
    image, labels, valid = _cut(rng, pictures[index], wide, size)
    if rng.random() < 0.3:
        image, labels = _crowd(image, labels, *_cut(rng, pictures[index], wide, size)[:2])
    image = spoil(rng, image, labels, size)
    prob, dist = targets(labels, n_rays, grid)
    inner, coarse = np.s_[RIM:-RIM, RIM:-RIM], np.s_[..., RIM // grid : -RIM // grid, RIM // grid : -RIM // grid]
    return image[inner], prob[coarse], dist[coarse], valid[::grid, ::grid][coarse]


def _cut(
    rng: np.random.Generator, picture: Picture, side: int, size: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take a turned and resized window; beyond the border the image is mirrored and holds no nucleus."""
    height, width = picture.labels.shape
    if rng.random() < 0.5:
        # around a nucleus
        at = np.flatnonzero(picture.labels)
        y, x = divmod(int(at[rng.integers(len(at))]), width) if len(at) else (height // 2, width // 2)
        y, x = y + rng.uniform(-0.3, 0.3) * side, x + rng.uniform(-0.3, 0.3) * side
    else:
        y, x = rng.uniform(0, height), rng.uniform(0, width)
    reach = 0.35 * side * SHARPER / size
    y, x = (float(np.clip(v, min(reach, n / 2), max(n - reach, n / 2))) for v, n in ((y, height), (x, width)))

    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.integers(4) * np.pi / 2
    stretch = np.exp(rng.normal(0, 0.06, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = (turn * stretch) @ np.diag([1.0, rng.choice([-1.0, 1.0])]) * (SHARPER / size)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).astype(np.float32) - (side - 1) / 2
    if rng.random() < 0.3:
        # bent: a smooth field that moves by 2 px or so
        coarse = rng.normal(0, 2.0, (side // 32 + 2, side // 32 + 2, 2)).astype(np.float32)
        grid += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    at = (grid @ matrix.T.astype(np.float32)) + np.float32([x, y])
    source = picture.equalized if rng.random() < 0.25 else picture.image
    if size < 0.9:
        source = cv2.GaussianBlur(source, (0, 0), 0.4 * SHARPER / size)
    image = cv2.remap(source, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    labels = cv2.remap(picture.labels.astype(np.float32), at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    inside = (at >= -0.5).all(-1) & (at[..., 0] < width - 0.5) & (at[..., 1] < height - 0.5)
    return image, labels.astype(np.int32), inside.astype(np.float32)


def _crowd(image: np.ndarray, labels: np.ndarray, other: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add nuclei of another window where there is room: tissue is denser than cell culture."""
    areas = np.bincount(more.ravel())
    covered = np.bincount(more.ravel(), weights=(labels > 0).ravel())
    fits = covered < 0.12 * areas
    fits[0] = False
    add = fits[more]
    soft = cv2.GaussianBlur(cv2.dilate(add.astype(np.float32), np.ones((3, 3))), (0, 0), 1.0)
    image = image * (1 - soft) + np.maximum(other, image) * soft
    return image, np.where(add & (labels == 0), more + labels.max(), labels)


def _smooth(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """A smooth random field about 0 to 1."""
    coarse = rng.random((cells, cells)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def spoil(rng: np.random.Generator, image: np.ndarray, labels: np.ndarray, size: float) -> np.ndarray:
    """Give an image the faults of real ones; each with its own chance.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides which, and how much.
    image : (H, W) float32
        Normalised brightness.
    labels : (H, W) int32
        True nuclei: some faults are of single nuclei.
    size : float
        Part of the usual size of nuclei in this crop; blur and haze go with it.

    Returns
    -------
    (H, W) float32
        Normalised brightness.
    """
    shape = image.shape
    image = image.copy()
    if rng.random() < 0.3:
        # nuclei differ in brightness
        gain = np.exp(rng.normal(0, 0.45, labels.max() + 1)).astype(np.float32)
        gain[0] = 1
        image *= cv2.GaussianBlur(gain[labels], (0, 0), 1.5)
    if rng.random() < 0.5:
        image = np.clip(image, 0, None) ** np.float32(np.exp(rng.uniform(-0.7, 0.6)))
    if rng.random() < 0.25:
        # light from above and below the focus
        haze = rng.uniform(0.1, 0.6)
        image = (1 - haze) * image + haze * cv2.GaussianBlur(image, (0, 0), rng.uniform(6, 20) * size)
    if rng.random() < 0.4:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.2) * min(size, 1.2))
    if rng.random() < 0.3:
        image = image + rng.uniform(0.1, 0.8) * _smooth(rng, shape, int(rng.integers(2, 6)))
    if rng.random() < 0.25:
        image = image * (rng.uniform(0.3, 0.9) + _smooth(rng, shape, int(rng.integers(2, 6))))
    if rng.random() < 0.12:
        image = _tracks(rng, image)
    if rng.random() < 0.2:
        # dust and debris
        for _ in range(int(rng.integers(1, 6))):
            centre = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
            cv2.circle(image, centre, int(rng.integers(1, 3)), float(rng.uniform(0.5, 2.0)), -1, cv2.LINE_AA)
    if rng.random() < 0.3:
        # shot noise; a low number of photons is a short exposure
        photons = np.exp(rng.uniform(np.log(8), np.log(200)))
        image = rng.poisson(np.clip(image + 0.05, 0, 4) * photons).astype(np.float32) / np.float32(photons)
    if rng.random() < 0.5:
        step = int(rng.integers(1, 4))
        noise = rng.normal(0, 1, (shape[0] // step + 1, shape[1] // step + 1)).astype(np.float32)
        noise = noise if step == 1 else cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_LINEAR)
        image = image + np.float32(rng.exponential(0.05)) * noise[: shape[0], : shape[1]]
    if rng.random() < 0.15:
        image = np.minimum(image, np.float32(rng.uniform(0.5, 0.9)))
    if (labels > 0).mean() > 0.03:
        low, high = np.percentile(image, (1, 99.8))
        image = (image - low) / max(high - low, 1e-3)
    if rng.random() < 0.3:
        levels = np.exp(rng.uniform(np.log(16), np.log(255)))
        image = np.round(image * levels) / levels
    if rng.random() < 0.6:
        image = image * np.exp(rng.uniform(-0.5, 0.4)) + rng.uniform(-0.1, 0.1)
    return image.astype(np.float32)


def _tracks(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Draw the registration lines of a chip: darker or brighter, in both directions, at unequal steps."""
    lines = np.zeros(image.shape, np.float32)
    for axis in (0, 1):
        at = float(rng.uniform(0, 60))
        while at < image.shape[axis]:
            width = int(rng.integers(1, 5))
            window = (slice(int(at), int(at) + width),)
            lines[window if axis == 0 else (slice(None), *window)] = 1
            at += rng.uniform(30, 160)
    lines = cv2.GaussianBlur(lines, (0, 0), 0.7)
    return image * (1 + lines * rng.uniform(-0.7, 0.3)) + lines * rng.uniform(-0.1, 0.15)
