"""The scorecard of a session: from what is in its store, or with what a run has counted already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core.scorecard import Scorecard, genes_per_cell, scorecard
from segapp.core.types import Tick, no_tick

if TYPE_CHECKING:
    from segapp.pipeline.session import Session

NEEDED = ("cells", "total", "frame", "nuclei", "ghosts")
"""Artefacts that a scorecard is made from; the last two may be absent."""


def scorecard_of(
    artefacts: Mapping[str, Any], transcripts: Any, *, genes: np.ndarray | None = None, tick: Tick = no_tick
) -> Scorecard:
    """Describe the cells among `artefacts`.

    Parameters
    ----------
    artefacts : mapping
        `NEEDED` by name.
    transcripts : Transcripts
        The UMI records.
    genes : (N,) integer array, optional
        Different genes of each cell where they have been counted.
    tick : callable
        Raises `Cancelled` to stop.

    Returns
    -------
    Scorecard
    """
    cells = artefacts["cells"]
    if genes is None:
        genes = genes_per_cell(transcripts, cells, artefacts["frame"], tick)
    return scorecard(
        cells,
        artefacts["total"],
        n_umis=transcripts.n_umis,
        genes=genes,
        nuclei=artefacts.get("nuclei"),
        ghosts=artefacts.get("ghosts"),
        tick=tick,
    )


def session_scorecard(session: Session, tick: Tick = no_tick) -> Scorecard:
    """Return the scorecard of the present result, computing what is not there yet.

    Examples
    --------
    >>> from segapp.io.samples import load_sample
    >>> from segapp.pipeline.session import Session
    >>> sample, session = load_sample("tissue", size=128, seed=3), Session()
    >>> session.load(sample.transcripts, sample.stain)
    >>> card = session_scorecard(session)
    >>> card.n_cells > 5 and card.ratio > 1
    True
    """
    table = session.get("table", tick)
    artefacts = session.get_many(NEEDED, tick)
    return scorecard_of(artefacts, session.inputs["transcripts"], genes=np.asarray(table.obs["n_genes"]), tick=tick)
