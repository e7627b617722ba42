"""From the address to the first picture and the first cells, in a real browser, cold and preheated; peak memory.

Cold: `segapp app` runs, and no kernel does. Preheated: a kernel waits with everything computed (``--preheat 1``). The
sample is `tissue`, 1024 x 1024 px, with the preset that the app chooses for it. Seconds count from the moment at which
the browser is told the address. A picture counts when its panel shows several colours.

    python -m benchmarks.opening                # three openings of each kind; writes benchmarks/OPENING.md
    python -m benchmarks.opening --times 1 --out -
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from segapp.app.server import free_port, start
from tests.ui.page import RNA, STAIN, visit

# runs in the page from its beginning and notes when each thing is there first; it looks at a few pixels only
WATCH = """(() => {
  const seen = window.opening = {};
  const note = name => { seen[name] ??= performance.now() / 1000; };
  const canvases = root => [...root.querySelectorAll("*")].flatMap(node =>
    [...(node.tagName === "CANVAS" ? [node] : []), ...(node.shadowRoot ? canvases(node.shadowRoot) : [])]);
  const colours = panel => {
    const box = document.querySelectorAll(".sg-caption-cell")[panel]?.getBoundingClientRect();
    const host = document.querySelector(".sg-canvas-host");
    if (!box || !host) return 0;
    return Math.max(0, ...canvases(host).map(canvas => {
      const place = canvas.getBoundingClientRect();
      if (canvas.width < 50 || Math.abs(place.left - box.left) > 12 || Math.abs(place.top - box.top) > 12) return 0;
      const { data } = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 40, 40);
      return new Set(new Uint32Array(data.buffer)).size;
    }));
  };
  const look = () => {
    if (document.querySelector(".sg-header")?.offsetHeight) note("page");
    if (!seen.stain && colours(STAIN) > 8) note("stain");
    if (!seen.rna && colours(RNA) > 2) note("rna");
    if (document.querySelector(".sg-n-preview")) note("preview");
    if (document.querySelector(".sg-n-cells")) { note("preview"); note("cells"); }
    const cancel = document.querySelector(".sg-cancel");
    const rests = cancel?.disabled && !document.querySelector(".sg-caption.sg-busy");
    if (seen.stain && seen.rna && seen.cells && rests) note("done");
    if (!seen.done) setTimeout(look, 50);
  };
  document.addEventListener("DOMContentLoaded", look);
})()""".replace("STAIN", str(STAIN)).replace("RNA", str(RNA))

THINGS = {
    "page": "page frame",
    "stain": "stain drawn",
    "rna": "RNA drawn",
    "preview": "first cells, nuclei by watershed",
    "cells": "cells with the network",
    "done": "everything computed",
}
READY_S = 300
"""Longest time for which a preheated kernel is waited for."""


def kernels(server: int) -> list[int]:
    """Return the kernels that a server has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == server and b"ipykernel" in command:
                found.append(int(entry.name))
    return found


def peak_mb(pid: int) -> float:
    """Return the largest memory that a process has held."""
    (line,) = [row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def processor_s(pid: int) -> float:
    """Return the seconds of processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_quiet(server: int) -> None:
    """Wait until the kernels of a server have started and take no time of the processor any more."""
    deadline, before, since = time.monotonic() + READY_S, -1.0, time.monotonic()
    while time.monotonic() < deadline:
        now = sum(processor_s(pid) for pid in kernels(server))
        if now - before > 0.05 or now < 1:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > 4:
            return
        time.sleep(0.5)
    raise SystemExit(f"the preheated kernel was not ready within {READY_S} s")


def opening(sample: str, preheat: bool) -> dict[str, float]:
    """Serve the app, open it once, and return what it took."""
    served = start(sample=sample, port=free_port(), preheat=int(preheat))
    try:
        if preheat:
            until_quiet(served.process.pid)
        waiting = kernels(served.process.pid)
        spent = sum(processor_s(pid) for pid in waiting)
        with visit(1440, 900) as seen:
            seen.page.add_init_script(WATCH)
            seen.page.goto(served.link, wait_until="commit")
            seen.page.wait_for_function("window.opening?.done !== undefined", timeout=READY_S * 1000)
            found: dict[str, float] = seen.page.evaluate("window.opening")
            # the one that serves this page; the pool starts another for the next visitor
            (kernel,) = waiting or kernels(served.process.pid)
            found["processor"] = processor_s(kernel) - spent
            seen.page.wait_for_timeout(3000)  # the scorecard is counted after a rest
            found["peak"] = peak_mb(kernel)
        return found
    finally:
        served.stop()


def table(found: dict[str, list[dict[str, float]]], sample: str) -> str:
    """Return the figures as Markdown: median and, in brackets, the largest."""
    head = ["", *(f"{title}, s" for title in THINGS.values()), "processor of the kernel, s", "peak of the kernel, MB"]
    lines = [
        "# Opening the app",
        "",
        f"Seconds from the address to what is seen, in Chromium at 1440 x 900, sample `{sample}`; median of "
        f"{len(next(iter(found.values())))} openings, in brackets the largest. Written by `benchmarks/opening.py` on a "
        f"machine with {os.cpu_count()} processors; drawing is done by software.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for kind, runs in found.items():
        cells = []
        for name in (*THINGS, "processor", "peak"):
            values = [run[name] for run in runs]
            digits = 0 if name == "peak" else 1
            cells.append(f"{statistics.median(values):,.{digits}f} ({max(values):,.{digits}f})")
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", default="tissue")
    parser.add_argument("--times", type=int, default=3, help="openings of each kind")
    parser.add_argument("--kinds", nargs="+", default=["cold", "preheated"], choices=["cold", "preheated"])
    parser.add_argument("--out", default=str(Path(__file__).with_name("OPENING.md")), help="- prints only")
    chosen = parser.parse_args()
    found = {kind: [opening(chosen.sample, kind == "preheated") for _ in range(chosen.times)] for kind in chosen.kinds}
    text = table(found, chosen.sample)
    print(text)
    if chosen.out != "-":
        Path(chosen.out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
