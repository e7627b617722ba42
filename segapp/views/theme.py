"""Colours, maps and words of the app, in one place; the style sheets lie in the folder `css`."""

from __future__ import annotations

import colorsys
import functools
import html
import re
from pathlib import Path

import ipywidgets

FIELD = "#262d35"
"""What lies beyond an image: neither of its black nor of the page, in the light and in the dark look."""

GAP = 6
"""Space between the linked panels, px."""

CELLS = "#ffd24a"
NUCLEI = "#56c8ff"
GHOSTS = "#ff7ab8"
HIGHLIGHT = "#ffffff"
"""Outlines: yellow, sky blue and pink are told apart with every common colour vision."""

CHANGES = {"kept": "#8d99a6", "split": "#f0e442", "merged": "#56b4e9", "lost": "#d55e00", "gained": "#009e73"}
"""What became of cells: colours of Okabe and Ito, which are told apart with every common colour vision, on grey."""

STATES = {
    "fresh": ("Ready", "The result belongs to the parameters shown."),
    "stale": ("Waiting", "The parameters or an input changed; it is computed when a view needs it or with Run."),
    "running": ("Running", "It is being computed."),
    "blocked": ("Blocked", "Something that it needs is missing."),
    "failed": ("Failed", "It stopped with an error."),
    "off": ("Not used", "The choices made in other stages do not need it."),
}
"""Word and explanation of every state of a stage."""

LOGO = (
    '<svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true"><path fill="none" stroke="var(--sg-accent)" '
    'stroke-width="1.7" d="M12 2.2 19 5.6l2.6 6.6-3.4 6.9-7.4 2.6-6.6-3.5L2.4 11l3-6.2z"/>'
    '<circle cx="11.4" cy="12.6" r="4" fill="var(--sg-accent)"/></svg>'
)
"""A cell with its nucleus."""


_LENGTH = re.compile(r"(?<![\w.])(-?\d*\.?\d+)px")


@functools.cache
def style() -> str:
    """Return the style sheets of the folder `css` as one, in the order of their names.

    Their px are those of a page of 1920 x 1080; on a larger page every length grows with it, hairlines of 1px apart.
    """
    sheets = sorted(Path(__file__).with_name("css").glob("*.css"))
    return scaled("\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets))


def scaled(sheet: str) -> str:
    """Return a style sheet whose px are multiples of ``--sg-px``, which grows with the page; 1px stays a hairline.

    Examples
    --------
    >>> scaled("a { border: 1px solid; margin: -6px 12.5px }")
    'a { border: 1px solid; margin: calc(-6 * var(--sg-px)) calc(12.5 * var(--sg-px)) }'
    """
    return _LENGTH.sub(lambda found: found[0] if found[1] == "1" else f"calc({found[1]} * var(--sg-px))", sheet)


def style_widget() -> ipywidgets.HTML:
    """Return a widget without extent that brings the style sheet to the page."""
    widget = ipywidgets.HTML(f"<style>{style()}</style>")
    widget.add_class("sg-style")
    return widget


@functools.cache
def map_colours(name: str) -> tuple[str, ...]:
    """Return the 256 colours of a map: gray, viridis, cividis, magma, or black to green or to magenta."""
    if name in ("green", "magenta"):
        # the two add up to grey where both are
        return tuple(f"#00{i:02x}00" if name == "green" else f"#{i:02x}00{i:02x}" for i in range(256))
    from bokeh import palettes

    names = {
        "gray": palettes.Greys256,
        "viridis": palettes.Viridis256,
        "cividis": palettes.Cividis256,
        "magma": palettes.Magma256,
    }
    return tuple(names[name])


@functools.cache
def label_colours() -> tuple[str, ...]:
    """Return the colours of labels: 0 is clear, 1 to 255 differ in hue and, neighbours, in lightness."""
    colours = ["#00000000"]
    for index in range(255):
        hue = (index * 0.6180339887) % 1
        lightness = (0.46, 0.62, 0.74)[index % 3]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.62)
        colours.append(f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}")
    return tuple(colours)


def badge(state: str, reason: str = "") -> str:
    """Return the badge of a state; `reason` says in words why."""
    word, doc = STATES[state]
    return f'<span class="sg-badge sg-{state}" title="{html.escape(reason or doc, quote=True)}">{word}</span>'


def seconds(value: float | None) -> str:
    """Return a duration as a person reads it.

    Examples
    --------
    >>> seconds(0.0234), seconds(1.26), seconds(75), seconds(None)
    ('23 ms', '1.3 s', '1 min 15 s', '')
    """
    if value is None:
        return ""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def title(name: str) -> str:
    """Return the name of a parameter as words.

    Examples
    --------
    >>> title("max_area"), title("k"), title("bp_p")
    ('max area', 'k', 'bp p')
    """
    return name.replace("_", " ")


def fact(name: str, value: str) -> str:
    """Return a name and, below it, a value, HTML both; a list of terms would float in a notebook.

    Examples
    --------
    >>> fact("Cells", "12")
    '<span class="sg-term">Cells</span><span class="sg-value">12</span>'
    """
    return f'<span class="sg-term">{name}</span><span class="sg-value">{value}</span>'
