"""Keydown to the first frame whose pixels differ, in a real browser, against Voila and JupyterLab.

The sample is `tissue` with the preset stain+rna. Four controls are pressed, one press at a time, at least 400 ms apart:
the k of the cell score (EM+BP within density levels: the first frame may be its half-resolution preview, the final
picture follows), the threshold of the cell mask, the smallest area, and the opacity of the outlines. A press that
computes nothing, between two values whose results are kept, gives the share of transport and painting.

    python benchmarks/latency.py                      # both kinds of page at 1024 x 1024, about 5 minutes
    python benchmarks/latency.py --size 4096 --pages voila
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from segapp.app.server import free_port, start
from segapp.io.samples import write_sample
from tests.ui.lab import lab, show
from tests.ui.page import LABELS, SCORE, STAIN, visit

# a look at every pixel of the panel at every frame would itself slow the page down: the middle of it is enough
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
    const { data } = canvas.getContext("2d").getImageData(w * 0.3, h * 0.3, w * 0.4, h * 0.4);
    return data.reduce((hash, value) => (hash * 31 + value) | 0, 7);
  }).join();
  // no pixel changes before a message has come: until then nothing is read back, which would slow the machine down
  const views = document.querySelector(".sg-canvas");
  const messages = () => views.dataset.serial;
  const before = pixels(), known = messages();
  window.changed = new Promise(resolve => {
    document.addEventListener("keydown", () => {
      const began = performance.now();
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

REST_MS = 400
PATIENCE_MS = 4000


def press(seen, key, panel, told=True):
    """Press a key; return the milliseconds to the first changed frame of a panel, None where no pixel changed."""
    seen.page.evaluate(ARM, [panel, PATIENCE_MS, told])
    seen.page.keyboard.press(key)
    waited = seen.page.evaluate("() => window.changed")
    seen.until_idle()
    seen.page.wait_for_timeout(REST_MS)
    return waited


def open_card(seen, stage):
    """Open the card of a stage."""
    title = seen.page.locator(f".sg-stage-{stage} .sg-card-title")
    if "sg-open" not in (title.get_attribute("class") or ""):
        title.click()
    seen.page.locator(f".sg-stage-{stage} .sg-control").first.wait_for()


def sweep(seen, stage, parameter, panel, presses, *, again=None):
    """Walk a slider up and down over values that are not kept; `again` makes earlier results unknown at each end."""
    open_card(seen, stage)
    seen.press_on_slider(stage, parameter, "Home")
    seen.until_idle()
    times, turns, key = [], 0, "ArrowRight"
    handle = seen.page.locator(f".sg-stage-{stage} .sg-knob-{parameter} .noUi-handle")
    while len(times) < presses:
        value = handle.get_attribute("aria-valuenow")
        at_end = value == handle.get_attribute("aria-valuemax" if key == "ArrowRight" else "aria-valuemin")
        if at_end:
            turns += 1
            if again is not None:
                again(turns)
                seen.until_idle()
            key = "ArrowLeft" if key == "ArrowRight" else "ArrowRight"
            handle.focus()
        times.append(press(seen, key, panel))
    return times


def to_and_fro(seen, stage, parameter, panel, presses):
    """Go between two values whose results are kept: transport and painting alone."""
    seen.press_on_slider(stage, parameter, "ArrowLeft")
    seen.until_idle()
    seen.press_on_slider(stage, parameter, "ArrowRight")
    seen.until_idle()
    return [press(seen, "ArrowLeft" if index % 2 == 0 else "ArrowRight", panel) for index in range(presses)]


def forget_scores(seen):
    """Return what makes every kept score unknown: another limit of the rounds, which changes no result."""

    def again(turn):
        box = seen.page.locator(".sg-stage-cell_score .sg-knob-em_max_iter input")
        if not box.is_visible():
            seen.page.locator(".sg-stage-cell_score .sg-fold").click()
            box.wait_for()
        box.fill(str(1900 - turn))
        box.press("Enter")
        seen.page.wait_for_timeout(1500)

    return again


def describe(times):
    """Return the figures of one series of presses; a value that changes no pixel is counted, not timed."""
    found = sorted(t for t in times if t is not None)
    if not found:
        return {"presses": len(times), "without_change": len(times)}
    return {
        "presses": len(times),
        "without_change": len(times) - len(found),
        "first_ms": None if times[0] is None else round(times[0], 1),
        "median_ms": round(statistics.median(found), 1),
        "p95_ms": round(found[min(len(found) - 1, int(0.95 * len(found)))], 1),
        "in_order_ms": [None if t is None else round(t, 1) for t in times],
    }


def measure(seen, presses):
    """Return the figures of every control: total, transport, and the difference of their medians, compute."""
    figures = {}
    for name, stage, parameter, panel, again in (
        ("k", "cell_score", "k", SCORE, forget_scores(seen)),
        ("threshold", "cell_mask", "threshold", LABELS, None),
        ("smallest area", "limits", "min_area", LABELS, None),
    ):
        total = describe(sweep(seen, stage, parameter, panel, presses, again=again))
        transport = describe(to_and_fro(seen, stage, parameter, panel, max(presses // 3, 4)))
        figures[name] = {"total": total, "transport": transport}
        if "median_ms" in total and "median_ms" in transport:
            figures[name]["compute_ms"] = round(total["median_ms"] - transport["median_ms"], 1)
        print(name, {key: value for key, value in total.items() if key != "in_order_ms"}, flush=True)
    seen.page.locator(".sg-canvas-bar").get_by_role("button", name="Layers").click()
    slider = seen.page.locator(".sg-opacity").first
    slider.focus()
    times = [
        press(seen, "ArrowLeft" if (i // 20) % 2 == 0 else "ArrowRight", STAIN, told=False) for i in range(presses)
    ]
    figures["opacity"] = {"total": describe(times)}
    print("opacity", figures["opacity"]["total"].get("median_ms"), flush=True)
    return figures


@contextmanager
def voila(section, folder):
    """Serve the app; yield how to show it."""
    files = (
        {"sample": "tissue"} if section is None else {"gem": section / "tissue.gem.gz", "stain": section / "stain.tif"}
    )
    served = start(port=free_port(), out=folder, **files)
    try:
        yield lambda seen: seen.page.goto(served.link)
    finally:
        served.stop()


@contextmanager
def jupyterlab(section, folder):
    """Serve a notebook with the app; yield how to show it."""
    words = ["tissue"] if section is None else [str(section / "tissue.gem.gz"), str(section / "stain.tif")]
    cells = ["import segapp", f"app = segapp.show({', '.join(map(repr, words))})", "app"]
    with lab(cells, folder, folder) as address:
        yield lambda seen: show(seen, address)


PAGES = {"voila": voila, "jupyterlab": jupyterlab}


def main():
    """Serve the sample, measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/latency.json"))
    parser.add_argument("--presses", type=int, default=50, help="presses a control")
    parser.add_argument("--size", type=int, default=1024, help="side of the sample in px")
    parser.add_argument("--pages", nargs="+", choices=tuple(PAGES), default=list(PAGES))
    parser.add_argument("--shot", type=Path, help="where to keep a screenshot of the page")
    options = parser.parse_args()
    figures = {"size_px": options.size, "cores": os.cpu_count(), "load_at_start": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SEGAPP_STATE"] = str(Path(scratch) / "state")
        section = None
        if options.size != 1024:
            section = Path(scratch) / "section"
            write_sample("tissue", section, size=options.size, seed=0)
        for name in options.pages:
            folder = Path(scratch) / name
            folder.mkdir()
            began = time.perf_counter()
            with PAGES[name](section, folder) as go, visit(1440, 900) as seen:
                go(seen)
                seen.page.wait_for_selector(".sg-canvas[data-frames]")
                first = time.perf_counter() - began
                seen.until_ready()
                ready = time.perf_counter() - began
                if options.shot is not None:
                    seen.page.wait_for_timeout(1500)
                    seen.page.screenshot(path=options.shot)
                print(f"{name}: first frame {first:.1f} s, all stages {ready:.1f} s", flush=True)
                figures[name] = {
                    "first_frame_s": round(first, 2),
                    "all_stages_s": round(ready, 2),
                    **measure(seen, options.presses),
                    "whole_s": round(time.perf_counter() - began, 1),
                }
    figures["load_at_end"] = round(os.getloadavg()[0], 2)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
