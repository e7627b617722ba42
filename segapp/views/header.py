"""The row at the top: what is open, where to start from, and the buttons for the whole."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w

from segapp.views import theme


class Header:
    """Brand, source, preset chooser, Run full, Cancel; features add to it.

    Parameters
    ----------
    presets : mapping of str to (str, str)
        Name of a preset to its title and what it does.
    actions : mapping of str to callable
        ``preset`` is called with a name; ``run`` and ``cancel`` with nothing.

    Attributes
    ----------
    widget : ipywidgets.Widget
    preset : ipywidgets.Dropdown
    run, cancel : ipywidgets.Button
    """

    def __init__(self, presets: Mapping[str, tuple[str, str]], actions: Mapping[str, Callable[..., None]]) -> None:
        self._brand = w.HTML(f'<div class="sg-brand">{theme.LOGO}<span>segapp</span></div>')
        self.source = w.HTML()
        self.source.add_class("sg-source")
        self.source.add_class("sg-grow")
        self._docs = {name: doc for name, (_, doc) in presets.items()}
        self.preset = w.Dropdown(
            description="Preset", options=[(title, name) for name, (title, _) in presets.items()], value=None
        )
        self.preset.observe(lambda change: change["new"] is not None and actions["preset"](change["new"]), "value")
        self.run = w.Button(description="Run full", tooltip="Compute everything, up to the table of cells x genes")
        self.run.add_class("sg-primary")
        self.cancel = w.Button(description="Cancel", tooltip="Stop what is being computed", disabled=True)
        for name in ("run", "cancel"):
            button = getattr(self, name)
            button.add_class(f"sg-{name}")
            button.on_click(lambda _, call=actions[name]: call())
        self.widget = w.HBox()
        self.widget.add_class("sg-header")
        self.extend((), ())

    def extend(self, middle: Sequence[w.Widget], end: Sequence[w.Widget]) -> None:
        """Place the widgets of features: before Run full, and last."""
        self.widget.children = (self._brand, self.source, self.preset, *middle, self.run, self.cancel, *end)

    def tell_source(self, name: str, n_umis: int, n_genes: int, stained: bool) -> None:
        """Write what is open."""
        text = f"{name} · {n_umis:,} UMIs, {n_genes:,} genes" + ("" if stained else ", no stain")
        self.source.value = f'<span title="{html.escape(text, quote=True)}">{html.escape(text)}</span>'

    def show_preset(self, name: str) -> None:
        """Show the preset that was chosen last; a name that is none of them shows none."""
        value = name if name in self._docs else None
        if self.preset.value != value:
            self.preset.value = value
            self.preset.tooltip = self._docs.get(name, "Where nuclei and cells come from")
