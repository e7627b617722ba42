"""Parameters to JSON and back: what makes a result repeatable from the app, the command line and Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segapp.core.params import Params, Variants, default_params, patch
from segapp.core.types import InputError
from segapp.pipeline.stage import Pipeline

SCHEMA = 1
"""Raised when a stage or a parameter is renamed; older recipes are migrated on reading."""


@dataclass(frozen=True)
class Recipe:
    """Every parameter of every stage, with where it came from.

    Parameters
    ----------
    params : mapping of str to mapping
        Stage name -> parameter values, as JSON values.
    preset : str
        The preset that it started from; for reading only.
    frame : mapping
        x0, y0, height, width, um_per_px of the result: pixel (0, 0) of the label images is input (x0, y0).
    inputs : mapping
        Digest and name of each input.
    statistics : mapping
        Numbers fitted on the whole image, by stage.
    version : str
        The segapp version that wrote it.
    schema : int
        Version of this format.
    """

    params: Mapping[str, Mapping[str, Any]]
    preset: str = ""
    frame: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values, in the order a person reads them."""
        return {
            "segapp": self.version,
            "schema": self.schema,
            "preset": self.preset,
            "params": {stage: dict(values) for stage, values in self.params.items()},
            "frame": dict(self.frame),
            "inputs": dict(self.inputs),
            "statistics": dict(self.statistics),
        }

    def text(self) -> str:
        """Return the recipe as it is written to a file."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, value: Any) -> Recipe:
        """Read a recipe from JSON values; `InputError` where they are none."""
        if not isinstance(value, Mapping) or not isinstance(value.get("params"), Mapping):
            raise InputError("this is not a segapp recipe: it needs an object with `params`; write one with segapp run")
        schema = value.get("schema")
        if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
            raise InputError(
                f"the recipe has schema {schema}, this segapp reads up to {SCHEMA}: update segapp to use it"
            )
        for stage, values in value["params"].items():
            if not isinstance(values, Mapping):
                raise InputError(f"the recipe's parameters of {stage} must be an object of names and values")
        return cls(
            params=value["params"],
            preset=str(value.get("preset", "")),
            frame=value.get("frame", {}),
            inputs=value.get("inputs", {}),
            statistics=value.get("statistics", {}),
            version=str(value.get("segapp", "")),
            schema=schema,
        )

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a recipe file; `InputError` with one sentence where it cannot be used."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the recipe {path} cannot be read ({_reason(error)}): give a recipe.json") from None
        try:
            return cls.from_json(json.loads(text))
        except json.JSONDecodeError as error:
            raise InputError(f"the recipe {path} is not JSON ({error}): give a recipe.json") from None


def params_from(pipeline: Pipeline, recipe: Recipe) -> dict[str, Params]:
    """Return parameters of every stage: the recipe's values over the defaults, validated.

    Raises
    ------
    InputError
        One sentence that names the stages and parameters which do not exist or do not fit.
    """
    params = pipeline.defaults()
    problems = []
    for stage, values in recipe.params.items():
        if stage not in pipeline:
            problems.append(f"there is no stage {stage}")
            continue
        try:
            params[stage] = replace_params(pipeline[stage].declared, values)
        except InputError as error:
            problems.append(f"{stage}: {error}")
    if problems:
        raise InputError("the recipe cannot be used: " + "; ".join(problems))
    return params


def replace_params(declared: Any, values: Mapping[str, Any]) -> Params:
    """Return parameters made of the defaults and `values` alone, whatever was set before."""
    start = default_params(declared)
    if isinstance(declared, Variants) and declared.tag in values:
        start = declared.option(values[declared.tag])()
    return patch(declared, start, values)


def parse_assignments(texts: list[str] | tuple[str, ...], pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """Read ``stage.param=value`` texts into one patch a stage.

    Raises
    ------
    InputError
        One sentence: the form, the stages, or the parameters that exist.
    """
    patches: dict[str, dict[str, str]] = {}
    for text in texts:
        left, equals, value = text.partition("=")
        stage, dot, name = left.strip().partition(".")
        if not equals or not dot or not name:
            raise InputError(f"--set {text}: the form is stage.parameter=value, such as cell_score.k=9")
        if stage not in pipeline:
            raise InputError(f"--set {text}: there is no stage {stage}; the stages are {', '.join(pipeline.by_name)}")
        patches.setdefault(stage, {})[name] = value.strip()
    return patches


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
