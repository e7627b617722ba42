"""Every format out, read back by the libraries of its users; every format in, whole, wrong and cut short.

    python -m benchmarks.formats --folder SCRATCH --python OTHER/bin/python

writes benchmarks/FORMATS.md. Out: an asymmetric section (an F of cells in a frame that is not square and does not begin
at 0) is segmented by `segapp run --export`, and formats_read.py reads the files in the environment of `--python`, which
needs the libraries but not segapp; those that it lacks are said. In: small files as their makers write them
(formats_in.py), of an L, by `read_transcripts` and `read_stain`, and the same files damaged or of another kind by
`segapp run`, whose sentence is shown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

from benchmarks import formats_in
from segapp.core.records import make_transcripts
from segapp.io.export import EXPORTERS
from segapp.io.gem import write_gem

F = ("#####", "#....", "#....", "####.", "#....", "#....", "#....")
STEP, HEIGHT, WIDTH, X0, Y0, UM = 30, 260, 400, 1000, 200, 0.5
CHANGES = ("nuclei.source=watershed", "align.mode=off", "stain.origin=min", "limits.min_area=100")
COMMAND = ("--preset", "stain+rna", *(word for change in CHANGES for word in ("--set", change)))


def main() -> None:
    options = _options()
    folder = Path(options.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    read_back = out_formats(folder, options.python)
    read, refused = formats_in.whole_files(folder / "in"), formats_in.wrong_files(folder / "in")
    Path(options.out).write_text(report(read_back, read, refused), encoding="utf-8")
    bad = [name for name, row in read_back.items() if "error" in row]
    bad += [row["what"] for row in (*read, *refused) if not row["good"]]
    if bad:
        raise SystemExit(f"not as it should be: {', '.join(bad)}")


def out_formats(folder: Path, python: str) -> dict[str, dict]:
    """Run and export the asymmetric section, and let the other environment read it."""
    pattern = write_section(folder)
    run = ["run", "--gem", str(folder / "f.gem.gz"), "--stain", str(folder / "f.tif"), *COMMAND]
    _segapp(*run, "--out", str(folder / "run"), "--export", ",".join(EXPORTERS))
    _segapp(
        *("export", str(folder / "run"), "--to", ",".join(EXPORTERS), "--gem", str(folder / "f.gem.gz")),
        *("--out", str(folder / "export")),
    )
    for name in ("labels.tif", "nuclei.tif"):  # the folder of an export has what was asked for alone
        shutil.copy(folder / "run" / name, folder / "export" / name)
    (folder / "pattern.json").write_text(json.dumps(pattern))
    found: dict[str, dict] = {}
    for written in ("run", "export"):
        reader = Path(__file__).with_name("formats_read.py")
        done = subprocess.run(
            [python, str(reader), str(folder / written), str(folder / "pattern.json")], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{python} {reader.name} failed: {done.stderr}")
        for name, row in json.loads(done.stdout.splitlines()[-1]).items():
            if name in found and "said" in found[name] and row.get("said") != found[name]["said"]:
                row.setdefault("error", f"segapp export differs from segapp run: {row.get('said')}")
            found[name] = {**found.get(name, {}), **row}
    return found


def write_section(folder: Path) -> dict:
    """Write records and stain of cells that form an F; return where they are."""
    rng = np.random.default_rng(8)
    centres, stem = [], []
    for row, line in enumerate(F):
        for column, mark in enumerate(line):
            if mark == "#":
                centres.append((45 + STEP * column + 0.37 * row, 40 + STEP * row))
                stem.append(column == 0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    far = np.min([np.hypot(x - cx, y - cy) for cx, cy in centres], axis=0)
    nearest = np.argmin([np.hypot(x - cx, y - cy) for cx, cy in centres], axis=0)
    stain = rng.normal(20, 3, far.shape) + 150 * (far < 7.5)
    tifffile.imwrite(folder / "f.tif", np.clip(stain, 0, 255).astype(np.uint8), photometric="minisblack")
    total = rng.poisson(np.where(far < 11, 1.5, 0.02))
    unspliced = rng.binomial(total, np.where(far < 7.5, 0.7, 0.05))
    at = np.nonzero(total)
    gene = np.where(far < 13, np.where(np.array(stem)[nearest], 0, 1), 2)[at]
    counts = {"total": total[at], "unspliced": unspliced[at], "spliced": (total - unspliced)[at]}
    corners = [0, WIDTH - 1], [0, HEIGHT - 1]  # a record in two corners: the stain begins at the smallest x and y
    records = make_transcripts(
        np.append(at[1], corners[0]) + X0,
        np.append(at[0], corners[1]) + Y0,
        np.append(gene, [2, 2]),
        {name: np.append(values, [1, 1] if name != "unspliced" else [0, 0]) for name, values in counts.items()},
        ["Stem", "Arm", "Ambient"],
    )
    write_gem(records, folder / "f.gem.gz")
    frame = {"x0": X0, "y0": Y0, "height": HEIGHT, "width": WIDTH, "um_per_px": UM}
    return {**frame, "centres": centres, "stem": stem}


def _segapp(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "segapp.cli", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"segapp {words[0]} failed: {done.stderr}")


def report(read_back: dict[str, dict], read: list[dict], refused: list[dict]) -> str:
    lines = [
        "# Formats",
        "",
        "`python -m benchmarks.formats`.",
        "",
        "## Out",
        "",
        f"Cells that form an F, in a frame of {WIDTH} x {HEIGHT} px from ({X0}, {Y0}) on, written by `segapp run "
        "--export` and by `segapp export`",
        "(both are read), and read in an environment without segapp. Orientation is checked by numbers: every cell at",
        "its place, while each of the seven mirror images and turns is 10 px or more off; plots by the colour of their",
        "pixels where the cells lie.",
        "",
        "| format | read by | what was found |",
        "|---|---|---|",
    ]
    for name, row in read_back.items():
        said = row.get("said") or f"not read: {row['missing']}"
        lines.append(f"| {name} | {row['versions']} | {row.get('error') or said} |")
    lines += [
        "",
        "## In",
        "",
        "Small files as their makers write them, with the counts of an L (or, for stains, its picture): no mirror",
        "image or turn of an L is the L. The bundled files are real.",
        "",
        "| format | file | what was found |",
        "|---|---|---|",
    ]
    lines += [f"| {row['format']} | {row['what']} | {row['said']} |" for row in read]
    lines += [
        "",
        "## Wrong and cut short",
        "",
        "What `segapp run` says; it ends with code 2 and writes nothing.",
        "",
        "| format | file | the sentence |",
        "|---|---|---|",
    ]
    lines += [f"| {row['format']} | {row['what']} | {row['said']} |" for row in refused]
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="scratch folder, emptied first")
    parser.add_argument("--python", default=sys.executable, help="interpreter with the libraries to read with")
    parser.add_argument("--out", default=str(Path(__file__).parent / "FORMATS.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
