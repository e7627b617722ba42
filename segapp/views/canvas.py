"""The linked views: figures composed by HoloViews, shown and patched by one small widget.

This module is the only one that knows Bokeh. HoloViews composes the four panels once. The page then holds the Bokeh
document alone: a view change sends what is visible to the kernel, and the kernel answers with all layers in ONE binary
message. The page sets the sources itself, so nothing is compared, rendered again or echoed. BokehJS travels with the
widget; no network and no extension of the notebook is needed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from segapp.core.display import Window
from segapp.views import theme

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """What the page shows: bounds in array px, and the device pixels that show them."""

    bounds: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    screen: tuple[float, float] = (512.0, 512.0)

    def window(self, shape: tuple[int, int]) -> Window:
        """Return the window of an array of `shape` to send for this view."""
        return Window.visible(shape, self.bounds, self.screen)


@dataclass(frozen=True)
class ImageLayer:
    """An image of a panel; it is patched with bytes that index `palette`."""

    name: str
    panel: str
    palette: tuple[str, ...]
    alpha: float = 1.0


@dataclass(frozen=True)
class CurveLayer:
    """Outlines drawn in several panels, switched by a button and a key."""

    name: str
    title: str
    doc: str
    key: str
    colour: str
    panels: tuple[str, ...]
    width: float = 1.0
    on: bool = True


@dataclass(frozen=True)
class Panel:
    """One of the linked views."""

    name: str
    title: str
    doc: str


@dataclass(frozen=True)
class Choice:
    """A list to choose from in the row of buttons: value to title."""

    name: str
    title: str
    doc: str
    options: Mapping[str, str]


class Canvas(anywidget.AnyWidget):
    """Linked panels that show windows of arrays.

    Parameters
    ----------
    panels : sequence of Panel
        Left to right, top to bottom, two a row.
    images : sequence of ImageLayer
    curves : sequence of CurveLayer
    choices : sequence of Choice
    on_view : callable
        Called with the `View` whenever it changed or the page asks for everything again.
    on_pointer : callable
        Called with the position (x, y) of the pointer in array px, or None when it left.
    on_choice : callable
        Called with (name, value) of a choice.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    shape = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(1, 1)).tag(sync=True)
    um_per_px = traitlets.Float(0.5).tag(sync=True)
    item = traitlets.Dict().tag(sync=True)
    panels = traitlets.List().tag(sync=True)
    layers = traitlets.List().tag(sync=True)
    choices = traitlets.List().tag(sync=True)
    captions = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        panels: Sequence[Panel],
        images: Sequence[ImageLayer],
        curves: Sequence[CurveLayer],
        choices: Sequence[Choice] = (),
        on_view: Callable[[View], None] = lambda view: None,
        on_pointer: Callable[[tuple[float, float] | None], None] = lambda at: None,
        on_choice: Callable[[str, str], None] = lambda name, value: None,
    ) -> None:
        figures, sources, renderers, item = _compose(panels, images, curves)
        self._sources = sources
        self._on_view, self._on_pointer, self._on_choice = on_view, on_pointer, on_choice
        self.view = View()
        self.sent = 0
        super().__init__(
            item=item,
            panels=[{"name": p.name, "title": p.title, "doc": p.doc, "figure": figures[p.name]} for p in panels],
            layers=[
                {
                    "name": c.name,
                    "title": c.title,
                    "doc": c.doc,
                    "key": c.key,
                    "colour": c.colour,
                    "on": c.on,
                    "renderers": renderers[c.name],
                }
                for c in curves
            ],
            choices=[{"name": c.name, "title": c.title, "doc": c.doc, "options": dict(c.options)} for c in choices],
        )
        self.on_msg(self._receive)

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return _script()

    def place(self, shape: tuple[int, int], um_per_px: float) -> None:
        """Show arrays of another shape: the page fits them into the panels and asks for their windows."""
        self.um_per_px = um_per_px
        self.shape = shape
        self.view = View((0, 0, shape[1], shape[0]), self.view.screen)

    def patch(self, layers: Mapping[str, tuple[Window | None, Any]]) -> None:
        """Send new content of layers in one message.

        Parameters
        ----------
        layers : mapping
            Name of a layer to (window, content): bytes of shape (window.height, window.width) for an image,
            (x, y) for a curve; None in place of the content clears the layer.
        """
        frames: list[dict[str, Any]] = []
        buffers: list[bytes] = []
        for name, (window, content) in layers.items():
            if isinstance(content, tuple):
                columns = {key: _column(values, buffers) for key, values in zip("xy", content, strict=True)}
                frames.append({"sources": self._sources[name], "nested": False, "columns": columns})
            elif name in self._curve_names():
                empty = np.zeros(0, np.float32)
                columns = {"x": _column(empty, buffers), "y": _column(empty, buffers)}
                frames.append({"sources": self._sources[name], "nested": False, "columns": columns})
            else:
                if content is None:
                    window, content = None, np.zeros((1, 1), np.uint8)
                columns = {"image": _column(content, buffers)} | {
                    key: [value] for key, value in zip(("x", "y", "dw", "dh"), _extent(window), strict=True)
                }
                frames.append({"sources": self._sources[name], "nested": True, "columns": columns})
        if frames:
            self.sent += 1
            self.send({"type": "frames", "frames": frames, "serial": self.sent}, buffers)

    def caption(self, captions: Mapping[str, tuple[str, str, bool]]) -> None:
        """Write over panels: name to (title, note in the middle of an empty panel, being computed)."""
        self.captions = {
            name: {"title": title, "note": note, "busy": busy} for name, (title, note, busy) in captions.items()
        }

    def read_out(self, text: str) -> None:
        """Write what is under the pointer."""
        self.send({"type": "readout", "text": text})

    def _curve_names(self) -> set[str]:
        return {layer["name"] for layer in self.layers}

    def _receive(self, widget: Any, message: Mapping[str, Any], buffers: Any) -> None:
        kind = message.get("type")
        if kind in ("view", "ready"):
            x0, y0, x1, y1 = (float(value) for value in message["view"])
            width, height = (float(value) for value in message["screen"])
            self.view = View((x0, y0, x1, y1), (width, height))
            self._on_view(self.view)
        elif kind == "pointer":
            at = message.get("at")
            self._on_pointer(None if at is None else (float(at[0]), float(at[1])))
        elif kind == "choice":
            self._on_choice(str(message["name"]), str(message["value"]))


def _extent(window: Window | None) -> tuple[float, float, float, float]:
    """Return x, y, width and height of an image; one that shows nothing lies out of sight."""
    if window is None:
        return -2.0, -2.0, 1e-6, 1e-6
    return window.x0, window.y0, window.x1 - window.x0, window.y1 - window.y0


def _column(values: np.ndarray, buffers: list[bytes]) -> dict[str, Any]:
    buffers.append(np.ascontiguousarray(values).tobytes())
    return {"buffer": len(buffers) - 1, "dtype": str(values.dtype), "shape": list(values.shape)}


@functools.cache
def _script() -> str:
    """Return BokehJS and the bridge as one module: the page needs nothing from elsewhere."""
    import bokeh
    from bokeh.resources import Resources

    scripts = "\n".join(Resources(mode="inline", components=["bokeh"], minified=True).js_raw)
    bridge = Path(__file__).with_name("bridge.js").read_text(encoding="utf-8")
    version = bokeh.__version__
    return (
        f'const wanted = "{version}";\n'
        "const found = () => window.Bokeh?.version === wanted ? window.Bokeh : window.Bokeh?.[wanted];\n"
        f"if (!found()) (function() {{\n{scripts}\n}}).call(window);\nconst bokeh = found();\n{bridge}"
    )


def _compose(
    panels: Sequence[Panel], images: Sequence[ImageLayer], curves: Sequence[CurveLayer]
) -> tuple[dict[str, str], dict[str, list[str]], dict[str, list[str]], dict[str, Any]]:
    """Compose the figures with HoloViews; return the ids of figures, sources and renderers, and the document."""
    import holoviews as hv
    from bokeh.embed import json_item
    from bokeh.layouts import gridplot
    from bokeh.models import ColumnDataSource, GlyphRenderer, LinearColorMapper, Plot, Range1d

    # not hv.extension(): that asks the network for scripts
    if "bokeh" not in hv.Store.renderers:
        import holoviews.plotting.bokeh
    hv.Store.set_current_backend("bokeh")

    overlays = []
    stacks: dict[str, list[str]] = {}
    for panel in panels:
        elements: list[Any] = []
        for image in (image for image in images if image.panel == panel.name):
            empty = hv.Image(np.zeros((2, 2), np.uint8), bounds=(0, 0, 1, 1))
            elements.append(empty.opts(cmap="gray", clim=(0, 255), alpha=image.alpha))
            stacks.setdefault(panel.name, []).append(image.name)
        for curve in (curve for curve in curves if panel.name in curve.panels):
            line = hv.Curve((np.zeros(1, np.float32), np.zeros(1, np.float32)))
            elements.append(line.opts(color=curve.colour, line_width=curve.width, alpha=0.9))
            stacks.setdefault(panel.name, []).append(curve.name)
        overlays.append(
            hv.Overlay(elements).opts(
                hv.opts.Overlay(
                    title=panel.name,
                    xaxis=None,
                    yaxis=None,
                    bgcolor=theme.FIELD,
                    show_legend=False,
                    invert_yaxis=True,
                    default_tools=["pan", "wheel_zoom"],
                    active_tools=["pan", "wheel_zoom"],
                    backend_opts={"plot.output_backend": "canvas"},
                )
            )
        )
    root = hv.render(hv.Layout(overlays).opts(hv.opts.Layout(shared_axes=True)))
    figures = {figure.title.text: figure for figure in root.select({"type": Plot})}
    x_range, y_range = Range1d(start=0, end=1), Range1d(start=1, end=0)
    palettes = {image.name: list(image.palette) for image in images}
    lines = {curve.name: curve for curve in curves}
    sources: dict[str, list[str]] = {}
    renderers: dict[str, list[str]] = {}
    for panel in panels:
        figure = figures[panel.name]
        figure.update(
            title=None,
            width=None,
            height=None,
            frame_width=None,
            frame_height=None,
            sizing_mode="stretch_both",
            x_range=x_range,
            y_range=y_range,
            output_backend="canvas",  # copying from a WebGL canvas alone costs 400 ms a change
            toolbar_location=None,
            margin=0,
            min_border=0,
            min_border_left=0,
            min_border_right=0,
            min_border_top=0,
            min_border_bottom=0,
            outline_line_color=None,
            border_fill_color=None,
            lod_threshold=None,
            match_aspect=False,
        )
        glyphs = [item for item in figure.renderers if isinstance(item, GlyphRenderer)]
        for name, renderer in zip(stacks[panel.name], glyphs, strict=True):
            if name in palettes:
                renderer.data_source = ColumnDataSource(
                    {"image": [np.zeros((1, 1), np.uint8)], "x": [-2.0], "y": [-2.0], "dw": [1e-6], "dh": [1e-6]}
                )
                renderer.glyph.update(
                    image="image",
                    x="x",
                    y="y",
                    dw="dw",
                    dh="dh",
                    color_mapper=LinearColorMapper(palette=palettes[name], low=0, high=255),
                )
            else:
                renderer.data_source = ColumnDataSource({"x": np.zeros(0, np.float32), "y": np.zeros(0, np.float32)})
                renderer.glyph.update(x="x", y="y")
                renderer.visible = lines[name].on
            renderer.update(nonselection_glyph=None, selection_glyph=None, muted_glyph=None, hover_glyph=None)
            sources.setdefault(name, []).append(renderer.data_source.id)
            renderers.setdefault(name, []).append(renderer.id)
    rows = [[figures[panel.name] for panel in panels[start : start + 2]] for start in range(0, len(panels), 2)]
    grid = gridplot(rows, sizing_mode="stretch_both", toolbar_location=None, merge_tools=False)
    grid.spacing = theme.GAP
    return {name: figure.id for name, figure in figures.items()}, sources, renderers, dict(json_item(grid))
