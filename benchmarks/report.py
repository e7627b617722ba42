"""RESULTS.md and results.png from what was measured; no figure is typed in by hand."""

from pathlib import Path
from typing import Any

TITLES = {
    "circle": "Sum over a circle, k 5",
    "circle_by_bin": "The same inside density bins",
    "blur": "Gaussian blur, k 5",
    "mixture_drawn": "Mixture fit, pixels weighing log(count + 2); 0.1 % drawn by the reference",
    "mixture_rounds": "50 rounds of EM from one start, 5,000 pixels",
    "mixture_all": "Mixture fit of 5,000 pixels",
    "posterior": "Sum over a circle and posterior of a fitted mixture",
    "moran": "Moran score, k 5",
    "propagation": "Belief propagation, 4 neighbours",
    "em_bp": "Score EM+BP of nuclear RNA, k 5",
    "em_bp_by_bin": "Score EM+BP of total RNA, k 7; density bins, certain nuclei",
    "variational": "Variational fit; 1 % of pixels drawn by the reference",
    "nuclei_mask": "Mask of nuclei from the stain",
    "cytoplasm": "Mask of cells from the stain",
    "peaks": "Distance transform and peaks",
    "watershed": "Watershed from the same markers",
    "components": "Connected components, large ones split",
    "components_seeded": "Connected components grown from nuclei",
    "expand": "Expansion by 5 px, up to 400 px",
    "augment": "Augmentation of network labels",
    "compare": "Overlaps and AP at ten thresholds",
    "density_coarse": "Density bins, binsize 20",
    "density_fine": "Density bins, binsize 4",
    "affine": "Affine alignment, stain shifted",
    "spline": "Thin-plate spline, stain bent",
}

INTRODUCTION = """\
Written by `make bench`. Time is the median of warm calls, as many as *calls* says for the reference and for segapp:
five, or as many as fit into the time allowed for a stage. 0 is a call that takes longer than that by itself: it is not
repeated, and its first and only time counts. Ratio is the reference's time over ours. Both sides have the same number
of threads, but for the reference's own setting `n_threads`, which is 1: it does not start otherwise."""

NOTES = """\
- Sums inside density bins differ at the seams by design: the reference sums what is left of the circle there, ours
  scales it to a whole circle, so that a flat image stays flat.
- The mixture drawn by the reference and the one we fit with `em_weighting="log"` estimate the same thing; ours takes
  every pixel through the histogram of counts, so it has no sampling error. The same holds for the variational fit. The
  scores EM+BP inherit the draw, and our default fit is unweighted. On all pixels the reference takes minutes: hence the
  fit of 5,000.
- Mask of nuclei: ours keeps pixels above the local mean plus `offset`, the reference those above the mean minus it.
- Peaks: the reference leaves out those near the border. AP: the reference counts a gap in the ids as a cell.
- Posterior: ours does not fall again at the highest counts, where the background's tail is the heavier one.
- Moran and belief propagation have the same definition on both sides, and end by the same rule. The reference lifts
  each likelihood of a pixel to 1e-6, so a sure pixel tells its neighbours less; ours holds the evidence of a single
  pixel within a million to one, which changes a marginal by a millionth.
- Rounds of EM: the reference lifts both likelihoods of a pixel to 1e-10, so its brightest and darkest pixels count as
  half occupied; ours works in logarithms, as the computation does that the table compares with.
- Expansion and components: the reference leaves a seam between labels that touch, can exceed the largest area, and adds
  the ids of seeds that meet; ours does not, so partitions differ there. Most true cells are larger than that area, so
  exceeding it brings the reference's AP nearer to the truth.
- Density bins: the reference scales by the brightest pixel and resizes the image, ours scales by a high quantile and
  repeats blocks, so the cuts differ.
"""


def line(row: Any) -> str:
    """Return one line for the terminal."""
    for name, side in (("ours", row.ours), ("reference", row.reference)):
        if "error" in side:
            return f"{row.size:5d}  {row.stage:18s} {name} failed: {side['error']}"
    return (
        f"{row.size:5d}  {row.stage:18s} {_time(row.reference['seconds']):>8s} -> {_time(row.ours['seconds']):>8s}  "
        f"x {row.ratio:8.1f}   {row.agreement}"
    )


def write(measured: Any, folder: Path) -> None:
    """Write the table and the plot into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = sorted({row.size for row in measured.rows})
    text = ["# segapp beside the public implementation", ""]
    text += [INTRODUCTION, ""]
    text += [f"- {key}: {value}" for key, value in measured.machine.items()]
    for side, title in (("ours", "segapp"), ("reference", "reference")):
        listed = ", ".join(f"{name} {value}" for name, value in measured.versions[side].items())
        text.append(f"- {title}: {listed}")
    text += ["", "![Ratio of times](results.png)", ""]
    for size in sizes:
        text += [f"## {_title(size)}", ""]
        text += ["| stage | reference | segapp | ratio | calls | peak memory, reference | segapp | result |"]
        text += ["|---|---:|---:|---:|---:|---:|---:|---|"]
        text += [_table_line(row) for row in measured.rows if row.size == size]
        text.append("")
    text += [
        "Peak memory is what a stage adds to what its process held before, at its first call, compilation included.",
        "",
        "## Where results differ",
        "",
        NOTES.rstrip(),
    ]
    (folder / "RESULTS.md").write_text("\n".join(text) + "\n")
    _plot(measured, sizes, folder / "results.png")


def _title(size: int) -> str:
    return f"{size} x {size} px" if size else "Real counts: the Stereo-seq section that comes with segapp, 300 x 299 px"


def _table_line(row: Any) -> str:
    cells = [TITLES[row.stage]]
    cells += [_cell(side) for side in (row.reference, row.ours)]
    cells.append("" if row.ratio is None else _ratio(row.ratio))
    cells.append("" if row.ratio is None else f"{row.reference['runs']}, {row.ours['runs']}")
    cells += [_bytes(side.get("peak")) for side in (row.reference, row.ours)]
    errors = [f"{name}: {side['error']}" for name, side in _sides(row) if "error" in side]
    cells.append("; ".join(errors) or row.agreement)
    return "| " + " | ".join(cells) + " |"


def _sides(row: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    return ("segapp", row.ours), ("reference", row.reference)


def _cell(side: dict[str, Any]) -> str:
    if "error" in side:
        return "failed"
    return _time(side["seconds"])


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f} ms"


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _bytes(value: int | None) -> str:
    return "" if value is None else f"{value / 2**20:.0f} MiB"


def _plot(measured: Any, sizes: list[int], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in measured.rows if row.ratio is not None]
    stages = [stage for stage in TITLES if any(row.stage == stage for row in rows)]
    figure, axis = pyplot.subplots(figsize=(9, 0.36 * len(stages) + 1.4), layout="constrained")
    height = 0.8 / len(sizes)
    for number, size in enumerate(sizes):
        ratios = {row.stage: row.ratio for row in rows if row.size == size}
        places = [stages.index(stage) + (number - (len(sizes) - 1) / 2) * height for stage in ratios]
        colour = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")[number % 4]
        axis.barh(
            places, list(ratios.values()), height * 0.9, label=f"{size} px" if size else "real counts", color=colour
        )
        for place, ratio in zip(places, ratios.values(), strict=True):
            axis.text(ratio * 1.1, place, _ratio(ratio), va="center", fontsize=7)
    axis.set_xscale("log")
    axis.axvline(1, color="0.3", linewidth=1)
    axis.set_yticks(range(len(stages)), [TITLES[stage].partition(";")[0] for stage in stages])
    axis.invert_yaxis()
    axis.set_xlabel("times faster than the reference (1 = as fast)")
    axis.legend(frameon=False, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
