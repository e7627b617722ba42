"""Render what the code declares: parameters, presets, stages, samples, commands and modules."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import pkgutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from segapp.core.params import Declared, Knob, Params, Variants, classes, knobs

FLOORS = (
    ("core", "segapp.core: arrays in, arrays out"),
    ("io", "segapp.io: files"),
    ("pipeline", "segapp.pipeline: stages, presets, recipes, sessions"),
    ("cs", "segapp.cs: the names the field knows, on AnnData layers"),
)
"""Folders of the package that the API reference describes, with the title of their page."""


# ---- words


def default_text(item: Knob) -> str:
    """Return the default as a user would write it after ``--set``."""
    value = item.default
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value) or "empty"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


def allowed_text(item: Knob) -> str:
    """Return what else a parameter takes: its choices, its range, its words."""
    parts = list(item.choices)
    if item.kind == "bool":
        parts = ["true", "false"]
    if item.ge is not None and item.le is not None:
        parts.append(f"{item.ge:,g} to {item.le:,g}" if max(abs(item.ge), item.le) < 1e6 else f"from {item.ge:g}")
    parts += item.words if item.kind != "choice" else ()
    if item.odd:
        parts.append("odd")
    return ", ".join(parts)


# ---- tables


def table(headings: Sequence[str], widths: Sequence[int], rows: Iterable[Sequence[nodes.Node]]) -> nodes.table:
    """Return a table of cells that are already nodes."""
    group = nodes.tgroup(cols=len(headings))
    group += [nodes.colspec(colwidth=width) for width in widths]
    head = nodes.thead()
    head += _row([nodes.paragraph(text=heading) for heading in headings])
    body = nodes.tbody()
    body += [_row(cells) for cells in rows]
    group += [head, body]
    made = nodes.table(classes=["declared"])
    made += group
    return made


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        entry += cell
        row += entry
    return row


def code(text: str) -> nodes.paragraph:
    """Return a paragraph of one literal."""
    paragraph = nodes.paragraph()
    if text:
        paragraph += nodes.literal(text=text)
    return paragraph


def knob_table(items: Sequence[Knob]) -> nodes.table:
    """Return a table of parameters."""
    rows = []
    for item in items:
        start = code(default_text(item))
        if item.unit:
            start += nodes.Text(f" {item.unit}")
        rows.append([code(item.name), start, nodes.paragraph(text=allowed_text(item)), nodes.paragraph(text=item.doc)])
    return table(("parameter", "default", "takes", "what it does"), (14, 14, 18, 54), rows)


def declared_nodes(declared: Declared, only: Sequence[str] = ()) -> list[nodes.Node]:
    """Return the tables of a declaration: one, or those of its alternatives, with what they share told once."""
    if not isinstance(declared, Variants):
        items = knobs(declared)
        return [knob_table(items)] if items else [nodes.paragraph(text="This stage has no parameters.")]
    own = {
        name: [item for item in knobs(kind) if item.name != declared.tag]
        for name, kind in zip(declared.names(), classes(declared), strict=True)
    }
    if only:
        items = [item for name in own if name in only for item in own[name]]
        return [_lead([f"{declared.tag}={name}" for name in only]), knob_table(list(dict.fromkeys(items)))]
    choice = nodes.paragraph()
    choice += [*_literals([declared.tag]), nodes.Text(" is one of "), *_literals(own), nodes.Text("; ")]
    choice += [*_literals([declared.default]), nodes.Text(" where nothing is chosen.")]
    found: list[nodes.Node] = [choice]
    # a parameter is told once, with all alternatives that have it
    groups: dict[tuple[str, ...], list[Knob]] = {}
    for item in dict.fromkeys(item for items in own.values() for item in items):
        groups.setdefault(tuple(name for name, items in own.items() if item in items), []).append(item)
    for names, items in sorted(groups.items(), key=lambda group: len(group[0]) < len(own)):
        lead = [] if len(names) == len(own) else [_lead([f"{declared.tag}={name}" for name in names])]
        found += [*lead, knob_table(items)]
    return found


def _lead(texts: Iterable[str]) -> nodes.paragraph:
    paragraph = nodes.paragraph()
    paragraph += [nodes.Text("With "), *_literals(texts), nodes.Text(":")]
    return paragraph


def _literals(texts: Iterable[str]) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    for text in texts:
        found += [*([nodes.Text(", ")] if found else []), nodes.literal(text=text)]
    return found


# ---- directives


class KnobsDirective(SphinxDirective):
    """``{knobs} STAGE [ALTERNATIVE ...]``: the parameters of a stage, of all its alternatives or of some."""

    required_arguments = 1
    optional_arguments = 20

    def run(self) -> list[nodes.Node]:
        """Return the tables."""
        from segapp.pipeline.stages import PIPELINE

        name, *only = self.arguments
        if name not in PIPELINE:
            raise self.error(f"there is no stage {name}")
        stage = PIPELINE[name]
        lead = nodes.paragraph()
        lead += [nodes.Text("Stage "), nodes.literal(text=name), nodes.Text(f": {stage.doc}")]
        return [lead, *declared_nodes(stage.declared, only)]


class ParamsDirective(SphinxDirective):
    """``{params} module:Class``: the parameters of a class that belongs to no stage."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        module, _, name = self.arguments[0].partition(":")
        return declared_nodes(getattr(importlib.import_module(module), name))


class StagesDirective(SphinxDirective):
    """``{stages}``: every stage, what it takes by default and what it gives."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from segapp.pipeline.stages import PIPELINE

        rows = []
        for stage in PIPELINE:
            declared = stage.declared
            ways = ""
            if isinstance(declared, Variants):
                ways = f"{declared.tag} = {' / '.join(declared.names())}"
            rows.append(
                [
                    code(stage.name),
                    nodes.paragraph(text=stage.doc),
                    nodes.paragraph(text=ways),
                    nodes.paragraph(text=", ".join(stage.gives)),
                ]
            )
        return [table(("stage", "what it does", "alternatives", "gives"), (16, 40, 22, 22), rows)]


class PresetsDirective(SphinxDirective):
    """``{presets}``: every preset with the values that differ from the defaults."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from segapp.pipeline.presets import PRESETS

        rows = []
        for preset in PRESETS.values():
            values = nodes.literal_block(
                text="\n".join(f"{s}.{n}={v}" for s, patch in preset.patches.items() for n, v in patch.items())
            )
            values["language"] = "text"
            needs = "stain and RNA" if preset.needs_stain else "RNA"
            rows.append([code(preset.name), nodes.paragraph(text=preset.doc), nodes.paragraph(text=needs), values])
        return [table(("preset", "what it does", "needs", "sets"), (14, 44, 12, 30), rows)]


class SamplesDirective(SphinxDirective):
    """``{samples}``: every sample that comes with the package."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from segapp.io.samples import SAMPLES

        rows = [[code(name), nodes.paragraph(text=title)] for name, title in SAMPLES.items()]
        return [table(("sample", "what it is"), (15, 85), rows)]


class UsageDirective(SphinxDirective):
    """``{usage} [COMMAND]``: what ``segapp COMMAND --help`` prints."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the text."""
        from segapp.cli.main import _parser

        parser: argparse.ArgumentParser = _parser()
        if self.arguments:
            actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
            parser = actions[0].choices[self.arguments[0]]
        os.environ["COLUMNS"] = "100"
        os.environ["NO_COLOR"] = "1"
        block = nodes.literal_block(text=parser.format_help().rstrip())
        block["language"] = "text"
        return [block]


class StatesDirective(SphinxDirective):
    """``{states}``: what a stage can be, in the words of the app."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from segapp.views.theme import STATES

        rows = [
            [code(name), nodes.paragraph(text=word), nodes.paragraph(text=text)]
            for name, (word, text) in STATES.items()
        ]
        return [table(("state", "shown as", "meaning"), (15, 15, 70), rows)]


class ScreenshotDirective(SphinxDirective):
    """``{screenshot} FILE``: a picture that another task makes; nothing where it was not made."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"alt": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        name, path = self.env.relfn2path(self.arguments[0])
        if not Path(path).is_file():
            return []
        self.env.note_dependency(name)
        return [nodes.image(uri=self.arguments[0], alt=self.options.get("alt", ""))]


class PublicDirective(SphinxDirective):
    """``{public}``: the names of ``import segapp``, described."""

    def run(self) -> list[nodes.Node]:
        """Return a table with a link to each description."""
        import segapp

        rows = []
        for name, module in segapp._PUBLIC.items():
            value = getattr(segapp, name)
            doc = inspect.getdoc(value) if inspect.isclass(value) or inspect.isfunction(value) else ""
            if name in ("PRESETS", "PIPELINE"):
                doc = {"PRESETS": "Named starting points.", "PIPELINE": "The stages."}[name]
            target = nodes.paragraph()
            # the app is described under its public name, the others in their modules
            described = f"segapp.{name}" if module.startswith("segapp.app") else f"{module}.{name}"
            target += self.parse_inline(f"{{py:obj}}`segapp.{name} <{described}>`")[0]
            rows.append(
                [target, nodes.paragraph(text=(doc or "").split("\n\n")[0].replace("\n", " ").replace("`", ""))]
            )
        return [table(("name", "what it is"), (25, 75), rows)]


# ---- API pages


def module_names(floor: str) -> list[str]:
    """Return the modules of a folder of the package that have something public, by name; none where it is not there."""
    try:
        package = importlib.import_module(f"segapp.{floor}")
    except ModuleNotFoundError:
        return []
    names = [package.__name__]
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), prefix=f"{package.__name__}."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            names.append(found.name)
    return [name for name in sorted(names) if _has_something(name)]


def _has_something(name: str) -> bool:
    module = importlib.import_module(name)
    return any(
        not key.startswith("_") and getattr(value, "__module__", None) == name for key, value in vars(module).items()
    ) or bool(getattr(module, "__all__", ()))


def write_api_pages(app: Sphinx) -> None:
    """Write a page a module and a floor, so that a new module is in the reference without anyone's doing."""
    folder = Path(app.srcdir) / "api" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[Path, str] = {}
    for floor, title in FLOORS:
        names = module_names(floor)
        if not names:
            continue
        page = [title, "=" * len(title), ""]
        if floor == "cs":
            # its functions are used from the package itself, whatever file they are in
            page += [".. automodule:: segapp.cs", "   :no-members:", ""]
            for name in importlib.import_module("segapp.cs").__all__:
                page += [name, "-" * len(name), "", f".. autofunction:: segapp.cs.{name}", ""]
            names = []
        page += [".. toctree::", "   :maxdepth: 1", "", *(f"   {name}" for name in names)]
        wanted[folder / f"{floor}.rst"] = "\n".join(page) + "\n"
        for name in names:
            lines = [name, "=" * len(name), "", f".. automodule:: {name}", ""]
            wanted[folder / f"{name}.rst"] = "\n".join(lines)
    for old in set(folder.glob("*.rst")) - set(wanted):
        old.unlink()
    for path, text in wanted.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def add_knobs(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Append the parameters of a `Params` class to its description."""
    if what != "class" or not (isinstance(obj, type) and issubclass(obj, Params)) or obj is Params:
        return
    try:
        items = knobs(obj)
    except TypeError:  # a base without defaults
        return
    lines.append("")
    for item in items:
        unit = f" {item.unit}" if item.unit else ""
        takes = allowed_text(item)
        doc = item.doc.replace("*", "\\*").replace("`", "\\`").replace("|", "\\|")
        lines.append(f"- ``{item.name}`` = ``{default_text(item)}``{unit}{f' ({takes})' if takes else ''}. {doc}")
    lines.append("")


def short_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Leave the signature of a `Params` class out: its list of parameters says more."""
    if what == "class" and isinstance(obj, type) and issubclass(obj, Params):
        return "", None
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in (
        ("knobs", KnobsDirective),
        ("params", ParamsDirective),
        ("stages", StagesDirective),
        ("presets", PresetsDirective),
        ("samples", SamplesDirective),
        ("usage", UsageDirective),
        ("states", StatesDirective),
        ("screenshot", ScreenshotDirective),
        ("public", PublicDirective),
    ):
        app.add_directive(name, directive)
    app.connect("builder-inited", write_api_pages)
    # after numpydoc, which rewrites the whole text
    app.connect("autodoc-process-docstring", add_knobs, priority=900)
    app.connect("autodoc-process-signature", short_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
