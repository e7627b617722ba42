"""A converted chip: a picture of all of it, a window on it as the session's input, and the numbers of the whole."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.core.types import Cancelled, SegappError
from segapp.io.chip import Chip
from segapp.pipeline.chip.kept import PLACES, Kept
from segapp.pipeline.chip.source import preset_of
from segapp.pipeline.chip.view import densest, picture_of
from segapp.pipeline.chip.window import LARGEST, SIDE, SMALLEST, STEP, ChipWindow, snapped
from segapp.pipeline.presets import PRESETS
from segapp.pipeline.recipe import Recipe
from segapp.pipeline.script import as_command
from segapp.views.menu import Dialog
from segapp.views.overview import ChipPanel

TITLE = "Chip"


class WholeChip(Feature):
    """Opens chips, moves the window, gathers numbers, runs the whole.

    Attributes
    ----------
    window : ChipWindow or None
        What is open; None while no chip is.
    """

    name = "chip"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.window: ChipWindow | None = None
        self._serial = 0
        self._stop = False
        self._working = False
        self._shown: Any = None
        self.panel = ChipPanel(
            {
                "box": self.move,
                "picture": self._show_picture,
                "use": self.use,
                "gather": self.gather,
                "cancel": self.cancel,
                "run": self.ask_run,
            }
        )
        self.panel.overview.smallest, self.panel.overview.largest = SMALLEST, LARGEST
        self.panel.overview.step = STEP
        self.drawer = {TITLE: self.panel.widget}
        self.command = w.HTML()
        self.start = w.Button(
            description="Start in the background", tooltip="Run it here; the page can be used meanwhile"
        )
        self.start.add_class("sg-primary")
        self.start.on_click(lambda _: self.run())
        self.dialog = Dialog("Run the whole chip", (self.command, self.start), name="run-chip", wide=True)
        self.overlay = (self.dialog.widget,)

    def ready(self) -> None:
        """Stand first among the sections, and only where a chip is open."""
        heading = self.app.drawer.headings[TITLE]
        self._section: Any = next(one for one in self.app.drawer.widget.children if one.children[0] is heading)
        self._section.add_class("sg-section-chip")
        self._section.layout.display = "none"

    # ---- opening

    @guarded
    def open(self, path: str | Path, box: Any = None) -> None:
        """Open a chip at a window (x0, y0, width, height); by default where it has most UMIs."""
        path = Path(path)
        opening: Any = self.app.features["opening"]
        opening.check_reach(path)
        opening.leave()
        self.live.cancel()
        self.banner.hide()
        self.status.say(f"Opening {path.name} …")
        kept = Kept(Chip.open(path))
        preset = PRESETS.get(self.session.preset)
        if not self.session.preset or (preset is not None and preset.needs_stain and kept.chip.stain is None):
            self.session.use_preset(preset_of(kept.chip))
        self.cancel()
        window = ChipWindow(kept, self.session)
        frame = window.frame
        self.window, self._shown = window, None
        self._section.layout.display = ""
        self.app.drawer.open(TITLE)
        self._show_picture()
        if box is None:
            start = densest(kept.chip, frame, SIDE)
            box = start.x0, start.y0, start.width, start.height
        x0, y0, width, height = (int(value) for value in box)
        self.move((x0, y0, width, height))

    @guarded
    def move(self, box: tuple[int, int, int, int]) -> None:
        """Work on another window: (x0, y0, width, height) in input coordinates; the latest wins."""
        window = self.window
        if window is None:
            return
        grid = snapped(window.frame, *box)
        self.panel.place((grid.x0, grid.y0, grid.width, grid.height))
        if window.box is not None and (grid.x0, grid.y0, *grid.shape) == (
            window.box.x0,
            window.box.y0,
            *window.box.shape,
        ):
            return
        self._serial += 1
        serial = self._serial

        def done(found: Any, error: Exception | None) -> None:
            if serial != self._serial or window is not self.window:
                return
            if error is None:
                window.take(grid, *found)
                return
            if window.box is not None:
                old = window.box
                self.panel.place((old.x0, old.y0, old.width, old.height))
            self._tell_error("The window could not be read", error)

        self.app.background(lambda: window.read(grid), done)

    def loaded(self) -> None:
        """Leave the page when something else was opened."""
        if self.session.numbers is None and self.window is not None:
            self.cancel()
            self.window = None
            self._section.layout.display = "none"

    def changed(self, stage: str) -> None:
        """A stain that is turned is drawn anew."""
        if stage == "stain":
            self._shown = None
            self._show_picture()

    def refresh(self) -> None:
        """Say which numbers are used."""
        if self.window is not None and self.window.box is not None:
            self.panel.tell(self.window.told(), PLACES)

    @guarded
    def _show_picture(self, name: str = "") -> None:
        if self.window is None:
            return
        chip, frame = self.window.kept.chip, self.window.frame
        name = name or str(self.panel.picture.value)
        name = name if chip.stain is not None else "total"
        if self._shown != (chip.path, name, frame):
            self._shown = chip.path, name, frame
            picture = picture_of(self.window.source, name)
            self.panel.show(picture, (frame.x0, frame.y0, frame.width, frame.height), chip.stain is not None)

    # ---- the whole

    @guarded
    def use(self, name: str) -> None:
        """Use the numbers of the chip, or of the window alone."""
        if self.window is not None and self.window.box is not None:
            self.window.refresh("window" if name == "window" else "chip")
            self.refresh()

    @guarded
    def gather(self) -> None:
        """Gather the numbers of the whole chip, and use them."""
        window = self.window
        if window is None or self._working:
            return
        params = window.params()

        def work(tell: Any) -> Any:
            from segapp.pipeline.chip.run import gather_statistics

            recipe = Recipe({name: value.to_json() for name, value in params.items()})
            folder, known = window.kept.work(params), window.kept.all(params)
            return gather_statistics(
                window.kept.chip, folder, recipe=recipe, statistics=known, tell=tell, settled=window.keeper(params)
            )

        def done(found: Any) -> None:
            stored = window.kept.keep(params, found)
            if window is self.window:
                window.refresh("chip")
                self.refresh()
                if not stored:
                    self.banner.show("The chip's folder cannot be written: its numbers last as long as this page.")

        self._work("Gathering", work, done)

    @guarded
    def ask_run(self) -> None:
        """Show the command of a run of the whole chip."""
        self.app.download.offer("recipe.json", self.recipe().text().encode())
        command = as_command(self.session)
        self.command.value = (
            f"<p>In a terminal, with the recipe that was downloaded:</p><pre>{html.escape(command)}</pre>"
            f"<p>Or here, while this page is open; the cells come to <code>{html.escape(str(self.out))}</code>.</p>"
        )
        self.dialog.open()
        self.app.page.focus(".sg-dialog-run-chip .sg-dialog-close")

    @property
    def out(self) -> Path:
        """Where a run in the background writes."""
        assert self.window is not None
        return Path(self.app.out).resolve() / f"{self.window.kept.chip.path.name}_cells"

    def recipe(self) -> Recipe:
        """Return the recipe of the whole chip: edits in px of its frame."""
        assert self.window is not None
        params = self.window.params()
        made = self.session.recipe()
        return Recipe({name: value.to_json() for name, value in params.items()}, made.preset, version=made.version)

    @guarded
    def run(self) -> None:
        """Run the whole chip in the background."""
        window = self.window
        if window is None or self._working:
            return
        self.dialog.close()
        recipe, out, params = self.recipe(), self.out, window.params()

        def work(tell: Any) -> Any:
            from segapp.pipeline.chip import run_chip

            begun = (out / "work" / "run.json").exists()
            known = window.kept.all(params)
            return run_chip(
                window.kept.chip,
                out,
                recipe=recipe,
                statistics=known,
                resume=begun,
                tell=tell,
                settled=window.keeper(params),
            )

        def done(found: Any) -> None:
            self.banner.show(f"{found.summary['n_cells']:,} cells of the whole chip are in {found.out}", good=True)

        self._work("Running the whole chip", work, done)

    def _work(self, title: str, work: Callable[[Any], Any], done: Callable[[Any], None]) -> None:
        self._working, self._stop = True, False
        self.panel.work(f"{title} …")
        told = [("", -1)]

        def tell(phase: str, so_far: int, total: int) -> None:
            if self._stop:
                raise Cancelled
            percent = 100 * so_far // max(total, 1)
            if (phase, percent) != told[0]:
                told[0] = phase, percent
                self.app.home.post(lambda: self._tell_work(f"{title}: {phase}", percent / 100))

        def end(found: Any, error: Exception | None) -> None:
            self._working = False
            self.panel.work("")
            self.refresh()
            if error is None:
                done(found)
            elif isinstance(error, Cancelled):
                self.status.say("The work on the whole chip was stopped.")
            else:
                self._tell_error(f"{title} failed", error)

        self.app.background(lambda: work(tell), guarded_end(self, end))

    def _tell_work(self, text: str, share: float) -> None:
        if self._working:  # what was told last may come after the end
            self.panel.work(text, share)

    @guarded
    def cancel(self) -> None:
        """Stop what is done with the whole chip, at its next tile."""
        self._stop = True

    def _tell_error(self, what: str, error: Exception) -> None:
        sentence = str(error) if isinstance(error, SegappError) else f"{type(error).__name__}: {error}"
        self.banner.show(f"{what}: {sentence}")


def guarded_end(feature: WholeChip, end: Callable[[Any, Exception | None], None]) -> Callable[..., None]:
    """Return `end` with its own failures shown."""

    def call(found: Any, error: Exception | None) -> None:
        try:
            end(found, error)
        except Exception as failure:
            feature._tell_error("The work on the whole chip ended badly", failure)

    return call
