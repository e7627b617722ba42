"""Nuclei by network, by watershed, and joined: how many, how good, how fast, in how much memory.

    python benchmarks/network.py                       # writes benchmarks/NETWORK.md
    python benchmarks/network.py --images DIR          # also on the held-out images of training/README.md
    python benchmarks/network.py --model DIR --seeds 11 12 --to FILE   # another model, other simulated tissues

Time and memory are those of fresh processes, one an image size, on two threads.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from segapp.core import stain as stain_core
from segapp.core import synthetic
from segapp.core.engines import ENGINES
from segapp.core.engines.options import BUNDLED, OnnxParams, StardistParams
from segapp.core.label.augment import augment, union
from segapp.core.label.overlap import overlaps
from segapp.core.label.watershed import NucleiWatershedParams, label_nuclei
from segapp.io.models import open_model
from segapp.io.samples import load_sample

REPORTED = (930, 931, 932)
"""Simulated tissues that nothing was tuned on."""

SIDES = (1024, 2048, 4096)
NAMES = ("watershed", "network", "augment", "union")


def by_watershed(image):
    mask = stain_core.mask_nuclei(image, stain_core.NucleiMaskParams())
    return label_nuclei(image, mask, NucleiWatershedParams())


def all_ways(image, params):
    """Labels by every way of `NAMES`."""
    first = by_watershed(image)
    second = ENGINES[params.engine].predict(image, params, open_model(params)).labels
    found = (first, second, augment(first, second)[0], union(first, second)[0])
    return dict(zip(NAMES, found, strict=True))


def counts(truth, labels):
    """True positives at IoU > 0.5, labels, true nuclei."""
    ids_a, ids_b, pixels = overlaps(truth, labels)
    a, b = np.bincount(truth.ravel()), np.bincount(labels.ravel())
    both = (ids_a > 0) & (ids_b > 0)
    iou = pixels[both] / (a[ids_a[both]] + b[ids_b[both]] - pixels[both])
    return np.array([(iou > 0.5).sum(), (b[1:] > 0).sum(), (a[1:] > 0).sum()])


def precision(found):
    """AP of summed `counts`: tp / (tp + fp + fn)."""
    tp, n, m = np.sum(found, axis=0)
    return tp / max(n + m - tp, 1)


def mosta(params):
    """Number and median area of nuclei on a real ssDNA image."""
    image = load_sample("mosta").stain.image
    rows = []
    for name, labels in all_ways(image, params).items():
        area = np.bincount(labels.ravel())[1:]
        area = area[area > 0]
        inside = 100 * (labels > 0).mean()
        rows.append(f"| {name} | {len(area)} | {np.median(area):.0f} | {np.median(area) * 0.25:.1f} | {inside:.1f} |")
    head = ["| nuclei by | number | median area, px² | µm² | share of the image, % |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def tissue(params, seeds, size):
    """AP@0.5 on simulated tissue, where every nucleus is known."""
    found = {name: [] for name in NAMES}
    for seed in seeds:
        made = synthetic.tissue(size, seed=seed, shift=(0, 0))
        for name, labels in all_ways(made.stain, params).items():
            found[name].append(counts(made.nuclei, labels))
    values = {name: [*(precision([one]) for one in found[name]), precision(found[name])] for name in NAMES}
    rows = [f"| {name} | {' | '.join(f'{value:.3f}' for value in values[name])} |" for name in NAMES]
    head = [f"| nuclei by | {' | '.join(f'seed {seed}' for seed in seeds)} | pooled |", "|---" * (len(seeds) + 2) + "|"]
    return "\n".join([*head, *rows])


def images(params, folder, most):
    """AP@0.5 on photographs that the network was not trained on, by kind of image."""
    from training.data import read_pair, read_splits

    rows = read_splits("report")
    rows = rows[:: max(len(rows) // most, 1)] if most else rows
    found = {name: {} for name in NAMES}
    alone = 0
    for row in rows:
        image, truth = read_pair(folder, row["key"])
        one = {name: counts(truth, labels) for name, labels in all_ways(image, params).items()}
        alone += precision([one["network"]]) > max(precision([one[name]]) for name in NAMES if name != "network")
        for name, value in one.items():
            found[name].setdefault(row["type"], []).append(value)
    kinds = {kind: len(some) for kind, some in sorted(found["network"].items(), key=lambda item: int(item[0]))}
    titles = [f"all {len(rows)}", *(f"type {kind} ({n})" for kind, n in kinds.items())]
    head = [f"| nuclei by | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    lines = []
    for name in NAMES:
        every = [one for some in found[name].values() for one in some]
        values = [precision(every), *(precision(found[name][kind]) for kind in kinds)]
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |")
    return "\n".join([*head, *lines, "", f"The network alone is best on {alone} of {len(rows)} images."])


def speed(params, sides):
    """Time and peak memory of fresh processes."""
    titles = (
        "side, px",
        "network, s",
        "of one core, s",
        "s/Mpx",
        "thresholds, s",
        "nuclei",
        "peak memory, MB",
        "above a small image, MB",
    )
    head = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    rows = []
    for side in sides:
        words = [sys.executable, __file__, "--measure", str(side), "--params", params.model_dump_json()]
        threads = {**os.environ, "OMP_NUM_THREADS": "2"}
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=threads)
        m = json.loads(done.stdout.splitlines()[-1])
        took = f"{m['fit']:.1f} | {m['cpu']:.1f} | {m['fit'] / (side / 1000) ** 2:.2f} | {m['apply']:.2f}"
        rows.append(f"| {side} | {took} | {m['n']} | {m['peak']:.0f} | {m['peak'] - m['before']:.0f} |")
    return "\n".join([*head, *rows])


def measure(side, params):
    """One prediction; printed as JSON."""
    import torch

    torch.set_num_threads(2)
    image = load_sample("mosta").stain.image
    image = np.tile(image, (4, 4))[:side, :side].copy()
    engine, model = ENGINES[params.engine], open_model(params)
    engine.predict(image[:256, :256], params.with_(scale=1.0), model)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, began = time.perf_counter(), time.process_time()
    answer = engine.fit(image, params, model)
    middle, cpu = time.perf_counter(), time.process_time() - began
    found = engine.apply(answer, params)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "fit": middle - start,
                "cpu": cpu,
                "apply": end - middle,
                "n": int(found.labels.max()),
                "peak": peak,
                "before": before,
            }
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BUNDLED, help="name or folder of a StarDist model, or a file .onnx")
    parser.add_argument("--equalize", type=float, default=0.0)
    parser.add_argument("--scale", default="auto")
    parser.add_argument("--seeds", type=int, nargs="*", default=REPORTED, help="simulated tissues; none: left out")
    parser.add_argument("--size", type=int, default=1024, help="side of the simulated tissues, px")
    parser.add_argument("--images", type=Path, help="folder of the photographs, see training/README.md")
    parser.add_argument("--most", type=int, default=0, help="about so many photographs, evenly chosen; 0: all")
    parser.add_argument("--sides", type=int, nargs="*", default=SIDES, help="of the images that are timed, px")
    parser.add_argument("--no-speed", action="store_true", help="leave time and memory out")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "NETWORK.md")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--params", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        return measure(given.measure, StardistParams.model_validate_json(given.params))
    if given.model.endswith(".onnx"):
        params = OnnxParams(model=given.model, equalize=given.equalize)
    else:
        scale = given.scale if given.scale == "auto" else float(given.scale)
        params = StardistParams(model=given.model, equalize=given.equalize, scale=scale)
    parts = [
        "# Nuclei by network, by watershed, and joined",
        f"`benchmarks/network.py` on {platform.machine()}, {os.cpu_count()} cores, model {params.model}, equalize "
        f"{params.equalize:g}. AP@0.5 is tp / (tp + fp + fn) at IoU > 0.5, summed over images.",
        "## Real ssDNA (sample `mosta`, 1200 x 1200 px)\n\n" + mosta(params),
    ]
    if given.seeds:
        parts.append("## Simulated tissue, AP@0.5\n\n" + tissue(params, given.seeds, given.size))
    if given.images:
        title = "## Photographs that the network was not trained on, AP@0.5\n\n"
        parts.append(title + images(params, given.images, given.most))
    if not given.no_speed and params.engine == "stardist":
        parts.append("## Time and memory, sample `mosta` repeated, two threads\n\n" + speed(params, given.sides))
    text = "\n\n".join(parts) + "\n"
    given.to.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
