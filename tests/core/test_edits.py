import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core.edits import (
    Edit,
    EditsParams,
    LimitsParams,
    apply_edits,
    apply_limits,
    keep_within_limits,
    reasons,
    strangers,
    why_not,
    with_meant,
)
from segapp.core.params import knobs, patch
from segapp.core.types import InputError


def square(y0, y1, x0, x1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def two_cells():
    cells, nuclei = np.zeros((20, 40), np.int32), np.zeros((20, 40), np.int32)
    cells[4:14, 4:16], nuclei[6:12, 6:12] = 3, 3
    cells[4:14, 16:28], nuclei[6:12, 19:25] = 7, 7
    for layer in (cells, nuclei):
        layer.flags.writeable = False
    return nuclei, cells


def run(*log, nuclei=True):
    kernels, cells = two_cells()
    return apply_edits(kernels if nuclei else None, cells, EditsParams(log=log))


def test_no_edits_change_nothing():
    nuclei, cells = two_cells()
    after_nuclei, after_cells, report = run()
    assert (after_nuclei == nuclei).all() and (after_cells == cells).all() and report == ()


def test_merge_keeps_the_id_of_the_first_point():
    nuclei, cells, report = run({"op": "merge", "points": [[20, 8], [5, 5]]})
    assert report == ()
    assert set(np.unique(cells)) == set(np.unique(nuclei)) == {0, 7}
    assert (cells == 7).sum() == 240


def test_split_by_a_line():
    nuclei, cells, report = run({"op": "split", "points": [[2, 9.5], [15.5, 9.5]]})
    assert report == ()
    assert set(np.unique(cells)) == {0, 3, 7, 8}
    assert (cells > 0).sum() == 240
    assert len(np.unique(cells[4:14, 4:16])) == 2
    assert (cells[4:9, 4:16] == cells[4, 4]).all() and (cells[10:14, 4:16] == cells[13, 4]).all()
    assert (nuclei[nuclei > 0] == cells[nuclei > 0]).all(), "each part of the nucleus follows its cell"
    # the upper part has more of the nucleus
    assert cells[4, 4] == 3


def test_split_of_a_nucleus_divides_its_cell():
    nuclei, cells, report = run({"op": "split", "points": [[9, 4], [9, 13]], "target": "nuclei"})
    assert report == ()
    assert set(np.unique(nuclei)) == set(np.unique(cells)) == {0, 3, 7, 8}
    assert (nuclei[nuclei > 0] == cells[nuclei > 0]).all()


def test_delete():
    nuclei, cells, _ = run({"op": "delete", "points": [[5, 5]]})
    assert set(np.unique(cells)) == set(np.unique(nuclei)) == {0, 7}
    nuclei, cells, _ = run({"op": "delete", "points": [[7, 7]], "target": "nuclei"})
    assert set(np.unique(nuclei)) == {0, 7} and set(np.unique(cells)) == {0, 3, 7}


def test_draw_takes_free_pixels():
    nuclei, cells, report = run({"op": "draw", "points": square(10, 18, 10, 34)})
    assert report == ()
    assert (cells == 8).sum() == 8 * 24 - (4 * 6 + 4 * 12)
    assert (cells == 3).sum() == (cells == 7).sum() == 120
    assert not (nuclei == 8).any()


def test_draw_a_nucleus():
    log = {"op": "draw", "points": square(15, 19, 30, 36), "target": "nuclei"}
    nuclei, cells, _ = run(log)
    assert ((nuclei == 8) == (cells == 8)).all() and (cells == 8).sum() == 24
    # a cell that lost its nucleus takes the new one
    nuclei, cells, _ = run(
        {"op": "delete", "points": [[7, 7]], "target": "nuclei"},
        {"op": "draw", "points": square(5, 9, 5, 9), "target": "nuclei"},
    )
    assert (nuclei == 3).sum() == 16 and set(np.unique(cells)) == {0, 3, 7}
    _, _, report = run(log, nuclei=False)
    assert "no nuclei" in report[0]


def test_the_last_polygon_around_a_place_decides():
    _, cells, report = run({"op": "include", "points": square(0, 20, 0, 16)})
    assert set(np.unique(cells)) == {0, 3} and report == ()
    nuclei, cells, _ = run({"op": "exclude", "points": square(0, 20, 0, 12)})
    assert set(np.unique(cells)) == set(np.unique(nuclei)) == {0, 7}
    _, cells, _ = run(
        {"op": "exclude", "points": square(0, 20, 0, 40)}, {"op": "include", "points": square(0, 20, 0, 16)}
    )
    assert set(np.unique(cells)) == {0, 3}


def test_what_no_longer_applies_is_listed_and_the_rest_applies():
    _, cells, report = run(
        {"op": "delete", "points": [[38, 2]]},
        {"op": "merge", "points": [[5, 5], [6, 6]]},
        {"op": "split", "points": [[0, 0], [3, 3]]},
        {"op": "split", "points": [[5, 5], [8, 8]]},
        {"op": "draw", "points": square(5, 9, 5, 9)},
        {"op": "draw", "points": square(100, 109, 100, 109)},
        {"op": "exclude", "points": square(16, 19, 30, 39)},
        {"op": "delete", "points": [[20.5, 6.5]]},
    )
    assert len(report) == 7
    assert report[0] == "Edit 1 (delete at x 38, y 2) no longer applies: there is no cell at this point."
    assert [sentence.split()[1] for sentence in report] == ["1", "2", "3", "4", "5", "6", "7"]
    assert set(np.unique(cells)) == {0, 3}


def test_edits_survive_other_ids():
    """Re-tuning renumbers the cells: points still find them."""
    nuclei, cells = two_cells()
    log = EditsParams(log=[{"op": "split", "points": [[2, 9], [15, 9]]}, {"op": "delete", "points": [[20, 8]]}])
    renumbered = np.array([0, 0, 0, 1, 0, 0, 0, 50], np.int32)
    one = apply_edits(nuclei, cells, log)
    other = apply_edits(renumbered[nuclei], renumbered[cells], log)
    assert ((one[1] > 0) == (other[1] > 0)).all()
    assert len(np.unique(one[1])) == len(np.unique(other[1])) == 3


def test_log_is_a_parameter():
    log = [{"op": "merge", "points": [[5, 5], [20, 8]]}]
    params = EditsParams(log=log)
    again = EditsParams.model_validate(json.loads(json.dumps(params.to_json())))
    assert again == params
    assert params.with_(log=(*params.log, *params.log)).log[1].op == "merge"
    assert patch(EditsParams, EditsParams(), {"log": json.dumps(log)}) == params
    assert knobs(EditsParams)[0].kind == "list"


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ({"op": "paint", "points": [[1, 1]]}, "op=paint"),
        ({"op": "draw", "points": [[1, 1]]}, "1 points but 3 are needed"),
        ({"op": "delete", "points": [[1, "a"]]}, "not pairs of numbers"),
        ({"op": "delete", "points": [[1, float("nan")]]}, "not pairs of numbers"),
        ({"op": "delete", "points": [[1, 1]], "target": "genes"}, "target=genes"),
        ({"op": "delete", "points": [[1, 1]], "colour": 3}, "colour"),
        ("delete", "an edit has op"),
    ],
)
def test_bad_edits_are_one_sentence(edit, sentence):
    with pytest.raises(InputError, match=sentence):
        patch(EditsParams, EditsParams(), {"log": [edit]})


def test_limits_know_ids_beyond_any_table():
    cells = np.zeros((2100, 2100), np.int32)  # so many pixels that a table of this id would be thought worth it
    cells[:2, :2], cells[9, 9] = 2**24 + 5, 7
    inner, kept, ghosts = keep_within_limits(cells, cells, LimitsParams(min_area=2))
    assert kept.max() == 2**24 + 5 and (kept > 0).sum() == 4 and np.array_equal(inner, kept)
    assert ghosts.max() == 7 and (ghosts > 0).sum() == 1


def test_limits():
    nuclei, cells = two_cells()
    cells = cells.copy()
    cells[:, 30:] = 9
    kept, ghosts = apply_limits(cells, LimitsParams(min_area=120, max_area=150))
    assert set(np.unique(kept)) == {0, 3, 7} and set(np.unique(ghosts)) == {0, 9}
    inner, kept, ghosts = keep_within_limits(nuclei, np.where(cells == 7, 0, cells), LimitsParams(min_area=150))
    assert set(np.unique(inner)) == {0, 7} and set(np.unique(ghosts)) == {0, 3}
    assert keep_within_limits(None, cells, LimitsParams())[0] is None


points = st.lists(st.tuples(st.floats(-5, 45), st.floats(-5, 25)), min_size=3, max_size=6)
operations = st.sampled_from(["draw", "merge", "split", "delete", "include", "exclude"])
logs = st.lists(st.tuples(operations, points, st.sampled_from(["cells", "nuclei"])), max_size=6)


@settings(max_examples=40, deadline=None)
@given(logs)
def test_any_log_replays_and_nuclei_stay_within_their_cells(log):
    params = EditsParams(log=[{"op": op, "points": at, "target": target} for op, at, target in log])
    nuclei, cells, report = apply_edits(*two_cells(), params)
    again_nuclei, again_cells, again = apply_edits(*two_cells(), params)
    assert (cells == again_cells).all() and (nuclei == again_nuclei).all() and report == again
    assert (nuclei[nuclei > 0] == cells[nuclei > 0]).all()


def test_an_edit_is_tried_near_its_points_before_it_is_kept():
    nuclei, cells = two_cells()
    tried = {
        "": {"op": "merge", "points": [[5, 5], [20, 8]]},
        "its points lie on 1 cell": {"op": "merge", "points": [[5, 5], [6, 6]]},
        "there is no nucleus at this point": {"op": "delete", "points": [[5, 5]], "target": "nuclei"},
        "it lies outside the frame": {"op": "draw", "points": square(900, 909, 900, 909)},
        "the line does not cross the cell": {"op": "split", "points": [[5, 5], [8, 8]]},
    }
    for reason, edit in tried.items():
        found = why_not(nuclei, cells, Edit.model_validate(edit))
        assert found.startswith(reason) and bool(found) == bool(reason)


def test_reasons_are_found_by_the_number_of_the_edit():
    _, _, report = run({"op": "merge", "points": [[5, 5], [20, 8]]}, {"op": "delete", "points": [[38, 2]]})
    assert reasons(report) == {2: "there is no cell at this point."}


def test_an_edit_that_meets_another_cell_than_it_was_made_for_is_reported():
    nuclei, cells = two_cells()
    for log in (
        {"op": "delete", "points": [[14, 8]]},
        {"op": "split", "points": [[14, 2], [14, 16]]},
        {"op": "merge", "points": [[14, 8], [20, 8]]},
    ):
        edit = with_meant(nuclei, cells, Edit.model_validate(log))
        assert len(edit.meant) == (2 if edit.op == "merge" else 1)
        params = EditsParams(log=(edit,))
        assert EditsParams.model_validate(params.to_json()) == params
        assert apply_edits(nuclei, cells, params)[2] == ()

        # other parameters give a small cell under the point in place of the one that was there
        other = np.zeros_like(cells)
        other[7:9, 12:16], other[4:14, 4:12], other[4:14, 16:28] = 9, 3, 7
        other[4:7, 13:16] = 9
        _, after, report = apply_edits(None, other, params)
        assert list(strangers(report)) == [1] and reasons(report) == {}
        assert "meets another cell than it was made for: they share" in report[0]
        assert not np.array_equal(after, other), "it applies all the same"
        # a cell that only grew a little is the same
        grown = cells.copy()
        grown[3:15, 4:16] = 3
        assert apply_edits(None, grown, params)[2] == ()


def test_an_edit_that_does_not_say_what_was_meant_reports_nothing():
    edit = Edit(op="delete", points=((5, 5),))
    assert "meant" not in EditsParams(log=(edit,)).to_json()["log"][0]
    assert run({"op": "delete", "points": [[5, 5]]})[2] == ()
    with pytest.raises(InputError, match="outlines"):
        patch(EditsParams, EditsParams(), {"log": [{"op": "delete", "points": [[5, 5]], "meant": [3]}]})


def test_an_edit_that_finds_no_id_left_is_refused():
    cells = np.zeros((4, 4), np.int32)
    cells[3, 3] = np.iinfo(np.int32).max
    log = [{"op": "draw", "points": square(0, 2, 0, 2)}]
    with pytest.raises(InputError, match="2,147,483,647"):
        apply_edits(None, cells, EditsParams(log=log))
