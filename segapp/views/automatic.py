"""The numbers that words such as ``auto`` stand for, so that a control can show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from segapp.core.score.mask import default_mk

AUTOMATIC: Mapping[tuple[str, str], tuple[str, Callable[[Any], Any]]] = {
    ("cell_mask", "threshold"): ("cell_threshold", float),
    ("cell_mask", "mk"): ("cell_score_info", default_mk),
    ("nuclei_rna_mask", "threshold"): ("rna_nuclei_threshold", float),
    ("nuclei_rna_mask", "mk"): ("nuclei_score_info", default_mk),
    ("density", "distance_threshold"): ("density_statistics", lambda found: found.get("distance_threshold")),
}
"""(stage, parameter) -> artefact that tells the number, and how to read it there."""


def automatic_value(session: Any, stage: str, parameter: str) -> float | None:
    """Return the number that a word stands for now, or None where it is not known yet.

    Examples
    --------
    >>> from segapp.pipeline.session import Session
    >>> automatic_value(Session(), "cell_mask", "threshold") is None
    True
    """
    artefact, read = AUTOMATIC.get((stage, parameter), ("", float))
    made = session.peek(artefact) if artefact else None
    found = None if made is None else read(made)
    return None if found is None else float(found)
