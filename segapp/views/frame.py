"""The frame of the page: header, cards on the left, linked views in the middle, sections beside them, status below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w

from segapp.views import theme

Section = w.Widget | Callable[[], w.Widget]


class Drawer:
    """Sections with a heading that opens and closes them; a section's widgets are built when it is first open.

    Parameters
    ----------
    sections : mapping of str to widget or function
        Heading to contents, or to a function that makes them.
    opened : int
        How many of them are open from the start.

    Attributes
    ----------
    widget : ipywidgets.Widget
    headings : dict of str to ipywidgets.Button
    """

    def __init__(self, sections: Mapping[str, Section], opened: int = 2) -> None:
        self._sections = dict(sections)
        self._bodies: dict[str, w.VBox] = {}
        self.headings: dict[str, w.Button] = {}
        boxes = []
        for index, title in enumerate(self._sections):
            heading = w.Button(description=title, tooltip=f"Show or hide: {title}")
            heading.add_class("sg-section-title")
            heading.on_click(lambda _, title=title: self.open(title, not self.is_open(title)))
            body = w.VBox([], layout=w.Layout(display="none"))
            body.add_class("sg-section-body")
            self.headings[title], self._bodies[title] = heading, body
            section = w.VBox([heading, body])
            section.add_class("sg-section")
            boxes.append(section)
            if index < opened:
                self.open(title)
        self.widget = w.VBox(boxes)
        self.widget.add_class("sg-drawer")
        if not boxes:
            self.widget.layout.display = "none"

    def is_open(self, title: str) -> bool:
        """Whether a section shows its contents."""
        return self._bodies[title].layout.display != "none"

    def open(self, title: str, opened: bool = True) -> None:
        """Show or hide the contents of a section."""
        body = self._bodies[title]
        if opened and not body.children:
            section = self._sections[title]
            body.children = (section if isinstance(section, w.Widget) else section(),)
        body.layout.display = "" if opened else "none"
        heading = self.headings[title]
        (heading.add_class if opened else heading.remove_class)("sg-open")


class Stages:
    """The column of stage cards; those that the present choices do not use hide behind one line.

    Parameters
    ----------
    cards : mapping of str to widget
        Stage name to card.

    Attributes
    ----------
    widget : ipywidgets.Widget
    unused : ipywidgets.Button
        Shows and hides the cards that are not used.
    """

    def __init__(self, cards: Mapping[str, w.Widget]) -> None:
        self.unused = w.Button(tooltip="Stages that the present choices do not need; their controls stay within reach")
        self.unused.add_class("sg-unused")
        self.unused.on_click(lambda _: self.show_unused(not self._shown))
        self.widget = w.VBox([*cards.values(), self.unused])
        self.widget.add_class("sg-stages")
        self._shown = False
        self.tell_unused(0)

    def tell_unused(self, count: int) -> None:
        """Say how many cards are not used; the style sheet moves them below that line by their state."""
        text = f"Not used ({count})"
        if self.unused.description != text:
            self.unused.description = text
            self.unused.layout.display = "" if count else "none"

    def show_unused(self, shown: bool = True) -> None:
        """Show or hide the cards that are not used."""
        self._shown = shown
        (self.widget.add_class if shown else self.widget.remove_class)("sg-with-unused")
        (self.unused.add_class if shown else self.unused.remove_class)("sg-open")


def frame(
    *,
    header: w.Widget,
    banner: w.Widget,
    stages: w.Widget,
    canvas: w.Widget,
    lines: Sequence[w.Widget],
    drawer: w.Widget,
    status: w.Widget,
    overlay: Sequence[w.Widget],
    whole_page: bool,
) -> w.VBox:
    """Return the page."""
    messages = w.VBox([*lines, banner])
    messages.add_class("sg-messages")
    views = w.VBox([canvas, messages])
    views.add_class("sg-views")
    main = w.HBox([stages, views, drawer])
    main.add_class("sg-main")
    page = w.VBox([theme.style_widget(), header, main, status, *overlay])
    page.add_class("segapp")
    page.add_class("sg-page" if whole_page else "sg-cell")
    return page
