"""The repository keeps its own promises: notices, pins, commands, clean notebooks."""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import segapp

ROOT = Path(__file__).parents[1]
CODE = {".css", ".html", ".j2", ".js", ".json", ".md", ".py", ".typed"}
TARGETS = ("help", "venv", "app", "demo", "test", "lint", "docs", "bench", "clean")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def make(*words: str) -> subprocess.CompletedProcess[str]:
    # the make that runs the tests hands its own flags on through the environment
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=False, env=clean)


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


# ---- notices and words


def test_notice_names_every_bundled_file_that_is_not_code():
    notice = (ROOT / "NOTICE").read_text()
    bundled = [path for path in tracked() if path.is_relative_to(ROOT / "segapp") and path.suffix not in CODE]
    assert [str(path.relative_to(ROOT)) for path in bundled if str(path.relative_to(ROOT)) not in notice] == []


def test_notice_names_no_file_that_is_not_there():
    named = set(re.findall(r"segapp/samples/[\w.\-]+\w", (ROOT / "NOTICE").read_text()))
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_no_file_speaks_of_the_machine_it_was_written_on():
    place = re.compile(r"(?<![\w.}$)])/(?:home|Users|root|work|mnt|scratch)/[\w.]")
    assert [str(path) for path in tracked() if place.search(text_of(path))] == []


def test_links_of_the_documents_lead_somewhere():
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert target.startswith("http") or (ROOT / target).is_file(), f"{document.name} links to {target}"


def test_one_version_everywhere():
    version = PROJECT["project"]["version"]
    assert segapp.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_modules_are_not_executable():
    assert [path for path in tracked() if path.suffix == ".py" and path.stat().st_mode & stat.S_IXUSR] == []


def test_modules_can_be_read_without_scrolling_for_long():
    longest = {path: text_of(path).count("\n") for path in tracked() if path.suffix == ".py" and "segapp" in path.parts}
    assert {str(path): lines for path, lines in longest.items() if lines > 440} == {}


# ---- notebooks


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path):
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert "widgets" not in notebook["metadata"]


def test_the_app_is_three_short_cells():
    notebook = json.loads((ROOT / "notebooks" / "app.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) <= 3
    assert all(len("".join(cell["source"]).splitlines()) <= 8 for cell in code)


# ---- versions


def test_every_constraint_is_one_exact_version():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9\-]*==[0-9][0-9a-z.]*", line)] == []
    assert len(pins()) == len(lines)


def test_everything_the_package_asks_for_is_pinned():
    extras = [line for group in PROJECT["project"]["optional-dependencies"].values() for line in group]
    wanted = names(PROJECT["project"]["dependencies"] + extras + PROJECT["build-system"]["requires"])
    assert wanted - set(pins()) == set()


def test_the_pins_are_what_the_package_asks_for():
    for line in PROJECT["project"]["dependencies"]:
        requirement = Requirement(line)
        version = pins()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), line


def test_only_the_headless_opencv():
    assert [name for name in pins() if name.startswith("opencv")] == ["opencv-python-headless"]


def test_binder_installs_what_the_package_asks_for():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert "-c ../constraints.txt" in lines
    listed = [line for line in lines if line and line[0] not in "#-"]
    assert names(listed) == names(PROJECT["project"]["dependencies"])
    assert f"torch=={pins()['torch']}+cpu" in listed


def test_binder_files_are_readable():
    for path in (ROOT / "binder").glob("*.json"):
        assert json.loads(path.read_text())
    assert subprocess.run(["bash", "-n", str(ROOT / "binder" / "postBuild")], check=False).returncode == 0


# ---- rules with a reason beside each exception


def test_every_ignored_rule_and_warning_has_its_reason_beside_it():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    bare = [
        line for line in lines if re.match(r'\s*"(ignore:|[A-Z]+[0-9]+",)', line) and "#" not in line.split('",')[-1]
    ]
    assert bare == []


# ---- commands


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_of_the_makefile_can_be_planned(target):
    done = make("-n", target)
    assert done.returncode == 0, done.stderr
    assert target in make("help").stdout


def test_the_makefile_installs_torch_alone_and_from_the_index_that_is_named(tmp_path):
    plan = make("-n", "-B", "venv", "TORCH_INDEX=http://localhost/cpu").stdout
    torch, rest = (line for line in plan.replace("\\\n", "").splitlines() if "pip install" in line)
    assert "--index-url http://localhost/cpu" in torch
    assert "--no-deps" in torch
    assert "--index-url" not in rest
    assert "--constraint constraints.txt" in rest
    assert "--index-url" not in make("-n", "-B", "venv").stdout


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 3.9.2", ("Python 3.9.2", "3.11", "make PYTHON=")),
        ("echo 3.14.0", ("Python 3.14.0", "3.13")),
        ("exit 127", ("not found", "apt-get install python3")),
        (f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"', ("apt-get install python3-venv",)),
    ],
)
def test_an_unsuited_interpreter_is_refused_in_one_sentence(tmp_path, body, words):
    done = make("-B", "venv", f"PYTHON={script(tmp_path / 'python', body)}", f"VENV={tmp_path / 'venv'}")
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode != 0
    assert len(said) == 1
    assert all(word in said[0] for word in words)
    assert not (tmp_path / "venv").exists()


def test_a_missing_browser_is_named_with_the_command_that_brings_it(tmp_path):
    check = [sys.executable, str(ROOT / ".ci" / "check_system.py"), "browser"]
    done = subprocess.run(check, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "apt-get install chromium" in done.stderr
    assert done.stderr.count("\n") == 1
    script(tmp_path / "chromium", "exit 0")
    assert subprocess.run(check, env={"PATH": str(tmp_path)}, check=False).returncode == 0


@pytest.mark.parametrize(
    ("cases", "code"),
    [
        ("", 1),
        ('<testcase classname="tests.ui.test_voila" name="test_k"/>', 1),
        (
            '<testcase classname="tests.ui.test_voila" name="test_k"/>'
            '<testcase classname="tests.ui.test_jupyterlab" name="test_k"><skipped/></testcase>',
            1,
        ),
        (
            '<testcase classname="tests.ui.test_app" name="test_slider[voila]"/>'
            '<testcase classname="tests.ui.test_app" name="test_slider[jupyterlab]"/>',
            0,
        ),
    ],
)
def test_continuous_integration_notices_browser_tests_that_did_not_run(tmp_path, cases, code):
    report = tmp_path / "junit.xml"
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    check = [sys.executable, str(ROOT / ".ci" / "browser_tests_ran.py"), str(report)]
    assert subprocess.run(check, capture_output=True, check=False).returncode == code


def test_continuous_integration_is_a_runnable_script():
    for path in (ROOT / ".ci" / "run", ROOT / ".ci" / "check-python", ROOT / "binder" / "postBuild"):
        assert path.stat().st_mode & stat.S_IXUSR, path
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
