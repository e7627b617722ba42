"""What the app can do, one module a feature; `segapp.app.feature` says how to add one."""

from __future__ import annotations

import importlib

from segapp.app.feature import Feature

FEATURES = (
    "segapp.app.features.opening:Opening",
    "segapp.app.features.work:Work",
    "segapp.app.features.slow:Slow",
    "segapp.app.features.numbers:Numbers",
    "segapp.app.features.scorecard:Figures",
    "segapp.app.features.histograms:Histograms",
    "segapp.app.features.card:Card",
    "segapp.app.features.compare:Compare",
    "segapp.app.features.genes:Genes",
    "segapp.app.features.steps:Steps",
    "segapp.app.features.export:Export",
    "segapp.app.features.edits:Edits",
    "segapp.app.features.registration:Registration",
    "segapp.app.features.keeping:Keeping",
    "segapp.app.features.chip:WholeChip",
    "segapp.app.features.copying:Copying",
    "segapp.app.features.shortcuts:Shortcuts",
)
"""``module:Class`` of every feature, in the order of the page."""


def load_features() -> tuple[type[Feature], ...]:
    """Return the classes of all features."""
    found = []
    for row in FEATURES:
        module, _, name = row.partition(":")
        found.append(getattr(importlib.import_module(module), name))
    return tuple(found)
