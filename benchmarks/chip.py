"""A chip from files to cells: time of each phase, memory of all processes together, cost with size.

    python -m benchmarks.chip --folder SCRATCH --sizes 2048 4096 8192 16384 26460

writes benchmarks/CHIP.md, with sizes that were measured in the same folder before. Each size is written by
`segapp sample chip`, converted and run by the command line, each in a process of its own; a thread adds up the resident
memory of that process and all below it, ten times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
DEFAULT = ("nuclei.source=watershed",)


def main() -> None:
    options = _options()
    folder = Path(options.folder)
    kept = folder / "measured.json"
    rows = {row["size"]: row for row in json.loads(kept.read_text())} if kept.exists() else {}
    for size in options.sizes:
        here = folder / f"chip{size}"
        here.mkdir(parents=True, exist_ok=True)
        rows[size] = {**rows.get(size, {}), **measure(here, size, options)}  # what was converted before is not again
        kept.write_text(json.dumps([rows[size] for size in sorted(rows)], indent=2))
        if not options.keep:
            shutil.rmtree(here)
    Path(options.out).write_text(report([rows[size] for size in sorted(rows)], options), encoding="utf-8")


def measure(here: Path, size: int, options: argparse.Namespace) -> dict:
    row: dict = {"size": size}
    if not (here / "files" / "truth.zarr").exists():
        row["sample"] = watch(["sample", "chip", "--size", str(size), "--seed", "13", "--out", str(here / "files")])
    if not (here / "chip" / "chip.json").exists():
        files = here / "files"
        row["convert"] = watch(
            ["convert", str(files / "chip.gem.gz"), "--stain", str(files / "stain.tif"), "--out", str(here / "chip")]
        )
    shutil.rmtree(here / "out", ignore_errors=True)
    command = ["run", "--chip", str(here / "chip"), "--out", str(here / "out"), "--preset", options.preset, "--json"]
    command += [word for change in options.set for word in ("--set", change)]
    command += ["--tile", str(options.tile)] if options.tile else []
    row["run"] = watch(command)
    row["summary"] = json.loads(row["run"].pop("stdout"))
    row["plan"] = next((line for line in row["run"]["stderr"].splitlines() if "megapixels" in line), "")
    row["begin"] = opening(here / "chip")
    return row


def opening(chip: Path) -> float:
    """Seconds from nothing to an opened chip and a picture of it, in a new process, the imports among them."""
    code = (
        "import time; t = time.perf_counter()\n"
        "from segapp.io.chip import Chip; from segapp.pipeline.chip.source import Source\n"
        "from segapp.pipeline.chip.view import overview; from segapp.pipeline.stages import PIPELINE\n"
        f"overview(Source(Chip.open({str(chip)!r}), PIPELINE.defaults()), 'total')\n"
        "print(time.perf_counter() - t)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def watch(arguments: list[str]) -> dict:
    """Run a command of segapp; return its seconds, seconds of processor, and peak memory with all its children."""
    began = time.perf_counter()
    before = os.times()
    process = subprocess.Popen(
        [sys.executable, "-m", "segapp.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak = [0]
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(0.1):
            peak[0] = max(peak[0], resident(process.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    stdout, stderr = process.communicate()
    stop.set()
    sampler.join()
    if process.returncode:
        raise SystemExit(stderr)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu": round(cpu, 1),
        "peak_gb": round(peak[0] / 1e9, 2),
        "stdout": stdout,
        "stderr": stderr,
    }


def resident(pid: int) -> int:
    """Resident bytes of a process and all below it; pages that they share count once for each."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, ValueError, IndexError):
            continue
    return total


def report(rows: list[dict], options: argparse.Namespace) -> str:
    lines = [
        "# A whole chip",
        "",
        f"`python -m benchmarks.chip`, preset {options.preset} with {', '.join(options.set)}, on "
        f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}). Simulated tissue (`segapp sample chip`).",
        "Memory is the resident memory of all processes together at its peak. Seconds depend on what else the",
        "machine does.",
        "",
        "| side, px | megapixels | UMIs | cells | convert, s | run, s | processor s of the run | run: s/megapixel "
        "| processor s/megapixel | peak convert, GB | peak run, GB | open, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        summary, run = row["summary"], row["run"]
        area = row["size"] ** 2 / 1e6
        convert = row.get("convert", {"seconds": 0, "peak_gb": 0})
        lines.append(
            f"| {row['size']:,} | {area:.1f} | {summary['n_umis']:,} | {summary['n_cells']:,} | {convert['seconds']} "
            f"| {run['seconds']} | {run['cpu']} | {run['seconds'] / area:.2f} | {run['cpu'] / area:.2f} "
            f"| {convert['peak_gb']} | {run['peak_gb']} | {row['begin']:.2f} |"
        )
    lines += ["", "Seconds of each phase of the run:", ""]
    phases = list(dict.fromkeys(name for row in rows for name in row["summary"]["seconds"]))
    lines += ["| side, px | " + " | ".join(phases) + " |", "|---" * (len(phases) + 1) + "|"]
    for row in rows:
        values = [str(row["summary"]["seconds"].get(name, "")) for name in phases]
        lines.append(f"| {row['size']:,} | " + " | ".join(values) + " |")
    lines += ["", "What the plan said before each run:", ""]
    lines += [f"- {row['size']:,}: {row['plan']}" for row in rows]
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="scratch folder with room for the files")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--preset", default="stain+rna")
    parser.add_argument("--set", nargs="*", default=list(DEFAULT))
    parser.add_argument("--tile", type=int)
    parser.add_argument("--keep", action="store_true", help="keep the files")
    parser.add_argument("--out", default=str(Path(__file__).parent / "CHIP.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
