"""The Bokeh document of the linked views: composed by HoloViews once, patched in place afterwards."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from segapp.views import theme
from segapp.views.scene import CurveLayer, ImageLayer, Scene

BRIDGE = ("base", "access", "paint", "layers", "marks", "tools", "stage")
"""Files of the page's side, in the order in which they build on each other."""

KEPT = Path(__file__).with_name("document.json.gz")
"""The document of the app's scene; ``python -m segapp.views.compose`` writes it anew."""


@dataclass(frozen=True)
class Composed:
    """A document and where things are in it.

    Parameters
    ----------
    item : dict
        What `Bokeh.embed.embed_item` takes.
    figures : dict of str to str
        Panel to the id of its figure.
    drawn : dict of str to dict
        Layer to panel to (id of the renderer, id of the source).
    mappers : dict of str to str
        Image layer to the id of its colours.
    """

    item: dict[str, Any]
    figures: dict[str, str]
    drawn: dict[str, dict[str, tuple[str, str]]]
    mappers: dict[str, str]


def document(scene: Scene) -> Composed:
    """Return the document of a scene: that of the app lies beside this file, any other is composed.

    HoloViews and what it brings take 3 s of the processor and 150 MB to import, to make the same document each time.
    """
    if KEPT.is_file():
        held = json.loads(gzip.decompress(KEPT.read_bytes()))
        if held.pop("key") == key(scene):
            return Composed(**held)
    return compose(scene)


def key(scene: Scene) -> str:
    """Return what the document of a scene depends on, as a digest: the scene, the code here, and Bokeh's version."""
    parts = [repr(scene), Path(__file__).read_text(encoding="utf-8"), version("bokeh")]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def keep(scene: Scene) -> Path:
    """Compose a scene and write it to where `document` finds it."""
    text = json.dumps({"key": key(scene)} | asdict(compose(scene)), separators=(",", ":"))
    KEPT.write_bytes(gzip.compress(text.encode(), mtime=0))
    return KEPT


def compose(scene: Scene) -> Composed:
    """Compose the figures of a scene.

    HoloViews lays out the panels with the image that each is named after. What lies over them is added to its figures:
    every panel has a source of its own for every layer, so that the page leaves those untouched that are not seen.
    """
    import holoviews as hv
    from bokeh.embed import json_item
    from bokeh.layouts import column, row
    from bokeh.models import GlyphRenderer, LinearColorMapper, Plot, Range1d

    # not hv.extension(): that asks the network for scripts
    if "bokeh" not in hv.Store.renderers:
        import holoviews.plotting.bokeh
    hv.Store.set_current_backend("bokeh")

    overlays = [
        hv.Image(np.zeros((2, 2), np.uint8), bounds=(0, 0, 1, 1), label=panel.name).opts(
            title=panel.name,
            xaxis=None,
            yaxis=None,
            bgcolor=theme.FIELD,
            invert_yaxis=True,
            default_tools=["pan", "wheel_zoom"],
            active_tools=["pan", "wheel_zoom"],
            backend_opts={"plot.output_backend": "canvas"},
        )
        for panel in scene.panels
    ]
    root = hv.render(hv.Layout(overlays).opts(hv.opts.Layout(shared_axes=True)))
    figures = {figure.title.text: figure for figure in root.select({"type": Plot})}
    x_range, y_range = Range1d(start=0, end=1), Range1d(start=1, end=0)
    mappers = {i.name: LinearColorMapper(palette=list(i.palette), low=0, high=255) for i in scene.images}
    shown = {
        (layer, panel)
        for switch in scene.switches
        if switch.on
        for layer, panels in next(iter(switch.styles.values())).items()
        for panel in panels
    }
    drawn: dict[str, dict[str, tuple[str, str]]] = {}
    for panel in scene.panels:
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
            renderers=[],
            center=[],  # grids, which ask the style sheet for their colours at every painting and draw nothing
        )
        layers: list[ImageLayer | CurveLayer] = [*scene.images, *scene.curves]
        for layer in layers:
            if panel.name not in layer.panels:
                continue
            source, glyph = _image(mappers[layer.name]) if isinstance(layer, ImageLayer) else _curve(layer)
            renderer = GlyphRenderer(
                data_source=source,
                glyph=glyph,
                nonselection_glyph=None,
                selection_glyph=None,
                muted_glyph=None,
                hover_glyph=None,
                visible=(layer.name, panel.name) in shown,
            )
            figure.renderers.append(renderer)
            drawn.setdefault(layer.name, {})[panel.name] = (renderer.id, source.id)
    names = [panel.name for panel in scene.panels]
    rows = [
        row([figures[name] for name in names[start : start + 2]], sizing_mode="stretch_both", spacing=theme.GAP)
        for start in range(0, len(names), 2)
    ]
    # rows in a column, not a grid: a panel that is hidden leaves its place to the others
    page = column(rows, sizing_mode="stretch_both", spacing=theme.GAP)
    return Composed(
        dict(json_item(page)),
        {name: figure.id for name, figure in figures.items()},
        drawn,
        {name: mapper.id for name, mapper in mappers.items()},
    )


def _image(mapper: Any) -> tuple[Any, Any]:
    from bokeh.models import ColumnDataSource, Image

    source = ColumnDataSource(
        {"image": [np.zeros((1, 1), np.uint8)], "x": [-2.0], "y": [-2.0], "dw": [1e-6], "dh": [1e-6]}
    )
    return source, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper)


def _curve(curve: CurveLayer) -> tuple[Any, Any]:
    from bokeh.models import ColumnDataSource, Line

    source = ColumnDataSource({"x": np.zeros(0, np.float32), "y": np.zeros(0, np.float32)})
    return source, Line(x="x", y="y", line_color=curve.colour, line_width=curve.width, line_join="round")


@functools.cache
def script() -> str:
    """Return BokehJS and the page's side as one module: the page needs nothing from elsewhere."""
    # the file itself: `bokeh.resources` imports most of Bokeh to find it
    scripts = (files("bokeh") / "server" / "static" / "js" / "bokeh.min.js").read_text(encoding="utf-8")
    bridge = "\n".join(_file("bridge", f"{name}.js") for name in BRIDGE)
    return (
        f'const wanted = "{version("bokeh")}";\n'
        "const found = () => window.Bokeh?.version === wanted ? window.Bokeh : window.Bokeh?.[wanted];\n"
        # opened when it is drawn: a module that takes seconds to load is given up by the page, on a slow machine
        f"let bokeh = null;\nfunction openBokeh() {{\nif (!found()) (function() {{\n{scripts}\n}}).call(window);\n"
        f"bokeh = found();\n}}\n{bridge}"
    )


def _file(*parts: str) -> str:
    return Path(__file__).parent.joinpath(*parts).read_text(encoding="utf-8")


if __name__ == "__main__":
    from segapp.views.scene import SCENE

    print(keep(SCENE))
