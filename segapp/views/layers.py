"""What the linked views show: which artefact fills which layer, and how it becomes bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segapp.core import display
from segapp.core.display import Window
from segapp.views import theme
from segapp.views.canvas import Canvas, Choice, CurveLayer, ImageLayer, Panel, View

PANELS = (
    Panel("stain", "Stain", "The stain in the frame of the RNA, with the outlines of nuclei and cells"),
    Panel("rna", "Total RNA", "UMIs a pixel, or regions of similar RNA density"),
    Panel("score", "Cell score", "How surely a pixel lies in a cell, or in a nucleus where there are only nuclei"),
    Panel("labels", "Cells", "Every cell in a colour of its own"),
)

IMAGES = (
    ImageLayer("stain", "stain", theme.map_colours("gray")),
    ImageLayer("rna", "rna", theme.map_colours("viridis")),
    ImageLayer("score", "score", theme.map_colours("viridis")),
    ImageLayer("under", "labels", theme.map_colours("gray"), alpha=0.5),
    ImageLayer("fill", "labels", theme.label_colours(), alpha=0.85),
)

CURVES = (
    CurveLayer("cells", "Cells", "Outlines of cells", "c", theme.CELLS, ("stain", "rna", "score")),
    CurveLayer("nuclei", "Nuclei", "Outlines of nuclei", "n", theme.NUCLEI, ("stain",)),
    CurveLayer("ghosts", "Ghosts", "Objects outside the area limits", "g", theme.GHOSTS, ("labels",)),
)

RNA = {"total": "Total RNA", "nuclear": "Nuclear RNA", "bins": "Density regions"}
"""What the RNA panel can show: artefact -> title."""

COLOUR_BY = {"id": "Own colour", "area": "Area"}
"""What the colour of a cell can stand for."""

CHOICES = (
    Choice("rna", "RNA panel", "What the RNA panel shows", RNA),
    Choice("colour_by", "Cells by", "What the colour of a cell stands for", COLOUR_BY),
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
        self.colour_by = "id"
        self._areas: np.ndarray | None = None
        self.artefacts: dict[str, Any] = {}
        self.score = "cell_scores"
        self.shown: dict[str, Shown | None] = {}

    @property
    def shape(self) -> tuple[int, int] | None:
        """Shape of what is shown, or None while nothing is."""
        for shown in self.shown.values():
            if shown is not None:
                return shown.array.shape
        return None

    def clear(self) -> None:
        """Forget everything: other inputs are loaded."""
        self.artefacts.clear()
        self.shown.clear()
        self.canvas.patch(dict.fromkeys(_names(), (None, None)))

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

    def use(self, *, rna: str | None = None, score: str | None = None, colour_by: str | None = None) -> None:
        """Choose what the panels show."""
        wanted = rna or self.rna, score or self.score, colour_by or self.colour_by
        if wanted == (self.rna, self.score, self.colour_by):
            return
        self.rna, self.score, self.colour_by = wanted
        self.send(self._assign((self.rna, self.score, "cells")))

    def send(self, names: Iterable[str], view: View | None = None) -> None:
        """Send the visible windows of layers in one message."""
        view = view or self.canvas.view
        frames: dict[str, tuple[Window | None, Any]] = {}
        labels: dict[int, tuple[Window, np.ndarray]] = {}
        for name in names:
            shown = self.shown.get(name)
            if shown is None:
                frames[name] = (None, None)
                continue
            window = view.window(shown.array.shape)
            if name in ("fill", "cells", "nuclei", "ghosts"):
                key = id(shown.array)
                if key not in labels:
                    labels[key] = (window, display.window_labels(shown.array, window))
                frames[name] = (window, self._draw(name, labels[key][1], window))
            elif name == "rna" and self.rna == "bins":
                frames[name] = (window, self._bins(display.window_labels(shown.array, window)))
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
            if getattr(array, "ndim", 0) != 2:
                continue
            row, col = int(at[1]), int(at[0])
            if 0 <= row < array.shape[0] and 0 <= col < array.shape[1] and at[0] >= 0 and at[1] >= 0:
                found[name] = array[row, col]
        return found

    # ---- artefact -> layer

    def _assign(self, changed: Iterable[str]) -> tuple[str, ...]:
        names = []
        for artefact in changed:
            value = self.artefacts.get(artefact)
            if artefact == "stain":
                self.shown["stain"] = self.shown["under"] = _stretched(value, 0.9)
                names += ["stain", "under"]
            elif artefact == self.rna:
                self.shown["rna"] = Shown(value) if artefact == "bins" and value is not None else _counts(value)
                names.append("rna")
            elif artefact == self.score:
                self.shown["score"] = _score(value)
                names.append("score")
            elif artefact == "cells":
                self.shown["fill"] = self.shown["cells"] = None if value is None else Shown(value)
                self._areas = display.label_areas(value) if value is not None and self.colour_by == "area" else None
                names += ["fill", "cells"]
            elif artefact in ("nuclei", "ghosts"):
                self.shown[artefact] = None if value is None else Shown(value)
                names.append(artefact)
        return tuple(dict.fromkeys(names))

    def _draw(self, name: str, labels: np.ndarray, window: Window) -> Any:
        if name != "fill":
            return display.contours(labels, window)
        if self._areas is not None:
            return display.colour_values(labels, self._areas)
        return display.colour_ids(labels)

    def _bins(self, bins: np.ndarray) -> np.ndarray:
        return display.colour_bins(bins, int(self.artefacts["bins"].max()))


_ARTEFACTS = ("stain", "total", "nuclear", "bins", "cell_scores", "nuclei_scores", "nuclei", "cells", "ghosts")


def _names() -> tuple[str, ...]:
    return tuple(layer.name for layer in (*IMAGES, *CURVES))


def _stretched(image: np.ndarray | None, gamma: float) -> Shown | None:
    return None if image is None else Shown(image, *display.stretch(image), gamma)


def _counts(counts: np.ndarray | None) -> Shown | None:
    if counts is None:
        return None
    _, white = display.stretch(counts)
    return Shown(counts, 0.0, max(white, 1.0), 0.6)


def _score(scores: np.ndarray | None) -> Shown | None:
    """Probabilities keep one scale, so that brightness means the same after every change."""
    if scores is None:
        return None
    black, white = display.stretch(scores, 0.5, 99.9)
    return Shown(scores, 0.0, 1.0) if black >= 0 and white <= 1 else Shown(scores, min(black, 0.0), white)
