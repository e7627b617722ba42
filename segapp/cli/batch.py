"""The command `segapp batch`: many sections by one recipe, and a table of what came out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segapp.core.types import InputError

if TYPE_CHECKING:
    from segapp.pipeline.batch import Outcome

SOME_FAILED = 1


def add_batch(commands: Any, formats: str) -> None:
    """Declare the command.

    Parameters
    ----------
    commands : action of argparse
        What `add_subparsers` returned.
    formats : str
        Names of the formats, for the help.
    """
    batch = commands.add_parser("batch", help="segment many sections by one recipe")
    batch.add_argument("manifest", metavar="MANIFEST.csv", help="columns name, gem, stain, recipe, preset, um_per_px")
    start = batch.add_mutually_exclusive_group()
    start.add_argument("--recipe", metavar="FILE", help="parameters, for sections that name none of their own")
    start.add_argument("--preset", metavar="NAME", help="preset, for sections that name none of their own")
    batch.add_argument("--out", required=True, metavar="DIR", help="a folder a section, and summary.csv")
    batch.add_argument("--export", default="", metavar="FORMATS", help=f"further formats, between commas: {formats}")
    batch.add_argument("--jobs", type=int, default=1, metavar="N", help="sections at a time (1)")
    batch.set_defaults(function=run_batch_command)


def run_batch_command(options: argparse.Namespace) -> int:
    """Run it: 0 when all is well, 1 when a section failed."""
    import dataclasses

    from rich.console import Console

    from segapp.pipeline.batch import read_manifest, run_batch
    from segapp.pipeline.presets import PRESETS
    from segapp.pipeline.recipe import Recipe

    if options.recipe is not None:
        Recipe.read(options.recipe)  # a bad one is told before anything runs
    if options.preset is not None and options.preset not in PRESETS:
        raise InputError(f"there is no preset {options.preset}; choose among {', '.join(PRESETS)}")
    sections = read_manifest(options.manifest, recipe=options.recipe)
    if options.preset is not None:
        sections = tuple(
            one if one.recipe or one.preset else dataclasses.replace(one, preset=options.preset) for one in sections
        )
    said = Console(stderr=True)

    def tell(outcome: Outcome) -> None:
        state = outcome.problem or (f"{outcome.cells:,} cells" if outcome.again else "unchanged, kept")
        said.print(f"{outcome.name}: {state}", highlight=False, markup=False, soft_wrap=True)

    outcomes = run_batch(sections, options.out, export=options.export, jobs=options.jobs, tell=tell)
    print_outcomes(outcomes)
    return SOME_FAILED if any(outcome.problem for outcome in outcomes) else 0


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print a table of what became of the sections."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Section", box=None, pad_edge=False)
    for title in ("Cells", "Median µm²", "UMIs a cell", "UMIs in cells", "Seconds"):
        table.add_column(title, justify="right")
    table.add_column("Problem", overflow="fold")
    for one in outcomes:
        figures = (
            (one.cells, "{:,}"),
            (one.median_area_um2, "{:,.1f}"),
            (one.median_umis, "{:,.0f}"),
            (one.umis_in_cells, "{:.1%}"),
            (one.seconds, "{:,.1f}"),
        )
        shown = ["–" if value is None else form.format(value) for value, form in figures]
        # a problem may hold brackets, which are no markup
        table.add_row(Text(one.name), *shown, Text(one.problem or ("" if one.again else "unchanged, kept")))
    Console().print(table)
