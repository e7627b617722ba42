from typing import Literal

import pytest

from segapp.core.params import Knob, Params, knob, knobs
from segapp.views.controls import Control


class Example(Params):
    """One parameter of each kind."""

    k: int = knob(5, unit="px", odd=True, ge=1, le=99, soft=(1, 21), doc="Diameter. Larger: smoother.")
    threshold: float | Literal["auto", "knee"] = knob("auto", ge=0, le=1, soft=(0, 1), doc="Higher: surer.")
    max_area: int | Literal["off"] = knob("off", unit="px²", ge=1, le=10**6, soft=(100, 2000), doc="Largest.")
    precision: float = knob(1e-6, ge=1e-12, le=0.1, soft=(1e-8, 1e-3), doc="Smaller: longer.")
    region: Literal["rna", "stain"] = knob("rna", doc="Where cells may lie.")
    square: bool = knob(False, doc="Eight neighbours.")
    channel: str = knob("auto", doc="Name of the channel.")
    genes: tuple[str, ...] = knob(("Malat1",), doc="Nuclear genes.")
    pairs: tuple[tuple[int, int], ...] = knob((), doc="Pairs of regions.")
    shift: tuple[float, float] = knob((0.0, 0.0), unit="px", doc="Right and down.")


@pytest.fixture
def told():
    return []


@pytest.fixture
def controls(told):
    return {item.name: Control(item, lambda name, value: told.append((name, value))) for item in knobs(Example)}


def test_making_and_showing_tells_nothing(controls, told):
    controls["k"].show(9)
    controls["threshold"].show(0.4)
    controls["genes"].show(("Neat1", "Malat1"))
    assert told == []


def test_slider_and_box_are_one_value(controls, told):
    control = controls["k"]
    control.slider.value = 9
    assert told == [("k", 9)]
    control.show(9)
    assert control.box.value == 9
    control.box.value = 31  # beyond the slider, within what is meaningful
    assert told[-1] == ("k", 31)
    control.show(31)
    assert (control.slider.value, control.box.value) == (21, 31)


def test_px_are_shown_in_micrometres_too(controls):
    controls["k"].show(9, um_per_px=0.5)
    assert "4.5 µm" in controls["k"].name.value
    controls["max_area"].show(400, um_per_px=0.5)
    assert "100 µm²" in controls["max_area"].name.value


def test_what_it_does_is_one_hover_away(controls):
    assert "Larger: smoother. Default: 5." in controls["k"].name.value
    assert controls["k"].slider.tooltip == "Diameter. Larger: smoother."


def test_words_are_toggles_and_show_their_number(controls, told):
    control = controls["threshold"]
    assert control.words["auto"].value and not control.words["knee"].value
    control.show("auto", automatic=0.43)
    assert control.slider.value == pytest.approx(0.43)
    assert "auto: 0.43" in control.name.value
    control.words["auto"].value = False
    assert told == [("threshold", pytest.approx(0.43))]
    control.show(0.43)
    control.words["knee"].value = True
    assert told[-1] == ("threshold", "knee")


def test_a_number_takes_over_from_a_word(controls, told):
    controls["max_area"].slider.value = 700
    assert told == [("max_area", 700)]
    controls["max_area"].show(700)
    assert not controls["max_area"].words["off"].value


def test_reset_is_there_when_it_does_something(controls, told):
    control = controls["k"]
    assert control.reset.layout.visibility == "hidden"
    control.show(9)
    assert control.reset.layout.visibility == "visible"
    control.reset.click()
    assert told == [("k", 5)]


def test_a_refused_value_goes_back_with_the_reason(controls, told):
    control = controls["k"]
    control.show(7)
    control.box.value = 8
    control.refuse("k=8 is even")
    assert control.box.value == 7 and control.slider.value == 7
    assert control.error.layout.display == "" and "even" in control.error.value


def test_what_a_page_rounds_is_no_gesture(controls, told):
    controls["precision"].show(1e-6)
    controls["precision"].slider.value = 1.000001e-6
    assert told == []


def test_a_handle_that_the_page_moves_onto_a_step_is_no_gesture(controls, told):
    """As happens when a card is opened: an automatic value lies between two steps of its slider."""
    control = controls["threshold"]
    control.show("auto", automatic=0.5532)
    control.slider.value = 0.55
    assert told == [] and control.value == "auto"
    control.slider.value = 0.56
    assert told == [("threshold", 0.56)]


def test_spans_of_many_decades_are_walked_in_decades(controls):
    assert controls["precision"].slider.min == -8 and controls["precision"].slider.max == -3


def test_choice_bool_text_and_lists(controls, told):
    controls["region"].box.value = "stain"
    controls["square"].box.value = True
    controls["channel"].box.value = "DAPI"
    controls["genes"].box.value = "Malat1, Neat1"
    controls["pairs"].box.value = "[[1, 2]]"
    assert told == [
        ("region", "stain"),
        ("square", True),
        ("channel", "DAPI"),
        ("genes", ["Malat1", "Neat1"]),
        ("pairs", [[1, 2]]),
    ]


def test_a_list_that_is_none_is_refused_where_it_was_typed(controls, told):
    controls["pairs"].box.value = "[[1, 2"
    assert told == [] and "not a list" in controls["pairs"].error.value


def test_a_shift_is_two_numbers_with_a_comma(controls, told):
    controls["shift"].show((12.0, -3.5))
    assert controls["shift"].box.value == "12, -3.5"
    controls["shift"].show((1234.56789, 0.1))  # nothing is rounded: the text is what an edit sends
    assert controls["shift"].box.value == "1234.56789, 0.1"
    controls["shift"].box.value = "1, -2.25"
    assert told == [("shift", [1, -2.25])]
    controls["shift"].box.value = "1, left"
    assert len(told) == 1 and "write numbers with commas" in controls["shift"].error.value


def test_an_unknown_kind_is_a_mistake_of_the_programmer():
    with pytest.raises(TypeError, match="no control"):
        Control(Knob("x", "colour", "red", "?"), lambda name, value: None)
