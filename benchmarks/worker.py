"""One side of the benchmark: a process that runs stages on request and says how long they took.

A request is one JSON line on standard input, the answer one JSON line on standard output. Arrays go through ``.npy``
files in a folder. It needs numpy and OpenCV alone, so that it runs in the environment of either side.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Results = dict[str, Any]


class Inputs:
    """The arrays of a folder, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", allow_pickle=False)

    def save(self, **arrays: np.ndarray) -> None:
        for name, array in arrays.items():
            np.save(self.folder / f"{name}.npy", array, allow_pickle=False)


def measure(call: Callable[[], Results], repeats: int, budget: float) -> tuple[Results, dict[str, Any]]:
    """Call once, which compiles and fills caches, then up to `repeats` times within `budget` s.

    A call that takes longer than that by itself is not repeated: its only time counts, and ``runs`` is 0.
    """
    gc.collect()
    before = _restart_peak()
    result, first = _timed(call)
    peak = None if before is None else max(0, _memory("VmHWM") - before)
    times: list[float] = []
    while len(times) < repeats and (sum(times) if times else first) < budget:
        result, seconds = _timed(call)
        times.append(seconds)
    return result, {
        "seconds": float(np.median(times or [first])),
        "first": first,
        "runs": len(times),
        "peak": peak,
    }


def _timed(call: Callable[[], Results]) -> tuple[Results, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def _memory(field: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _restart_peak() -> int | None:
    """Set the peak of this process back to what it holds now (Linux); None where that cannot be done."""
    try:
        # what earlier stages freed goes back to the system first, or this one would use it unseen
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as switch:
            switch.write("5")
        return _memory("VmRSS")
    except (OSError, AttributeError):
        return None


def answer(side: Any, job: dict[str, Any], name: str) -> dict[str, Any]:
    inputs = Inputs(Path(job["folder"]))
    if job["stage"] == "versions":
        return {"python": platform.python_version()} | {name: version(name) for name in side.PACKAGES}
    if job["stage"] == "prepare":
        side.prepare(inputs, job["size"])
        return {}
    call = getattr(side, job["stage"])(inputs)
    result, figures = measure(call, job["repeats"], job["budget"])
    inputs.save(**{f"{job['stage']}.{name}.{key}": np.asarray(value) for key, value in result.items()})
    return figures | {"results": sorted(result)}


def main(name: str) -> None:
    # libraries print what they like: the answers keep the real standard output for themselves
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import cv2  # takes no part in OMP_NUM_THREADS

    cv2.setNumThreads(int(os.environ["OMP_NUM_THREADS"]))
    side = importlib.import_module(f"side_{name}")
    for line in sys.stdin:
        try:
            reply = answer(side, json.loads(line), name)
        except Exception as error:  # one stage that fails must not end the others; run.py shows the cause
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        with contextlib.suppress(BrokenPipeError):
            channel.write(json.dumps(reply) + "\n")
            channel.flush()


if __name__ == "__main__":
    main(sys.argv[1])
