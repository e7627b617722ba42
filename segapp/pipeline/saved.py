"""A session as a file: a recipe that also knows its inputs and what was looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from segapp.core.types import InputError
from segapp.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from segapp.pipeline.session import Session


@dataclass(frozen=True)
class Saved:
    """What a session comes back from; `segapp run --recipe` reads the same file.

    Parameters
    ----------
    recipe : Recipe
        Every parameter, gestures included.
    name : str
        Title of the inputs.
    source : mapping
        ``{"sample": name}`` or ``{"gem": path, "stain": path}``; empty where the inputs came from Python.
    view : mapping
        What was looked at: JSON values of whoever draws it.
    written : str
        When, as ISO 8601 with seconds and offset.
    writer : str
        Who wrote it: one word for each open page.
    """

    recipe: Recipe
    name: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    view: Mapping[str, Any] = field(default_factory=dict)
    written: str = ""
    writer: str = ""

    @classmethod
    def of(cls, session: Session, *, view: Mapping[str, Any] | None = None, writer: str = "") -> Saved:
        """Return a session as it is now."""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        return cls(session.recipe(), session.name, dict(session.source), dict(view or {}), now, writer)

    def text(self) -> str:
        """Return the text of the file."""
        page = {
            "name": self.name,
            "source": dict(self.source),
            "view": dict(self.view),
            "written": self.written,
            "writer": self.writer,
        }
        return json.dumps({**self.recipe.to_json(), "session": page}, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_text(cls, text: str | bytes) -> Saved:
        """Read the text of a file; a plain recipe is one without inputs.

        Raises
        ------
        InputError
            When it is none.
        """
        try:
            value = json.loads(text)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"this is not a saved session ({error}): choose a .json file written by segapp") from None
        recipe = Recipe.from_json(value)
        page = value.get("session") or {}
        if not isinstance(page, Mapping) or not all(isinstance(page.get(k, {}), Mapping) for k in ("source", "view")):
            raise InputError("the saved session is damaged: its `session` must be an object; save it again")
        return cls(
            recipe,
            name=str(page.get("name", "")),
            source=page.get("source", {}),
            view=page.get("view", {}),
            written=str(page.get("written", "")),
            writer=str(page.get("writer", "")),
        )
