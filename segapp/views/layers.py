"""What the linked views show: which artefact fills which layer, and how it becomes bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core import colouring, display
from segapp.core.display import Window
from segapp.views import theme
from segapp.views.canvas import Canvas, Legend, View
from segapp.views.painting import Painting, paint_cells
from segapp.views.scene import COMPARE, CURVES, IMAGES

LABELLED = {"fill": "cells", "cells": "cells", "nuclei": "nuclei", "nuclei_fill": "nuclei", "ghosts": "ghosts"}
"""Layers that show labels, and the artefact that each shows."""

ON_DEMAND = ("nuclei_fill", "other")
"""Layers that are sent while the page shows them only."""

BLUR_PX = 9
"""Diameter of the blur of RNA that is laid over the stain: single UMIs show no nucleus."""

CLEAR = "#00000000"

_ARTEFACTS = (
    "stain",
    "stain_raw",
    "total",
    "nuclear",
    "bins",
    "cell_scores",
    "nuclei_scores",
    "nuclei_provenance",
    "nuclei",
    "cells",
    "ghosts",
)


@dataclass(frozen=True)
class Shown:
    """An array on the screen and the values that are black and white in it."""

    array: np.ndarray
    black: float = 0.0
    white: float = 1.0
    gamma: float = 1.0


class Layers:
    """Keeps the latest array of every layer and sends its visible window.

    Parameters
    ----------
    canvas : Canvas
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.rna = "total"
        self.score = "cell_scores"
        self.colour_by = "id"
        self.compare = "off"
        self.artefacts: dict[str, Any] = {}
        self.shown: dict[str, Shown | None] = {}
        self._painting = Painting()
        self._selected: tuple[int, ...] = ()
        self._outline: tuple[np.ndarray, np.ndarray] | None = None
        self._overlay: np.ndarray | None = None
        self._overlay_legend: Legend | None = None
        self._blurred: tuple[Any, Any] = (None, None)
        canvas.on_wanted(self.send)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Shape of what is shown, or None while nothing is."""
        for shown in self.shown.values():
            if shown is not None:
                return shown.array.shape
        return None

    # ---- what others lay over the views

    def highlight(self, what: int | Iterable[Any] | None) -> None:
        """Outline cells, or areas, in all panels.

        Parameters
        ----------
        what : int, iterable of int, iterable of (N, 2) arrays, or None
            Ids of cells (they are looked up in every new result), or polygons (x, y) in array px; None for nothing.
        """
        items = [] if what is None else [what] if isinstance(what, int | np.integer) else list(what)
        ids = [item for item in items if isinstance(item, int | np.integer)]
        self._selected, self._outline = tuple(int(item) for item in ids), None
        if items and not ids:
            self._outline = _closed_curve([np.asarray(item, np.float32) for item in items])
        self.send(("highlight",))

    def overlay(self, image: np.ndarray | None, colours: Sequence[str] = (), legend: Legend | None = None) -> None:
        """Lay an image of classes over the cells, such as the difference of two results.

        Parameters
        ----------
        image : (H, W) uint8 or None
            0 is clear, i is ``colours[i - 1]``; None takes the overlay away.
        colours : sequence of str
            CSS colours, 255 at most.
        legend : Legend, optional
            What the colours stand for; shown in the last panel.
        """
        self._overlay = image
        self.canvas.paint("overlay", (CLEAR, *colours, *(CLEAR,) * (255 - len(colours))))
        self._overlay_legend = None if image is None else legend
        self.send(("overlay",))
        self._show_legend()

    # ---- results

    def clear(self) -> None:
        """Forget everything: other inputs are loaded."""
        self.artefacts.clear()
        self.shown.clear()
        self._painting, self._selected, self._outline = Painting(), (), None
        self._overlay = self._overlay_legend = None
        self._blurred = (None, None)
        self.canvas.levels = {}
        self.canvas.patch(dict.fromkeys(_names(), (None, None)))
        self._show_legend()

    def drop(self, artefacts: Iterable[str]) -> None:
        """Forget artefacts that the present choices do not make."""
        gone = [name for name in artefacts if self.artefacts.pop(name, None) is not None]
        if gone:
            self.send(self._assign(gone))

    def update(self, artefacts: Mapping[str, Any]) -> tuple[str, ...]:
        """Take new artefacts and send the layers that they change; return the names of those layers."""
        taken = {
            name: value
            for name, value in artefacts.items()
            if name in _ARTEFACTS and value is not self.artefacts.get(name)
        }
        if not taken:
            return ()
        self.artefacts.update(taken)
        names = self._assign(taken)
        self.send(names)
        return names

    def use(
        self,
        *,
        rna: str | None = None,
        score: str | None = None,
        colour_by: str | None = None,
        compare: str | None = None,
    ) -> None:
        """Choose what the panels show."""
        before = self.rna, self.score, self.colour_by, self.compare
        wanted = rna or self.rna, score or self.score, colour_by or self.colour_by, compare or self.compare
        if wanted == before:
            return
        self.rna, self.score, self.colour_by, self.compare = wanted
        changed = []
        for old, new, artefact in zip(before, wanted, (self.rna, self.score, "cells", "compare"), strict=True):
            if old != new:
                changed.append(artefact)
        self.send(self._assign(changed))

    def send(self, names: Iterable[str], view: View | None = None) -> None:
        """Send the visible windows of layers in one message."""
        view = view or self.canvas.view
        frames: dict[str, tuple[Window | None, Any]] = {}
        labels: dict[int, np.ndarray] = {}

        def window_labels(array: np.ndarray, window: Window) -> np.ndarray:
            if id(array) not in labels:
                labels[id(array)] = display.window_labels(array, window)
            return labels[id(array)]

        for name in names:
            if name == "highlight":
                frames[name] = (None, self._highlighted(view, window_labels))
                continue
            if name == "overlay":
                window = None if self._overlay is None else view.window(self._overlay.shape)
                frames[name] = (window, None if window is None else self._overlaid(window))
                continue
            shown = self.shown.get(name)
            if shown is None or (name in ON_DEMAND and name not in self.canvas.wanted):
                frames[name] = (None, None)
                continue
            window = view.window(shown.array.shape)
            if name in LABELLED:
                part = window_labels(shown.array, window)
                if name == "fill":
                    frames[name] = (window, self._painting.colours(part))
                elif name == "nuclei_fill":
                    frames[name] = (window, display.colour_ids(part))
                else:
                    frames[name] = (window, display.contours(part, window))
            elif name == "rna" and self.rna == "bins":
                bins = display.window_labels(shown.array, window)
                frames[name] = (window, display.colour_bins(bins, int(shown.array.max())))
            else:
                image = display.window_image(
                    shown.array, window, black=shown.black, white=shown.white, gamma=shown.gamma
                )
                frames[name] = (window, image)
        self.canvas.patch(frames)

    def send_all(self, view: View | None = None) -> None:
        """Send every layer: the view changed, or the page is new."""
        self.send(_names(), view)

    def look_up(self, at: tuple[float, float]) -> dict[str, Any]:
        """Return the values of the artefacts at a position (x, y); empty outside the frame."""
        found = {}
        for name, array in self.artefacts.items():
            if getattr(array, "ndim", 0) != 2 or name == "stain_raw":
                continue
            row, col = int(at[1]), int(at[0])
            if 0 <= row < array.shape[0] and 0 <= col < array.shape[1] and at[0] >= 0 and at[1] >= 0:
                found[name] = array[row, col]
        return found

    # ---- artefact -> layer

    def _assign(self, changed: Iterable[str]) -> tuple[str, ...]:
        names: list[str] = []
        changed = dict.fromkeys(changed).keys()
        for artefact in changed:
            value = self.artefacts.get(artefact)
            if artefact == "stain":
                self.shown["stain"] = self.shown["under"] = self._adjustable("stain", value, 0.9)
                names += ["stain", "under"]
            elif artefact == self.rna:
                if artefact == "bins":
                    self.shown["rna"] = None if value is None else Shown(value)
                    self._set_levels("rna", None)
                else:
                    self.shown["rna"] = self._adjustable("rna", value, 0.6, counts=True)
                names.append("rna")
            elif artefact == self.score:
                self.shown["score"] = _score(value)
                names.append("score")
            elif artefact in ("nuclei", "ghosts", "cells"):
                for layer in (layer for layer, shows in LABELLED.items() if shows == artefact):
                    self.shown[layer] = None if value is None else Shown(value)
                    names.append(layer)
        if changed & {"cells", self._painting.needs}:
            self._painting = paint_cells(self.colour_by, self.artefacts)
            self.canvas.paint("fill", self._painting.palette)
            names.append("fill")
            self._show_legend()
        if changed & {"cells"} and self._selected:
            names.append("highlight")
        if "compare" in changed:
            self.canvas.paint("stain", theme.map_colours("green" if self.compare == "overlay" else "gray"))
            self.canvas.paint("other", theme.map_colours("gray" if self.compare == "before" else "magenta"))
        if self.compare != "off" and changed & {"compare", "nuclear", "total", "stain_raw", "stain"}:
            self.shown["other"] = self._compared()
            names.append("other")
        return tuple(dict.fromkeys(names))

    def _compared(self) -> Shown | None:
        """Return what the stain is compared with: blurred RNA, or the stain as it lay."""
        assert self.compare in COMPARE
        if self.compare == "before":
            raw, stain = self.artefacts.get("stain_raw"), self.shown.get("stain")
            return None if raw is None or stain is None else Shown(raw, stain.black, stain.white, stain.gamma)
        counts = self.artefacts.get("nuclear")
        counts = self.artefacts.get("total") if counts is None else counts
        if counts is None:
            return None
        if self._blurred[0] is not counts:
            from segapp.core.convolve import gauss_blur

            blurred = gauss_blur(counts, BLUR_PX)
            self._blurred = counts, Shown(blurred, *display.stretch(blurred, 50, 99.8), 0.8)
        shown: Shown = self._blurred[1]
        return shown

    def _adjustable(self, layer: str, image: np.ndarray | None, gamma: float, *, counts: bool = False) -> Shown | None:
        if image is None:
            self._set_levels(layer, None)
            return None
        made = colouring.contrast(image, gamma, counts=counts)
        low = 0.0 if counts else display.PERCENTILES[0]
        self._set_levels(layer, {"levels": list(made.levels), "low": low, "high": display.PERCENTILES[1]})
        return Shown(image, made.black, made.white, made.gamma)

    def _set_levels(self, layer: str, levels: dict[str, Any] | None) -> None:
        if self.canvas.levels.get(layer) != levels:
            self.canvas.levels = {**self.canvas.levels, layer: levels}

    def _overlaid(self, window: Window) -> np.ndarray:
        assert self._overlay is not None
        return display.window_labels(self._overlay, window).astype(np.uint8)

    def _highlighted(self, view: View, window_labels: Any) -> tuple[np.ndarray, np.ndarray] | None:
        cells = self.artefacts.get("cells")
        if self._outline is not None or not self._selected or cells is None:
            return self._outline
        window = view.window(cells.shape)
        part = window_labels(cells, window)
        return display.contours(np.where(np.isin(part, self._selected), part, 0), window)

    def _show_legend(self) -> None:
        self.canvas.show_legend("labels", self._overlay_legend or self._painting.legend)


def _names() -> tuple[str, ...]:
    return tuple(layer.name for layer in (*IMAGES, *CURVES))


def _closed_curve(polygons: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return polygons as one curve; NaN ends each."""
    gap = np.full((1, 2), np.nan, np.float32)
    points = np.concatenate([part for polygon in polygons for part in (polygon, polygon[:1], gap)])
    return np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])


def _score(scores: np.ndarray | None) -> Shown | None:
    """Probabilities keep one scale, so that brightness means the same after every change."""
    if scores is None:
        return None
    black, white = display.stretch(scores, 0.5, 99.9)
    return Shown(scores, 0.0, 1.0) if black >= 0 and white <= 1 else Shown(scores, min(black, 0.0), white)
