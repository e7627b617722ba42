"""A first look at what a stage will make, for the stages that are worth one; the store never holds it."""

from __future__ import annotations

import logging
from typing import Any

from segapp.core.score.preview import Box, fit_sample, preview_score, previews, sample_rows
from segapp.core.types import Cancelled, Tick
from segapp.pipeline.coarse import coarse_cells
from segapp.pipeline.compute import Snapshot
from segapp.pipeline.store import Store

log = logging.getLogger(__name__)

PREVIEWED = {"cell_score": ("total", "bins", "cell_scores"), "nuclei_score": ("nuclear", "", "nuclei_scores")}
"""Stage -> the counts, the bins and the scores that a look at it is about."""


def preview(
    snapshot: Snapshot, store: Store, stage_name: str, window: Box | None, tick: Tick
) -> tuple[dict[str, Any], bool] | None:
    """Return artefacts as a first look, and whether their numbers were fitted to a sample only.

    None where the stage has none to offer: its result is there already, something that it needs is not, it is quick, or
    the look failed. A failure is for the stage itself to tell: it runs next, and tells with its name and its reason.
    """
    try:
        if stage_name == "limits":
            cells = coarse_cells(snapshot, store, window, tick)
            return None if cells is None else (cells, False)
        return _preview(snapshot, store, stage_name, window, tick)
    except Cancelled:
        raise
    except Exception as error:
        log.info("no first look at %s: %s", stage_name, error)
        return None


def _preview(
    snapshot: Snapshot, store: Store, stage_name: str, window: Box | None, tick: Tick
) -> tuple[dict[str, Any], bool] | None:
    names = PREVIEWED.get(stage_name)
    stage = snapshot.pipeline.by_name.get(stage_name)
    if names is None or stage is None or stage.fit is None or store.get(snapshot.key(stage)) is not None:
        return None
    params = snapshot.params[stage_name]
    if not previews(params) or snapshot.blocker(stage) is not None:
        return None
    needs: dict[str, Any] = {}
    for name in stage.needs_of(snapshot.choice):
        entry = store.get(snapshot.key(snapshot.pipeline.giver[name]))
        if entry is None:
            return None
        needs[name] = entry.values[name]
    counts, bins = needs.get(names[0]), needs.get(names[1])
    if counts is None:
        return None
    key = snapshot.key(stage, "fit")
    fitted = store.get(key)
    estimated = False
    if fitted is not None:
        info = fitted.values["statistics"]
    elif snapshot.numbers is not None:
        return None  # the numbers are those of a whole, of which a sample of the inputs says nothing
    else:
        # the diameter before, or after, is the best place to start from; what is kept is fitted on its own
        last = store.get(_looked_at(stage_name))
        info = fit_sample(counts, bins, params, tick, None if last is None else last.values["statistics"])
        estimated = not isinstance(sample_rows(counts.shape), slice)
    store.put(_looked_at(stage_name), {"statistics": info}, 0.0)
    nuclei = needs.get("selected_nuclei")
    scores = preview_score(counts, bins, None if nuclei is None else nuclei > 0, params, info, window, tick)
    scores.flags.writeable = False
    return {names[2]: scores}, estimated


def _looked_at(stage_name: str) -> str:
    """The key of the numbers of the last look at a stage, whatever it was made from."""
    return f"last look at {stage_name}"
