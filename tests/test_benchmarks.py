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
