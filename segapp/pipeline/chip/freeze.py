"""The numbers of a chip in a session of a section, so that both can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segapp.pipeline.session import Session


def freeze(session: Session, statistics: Mapping[str, Any]) -> None:
    """Let a session use the numbers of a chip instead of fitting its own.

    Parameters
    ----------
    session : Session
        With inputs and parameters; later changes of what a fit looks at make it fit again.
    statistics : mapping of str to Any
        Numbers by stage, as a run of the chip found them; see `segapp.pipeline.chip.numbers.read_statistics`.
    """
    snapshot = session.snapshot()
    for name, value in statistics.items():
        stage = session.pipeline.by_name[name]
        # a network keeps its answer under that key, and takes its numbers as parameters
        if stage.fit is not None and name != "nuclei_network":
            session.store.put(snapshot.key(stage, "fit"), {"statistics": value}, 0.0)
