"""A first result while a network is at work: the same choices with the nuclei that the watershed finds."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from segapp.core.types import Cancelled, Tick
from segapp.pipeline.compute import Snapshot, compute
from segapp.pipeline.store import Store

log = logging.getLogger(__name__)

CONFIRMED = ("augment", "union")
"""Sources of nuclei that need the watershed as well as the network."""


def stand_in(snapshot: Snapshot, store: Store, target: str) -> Snapshot | None:
    """Return the choices that give `target` without the network, or None where nothing has to stand in for it.

    It is None where no network is chosen, its nuclei are known already, or `target` does not depend on them.
    """
    params = snapshot.params.get("nuclei")
    if params is None or getattr(params, "source", "") not in CONFIRMED:
        return None
    pipeline = snapshot.pipeline
    network = pipeline["nuclei_network"]
    used = pipeline.closure((target,), snapshot.choice)
    if network not in used or snapshot.blocker(network) is not None or store.get(snapshot.key(network)) is not None:
        return None
    return replace(snapshot, params={**snapshot.params, "nuclei": params.with_(source="watershed")}, _keys={})


def first_result(snapshot: Snapshot, store: Store, targets: Iterable[str], tick: Tick) -> dict[str, Any]:
    """Return the artefacts of a stand-in; nothing where a stage fails, of which the real run will tell.

    There is no table among them: nobody looks at it, and it must not be taken for the result.
    """
    try:
        return compute(snapshot, store, tuple(name for name in targets if name != "table"), None, tick)
    except Cancelled:
        raise
    except Exception as error:
        log.info("nothing stands in: %s", error)
        return {}
