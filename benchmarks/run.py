"""Run every stage beside the public implementation on the same input, and write RESULTS.md and results.png.

    python benchmarks/run.py --reference .venv-reference/bin/python [--sizes 0 512 1024 2048] [--only STAGE ...]

Both sides are processes of their own and never work at the same time; they take turns stage by stage, so that a ratio
compares minutes of the same machine. What was measured at a size is kept in results/stages_SIZE.json, and RESULTS.md
is written from all of these files: sizes and stages can be measured one after the other.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import report
from agreement import AGREEMENT, REAL
from worker import Inputs

HERE = Path(__file__).parent
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Side:
    """A process that runs stages on request; it is started again when it has died."""

    def __init__(self, name: str, python: str, threads: int, log: Path) -> None:
        self.name, self.python, self.log = name, python, log
        self.environment = os.environ | dict.fromkeys(THREAD_LIMITS, str(threads))
        self.process: subprocess.Popen[str] | None = None

    def ask(self, **job: Any) -> dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [self.python, str(HERE / "worker.py"), self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log.open("a"),
                text=True,
                env=self.environment,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"the process ended with code {self.process.wait()}"}
        return json.loads(line)

    def stop(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait()


@dataclass
class Row:
    """One stage at one size."""

    stage: str
    size: int
    ours: dict[str, Any]
    reference: dict[str, Any]
    agreement: str = ""

    @property
    def ratio(self) -> float | None:
        if "error" in self.ours or "error" in self.reference:
            return None
        return self.reference["seconds"] / self.ours["seconds"]


@dataclass
class Measured:
    """All that the report needs."""

    rows: list[Row] = field(default_factory=list)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)

    def keep(self, folder: Path) -> None:
        """Write one file a size; stages that were measured before and not now stay in it."""
        folder.mkdir(parents=True, exist_ok=True)
        about = {"versions": self.versions, "machine": self.machine}
        for size in sorted({row.size for row in self.rows}):
            path = folder / f"stages_{size}.json"
            stages = {row.stage: {"about": about} | asdict(row) for row in self.rows if row.size == size}
            if path.exists():
                stages = json.loads(path.read_text()) | stages
            ordered = {stage: stages[stage] for stage in AGREEMENT if stage in stages}
            path.write_text(json.dumps(ordered, indent=1) + "\n")

    @classmethod
    def kept(cls, folder: Path) -> "Measured":
        """Read all files; where machine or versions differ between them, every one is named."""
        measured, abouts = cls(), []
        for path in sorted(folder.glob("stages_*.json")):
            for row in json.loads(path.read_text()).values():
                abouts.append(row.pop("about"))
                measured.rows.append(Row(**row))
        measured.machine = _together(about["machine"] for about in abouts)
        for side in ("ours", "reference"):
            measured.versions[side] = _together(about["versions"][side] for about in abouts)
        return measured


def _together(many: Iterable[dict[str, str]]) -> dict[str, str]:
    found: dict[str, dict[str, None]] = {}
    for one in many:
        for key, value in one.items():
            found.setdefault(key, {})[value] = None
    return {key: " or ".join(values) for key, values in found.items()}


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="segapp-bench-") as temporary:
        log = Path(temporary) / "log.txt"
        ours = Side("ours", sys.executable, options.threads, log)
        reference = Side("reference", options.reference, options.threads, log)
        measured = Measured(machine=_machine() | {"threads": str(options.threads)})
        try:
            for side in (ours, reference):
                answer = side.ask(stage="versions", folder=temporary)
                if "error" in answer:
                    print(log.read_text(), file=sys.stderr)
                    print(f"the side {side.name} does not start with {side.python}: {answer['error']}", file=sys.stderr)
                    return 1
                measured.versions[side.name] = answer
            for size in options.sizes:
                folder = Path(temporary) / str(size)
                folder.mkdir()
                prepared = ours.ask(stage="prepare", folder=str(folder), size=size)
                if "error" in prepared:
                    print(log.read_text(), file=sys.stderr)
                    return 1
                for stage in _stages(size, options.only):
                    row = _measure(stage, size, folder, ours, reference, options)
                    measured.rows.append(row)
                    print(report.line(row), flush=True)
                measured.keep(options.out / "results")
        finally:
            ours.stop()
            reference.stop()
        if any("error" in row.ours for row in measured.rows):
            print(log.read_text(), file=sys.stderr)
    report.write(Measured.kept(options.out / "results"), options.out)
    print(f"written: {options.out / 'RESULTS.md'}, {options.out / 'results.png'}")
    return int(any("error" in row.ours for row in measured.rows))


def _stages(size: int, only: list[str] | None) -> list[str]:
    there = AGREEMENT if size else REAL
    return [stage for stage in only or there if stage in there]


def _measure(stage: str, size: int, folder: Path, ours: Side, reference: Side, options: argparse.Namespace) -> Row:
    job = {"stage": stage, "folder": str(folder), "repeats": options.repeats, "budget": options.budget}
    row = Row(stage, size, ours.ask(**job), reference.ask(**job))
    if row.ratio is not None:
        inputs = Inputs(folder)
        results = [
            {key: inputs[f"{stage}.{side.name}.{key}"] for key in figures["results"]}
            for side, figures in ((ours, row.ours), (reference, row.reference))
        ]
        row.agreement = (AGREEMENT if size else REAL)[stage](inputs, *results)
    return row


def _machine() -> dict[str, str]:
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {"processor": model, "cores": str(os.cpu_count()), "system": f"{platform.system()} {platform.machine()}"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True, metavar="PYTHON", help="interpreter that has the reference")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[0, 512, 1024, 2048],
        metavar="PX",
        help="side of the tissue; 0 is the bundled Stereo-seq section, real counts",
    )
    parser.add_argument("--repeats", type=int, default=5, help="warm calls of a stage; the median counts")
    parser.add_argument("--budget", type=float, default=4.0, metavar="SECONDS", help="time for the repeats")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of either side")
    parser.add_argument("--only", nargs="+", choices=sorted(AGREEMENT), metavar="STAGE", help="measure these stages")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where RESULTS.md and results.png go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
