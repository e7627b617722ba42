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
    assert sorted(bench.ours.STAGES) == sorted(stages)
    assert [stage for stage in stages if f"def {stage}(" not in reference] == []


def test_every_stage_runs_and_agrees_with_itself(bench, inputs, tmp_path):
    measured = bench.run.Measured(machine={"cores": "2"}, versions={"ours": {"segapp": "0"}, "reference": {"x": "0"}})
    for stage, agree in bench.agreement.AGREEMENT.items():
        results, figures = bench.worker.measure(bench.ours.STAGES[stage](inputs), repeats=1, budget=1)
        results = {key: np.asarray(value) for key, value in results.items()}
        row = bench.run.Row(stage, 192, figures, figures, agree(inputs, results, results))
        measured.rows.append(row)
        assert row.ratio == 1
        assert row.agreement
    said = {row.stage: row.agreement for row in measured.rows}
    for stage in ("circle", "blur", "nuclei_mask", "peaks", "compare"):
        assert said[stage] == "equal"
    assert said["watershed"].startswith("same partition")
    bench.report.write(measured, tmp_path)
    assert (tmp_path / "RESULTS.md").read_text().count("\n| ") == len(measured.rows) + 1
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_partitions_are_compared_whatever_their_numbers(bench):
    a = np.array([[0, 1, 1, 2]])
    assert bench.agreement.same_partition(a, np.array([[0, 7, 7, 3]]))
    assert not bench.agreement.same_partition(a, np.array([[0, 7, 3, 3]]))
    assert not bench.agreement.same_partition(a, np.array([[0, 7, 7, 7]]))
    assert not bench.agreement.same_partition(a, np.array([[1, 7, 7, 3]]))


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
