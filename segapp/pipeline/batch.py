"""Many sections by one recipe: a table in, a folder a section out; one that fails does not stop the rest."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segapp.core.types import InputError, SegappError
from segapp.io.atomic import atomic_file, check_out_dir
from segapp.io.export import find_exporters

COLUMNS = ("name", "gem", "stain", "recipe", "preset", "um_per_px")
"""Columns of a manifest; ``transcripts`` is another word for ``gem``."""

DONE = "section.json"
"""The file in the folder of a section that says what it was made from."""

SUMMARY = "summary.csv"

_FIGURES = ("cells", "median_area_um2", "median_umis", "umis_in_cells", "seconds")


@dataclass(frozen=True)
class Section:
    """One line of a manifest.

    Parameters
    ----------
    name : str
        Name of its folder.
    gem : str
        UMI records, of any format that is read.
    stain, recipe : str
        Files; empty where there is none.
    preset : str
        Empty for the preset that suits the inputs.
    um_per_px : float or None
        Side of the pixels that single molecules are counted in.
    """

    name: str
    gem: str
    stain: str = ""
    recipe: str = ""
    preset: str = ""
    um_per_px: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a section: figures, or what was wrong.

    Parameters
    ----------
    name : str
    cells : int or None
        None where it failed, as all figures.
    median_area_um2, median_umis, umis_in_cells : float or None
        Of the cells; the last is a share of all UMIs.
    seconds : float or None
        Of the run that made it, be it an earlier one.
    problem : str
        Empty where all is well.
    again : bool
        False where the result of an earlier batch was kept, because nothing had changed.
    """

    name: str
    cells: int | None = None
    median_area_um2: float | None = None
    median_umis: float | None = None
    umis_in_cells: float | None = None
    seconds: float | None = None
    problem: str = ""
    again: bool = True


def read_manifest(path: str | Path, *, recipe: str | Path | None = None) -> tuple[Section, ...]:
    r"""Read the list of sections.

    Parameters
    ----------
    path : str or Path
        CSV with the columns ``name`` and ``gem`` (or ``transcripts``), and where wanted ``stain``, ``recipe``,
        ``preset`` and ``um_per_px``. Paths are relative to the folder of the manifest. Empty lines count nothing.
    recipe : path, optional
        For the sections that name neither a recipe nor a preset.

    Returns
    -------
    tuple of Section

    Raises
    ------
    InputError
        When the file is missing or no such table; every problem is named with its line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sections.csv"
    >>> _ = path.write_text("name,gem,stain\nE9,e9.gem.gz,e9.tif\nE10,e10.gem.gz,\n")
    >>> [section.name for section in read_manifest(path)]
    ['E9', 'E10']
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; check the name and the folder.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as a CSV ({error}); give a table with the column names first."
        ) from None
    if not rows:
        raise InputError(f"{path} lists no section; give a line of column names and a line a section.")
    given = {str(name).strip().lower(): name for name in rows[0] if name is not None}
    if "transcripts" in given and "gem" not in given:
        given["gem"] = given.pop("transcripts")
    unknown = [name for name in given if name not in COLUMNS]
    missing = [name for name in ("name", "gem") if name not in given]
    if missing or unknown:
        what = f"lacks the column {missing[0]}" if missing else f"has a column {unknown[0]!r}"
        raise InputError(f"{path} {what}; a manifest has {', '.join(COLUMNS)}, of which name and gem are needed.")
    problems: list[str] = []
    sections: list[Section] = []
    for line, row in enumerate(rows, 2):
        values = {name: (row[given[name]] or "").strip() for name in given}
        if any(values.values()):
            section = _section(values, path.parent, recipe, f"line {line}", problems)
            if section.name.lower() in {one.name.lower() for one in sections}:
                problems.append(f"line {line} names {section.name} again")
            sections.append(section)
    if problems:
        raise InputError(f"{path}: {'; '.join(problems[:8])}{' ...' if len(problems) > 8 else ''}; mend the manifest.")
    if not sections:
        raise InputError(f"{path} lists no section; give a line a section.")
    return tuple(sections)


def _section(
    values: dict[str, str], folder: Path, recipe: str | Path | None, where: str, problems: list[str]
) -> Section:
    name, um = values["name"], None
    if not re.fullmatch(r"[\w][\w .+-]*", name):
        problems.append(f"{where} has the name {name!r}, which cannot be a folder")
    if not values["gem"]:
        problems.append(f"{where} has no gem")
    if values.get("recipe") and values.get("preset"):
        problems.append(f"{where} has both a recipe and a preset")
    if values.get("um_per_px"):
        try:
            um = float(values["um_per_px"])
        except ValueError:
            um = 0.0
        if not um > 0:
            problems.append(f"{where} has um_per_px {values['um_per_px']!r}, which is no number above 0")
    own = str(folder / values["recipe"]) if values.get("recipe") else ""
    common = "" if recipe is None or values.get("preset") else str(Path(recipe))
    return Section(
        name,
        str(folder / values["gem"]),
        str(folder / values["stain"]) if values.get("stain") else "",
        own or common,
        values.get("preset", ""),
        um,
    )


def run_batch(
    sections: Iterable[Section],
    out: str | Path,
    *,
    export: str | Iterable[str] = (),
    jobs: int = 1,
    tell: Callable[[Outcome], None] | None = None,
) -> tuple[Outcome, ...]:
    """Segment sections, each in a process of its own.

    Parameters
    ----------
    sections : iterable of Section
        As `read_manifest` gives them.
    out : path
        A folder with a folder a section, as `segapp.run` writes it, and the summary.
    export : str or iterable of str
        Formats that each section gets besides.
    jobs : int
        Sections at a time; each takes the memory of a run.
    tell : callable, optional
        Called with every outcome as soon as it is known, from the thread of its section.

    Returns
    -------
    tuple of Outcome
        In the order of the sections; ``summary.csv`` in `out` holds the same.

    Raises
    ------
    InputError
        When `out` cannot be a folder, or there is no such format.

    Notes
    -----
    A section whose inputs (size and time of the files), recipe, preset, formats and version of segapp are those of its
    finished run is not run again. A process that ends without a word, for want of memory as a rule, is one problem
    among the others.

    Examples
    --------
    >>> import tempfile
    >>> run_batch([Section("E9", "missing.gem")], tempfile.mkdtemp())[0].problem
    'There is no file missing.gem; check the name and the folder.'
    """
    sections, out = tuple(sections), Path(out)
    names = [one.name for one in find_exporters(export)]
    check_out_dir(out)
    if jobs < 1:
        raise InputError(f"`jobs` is {jobs}, but at least one section runs at a time; give 1 or more.")
    out.mkdir(parents=True, exist_ok=True)

    def work(section: Section) -> Outcome:
        outcome = _run_section(section, out / section.name, names)
        if tell is not None:
            tell(outcome)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        outcomes = tuple(pool.map(work, sections))
    _write_summary(out / SUMMARY, outcomes)
    return outcomes


def _run_section(section: Section, folder: Path, export: Sequence[str]) -> Outcome:
    for path in (section.gem, section.stain, section.recipe):
        if path and not Path(path).exists():
            return Outcome(section.name, problem=f"There is no file {path}; check the name and the folder.")
    key = _key(section, export)
    try:
        earlier = json.loads((folder / DONE).read_text(encoding="utf-8"))
        if earlier["key"] == key and all((folder / name).exists() for name in earlier["files"]):
            return Outcome(**{**earlier["outcome"], "name": section.name, "again": False})
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is no finished run, or none that can be told
    order = json.dumps({"section": asdict(section), "out": str(folder), "export": list(export)})
    command = [sys.executable, "-m", "segapp.pipeline.batch"]
    done = subprocess.run(command, input=order, capture_output=True, text=True, check=False)
    try:
        outcome = Outcome(**json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        return Outcome(section.name, problem=_last_words(done))
    if not outcome.problem:
        files = sorted(path.name for path in folder.iterdir() if path.name != DONE)
        with atomic_file(folder / DONE) as temporary:
            about = {"key": key, "files": files, "outcome": asdict(outcome)}
            temporary.write_text(json.dumps(about, indent=2), encoding="utf-8")
    return outcome


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"its process was ended by signal {-done.returncode}, for want of memory as a rule: run fewer at a time"
    lines = done.stderr.strip().splitlines()
    return f"its process failed ({lines[-1] if lines else f'exit code {done.returncode}'})"


def _key(section: Section, export: Sequence[str]) -> str:
    """What a finished section depends on: its inputs by size and time, its parameters, the version."""
    from segapp import __version__

    told: list[Any] = [__version__, section.preset, section.um_per_px, list(export)]
    told.append(Path(section.recipe).read_text(encoding="utf-8") if section.recipe else "")
    for path in (section.gem, section.stain):
        told.append([path, *_state(Path(path))] if path else [])
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


def _state(path: Path) -> tuple[int, int]:
    """Bytes, and the latest change in ns, of a file or of all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    stats = [file.stat() for file in files]
    return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)


def _write_summary(path: Path, outcomes: Sequence[Outcome]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", *_FIGURES, "problem"])
        for outcome in outcomes:
            figures = [getattr(outcome, name) for name in _FIGURES]
            writer.writerow([outcome.name, *("" if value is None else value for value in figures), outcome.problem])


def run_order(order: dict[str, Any]) -> Outcome:
    """Run one section as `run_batch` orders it; what cannot be used becomes the problem of the outcome."""
    from segapp.pipeline.job import run

    section, began = Section(**order["section"]), time.perf_counter()
    try:
        result = run(
            section.gem,
            section.stain or None,
            recipe=section.recipe or None,
            preset=section.preset or None,
            out=order["out"],
            export=order["export"],
            um_per_px=section.um_per_px,
        )
    except SegappError as error:
        return Outcome(section.name, problem=str(error))
    except MemoryError:
        return Outcome(section.name, problem="there was not enough memory; run fewer at a time, or cut the section")
    found = result.summary
    return Outcome(
        section.name,
        cells=found["n_cells"],
        median_area_um2=round(result.grid.um2(found["median_area_px"]), 2),
        median_umis=found["median_umis"],
        umis_in_cells=round(found["umis_assigned"] / found["n_umis"], 4) if found["n_umis"] else 0.0,
        seconds=round(time.perf_counter() - began, 1),
    )


if __name__ == "__main__":
    print(json.dumps(asdict(run_order(json.load(sys.stdin)))))
