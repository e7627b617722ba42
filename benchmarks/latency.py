"""Keydown to the first frame whose pixels differ, in a real browser, against Voila and JupyterLab.

The sample is `tissue` with the preset stain+rna. Four controls are pressed, one press at a time, at least 400 ms apart
and only when nothing is computed any more: the k of the cell score (EM+BP within density levels), the threshold of the
cell mask, the smallest area, and the opacity of the outlines, which the page changes by itself.

total      keydown to the first frame in which pixels of the panel differ
compute    what the kernel told of its stages up to the picture of that frame: the first look where one came first
transport  total of presses between two values whose results are kept: the same way, nothing is computed

    python benchmarks/latency.py                              # 1024 px in both kinds of page, 4096 px in Voila
    python benchmarks/latency.py --sizes 1024 --where voila --presses 5
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

from segapp.app import server
from segapp.io.samples import write_sample
from tests.ui.lab import lab, show
from tests.ui.page import LABELS, SCORE, STAIN, visit

HERE = Path(__file__).parent

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

# the margin of a panel is left out: there the edge of the image is blended anew at every painting
ARM = """([panel, patience, told]) => {
  const canvases = [];
  const walk = root => root.querySelectorAll("*").forEach(node => {
    if (node.tagName === "CANVAS") canvases.push(node);
    if (node.shadowRoot) walk(node.shadowRoot);
  });
  walk(document.querySelector(".sg-canvas-host"));
  const box = document.querySelectorAll(".sg-caption-cell")[panel].getBoundingClientRect();
  const here = canvases.filter(canvas => {
    const place = canvas.getBoundingClientRect();
    return canvas.width >= 50 && Math.abs(place.left - box.left) < 12 && Math.abs(place.top - box.top) < 12;
  });
  const pixels = () => here.map(canvas => {
    const [w, h] = [canvas.width, canvas.height];
    const { data } = canvas.getContext("2d").getImageData(w * 0.1, h * 0.1, w * 0.8, h * 0.8);
    const words = new Uint32Array(data.buffer);
    let hash = 7;
    for (let i = 0; i < words.length; i++) hash = (Math.imul(hash, 31) + words[i]) | 0;
    return hash;
  }).join();
  // no pixel changes before a message has come: until then nothing is read back, which would slow the machine down
  const views = document.querySelector(".sg-canvas");
  const messages = () => views.dataset.serial;
  const before = pixels(), known = messages();
  window.changed = new Promise(resolve => {
    document.addEventListener("keydown", () => {
      const began = window.pressed = performance.now();
      const look = () => {
        const waited = performance.now() - began;
        if ((!told || messages() !== known) && pixels() !== before) resolve(performance.now() - began);
        else if (waited > patience) resolve(null);
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, { capture: true, once: true });
  });
}"""

# rested: no panel waits, nothing can be cancelled, and no message came for a while
SETTLE = """([pause, quiet]) => new Promise(resolve => {
  const views = document.querySelector(".sg-canvas");
  let serial = views.dataset.serial, since = performance.now();
  const look = () => {
    const now = performance.now();
    const busy = document.querySelector(".sg-caption.sg-busy") || !document.querySelector(".sg-cancel").disabled;
    if (busy || views.dataset.serial !== serial) { serial = views.dataset.serial; since = now; }
    if (now - since >= quiet && now - (window.pressed ?? 0) >= pause) resolve();
    else setTimeout(look, 20);
  };
  look();
})"""

APART_MS = 400
QUIET_MS = 300
PATIENCE_MS = 4000


class Desk:
    """A page, and what its kernel tells."""

    def __init__(self, seen, times, presses, seconds):
        self.seen, self.page, self.times = seen, seen.page, times
        self.presses, self.seconds = presses, seconds
        self.waits = False

    def settle(self, *, follow=True):
        """Wait until all is at rest; a stage that has paused itself is followed all the same, where asked."""
        self.page.evaluate(SETTLE, [APART_MS, QUIET_MS])
        line = self.page.locator(".sg-slow:visible")
        if line.count():
            self.waits = True
            if follow:
                line.get_by_role("button", name="Always follow").click()
                self.page.wait_for_timeout(500)
                self.page.evaluate(SETTLE, [APART_MS, QUIET_MS])

    def press(self, key, panel, *, told=True, follow=True):
        """Press a key; return (ms to the first changed frame or None, what the kernel told until then)."""
        heard = self.times.stat().st_size
        self.page.evaluate(ARM, [panel, PATIENCE_MS, told])
        self.page.keyboard.press(key)
        waited = self.page.evaluate("() => window.changed")
        self.settle(follow=follow)
        with self.times.open() as log:
            log.seek(heard)
            return waited, [json.loads(line) for line in log]

    def open_card(self, stage):
        """Open the card of a stage."""
        title = self.page.locator(f".sg-stage-{stage} .sg-card-title")
        if "sg-open" not in (title.get_attribute("class") or ""):
            title.click()
        self.page.locator(f".sg-stage-{stage} .sg-control").first.wait_for()

    def sweep(self, stage, parameter, panel, *, keys, start=None, follow=True, again=None):
        """Walk a slider up and down; `again` makes earlier results unknown at each end."""
        self.open_card(stage)
        handle = self.page.locator(f".sg-stage-{stage} .sg-knob-{parameter} .noUi-handle")
        if start is not None:
            self.put(stage, parameter, start)
            self.settle(follow=follow)
        handle.focus()
        (up, down), found, turns = keys, [], 0
        key = up
        deadline = time.monotonic() + self.seconds
        while len(found) < self.presses and time.monotonic() < deadline:
            value = handle.get_attribute("aria-valuenow")
            if value == handle.get_attribute("aria-valuemax" if key == up else "aria-valuemin"):
                turns += 1
                if again is not None:
                    again(turns)
                    self.settle(follow=follow)
                key = down if key == up else up
                handle.focus()
            found.append(self.press(key, panel, follow=follow))
        return found

    def put(self, stage, parameter, value):
        """Write a value into the box of a parameter."""
        box = self.page.locator(f".sg-stage-{stage} .sg-knob-{parameter} input[type=number]")
        box.fill(str(value))
        box.press("Enter")
        self.page.wait_for_timeout(500)

    def to_and_fro(self, stage, parameter, panel, *, keys, start=None):
        """Go between two values whose results are kept."""
        self.open_card(stage)
        up, down = keys
        if start is not None:
            self.put(stage, parameter, start)
            self.settle(follow=False)
        self.page.locator(f".sg-stage-{stage} .sg-knob-{parameter} .noUi-handle").focus()
        for key in (up, down):
            self.page.keyboard.press(key)
            self.settle(follow=False)
            update = self.page.locator(".sg-slow:visible").get_by_role("button", name="Update")
            if update.count():
                update.click()
                self.page.wait_for_timeout(500)
                self.settle(follow=False)
        self.page.locator(f".sg-stage-{stage} .sg-knob-{parameter} .noUi-handle").focus()
        found, deadline = [], time.monotonic() + self.seconds / 3
        while len(found) < max(self.presses // 3, 4) and time.monotonic() < deadline:
            found.append(self.press(down if len(found) % 2 else up, panel, follow=False))
        return found

    def forget_scores(self):
        """Return what makes every kept score unknown: another limit of the rounds, which changes no result."""

        def again(turn):
            box = self.page.locator(".sg-stage-cell_score .sg-knob-em_max_iter input[type=number]")
            if not box.is_visible():
                self.page.locator(".sg-stage-cell_score .sg-fold").click()
                box.wait_for()
            self.put("cell_score", "em_max_iter", 1900 - turn)

        return again


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
        if entry["event"] == "looked" and entry["stage"] == stage:
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
        ("smallest area", "limits", "min_area", LABELS, "limits", pages, 240, None),
    ):
        desk.waits = False
        kept = desk.to_and_fro(stage, parameter, panel, keys=keys, start=start)
        # where k has paused itself, its first look is shown all the same
        follow = stage != "cell_score"
        found = desk.sweep(stage, parameter, panel, keys=keys, start=start, follow=follow, again=again)
        figures[name] = describe(found, stage, last, kept, desk.waits)
        print(name, {key: value for key, value in figures[name].items() if key != "in_order_ms"}, flush=True)
    desk.page.locator(".sg-canvas-bar").get_by_role("button", name="Layers").click()
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
        yield lambda seen: show(seen, to)


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
        seen.page.wait_for_selector(".sg-canvas[data-frames]")
        first = time.perf_counter() - began
        seen.until_ready()
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
    parser.add_argument("--seconds", type=float, default=60.0, help="longest time for the presses of one control")
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
