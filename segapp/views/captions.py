"""Words over the panels, under the pointer, and in the name of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from segapp.views.layers import RNA, Layers
from segapp.views.live import Live


def only_nuclei(session: Any) -> bool:
    """Whether the present choices make nuclei and no cells beyond them."""
    return getattr(session.params["cells"], "method", "") == "nuclei"


def captions(session: Any, live: Live, layers: Layers) -> dict[str, tuple[str, str, bool]]:
    """Return (title, note, being computed) of every panel; the note says why a panel is empty."""
    targets = live.targets
    scoring = session.pipeline.giver[layers.score]
    params = session.params[scoring.name]
    unused = "The present choices do not use it."
    titles = {
        "stain": ("Stain", "stain", "No stain is loaded."),
        "rna": (RNA[layers.rna], layers.rna, unused),
        "score": (f"{scoring.title} · {getattr(params, 'method', '')}, k {params.k}", layers.score, unused),
        "labels": ("Nuclei" if only_nuclei(session) else "Cells", "cells", unused),
    }
    found = {}
    for panel, (title, artefact, reason) in titles.items():
        note = ""
        if session.inputs and artefact not in layers.artefacts:
            note = reason if artefact not in targets else "Computing …" if live.busy else "Not computed."
        waits = live.busy and artefact in targets and session.peek(artefact) is None
        found[panel] = (title, note, waits)
    return found


def read_out(at: tuple[float, float], values: Mapping[str, Any], um_per_px: float) -> str:
    """Return what is under the pointer as words.

    Examples
    --------
    >>> read_out((10, 20), {"total": 3, "cell_scores": 0.5, "cells": 7}, 0.5)
    'x 5, y 10 µm · 3 UMI · score 0.50 · cell 7'
    """
    if not values:
        return ""
    parts = [f"x {at[0] * um_per_px:.0f}, y {at[1] * um_per_px:.0f} µm"]
    words = {"stain": "stain {:.4g}", "total": "{} UMI", "bins": "region {}"}
    parts += [text.format(values[name]) for name, text in words.items() if name in values]
    score = values.get("cell_scores", values.get("nuclei_scores"))
    if score is not None:
        parts.append(f"score {score:.2f}")
    if values.get("cells"):
        parts.append(f"cell {values['cells']}")
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
