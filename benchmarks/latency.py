"""Keydown on a slider of the app to the first frame whose pixels differ, in a real browser against Voila.

The sample is `tissue` at 1024 x 1024 px with the preset stain+rna, the slider the k of the cell score (EM+BP within
density levels). It is pressed from its smallest value to its largest, so that nothing comes from the store, and then
back and forth between two values that do: what is left there is transport and painting.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from segapp.app.server import free_port, start
from tests.ui.page import SCORE, visit

# a look at every pixel of the panel at every frame would itself slow the page down: the middle of it is enough
ARM = """([panel, patience]) => {
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
    const { data } = canvas.getContext("2d").getImageData(w * 0.4, h * 0.4, w * 0.2, h * 0.2);
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
        if (messages() !== known && pixels() !== before) resolve(performance.now() - began);
        else if (waited > patience) resolve(null);
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, { capture: true, once: true });
  });
}"""


VERBOSE = False


def press(seen, key):
    """Press a key and return the milliseconds to the first changed frame of the score panel."""
    seen.page.evaluate(ARM, [SCORE, 10_000])
    seen.page.keyboard.press(key)
    waited = seen.page.evaluate("() => window.changed")
    seen.until_idle()
    seen.page.wait_for_timeout(400)
    if VERBOSE:
        print(waited, seen.page.locator(".sg-stage-cell_score").inner_text()[:60].replace(chr(10), " "))
    return waited


def describe(times):
    """Return the figures of one series of presses."""
    found = sorted(t for t in times if t is not None)
    return {
        "presses": len(times),
        "lost": len(times) - len(found),
        "median_ms": round(statistics.median(found), 1),
        "p95_ms": round(found[min(len(found) - 1, int(0.95 * len(found)))], 1),
        "in_order_ms": [None if t is None else round(t, 1) for t in times],
    }


def measure(seen):
    """Return computed and stored presses on the k slider of the cell score."""
    computed, stored = [], []
    seen.press_on_slider("cell_score", "k", "Home")
    seen.until_idle()
    seen.page.wait_for_timeout(1500)
    for _ in range(10):
        computed.append(press(seen, "ArrowRight"))
        if computed[-1] is None:
            break
    for i in range(20):
        stored.append(press(seen, "ArrowLeft" if i % 2 == 0 else "ArrowRight"))
    return {"new k": describe(computed), "k that is in the store": describe(stored)}


def main():
    """Serve the sample, measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/latency.json"))
    parser.add_argument("--shot", type=Path, help="where to keep a screenshot of the page")
    options = parser.parse_args()
    began = time.perf_counter()
    served = start(sample="tissue", port=free_port())
    try:
        with visit(1440, 900) as seen:
            seen.page.goto(served.address)
            seen.page.wait_for_selector(".sg-canvas[data-frames]")
            first = time.perf_counter() - began
            seen.until_ready()
            ready = time.perf_counter() - began
            if options.shot is not None:
                seen.page.wait_for_timeout(1500)
                seen.page.screenshot(path=options.shot)
            figures = {"first_frame_s": round(first, 2), "all_stages_s": round(ready, 2), **measure(seen)}
    finally:
        served.stop()
    print(json.dumps(figures, indent=2))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
