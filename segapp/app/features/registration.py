"""How well the stain lies on the RNA: seen by overlay and flicker, measured by NCC, mended by hand."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from segapp.app.feature import Feature, guarded
from segapp.core.align import Alignment, measure, shifted
from segapp.core.frame import turn_points, turned
from segapp.core.types import InputError
from segapp.views.canvas import Gesture, Mark
from segapp.views.registration import BUTTONS, RegistrationPanel
from segapp.views.rows import Row

BLUR_PX = 5
"""Blur of the RNA that a match is measured with where the alignment has none of its own."""

MATCH = "Match with the RNA (NCC)"
WAITING = f"{MATCH} is being computed …"

WORSE = 5e-4
"""A match that is lower by less than this is no worse: interpolation alone changes it so much."""


class Registration(Feature):
    """Moves, turns and pins the stain by hand; a worse place is not kept unless a person says so.

    Attributes
    ----------
    panel : RegistrationPanel
    match : tuple of float or None
        NCC of the stain as it lies in its file and as it lies now.
    """

    name = "registration"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        actions = {name: functools.partial(self.do, name) for name in (*BUTTONS, "anyway", "unshift")}
        self.panel = RegistrationPanel(actions, self.act)
        self.cards = {"align": (self.panel.widget,)}
        self.match: tuple[float, float] | None = None
        self._measured: Any = None
        self._measuring = False
        self._busy = False
        self._asked = False
        self._next: tuple[int, int, bool] | None = None
        self._applied = False
        self.canvas.on_stroke(self.stroke)
        self._show()

    # ---- gestures

    @guarded
    def do(self, action: str) -> None:
        """Do what a button of the card says."""
        if action == "anyway":
            self.session.set("align", accept="any")
        elif action == "unshift":
            self.session.set("align", shift=(0.0, 0.0))
        elif action in ("overlay", "flicker", "before"):
            self.canvas.choose("compare", "off" if self.layers.compare == action else action)
            self.app.caption()
        elif action in ("nudge", "landmarks"):
            self._alignment()
            self.canvas.tool = action
        else:
            self._turn(action)

    @guarded
    def stroke(self, gesture: Gesture) -> None:
        """Take a pair of landmarks: a spot of the stain panel, then the same spot of the RNA."""
        if gesture.tool != "landmarks":
            return
        params = self.session.params["align"]
        alignment = self._alignment()
        seen, wanted = (np.array(point) - 0.5 for point in gesture.points)  # centres of pixels are whole numbers
        x_from, y_from = alignment.positions(seen[None])[0]
        x_to, y_to = wanted - np.array(params.shift)  # type: ignore[attr-defined]
        pair = tuple(round(float(value), 2) for value in (x_from, y_from, x_to, y_to))
        self.panels["align"].open()
        self.session.set("align", mode="tps", landmarks=(*self._landmarks(), pair))

    @guarded
    def act(self, action: str, index: int) -> None:
        """Show one landmark, or remove it."""
        landmarks = self._landmarks()
        if action == "remove":
            self.session.set("align", landmarks=(*landmarks[:index], *landmarks[index + 1 :]))
            return
        x, y = self._places(landmarks[index])[1]
        self.canvas.look_at(x - 40, y - 40, x + 40, y + 40)

    def message(self, kind: str, message: Mapping[str, Any]) -> None:
        """The stain is moved by hand on the page, or should stay where it was moved to."""
        if kind == "nudge":
            self._nudge(int(message["dx"]), int(message["dy"]), bool(message["done"]))

    @guarded
    def apply(self, dx: int, dy: int) -> None:
        """Keep the stain where it was moved to."""
        x, y = self.session.params["align"].shift  # type: ignore[attr-defined]
        self.banner.hide()
        self._applied = True
        self.canvas.hint = ""
        self.session.set("align", shift=(x + dx, y + dy))

    @guarded
    def _nudge(self, dx: int, dy: int, done: bool) -> None:
        self._asked = bool(dx or dy)
        if not self._asked:
            self.canvas.hint = ""
            self._next = None
            return
        self.canvas.hint = WAITING  # what was measured was of another place
        if self._busy:  # only the last place matters; what is done is done
            self._next = (dx, dy, done)
            return
        alignment, raw, counts = self._alignment(), self.session.peek("stain_raw"), self._counts()
        if counts is None:
            self.canvas.hint = ""
            if done:
                self.apply(dx, dy)
            return
        self._busy = True
        places = (alignment, shifted(alignment, (dx, dy)))
        self.app.background(
            lambda: measure(raw, counts, places, self._blur()),
            lambda found, error: self._judged((dx, dy, done), found, error),
        )

    @guarded
    def _judged(self, nudge: tuple[int, int, bool], found: list[float] | None, error: Exception | None) -> None:
        self._busy = False
        following, self._next = self._next, None
        if not self._asked:  # given up meanwhile
            return
        if error is not None:
            self.canvas.hint = ""
            raise error
        assert found is not None
        (dx, dy, done), (before, after) = nudge, found
        if following is None:
            self.canvas.hint = f"{MATCH}: {before:.3f} before, {after:.3f} here."
        if done and after < before - WORSE:
            self.banner.show(
                f"Moved by x {dx}, y {dy} px the stain matches the RNA less well: its NCC would fall from {before:.3f} "
                f"to {after:.3f}. It was not kept; move it on, or press Esc.",
                action=("Keep it anyway", lambda: self.apply(dx, dy)),
            )
        elif done:
            self.apply(dx, dy)
        if following is not None:
            self._nudge(*following)

    def _turn(self, step: str) -> None:
        stain_file = self.session.inputs.get("stain_file")
        if stain_file is None:
            raise InputError("There is no stain to turn: open one with the section.")
        raw = self.session.peek("stain_raw")
        landmarks = self._landmarks()
        changes: dict[str, Any] = {"shift": (0.0, 0.0)}
        if landmarks and raw is not None:
            spots = turn_points(np.array(landmarks)[:, :2], raw.shape, step)
            changes["landmarks"] = tuple(
                (float(u), float(v), x, y) for (u, v), (_, _, x, y) in zip(spots, landmarks, strict=True)
            )
        now = self.session.params["stain"].orientation  # type: ignore[attr-defined]
        self.session.set_many({"stain": {"orientation": turned(now, step)}, "align": changes})

    # ---- events

    def loaded(self) -> None:
        """Marks and figures belong to other data."""
        self.match, self._measured, self._next, self._busy = None, None, None, False
        self._measuring = self._asked = False
        self.canvas.settle()
        self._show()

    def changed(self, stage: str) -> None:
        """Landmarks may be others."""
        if stage in ("align", "stain"):
            self._show()

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """The stain lies elsewhere now, and the views show it."""
        if stage == "align":
            if self._applied:
                self._applied = False
                self.canvas.settle()
            self._show()

    def failed(self, stage: str, sentence: str) -> None:
        """Nothing was moved."""
        if self._applied:
            self._applied = False
            self.canvas.settle()

    def idle(self) -> None:
        """Measure the match where the stage has not done so."""
        if self.panels["align"].opened or self.layers.compare != "off":
            self._measure()
        self._show()

    def refresh(self) -> None:
        """The card may have been opened while nothing was computed."""
        if self.panels["align"].opened and not self.session.runner.busy:
            self._measure()

    # ---- figures and marks

    def _measure(self) -> None:
        alignment, raw, counts = (
            self.session.peek("alignment"),
            self.session.peek("stain_raw"),
            self._counts(),
        )
        if alignment is None or raw is None or counts is None or self._measured is alignment:
            return
        self._measured, self.match = alignment, None
        if alignment.ncc_after is not None:
            return
        places = (Alignment("off", raw.shape), alignment)
        self._measuring = True
        self._show()

        def done(found: list[float] | None, error: Exception | None) -> None:
            if self._measured is alignment:
                self._measuring = False
                self.match = None if found is None else (found[0], found[1])
                self._show()

        self.app.background(lambda: measure(raw, counts, places, self._blur()), done)

    def _show(self) -> None:
        params = self.session.params["align"]
        alignment = self.session.peek("alignment") if self.session.inputs else None
        note = "" if alignment is None else alignment.note
        known = alignment is not None and self._measured is alignment and self.match is not None
        before, after = self.match if known and self.match is not None else (None, None)
        if alignment is not None and alignment.ncc_after is not None:
            before, after = alignment.ncc_before, alignment.ncc_after
        refused = "align.accept=any" in note
        stained = bool(self.session.inputs) and self.session.inputs.get("stain_file") is not None
        waiting = stained and after is None and (self._measuring or (alignment is None and self.session.runner.busy))
        self.panel.show(
            before,
            after,
            note,
            shift=params.shift,  # type: ignore[attr-defined]
            refused=refused,
            waiting=WAITING if waiting else "",
        )
        landmarks = self._landmarks()
        rows, marks = [], []
        for number, landmark in enumerate(landmarks, 1):
            seen, wanted = self._places(landmark)
            off = float(np.hypot(seen[0] - wanted[0], seen[1] - wanted[1]))
            state = "" if alignment is None else f"{off:.1f} px apart"
            rows.append(Row(f"Landmark {number}", f"x {wanted[0]:.0f}, y {wanted[1]:.0f}", state, holds=off < 1))
            marks.append(Mark((seen,), str(number), ("stain",), kind="landmark"))
            marks.append(Mark((wanted,), str(number), ("rna", "score"), kind="landmark"))
        self.panel.landmarks.show(rows)
        self.canvas.show_marks("landmarks", marks)

    def _places(self, landmark: tuple[float, ...]) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return where a landmark is seen in the stain as it lies now, and where it belongs; both as in the views."""
        shift = np.array(self.session.params["align"].shift)  # type: ignore[attr-defined]
        at, wanted = np.array(landmark[:2]), np.array(landmark[2:]) + shift
        alignment = self.session.peek("alignment") if self.session.inputs else None
        seen = wanted.copy()
        if alignment is not None:
            back = np.linalg.inv(np.array(alignment.matrix)[:, :2])
            for _ in range(20):  # Newton's method with the slope of the affine part: bends are gentle
                seen = seen - back @ (alignment.positions(seen[None])[0] - at)
        return (float(seen[0]) + 0.5, float(seen[1]) + 0.5), (float(wanted[0]) + 0.5, float(wanted[1]) + 0.5)

    def _alignment(self) -> Alignment:
        alignment = self.session.peek("alignment") if self.session.inputs else None
        if alignment is None:
            raise InputError("The stain is not placed yet: open a section with a stain, and wait until Align is ready.")
        found: Alignment = alignment
        return found

    def _landmarks(self) -> tuple[tuple[float, float, float, float], ...]:
        return tuple(getattr(self.session.params["align"], "landmarks", ()))

    def _counts(self) -> Any:
        nuclear = self.session.peek("nuclear")
        return self.session.peek("total") if nuclear is None else nuclear

    def _blur(self) -> int:
        return int(getattr(self.session.params["align"], "k", BLUR_PX))
