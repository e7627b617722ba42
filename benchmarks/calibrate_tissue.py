"""Print how the public reference scores on samples: the figures that the difficulty of `tissue` was set by.

Run it with a Python that has spateo-release 1.1.1 and the versions it works with (numpy 1.26.4, scipy 1.13.1,
anndata 0.10.9, scikit-image 0.24.0, fbgbp 0.2.1, ...), not with the one that has segapp::

    segapp sample tissue --size 1024 --seed 0 --out samples/0
    python benchmarks/calibrate_tissue.py samples/0 [samples/1 ...]

Each folder holds tissue.gem.gz, stain.tif and the truth. Parameters are those that users of the reference use.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import functools
import gzip
import importlib.util
import json
import logging
import sys
import time
import types
import warnings
from pathlib import Path

import numpy as np

SCORES = ("stain_nuclei_ap", "rna_nuclei_ap", "cells_ap", "occupied_f1", "density_ari")
BRACKETS = ((0.90, 0.94), (0.27, 0.34), (0.82, 0.85), (0.79, 0.82), (0.25, 0.68))


@functools.cache
def load_reference():
    """Import the segmentation module alone: the package's own start pulls in 3-D plotting."""
    spec = importlib.util.find_spec("spateo")
    if spec is None:
        sys.exit("spateo-release 1.1.1 is not installed in this Python; make an environment of its own for it.")
    package = types.ModuleType("spateo")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["spateo"] = package
    import spateo.segmentation as reference
    from spateo.configuration import SKM, config

    config.n_threads = 1
    return reference, SKM


def read_sample(folder: Path) -> dict[str, np.ndarray]:
    """Read stain, truth and count images of a folder that `segapp sample` wrote; row = y, column = x."""
    import tifffile

    images = {path.stem: tifffile.imread(path) for path in folder.glob("*.tif")}
    shape = images["stain"].shape
    counts = {"X": np.zeros(shape, np.uint16), "unspliced": np.zeros(shape, np.uint16)}
    (gem,) = folder.glob("*.gem.gz")
    with gzip.open(gem, "rt") as lines:
        rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
        for row in rows:
            place = int(row["y"]), int(row["x"])
            counts["X"][place] += int(row["MIDCount"])
            counts["unspliced"][place] += int(row["INTRONIC"])
    return {**images, **counts}


def average_precision(truth: np.ndarray, labels: np.ndarray, tau: float = 0.5) -> float:
    """TP / (TP + FP + FN); a match overlaps by IoU > tau, background is no object."""
    truth = np.unique(truth, return_inverse=True)[1].reshape(truth.shape)
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    n, m = truth.max(), labels.max()
    both = np.bincount((truth * (m + 1) + labels).ravel(), minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    union = both.sum(1)[:, None] + both.sum(0)[None] - both
    hits = int((both[1:, 1:] / union[1:, 1:] > tau).sum())
    return hits / (n + m - hits)


def f1(truth: np.ndarray, mask: np.ndarray) -> float:
    """Harmonic mean of precision and recall over pixels."""
    return float(2 * (truth & mask).sum() / (truth.sum() + mask.sum()))


def measure(folder: Path, shift: tuple[int, int], only: set[str]) -> dict[str, float]:
    """Run the reference on one sample, with the known shift of the stain undone."""
    from anndata import AnnData

    reference, skm = load_reference()
    sample = read_sample(folder)
    dx, dy = shift
    # what lies at (x, y) in the RNA frame is seen at (x + dx, y + dy) in the stain; the rim that shows nothing is cut
    height, width = sample["stain"].shape
    rim = max(abs(dx), abs(dy))
    inner = np.s_[rim : height - rim, rim : width - rim]
    seen = np.s_[rim + dy : height - rim + dy, rim + dx : width - rim + dx]
    data = AnnData(X=sample["X"][inner].astype(np.uint16))
    data.layers["unspliced"] = sample["unspliced"][inner]
    data.layers["stain"] = sample["stain"][seen]
    skm.init_adata_type(data, skm.ADATA_AGG_TYPE)
    nuclei, cells, density = (
        sample[f"truth_{name}"][inner].astype(np.int64) for name in ("nuclei", "cells", "density")
    )
    scores = {}

    if {"stain_nuclei_ap", "cells_ap"} & only:
        reference.mask_nuclei_from_stain(data)
        reference.find_peaks_from_mask(data, "stain", 7)
        reference.watershed(data, "stain", 5)
        scores["stain_nuclei_ap"] = average_precision(nuclei, data.layers["stain_labels"])
    if "rna_nuclei_ap" in only:
        reference.score_and_mask_pixels(data, "unspliced", k=5, method="EM+BP", em_kwargs={"seed": 0})
        reference.label_connected_components(data, "unspliced")
        scores["rna_nuclei_ap"] = average_precision(nuclei, data.layers["unspliced_labels"])
        scores["rna_nuclei_f1"] = f1(nuclei > 0, data.layers["unspliced_mask"])
    if "occupied_f1" in only:
        reference.score_and_mask_pixels(data, "X", k=7, method="EM+BP", em_kwargs={"seed": 0}, bins_layer=False)
        scores["occupied_f1"] = f1(cells > 0, data.layers["X_mask"])
    if "density_ari" in only:
        reference.segment_densities(data, "X", 20, k=3, dk=3)
        scores["density_ari"] = float(
            reference.benchmark.adjusted_rand_score(density.ravel(), data.layers["X_bins"].ravel())
        )
        scores["density_bins"] = len(np.unique(data.layers["X_bins"]))
    if "cells_ap" in only:
        reference.score_and_mask_pixels(
            data, "X", k=7, method="EM+BP", em_kwargs={"seed": 0}, certain_layer="stain_labels", bins_layer=False
        )
        scores["seeded_f1"] = f1(cells > 0, data.layers["X_mask"])
        reference.label_connected_components(data, "X", seed_layer="stain_labels")
        scores["cells_ap"] = average_precision(cells, data.layers["X_labels"])
    return scores


def main() -> None:
    """Print one JSON line a sample, then the means beside the brackets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--shift", nargs=2, type=int, default=(4, -6), metavar=("DX", "DY"))
    parser.add_argument("--only", default=",".join(SCORES), help="scores to compute, separated by commas")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    every = []
    for folder in options.folders:
        start = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            scores = measure(folder, tuple(options.shift), set(options.only.split(",")))
        every.append(scores)
        shown = {name: round(value, 3) for name, value in scores.items()}
        print(json.dumps({"sample": str(folder), **shown, "seconds": round(time.perf_counter() - start)}), flush=True)
    for name, (low, high) in zip(SCORES, BRACKETS, strict=True):
        if name in every[0]:
            mean = float(np.mean([scores[name] for scores in every]))
            print(f"{name:16} {mean:.3f}  [{low:.2f}-{high:.2f}] {'inside' if low <= mean <= high else 'OUTSIDE'}")


if __name__ == "__main__":
    main()
