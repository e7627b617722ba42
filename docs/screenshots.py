"""Take the pictures of the app that README and the documentation show: ``python -m docs.screenshots``.

A real browser looks at the real app with the simulated tissue. With ``--check FOLDER`` the page is pictured in the
sizes and lights in which somebody looks at it before a release; nothing in the documentation is touched then.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segapp.app.server import free_port, start
from tests.ui.page import LABELS, Visit, visit

IMAGES = Path(__file__).with_name("images")
SIZES = ((1280, 720), (1440, 900), (3840, 2160))


def settle(seen: Visit) -> None:
    """Wait until nothing is computed and the scorecard describes what is shown."""
    seen.until_idle()
    seen.until("the scorecard", lambda: seen.page.get_by_text("Against random").count() > 0)
    seen.until("a scorecard of these cells", lambda: seen.page.locator(".sg-scorecard.sg-old").count() == 0)
    seen.page.mouse.move(2, 2)
    seen.page.wait_for_timeout(600)


def light(seen: Visit, dark: bool = False) -> None:
    """Show the page in the light or in the dark look."""
    seen.page.emulate_media(color_scheme="dark" if dark else "light")
    seen.page.wait_for_timeout(400)


def click_in(seen: Visit, panel: int, right: float, down: float) -> None:
    """Click a panel at a share of its width and height."""
    box = seen.page.locator(".sg-caption-cell").nth(panel).bounding_box()
    assert box is not None
    seen.page.mouse.click(box["x"] + right * box["width"], box["y"] + down * box["height"])


def pause(seen: Visit) -> None:
    """Bring a stage to pause itself: what it does twice in a row takes longer than a slider can wait for."""
    card = seen.page.locator(".sg-stage-nuclei_network")
    card.locator(".sg-card-title").click()
    handle = card.locator(".sg-knob-scale .noUi-handle")
    handle.wait_for()
    for _ in range(4):
        handle.focus()
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_timeout(700)
        seen.until_idle()
        if seen.page.locator(".sg-slow:visible").count():
            return
    raise SystemExit("no stage has paused itself")


def edit(seen: Visit) -> None:
    """Delete a cell, so that the list of edits has something to show."""
    seen.page.locator(".sg-canvas").focus()
    seen.page.keyboard.press("x")
    for right, down in ((0.52, 0.47), (0.4, 0.6), (0.3, 0.5), (0.6, 0.6)):
        click_in(seen, LABELS, right, down)
        seen.page.wait_for_timeout(900)
        seen.until_idle()
    seen.page.keyboard.press("Escape")


def export(seen: Visit) -> None:
    """Write the labels, so that the banner says what was written."""
    seen.page.locator(".sg-export").click()
    seen.page.get_by_role("button", name="Labels (32-bit TIFF)").click()
    seen.until("the export", lambda: seen.page.locator(".sg-banner:visible").count() > 0)


def picture(folder: Path) -> Callable[[Visit, str], None]:
    """Return what keeps a picture of the page in a folder."""

    def shot(seen: Visit, name: str) -> None:
        seen.page.screenshot(path=folder / f"{name}.png")
        print(folder / f"{name}.png", flush=True)

    return shot


def documentation(seen: Visit) -> None:
    """Take the pictures of the documentation."""
    shot = picture(IMAGES)
    shot(seen, "app")
    light(seen, dark=True)
    click_in(seen, LABELS, 0.4, 0.6)
    seen.until("the card of a cell", lambda: seen.page.locator(".sg-cell-name:visible").count() > 0)
    seen.page.mouse.move(2, 2)
    shot(seen, "app-dark")
    light(seen)
    pause(seen)
    shot(seen, "paused")


def check(seen: Visit, folder: Path) -> None:
    """Take pictures of everything that is looked at before a release."""
    shot = picture(folder)
    steps: tuple[tuple[str, Callable[[Visit], Any]], ...] = (
        ("ready", lambda seen: None),
        ("edited", edit),
        ("banner", export),
        ("paused", pause),
    )
    for name, step in steps:
        step(seen)
        for width, height in SIZES:
            seen.page.set_viewport_size({"width": width, "height": height})
            seen.page.wait_for_timeout(1500)
            for dark in (False, True):
                light(seen, dark)
                shot(seen, f"{name}-{width}{'-dark' if dark else ''}")
        light(seen)


def main() -> None:
    """Open the simulated tissue in a browser, wait for its cells and figures, and keep what is seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=Path, help="folder for pictures in all sizes and lights")
    chosen = parser.parse_args()
    folder: Path | None = chosen.check
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    served = start(sample="tissue", port=free_port(), out=folder)
    try:
        with visit(1440, 900) as seen:
            seen.page.goto(served.link)
            seen.until_ready()
            settle(seen)
            if folder is None:
                documentation(seen)
            else:
                check(seen, folder)
    finally:
        served.stop()


if __name__ == "__main__":
    main()
