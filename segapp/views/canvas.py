"""The linked views: figures composed by HoloViews, shown and patched by one small widget.

The page holds the Bokeh document alone: a view change sends what is visible to the kernel, and the kernel answers with
all layers in ONE binary message. The page paints them itself, so nothing is compared, worked through twice or echoed.
Opacity, visibility, styles and contrast are the page's own affair. BokehJS travels with the widget; no network and no
extension of the notebook is needed. Only this module and `compose` know Bokeh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anywidget
import numpy as np
import traitlets

from segapp.core.display import Window
from segapp.views import compose
from segapp.views.scene import SCENE, Scene

Point = tuple[float, float]
Tap = Callable[[float, float], None]
Stroke = Callable[["Gesture"], None]
Heard = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class View:
    """What the page shows: bounds in array px, and the device pixels that show them."""

    bounds: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    screen: tuple[float, float] = (512.0, 512.0)

    def window(self, shape: tuple[int, int]) -> Window:
        """Return the window of an array of `shape` to send for this view."""
        return Window.visible(shape, self.bounds, self.screen)


@dataclass(frozen=True)
class Gesture:
    """One stroke with a tool.

    Parameters
    ----------
    tool : str
    points : tuple of (x, y)
        In array px; pixel (r, c) covers x from c to c + 1.
    panels : tuple of str
        Panel of each point, where it matters; else of the first.
    target : str
        ``"cells"`` or ``"nuclei"``.
    """

    tool: str
    points: tuple[Point, ...]
    panels: tuple[str, ...] = ()
    target: str = "cells"


@dataclass(frozen=True)
class Mark:
    """A number, a line or an area drawn over the panels; it moves with the picture.

    Parameters
    ----------
    points : tuple of (x, y)
        In array px: one is a spot, more are a line, or an area where `closed`.
    text : str
        Beside the first point.
    panels : tuple of str
        Empty: in all.
    closed : bool
    kind : str
        ``"mark"``, ``"landmark"`` or ``"edit"``: its colour.
    """

    points: tuple[Point, ...]
    text: str = ""
    panels: tuple[str, ...] = ()
    closed: bool = False
    kind: str = "mark"


@dataclass(frozen=True)
class Legend:
    """What colours stand for: entries (colour, text), or a ramp of colours between two texts."""

    title: str
    entries: tuple[tuple[str, str], ...] = ()
    ramp: tuple[str, ...] = ()
    low: str = ""
    high: str = ""


class Canvas(anywidget.AnyWidget):
    """Linked panels that show windows of arrays.

    Parameters
    ----------
    scene : Scene
        Panels, layers, switches, choices and tools.
    on_view : callable
        Called with the `View` whenever it changed or the page asks for everything again.
    on_pointer : callable
        Called with the position (x, y) of the pointer in array px, or None when it left.
    on_choice : callable
        Called with (name, value) of a choice.
    on_message : callable
        Called with (kind, message) for everything else that the page sends, taps and strokes among it.

    Attributes
    ----------
    view : View
        What the page shows.
    tool : str
        The tool in hand; writing it hands another one over.

    Notes
    -----
    Whoever wants to hear of the pointer asks: `on_tap` (a click with the tool that selects), `on_stroke` (a stroke with
    any other tool).
    """

    _esm = traitlets.Unicode().tag(sync=True)
    shape = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(1, 1)).tag(sync=True)
    um_per_px = traitlets.Float(0.5).tag(sync=True)
    item = traitlets.Dict().tag(sync=True)
    panels: traitlets.List[Any] = traitlets.List().tag(sync=True)
    drawn = traitlets.Dict().tag(sync=True)
    mappers = traitlets.Dict().tag(sync=True)
    switches: traitlets.List[Any] = traitlets.List().tag(sync=True)
    choices: traitlets.List[Any] = traitlets.List().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    tools: traitlets.List[Any] = traitlets.List().tag(sync=True)
    tool = traitlets.Unicode("select").tag(sync=True)
    captions = traitlets.Dict().tag(sync=True)
    palettes = traitlets.Dict().tag(sync=True)
    levels = traitlets.Dict().tag(sync=True)
    legends = traitlets.Dict().tag(sync=True)
    marks: traitlets.List[Any] = traitlets.List().tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        scene: Scene = SCENE,
        on_view: Callable[[View], None] = lambda view: None,
        on_pointer: Callable[[Point | None], None] = lambda at: None,
        on_choice: Callable[[str, str], None] = lambda name, value: None,
        on_message: Heard = lambda kind, message: None,
    ) -> None:
        made = compose.document(scene)
        self.scene = scene
        self._sources = {layer: [source for _, source in places.values()] for layer, places in made.drawn.items()}
        self._curves = {curve.name for curve in scene.curves}
        self._on_view, self._on_pointer, self._on_choice = on_view, on_pointer, on_choice
        self._on_message = on_message
        self._taps: list[Tap] = []
        self._strokes: list[Stroke] = []
        self._wants: list[Callable[[Sequence[str]], None]] = []
        self._marks: dict[str, tuple[Mark, ...]] = {}
        self._held: dict[str, tuple[Window | None, Any]] = {}
        self.view = View()
        self.sent = 0
        self.wanted: frozenset[str] = frozenset(
            layer for switch in scene.switches if switch.on for layer in next(iter(switch.styles.values()))
        )
        super().__init__(
            item=made.item,
            panels=[{**asdict(panel), "figure": made.figures[panel.name]} for panel in scene.panels],
            drawn={layer: {panel: list(ids) for panel, ids in places.items()} for layer, places in made.drawn.items()},
            mappers=made.mappers,
            switches=[_plain(switch) for switch in scene.switches],
            choices=[_plain(choice) for choice in scene.choices],
            tools=[_plain(tool) for tool in scene.tools],
        )
        self.on_msg(self._receive)

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return compose.script()

    # ---- who listens

    def on_tap(self, call: Tap) -> None:
        """Ask to be called with (x, y) in array px when a spot is clicked with the tool that selects."""
        self._taps.append(call)

    def on_stroke(self, call: Stroke) -> None:
        """Ask to be called with the `Gesture` that was made with another tool."""
        self._strokes.append(call)

    def on_wanted(self, call: Callable[[Sequence[str]], None]) -> None:
        """Ask to be called with the names of layers that the page shows now and did not show before."""
        self._wants.append(call)

    # ---- what is shown

    def place(self, shape: tuple[int, int], um_per_px: float) -> None:
        """Show arrays of another shape: the page fits them into the panels and asks for their windows."""
        self.um_per_px = um_per_px
        self.shape = shape
        self.view = View((0, 0, shape[1], shape[0]), self.view.screen)

    def patch(self, layers: Mapping[str, tuple[Window | None, Any]]) -> None:
        """Send new content of layers in one message; what the page shows already is not sent again.

        Parameters
        ----------
        layers : mapping
            Name of a layer to (window, content): bytes of shape (window.height, window.width) for an image,
            (x, y) for a curve; None in place of the content clears the layer.
        """
        frames: list[dict[str, Any]] = []
        buffers: list[bytes] = []
        for name, (window, content) in layers.items():
            if name in self._held and _same(self._held[name], (window, content)):
                continue
            self._held[name] = window, content
            frame: dict[str, Any] = {"layer": name, "sources": self._sources[name], "nested": name not in self._curves}
            if name in self._curves:
                x, y = content if content is not None else (np.zeros(0, np.float32), np.zeros(0, np.float32))
                frame["columns"] = {"x": _column(x, buffers), "y": _column(y, buffers)}
            else:
                if content is None:
                    window, content = None, np.zeros((1, 1), np.uint8)
                frame["columns"] = {"image": _column(content, buffers)} | {
                    key: [value] for key, value in zip(("x", "y", "dw", "dh"), _extent(window), strict=True)
                }
            frames.append(frame)
        if frames:
            self.sent += 1
            self.send({"type": "frames", "frames": frames, "serial": self.sent}, buffers)

    def paint(self, layer: str, palette: Sequence[str]) -> None:
        """Let the bytes of an image layer stand for other colours, 256 of them."""
        if self.palettes.get(layer) != list(palette):
            self.palettes = {**self.palettes, layer: list(palette)}

    def caption(self, captions: Mapping[str, tuple[str, str, bool]]) -> None:
        """Write over panels: name to (title, note in the middle of an empty panel, being computed)."""
        self.captions = {
            name: {"title": title, "note": note, "busy": busy} for name, (title, note, busy) in captions.items()
        }

    def show_legend(self, panel: str, legend: Legend | None) -> None:
        """Write what colours stand for into a corner of a panel; None takes it away."""
        others = {name: value for name, value in self.legends.items() if name != panel}
        self.legends = others if legend is None else {**others, panel: _plain(legend)}

    def show_marks(self, whose: str, marks: Sequence[Mark]) -> None:
        """Draw marks over the panels, in place of those that were drawn under the same name."""
        self._marks[whose] = tuple(marks)
        self.marks = [_plain(mark) for held in self._marks.values() for mark in held]

    def choose(self, name: str, value: str) -> None:
        """Set one of the choices, as a person would."""
        self.chosen = {**self.chosen, name: value}
        self._on_choice(name, value)

    def look_at(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Move the view so that a part of the frame, in array px, fills a third of it."""
        self.send({"type": "look", "bounds": [x0, y0, x1, y1]})

    def read_out(self, text: str) -> None:
        """Write what is under the pointer."""
        self.send({"type": "readout", "text": text})

    def settle(self) -> None:
        """End the moving of the stain by hand: its place is in the result now, or was given up."""
        self.send({"type": "settled"})

    # ---- what the page sends

    def _receive(self, widget: Any, message: Mapping[str, Any], buffers: Any) -> None:
        kind = message.get("type")
        if kind in ("view", "ready"):
            x0, y0, x1, y1 = (float(value) for value in message["view"])
            width, height = (float(value) for value in message["screen"])
            self.view = View((x0, y0, x1, y1), (width, height))
            if kind == "ready":  # a page that has nothing yet
                self._held.clear()
            self._on_view(self.view)
        elif kind == "pointer":
            at = message.get("at")
            self._on_pointer(None if at is None else (float(at[0]), float(at[1])))
        elif kind == "choice":
            self.choose(str(message["name"]), str(message["value"]))
        elif kind == "wanted":
            wanted = frozenset(str(name) for name in message["layers"]) & set(self.scene.layers)
            new, self.wanted = wanted - self.wanted, wanted
            if new:
                for want in self._wants:
                    want(sorted(new))
        elif isinstance(kind, str):
            if kind == "tap":
                x, y = (float(value) for value in message["at"])
                for tap in self._taps:
                    tap(x, y)
            elif kind == "stroke":
                points = tuple((float(x), float(y)) for x, y in message["points"])
                panels = tuple(str(name) for name in message.get("panels", ()))
                gesture = Gesture(str(message["tool"]), points, panels, str(message.get("target", "cells")))
                for stroke in self._strokes:
                    stroke(gesture)
            self._on_message(kind, message)


def _extent(window: Window | None) -> tuple[float, float, float, float]:
    """Return x, y, width and height of an image; one that shows nothing lies out of sight."""
    if window is None:
        return -2.0, -2.0, 1e-6, 1e-6
    return window.x0, window.y0, window.x1 - window.x0, window.y1 - window.y0


def _same(old: tuple[Window | None, Any], new: tuple[Window | None, Any]) -> bool:
    """Whether a layer would look as it does: nothing, equal bytes in the same window, or equal outlines."""
    if old[1] is None or new[1] is None:
        return old[1] is new[1]
    if isinstance(new[1], tuple):
        return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(old[1], new[1], strict=True))
    return old[0] == new[0] and old[1].dtype == new[1].dtype and np.array_equal(old[1], new[1])


def _column(values: np.ndarray, buffers: list[bytes]) -> dict[str, Any]:
    buffers.append(np.ascontiguousarray(values).tobytes())
    return {"buffer": len(buffers) - 1, "dtype": str(values.dtype), "shape": list(values.shape)}


def _plain(value: Any) -> dict[str, Any]:
    """Return a declaration as the page reads it."""
    return {key: list(item) if isinstance(item, tuple) else item for key, item in asdict(value).items()}
