"""Ways into the app: a sample, files, a session, or what the command line asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from segapp.app.dashboard import App
from segapp.core.types import Transcripts
from segapp.io.chip import Chip
from segapp.io.chip.store import is_chip
from segapp.io.image import read_stain
from segapp.io.samples import SAMPLES, Sample
from segapp.pipeline.session import Session


def show(source: Any = None, stain: Any = None, *, preset: str | None = None) -> App:
    """Open the app on a sample, on files, on what was read already, or on a session.

    Parameters
    ----------
    source : str, path, Chip, Sample, Transcripts, Session or None
        Name of a sample, path of transcripts, folder of a converted chip, what `segapp.load_sample` or
        `segapp.read_gem` returned, a session with everything chosen, or None for what the command line asked for (the
        ``tissue`` sample where it asked nothing).
    stain : path or StainFile, optional
        Image of the same section.
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
    elif isinstance(source, Sample):
        app.features["opening"].take(source.transcripts, source.stain, source.title)  # type: ignore[attr-defined]
    elif isinstance(source, Transcripts):
        image = read_stain(stain) if isinstance(stain, str | Path) else stain
        app.features["opening"].take(source, image, "Transcripts")  # type: ignore[attr-defined]
    elif isinstance(source, Chip):
        app.open_chip(source.path)
    elif isinstance(source, str | Path) and is_chip(source):
        app.open_chip(source)
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
    if os.environ.get("SEGAPP_CHIP"):
        app.open_chip(os.environ["SEGAPP_CHIP"])
    elif gem:
        app.open_files(gem, os.environ.get("SEGAPP_STAIN") or None)
    else:
        app.open_sample(os.environ.get("SEGAPP_SAMPLE") or "tissue")
