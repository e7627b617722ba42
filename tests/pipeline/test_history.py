"""Steps back and forth, resets, and a session as a file, as Python and as a command."""

import shlex

import numpy as np
import pytest

from segapp.core.types import InputError
from segapp.pipeline.history import History
from segapp.pipeline.recipe import Recipe
from segapp.pipeline.saved import Saved
from segapp.pipeline.script import as_command, as_python
from segapp.pipeline.session import Session


@pytest.fixture
def session():
    made = Session()
    made.use_preset("stain+rna")
    made.history.clear()
    return made


def test_undo_and_redo_go_through_every_step(session):
    session.set("cell_score", k=9)
    session.set("cell_mask", threshold=0.4)
    assert session.undo() and session.params["cell_mask"].threshold == "auto"
    assert session.undo() and session.params["cell_score"].k == 7
    assert not session.undo()
    assert session.redo() and session.params["cell_score"].k == 9
    session.set("cell_score", k=11)
    assert not session.redo()


def test_a_preset_is_one_step(session):
    before = session.params
    session.use_preset("rna-total")
    assert session.undo()
    assert session.params == before and session.preset == "stain+rna"


def test_a_dragged_slider_is_one_step():
    now = iter([0.0, 0.3, 0.6, 5.0])
    history = History(clock=lambda: next(now))
    for state in (7, 9, 11, 13):
        history.note(state, "k")
    assert history.undo(15) == 13
    assert history.undo(13) == 7
    assert not history.can_undo


def test_changes_of_different_parameters_are_different_steps():
    history = History(clock=lambda: 0.0)
    history.note("a", "k")
    history.note("b", "mk")
    assert history.undo("c") == "b" and history.undo("b") == "a"


def test_edits_are_steps_too(session):
    log = [{"op": "delete", "points": [[3, 4]]}]
    session.set("edits", log=log)
    assert session.undo() and session.params["edits"].log == ()
    assert session.redo() and len(session.params["edits"].log) == 1


def test_what_changes_nothing_is_no_step(session):
    session.set("cell_score", k=7)
    assert not session.history.can_undo


def test_reset_goes_back_to_the_preset(session):
    session.set("cells", max_area=300, distance=3)
    session.reset("cells", "max_area")
    assert (session.params["cells"].max_area, session.params["cells"].distance) == (1200, 3)
    session.set("cells", method="expand")
    session.reset("cells", "method")
    assert session.params["cells"].method == "components"
    session.set("cell_score", k=9)
    session.reset("cells")
    assert session.params["cells"].distance == 8 and session.params["cell_score"].k == 9
    session.reset()
    assert session.params["cell_score"].k == 7
    with pytest.raises(InputError, match="no stage"):
        session.reset("colour")


def test_a_saved_session_is_a_recipe_and_comes_back(session):
    session.set("edits", log=[{"op": "delete", "points": [[3, 4]]}])
    session.source = {"sample": "tissue"}
    text = Saved.of(session, view={"bounds": [0, 0, 5, 5]}, writer="me").text()
    back = Saved.from_text(text)
    assert (back.source, back.view["bounds"], back.writer) == ({"sample": "tissue"}, [0, 0, 5, 5], "me")
    other = Session()
    other.load_recipe(back.recipe)
    assert other.params == session.params and other.preset == "stain+rna"


@pytest.mark.parametrize("text", ["", "[1]", '{"schema": 1, "params": {}, "session": {"view": 3}}', b"\xff\xfe"])
def test_what_is_no_saved_session_is_refused_in_a_sentence(text):
    with pytest.raises(InputError):
        Saved.from_text(text)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A session on files, with another method, a word, a number, an edit and a recipe's preset."""
    from segapp.io.gem import read_gem
    from segapp.io.image import read_stain
    from segapp.io.samples import write_sample

    folder = tmp_path_factory.mktemp("my section")
    write_sample("tissue", folder, size=192, seed=12)
    gem, stain = folder / "tissue.gem.gz", folder / "stain.tif"
    session = Session()
    session.use_preset("stain+rna")
    session.load(read_gem(gem), read_stain(stain), source={"gem": str(gem), "stain": str(stain)})
    session.set("cell_score", method="EM+gauss", k=9)
    session.set("cell_mask", threshold=0.3)
    session.set("cells", method="expand", distance=6)
    session.set("limits", min_area=20)
    rows, cols = np.nonzero(session.get("cells"))
    session.set("edits", log=[{"op": "delete", "points": [[int(cols[0]), int(rows[0])]]}])
    return session


def test_copied_python_gives_the_same_labels(tuned):
    names = {}
    exec(as_python(tuned), names)
    assert np.array_equal(names["result"].labels, tuned.get("cells"))
    assert names["result"].session.params == tuned.params


def test_a_copied_command_gives_the_same_labels(tuned, tmp_path, capsys):
    from segapp.cli.main import main
    from segapp.io.masks import read_labels

    words = shlex.split(as_command(tuned, out=str(tmp_path / "cells")))
    assert words[0] == "segapp" and main(words[1:]) == 0, capsys.readouterr().err
    assert np.array_equal(read_labels(tmp_path / "cells" / "labels.tif"), tuned.get("cells"))


def test_a_saved_session_runs_on_the_command_line(tuned, tmp_path):
    from segapp.pipeline.job import run

    path = tmp_path / "session.json"
    path.write_text(Saved.of(tuned).text())
    assert Recipe.read(path).params == tuned.recipe().params
    result = run(tuned.source["gem"], tuned.source["stain"], recipe=path)
    assert np.array_equal(result.labels, tuned.get("cells"))


def test_after_a_recipe_the_command_starts_from_the_preset_that_is_nearest(tuned):
    other = Session()
    other.load_recipe(tuned.recipe())
    other.preset, other.source = "recipe", tuned.source
    assert as_command(other) == as_command(tuned)


def test_very_many_edits_are_read_from_a_recipe(session):
    session.set("edits", log=[{"op": "delete", "points": [[x, 4]]} for x in range(300)])
    assert "--recipe" in as_command(session) and len(as_command(session)) < 500


def test_a_session_is_a_table_of_stages(session):
    html = session._repr_html_()
    assert html.count("<tr>") == len(session.pipeline.by_name) + 1
    assert "Nothing is loaded" in html
