"""`make fuzz`: 10,000 hostile inputs for functions under 5 ms, 300 for the others, 10 s a call at most.

Every function runs in a process of its own, so that a crash or a hang of one is a verdict and not the end.
"""

import argparse
import faulthandler
import importlib
import multiprocessing
import multiprocessing.connection
import os
import pkgutil
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

import segapp.core
from tests.fuzz.cases import CASES
from tests.fuzz.harness import SLOWEST, inputs, public_functions, run_example

QUICK = 0.005
"""Seconds of a processor, in the middle of 100 calls, below which a function gets the many examples."""

MANY, FEW = 10_000, 300
STUCK = 300.0
"""Seconds by the clock for one example: nothing that goes on takes as long, however busy the machine is."""

COMPILING = 120.0
"""Seconds of a processor for one of the first examples of a function, which compile and import."""

HEAD = f"{'function':44} {'examples':>8} {'slowest':>10}  verdict"

TWICE_EVERY = 8
"""Of the many examples, every so many is run twice to see that the result is the same."""


def fuzz(name: str, examples: int, start: int, most_seconds: float, told: Any) -> None:
    """Run the examples of one function in this process; tell how far it came and what went wrong."""
    faulthandler.enable()
    # a kernel hears no exception: these signals end the process and say where it was
    faulthandler.register(signal.SIGPROF, chain=True)
    faulthandler.register(signal.SIGALRM, chain=True)
    function, case = public_functions()[name], CASES[name]
    state = {"done": 0, "slowest": 0.0, "runs": start}
    times: list[float] = []

    def run(count: int, *, warm: bool = False) -> None:
        state["runs"] += 1

        @seed(int(state["runs"]))
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        @given(inputs(case))
        def body(made: Any) -> None:
            # time of a processor, so that other programs make nothing hang; by the clock, for what waits for ever
            signal.setitimer(signal.ITIMER_PROF, COMPILING if warm else 2 * SLOWEST + 5)
            signal.setitimer(signal.ITIMER_REAL, STUCK)
            try:
                twice = state["done"] % TWICE_EVERY == 0 or warm
                seconds = run_example(function, case, made, twice=twice, timed=not warm)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.setitimer(signal.ITIMER_REAL, 0)
            if not warm:
                state["done"] += 1
                state["slowest"] = max(state["slowest"], seconds)
                times.append(seconds)

        body()

    try:
        run(20, warm=True)  # compiling and importing are not the function's time
        run(min(100, examples))
        total = min(MANY if statistics.median(times) < QUICK else FEW, examples)
        began = time.monotonic()
        while state["done"] < total and time.monotonic() - began < most_seconds:
            run(min(500, total - state["done"]))
        verdict, text = ("ok" if state["done"] >= total else "TIME IS UP"), ""
    except BaseException:
        verdict, text = "FAILED", traceback.format_exc()
    told.send((state["done"], state["slowest"], verdict, text))


def compile_kernels() -> None:
    """Fill the cache of compiled kernels: a fresh copy compiles for minutes, which no function is judged by."""
    for info in pkgutil.walk_packages(segapp.core.__path__, "segapp.core."):
        if not info.name.startswith("segapp.core.engines"):
            module = importlib.import_module(info.name)
            getattr(module, "warm", lambda: None)()


Verdict = tuple[str, int, float, str, str]
"""Name of a function, examples that ran, seconds of the slowest, verdict, and what was said."""


def judge(names: list[str], jobs: int, *limits: Any) -> Iterator[Verdict]:
    """Run each function in a process of its own, so many at a time; tell of each when it ends."""
    context = multiprocessing.get_context("fork")
    waiting = list(reversed(names))
    running: dict[Any, tuple[str, Any]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop()
            hears, told = context.Pipe(duplex=False)
            process = context.Process(target=fuzz, args=(name, *limits, told))
            process.start()
            told.close()
            running[hears] = (name, process)
        for hears in multiprocessing.connection.wait(list(running)):
            name, process = running.pop(hears)
            try:
                found = hears.recv()
            except EOFError:
                process.join()
                hung = process.exitcode in (-signal.SIGALRM, -signal.SIGPROF)
                found = (0, SLOWEST, "HANG" if hung else f"CRASH (exit code {process.exitcode})", "")
            process.join()
            yield name, *found


def main() -> int:
    """Fuzz the chosen functions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of functions; all by default")
    parser.add_argument("--examples", type=int, default=MANY, help=f"at most so many ({MANY:,})")
    parser.add_argument("--seconds", type=float, default=600.0, help="most for one function (600)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="functions at a time (one a processor)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for the table, written as it grows")
    parser.add_argument(
        "--resume", action="store_true", help="keep the functions of --out that were ok, go on from there"
    )
    options = parser.parse_args()
    names = sorted(set(public_functions()) & set(CASES))
    if options.names:
        names = [name for name in names if any(part in name for part in options.names)]
    kept = options.out.read_text(encoding="utf-8").splitlines() if options.resume and options.out.exists() else []
    rows = {row.split()[0]: row for row in kept if row.endswith("  ok") and row.split()[0] in names}
    print("\n".join([HEAD, *rows.values()]), flush=True)
    # in a process of its own: threads that OpenCV starts here would be missing in the processes of the functions
    first = multiprocessing.get_context("fork").Process(target=compile_kernels)
    first.start()
    first.join()
    failed = 0
    todo = [name for name in names if name not in rows]
    for name, done, slowest, verdict, text in judge(
        todo, options.jobs, options.examples, options.seed, options.seconds
    ):
        rows[name] = f"{name:44} {done:8,} {1e3 * slowest:7.1f} ms  {verdict}"
        print(rows[name], flush=True)
        if verdict != "ok":
            failed += 1
            print(text, file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text("\n".join([HEAD, *rows.values()]) + "\n", encoding="utf-8")
    print(f"{len(rows)} of {len(names)} functions, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
