"""A small pipeline with the shape of the real one: an optional input, a selector, a fit."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from segapp.core.params import Params, knob
from segapp.core.types import InputError
from segapp.pipeline.stage import Choice, Pipeline, Stage


@dataclass(frozen=True)
class Numbers:
    values: np.ndarray
    digest: str


class Scale(Params):
    factor: int = knob(2, ge=0, le=100, soft=(0, 10), doc="Factor.")
    shift: int = knob(0, ge=0, le=100, soft=(0, 10), doc="Added after the fit.")


class Pick(Params):
    source: Literal["scaled", "picture"] = knob("scaled", doc="Which.")


class Calls(list):
    """Names of what ran, in order."""


def make(calls: Calls) -> Pipeline:
    def fit(params, tick, base):
        calls.append("fit")
        return float(base.values.mean())

    def scale(params, tick, base, statistics):
        calls.append("scale")
        tick(1, 2)
        if params.factor == 13:
            raise InputError("factor 13 brings bad luck; choose another")
        if params.factor == 99:
            raise ZeroDivisionError("a mistake in the code")
        return (base.values * params.factor + params.shift - statistics,)

    def load(params, tick, picture):
        calls.append("load")
        return (picture.values,)

    def pick(params, tick, scaled=None, image=None):
        calls.append("pick")
        return (scaled if scaled is not None else image,)

    def pick_needs(choice: Choice):
        return ("scaled",) if choice.value("pick", "source") == "scaled" else ("image",)

    return Pipeline(
        Stage("scale", "Scale", "Scale.", Scale, ("base",), ("scaled",), scale, fit=fit, apply_only=("shift",)),
        Stage("load", "Load", "Load.", Params, ("picture",), ("image",), load),
        Stage("pick", "Pick", "Pick.", Pick, pick_needs, ("table",), pick, selectors=("source",)),
        inputs={"base": True, "picture": False},
        gated={"picture": ("picture", "There is no picture: open one.")},
    )
