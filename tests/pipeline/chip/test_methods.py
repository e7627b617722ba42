"""Every method of the base install in tiles, against the whole with the same numbers."""

import numpy as np
import pytest

from segapp.core.score import fit_score
from segapp.core.types import no_tick
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.freeze import freeze
from segapp.pipeline.chip.numbers import read_statistics
from tests.pipeline.chip.configurations import EXACT, WATERSHED
from tests.pipeline.chip.conftest import labels_of, same_partition


@pytest.mark.parametrize("name", EXACT)
def test_a_method_gives_the_same_cells_in_tiles(small, tmp_path, name):
    preset, changes = EXACT[name]
    tiled, whole, _ = small.compare(tmp_path / "out", preset, ["align.mode=off", *changes])
    assert tiled.max() > 50
    assert same_partition(tiled, whole)


def test_edits_by_hand_are_replayed_across_tiles(small, tmp_path):
    log = [
        {"op": "delete", "points": [[255.5, 255.5]]},
        {"op": "draw", "points": [[240, 240], [275, 240], [275, 275], [240, 275]]},
        {"op": "merge", "points": [[240.5, 100.5], [272.5, 100.5]]},
        {"op": "split", "points": [[256, 380], [256, 420]]},
        {"op": "exclude", "points": [[300, 300], [420, 300], [420, 420], [300, 420]]},
        {"op": "delete", "points": [[2.5, 2.5]]},
    ]
    session = small.session("stain", ["align.mode=off", WATERSHED])
    session.set("edits", log=log)
    recipe = session.recipe()
    result = run_chip(small.chip, tmp_path / "out", recipe=recipe, tile=256)
    freeze(session, read_statistics(tmp_path / "out" / "statistics.json"))
    assert same_partition(labels_of(tmp_path / "out"), session.get("cells"))
    assert result.summary["notes"] == list(session.get("edit_report"))


def test_morans_numbers_of_the_tiles_are_those_of_the_whole(small, tmp_path):
    for changes in (["density.method=off"], ["density.method=ward"]):
        changes = ["align.mode=off", "cell_score.method=moran", *changes]
        out = tmp_path / changes[-1]
        run_chip(small.chip, out, preset="rna-total", set=changes, tile=256)
        of_tiles = read_statistics(out / "statistics.json")["cell_score"].statistics
        session = small.session("rna-total", changes)
        of_whole = fit_score(session.get("total"), session.get("bins"), session.params["cell_score"], no_tick)
        assert of_tiles == pytest.approx(of_whole.statistics, rel=1e-12)


def test_odd_tiles_give_the_same(small, tmp_path):
    first = small.compare(tmp_path / "a", "stain", ["align.mode=off", WATERSHED], tile=512)[0]
    for tile in (256, 320, 448):
        again = small.compare(tmp_path / str(tile), "stain", ["align.mode=off", WATERSHED], tile=tile)[0]
        assert np.array_equal(first, again)
