"""Edits by hand as parameters: a log that is replayed on labels, and area limits."""

from segapp.core.edits.declared import NEEDED, Edit, EditsParams
from segapp.core.edits.limits import LimitsParams, apply_limits, keep_within_limits
from segapp.core.edits.replay import apply_edits, reasons, strangers, why_not, with_meant

__all__ = [
    "NEEDED",
    "Edit",
    "EditsParams",
    "LimitsParams",
    "apply_edits",
    "apply_limits",
    "keep_within_limits",
    "reasons",
    "strangers",
    "why_not",
    "with_meant",
]
