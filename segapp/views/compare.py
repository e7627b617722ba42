"""The section that compares the present result, B, with a pinned one, A."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w

from segapp.core.quality import CHANGES, LabelDiff
from segapp.core.scorecard import Scorecard
from segapp.views import theme
from segapp.views.scorecard import columns

EMPTY = (
    "Pin the present result as A. Then change anything: what becomes of its cells is shown in colour and in numbers."
)

WORDS = {
    "kept": ("kept", "The same cell in A and B; its outline may have moved"),
    "split": ("split", "One cell in A, several in B"),
    "merged": ("merged", "Several cells in A, one in B"),
    "lost": ("lost", "A cell in A, nothing in B"),
    "gained": ("gained", "Nothing in A, a cell in B"),
}
"""Word and explanation of every change."""


def legend_html(diff: LabelDiff) -> str:
    """Return the colours with their numbers."""
    more = {
        "kept": f"{diff.same:,} unchanged, median overlap {diff.median_iou:.0%}" if diff.kept else "",
        "split": f"into {diff.parts:,}" if diff.split else "",
        "merged": f"from {diff.sources:,}" if diff.merged else "",
    }
    rows = []
    for name in CHANGES:
        word, doc = WORDS[name]
        beside = f" <small>{more[name]}</small>" if more.get(name) else ""
        rows.append(
            f'<li title="{html.escape(doc, quote=True)}"><i style="background:{theme.CHANGES[name]}"></i>'
            f"<b>{diff.counts[name]:,}</b> {word}{beside}</li>"
        )
    return f'<ul class="sg-changes">{"".join(rows)}</ul>'


class ComparePanel:
    """Pin, unpin, take turns, swap; what changed in parameters, cells and numbers.

    Parameters
    ----------
    actions : mapping of str to callable
        ``pin``, ``unpin``, ``flip`` and ``swap``.

    Attributes
    ----------
    widget : ipywidgets.Widget
    pin, unpin, flip, swap : ipywidgets.Button
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self.pin = _button("Pin as A", "Keep the present result and its parameters to compare with", actions["pin"])
        self.flip = _button("Show A", "Let A and B take turns in the views (key f)", actions["flip"])
        self.swap = _button("Swap", "Go back to the parameters of A, and pin B in its place", actions["swap"])
        self.unpin = _button("Unpin", "Forget A", actions["unpin"])
        self.buttons = w.HBox([self.pin, self.flip, self.swap, self.unpin])
        self.buttons.add_class("sg-buttons")
        self.body = w.HTML()
        self.body.add_class("sg-compare")
        self.widget = w.VBox([self.buttons, self.body])
        self.clear(pinnable=False)

    def clear(self, *, pinnable: bool) -> None:
        """Nothing is pinned."""
        self._place(False)
        self.flipped(False)
        self.pin.disabled = not pinnable
        self.pin.description = "Pin as A"
        self.body.value = f'<div class="sg-empty">{html.escape(EMPTY)}</div>'

    def wait(self, name: str, changes: Sequence[str]) -> None:
        """A is pinned; what has become of its cells is not known yet."""
        self._place(True)
        self.body.value = f"{_changes(name, changes)}<p>Comparing …</p>"

    def show(
        self,
        name: str,
        changes: Sequence[str],
        diff: LabelDiff,
        cards: tuple[Scorecard, Scorecard] | None,
        um_per_px: float,
    ) -> None:
        """Write what changed from A, which is called `name`, to B."""
        self._place(True)
        numbers = ""
        if cards is not None:
            numbers = (
                '<table class="sg-numbers-ab"><thead><tr><th></th><th scope="col">A</th><th scope="col">B</th>'
                f'<th scope="col">change</th></tr></thead><tbody>{columns(*cards, um_per_px)}</tbody></table>'
            )
        self.body.value = f"{_changes(name, changes)}{legend_html(diff)}{numbers}"

    def flipped(self, shows_a: bool) -> None:
        """Say which of the two the views show."""
        self.flip.description = "Show B" if shows_a else "Show A"
        (self.flip.add_class if shows_a else self.flip.remove_class)("mod-active")

    def _place(self, pinned: bool) -> None:
        self.pin.disabled = False
        self.pin.description = "Pin anew" if pinned else "Pin as A"
        for button in (self.flip, self.swap, self.unpin):
            button.layout.display = "" if pinned else "none"


def _button(title: str, tooltip: str, call: Callable[[], None]) -> w.Button:
    button = w.Button(description=title, tooltip=tooltip)
    button.add_class("sg-small")
    button.add_class(f"sg-{title.split()[0].lower()}")
    button.on_click(lambda _: call())
    return button


def _changes(name: str, changes: Sequence[str]) -> str:
    title = f"A: {html.escape(name)}"
    if not changes:
        return f'<p class="sg-pinned">{title}. B has the same parameters.</p>'
    rows = "".join(f"<li>{html.escape(text)}</li>" for text in changes)
    return f'<p class="sg-pinned">{title}. From A to B:</p><ul class="sg-params">{rows}</ul>'
