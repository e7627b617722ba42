"""Many sections: good and bad side by side, kept when unchanged, told in a table."""

import csv
import json
import os
import signal
import subprocess
import sys

import pytest

from segapp.cli import main
from segapp.core.types import InputError
from segapp.io.samples import write_sample
from segapp.pipeline import batch
from segapp.pipeline.batch import DONE, SUMMARY, Outcome, Section, read_manifest, run_batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sections")
    for seed, name in ((21, "a"), (22, "b")):
        write_sample("tissue", folder / name, size=96, seed=seed)
    (folder / "broken.gem").write_text("geneID\tx\ty\tMIDCount\nActb\t1\tmany\t1\n")
    return folder


def manifest(folder, text):
    (folder / "sections.csv").write_text(text)
    return folder / "sections.csv"


def test_a_batch_end_to_end(folder, tmp_path, capsys):
    path = manifest(
        folder,
        "name,transcripts,stain,preset\na,a/tissue.gem.gz,a/stain.tif,\nbad [1],broken.gem,,rna-total\n".replace(
            " [1]", ""
        )
        + "b,b/tissue.gem.gz,,rna-total\n"
        "none,nowhere.gem,,\n",
    )
    words = ["batch", str(path), "--out", str(tmp_path / "out"), "--jobs", "2", "--export", "csv"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "nowhere.gem" in said.err and "Median" in said.out and "15" in said.out
    assert {p.name for p in (tmp_path / "out" / "a").iterdir()} >= {"cells.h5ad", "labels.tif", "cells.csv", DONE}
    rows = list(csv.DictReader((tmp_path / "out" / SUMMARY).read_text().splitlines()))
    assert [row["name"] for row in rows] == ["a", "bad", "b", "none"]
    assert all(int(row["cells"]) > 0 and not row["problem"] for row in (rows[0], rows[2]))
    assert "line 2" in rows[1]["problem"] and rows[1]["cells"] == "" and "no file" in rows[3]["problem"]
    assert 0 < float(rows[0]["umis_in_cells"]) <= 1 and float(rows[0]["median_area_um2"]) > 0
    assert json.loads((tmp_path / "out" / "b" / "recipe.json").read_text())["preset"] == "rna-total"

    # again: what is finished is kept, and nothing of it is run
    before = (tmp_path / "out" / "a" / "cells.h5ad").stat().st_mtime_ns
    outcomes = run_batch([one for one in read_manifest(path) if one.name in ("a", "b")], tmp_path / "out", export="csv")
    assert [one.again for one in outcomes] == [False, False] and outcomes[0].cells == int(rows[0]["cells"])
    assert (tmp_path / "out" / "a" / "cells.h5ad").stat().st_mtime_ns == before


@pytest.fixture
def counted(monkeypatch):
    """Count processes that are started, and let each answer at once."""
    orders = []

    def answer(command, input, **_):
        assert command[1:] == ["-m", "segapp.pipeline.batch"]
        order = json.loads(input)
        orders.append(order["section"]["name"])
        os.makedirs(order["out"], exist_ok=True)
        (batch.Path(order["out"]) / "cells.h5ad").write_text("x")
        out = json.dumps({"name": order["section"]["name"], "cells": 3, "seconds": 1.0})
        return subprocess.CompletedProcess(command, 0, f"noise\n{out}\n", "")

    monkeypatch.setattr(batch.subprocess, "run", answer)
    return orders


def test_only_what_has_changed_is_run_again(folder, tmp_path, counted):
    recipe = tmp_path / "r.json"
    recipe.write_text("{}")
    gem = tmp_path / "a.gem"
    gem.write_text("x")
    section = Section("a", str(gem), recipe=str(recipe))
    for expected, change in (
        (1, None),
        (1, None),
        (2, lambda: recipe.write_text('{"a": 1}')),
        (3, lambda: os.utime(gem, (1, 1))),
        (4, lambda: (tmp_path / "out" / "a" / "cells.h5ad").unlink()),
    ):
        if change is not None:
            change()
        run_batch([section], tmp_path / "out")
        assert len(counted) == expected
    run_batch([section], tmp_path / "out", export="csv")
    assert len(counted) == 5


def test_a_process_that_dies_is_one_problem_among_others(folder, tmp_path, monkeypatch):
    gem = str(folder / "a" / "tissue.gem.gz")
    killed = [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"]
    run = subprocess.run
    monkeypatch.setattr(batch.subprocess, "run", lambda command, **given: run(killed, **given))
    told = []
    outcomes = run_batch([Section("a", gem), Section("b", gem)], tmp_path, jobs=2, tell=told.append)
    assert all("ended by signal 9, for want of memory" in one.problem for one in outcomes) and len(told) == 2
    monkeypatch.setattr(batch.subprocess, "run", lambda command, **given: run([sys.executable, "-c", "1/0"], **given))
    assert "division by zero" in run_batch([Section("a", gem)], tmp_path)[0].problem


def test_manifests_that_cannot_be_used(folder, tmp_path, capsys):
    for text, words in (
        ("", "lists no section"),
        ("name,gem\n", "lists no section"),
        ("name,gem\n,,\n\n", "has a column|lists no section|has the name"),
        ("name,file\na,b\n", "lacks the column gem"),
        ("name,gem,colour\na,b,c\n", "has a column 'colour'"),
        ("name,gem\na,x\nA,y\n", "line 3 names A again"),
        ("name,gem\n../up,x\nb,\n", "line 2 has the name '../up'.*line 3 has no gem"),
        ("name,gem,um_per_px\na,x,wide\n", "um_per_px 'wide'"),
        ("name,gem,recipe,preset\na,x,r.json,stain\n", "both a recipe and a preset"),
    ):
        with pytest.raises(InputError, match=words):
            read_manifest(manifest(tmp_path, text))
        assert main(["batch", str(tmp_path / "sections.csv"), "--out", str(tmp_path / "out")]) == 2
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00name")
    assert main(["batch", str(tmp_path / "b.csv"), "--out", str(tmp_path / "out")]) == 2
    assert main(["batch", str(tmp_path / "no.csv"), "--out", str(tmp_path / "out")]) == 2
    good = manifest(tmp_path, "name,gem\na,x.gem\n")
    assert main(["batch", str(good), "--out", str(tmp_path / "out"), "--preset", "magic"]) == 2
    assert main(["batch", str(good), "--out", str(tmp_path / "out"), "--recipe", str(tmp_path / "no.json")]) == 2
    assert main(["batch", str(good), "--out", str(tmp_path / "out"), "--export", "docx"]) == 2
    assert main(["batch", str(good), "--out", str(tmp_path / "out"), "--jobs", "0"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_paths_of_a_manifest_are_relative_to_it(tmp_path):
    path = manifest(tmp_path, "name,gem,stain,recipe,preset,um_per_px\na,x.gem,y.tif,,,0.25\nb,x.gem,,,stain,\n")
    first, second = read_manifest(path, recipe="common.json")
    assert first == Section("a", str(tmp_path / "x.gem"), str(tmp_path / "y.tif"), "common.json", "", 0.25)
    assert second.recipe == "" and second.preset == "stain"
    assert Outcome("a").again
