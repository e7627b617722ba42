"""Keydown to the first frame whose pixels differ, in a real browser, against Voila and JupyterLab.

The sample is `tissue` with the preset stain+rna. Four controls are pressed, one press at a time, at least 400 ms apart
and only when nothing is computed any more: the k of the cell score (EM+BP within density levels), the threshold of the
cell mask, the smallest area, and the opacity of the outlines, which the page changes by itself.

total      keydown to the first frame in which pixels of the panel differ
compute    what the kernel told of its stages up to the picture of that frame: the first look where one came first
transport  total of presses between two values whose results are kept: the same way, nothing is computed

    python -m benchmarks.latency                              # 1024 px in both kinds of page, 4096 px in Voila
    python -m benchmarks.latency --sizes 1024 --where voila --presses 5
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import TimeoutError as Late

from benchmarks.pressing import APART_MS, Desk
from segapp.app import server
from segapp.io.samples import write_sample
from tests.ui.lab import lab
from tests.ui.page import LABELS, SCORE, STAIN, visit

HERE = Path(__file__).parent
PATIENCE_S = 180
OPENING_S = 600

# beside the app, in its kernel: when a stage ends, or a first look is there, and what it took
TIMES = """
import json, os, time
from segapp.pipeline import session as _session

_log, _preview = open(os.environ["SEGAPP_TIMES"], "a", buffering=1), _session.preview

def _note(event, stage, seconds):
    _log.write(json.dumps({"at": time.time(), "event": event, "stage": stage, "seconds": seconds}) + chr(10))

def _timed(snapshot, store, stage, *more):
    began = time.perf_counter()
    found = _preview(snapshot, store, stage, *more)
    if found is not None:
        _note("looked", stage, time.perf_counter() - began)
    return found

_session.preview = _timed
app.session.events.finished.connect(lambda stage, seconds: _note("finished", stage, seconds))
"""


def spread(times):
    """Return median and 95th percentile of the presses that changed something, in ms."""
    found = sorted(time for time in times if time is not None)
    if not found:
        return {}
    return {
        "median_ms": round(statistics.median(found), 1),
        "p95_ms": round(found[min(len(found) - 1, int(0.95 * len(found)))], 1),
    }


def compute_of(told, stage, last):
    """Return (kernel's ms up to the first picture, whether that was a first look)."""
    spent = 0.0
    for entry in told:
        spent += 1e3 * entry["seconds"]
        if entry["event"] == "looked" and entry["stage"] in (stage, last):
            return spent, True
        if entry["event"] == "finished" and entry["stage"] == last:
            return spent, False
    return None, False


def describe(found, stage, last, kept, waits):
    """Return the figures of one control."""
    times = [waited for waited, _ in found]
    computes = [compute_of(told, stage, last) for _, told in found]
    looks = sum(look for _, look in computes)
    transport = [waited for waited, told in kept if not told]
    return {
        "presses": len(times),
        "without_change": sum(waited is None for waited in times),
        "first_looks": looks,
        "paused_itself": waits,
        "first_press_ms": None if not times or times[0] is None else round(times[0], 1),
        "total": spread(times),
        "compute": spread([ms for ms, _ in computes]),
        "transport": spread(transport),
        "in_order_ms": [None if t is None else round(t, 1) for t in times],
    }


def measure(desk):
    """Return the figures of every control."""
    figures = {}
    arrows, pages = ("ArrowRight", "ArrowLeft"), ("PageUp", "PageDown")
    for name, stage, parameter, panel, last, keys, start, again in (
        ("k of the cell score", "cell_score", "k", SCORE, "cell_score", arrows, None, desk.forget_scores()),
        ("threshold", "cell_mask", "threshold", LABELS, "limits", arrows, None, None),
        # by 5 px² a press, from where there are cells to lose
        ("smallest area", "limits", "min_area", LABELS, "limits", pages, 380, desk.forget_limits()),
    ):
        desk.waits = False
        kept = desk.to_and_fro(stage, parameter, panel, keys=keys, start=start)
        # where k has paused itself, its first look is shown all the same
        follow = stage != "cell_score"
        found = desk.sweep(stage, parameter, panel, keys=keys, start=start, follow=follow, again=again)
        figures[name] = describe(found, stage, last, kept, desk.waits)
        print(name, {key: value for key, value in figures[name].items() if key != "in_order_ms"}, flush=True)
    desk.page.locator(".sg-canvas-bar").get_by_role("button", name="Layers").click()
    desk.page.locator(".sg-opacity").first.wait_for()
    desk.page.locator(".sg-opacity").first.focus()
    found, deadline = [], time.monotonic() + desk.seconds
    while len(found) < desk.presses and time.monotonic() < deadline:
        key = "ArrowLeft" if (len(found) // 20) % 2 == 0 else "ArrowRight"
        found.append(desk.press(key, STAIN, told=False))
    figures["opacity"] = describe(found, "", "", [], False)
    print("opacity", figures["opacity"]["total"], flush=True)
    return figures


@contextmanager
def voila(section, folder):
    """Serve the app with a notebook that also writes times; yield how to show it."""
    page = folder / "timed.ipynb"
    page.write_text(json.dumps(notebook(["import segapp", "app = segapp.show()", TIMES, "app"])))
    plain, server.notebook = server.notebook, lambda: page
    try:
        files = {"gem": section / "tissue.gem.gz", "stain": section / "stain.tif"}
        served = server.start(port=server.free_port(), out=folder, **files)
    finally:
        server.notebook = plain
    try:
        yield lambda seen: seen.page.goto(served.link)
    finally:
        served.stop()


@contextmanager
def jupyterlab(section, folder):
    """Serve a notebook with the app; yield how to show it."""
    words = [str(section / "tissue.gem.gz"), str(section / "stain.tif")]
    with lab(
        ["import segapp", f"app = segapp.show({', '.join(map(repr, words))})", TIMES, "app"], folder, folder
    ) as to:
        yield lambda seen: run_notebook(seen, to)


def run_notebook(seen, address):
    """Open a notebook and run it; a dialog that JupyterLab comes with on a busy machine is accepted."""
    page = seen.page
    page.goto(address)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    deadline = time.monotonic() + PATIENCE_S
    while not page.locator(".sg-canvas").count():
        if time.monotonic() > deadline:
            raise SystemExit("JupyterLab did not run the notebook")
        try:
            for button in page.locator(".jp-Dialog .jp-mod-accept").all():
                button.click(timeout=2000)
            prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
            if not any(mark in prompt for prompt in prompts for mark in "*123456789"):
                page.locator(".lm-MenuBar-item", has_text="Run").first.click(timeout=2000)
                page.locator("[data-command='runmenu:run-all']").click(timeout=2000)
        except Late:
            page.keyboard.press("Escape")  # a dialog or a menu was in the way
        page.wait_for_timeout(1500)
    page.locator(".sg-canvas[data-frames]").wait_for()
    page.locator(".segapp").scroll_into_view_if_needed()


def notebook(cells):
    """Return a notebook with these cells."""
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
    )


PAGES = {"voila": ("Voilà", voila), "lab": ("JupyterLab", jupyterlab)}


def one(where, size, section, folder, options):
    """Return the figures of one kind of page at one size."""
    times = folder / "times.jsonl"
    times.touch()
    os.environ["SEGAPP_TIMES"] = str(times)
    began = time.perf_counter()
    with PAGES[where][1](section, folder) as go, visit(1440, 900) as seen:
        go(seen)
        seen.page.wait_for_selector(".sg-canvas[data-frames]", timeout=1e3 * OPENING_S)
        first = time.perf_counter() - began
        seen.until("the cells", lambda: seen.cells() is not None, OPENING_S)
        seen.until("the work to end", seen.idle, OPENING_S)
        seen.until_idle()
        ready = time.perf_counter() - began
        print(f"{where}, {size} px: first frame {first:.1f} s, all stages {ready:.1f} s", flush=True)
        figures = measure(Desk(seen, times, options.presses, options.seconds))
        if options.shot is not None:
            seen.page.screenshot(path=options.shot)
    whole = time.perf_counter() - began
    return {
        "where": where,
        "size_px": size,
        "first_frame_s": round(first, 1),
        "all_stages_s": round(ready, 1),
        "whole_s": round(whole, 1),
        "controls": figures,
    }


def report(figures):
    """Return the figures as a page of Markdown."""

    def ms(value):
        return "" if value is None else f"{value:.0f}"

    lines = [
        "# From a key to the first changed frame",
        "",
        f"`benchmarks/latency.py` on {figures['machine']}, {figures['cores']} cores, software rendering, load "
        f"{figures['load_at_start']} at the start and {figures['load_at_end']} at the end; Chromium headless at "
        f"1440 x 900, sample `tissue`, preset stain+rna. Presses at least {APART_MS} ms apart, each when nothing is "
        "computed any more. Milliseconds.",
        "",
        "Total: keydown to the first frame whose pixels differ. Compute: the kernel's time for its stages up to that "
        "picture. Transport: total of presses between two values whose results are kept; the same way, nothing is "
        "computed. First: the first press of the series. Nothing of opacity leaves the page.",
    ]
    for run in figures["runs"]:
        title = PAGES[run["where"]][0]
        lines += [
            "",
            f"## {title}, {run['size_px']} x {run['size_px']} px",
            "",
            f"First frame of the page after {run['first_frame_s']} s, all stages after {run['all_stages_s']} s.",
            "",
            "| control | presses | transport, median | compute, median | total, median | total, p95 "
            "| over transport | first | shown first |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for name, row in run["controls"].items():
            total, transport = row["total"].get("median_ms"), row["transport"].get("median_ms")
            over = None if total is None or transport is None else total - transport
            changed = row["presses"] - row["without_change"]
            shown = f"first look ({row['first_looks']} of {changed})" if row["first_looks"] else "full"
            if row["paused_itself"]:
                shown += ", as slow it waits for Update" if row["first_looks"] else ", Always follow"
            presses = f"{changed}" + (f" (of {row['presses']})" if row["without_change"] else "")
            lines.append(
                f"| {name} | {presses} | {ms(transport)} | {ms(row['compute'].get('median_ms'))} | {ms(total)} "
                f"| {ms(row['total'].get('p95_ms'))} | {ms(over)} | {ms(row['first_press_ms'])} | {shown} |"
            )
    return "\n".join(lines) + "\n"


def main():
    """Serve the sample, measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[1024, 4096])
    parser.add_argument("--where", type=lambda text: text.split(","), default=list(PAGES), help="voila,lab")
    parser.add_argument("--presses", type=int, default=50, help="presses a control")
    parser.add_argument("--seconds", type=float, default=40.0, help="longest time for the presses of one control")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "latency.json")
    parser.add_argument("--page", type=Path, default=HERE / "LATENCY.md")
    parser.add_argument("--shot", type=Path, help="where to keep a screenshot of the page at the end")
    options = parser.parse_args()
    if not set(options.where) <= set(PAGES):
        parser.error(f"--where takes {', '.join(PAGES)}")
    # a large section is measured in Voila alone, where that is among the pages
    runs = [
        (where, size)
        for size in options.sizes
        for where in options.where
        if size == min(options.sizes) or where == "voila" or "voila" not in options.where
    ]
    figures = {"machine": platform.machine(), "cores": os.cpu_count(), "load_at_start": round(os.getloadavg()[0], 2)}
    figures["runs"] = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SEGAPP_STATE"] = str(Path(scratch) / "state")
        for where, size in runs:
            section = Path(scratch) / f"section-{size}"
            if not section.is_dir():
                write_sample("tissue", section, size=size, seed=0)
            folder = Path(scratch) / f"{where}-{size}"
            folder.mkdir()
            figures["runs"].append(one(where, size, section, folder, options))
    figures["load_at_end"] = round(os.getloadavg()[0], 2)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")
    options.page.write_text(report(figures))
    print(f"written to {options.page} and {options.out}")


if __name__ == "__main__":
    main()
