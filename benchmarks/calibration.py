"""Measure whether scores mean what they say: of the pixels that score 0.8, are 80 % occupied?

Run it with the Python that has segapp::

    python benchmarks/calibration.py --seeds 100 101 --out benchmarks

It writes CALIBRATION.md (a table) and calibration.png (reliability curves) from simulated tissue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from segapp.core.density import DENSITY, segment_density
from segapp.core.score import CELL_SCORE, NUCLEI_SCORE, apply_score, fit_score
from segapp.core.synthetic import tissue
from segapp.pipeline.presets import BELIEFS

N_STEPS = 10


def count_images(sample) -> tuple[np.ndarray, np.ndarray]:
    """Return total and unspliced UMIs a pixel of a simulated tissue."""
    records, images = sample.transcripts, []
    for layer in ("total", "unspliced"):
        image = np.zeros(sample.cells.shape, np.uint32)
        np.add.at(image, (records.y, records.x), records.counts[layer])
        images.append(image)
    return images[0], images[1]


def score(counts: np.ndarray, bins: np.ndarray | None, params) -> np.ndarray:
    """Fit and apply one method."""
    return apply_score(counts, bins, None, params, fit_score(counts, bins, params))


def tally(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return pixels, sum of scores and occupied pixels of every step of the score, (3, N_STEPS) float64."""
    step = np.minimum((scores.ravel() * N_STEPS).astype(int), N_STEPS - 1).clip(0)
    rows = (None, scores.ravel(), truth.ravel().astype(float))
    return np.stack([np.bincount(step, weights, N_STEPS) for weights in rows]).astype(float)


def measure(size: int, seeds: list[int]) -> dict[str, np.ndarray]:
    """Return the tally of every kind of score, summed over seeds."""
    levels = DENSITY.option("levels")()
    bp, em = CELL_SCORE.option("EM+BP")(), CELL_SCORE.option("EM")()
    sums: dict[str, np.ndarray] = {}
    for seed in seeds:
        sample = tissue(size, seed)
        total, unspliced = count_images(sample)
        bins, _ = segment_density(total, levels)
        cells, nuclei = sample.cells > 0, sample.nuclei > 0
        kinds = {
            "cells, EM+BP": (score(total, None, bp), cells),
            "cells, EM+BP, levels": (score(total, bins, bp), cells),
            "cells, EM+BP, levels, log weighting": (score(total, bins, bp.with_(em_weighting="log")), cells),
            "cells, EM, levels": (score(total, bins, em), cells),
            "cells, EM+BP, presets": (score(total, bins, bp.with_(em_weighting="log", **BELIEFS)), cells),
            "nuclei, EM+BP, presets": (score(unspliced, None, NUCLEI_SCORE.option("EM+BP")(**BELIEFS)), nuclei),
            "nuclei, EM+BP": (score(unspliced, None, NUCLEI_SCORE.option("EM+BP")()), nuclei),
            "nuclei, EM": (score(unspliced, None, NUCLEI_SCORE.option("EM")()), nuclei),
        }
        for kind, (scores, truth) in kinds.items():
            sums[kind] = sums.get(kind, 0) + tally(scores, truth)
    return sums


def table(sums: dict[str, np.ndarray], size: int, seeds: list[int]) -> str:
    """Return the figures as Markdown."""
    heads = [f"{i / N_STEPS:.1f}-{(i + 1) / N_STEPS:.1f}" for i in range(N_STEPS)]
    lines = [
        "# Calibration of scores",
        "",
        f"Simulated tissue, {size} x {size} px, seeds {', '.join(map(str, seeds))}. Share of truly occupied pixels",
        "among those whose score lies in a step; calibrated scores have shares inside the step. The error is the mean",
        "distance between score and share, weighed by pixels. Made by `benchmarks/calibration.py`.",
        "",
        "| score | error | " + " | ".join(heads) + " |",
        "|---" * (N_STEPS + 2) + "|",
    ]
    for kind, (pixels, scores, truth) in sums.items():
        error = np.abs(scores - truth).sum() / pixels.sum()
        shares = [f"{t / n:.2f}" if n else "" for t, n in zip(truth, pixels, strict=True)]
        lines.append(f"| {kind} | {error:.3f} | " + " | ".join(shares) + " |")
    return "\n".join(lines) + "\n"


def plot(sums: dict[str, np.ndarray], path: Path) -> None:
    """Draw the reliability curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="calibrated")
    for kind, (pixels, scores, truth) in sums.items():
        there = pixels > 0
        axes.plot(scores[there] / pixels[there], truth[there] / pixels[there], marker="o", markersize=3, label=kind)
    axes.set(xlabel="score", ylabel="share of occupied pixels", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    sums = measure(options.size, options.seeds)
    text = table(sums, options.size, options.seeds)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "CALIBRATION.md").write_text(text, encoding="utf-8")
    plot(sums, options.out / "calibration.png")
    print(text)


if __name__ == "__main__":
    main()
