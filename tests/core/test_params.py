"""Parameters: validation, patches, alternatives, and what views and command line read off a declaration."""

from typing import Literal

import pytest

from segapp.core.params import Params, Variants, default_params, knob, knobs, patch
from segapp.core.types import InputError


class Gauss(Params):
    method: Literal["gauss"] = knob("gauss", doc="How.")
    k: int = knob(5, unit="px", odd=True, ge=1, le=99, soft=(1, 21), doc="Diameter.")


class Bp(Params):
    method: Literal["EM+BP"] = knob("EM+BP", doc="How.")
    k: int = knob(5, unit="px", odd=True, ge=1, le=99, soft=(1, 21), doc="Diameter.")
    p: float = knob(0.6, ge=0.0, le=1.0, soft=(0.5, 1.0), doc="Same state.")
    threshold: float | Literal["auto"] = knob("auto", ge=0.0, le=1.0, soft=(0.0, 1.0), doc="Cut.")


METHODS = Variants("method", (Gauss, Bp), "EM+BP")


def test_a_declaration_describes_its_control():
    item = {item.name: item for item in knobs(Bp)}["threshold"]
    assert (item.kind, item.words, item.default, item.step) == ("float", ("auto",), "auto", 0.01)
    assert {item.name: item.step for item in knobs(Gauss)}["k"] == 2


def test_a_number_without_bounds_is_refused_when_declared():
    class Loose(Params):
        k: int = knob(5, doc="No bounds.")

    with pytest.raises(TypeError, match="needs ge, le and soft"):
        Loose()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"k": "4"}, "even"),
        ({"k": 101}, "from 1 to 99 px"),
        ({"k": "five"}, "whole number"),
        ({"k": "2.5"}, "whole number"),
        ({"p": "1.5"}, "from 0.0 to 1.0"),
        ({"threshold": "sometimes"}, "a number or auto"),
        ({"threshold": "NaN"}, "a number or auto"),
        ({"kk": 3}, "there is no parameter kk; the parameters here are method, k, p, threshold"),
        ({"method": "magic"}, "choose one of gauss, EM"),
    ],
)
def test_a_bad_value_is_one_sentence(changes, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        patch(METHODS, Bp(), changes)
    assert "\n" not in str(caught.value)


def test_every_problem_of_a_patch_is_named():
    with pytest.raises(InputError, match=r"k=x.*p=y"):
        patch(METHODS, Bp(), {"k": "x", "p": "y"})


def test_text_from_the_command_line_is_read_as_values():
    made = patch(METHODS, Bp(), {"k": "9", "threshold": "0", "p": "0.7"})
    assert (made.k, made.threshold, made.p) == (9, 0.0, 0.7)
    assert patch(METHODS, made, {"threshold": "auto"}).threshold == "auto"


def test_the_method_goes_first_and_case_does_not_matter():
    made = patch(METHODS, Bp(), {"k": 9, "method": "GAUSS"})
    assert isinstance(made, Gauss)
    assert made.k == 9


def test_a_chosen_value_survives_a_change_of_method_and_a_default_does_not():
    wide = METHODS.extended("Cell", k=(int, knob(7, unit="px", odd=True, ge=1, le=99, soft=(1, 21), doc="Diameter.")))
    start = default_params(wide)
    assert start.k == 7
    assert patch(wide, start, {"method": "gauss"}).k == 7
    assert patch(wide, patch(wide, start, {"k": 11}), {"method": "gauss"}).k == 11


def test_zero_is_a_value_not_auto():
    assert patch(METHODS, Bp(), {"threshold": 0}).threshold == 0


def test_parameters_are_frozen_and_change_by_copy():
    params = Gauss()
    with pytest.raises(Exception, match="frozen"):
        params.k = 7
    assert params.with_(k=7).k == 7
    assert params.k == 5
