"""Recipes: to JSON and back without loss, and one sentence for those that cannot be used."""

import json

import pytest

from segapp.core.types import InputError
from segapp.pipeline.presets import PRESETS
from segapp.pipeline.recipe import Recipe, params_from, parse_assignments
from segapp.pipeline.session import Session
from segapp.pipeline.stages import PIPELINE


@pytest.mark.parametrize("preset", PRESETS)
def test_a_recipe_survives_json(preset):
    session = Session()
    session.use_preset(preset)
    session.set("limits", max_area=900)
    read = Recipe.from_json(json.loads(session.recipe().text()))
    assert params_from(PIPELINE, read) == session.params


def test_a_recipe_stands_over_the_defaults_not_over_what_was_set():
    session = Session()
    session.set("cell_score", k=11)
    session.load_recipe(Recipe(params={"cell_mask": {"threshold": 0.3}}))
    assert session.params["cell_score"].k == 7
    assert session.params["cell_mask"].threshold == 0.3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "not JSON"),
        ("[]", "not a segapp recipe"),
        ('{"schema": 99, "params": {}}', "schema 99"),
        ('{"schema": 1, "params": {"cell_score": 3}}', "cell_score must be an object"),
        ('{"schema": 1, "params": {"cell_scores": {}}}', "there is no stage cell_scores"),
        ('{"schema": 1, "params": {"cell_score": {"k": 4}}}', "even"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "recipe.json"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence) as caught:
        Session().load_recipe(Recipe.read(path))
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        Recipe.read(tmp_path / "none.json")


def test_assignments_are_grouped_by_stage():
    found = parse_assignments(["cell_score.k=9", "cell_score.method=gauss", "rna.nuclear=total"], PIPELINE)
    assert found == {"cell_score": {"k": "9", "method": "gauss"}, "rna": {"nuclear": "total"}}


@pytest.mark.parametrize("text", ["cell_score", "cell_score.k", "k=3", "cell_score.=3", "nowhere.k=3"])
def test_an_assignment_of_another_form_is_one_sentence(text):
    with pytest.raises(InputError, match="--set"):
        parse_assignments([text], PIPELINE)
