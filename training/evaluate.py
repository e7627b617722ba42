"""Measure a model on images that it was not trained on: AP = tp / (tp + fp + fn), all images pooled.

python -m training.evaluate --data DIR --side tune --tune    # choose the thresholds, and write them
python -m training.evaluate --data DIR --side report         # what the model card says
python -m training.evaluate --data DIR --side report --scale true   # were the size of nuclei known
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segapp.core.engines.model import Model
from segapp.core.engines.options import StardistParams
from segapp.core.engines.stardist.predict import Candidates, apply, fit
from segapp.core.label.overlap import overlaps
from segapp.io.models import open_model
from training.data import median_diameter, read_pair, read_splits

TAUS = tuple(round(0.5 + 0.05 * i, 2) for i in range(9))
MODEL = Path(__file__).parents[1] / "segapp" / "models" / "segapp-nuclei"


@dataclass(frozen=True, eq=False)
class Case:
    """One image, its truth, and what the network answered."""

    row: dict[str, str]
    truth: np.ndarray
    candidates: Candidates


def counts(truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count (tp, fp, fn) at each of TAUS: an array (9, 3)."""
    ids_a, ids_b, pixels = overlaps(truth, labels)
    a, b = np.bincount(truth.ravel()), np.bincount(labels.ravel())
    both = (ids_a > 0) & (ids_b > 0)
    iou = pixels[both] / (a[ids_a[both]] + b[ids_b[both]] - pixels[both])
    n_a, n_b = int((a[1:] > 0).sum()), int((b[1:] > 0).sum())
    tp = np.array([(iou > tau).sum() for tau in TAUS])
    return np.stack([tp, n_b - tp, n_a - tp], 1)


def pooled(found: list[np.ndarray]) -> np.ndarray:
    """AP at each of TAUS over all images."""
    total = np.sum(found, axis=0)
    return np.asarray(total[:, 0] / np.maximum(total.sum(1), 1))


def predict(data: Path, side: str, model: Model, scale: str | float, equalize: float) -> list[Case]:
    """Run the network over one side of the images; `scale` is ``auto``, ``true`` or a factor."""
    cases = []
    for row in read_splits(side):
        image, truth = read_pair(data, row["key"])
        factor = model.config["diameter"] / median_diameter(truth) if scale == "true" else scale
        params = StardistParams(equalize=equalize, scale=factor)
        cases.append(Case(row, truth, fit(image, params, model)))
    return cases


def score(cases: list[Case], **thresholds: Any) -> list[np.ndarray]:
    """Counts of each image at given thresholds."""
    params = StardistParams(**thresholds)
    return [counts(case.truth, apply(case.candidates, params).labels) for case in cases]


def tune(cases: list[Case]) -> dict[str, float]:
    """Choose the thresholds with the best sum of AP at 0.5 and mean AP: first the one of overlap, then the other."""

    def worth(prob: float, nms: float) -> float:
        ap = pooled(score(cases, prob_thresh=prob, nms_thresh=nms))
        print(f"prob_thresh {prob:.2f} nms_thresh {nms:.2f}: AP@0.5 {ap[0]:.4f}, mean {ap.mean():.4f}", flush=True)
        return float(ap[0] + ap.mean())

    nms = max((0.2, 0.3, 0.4), key=lambda nms: worth(0.55, nms))
    prob = max((0.4, 0.45, 0.5, 0.55, 0.6, 0.65), key=lambda prob: worth(prob, nms))
    return {"prob_thresh": prob, "nms_thresh": nms}


def table(cases: list[Case], found: list[np.ndarray]) -> str:
    """AP of all images, of each type, and the mean over images, as a table in Markdown."""
    by_type = defaultdict(list)
    for case, one in zip(cases, found, strict=True):
        by_type[int(case.row["type"])].append(one)
    lines = ["| images | n | nuclei | " + " | ".join(f"{tau:.2f}" for tau in TAUS) + " | mean |", "|---" * 13 + "|"]
    for name, some in [("all, pooled", found), *((f"type {t}", by_type[t]) for t in sorted(by_type))]:
        ap = pooled(some)
        nuclei = int(sum(one[0, 0] + one[0, 2] for one in some))
        lines.append(f"| {name} | {len(some)} | {nuclei} | " + " | ".join(f"{v:.3f}" for v in [*ap, ap.mean()]) + " |")
    each = np.stack([pooled([one]) for one in found])
    lines.append(
        f"| mean of images | {len(found)} | | " + " | ".join(f"{v:.3f}" for v in [*each.mean(0), each.mean()]) + " |"
    )
    return "\n".join(lines)


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the images; training/README.md")
    parser.add_argument("--side", choices=["tune", "report"], default="tune")
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of the model")
    parser.add_argument("--scale", default="auto", help="auto, true (from the true nuclei), or a factor")
    parser.add_argument("--equalize", type=float, default=0.0, help="clip limit of CLAHE")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--tune", action="store_true", help="choose thresholds and write them to config.json")
    parser.add_argument("--each", action="store_true", help="print every image")
    given = parser.parse_args()
    if given.tune and given.side == "report":
        parser.error("thresholds are not tuned on what is reported: give --side tune")
    torch.set_num_threads(given.threads)
    model = open_model(StardistParams(model=str(given.model)))
    scale = given.scale if given.scale in ("auto", "true") else float(given.scale)
    started = time.perf_counter()
    cases = predict(given.data, given.side, model, scale, given.equalize)
    seconds, pixels = time.perf_counter() - started, sum(case.truth.size for case in cases)
    if given.tune:
        chosen = tune(cases)
        config = json.loads((given.model / "config.json").read_text()) | chosen
        (given.model / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    found = score(cases, **(chosen if given.tune else {}))
    print(table(cases, found))
    print(f"{seconds / pixels * 1e6:.2f} s per Mpx of the images")
    if given.each:
        for case, one in zip(cases, found, strict=True):
            ideal = model.config["diameter"] / median_diameter(case.truth)
            print(case.row["key"], case.row["type"], one[0].tolist(), f"scale {case.candidates.factor[0] / ideal:.2f}x")


if __name__ == "__main__":
    main()
