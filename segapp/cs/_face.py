"""Signatures from declarations: what a function of `segapp.cs` takes, its defaults and its help."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from segapp.core.params import Declared, Knob, Variants, classes, default_params, knobs, patch

Knobs = Mapping[str, Any]
"""Values of declared parameters as they were given; None stands for the default."""

SLOT: Knobs = MappingProxyType({})
"""Marks a parameter that declared ones replace, where one with a default stands before it."""

COMMON = {
    "adata": "Pixels in layers, rows are x and columns y, such as `read_bgi_agg` gives.",
    "layer": "Layer of the stain.",
    "out_layer": "Where the result goes; see above for the name it has otherwise.",
    "mask_layer": "Layer of the mask; ``{layer}_mask`` or the literal name.",
    "bins_layer": "Layer of density bins; ``{layer}_bins`` where there is one. False: no bins.",
    "certain_layer": "Layer of pixels that are occupied whatever their counts, such as labels of nuclei.",
}
"""What a parameter means that many functions take."""


def face(
    docs: Mapping[str, str] | None = None, **slots: tuple[Declared, str]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace parameters of a function by declared ones: names as given, defaults and help from the declaration.

    Parameters
    ----------
    docs : mapping of str to str, optional
        Help for parameters that are not declared; common ones need none.
    **slots : (Params class or Variants, str)
        Parameter of the function -> where declared, and which names, separated by spaces, stand in its place. The
        function receives a dict of their values.

    Returns
    -------
    decorator

    Examples
    --------
    >>> from segapp.core.stain import CytoplasmParams
    >>> @face(knobs=(CytoplasmParams, "mk"))
    ... def mask(adata, knobs, layer="stain"):
    ...     "Mask cells."
    ...     return build(CytoplasmParams, knobs).mk
    >>> inspect.signature(mask)
    <Signature (adata, mk: 'int' = 7, layer='stain')>
    >>> mask(None), mask(None, 9)
    (7, 9)
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function).parameters
        shown: list[inspect.Parameter] = []
        slot_of: dict[str, str] = {}
        helps: list[tuple[str, str, str]] = []
        for name, parameter in own.items():
            if name not in slots:
                shown.append(parameter.replace(annotation=parameter.empty))
                helps.append((name, _kind_text(parameter), {**COMMON, **(docs or {})}.get(name, "")))
                continue
            declared, names = slots[name]
            described = {item.name: item for item in knobs(type(default_params(declared)))}
            for knob_name in names.split():
                item = described[knob_name]
                text = _type_text(declared, item)
                shown.append(inspect.Parameter(knob_name, parameter.kind, default=shown_default(item), annotation=text))
                slot_of[knob_name] = name
                helps.append((knob_name, f"{text}, default {_number(item.default)}", _doc_text(item)))
        signature = inspect.Signature(shown)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            values: dict[str, Any] = {name: {} for name in slots}
            for name, value in bound.arguments.items():
                if name in slot_of:
                    values[slot_of[name]][name] = value
                elif own[name].kind is inspect.Parameter.VAR_KEYWORD:
                    values |= value
                else:
                    values[name] = value
            return function(**values)

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = _with_parameters(inspect.getdoc(function) or "", helps)
        del call.__wrapped__  # the signature is this one, not that of the function inside
        return call

    return decorate


def build(declared: Declared, *given: Knobs) -> Any:
    """Make the parameters of a core function from values as the field writes them.

    Parameters
    ----------
    declared : Params class or Variants
        Where the parameters are declared.
    *given : mapping of str to value
        None is the default, False and infinity are the word ``off`` where there is one.

    Returns
    -------
    Params

    Raises
    ------
    InputError
        One sentence for all problems.

    Examples
    --------
    >>> from segapp.core.label.components import SplitParams
    >>> build(SplitParams, {"area_threshold": np.inf, "k": None}).area_threshold
    'off'
    """
    current = default_params(declared)
    values = {name: value for mapping in given for name, value in mapping.items() if value is not None}
    kind = type(current)
    if isinstance(declared, Variants) and declared.tag in values:
        kind = declared.option(values[declared.tag])
    words = {item.name: item.words for item in knobs(kind)}
    return patch(declared, current, {name: _plain(value, words.get(name, ())) for name, value in values.items()})


def shown_default(item: Knob) -> Any:
    """Return the default as a signature shows it: None for the words and lists that stand for "find out"."""
    return None if item.default in ("auto", "off", ()) else item.default


def _plain(value: Any, words: tuple[str, ...]) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if "off" in words and (value is False or (isinstance(value, float) and np.isinf(value))):
        return "off"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # 3.0 is a whole number; a parameter that takes floats takes it too
    return value


def _type_text(declared: Declared, item: Knob) -> str:
    if isinstance(declared, Variants) and item.name == declared.tag:
        return "{" + ", ".join(repr(name) for name in declared.names()) + "}"
    if item.choices:
        return "{" + ", ".join(repr(name) for name in item.choices) + "}"
    kind = {"text": "str", "list": "sequence"}.get(item.kind, item.kind)
    return f"{kind} or None" if item.words else kind


def _kind_text(parameter: inspect.Parameter) -> str:
    known = {"adata": "AnnData", "mapping": "dict of int to int"}
    if parameter.name in known:
        return known[parameter.name]
    if parameter.kind is inspect.Parameter.VAR_KEYWORD or parameter.name.endswith("_kwargs"):
        return "dict, optional"
    if parameter.default is parameter.empty:
        return "str"
    return "optional" if parameter.default is None else f"default {parameter.default!r}"


def _doc_text(item: Knob) -> str:
    unit = f" In {item.unit}." if item.unit else ""
    words = " None: auto." if "auto" in item.words else " None: off." if item.default == "off" else ""
    words += " np.inf: off." if "off" in item.words and item.default != "off" else ""
    return f"{item.doc}{unit}{words}"


def _number(value: Any) -> str:
    return f"{value!r}" if isinstance(value, str | tuple) else f"{value}"


def _with_parameters(doc: str, helps: list[tuple[str, str, str]]) -> str:
    """Put a numpydoc section of parameters behind the first paragraphs, before the next section."""
    lines = doc.splitlines()
    cut = next((i - 1 for i, line in enumerate(lines) if i and set(line) == {"-"}), len(lines))
    section = ["Parameters", "----------"]
    for name, kind, text in helps:
        section.append(f"{name} : {kind}")
        section += [f"    {text}"] if text else []
    head = lines[:cut]
    while head and not head[-1].strip():
        head.pop()
    return "\n".join([*head, "", *section, "", *lines[cut:]]).rstrip() + "\n"


def fields(declared: Declared) -> set[str]:
    """Return the names of all parameters of a declaration, its alternatives included."""
    return {name for kind in classes(declared) for name in kind.model_fields}
