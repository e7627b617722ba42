"""Measure how right the presets are on simulated tissue, from the records and the stain to nuclei and cells.

Run it with the Python that has segapp::

    python benchmarks/accuracy.py --seeds 100 101 --out benchmarks

It writes ACCURACY.md. Figures of the public reference come from `calibrate_tissue.py`, whose lines of JSON can be given
with ``--reference FILE``: run it on the same seeds, in a Python that has the reference.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from agreement import adjusted_rand

from segapp.core.quality import compare_labels
from segapp.core.score import apply_score, fit_score, mask_scores
from segapp.io.samples import load_sample
from segapp.pipeline.session import Session

SHIFT = (4, -6)
RIM = max(map(abs, SHIFT))
"""The stain shows nothing of a rim of the RNA, so it is cut from every comparison, as for the reference."""


@dataclass(frozen=True)
class Task:
    """One line of the table: a preset, what it gives, and how that is compared with the truth."""

    title: str
    goal: float | None
    preset: str
    stain: bool
    patches: dict[str, dict[str, object]]
    artefact: str
    truth: str
    measure: str
    reference: str | None


GENES: dict[str, dict[str, object]] = {"rna": {"nuclear": "genes"}}
TASKS = (
    Task("nuclei from the stain, AP", 0.95, "stain+rna", True, {}, "nuclei", "nuclei", "ap", "stain_nuclei_ap"),
    Task("nuclei from unspliced RNA, AP", 0.80, "rna-two-pass", False, {}, "nuclei", "nuclei", "ap", "rna_nuclei_ap"),
    Task(
        "nuclei from nuclear genes, guided by all RNA, AP",
        0.65,
        "rna-two-pass",
        False,
        GENES,
        "nuclei",
        "nuclei",
        "ap",
        None,
    ),
    Task(
        "nuclei from nuclear genes and no other RNA, AP",
        None,
        "rna-two-pass",
        False,
        {**GENES, "nuclei_rna": {"guide": "off"}},
        "nuclei",
        "nuclei",
        "ap",
        None,
    ),
    Task(
        "cells from all RNA, from nuclei of the stain, AP",
        0.90,
        "stain+rna",
        True,
        {},
        "cells",
        "cells",
        "ap",
        "cells_ap",
    ),
    Task("pixels occupied, from all RNA, F1", 0.88, "rna-total", False, {}, "cell_mask", "cells", "f1", "occupied_f1"),
    Task("density regions, levels, ARI", 0.75, "rna-total", False, {}, "bins", "density", "ari", "density_ari"),
    Task(
        "density regions, ward, ARI",
        None,
        "rna-total",
        False,
        {"density": {"method": "ward"}},
        "bins",
        "density",
        "ari",
        "density_ari",
    ),
)


def pixel_f1(truth: np.ndarray, found: np.ndarray) -> float:
    """Harmonic mean of precision and recall over pixels."""
    return float(2 * ((truth > 0) & (found > 0)).sum() / ((truth > 0).sum() + (found > 0).sum()))


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "ap": lambda truth, found: float(compare_labels(truth, found).ap50),
    "f1": pixel_f1,
    "ari": adjusted_rand,
}


BOUND = "pixels occupied, from all RNA, true density regions given, F1"
"""What the scores of the preset `rna-total` reach when no density region is misplaced: the rest is in the counts."""


def bound_of_pixels(sample, session: Session) -> np.ndarray:
    """Return the mask that the preset's own scoring gives within the true density regions."""
    params, regions = session.params, sample.truth["density"]
    total = np.asarray(session.get("total"))
    info = fit_score(total, regions, params["cell_score"])
    scores = apply_score(total, regions, None, params["cell_score"], info)
    return mask_scores(scores, info, None, params["cell_mask"])[0]


def measure(size: int, seed: int) -> dict[str, float]:
    """Return the figure of every task on one tissue."""
    sample = load_sample("tissue", size=size, seed=seed)
    inner = np.s_[RIM : size - RIM, RIM : size - RIM]
    figures, made = {}, {}
    for task in TASKS:
        key = (task.preset, json.dumps(task.patches))
        if key not in made:
            session = Session(executor="sync")
            session.load(sample.transcripts, sample.stain if task.stain else None)
            session.use_preset(task.preset)
            for stage, values in task.patches.items():
                session.set(stage, **values)
            made[key] = session
        found = made[key].get(task.artefact)
        if task.measure == "f1":
            bound = bound_of_pixels(sample, made[key])
            figures[BOUND] = pixel_f1(sample.truth["cells"][inner], bound[inner])
        figures[task.title] = MEASURES[task.measure](sample.truth[task.truth][inner], np.asarray(found)[inner])
    return figures


def table(figures: list[dict[str, float]], reference: list[dict[str, float]], size: int, seeds: list[int]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "# Accuracy on simulated tissue",
        "",
        f"Presets end to end (alignment of the stain included), {size} x {size} px, mean of the seeds "
        f"{', '.join(map(str, seeds))}, lowest and highest in brackets.",
        "AP: matches with IoU > 0.5 over matches, misses and false finds. F1: of pixels. ARI: adjusted Rand index. The",
        f"outermost {RIM} px are left out. Reference: spateo-release 1.1.1, parameters of its users, on "
        + (f"{len(reference)} of the same tissues" if reference else "no tissue in this run")
        + " by `calibrate_tissue.py`,",
        "with the true shift of the stain given. Made by `benchmarks/accuracy.py`.",
        "",
        "| what | goal | segapp | reference |",
        "|---|---|---|---|",
    ]
    for task in TASKS:
        ours = [row[task.title] for row in figures]
        theirs = [row[task.reference] for row in reference if task.reference in row]
        goal = "" if task.goal is None else f"{task.goal:.2f}"
        lines.append(f"| {task.title} | {goal} | {_spread(ours)} | {_spread(theirs)} |")
    lines.append(f"| {BOUND} |  | {_spread([row[BOUND] for row in figures])} |  |")
    lines += ["", "By seed, in the order of the table:", ""]
    names = [*(task.title for task in TASKS), BOUND]
    for seed, row in zip(seeds, figures, strict=True):
        lines.append(f"- {seed}: " + ", ".join(f"{row[name]:.3f}" for name in names))
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} [{min(values):.3f}-{max(values):.3f}]" if values else ""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seeds", type=int, nargs="+", default=[940, 941, 942, 943, 944])
    parser.add_argument("--reference", type=Path, help="lines of JSON that calibrate_tissue.py printed")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    figures = []
    for seed in options.seeds:
        start = time.perf_counter()
        figures.append(measure(options.size, seed))
        shown = {title: round(value, 3) for title, value in figures[-1].items()}
        print(json.dumps({"seed": seed, **shown, "seconds": round(time.perf_counter() - start)}), flush=True)
    reference = []
    if options.reference:
        lines = options.reference.read_text(encoding="utf-8").splitlines()
        reference = [json.loads(line) for line in lines if line.startswith("{")]
    text = table(figures, reference, options.size, options.seeds)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "ACCURACY.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
