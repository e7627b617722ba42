"""The last stage: cells x genes, with where each cell came from and what made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core.label.augment import SOURCES
from segapp.core.label.overlap import label_ids
from segapp.core.types import Grid, Tick, Transcripts

if TYPE_CHECKING:
    from anndata import AnnData

    from segapp.pipeline.session import Session


def make_table(
    params: Any,
    tick: Tick,
    transcripts: Transcripts,
    frame: Grid,
    cells: np.ndarray,
    nuclei: np.ndarray | None,
    total: np.ndarray,
    nuclei_provenance: np.ndarray,
    stain: np.ndarray | None = None,
    cell_scores: np.ndarray | None = None,
    nuclei_scores: np.ndarray | None = None,
    nuclei_probability: np.ndarray | None = None,
    network_engine: str = "",
) -> tuple[AnnData]:
    """Cells and transcripts -> AnnData; the score is that of the map from which the cells were cut.

    Where a network was asked, ``obs`` also tells the engine that each cell comes from (the name of the network, or the
    source itself), and how probable the network finds its nucleus: NaN for cells without one.
    """
    from segapp.io.table import to_anndata

    table = to_anndata(
        transcripts,
        cells,
        frame,
        nuclei=nuclei,
        background=stain if stain is not None else np.sqrt(total),
        scores=cell_scores if cell_scores is not None else nuclei_scores,
        sources=cell_sources(cells, nuclei, nuclei_provenance),
        tick=tick,
    )
    if nuclei_probability is not None:
        sources = table.obs["source"].astype(str)
        table.obs["engine"] = sources.where(sources != "network", network_engine).astype("category")
        ids = table.obs["label"].to_numpy()
        told = (ids < len(nuclei_probability)) & ~sources.isin(("components", "drawn")).to_numpy()
        found = np.full(len(ids), np.nan, np.float32)
        found[told] = nuclei_probability[ids[told]]
        table.obs["nucleus_probability"] = found
    return (table,)


def cell_sources(cells: np.ndarray, nuclei: np.ndarray | None, provenance: np.ndarray) -> list[str]:
    """Return where each cell came from, in the order of the ids: the source of its nucleus, or of itself."""
    ids = label_ids(cells)
    seeds = set() if nuclei is None else set(label_ids(nuclei).tolist())
    return [_source(cell, cell in seeds, provenance) for cell in ids.tolist()]


def cell_source(cell: int, nuclei: np.ndarray | None, provenance: np.ndarray) -> str:
    """Return where one cell came from, as `cell_sources` does for all."""
    return _source(cell, nuclei is not None and bool((nuclei == cell).any()), provenance)


def _source(cell: int, seeded: bool, provenance: np.ndarray) -> str:
    if not seeded:
        return "components"
    code = int(provenance[cell]) if cell < len(provenance) else 0
    return SOURCES[code] if code else "drawn"


def result_table(session: Session, tick: Any) -> AnnData:
    """Return the table of a session as the user's own copy, with recipe, scorecard and the hashes of the inputs."""
    from segapp.pipeline.figures import session_scorecard

    made = session.get("table", tick)
    table = made.copy()
    table.uns["segapp"] = {
        **table.uns["segapp"],
        "recipe": session.recipe().text(),
        "scorecard": session_scorecard(session, tick).to_json(),
        "inputs": {name: value.digest for name, value in session.inputs.items()},
    }
    return table
