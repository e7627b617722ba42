"""What the linked views are made of: panels, what is drawn in them, what a person switches, the tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segapp.views import theme


@dataclass(frozen=True)
class Panel:
    """One of the linked views."""

    name: str
    title: str
    doc: str


@dataclass(frozen=True)
class ImageLayer:
    """An image drawn in panels; it is patched with bytes that index `palette`.

    Parameters
    ----------
    name : str
    panels : tuple of str
        Where it can be drawn.
    palette : tuple of str
        256 colours; a message may bring others.
    """

    name: str
    panels: tuple[str, ...]
    palette: tuple[str, ...]


@dataclass(frozen=True)
class CurveLayer:
    """Outlines drawn in panels."""

    name: str
    panels: tuple[str, ...]
    colour: str
    width: float = 1.0


Drawn = Mapping[str, tuple[str, ...]]
"""What is drawn where: layer -> panels."""


@dataclass(frozen=True)
class Switch:
    """What a person switches as one thing: a row in the list of layers, with a key.

    Parameters
    ----------
    name, title, doc, key : str
    styles : mapping of str to mapping
        Ways to draw it: title -> layer -> panels. The first one holds at the start.
    colour : str
        Of its button in the bar; a switch without a colour has no button there.
    opacity : float
        At the start, 0 to 1.
    on : bool
        At the start.
    contrast : str
        Layer whose darkest and brightest shares can be set; empty for none.
    """

    name: str
    title: str
    doc: str
    key: str
    styles: Mapping[str, Drawn]
    colour: str = ""
    opacity: float = 1.0
    on: bool = True
    contrast: str = ""


@dataclass(frozen=True)
class Choice:
    """A list to choose from in the row of buttons: value to title."""

    name: str
    title: str
    doc: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Tool:
    """A way to use the pointer in the views.

    Parameters
    ----------
    name, title, key : str
    doc : str
        What to do with the pointer, shown while the tool is held.
    shape : {"none", "tap", "area", "line", "pick", "pair", "nudge"}
        What one stroke is made of.
    group : str
        Tools of one group stand together.
    """

    name: str
    title: str
    key: str
    doc: str
    shape: str
    group: str = "edits"


@dataclass(frozen=True)
class Scene:
    """All that a `Canvas` shows."""

    panels: tuple[Panel, ...]
    images: tuple[ImageLayer, ...]
    curves: tuple[CurveLayer, ...] = ()
    switches: tuple[Switch, ...] = ()
    choices: tuple[Choice, ...] = ()
    tools: tuple[Tool, ...] = field(default=())

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of everything that is drawn, from back to front."""
        return tuple(layer.name for layer in (*self.images, *self.curves))


PANELS = (
    Panel("stain", "Stain", "The stain in the frame of the RNA, with the outlines of nuclei and cells"),
    Panel("rna", "Total RNA", "UMIs a pixel, or regions of similar RNA density"),
    Panel("score", "Cell score", "How surely a pixel lies in a cell, or in a nucleus where there are only nuclei"),
    Panel("labels", "Cells", "Every cell in a colour of its own"),
)
ALL = tuple(panel.name for panel in PANELS)
PICTURES = ("stain", "rna", "score")

IMAGES = (
    ImageLayer("stain", ("stain",), theme.map_colours("gray")),
    ImageLayer("other", ("stain",), theme.map_colours("gray")),
    ImageLayer("rna", ("rna",), theme.map_colours("viridis")),
    ImageLayer("score", ("score",), theme.map_colours("viridis")),
    ImageLayer("under", ("labels",), theme.map_colours("gray")),
    ImageLayer("fill", ALL, theme.label_colours()),
    ImageLayer("nuclei_fill", ALL, theme.label_colours()),
    ImageLayer("overlay", ALL, theme.label_colours()),
)

CURVES = (
    CurveLayer("ghosts", ALL, theme.GHOSTS),
    CurveLayer("cells", ALL, theme.CELLS),
    CurveLayer("nuclei", ALL, theme.NUCLEI),
    CurveLayer("highlight", ALL, theme.HIGHLIGHT, width=2.4),
)

SWITCHES = (
    Switch(
        "cells",
        "Cells",
        "Cells as outlines or filled",
        "c",
        {
            "outlines, filled in the last panel": {"cells": PICTURES, "fill": ("labels",)},
            "outlines": {"cells": ALL},
            "filled": {"fill": ALL},
            "filled with outlines": {"cells": ALL, "fill": ALL},
        },
        theme.CELLS,
        opacity=0.9,
    ),
    Switch(
        "nuclei",
        "Nuclei",
        "Nuclei as outlines or filled",
        "n",
        {
            "outlines in the stain": {"nuclei": ("stain",)},
            "outlines": {"nuclei": ALL},
            "filled": {"nuclei_fill": ALL},
        },
        theme.NUCLEI,
        opacity=0.9,
    ),
    Switch(
        "ghosts",
        "Ghosts",
        "Outlines of objects outside the area limits",
        "g",
        {"outlines in the last panel": {"ghosts": ("labels",)}, "outlines": {"ghosts": ALL}},
        theme.GHOSTS,
        opacity=0.9,
    ),
    Switch(
        "overlay",
        "Difference",
        "What another part of the app lays over the cells, such as the difference of two results",
        "o",
        {"in the last panel": {"overlay": ("labels",)}, "in all panels": {"overlay": ALL}},
        opacity=0.85,
    ),
    Switch("stain", "Stain", "The stain in its panel", "1", {"": {"stain": ("stain",)}}, contrast="stain"),
    Switch("rna", "RNA", "The RNA in its panel", "2", {"": {"rna": ("rna",)}}, contrast="rna"),
    Switch("score", "Score", "The score in its panel", "3", {"": {"score": ("score",)}}),
    Switch(
        "under", "Stain below cells", "The stain below the filled cells", "4", {"": {"under": ("labels",)}}, opacity=0.5
    ),
    Switch("highlight", "Selection", "Outline of what was clicked or is shown", "h", {"": {"highlight": ALL}}),
)

RNA = {"total": "Total RNA", "nuclear": "Nuclear RNA", "bins": "Density regions"}
"""What the RNA panel can show: artefact -> title."""

COLOUR_BY = {"id": "Own colour", "area": "Area", "counts": "UMIs", "score": "Score", "source": "Source"}
"""What the colour of a cell can stand for."""

COMPARE = {
    "off": "Stain",
    "overlay": "Stain + RNA",
    "flicker": "Stain ↔ RNA",
    "before": "Before ↔ after aligning",
}
"""What the stain panel can show for comparison."""

CHOICES = (
    Choice("compare", "Stain panel", "Lay RNA over the stain, or let them take turns (key b)", COMPARE),
    Choice("rna", "RNA panel", "What the RNA panel shows", RNA),
    Choice("colour_by", "Cells by", "What the colour of a cell stands for", COLOUR_BY),
)

TOOLS = (
    Tool(
        "select",
        "Select",
        "v",
        "Click a cell for its numbers. Drag moves the picture, the wheel zooms.",
        "none",
        "look",
    ),
    Tool(
        "include",
        "Only here",
        "i",
        "Draw around the cells to keep; all others are left out. With Shift: a rectangle.",
        "area",
    ),
    Tool(
        "exclude",
        "Leave out",
        "e",
        "Draw around what is no tissue, such as a bubble. With Shift: a rectangle.",
        "area",
    ),
    Tool("draw", "Draw", "d", "Draw the outline of a new cell; it takes the pixels that are free.", "area"),
    Tool("merge", "Merge", "m", "Drag from one cell to another, or click several and press Enter.", "pick"),
    Tool("split", "Split", "s", "Drag a line across a cell, from side to side.", "line"),
    Tool("delete", "Delete", "x", "Click a cell to remove it.", "tap"),
    Tool(
        "landmarks",
        "Landmarks",
        "l",
        "Click a spot in the stain and the same spot in the RNA panel, in either order.",
        "pair",
        "align",
    ),
    Tool(
        "nudge",
        "Move the stain",
        "a",
        "Arrow keys move the stain by 1 px, with Shift by 10 px; or drag it. Enter keeps the place, Esc gives it up.",
        "nudge",
        "align",
    ),
)

SCENE = Scene(PANELS, IMAGES, CURVES, SWITCHES, CHOICES, TOOLS)
"""The views of the app."""
