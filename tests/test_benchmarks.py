"""The benchmark measures what it says: every stage runs on our side, and agrees with itself."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    """The modules of the benchmark, which are scripts and no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        import agreement
        import report
        import run
        import side_ours
        import worker
    finally:
        sys.path.remove(str(FOLDER))
    return SimpleNamespace(agreement=agreement, report=report, run=run, ours=side_ours, worker=worker)


@pytest.fixture(scope="module")
def inputs(bench, tmp_path_factory):
    folder = bench.worker.Inputs(tmp_path_factory.mktemp("inputs"))
    bench.ours.prepare(folder, 192)
    return folder


def test_every_stage_has_a_title_a_comparison_and_both_sides(bench):
    reference = (FOLDER / "side_reference.py").read_text()
    stages = list(bench.agreement.AGREEMENT)
    assert list(bench.report.TITLES) == stages
    assert [stage for stage in stages if not callable(getattr(bench.ours, stage, None))] == []
    assert [stage for stage in stages if f"def {stage}(" not in reference] == []


def test_every_stage_runs_and_agrees_with_itself(bench, inputs, tmp_path):
    measured = bench.run.Measured(machine={"cores": "2"}, versions={"ours": {"segapp": "0"}, "reference": {"x": "0"}})
    for stage, agree in bench.agreement.AGREEMENT.items():
        results, figures = bench.worker.measure(getattr(bench.ours, stage)(inputs), repeats=1, budget=1)
        results = {key: np.asarray(value) for key, value in results.items()}
        row = bench.run.Row(stage, 192, figures, figures, agree(inputs, results, results))
        measured.rows.append(row)
        assert row.ratio == 1
        assert row.agreement
    said = {row.stage: row.agreement for row in measured.rows}
    for stage in ("circle", "blur", "nuclei_mask", "peaks", "compare"):
        assert said[stage] == "equal"
    assert said["watershed"].startswith("same partition")
    measured.keep(tmp_path / "results")
    again = bench.run.Measured.kept(tmp_path / "results")
    assert again == measured
    bench.report.write(again, tmp_path)
    assert (tmp_path / "RESULTS.md").read_text().count("\n| ") == len(measured.rows) + 1
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_partitions_are_compared_whatever_their_numbers(bench):
    a = np.array([[0, 1, 1, 2]])
    assert bench.agreement.same_partition(a, np.array([[0, 7, 7, 3]]))
    assert not bench.agreement.same_partition(a, np.array([[0, 7, 3, 3]]))
    assert not bench.agreement.same_partition(a, np.array([[0, 7, 7, 7]]))
    assert not bench.agreement.same_partition(a, np.array([[1, 7, 7, 3]]))


def test_partitions_that_differ_are_said_to_agree_as_far_as_they_do(bench):
    truth = np.zeros((8, 8), int)
    truth[1:4, 1:7] = 4
    truth[5:7, 1:4] = 9
    labels = np.roll(truth, 1, axis=1)
    said = bench.agreement.partition("cells")({"cells": truth}, {"labels": labels}, {"labels": truth})
    one, two = np.triu_indices(truth.size, 1)  # the definition: pairs of pixels that are together in both, over chance
    together = [a.ravel()[one] == a.ravel()[two] for a in (truth, labels)]
    shares = [both.mean() for both in together]
    index = ((together[0] & together[1]).mean() - np.prod(shares)) / (np.mean(shares) - np.prod(shares))
    assert 0 < index < 1
    assert said == (
        f"50.0% of labels match (IoU > 0.5), AP@0.5 0.333, adjusted Rand index {index:.3f}; "
        "AP@0.5 to the truth 0.333 and 1.000"
    )


def test_sizes_and_stages_measured_apart_are_put_together(bench, tmp_path):
    figures = {"seconds": 1.0, "runs": 5, "peak": 2**20}
    slow = figures | {"seconds": 3.0, "runs": 0}
    for size, stage, cores in ((64, "circle", "2"), (128, "circle", "2"), (64, "blur", "4")):
        row = bench.run.Row(stage, size, figures, slow, "equal")
        versions = {"ours": {"segapp": "0"}, "reference": {"x": "0"}}
        bench.run.Measured([row], versions, {"cores": cores}).keep(tmp_path / "results")
    measured = bench.run.Measured.kept(tmp_path / "results")
    assert {(row.stage, row.size) for row in measured.rows} == {("circle", 64), ("circle", 128), ("blur", 64)}
    assert measured.machine["cores"] in ("2 or 4", "4 or 2")
    bench.report.write(measured, tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.index("## 64 x 64 px") < text.index("## 128 x 128 px")
    assert "| 3.0 | 0, 5 | 1 MiB | 1 MiB | equal |" in text


def test_a_call_that_outlasts_its_budget_is_not_repeated(bench):
    calls = []
    _, figures = bench.worker.measure(lambda: calls.append(1) or {}, repeats=3, budget=0)
    assert (len(calls), figures["runs"], figures["seconds"]) == (1, 0, figures["first"])
    _, figures = bench.worker.measure(lambda: calls.append(1) or {}, repeats=3, budget=10)
    assert (len(calls), figures["runs"]) == (5, 3)


def test_a_stage_that_fails_is_shown_and_ends_nothing(bench, tmp_path):
    failed = bench.run.Row("circle", 64, {"seconds": 1.0, "runs": 1, "peak": None}, {"error": "ValueError: no"})
    assert failed.ratio is None
    assert "reference failed: ValueError: no" in bench.report.line(failed)


def test_an_interpreter_without_the_reference_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), "--reference", sys.executable, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "spateo-release is not installed" in done.stderr
    assert list(tmp_path.iterdir()) == []


# --- chips and formats ----------------------------------------------------------------------------------------------


def test_cells_are_counted_by_what_became_of_them():
    from benchmarks.chip_equal import compare_cells, doubled_rows, on_seams

    whole = np.zeros((8, 8), np.int32)
    whole[0, :4], whole[2, 2:6], whole[4, :2], whole[6, 1:3], whole[6, 4:6] = 1, 2, 3, 4, 5
    tiled = np.zeros_like(whole)
    tiled[0, :4] = 9  # the same under another name
    tiled[2, 2:4], tiled[2, 4:6] = 1, 2  # cut at the border
    tiled[6, 1:3], tiled[6, 4:6] = 4, 4  # joined
    tiled[7, 7] = 5  # new; the third is lost
    found = compare_cells(whole, tiled)
    assert found == {
        "whole": 5,
        "tiled": 5,
        "equal": 1,
        "lost": 1,
        "new": 1,
        "cut": 1,
        "joined": 1,
        "pixels": 3,
        "off": 2,
    }
    same = compare_cells(whole, np.array([0, 3, 1, 2, 5, 4])[whole])
    assert same["equal"] == same["whole"] == 5 and same["pixels"] == same["cut"] == same["joined"] == 0
    label, area = np.array([1, 2, 4, 5, 9]), np.array([2, 2, 4, 1, 4])
    assert doubled_rows(label, area, tiled) == {"doubled": 0, "other_area": 0}
    assert doubled_rows(np.append(label, 9), np.append(area, 3), tiled) == {"doubled": 1, "other_area": 1}
    assert on_seams(whole, 4) == {"on_seams": 1, "fewest": 0}


def test_every_configuration_of_the_tests_is_in_the_benchmark():
    from benchmarks.chip_equal import CONFIGURATIONS
    from tests.pipeline.chip.configurations import EXACT, NETWORKS, PRESETS

    assert set(CONFIGURATIONS) == {*EXACT, *PRESETS, *NETWORKS}
    assert all(CONFIGURATIONS[name][1][0] == "align.mode=off" for name in EXACT)


def test_a_section_in_tiles_is_measured_and_reported(tmp_path):
    from benchmarks.chip_equal import CONFIGURATIONS, Section, measure, report

    section = Section(tmp_path / "section", 512)
    row = measure(section, tmp_path / "out", *CONFIGURATIONS["gauss"], 256)
    assert row["whole"] == row["tiled"] == row["equal"] > 100 and row["on_seams"] >= 4
    assert row["scores"]["cell_scores"] == {"largest": 0.0, "differ": 0, "of": 512**2}
    text = report({"gauss": row}, SimpleNamespace(size=512, tile=256))
    assert "4 borders" in text and "One partition in both: 1 of 1" in text and "Not measured yet: markers peaks" in text


def test_results_are_compared_file_by_file(tmp_path):
    import h5py

    from benchmarks.chip_faults import compare

    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "summary.json").write_text(f'{{"n_cells": 3, "seconds_total": {len(name) + ord(name)}}}')
        (folder / "recipe.json").write_text("{}")
        with h5py.File(folder / "cells.h5ad", "w") as file:
            file["X"], file["name"] = np.arange(4.0), np.array(["x", "y"], object)
            file["X"].attrs["kind"] = "dense"
    assert compare(tmp_path / "a", tmp_path / "b") == {"found": "identical: 3 files", "same": True}
    with h5py.File(tmp_path / "b" / "cells.h5ad", "r+") as file:
        file["X"][2] = 7
    assert compare(tmp_path / "a", tmp_path / "b")["found"] == "1 of 3 files differ: cells.h5ad"
    (tmp_path / "b" / "left.over").touch()
    assert "other files: left.over" in compare(tmp_path / "a", tmp_path / "b")["found"]


def test_a_pattern_is_no_mirror_image_of_itself(tmp_path):
    from benchmarks.formats import write_section
    from benchmarks.formats_read import Pattern

    pattern = Pattern(write_section(tmp_path))
    x, y = pattern.centres.T
    assert pattern.check(x, y, pattern.stem).startswith("14 cells within 0.0 px, each with its genes")
    for points in pattern.mirrored(pattern.centres):
        with pytest.raises(AssertionError, match=r"from its place|at one place"):
            pattern.check(*points.T)
    with pytest.raises(AssertionError, match="another cell"):
        pattern.check(x, y, ~pattern.stem)
    with pytest.raises(AssertionError, match="13 cells instead of 14"):
        pattern.check(x[1:], y[1:])
