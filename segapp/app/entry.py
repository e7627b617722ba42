"""Ways into the app: a sample, files, a session, or what the command line asked for."""

from __future__ import annotations

import os
from typing import Any

from segapp.app.dashboard import App
from segapp.io.samples import SAMPLES
from segapp.pipeline.session import Session


def show(source: Any = None, stain: Any = None, *, preset: str | None = None) -> App:
    """Open the app on a sample, on files, or on a session.

    Parameters
    ----------
    source : str, path, Session or None
        Name of a sample, path of a GEM, a session with everything chosen, or None for what the command line asked for
        (the ``tissue`` sample when it asked for nothing).
    stain : path, optional
        Image of the same section as a GEM.
    preset : str, optional
        Where to start from; by default what suits the inputs.

    Returns
    -------
    App
        Show it as the last line of a cell; ``app.session`` holds every array.
    """
    app = App(source if isinstance(source, Session) else None)
    if preset is not None:
        app.session.use_preset(preset)
    if source is None:
        open_from_environment(app)
    elif isinstance(source, Session):
        pass
    elif str(source) in tuple(SAMPLES):
        app.open_sample(str(source))
    else:
        app.open_files(source, stain)
    return app


def open_from_environment(app: Any) -> None:
    """Open in `app` what the command line asked for; the ``tissue`` sample when it asked for nothing."""
    query = os.environ.get("QUERY_STRING", "")
    if "resume=" in query and app.features["keeping"].hello(query):
        return
    gem = os.environ.get("SEGAPP_GEM")
    if gem:
        app.open_files(gem, os.environ.get("SEGAPP_STAIN") or None)
    else:
        app.open_sample(os.environ.get("SEGAPP_SAMPLE") or "tissue")
