"""Histograms of scores, areas and the stain; their lines are the thresholds and limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from segapp.app.feature import Feature, guarded
from segapp.core.types import SegappError
from segapp.views.histograms import HistogramPanel
from segapp.views.probes import PROBES, THRESHOLDS, Measured, Probe

TITLE = "Thresholds and limits"


class Histograms(Feature):
    """Counts what is shown, beside the work, and sets parameters when a line is moved."""

    name = "histograms"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.panel = HistogramPanel(self.move, self.choose, self.automatic)
        self.drawer = {TITLE: self.panel.widget}
        self.chosen = "cell_mask"
        self.measured: Measured | None = None
        self._counted: tuple[Any, ...] = ()
        self._told: tuple[Any, ...] = ()
        self._serial = 0
        self._logs = {name: probe.log for name, probe in PROBES.items()}
        self.panel.log.observe(lambda change: self._logs.update({self.chosen: change["new"]}), "value")

    @property
    def probe(self) -> Probe:
        """What is shown."""
        return PROBES[self.chosen]

    def ready(self) -> None:
        """Count when the section is opened: it is not kept up to date while it is closed."""
        self.app.drawer.headings[TITLE].on_click(lambda _: self.refresh())

    def loaded(self) -> None:
        """Forget what was counted."""
        self.measured, self._counted = None, ()
        self._clear("Computing …")

    @guarded
    def choose(self, name: str) -> None:
        """Show another histogram."""
        self.chosen = name
        self.measured, self._counted = None, ()
        self.refresh()

    @guarded
    def move(self, line: str, value: float) -> None:
        """Set the parameter of a line, and say at once what it keeps."""
        if self.measured is not None:
            self.session.set(self.chosen, **self.probe.patch(line, value, self.measured))
            self._tell(None)

    @guarded
    def automatic(self) -> None:
        """Set back what the lines stand for."""
        if self.measured is not None:
            changes, _ = self.probe.automatic(self.session.params[self.chosen], self.measured)
            self.session.set(self.chosen, **changes)

    def refresh(self) -> None:
        """Count again where what is shown has changed; else put the lines where the parameters are."""
        if not self.app.drawer.is_open(TITLE):
            return
        if not self.session.inputs:
            self._clear("Open a section to see how its scores and cell areas are distributed.")
            return
        self._offer()
        probe, params = self.probe, self.session.params[self.chosen]
        values = self.session.peek(probe.source)
        if values is None:
            if not self.live.busy:
                self._clear("Not computed with these choices yet: press Update (Ctrl+Enter).")
            return
        again = probe.again(params)
        if not self._counted or self._counted[0] is not values or self._counted[1] != again:
            self._counted = (values, again)
            self._count(values)
        elif self.measured is not None:
            self._show()

    def _offer(self) -> None:
        snapshot = self.session.snapshot()
        used = {stage.name for stage in self.session.pipeline.closure(("cells",), snapshot.choice)}
        names = [name for name in PROBES if name in used]
        if names and self.chosen not in names:
            self.chosen = names[0]
            self.measured, self._counted = None, ()
        self.panel.offer([(PROBES[name].title, name) for name in names], self.chosen)
        if self.panel.log.value != self._logs[self.chosen]:
            self.panel.log.value = self._logs[self.chosen]

    def _count(self, values: np.ndarray) -> None:
        self._serial += 1
        serial, probe, params = self._serial, self.probe, self.session.params[self.chosen]
        artefact = THRESHOLDS.get(self.chosen)
        known = None if artefact is None else self.session.peek(artefact)

        def done(found: Any, error: Exception | None) -> None:
            if serial != self._serial:
                return
            if error is not None:
                self._fail(error)
                return
            self.measured = found
            self._show(fresh=True)

        self.app.background(lambda: probe.measure(values, params, known), done)

    @guarded
    def _fail(self, error: Exception) -> None:
        if not isinstance(error, SegappError):
            raise error
        self._clear(str(error))

    def _clear(self, reason: str) -> None:
        self._told = ()
        self.panel.clear(reason)

    @guarded
    def _show(self, *, fresh: bool = False) -> None:
        assert self.measured is not None
        probe, params = self.probe, self.session.params[self.chosen]
        lines, marks = probe.lines(params, self.measured)
        if fresh:
            square = self.canvas.um_per_px**2
            areas = {"factor": square, "other": "µm²"} if probe.unit == "px²" else {}
            self.panel.view.show(
                self.measured.histogram,
                lines,
                marks,
                title=probe.title,
                unit=probe.unit,
                **areas,  # type: ignore[arg-type]
            )
        else:
            self.panel.view.place(lines, marks)
        self._tell(self.session.peek(probe.mask))

    def _tell(self, mask: np.ndarray | None) -> None:
        assert self.measured is not None
        probe, params = self.probe, self.session.params[self.chosen]
        # counting pixels again and again would take time from the views
        told = (self.measured, params, mask)
        if self._told and self._told[1] == params and self._told[0] is self.measured and self._told[2] is mask:
            return
        self._told = told
        changes, words = probe.automatic(params, self.measured)
        self.panel.tell(probe.note(params, self.measured, mask), probe.doc, words, away=bool(changes), back=probe.back)
