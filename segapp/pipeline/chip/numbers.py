"""Numbers of a whole chip as JSON values, and back: what a run, its result and the folder of a chip hold of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segapp.core.align import Alignment
from segapp.core.types import Fitted, ScoreInfo
from segapp.io.atomic import atomic_file


def numbers_json(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers by stage as JSON values.

    Examples
    --------
    >>> numbers_json({"nuclei_mask": Fitted({"cut": 3})})
    {'nuclei_mask': {'statistics': {'cut': 3}}}
    """
    found: dict[str, Any] = {}
    for stage, value in numbers.items():
        if hasattr(value, "to_json"):
            found[stage] = value.to_json()
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            found[stage] = dataclasses.asdict(value)
        else:
            found[stage] = dict(value)
    return found


def numbers_from(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers that `numbers_json` described.

    Examples
    --------
    >>> numbers_from({"nuclei_mask": {"statistics": {"cut": 3}}})
    {'nuclei_mask': Fitted(statistics={'cut': 3})}
    """
    found: dict[str, Any] = {}
    for stage, value in values.items():
        if stage == "align":
            found[stage] = Alignment.from_json(value)
        elif stage == "density":
            found[stage] = value
        else:
            found[stage] = ScoreInfo(**value) if "method" in value else Fitted(**value)
    return found


def write_statistics(path: Path, numbers: Mapping[str, Any]) -> None:
    """Write numbers by stage to a file that appears whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(numbers_json(numbers)), encoding="utf-8")


def read_statistics(path: str | Path) -> dict[str, Any]:
    """Read the numbers of a chip, such as those in the ``statistics.json`` of a run.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        By stage: what `run_chip` takes as ``statistics``.
    """
    return numbers_from(json.loads(Path(path).read_text(encoding="utf-8")))
