"""The row at the top: what is open, where to start from, and the buttons for the whole."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w

from segapp.views import theme


class Header:
    """Sample and preset choosers, Run full, Cancel, Export.

    Parameters
    ----------
    samples : sequence of str
        Names of the samples.
    presets : mapping of str to str
        Name of a preset to its title.
    actions : mapping of str to callable
        ``sample`` and ``preset`` are called with a name; ``run``, ``cancel`` and ``export`` with nothing.

    Attributes
    ----------
    widget : ipywidgets.Widget
    samples, preset : ipywidgets.Dropdown
    run, cancel, export : ipywidgets.Button
    """

    def __init__(
        self, samples: Sequence[str], presets: Mapping[str, str], actions: Mapping[str, Callable[..., None]]
    ) -> None:
        brand = w.HTML(f'<div class="sg-brand">{theme.LOGO}<span>segapp</span></div>')
        self.source = w.HTML()
        self.source.add_class("sg-source")
        self.source.add_class("sg-grow")
        self.samples = w.Dropdown(description="Sample", options=list(samples), value=None)
        self.preset = w.Dropdown(
            description="Preset", options=[(title, name) for name, title in presets.items()], value=None
        )
        self.samples.observe(lambda change: change["new"] is not None and actions["sample"](change["new"]), "value")
        self.preset.observe(lambda change: change["new"] is not None and actions["preset"](change["new"]), "value")
        self.run = w.Button(description="Run full", tooltip="Compute everything, up to the table of cells x genes")
        self.run.add_class("sg-primary")
        self.cancel = w.Button(description="Cancel", tooltip="Stop what is being computed", disabled=True)
        self.export = w.Button(
            description="Export", tooltip="Write the table of cells x genes as an .h5ad file", disabled=True
        )
        for name in ("run", "cancel", "export"):
            button = getattr(self, name)
            button.add_class(f"sg-{name}")
            button.on_click(lambda _, call=actions[name]: call())
        self.widget = w.HBox([brand, self.source, self.samples, self.preset, self.run, self.cancel, self.export])
        self.widget.add_class("sg-header")

    def tell_source(self, name: str, n_umis: int, n_genes: int, stained: bool) -> None:
        """Write what is open."""
        text = f"{name} · {n_umis:,} UMIs, {n_genes:,} genes" + ("" if stained else ", no stain")
        self.source.value = f'<span title="{html.escape(text, quote=True)}">{html.escape(text)}</span>'
