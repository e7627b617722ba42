"""What the command line prints: progress on a terminal, tables for people, the stages for everyone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from segapp.core.params import Knob, Variants, classes, knobs

if TYPE_CHECKING:
    from segapp.core.quality import Comparison
    from segapp.pipeline.job import Result
    from segapp.pipeline.session import Session


class Progress:
    """A line for each stage on a terminal; silent in a pipe."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description:<22}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._bars.start()
            self._tasks["read"] = self._bars.add_task("Reading", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def follow(self, session: Session) -> None:
        """Show the stages of a session as they run."""
        if self._bars is None:
            return
        bars, tasks = self._bars, self._tasks

        def loaded() -> None:
            bars.update(tasks["read"], total=1, completed=1)

        def started(stage: str) -> None:
            tasks[stage] = bars.add_task(session.pipeline[stage].title, total=None)

        def progress(stage: str, done: int, total: int) -> None:
            bars.update(tasks[stage], total=total, completed=done)

        def finished(stage: str, seconds: float) -> None:
            bars.update(tasks[stage], total=1, completed=1)

        # psygnal keeps weak references to methods but strong ones to local functions, which is what is needed here
        session.events.loaded.connect(loaded)
        session.events.started.connect(started)
        session.events.progress.connect(progress)
        session.events.finished.connect(finished)


def describe_stages() -> list[dict[str, Any]]:
    """Return every stage with its parameters, units, ranges and defaults, as JSON values.

    Examples
    --------
    >>> [stage["stage"] for stage in describe_stages()][:3]
    ['rna', 'stain', 'align']
    """
    from segapp.pipeline.stages import PIPELINE

    described = []
    for stage in PIPELINE:
        entry: dict[str, Any] = {"stage": stage.name, "title": stage.title, "doc": stage.doc}
        declared = stage.declared
        if isinstance(declared, Variants):
            entry["selector"] = declared.tag
            entry["default"] = declared.default
            entry["variants"] = {
                name: [_describe(item) for item in knobs(kind) if item.name != declared.tag]
                for name, kind in zip(declared.names(), classes(declared), strict=True)
            }
        else:
            entry["parameters"] = [_describe(item) for item in knobs(declared)]
        described.append(entry)
    return described


def _describe(item: Knob) -> dict[str, Any]:
    return {
        "name": item.name,
        "kind": item.kind,
        "unit": item.unit,
        "min": item.ge,
        "max": item.le,
        "odd": item.odd,
        "words": list(item.words),
        "choices": list(item.choices),
        "default": list(item.default) if isinstance(item.default, tuple) else item.default,
        "doc": item.doc,
    }


def print_stages() -> None:
    """Print every stage and parameter as text."""
    for entry in describe_stages():
        print(f"{entry['stage']}  {entry['doc']}")
        if "parameters" in entry:
            _print_parameters(entry["parameters"], "  ")
            continue
        names = ", ".join(entry["variants"])
        print(f"  {entry['selector']} = {entry['default']}  one of {names}")
        shared = [
            item
            for item in next(iter(entry["variants"].values()))
            if all(item in v for v in entry["variants"].values())
        ]
        _print_parameters(shared, "  ")
        for name, items in entry["variants"].items():
            own = [item for item in items if item not in shared]
            if own:
                print(f"  with {entry['selector']}={name}:")
                _print_parameters(own, "    ")
        print()


def _print_parameters(items: list[dict[str, Any]], indent: str) -> None:
    for item in items:
        allowed = ", ".join(item["choices"]) if item["choices"] else ""
        if item["min"] is not None and item["max"] is not None:
            allowed = f"{item['min']:g} to {item['max']:g}"
        allowed = ", ".join(part for part in (allowed, *item["words"], "odd" if item["odd"] else "") if part)
        unit = f" {item['unit']}" if item["unit"] else ""
        default = ",".join(map(str, item["default"])) if isinstance(item["default"], list) else item["default"]
        print(f"{indent}{item['name']} = {default}{unit}" + (f"  ({allowed})" if allowed else ""))
        print(f"{indent}    {item['doc']}")


def print_summary(result: Result) -> None:
    """Print what a run found, for a person."""
    found = result.summary
    share = found["umis_assigned"] / found["n_umis"] if found["n_umis"] else 0.0
    frame = result.session.get("frame")
    print(f"{found['n_cells']:,} cells (preset {found['preset']})")
    print(f"median area {found['median_area_px']:,.0f} px ({frame.um2(found['median_area_px']):,.1f} µm²)")
    print(f"median UMIs a cell {found['median_umis']:,.0f}")
    print(f"{found['umis_assigned']:,} of {found['n_umis']:,} UMIs in cells ({share:.1%})")
    card = found["scorecard"]
    if "median_genes" in card:
        print(f"median genes a cell {card['median_genes']:,.0f}")
    if "ratio" in card:
        print(f"{card['ratio']:.2f} times the UMIs of random cells of the same sizes ({card['random_assigned']:.1%})")
    if "nuclei_per_cell" in card:
        print(f"{card['nuclei_per_cell']:.2f} nuclei a cell")
    if card.get("within_limits", 1) < 1:
        print(f"{card['within_limits']:.1%} of the cells found lie within the area limits")
    for stage, note in found["notes"].items():
        print(f"{stage}: {note}")
    print(f"{found['seconds_total']:.1f} s, peak memory {found['peak_memory_mb']:,.0f} MB")
    if result.out is not None:
        print(f"written to {result.out}")


def print_comparison(found: Comparison) -> None:
    """Print a comparison with the truth, for a person."""
    values = found.to_json()
    for name, value in values.items():
        if isinstance(value, dict):
            print(name + "  " + "  ".join(f"{tau}: {ap:.3f}" for tau, ap in value.items()))
        else:
            print(f"{name}  {value:.3f}" if isinstance(value, float) else f"{name}  {value}")
