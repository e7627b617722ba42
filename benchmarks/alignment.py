"""How well a stain that was moved on purpose is found: random affine maps, half of them flipped, and smooth bends.

Run by `python benchmarks/alignment.py`; writes a table to the terminal and every figure to results/alignment.json.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from segapp.core.align import AffineParams, Alignment, TpsParams, align_stain, warm
from segapp.core.align.search import turn_matrix
from segapp.core.align.transform import compose, orientation_matrix
from segapp.core.frame import ORIENTATIONS
from segapp.core.rna import rasterize
from segapp.core.types import Grid
from segapp.io.samples import load_sample

RESULTS = Path(__file__).parent / "results" / "alignment.json"
SPACING, AMPLITUDE = 256, 12.0
"""Bends: moves drawn every 256 px, cubic in between, 12 px at most."""
NEAR = 32
"""Nuclei within this many px make a position one where the bend can be seen."""
CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-6)
Positions = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A sample, and where its frame positions lie in its stain before it is moved."""

    name: str
    stain: np.ndarray
    nuclear: np.ndarray
    nuclei: np.ndarray
    lies: np.ndarray


@dataclass(frozen=True)
class Row:
    """One alignment: errors in px over the positions of the frame that the stain covers."""

    kind: str
    sample: str
    moved: str
    start: float
    error: float
    error_near_nuclei: float
    largest: float
    ncc_before: float
    ncc_after: float
    seconds: float
    cpu_seconds: float


def case(name: str, size: int | None, seed: int) -> Case:
    """Load a sample; RNA that marks nuclei is its unspliced layer."""
    sample = load_sample(name, size, seed)
    assert sample.stain is not None
    stain, nuclei = sample.stain.image, sample.truth["nuclei"]
    height, width = stain.shape
    nuclear = rasterize(sample.transcripts, Grid(0, 0, height, width), "unspliced")
    lies = np.eye(2, 3)
    if sample.stain_shift is not None:
        lies[:, 2] = sample.stain_shift
    else:
        stain = _laid(stain, nuclei)
    return Case(f"{name} {size or height}", stain, nuclear, nuclei, lies)


def _laid(stain: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Take out how a real stain lies over its nuclei, so that the moves made here are the only ones.

    Window by window, by a shift, smoothed: what is compared is the outline of the true nuclei, not the RNA.
    """
    fixed, moving = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2) for image in (nuclei > 0, _capped(stain)))
    height, width = stain.shape
    whole = np.array([[1, 0, 1], [0, 1, -9]], np.float32)
    whole = cv2.findTransformECC(fixed, moving, whole, cv2.MOTION_AFFINE, CRITERIA)[1]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    (a, b, c), (d, e, f) = whole
    x, y = a * x + b * y + c, d * x + e * y + f
    for _ in range(2):
        dx, dy = _window_moves(fixed, cv2.remap(moving, x, y, cv2.INTER_LINEAR))
        x, y = x + dx, y + dy
    return cv2.remap(stain, x, y, cv2.INTER_LINEAR)


def _window_moves(fixed: np.ndarray, moving: np.ndarray, knots: int = 9, side: int = 240) -> list[np.ndarray]:
    height, width = fixed.shape
    moves = np.full((2, knots, knots), np.nan)
    for i, middle_y in enumerate(np.linspace(0, height - 1, knots)):
        for j, middle_x in enumerate(np.linspace(0, width - 1, knots)):
            top, left = (int(max(0, middle - side / 2)) for middle in (middle_y, middle_x))
            window = np.s_[top : int(middle_y + side / 2), left : int(middle_x + side / 2)]
            shift = np.eye(2, 3, dtype=np.float32)
            try:
                shift = cv2.findTransformECC(fixed[window], moving[window], shift, cv2.MOTION_TRANSLATION, CRITERIA)[1]
            except cv2.error:
                continue
            if np.abs(shift[:, 2]).max() < 12:
                moves[:, i, j] = shift[:, 2]
    weight = cv2.GaussianBlur(np.isfinite(moves[0]).astype(np.float32), (0, 0), 0.6)
    y, x = np.mgrid[:height, :width]
    at = [y * (knots - 1) / (height - 1), x * (knots - 1) / (width - 1)]
    smooth = [cv2.GaussianBlur(np.nan_to_num(part).astype(np.float32), (0, 0), 0.6) / weight for part in moves]
    return [map_coordinates(part, at, order=3, mode="nearest") for part in smooth]


def affines(source: Case, count: int, rng: np.random.Generator) -> Iterator[Row]:
    """Move the stain by random affine maps, every second one flipped, turned or transposed too."""
    height, width = source.stain.shape
    for i in range(count):
        shift = rng.uniform(-0.25, 0.25, 2) * width
        angle, scale = rng.uniform(-10, 10), rng.uniform(0.95, 1.05)
        name = str(rng.choice(ORIENTED[1:])) if i % 2 else "keep"
        matrix = compose(turn_matrix(angle, scale, (height, width)), np.column_stack([np.eye(2), shift]))
        matrix = compose(orientation_matrix(name, (height, width)), matrix)
        moved = cv2.warpAffine(source.stain, matrix, (width, height), flags=cv2.INTER_LINEAR)
        truth = _affine(compose(matrix, source.lies))
        params = AffineParams(orientation="search" if i % 2 else "keep")
        words = f"{shift[0]:+.0f} {shift[1]:+.0f} px, {angle:+.1f} deg, x {scale:.3f}, {name}"
        yield _measure("affine", source, words, moved, truth, params)


def bends(source: Case, count: int, rng: np.random.Generator) -> Iterator[Row]:
    """Bend the stain smoothly."""
    height, width = source.stain.shape
    for i in range(count):
        knots = (max(2, round(height / SPACING) + 1), max(2, round(width / SPACING) + 1))
        drawn = rng.normal(size=(2, *knots))
        y, x = np.meshgrid(np.linspace(0, knots[0] - 1, height), np.linspace(0, knots[1] - 1, width), indexing="ij")
        field = np.stack([map_coordinates(part, [y, x], order=3, mode="nearest") for part in drawn])
        field *= AMPLITUDE / np.hypot(*field).max()
        yield _measure("bend", source, f"{i}", _bent(source.stain, field), _seen(source.lies, field), TpsParams())


def table(rows: list[Row]) -> list[dict[str, object]]:
    """Return one summary a kind and sample."""
    out = []
    for kind, sample in dict.fromkeys((row.kind, row.sample) for row in rows):
        part = [row for row in rows if (row.kind, row.sample) == (kind, sample)]
        errors = np.array([row.error for row in part])
        out.append(
            {
                "kind": kind,
                "sample": sample,
                "count": len(part),
                "median_error": float(np.median(errors)),
                "mean_error": float(errors.mean()),
                "worst_error": float(errors.max()),
                "mean_error_near_nuclei": float(np.mean([row.error_near_nuclei for row in part])),
                "below_half_px": float((errors < 0.5).mean()),
                "below_1_px": float((errors < 1).mean()),
                "worse_than_start": sum(row.ncc_after < row.ncc_before for row in part),
                "median_cpu_seconds": float(np.median([row.cpu_seconds for row in part])),
            }
        )
    return out


def measure(word: str, affine_count: int, bend_count: int, seed: int) -> list[Row]:
    """Return the rows of one sample, named as ``name`` or ``name:size``; print them as they come."""
    warm()
    name, _, size = word.partition(":")
    source = case(name, int(size) if size else None, seed)
    rng = np.random.default_rng(seed)
    rows = []
    for row in chain(affines(source, affine_count, rng), bends(source, bend_count, rng)):
        rows.append(row)
        print(
            f"{row.kind:6s} {row.sample:12s} {row.start:6.1f} -> {row.error:6.2f} px (largest {row.largest:5.1f}) "
            f"NCC {row.ncc_before:.3f} -> {row.ncc_after:.3f}  {row.cpu_seconds:4.1f} s CPU  {row.moved}",
            flush=True,
        )
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=70707, help="seed of samples and moves")
    parser.add_argument("--affines", type=int, default=50, help="affine maps a sample; tissue:512 is only bent")
    parser.add_argument("--bends", type=int, default=5, help="bends a sample")
    parser.add_argument("--samples", nargs="*", default=["tissue:1024", "mosta", "tissue:512"])
    parser.add_argument("--jobs", type=int, default=2, help="samples at a time")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
        jobs = [
            pool.submit(measure, word, 0 if word == "tissue:512" else chosen.affines, chosen.bends, chosen.seed + i)
            for i, word in enumerate(chosen.samples)
        ]
        rows = [row for job in jobs for row in job.result()]
    summary = table(rows)
    print()
    for line in summary:
        print(
            "  ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{value}" for key, value in line.items())
        )
    chosen.out.parent.mkdir(exist_ok=True)
    written = {"seed": chosen.seed, "summary": summary, "rows": [asdict(row) for row in rows]}
    chosen.out.write_text(json.dumps(written, indent=1) + "\n")


ORIENTED = ("keep", *(name for name in ORIENTATIONS if name != "keep"))


def _measure(
    kind: str, source: Case, words: str, moved: np.ndarray, truth: Positions, params: AffineParams | TpsParams
) -> Row:
    height, width = source.stain.shape
    wall, cpu = time.perf_counter(), time.process_time()
    _, found = align_stain(moved, source.nuclear, params)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    y, x = np.mgrid[8:height:16, 8:width:16]
    at = np.stack([x.ravel(), y.ravel()], -1).astype(float)
    expected = truth(at)
    inside = ((expected >= 0) & (expected <= [width - 1, height - 1])).all(1)
    near = cv2.dilate((source.nuclei > 0).astype(np.uint8), np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8))
    error = np.linalg.norm(found.positions(at) - expected, axis=1)
    return Row(
        kind=kind,
        sample=source.name,
        moved=words,
        start=float(np.linalg.norm(at - expected, axis=1)[inside].mean()),
        error=float(error[inside].mean()),
        error_near_nuclei=float(error[inside & (near[y.ravel(), x.ravel()] > 0)].mean()),
        largest=float(error[inside].max()),
        ncc_before=float(found.ncc_before or 0),
        ncc_after=float(found.ncc_after or 0),
        seconds=wall,
        cpu_seconds=cpu,
    )


def _affine(matrix: np.ndarray) -> Positions:
    (a, b, c), (d, e, f) = matrix.tolist()
    return Alignment("affine", (1, 1), ((a, b, c), (d, e, f))).positions


def _seen(lies: np.ndarray, field: np.ndarray) -> Positions:
    before = _affine(lies)

    def positions(at: np.ndarray) -> np.ndarray:
        there = before(at)
        moves = [map_coordinates(part, there.T[::-1], order=1, mode="nearest") for part in field]
        return there + np.stack(moves, -1)

    return positions


def _bent(stain: np.ndarray, field: np.ndarray) -> np.ndarray:
    """What lies at p is shown at p + field(p): the inverse is found by repetition."""
    y, x = np.mgrid[: stain.shape[0], : stain.shape[1]].astype(np.float32)
    from_x, from_y = x, y
    parts = field.astype(np.float32)
    for _ in range(15):
        move_x, move_y = (
            cv2.remap(part, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in parts
        )
        from_x, from_y = x - move_x, y - move_y
    return cv2.remap(stain, from_x, from_y, cv2.INTER_LINEAR)


def _capped(stain: np.ndarray) -> np.ndarray:
    return np.minimum(stain, np.percentile(stain, 99))


if __name__ == "__main__":
    main()
