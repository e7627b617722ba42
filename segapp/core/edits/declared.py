"""Edits by hand as parameters: what an edit is, and what makes one that cannot be used."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator

from segapp.core.params import Params, knob

NEEDED = {"draw": 3, "include": 3, "exclude": 3, "merge": 2, "split": 2, "delete": 1}
"""Points that each operation needs at least."""

KNOWN = {"op", "points", "target", "meant"}


class Edit(BaseModel):
    """One edit; `points` are (x, y) in px of the frame, pixel (r, c) covers x from c to c + 1 and y from r to r + 1.

    ``draw``
        A polygon becomes a new cell, or a new nucleus, on the pixels that are free.
    ``merge``
        All cells under the points become one, with the id of the first.
    ``split``
        A line cuts the cell that it crosses most in two; the part with more of the nucleus keeps the id.
    ``delete``
        Every cell under a point goes, with its nucleus; with target nuclei only the nucleus goes.
    ``include``, ``exclude``
        Polygons that say which cells are kept. The last polygon around a place decides; places that are in none
        are out when the first polygon includes, and in when it excludes.

    `meant` holds the outlines of the cells that were under the points when a merge, split or delete was made. It
    changes nothing: with it, an edit that meets other cells after re-tuning is reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: Literal["draw", "merge", "split", "delete", "include", "exclude"]
    points: tuple[tuple[float, float], ...]
    target: Literal["cells", "nuclei"] = "cells"
    meant: tuple[tuple[tuple[float, float], ...], ...] = ()

    @model_serializer(mode="wrap")
    def _write(self, write: Any) -> dict[str, Any]:
        found: dict[str, Any] = write(self)
        if not self.meant:
            del found["meant"]
        return found

    @model_validator(mode="before")
    @classmethod
    def _check(cls, value: Any) -> Any:
        if isinstance(value, Edit):
            return value
        sentence = _problem(value)
        if sentence:
            raise ValueError(sentence)
        return value


class EditsParams(Params):
    """Cells drawn, merged, split, deleted, included or excluded by hand."""

    log: tuple[Edit, ...] = knob(
        (), doc="Edits in the order they were made; each names its cells by points, so it survives other parameters."
    )


def _problem(value: Any) -> str:
    """Say what is wrong with an edit as it was given, or nothing."""
    if not isinstance(value, dict):
        return f"log holds {value!r} but an edit has op, points and target; see the documentation of edits."
    op, points, target = value.get("op"), value.get("points"), value.get("target", "cells")
    meant = value.get("meant", ())
    if op not in NEEDED:
        return f"log holds an edit with op={op}; it must be one of {', '.join(NEEDED)}."
    if target not in ("cells", "nuclei"):
        return f"log holds a {op} with target={target}; it must be cells or nuclei."
    if set(value) - KNOWN:
        return f"log holds a {op} with {', '.join(sorted(set(value) - KNOWN))}, which is not known."
    if not isinstance(points, list | tuple) or not all(_is_point(point) for point in points):
        return f"log holds a {op} whose points are not pairs of numbers such as [[12.5, 40.0]]."
    if not isinstance(meant, list | tuple) or not all(
        isinstance(outline, list | tuple) and all(_is_point(point) for point in outline) for outline in meant
    ):
        return f"log holds a {op} whose meant is not a list of outlines, each a list of points."
    if len(points) < NEEDED[op]:
        return f"log holds a {op} with {len(points)} points but {NEEDED[op]} are needed."
    return ""


def _is_point(point: Any) -> bool:
    if not isinstance(point, list | tuple) or len(point) != 2:
        return False
    return all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e6 for v in point)
