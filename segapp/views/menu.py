"""A button that shows a list of actions, and a dialog."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as w

Action = tuple[str, str, Callable[[], None]]
"""Title, what it does, function."""


class Menu:
    """A button; its actions are seen while it has the focus, which the style sheet sees to.

    Parameters
    ----------
    title, doc : str
    actions : sequence of Action
    """

    def __init__(self, title: str, doc: str, actions: Sequence[Action] = ()) -> None:
        self.button = w.Button(description=title, tooltip=doc)
        self.button.add_class("sg-menu-button")
        self.items = w.VBox()
        self.items.add_class("sg-menu-items")
        self.widget = w.VBox([self.button, self.items])
        self.widget.add_class("sg-menu")
        self.actions: dict[str, w.Button] = {}
        self.fill(actions)

    def fill(self, actions: Sequence[Action]) -> None:
        """Set the actions."""
        self.actions = {}
        for title, doc, call in actions:
            item = w.Button(description=title, tooltip=doc)
            item.on_click(lambda _, call=call: call())
            self.actions[title] = item
        self.items.children = tuple(self.actions.values())


class Dialog:
    """A box over the page with a title and Close; Escape closes it, too.

    Attributes
    ----------
    widget : ipywidgets.Widget
    """

    def __init__(self, title: str, contents: Sequence[w.Widget], *, name: str, wide: bool = False) -> None:
        heading = w.HTML(f"<h2>{title}</h2>")
        heading.add_class("sg-grow")
        close = w.Button(description="Close", tooltip="Close (Escape)")
        close.add_class("sg-dialog-close")
        close.on_click(lambda _: self.close())
        head = w.HBox([heading, close])
        head.add_class("sg-dialog-head")
        self.body = w.VBox(list(contents))
        self.body.add_class("sg-dialog-body")
        box = w.VBox([head, self.body])
        box.add_class("sg-dialog-box")
        self.widget = w.VBox([box], layout=w.Layout(display="none"))
        self.widget.add_class("sg-dialog")
        self.widget.add_class(f"sg-dialog-{name}")
        if wide:
            self.widget.add_class("sg-wide-dialog")

    @property
    def opened(self) -> bool:
        """Whether it is seen."""
        return self.widget.layout.display != "none"

    def open(self) -> None:
        """Show it."""
        self.widget.layout.display = ""

    def close(self) -> None:
        """Hide it."""
        self.widget.layout.display = "none"
