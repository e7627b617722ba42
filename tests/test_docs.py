"""The documentation keeps up with the code: a page for every stage, every picture made, every page reachable."""

import importlib.util
import re
from pathlib import Path

import pytest

from segapp.core.params import Params, Variants, classes, knob, knobs
from segapp.pipeline.stages import PIPELINE

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
TEXT = {path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text(encoding="utf-8") for path in PAGES}


@pytest.fixture(scope="module")
def declared():
    spec = importlib.util.spec_from_file_location("declared", DOCS / "_ext" / "declared.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown():
    """Stages whose parameters some page renders."""
    return {name for text in TEXT.values() for name in re.findall(r"^```\{knobs\} (\w+)", text, re.MULTILINE)}


def test_every_stage_has_its_parameters_on_a_page():
    rendered = shown()
    assert rendered <= set(PIPELINE.by_name)
    declarations = [PIPELINE[name].declared for name in rendered]
    missing = [
        stage.name
        for stage in PIPELINE
        if stage.name not in rendered
        and not (stage.declared in declarations and any(f"`{stage.name}`" in text for text in TEXT.values()))
    ]
    assert missing == []


def test_every_page_is_in_the_table_of_contents():
    listed = {"index"}
    for name, text in TEXT.items():
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            folder = f"{name.rpartition('/')[0]}/" if "/" in name else ""
            entries = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {folder + entry for entry in entries}
    assert set(TEXT) - listed == set()
    assert {entry for entry in listed if "/generated/" not in entry} - set(TEXT) == set()


def test_pictures_are_those_that_pages_show():
    text = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "pictures").glob("*.py"))
    made = set(re.findall(r"^@picture\ndef (\w+)", text, re.MULTILINE))
    wanted = {name for text in TEXT.values() for name in re.findall(r"\{figure\} /_build/pictures/(\w+)\.png", text)}
    assert made == wanted


def test_every_figure_says_what_it_shows_to_those_who_cannot_see_it():
    for text in TEXT.values():
        for options in re.findall(r"^:::\{figure\}[^\n]*\n([^\n]*)", text, re.MULTILINE):
            assert options.startswith(":alt: ")


def test_links_to_headings_lead_somewhere():
    for name, text in TEXT.items():
        for target, heading in re.findall(r"\]\((?!http)([\w./]+)#([\w-]+)\)", text):
            page = (DOCS / f"{name}.md").parent / target
            found = [re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in headings(page)]
            assert heading in found, f"{name}.md links to {target}#{heading}"


def headings(page):
    return [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]


@pytest.mark.parametrize("stage", PIPELINE.stages, ids=lambda stage: stage.name)
def test_tables_hold_every_parameter_with_its_default(declared, stage):
    text = "\n".join(node.astext() for node in declared.declared_nodes(stage.declared))
    for kind in classes(stage.declared):
        for item in knobs(kind):
            assert item.name in text
            assert item.doc in text or (isinstance(stage.declared, Variants) and item.name == stage.declared.tag)
            assert declared.default_text(item) in text
            assert declared.default_text(item) != ""


def test_what_a_parameter_takes_is_said_in_words(declared):
    class Blur(Params):
        k: int = knob(5, unit="px", odd=True, ge=1, le=99, soft=(1, 21), doc="Diameter.")
        square: bool = knob(False, doc="Shape.")
        sigma: float = knob(0.5, ge=0, le=1e9, soft=(0, 2), doc="Width.")
        points: tuple[int, ...] = knob((), doc="Where.")

    said = {item.name: (declared.default_text(item), declared.allowed_text(item)) for item in knobs(Blur)}
    assert said == {
        "k": ("5", "1 to 99, odd"),
        "square": ("false", "true, false"),
        "sigma": ("0.5", "from 0"),
        "points": ("empty", ""),
    }


def test_the_reference_has_every_floor_and_its_modules(declared):
    names = declared.module_names("core")
    assert "segapp.core.stain" in names
    assert "segapp.core.score.moran" in names
    assert not any("._" in name for name in names)
    assert declared.module_names("no_such_floor") == []
