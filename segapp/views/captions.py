"""Words over the panels, under the pointer, and in the name of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from segapp.views.layers import Layers
from segapp.views.live import Live
from segapp.views.scene import COMPARE, RNA


def only_nuclei(session: Any) -> bool:
    """Whether the present choices make nuclei and no cells beyond them."""
    return getattr(session.params["cells"], "method", "") == "nuclei"


def captions(session: Any, live: Live, layers: Layers) -> dict[str, tuple[str, str, bool]]:
    """Return (title, note, being computed) of every panel; the note says why a panel is empty.

    A score is named by what made it, which is not what is chosen now while a change waits, was stopped or failed.
    """
    targets = live.targets
    scoring = session.pipeline.giver[layers.score]
    params = session.params[scoring.name]
    if layers.score in layers.artefacts:
        params = live.made.get(scoring.name, params)
    unused = "The present choices do not use it."
    titles = {
        "stain": (_compared(session, layers.compare), "stain", "No stain is loaded."),
        "rna": (RNA[layers.rna], layers.rna, unused),
        "score": (f"{scoring.title} · {getattr(params, 'method', '')}, k {params.k}", layers.score, unused),
        "labels": ("Nuclei" if only_nuclei(session) else "Cells", "cells", unused),
    }
    found = {}
    busy = live.busy or session.runner.busy
    for panel, (title, artefact, reason) in titles.items():
        note = ""
        if session.inputs and artefact not in layers.artefacts:
            note = reason if artefact not in targets else "Computing …" if busy else "Not computed."
        waits = busy and artefact in targets and session.peek(artefact) is None
        found[panel] = (title, note, waits)
    return found


def _compared(session: Any, compare: str) -> str:
    if compare not in ("overlay", "flicker"):
        return COMPARE[compare]
    rna = "nuclear RNA" if session.peek("nuclear") is not None else "total RNA"
    return f"Stain (green) and {rna} (magenta)" if compare == "overlay" else f"Stain ↔ {rna}"


def read_out(at: tuple[float, float], values: Mapping[str, Any], um_per_px: float) -> str:
    """Return what is under the pointer as words.

    Examples
    --------
    >>> read_out((10, 20), {"total": 3, "nuclear": 1, "cell_scores": 0.5, "cells": 7, "nuclei": 7}, 0.5)
    'x 10, y 20 px · 5, 10 µm · 3 UMI, 1 nuclear · score 0.50 · cell 7, nucleus 7'
    """
    if not values:
        return ""
    x, y = at
    parts = [f"x {int(x)}, y {int(y)} px · {x * um_per_px:.0f}, {y * um_per_px:.0f} µm"]
    if "stain" in values:
        parts.append(f"stain {values['stain']:.4g}")
    if "total" in values:
        nuclear = f", {values['nuclear']} nuclear" if "nuclear" in values else ""
        parts.append(f"{values['total']} UMI{nuclear}")
    if "bins" in values:
        parts.append(f"region {values['bins']}" if values["bins"] else "outside the regions")
    score = values.get("cell_scores", values.get("nuclei_scores"))
    if score is not None:
        parts.append(f"score {score:.2f}")
    found = [f"{word} {values[name]}" for word, name in (("cell", "cells"), ("nucleus", "nuclei")) if values.get(name)]
    if values.get("ghosts"):
        found.append(f"outside the area limits {values['ghosts']}")
    if found:
        parts.append(", ".join(found))
    return " · ".join(parts)


def file_name(text: str) -> str:
    """Return a name as a file name.

    Examples
    --------
    >>> file_name("Simulated tissue, 1024 px"), file_name("my.gem.gz")
    ('Simulated_tissue_1024_px', 'my')
    """
    stem = re.sub(r"\.(gem|tsv|txt)?(\.gz)?$", "", text)
    return re.sub(r"\W+", "_", stem).strip("_") or "segapp"
