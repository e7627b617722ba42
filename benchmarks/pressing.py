"""A page of the app under a key: presses, how long each took to change pixels, and what the kernel told meanwhile."""

from __future__ import annotations

import json
import time

from tests.ui.page import PANEL

ARM = f"""([panel, patience, told]) => {{{PANEL}
  // no pixel changes before a message has come: until then nothing is read back, which would slow the machine down
  const views = document.querySelector(".sg-canvas");
  const messages = () => views.dataset.serial;
  const before = pixels().join(), known = messages();
  window.changed = new Promise(resolve => {{
    document.addEventListener("keydown", () => {{
      const began = window.pressed = performance.now();
      const look = () => {{
        const waited = performance.now() - began;
        if ((!told || messages() !== known) && pixels().join() !== before) resolve(performance.now() - began);
        else if (waited > patience) resolve(null);
        else requestAnimationFrame(look);
      }};
      requestAnimationFrame(look);
    }}, {{ capture: true, once: true }});
  }});
}}"""

# rested: no panel waits, nothing can be cancelled, and no message came for a while; a page that never rests is left
SETTLE = """([pause, quiet, patience]) => new Promise(resolve => {
  const views = document.querySelector(".sg-canvas"), began = performance.now();
  let serial = views.dataset.serial, since = began;
  const look = () => {
    const now = performance.now();
    const busy = document.querySelector(".sg-caption.sg-busy") || !document.querySelector(".sg-cancel").disabled;
    if (busy || views.dataset.serial !== serial) { serial = views.dataset.serial; since = now; }
    if (now - began > patience || (now - since >= quiet && now - (window.pressed ?? 0) >= pause)) resolve();
    else setTimeout(look, 20);
  };
  look();
})"""

APART_MS = 400
QUIET_MS = 300
PATIENCE_MS = 4000
REST_MS = 60_000


class Desk:
    """A page, and what its kernel tells."""

    def __init__(self, seen, times, presses, seconds):
        self.seen, self.page, self.times = seen, seen.page, times
        self.presses, self.seconds = presses, seconds
        self.waits = False

    def settle(self, *, follow=True):
        """Wait until all is at rest; a stage that has paused itself is followed all the same, where asked."""
        self.page.evaluate(SETTLE, [APART_MS, QUIET_MS, REST_MS])
        line = self.page.locator(".sg-slow:visible")
        if line.count():
            self.waits = True
            if follow:
                line.get_by_role("button", name="Always follow").click()
                self.page.wait_for_timeout(500)
                self.page.evaluate(SETTLE, [APART_MS, QUIET_MS, REST_MS])

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

    def forget_limits(self):
        """Return what makes every kept result of the area limits unknown: another largest area, above all cells."""
        return lambda turn: self.put("limits", "max_area", 9000 - turn)
