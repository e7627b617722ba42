"""Arguments, exit codes and messages of the command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from segapp import __version__
from segapp.cli.batch import add_batch
from segapp.cli.chip import add_chip_options, add_convert, run_chip_command, write_chip
from segapp.core.types import Cancelled, InputError, SegappError

BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for input that cannot be used, 130 when interrupted.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``segapp``; the process's own by default.

    Examples
    --------
    >>> main(["compare", "missing.tif", "missing.tif"])
    2
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.function(options))
    except SegappError as error:
        _say(str(error))
        return BAD_INPUT
    except (KeyboardInterrupt, Cancelled):
        _say("stopped; nothing was written")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # whoever read the output has gone; nothing more can be said, not even by Python at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


_RECORDS = (
    "UMI records: GEM, GEF, Visium HD (.h5 or its folder), a table of molecules (Xenium, MERSCOPE, CosMx), AnnData of "
    "bins, or SpatialData"
)


def _formats() -> str:
    from segapp.io.export import EXPORTERS

    return ", ".join(EXPORTERS)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="segapp", description="Cell segmentation of spatial transcriptomics.")
    parser.add_argument("--version", action="version", version=f"segapp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="segment one section and write its cells")
    run.add_argument("--gem", metavar="FILE", help=_RECORDS)
    run.add_argument("--stain", metavar="FILE", help="image of the same section (TIFF, OME-TIFF, PNG, OME-Zarr)")
    run.add_argument(
        "--um-per-px", type=float, metavar="UM", help="side of the pixels that single molecules are counted in"
    )
    start = run.add_mutually_exclusive_group()
    start.add_argument(
        "--preset", metavar="NAME", help="where nuclei and cells come from; by default what suits the files"
    )
    start.add_argument("--recipe", metavar="FILE", help="parameters of an earlier run")
    run.add_argument(
        "--set", action="append", default=[], metavar="stage.param=value", help="change one parameter; may be repeated"
    )
    run.add_argument(
        "--out", required=True, metavar="DIR", help="folder for cells.h5ad, labels.tif, nuclei.tif, recipe.json"
    )
    run.add_argument("--export", default="", metavar="FORMATS", help=f"further formats, between commas: {_formats()}")
    run.add_argument("--json", action="store_true", help="print one JSON object")
    add_chip_options(run)
    run.set_defaults(function=_run)
    add_convert(commands)

    export = commands.add_parser("export", help="write the cells of an earlier run in other formats")
    export.add_argument("folder", metavar="DIR", help="folder that segapp run has written")
    export.add_argument("--to", required=True, metavar="FORMATS", help=f"between commas: {_formats()}")
    export.add_argument("--gem", metavar="FILE", help="the UMI records, for formats that hold records")
    export.add_argument("--chip", metavar="DIR", help="the chip, where that of a whole chip is written with records")
    export.add_argument("--out", metavar="DIR", help="folder for the files; by default that of the run")
    export.set_defaults(function=_export)

    add_batch(commands, _formats())

    sample = commands.add_parser("sample", help="write a sample with its truth where known")
    sample.add_argument("name", metavar="NAME", help="tissue, stereoseq, mosta, or chip: a simulated chip")
    sample.add_argument("--out", required=True, metavar="DIR", help="folder for the files")
    sample.add_argument("--size", type=int, metavar="N", help="side in px (tissue, chip)")
    sample.add_argument("--seed", type=int, metavar="S", help="seed of the simulation")
    sample.set_defaults(function=_sample)

    stages = commands.add_parser("stages", help="list every stage and parameter")
    stages.add_argument("--json", action="store_true", help="print JSON")
    stages.set_defaults(function=_stages)

    compare = commands.add_parser("compare", help="compare labels with the truth")
    compare.add_argument("truth", metavar="TRUTH.tif")
    compare.add_argument("labels", metavar="LABELS.tif")
    compare.add_argument("--json", action="store_true", help="print JSON")
    compare.set_defaults(function=_compare)

    app = commands.add_parser("app", help="open the app in the browser")
    app.add_argument("--gem", metavar="FILE", help="UMI records to open")
    app.add_argument("--stain", metavar="FILE", help="image of the same section")
    app.add_argument("--sample", metavar="NAME", help="sample to open; tissue when nothing is given")
    app.add_argument("--chip", metavar="DIR", help="chip to open, that segapp convert wrote")
    app.add_argument("--port", type=int, default=8866, metavar="P", help="port (8866)")
    app.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1: this machine)"
    )
    app.add_argument("--token", metavar="WORD", help="word that visitors must know; made up for other addresses")
    app.add_argument("--root", metavar="DIR", help="folder that the Open dialog reads from (the working folder)")
    app.add_argument("--idle-timeout", type=float, metavar="MIN", help="end sessions that nobody used for so long")
    app.add_argument("--max-upload", type=float, default=256, metavar="MB", help="largest upload (256)")
    app.add_argument("--preheat", type=int, default=0, metavar="N", help="sessions to keep ready for visitors (0)")
    app.add_argument("--no-browser", action="store_true", help="only print the address")
    app.set_defaults(function=_app)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage of every option."""

    def error(self, message: str) -> NoReturn:
        _say(f"{message}; see {self.prog} --help")
        sys.exit(BAD_INPUT)


def _run(options: argparse.Namespace) -> int:
    if (options.gem is None) == (options.chip is None):
        raise InputError("give --gem with the records of one section, or --chip with a converted chip")
    if options.chip is not None:
        return run_chip_command(options)
    from segapp.cli.show import Progress, print_summary
    from segapp.pipeline.job import run

    with Progress() as progress:
        result = run(
            options.gem,
            options.stain,
            preset=options.preset,
            recipe=options.recipe,
            set=options.set,
            out=options.out,
            export=options.export,
            watch=progress.follow,
            um_per_px=options.um_per_px,
        )
    for line in result.session.get("edit_report"):
        _say(line)
    if options.json:
        print(json.dumps(result.summary))
    else:
        print_summary(result)
    return 0


def _export(options: argparse.Namespace) -> int:
    from segapp.io.chip.saved import SavedChip
    from segapp.io.export import find_exporters
    from segapp.io.results import read_result, write_exports

    exporters = find_exporters(options.to)
    result = read_result(options.folder, options.gem, chip=options.chip)
    if isinstance(result, SavedChip):
        from segapp.pipeline.chip.shown import with_stain

        result = with_stain(result)
    for path in write_exports(result, exporters, options.out or options.folder):
        print(path)
    return 0


def _sample(options: argparse.Namespace) -> int:
    from segapp.io.samples import write_sample

    if options.name == "chip":
        return write_chip(options)
    for path in write_sample(options.name, options.out, size=options.size, seed=options.seed):
        print(path)
    return 0


def _stages(options: argparse.Namespace) -> int:
    from segapp.cli.show import describe_stages, print_stages

    if options.json:
        print(json.dumps(describe_stages(), indent=2))
    else:
        print_stages()
    return 0


def _compare(options: argparse.Namespace) -> int:
    from segapp.cli.show import print_comparison
    from segapp.core.quality import compare_labels
    from segapp.io.masks import read_labels

    found = compare_labels(read_labels(options.truth), read_labels(options.labels))
    if options.json:
        print(json.dumps(found.to_json()))
    else:
        print_comparison(found)
    return 0


def _app(options: argparse.Namespace) -> int:
    from segapp.app import serve

    for path in (options.gem, options.stain, options.chip):
        if path is not None and not Path(path).exists():
            raise _missing(path)
    return int(
        serve(
            gem=options.gem,
            stain=options.stain,
            sample=options.sample,
            chip=options.chip,
            port=options.port,
            browser=not options.no_browser,
            host=options.host,
            token=options.token,
            root=options.root,
            idle_minutes=options.idle_timeout,
            max_upload_mb=options.max_upload,
            preheat=options.preheat,
        )
        or 0
    )


def _missing(path: str) -> SegappError:
    from segapp.core.types import InputError

    return InputError(f"{path} is not a file; give the path of one")


def _say(text: Any) -> None:
    print(f"segapp: {text}", file=sys.stderr)
