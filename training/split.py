"""Divide the images into training, tuning and report, so that no slide is on two sides; writes splits.csv.

Images of one slide are found in two ways: crops that continue each other (the last row of pixels of one fits the
first of another), and a tree over statistics of brightness, texture and size of nuclei. Whole groups go to one side,
drawn within each type of image, so that each type is on every side where it has three groups or more.

    python -m training.split --data DIR
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SPLITS = Path(__file__).with_name("splits.csv")
SHARES = {"report": 0.13, "tune": 0.11}
GROUP_SIZE = 6
TYPES = 12
CONTINUES = 0.993
CONTRAST = 0.5


def statistics(image: np.ndarray, median_area: float, n_nuclei: int) -> np.ndarray:
    """Numbers that images of one slide share: levels, texture at three scales, size and number of nuclei."""
    values = np.log1p(image.astype(np.float32))
    levels = np.percentile(values, [1, 10, 50, 90, 99.8])
    texture = []
    for sigma in (0.7, 1.5, 3.0):
        blurred = cv2.GaussianBlur(values, (0, 0), sigma)
        texture.append(np.log(np.median(np.abs(values - blurred)) + 1e-3))
        values = blurred
    shape = [np.log(image.shape[0]) * 3, np.log(image.shape[1]) * 3]
    return np.array([*levels, *texture, *shape, np.log(median_area), 0.5 * np.log(n_nuclei + 1)])


def continued(images: list[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of images of one shape where a border of one goes on in another."""
    pairs = []
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        by_shape.setdefault(image.shape, []).append(i)
    for members in by_shape.values():
        for last, first in ((np.s_[-1], np.s_[0]), (np.s_[:, -1], np.s_[:, 0])):
            edges = []
            for side in (last, first):
                lines = np.log1p(np.stack([images[i][side] for i in members]).astype(np.float32))
                lines = np.stack([cv2.GaussianBlur(line[None], (5, 1), 1)[0] for line in lines])
                lines -= lines.mean(1, keepdims=True)
                # a border on plain background fits everything: only those with nuclei on them tell
                plain = lines.std(axis=1, keepdims=True) < CONTRAST
                edges.append(np.where(plain, 0, lines / np.maximum(np.linalg.norm(lines, axis=1, keepdims=True), 1)))
            fits = edges[0] @ edges[1].T
            np.fill_diagonal(fits, 0)
            fits[(fits < fits.max(axis=0)) | (fits < fits.max(axis=1, keepdims=True))] = 0
            pairs += [(members[i], members[j]) for i, j in np.argwhere(fits > CONTINUES)]
    return pairs


def divide(data: Path, seed: int = 0) -> list[dict[str, str]]:
    """Give each image a type, a group and a side."""
    rows = list(csv.DictReader((data / "index.csv").open()))
    images = [cv2.imread(str(data / f"{row['key']}_img.png"), cv2.IMREAD_UNCHANGED) for row in rows]
    features = np.stack(
        [statistics(i, float(r["median_area"]), int(r["n_nuclei"])) for i, r in zip(images, rows, strict=True)]
    )
    features /= features.std(axis=0) + 1e-6
    tree = linkage(features, "ward")
    types = fcluster(tree, TYPES, "maxclust")
    fine = fcluster(tree, len(rows) // GROUP_SIZE, "maxclust")
    linked = continued(images)
    for group in np.unique(fine):
        members = np.flatnonzero(fine == group)
        linked += [(int(members[0]), int(m)) for m in members[1:]]
    i, j = np.array(linked).T
    n_groups, groups = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(len(rows), len(rows))), False)
    kind = np.array([np.bincount(types[groups == g]).argmax() for g in range(n_groups)])
    rng = np.random.default_rng(seed)
    sides = np.full(n_groups, "train", dtype=object)
    for type_ in np.unique(kind):
        members = rng.permutation(np.flatnonzero(kind == type_))
        sizes = np.array([(groups == g).sum() for g in members])
        if len(members) < 3:
            continue
        for side, share in SHARES.items():
            have = 0
            for group, size in zip(members, sizes, strict=True):
                if sides[group] == "train" and have < share * sizes.sum() and size <= 0.4 * sizes.sum():
                    sides[group] = side
                    have += size
    return [
        {"key": row["key"], "type": str(kind[g]), "group": str(g), "split": str(sides[g])}
        for row, g in zip(rows, groups, strict=True)
    ]


def main() -> None:
    """Read the command line and write splits.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the images; training/README.md")
    rows = divide(parser.parse_args().data)
    with SPLITS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
