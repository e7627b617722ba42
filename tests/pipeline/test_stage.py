"""A pipeline is checked when it is made, under every combination of choices."""

import pytest

from segapp.core.params import Params, default_params
from segapp.pipeline.presets import PRESETS, preset_params
from segapp.pipeline.stage import Choice, Pipeline, Stage
from segapp.pipeline.stages import PIPELINE
from tests.pipeline.toy import Calls, make


def step(params, tick, **needs):
    return (None,)


def test_a_need_without_a_giver_is_found_at_import():
    with pytest.raises(TypeError, match="needs b, which no stage gives"):
        Pipeline(Stage("one", "", "", Params, ("b",), ("c",), lambda params, tick, b: (b,)), inputs={"a": True})


def test_a_run_that_does_not_take_its_needs_is_found_at_import():
    with pytest.raises(TypeError, match="does not take it"):
        Pipeline(Stage("one", "", "", Params, ("a",), ("c",), lambda params, tick: (1,)), inputs={"a": True})


def test_a_run_that_takes_more_than_its_needs_is_found_at_import():
    with pytest.raises(TypeError, match="not needed by it"):
        Pipeline(Stage("one", "", "", Params, (), ("c",), lambda params, tick, a: (1,)), inputs={"a": True})


def test_a_circle_is_found_at_import():
    with pytest.raises(TypeError, match="circle"):
        Pipeline(
            Stage("one", "", "", Params, ("y",), ("x",), lambda params, tick, y: (1,)),
            Stage("two", "", "", Params, ("x",), ("y",), lambda params, tick, x: (1,)),
            inputs={},
        )


def test_two_givers_of_one_artefact_are_found_at_import():
    with pytest.raises(TypeError, match="given twice"):
        Pipeline(
            Stage("one", "", "", Params, (), ("x",), lambda params, tick: (1,)),
            Stage("two", "", "", Params, (), ("x",), lambda params, tick: (1,)),
            inputs={},
        )


def test_only_the_selected_branch_is_a_dependency():
    pipeline = make(Calls())
    params = pipeline.defaults()
    names = [stage.name for stage in pipeline.closure(("table",), Choice(params))]
    assert names == ["scale", "pick"]
    params["pick"] = params["pick"].with_(source="picture")
    assert [stage.name for stage in pipeline.closure(("table",), Choice(params))] == ["load", "pick"]


def test_the_stages_are_those_of_the_public_contract():
    assert [stage.name for stage in PIPELINE] == [
        "rna", "stain", "align", "nuclei_mask", "nuclei_watershed", "nuclei_network", "density", "nuclei_score",
        "nuclei_rna_mask", "nuclei_rna", "nuclei", "cell_score", "cell_mask", "cytoplasm", "cells", "edits", "limits",
        "table",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("rna", {"nuclear": "auto"}),
        ("stain", {"channel": "auto", "origin": "zero"}),
        ("align", {"mode": "off"}),
        ("nuclei_mask", {"otsu_classes": 3, "otsu_index": 0, "local_k": 55, "offset": 5, "mk": 5}),
        ("nuclei_watershed", {"markers": "distance", "min_distance": 7, "k": 3}),
        ("nuclei_network", {"engine": "stardist", "equalize": 2}),
        ("density", {"method": "off"}),
        ("nuclei_score", {"method": "EM+BP", "k": 5}),
        ("nuclei_rna_mask", {"threshold": "auto", "mk": "auto"}),
        ("nuclei_rna", {"method": "peaks"}),
        ("nuclei", {"source": "watershed"}),
        ("cell_score", {"method": "EM+BP", "k": 7, "certain": "nuclei"}),
        ("cell_mask", {"threshold": "auto", "mk": "auto"}),
        ("cytoplasm", {"otsu_classes": 3, "otsu_index": 0, "mk": 7}),
        ("cells", {"method": "components", "region": "rna"}),
        ("limits", {"max_area": "off"}),
    ],
)
def test_defaults_are_those_of_the_public_contract(stage, expected):
    params = default_params(PIPELINE[stage].declared)
    assert {name: getattr(params, name) for name in expected} == expected


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_needs_a_stain_exactly_when_it_says_so(name):
    choice = Choice(preset_params(name, PIPELINE), frozenset({"transcripts"}))
    reached = {need for stage in PIPELINE.closure(("table",), choice) for need in stage.needs_of(choice)}
    assert ("stain_raw" in reached) == PRESETS[name].needs_stain


def test_what_a_stage_may_need_is_found_by_varying_what_it_looks_at():
    every = list(PIPELINE.choices())
    assert len(every) > 1000
    for stage in PIPELINE:
        expected = {(stage.needs_of(choice), stage.fit_needs_of(choice)) for choice in every}
        assert PIPELINE.possible(stage) == expected
