"""What is different between two choices of parameters, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segapp.core.params import Params


def changed_params(before: Mapping[str, Params], after: Mapping[str, Params]) -> list[str]:
    """List the parameters that differ, as ``"cell_score.k 7 -> 9"``.

    Parameters
    ----------
    before, after : mapping of str to Params
        Parameters of stages by name, as `Session.params` holds them.

    Returns
    -------
    list of str
        One text a parameter, in the order of the stages. Where the method differs, parameters that only one of the two
        methods has are left out: the method says it all.

    Examples
    --------
    >>> from segapp.pipeline.session import Session
    >>> session = Session()
    >>> first = session.params
    >>> session.set("cell_score", k=9)
    >>> session.set("limits", max_area=900)
    >>> changed_params(first, session.params)
    ['cell_score.k 7 -> 9', 'limits.max_area off -> 900']
    """
    found = []
    for stage, params in after.items():
        old, new = before[stage].to_json(), params.to_json()
        for name, value in new.items():
            if name in old and old[name] != value:
                found.append(f"{stage}.{name} {_text(old[name])} -> {_text(value)}")
    return found


def _text(value: Any) -> str:
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return "1 entry" if len(value) == 1 else f"{len(value)} entries"
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
