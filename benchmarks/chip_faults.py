"""A run of a chip that is killed, filled up, robbed of a worker and cancelled; and whether its result is the same.

    python -m benchmarks.chip_faults --folder SCRATCH

writes benchmarks/CHIP_FAULTS.md. A simulated chip is run once undisturbed and once for each fault, all by the command
line in processes of their own. Every file of a result is compared with that of the undisturbed run: byte by byte, the
HDF5 file value by value, the summary without its seconds. A small disk is a tmpfs, which only root can mount: without
it these two rows say that they were skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import psutil

SEED = 13
MB = 1 << 20


def main() -> None:
    options = _options()
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    chip = Path(options.chip) if options.chip else make_chip(folder / f"chip{options.size}", options.size)
    kept = folder / "faults.json"
    rows: dict[str, dict] = json.loads(kept.read_text()) if kept.exists() and not options.again else {}
    whole = folder / "whole"
    if "undisturbed" not in rows or not (whole / "summary.json").exists():
        rows = {"undisturbed": undisturbed(Run(chip, whole, options))}
    for name, fault in FAULTS.items():
        if name not in rows and (not options.only or name in options.only):
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows[name] = fault(Run(chip, folder / "out", options), whole, rows["undisturbed"]["seconds"])
            print(json.dumps(rows[name]), flush=True)
        kept.write_text(json.dumps(rows, indent=2))
        Path(options.out).write_text(report(rows, options), encoding="utf-8")
    if not all(row.get("same", True) for row in rows.values()):
        raise SystemExit("a result differs from that of the undisturbed run")


def make_chip(folder: Path, size: int) -> Path:
    if not (folder / "files" / "truth.zarr").exists():
        _segapp("sample", "chip", "--size", str(size), "--seed", str(SEED), "--out", str(folder / "files"))
    files = folder / "files"
    if not (folder / "chip" / "chip.json").exists():
        _segapp(
            "convert", str(files / "chip.gem.gz"), "--stain", str(files / "stain.tif"), "--out", str(folder / "chip")
        )
    return folder / "chip"


class Run:
    """One run by the command line, in a group of processes of its own; what it says goes to a file."""

    def __init__(self, chip: Path, out: Path, options: argparse.Namespace) -> None:
        self.chip, self.out, self.options = chip, out, options
        self.said = Path(options.folder) / "said.txt"
        self.process: subprocess.Popen | None = None

    def clean(self) -> Run:
        shutil.rmtree(self.out, ignore_errors=True)
        return self

    def begin(self, *more: str) -> Run:
        words = ["run", "--chip", str(self.chip), "--out", str(self.out), "--tile", str(self.options.tile)]
        words += [
            "--preset",
            self.options.preset,
            *(w for change in self.options.set for w in ("--set", change)),
            *more,
        ]
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "segapp.cli", *words],
                stdout=said,
                stderr=said,
                start_new_session=True,
                # what a shell has put into the background ignores Ctrl+C, and so would all below it
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        return self

    def end(self) -> int:
        """Wait; return the exit code."""
        assert self.process is not None
        return self.process.wait()

    def until(self, ready: Callable[[], bool]) -> bool:
        """Wait until something is so; False where the run has ended before."""
        assert self.process is not None
        while not ready():
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        return True

    def at_work(self) -> bool:
        return (self.out / "work" / "run.json").exists()

    def lines(self) -> list[str]:
        return [line for line in self.said.read_text().splitlines() if line.strip()]

    def sentence(self) -> str:
        """Return the last thing that the user was told, without the folder of this machine."""
        lines = [line for line in self.lines() if line.startswith("segapp: ")]
        return lines[-1].removeprefix("segapp: ").replace(str(self.out), "OUT") if lines else ""

    def stop(self, how: int) -> str:
        """Send a signal to all of its processes; return the phase it was in."""
        assert self.process is not None
        phase = self.lines()[-1] if self.lines() else "the start"
        os.killpg(self.process.pid, how)
        self.process.wait()
        return phase

    def finish(self) -> None:
        if self.begin("--resume").end():
            raise SystemExit(f"--resume failed: {self.said.read_text()}")


def undisturbed(run: Run) -> dict:
    began = time.perf_counter()
    if run.clean().begin().end():
        raise SystemExit(run.said.read_text())
    summary = json.loads((run.out / "summary.json").read_text())
    return {"seconds": time.perf_counter() - began, "n_cells": summary["n_cells"], "n_umis": summary["n_umis"]}


def killed(run: Run, whole: Path, seconds: float) -> dict:
    """kill -9 five times, each a random time after the run is at work again; then to the end."""
    rng, phases, told = random.Random(SEED), [], ""
    run.clean()
    for attempt in range(5):
        run.begin(*(["--resume"] if attempt else []))
        if not run.until(run.at_work):
            break
        time.sleep(rng.uniform(0.02, 0.25) * seconds)
        if run.process is not None and run.process.poll() is not None:
            break
        phases.append(run.stop(signal.SIGKILL))
        if not told and run.at_work():
            assert run.begin().end() == 2  # without --resume
            told = run.sentence()
    if not (run.out / "summary.json").exists():
        run.finish()
    done = f"kill -9 of all its processes {len(phases)} times, during: {', '.join(phases)}; then --resume"
    return {"done": done, "said": told, **compare(run.out, whole)}


def cancelled(run: Run, whole: Path, seconds: float) -> dict:
    run.clean().begin().until(run.at_work)
    time.sleep(0.4 * seconds)
    assert run.process is not None
    phase, _ = run.lines()[-1], os.kill(run.process.pid, signal.SIGINT)
    began = time.perf_counter()
    code = run.end()
    waited, said = time.perf_counter() - began, run.sentence()
    assert code == 130, f"it ended with {code}: {run.said.read_text()}"
    run.finish()
    done = f"Ctrl+C during: {phase}; it ended after {waited:.0f} s with code {code}; then --resume"
    return {"done": done, "said": said, **compare(run.out, whole)}


def worker_killed(run: Run, whole: Path, seconds: float) -> dict:
    """Two worker processes, of which one is killed while cells are made."""
    run.clean().begin("--workers", "2")
    assert run.until(lambda: "cells" in run.lines()), run.said.read_text()
    time.sleep(0.02 * seconds)
    assert run.process is not None
    children = psutil.Process(run.process.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    workers[0].kill()
    code = run.end()
    assert code == 0, run.said.read_text()
    done = f"--workers 2; one of {len(workers)} worker processes killed with -9 during: cells"
    return {"done": done, "said": "the run goes on and ends with code 0", **compare(run.out, whole)}


def refused(run: Run, whole: Path, seconds: float) -> dict:
    """A disk that is too small from the beginning."""
    with _Disk(run, 60) as disk:
        if disk.why_not:
            return {"done": "a tmpfs of 60 MB", "said": disk.why_not, "skipped": True}
        code = run.begin().end()
        assert code == 2, run.said.read_text()
        there = sorted(path.name for path in disk.folder.rglob("*"))
        return {
            "done": "--out on a disk (tmpfs) of 60 MB",
            "said": run.sentence(),
            "found": f"ended with code 2; files in the folder: {len(there)}",
            "same": not there,
        }


def filled(run: Run, whole: Path, seconds: float) -> dict:
    """A disk that another program fills during the run."""
    with _Disk(run, 900) as disk:
        if disk.why_not:
            return {"done": "a tmpfs of 900 MB that fills up", "said": disk.why_not, "skipped": True}
        run.begin()
        # later on tiles that are done free as much as others take
        assert run.until(lambda: "cell_score" in run.lines()), run.said.read_text()
        left = 1
        with (disk.folder / "another program").open("wb") as other:
            os.posix_fallocate(other.fileno(), 0, shutil.disk_usage(disk.folder).free - left * MB)
        code = run.end()
        assert code == 2, f"it ended with {code}: {run.said.read_text()}"
        said = run.sentence()
        (disk.folder / "another program").unlink()
        run.finish()
        done = f"another program leaves {left} MB of the disk (tmpfs) during: cell_score; room is made; then --resume"
        return {"done": done, "said": said, **compare(run.out, whole)}


class _Disk:
    """A small disk that a run writes to, mounted as long as the block lasts."""

    def __init__(self, run: Run, megabytes: int) -> None:
        self.run, self.megabytes, self.why_not = run, megabytes, ""
        self.folder = Path(run.options.folder).resolve() / "disk"

    def __enter__(self) -> _Disk:
        self.folder.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "tmpfs", str(self.folder)]
        done = subprocess.run(mount, capture_output=True, text=True) if os.geteuid() == 0 else None
        if done is None or done.returncode:
            self.why_not = "SKIPPED: only root can mount a tmpfs" + (
                "" if done is None else f" ({done.stderr.strip()})"
            )
            print(self.why_not, file=sys.stderr)
        self.run.out = self.folder / "out"
        return self

    def __exit__(self, *_: object) -> None:
        if not self.why_not:
            subprocess.run(["umount", str(self.folder)], check=True)


FAULTS: dict[str, Callable[[Run, Path, float], dict]] = {
    "killed": killed,
    "cancelled": cancelled,
    "a disk too small": refused,
    "a disk that fills up": filled,
    "a worker of two killed": worker_killed,
}


def compare(out: Path, whole: Path) -> dict:
    """Compare all files of two results; return what was found, and whether they are the same."""
    names, expected = (sorted(str(p.relative_to(f)) for p in f.rglob("*") if p.is_file()) for f in (out, whole))
    if names != expected:
        other = sorted(set(names) ^ set(expected))
        return {"found": f"other files: {', '.join(other[:5])}", "same": False}
    differ = [name for name in names if not _same_file(out / name, whole / name)]
    if differ:
        return {"found": f"{len(differ)} of {len(names)} files differ: {', '.join(differ[:5])}", "same": False}
    return {"found": f"identical: {len(names)} files", "same": True}


def _same_file(a: Path, b: Path) -> bool:
    if a.name == "summary.json":
        values = [json.loads(path.read_text()) for path in (a, b)]
        one, other = ({k: v for k, v in value.items() if not k.startswith("seconds")} for value in values)
        return bool(one == other)
    return _same_hdf5(a, b) if a.suffix == ".h5ad" else a.read_bytes() == b.read_bytes()


def _same_hdf5(a: Path, b: Path) -> bool:
    def contents(file: h5py.File) -> dict:
        found: dict = {}
        file.visititems(lambda name, node: found.__setitem__(name, node))
        return found

    with h5py.File(a) as one, h5py.File(b) as other:
        left, right = contents(one), contents(other)
        if left.keys() != right.keys():
            return False
        for name, node in left.items():
            twin = right[name]
            if set(node.attrs) != set(twin.attrs) or any(
                not np.array_equal(node.attrs[key], twin.attrs[key]) for key in node.attrs
            ):
                return False
            if isinstance(node, h5py.Dataset):
                x, y = node[()], twin[()]
                exact = np.asarray(x).tobytes() == np.asarray(y).tobytes() if node.dtype.kind in "fiub" else None
                if node.dtype != twin.dtype or not (np.array_equal(x, y) if exact is None else exact):
                    return False
    return True


def _segapp(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "segapp.cli", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


def report(rows: dict[str, dict], options: argparse.Namespace) -> str:
    first = rows["undisturbed"]
    chip = "a chip" if options.chip else f"a simulated section of {options.size:,} x {options.size:,} px"
    lines = [
        "# Faults during the run of a chip",
        "",
        f"`python -m benchmarks.chip_faults` ({platform.machine()}): {chip}, preset {options.preset} with "
        f"{', '.join(options.set)},",
        f"tiles of {options.tile:,} px: {first['n_cells']:,} cells, {first['n_umis']:,} UMIs, "
        f"{first['seconds']:.0f} s undisturbed",
        "(on a machine that did other things as well).",
        "",
        "Each result is compared with the undisturbed one, file by file: bytes, values of the HDF5 file, the summary",
        "without its seconds.",
        "",
        "| fault | what was done | what the user was told | result |",
        "|---|---|---|---|",
    ]
    for name, row in rows.items():
        if name != "undisturbed":
            lines.append(f"| {name} | {row['done']} | {row['said'] or 'nothing'} | {row.get('found', 'skipped')} |")
    left = [name for name in FAULTS if name not in rows]
    if left:
        lines += ["", f"Not done yet: {', '.join(left)}."]
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="scratch folder with room for the files")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--chip", help="a converted chip to take instead of a simulated one")
    parser.add_argument("--preset", default="stain+rna")
    parser.add_argument("--set", nargs="*", default=["nuclei.source=watershed"])
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), metavar="FAULT", help="some faults")
    parser.add_argument("--again", action="store_true", help="do again what was done before in this folder")
    parser.add_argument("--out", default=str(Path(__file__).parent / "CHIP_FAULTS.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
