"""Parameters that several scoring methods share."""

from __future__ import annotations

from typing import Any

from segapp.core.params import knob


def diameter(default: int) -> Any:
    """Return the knob of the circle over which counts are summed, whose size depends on what is sought."""
    doc = "Diameter of the circle over which counts are summed. Larger: smoother scores, small gaps closed."
    return knob(default, unit="px", odd=True, ge=1, le=99, soft=(1, 21), doc=doc)
