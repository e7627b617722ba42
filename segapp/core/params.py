"""One declaration for every parameter: slider, command line, recipe, documentation and validation derive from it."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from segapp.core.types import InputError

Soft = tuple[float, float] | Literal["data"]


def knob(
    default: Any,
    *,
    doc: str,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    soft: Soft | None = None,
    step: float | None = None,
    odd: bool = False,
) -> Any:
    """Declare one parameter of a `Params` class.

    Parameters
    ----------
    default : Any
        Value a user starts from.
    doc : str
        What it does and in which direction ("Higher: fewer, surer cells.").
    unit : str
        ``"px"``, ``"px²"``, ``"UMI"`` or empty; px are shown beside micrometres by every control.
    ge, le : float, optional
        What is meaningful; outside is an error.
    soft : (float, float) or "data", optional
        What the slider spans; ``"data"`` means that the span comes from the array at hand.
    step : float, optional
        Step of the slider; 2 for odd diameters, 1 for integers, a hundredth of the span for floats by default.
    odd : bool
        Kernel diameters: even values are refused.
    """
    extra: dict[str, Any] = {"unit": unit, "soft": soft, "step": step, "odd": odd}
    bounds = {key: value for key, value in (("ge", ge), ("le", le)) if value is not None}
    extra |= bounds
    return Field(default=default, description=doc, json_schema_extra=extra)


@dataclass(frozen=True)
class Knob:
    """A parameter as the views, the command line and the documentation see it."""

    name: str
    kind: Literal["int", "float", "bool", "choice", "text", "list"]
    default: Any
    doc: str
    unit: str = ""
    ge: float | None = None
    le: float | None = None
    soft: Soft | None = None
    step: float | None = None
    odd: bool = False
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """Words that stand beside a number, such as ``auto`` or ``off``."""


class Params(BaseModel):
    """Frozen parameters of one stage; change them with `with_`, which validates."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        for item in knobs(type(self)):
            value = getattr(self, item.name)
            if isinstance(value, str | bool) or not isinstance(value, int | float):
                continue
            if (item.ge is not None and value < item.ge) or (item.le is not None and value > item.le):
                raise ValueError(f"{item.name}={value} is out of range: it must be {_range_text(item)}")
            if item.odd and value % 2 == 0:
                raise ValueError(
                    f"{item.name}={value} is even: it is a kernel diameter in px and must be odd; "
                    f"try {value - 1 if value - 1 >= (item.ge or 1) else value + 1} or {value + 1}"
                )
        return self

    def with_(self, **changes: Any) -> Self:
        """Return a copy with `changes`, validated."""
        return type(self).model_validate({**self.model_dump(), **changes})

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as JSON-serialisable values."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class Variants:
    """Alternatives of one stage, told apart by a tag: ``method="gauss"`` or ``method="EM+BP"``.

    Parameters
    ----------
    tag : str
        Name of the field that tells them apart; each class has it as a `Literal` of one value.
    options : tuple of Params classes
        One class an alternative, with only the parameters that it uses.
    default : str
        Tag value of the alternative a user starts from.
    """

    tag: str
    options: tuple[type[Params], ...]
    default: str

    def names(self) -> tuple[str, ...]:
        """Tag values in the order of declaration."""
        return tuple(self._tag_of(option) for option in self.options)

    def option(self, name: str) -> type[Params]:
        """Return the class of an alternative; upper and lower case are the same."""
        for option in self.options:
            if self._tag_of(option).lower() == str(name).lower():
                return option
        raise InputError(f"{self.tag}={name} is not known; choose one of {', '.join(self.names())}")

    def extended(self, prefix: str, **fields: tuple[Any, Any]) -> Variants:
        """Return the same alternatives with `fields` (name=(type, knob)) added to each or replaced in each."""
        options = tuple(
            create_model(f"{prefix}{option.__name__}", __base__=option, __doc__=option.__doc__, **fields)  # type: ignore[call-overload]
            for option in self.options
        )
        return Variants(self.tag, options, self.default)

    def _tag_of(self, option: type[Params]) -> str:
        return str(typing.get_args(option.model_fields[self.tag].annotation)[0])


Declared = type[Params] | Variants


def default_params(declared: Declared) -> Params:
    """Return the parameters a user starts from."""
    return declared.option(declared.default)() if isinstance(declared, Variants) else declared()


def classes(declared: Declared) -> tuple[type[Params], ...]:
    """Return every class of a declaration: one, or one an alternative."""
    return declared.options if isinstance(declared, Variants) else (declared,)


def patch(declared: Declared, current: Params, changes: Mapping[str, Any]) -> Params:
    """Apply `changes` to the parameters of a stage as one patch, the tag first.

    Parameters
    ----------
    declared : Params class or Variants
        What the stage declares.
    current : Params
        Parameters now.
    changes : mapping
        New values; text is read as JSON where it can be, so ``"5"`` is a number and ``"auto"`` a word.

    Returns
    -------
    Params
        Validated. Values shared by the old and the new alternative are kept when the tag changes.

    Raises
    ------
    InputError
        One sentence for all problems of the patch.
    """
    values = {name: _parse(value) for name, value in changes.items()}
    kind = type(current)
    kept = current.model_dump()
    if isinstance(declared, Variants):
        if declared.tag in values:
            kind = declared.option(values[declared.tag])
            values[declared.tag] = declared._tag_of(kind)
        if kind is not type(current):
            # an untouched default belongs to the old alternative, a chosen value to the user
            start = type(current)().model_dump()
            kept = {n: v for n, v in kept.items() if n in kind.model_fields and v != start[n] and n != declared.tag}
    unknown = [name for name in values if name not in kind.model_fields]
    if unknown:
        raise InputError(
            f"there is no parameter {', '.join(unknown)}; the parameters here are {', '.join(kind.model_fields)}"
        )
    for name, value in values.items():
        if _takes_text(kind.model_fields[name]) and isinstance(changes[name], str):
            values[name] = changes[name] if not isinstance(value, str) else value
    try:
        return kind.model_validate({**kept, **values})
    except ValidationError as error:
        raise InputError("; ".join(_sentence(kind, item) for item in error.errors())) from None


def knobs(kind: type[Params]) -> tuple[Knob, ...]:
    """Describe the parameters of a class, in order of declaration.

    Examples
    --------
    >>> class Blur(Params):
    ...     k: int = knob(5, unit="px", odd=True, ge=1, le=99, soft=(1, 21), doc="Diameter of the blur.")
    >>> knobs(Blur)[0].default, knobs(Blur)[0].step
    (5, 2)
    """
    cached = _KNOBS.get(kind)
    if cached is None:
        cached = _KNOBS[kind] = tuple(_describe(name, info) for name, info in kind.model_fields.items())
    return cached


_KNOBS: dict[type[Params], tuple[Knob, ...]] = {}


def _describe(name: str, info: FieldInfo) -> Knob:
    extra: Mapping[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, choices, words = _kind(info.annotation)
    if info.default is PydanticUndefined or not info.description:
        raise TypeError(f"parameter {name} needs a default and a doc: declare it with knob()")
    soft, step = extra.get("soft"), extra.get("step")
    if kind in ("int", "float") and (soft is None or extra.get("ge") is None or extra.get("le") is None):
        raise TypeError(f"parameter {name} needs ge, le and soft: what is meaningful and what the slider spans")
    if step is None and kind == "int":
        step = 2 if extra.get("odd") else 1
    if step is None and kind == "float" and isinstance(soft, tuple):
        step = (soft[1] - soft[0]) / 100
    return Knob(
        name=name,
        kind=kind,
        default=info.default,
        doc=info.description,
        unit=str(extra.get("unit", "")),
        ge=extra.get("ge"),
        le=extra.get("le"),
        soft=soft,
        step=step,
        odd=bool(extra.get("odd", False)),
        choices=choices,
        words=words,
    )


def _kind(annotation: Any) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    parts = (
        typing.get_args(annotation)
        if typing.get_origin(annotation) in (typing.Union, types.UnionType)
        else (annotation,)
    )
    words: tuple[str, ...] = ()
    kind: Any = None
    for part in parts:
        if typing.get_origin(part) is Literal:
            words += tuple(str(value) for value in typing.get_args(part))
        elif part in (bool, int, float, str):
            kind = {bool: "bool", int: "int", float: "float", str: "text"}[part]
        elif typing.get_origin(part) in (tuple, list):
            kind = "list"
        else:
            raise TypeError(f"no control for parameters of type {annotation}")
    return (kind, (), words) if kind is not None else ("choice", words, ())


def _takes_text(info: FieldInfo) -> bool:
    return _kind(info.annotation)[0] in ("text", "choice")


def _parse(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _range_text(item: Knob) -> str:
    unit = f" {item.unit}" if item.unit else ""
    if item.ge is not None and item.le is not None:
        return f"from {item.ge} to {item.le}{unit}"
    return f"at least {item.ge}{unit}" if item.ge is not None else f"at most {item.le}{unit}"


def _sentence(kind: type[Params], error: Any) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    name = str(error["loc"][0]) if error["loc"] else "value"
    given = error.get("input")
    if name in kind.model_fields:
        item = next(item for item in knobs(kind) if item.name == name)
        needed = {
            "int": "a whole number",
            "float": "a number",
            "bool": "true or false",
            "text": "text",
            "list": "a list",
            "choice": "one of " + ", ".join(item.choices),
        }[item.kind]
        if item.words:
            needed += " or " + ", ".join(item.words)
        return f"{name}={given} cannot be used: it must be {needed}"
    return f"{name}={given} cannot be used: {error['msg']}"
