"""The commands for chips: convert one, and run one."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from segapp.core.types import Cancelled, InputError
from segapp.io.atomic import DiskFull


def add_chip_options(run: argparse.ArgumentParser) -> None:
    """Add what `segapp run` takes for a converted chip."""
    group = run.add_argument_group("a whole chip, tile by tile")
    group.add_argument("--chip", metavar="DIR", help="chip that segapp convert wrote, in place of --gem and --stain")
    group.add_argument("--tile", type=int, metavar="PX", help="side of a tile; smaller takes less memory (2048)")
    group.add_argument("--workers", type=int, metavar="N", help="worker processes; by default threads of this one")
    group.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler to use, such as tcp://host:8786")
    group.add_argument("--memory", metavar="SIZE", help="memory that may be used, such as 8GB; by default what is free")
    group.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    group.add_argument("--dry-run", action="store_true", help="only print what the run will take")


def add_convert(commands: Any) -> None:
    """Add `segapp convert`."""
    convert = commands.add_parser("convert", help="convert a GEM to a chip that segapp run --chip takes, of any size")
    convert.add_argument("gem", metavar="GEM", help="UMI records, plain or gzip")
    convert.add_argument("--stain", metavar="FILE", help="image of the same section")
    convert.add_argument(
        "--stain-um-per-px",
        default="auto",
        metavar="UM",
        help="side of its pixels, where its file does not say; or off",
    )
    convert.add_argument("--out", required=True, metavar="DIR", help="folder of the chip; a begun one is gone on with")
    convert.set_defaults(function=_convert)


def run_chip_command(options: argparse.Namespace) -> int:
    """Run a chip as `segapp run --chip` asks for."""
    from segapp.io.export import check_for_chip, find_exporters
    from segapp.io.results import read_result, write_exports
    from segapp.pipeline.chip import run_chip
    from segapp.pipeline.chip.plan import bytes_of, check_fits, plan_run
    from segapp.pipeline.chip.shown import with_stain

    exporters = find_exporters(options.export)
    check_for_chip(exporters, records=True)
    asked = {name: getattr(options, name) for name in ("chip", "out", "preset", "recipe", "set", "workers")}
    memory = None if options.memory is None else bytes_of(options.memory)
    plan = plan_run(**asked, tile=options.tile, memory=memory)
    print(plan.text(), file=sys.stderr)
    check_fits(plan)
    if options.dry_run:
        return 0
    try:
        with _Lines() as lines:
            result = run_chip(**asked, tile=plan.tile, scheduler=options.scheduler, resume=options.resume, tell=lines)
    except (KeyboardInterrupt, Cancelled):
        return _stopped(f"what was done is kept in {options.out}; the same command with --resume goes on")
    for line in result.summary["notes"]:
        print(f"segapp: {line}", file=sys.stderr)
    written = []
    try:
        if exporters:
            print("export", file=sys.stderr, flush=True)
            written = write_exports(with_stain(read_result(options.out, chip=options.chip)), exporters, options.out)
    except (KeyboardInterrupt, Cancelled):
        return _stopped(_later(options, exporters))
    except DiskFull as error:
        raise DiskFull(f"{str(error).removesuffix('.')}; {_later(options, exporters)}") from error
    if options.json:
        print(
            json.dumps({**result.summary, "exported": [str(path) for path in written]} if written else result.summary)
        )
    else:
        print(
            "{n_cells:,} cells, {umis_assigned:,} of {n_umis:,} UMIs assigned, in {seconds_total:.0f} s".format(
                **result.summary
            )
        )
        for path in written:
            print(path)
    return 0


def _later(options: argparse.Namespace, exporters: Sequence[Any]) -> str:
    """Say how to write the formats of a run that is done."""
    names = ",".join(exporter.name for exporter in exporters)
    command = f"segapp export {options.out} --to {names} --chip {options.chip}"
    return f"the cells are in {options.out}; {command} writes the formats"


def _convert(options: argparse.Namespace) -> int:
    from segapp.io.chip import convert_chip

    try:
        with _Lines() as lines:
            chip = convert_chip(
                options.gem,
                options.out,
                stain=options.stain,
                stain_um_per_px=_size(options.stain_um_per_px),
                tell=lines,
            )
    except (KeyboardInterrupt, Cancelled):
        return _stopped(f"what was done is kept in {options.out}; the same command goes on")
    for line in chip.notes:
        print(f"segapp: {line}", file=sys.stderr)
    print(
        f"{chip.path}: {chip.n_records:,} records, {chip.n_umis:,} UMIs, {chip.box.height} x {chip.box.width} px"
        + ("" if chip.stain is None else ", with a stain")
    )
    return 0


def _stopped(and_then: str) -> int:
    print(f"segapp: stopped; {and_then}", file=sys.stderr)
    return 128 + signal.SIGINT


def _size(text: str) -> Any:
    """Return the side of a pixel that was given, or a word that stands for one."""
    from segapp.core.frame import StainParams

    try:
        return StainParams().with_(um_per_px=text if text in ("auto", "off") else float(text)).um_per_px
    except ValueError:
        raise InputError(f"--stain-um-per-px is {text}, but micrometres are needed, such as 0.25; or off") from None


def write_chip(options: argparse.Namespace) -> int:
    """Write a simulated chip as `segapp sample chip` asks for."""
    from segapp.io.chip.simulate import write_chip_sample

    with _Lines() as lines:
        paths = write_chip_sample(options.out, options.size or 26_460, options.seed or 0, tell=lines)
    for path in paths:
        print(path)
    return 0


class _Lines:
    """Progress as one line that is written over on a terminal, and as a line a phase elsewhere."""

    def __init__(self) -> None:
        self.phase, self.shown = "", 0.0
        self.terminal = sys.stderr.isatty()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self.terminal and self.phase:
            print(file=sys.stderr)

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self.phase:
            end = "\n" if self.phase and self.terminal else ""
            print(f"{end}{phase}", end="" if self.terminal else "\n", file=sys.stderr, flush=True)
            self.phase, self.shown = phase, 0.0
        if self.terminal and now - self.shown > 0.2:
            self.shown = now
            print(f"\r{phase} {100 * done // max(total, 1)} %", end="", file=sys.stderr, flush=True)
