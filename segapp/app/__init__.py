"""The app: a dashboard over one session, for a notebook and for a page of its own. Assembly only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segapp.app.dashboard import App
    from segapp.app.entry import show

from segapp.app.server import serve

__all__ = ["App", "serve", "show"]


def __getattr__(name: str) -> Any:
    """Import the widgets when they are asked for: serving needs none."""
    if name in ("App", "show"):
        from segapp.app import entry

        return getattr(entry, name)
    raise AttributeError(f"module 'segapp.app' has no attribute {name!r}")
