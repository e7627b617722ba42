"""The short list of keys."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as w

from segapp.app.feature import Feature, guarded
from segapp.views.menu import Dialog

WORDS = {"PageUp": "Page Up", "PageDown": "Page Down"}


class Shortcuts(Feature):
    """A dialog with every key of every feature; "?" opens it."""

    name = "shortcuts"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.list = w.HTML()
        self.dialog = Dialog("Keys", (self.list,), name="keys", wide=True)
        self.overlay = (self.dialog.widget,)
        self.keys = {"?": ("This list", self.show)}
        self.menu = (("Keys", "The short list of keys (?)", self.show),)

    @guarded
    def show(self) -> None:
        """Open the list."""
        everywhere: dict[str, list[str]] = {}
        for feature in self.app.features.values():
            for key, (title, _) in feature.keys.items():
                everywhere.setdefault(title, []).append(key)
        everywhere["A slider by one step, by ten"] = ["←", "→", "PageUp", "PageDown"]
        views: dict[str, list[str]] = {}
        for key, title in self.canvas_keys().items():
            views.setdefault(title, []).append(key)
        self.list.value = f'<div class="sg-keys">{table("In the views", views)}{table("Everywhere", everywhere)}</div>'
        self.dialog.open()
        self.app.page.focus(".sg-dialog-keys .sg-dialog-close")

    def canvas_keys(self) -> dict[str, str]:
        """Return the keys of the linked views, by what they do."""
        found = {"+": "Zoom in", "-": "Zoom out", "0": "Show the whole image"}
        for trait in ("layers", "switches", "tools"):
            for item in getattr(self.canvas, trait, ()):
                if isinstance(item, dict) and item.get("key"):
                    verb = "Tool" if trait == "tools" else "Show or hide"
                    found[str(item["key"])] = f"{verb}: {item.get('title', item.get('name'))}"
        return found


def table(title: str, rows: dict[str, list[str]]) -> str:
    """Return a list of keys, by what they do, as HTML.

    Examples
    --------
    >>> table("Views", {"Zoom in": ["+"]})
    '<section><h3>Views</h3><table><tr><td><kbd>+</kbd></td><td>Zoom in</td></tr></table></section>'
    """
    lines = (
        f"<tr><td>{' '.join(f'<kbd>{html.escape(words(key))}</kbd>' for key in keys)}</td>"
        f"<td>{html.escape(does)}</td></tr>"
        for does, keys in rows.items()
    )
    return f"<section><h3>{html.escape(title)}</h3><table>{''.join(lines)}</table></section>"


def words(key: str) -> str:
    """Return a combination of keys as it stands on a keyboard.

    Examples
    --------
    >>> words("ctrl+shift+z"), words("?"), words("+"), words("PageUp")
    ('Ctrl+Shift+Z', '?', '+', 'Page Up')
    """
    if len(key) == 1:
        return key.upper()
    return "+".join(WORDS.get(part, part.capitalize()) for part in key.split("+"))
