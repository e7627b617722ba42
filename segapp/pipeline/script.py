"""The result of a session as a line of Python or of the command line: what repeats it outside the app."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segapp.core.params import Params, Variants, patch
from segapp.pipeline.presets import PRESETS, preset_params

if TYPE_CHECKING:
    from segapp.pipeline.session import Session

LONGEST = 4000
"""Characters of a command that a terminal takes without trouble; longer ones read the parameters from a recipe."""


def as_python(session: Session) -> str:
    """Return Python that gives the result of `session`.

    Examples
    --------
    >>> from segapp.pipeline.session import Session
    >>> session = Session()
    >>> session.use_preset("stain")
    >>> session.set("nuclei_mask", mk=7)
    >>> session.source = {"gem": "a.gem.gz", "stain": "a.tif"}
    >>> print(as_python(session))
    import segapp
    <BLANKLINE>
    result = segapp.run(
        'a.gem.gz',
        'a.tif',
        preset='stain',
        set={
            'nuclei_mask.mk': 7,
        },
    )
    """
    source = session.source
    if "chip" in source:
        lines = ["from segapp.pipeline.chip import run_chip", ""]
        return "\n".join([*lines, f"result = run_chip({str(source['chip'])!r}, 'cells', recipe='recipe.json')"])
    preset, changes = _differences(session)
    lines = ["import segapp", ""]
    if "sample" in source:
        lines.append(f"sample = segapp.load_sample({source['sample']!r})")
        inputs = ["sample.transcripts"] + (["sample.stain"] if "stain_file" in session.inputs else [])
    else:
        inputs = [repr(path) for path in _paths(source)]
    arguments = [*inputs, f"preset={preset!r}"]
    if changes:
        rows = "".join(f"        {name!r}: {value!r},\n" for name, value in changes.items())
        arguments.append("set={\n" + rows + "    }")
    lines += ["result = segapp.run(", *(f"    {argument}," for argument in arguments), ")"]
    return "\n".join(lines)


def as_command(session: Session, *, recipe: str = "recipe.json", out: str = "cells") -> str:
    """Return commands that give the result of `session`; with very many changes they read the file `recipe`.

    Examples
    --------
    >>> from segapp.pipeline.session import Session
    >>> session = Session()
    >>> session.use_preset("rna-total")
    >>> session.set("cell_score", k=9)
    >>> session.source = {"gem": "my section.gem"}
    >>> print(as_command(session))
    segapp run --gem 'my section.gem' --preset rna-total --set cell_score.k=9 --out cells
    """
    source = session.source
    if "chip" in source:  # edits are in px of the window here and in px of the chip there: the recipe has them
        return shlex.join(["segapp", "run", "--chip", str(source["chip"]), "--recipe", recipe, "--out", out])
    preset, changes = _differences(session)
    first = ""
    if "sample" in source:
        name = str(source["sample"])
        first = shlex.join(["segapp", "sample", name, "--out", name]) + "\n"
        paths = [f"{name}/{name}.gem.gz"] + ([f"{name}/stain.tif"] if "stain_file" in session.inputs else [])
    else:
        paths = _paths(source)
    words = ["segapp", "run", "--gem", paths[0]] + (["--stain", paths[1]] if len(paths) > 1 else [])
    choices = ["--preset", preset]
    for name, value in changes.items():
        choices += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    if len(shlex.join(choices)) > LONGEST:
        choices = ["--recipe", recipe]
    return first + shlex.join([*words, *choices, "--out", out])


def _paths(source: Mapping[str, Any]) -> list[str]:
    """Return the paths of the inputs; words that stand for them where they are not files."""
    paths = [str(source.get("gem", "section.gem.gz"))]
    if source.get("stain"):
        paths.append(str(source["stain"]))
    return paths


def _differences(session: Session) -> tuple[str, dict[str, Any]]:
    """Return the preset that needs the fewest changes to give the parameters of now, and those changes."""
    names = sorted(PRESETS, key=lambda name: name != session.preset)
    found = []
    for name in names:
        start = preset_params(name, session.pipeline)
        changes = {
            f"{stage.name}.{parameter}": value
            for stage in session.pipeline
            for parameter, value in _changed(stage.declared, start[stage.name], session.params[stage.name]).items()
        }
        found.append((name, changes))
    return min(found, key=lambda item: len(item[1]))


def _changed(declared: Any, start: Params, now: Params) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if isinstance(declared, Variants) and type(start) is not type(now):
        changes[declared.tag] = getattr(now, declared.tag)
        start = patch(declared, start, changes)
    begun, values = start.to_json(), now.to_json()
    return changes | {name: value for name, value in values.items() if value != begun.get(name)}
