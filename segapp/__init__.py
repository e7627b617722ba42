"""Cell segmentation of spatial transcriptomics.

``segapp.run`` goes from files to cells in one call; ``segapp.Session`` holds every stage; ``segapp.show`` opens the
app in a notebook. Everything else is in ``segapp.core`` (arrays), ``segapp.io`` (files) and ``segapp.pipeline``.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "run": "segapp.pipeline.job",
    "Result": "segapp.pipeline.job",
    "Session": "segapp.pipeline.session",
    "Recipe": "segapp.pipeline.recipe",
    "PRESETS": "segapp.pipeline.presets",
    "PIPELINE": "segapp.pipeline.stages",
    "read_gem": "segapp.io.gem",
    "read_transcripts": "segapp.io.transcripts",
    "read_stain": "segapp.io.image",
    "read_labels": "segapp.io.masks",
    "write_labels": "segapp.io.masks",
    "load_sample": "segapp.io.samples",
    "compare_labels": "segapp.core.quality",
    "show": "segapp.app",
    "App": "segapp.app",
}
"""Public name -> module; imported on first use, so that ``import segapp`` stays fast."""

_MODULES = ("cs",)
"""Modules that a user reaches as an attribute: ``segapp.cs`` has the field's function names on AnnData layers."""

__all__ = ["__version__", *_MODULES]
__all__ += list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'segapp' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
