"""The bundled network in tiles, and nuclei that it shares with the watershed."""

from pathlib import Path

import numpy as np
import pytest

from segapp.core.engines.prepare import equalize, percentiles
from segapp.core.types import StainFile, Unavailable
from segapp.io.chip import convert_chip
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.freeze import freeze
from segapp.pipeline.chip.kept import Kept
from segapp.pipeline.chip.numbers import read_statistics
from segapp.pipeline.chip.window import ChipWindow
from segapp.pipeline.job import patches_of
from segapp.pipeline.session import Session
from tests.pipeline.chip.configurations import NETWORKS
from tests.pipeline.chip.conftest import labels_of, same_partition

ENGINES = Path(__file__).parents[2] / "core" / "engines" / "fixtures"
NETWORK = ["align.mode=off", "nuclei.source=network", "cells.method=nuclei"]


def test_the_network_gives_the_same_nuclei_in_tiles(small, tmp_path):
    preset, changes = NETWORKS["network"]
    result = run_chip(small.chip, tmp_path / "out", preset=preset, set=changes, tile=256)
    numbers = read_statistics(tmp_path / "out" / "statistics.json")
    scale = numbers["nuclei_network"].statistics["scale"]
    session = small.session(preset, [*changes, f"nuclei_network.scale={scale}"])
    freeze(session, {name: value for name, value in numbers.items() if name != "nuclei_network"})
    whole, tiled = session.get("cells"), labels_of(tmp_path / "out")
    assert result.summary["n_cells"] > 100
    assert same_partition(tiled, whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_stain_is_equalised_in_tiles_as_it_is_whole(small, tmp_path, dtype):
    image = small.image.image.astype(dtype) * (1 if dtype == np.uint8 else 40)
    chip = convert_chip(small.gem, tmp_path / "chip", stain=StainFile(image, digest=f"as {np.dtype(dtype)}"))
    model = [f"nuclei_network.model={ENGINES / 'tiny'}", "nuclei_network.scale=1", "nuclei_network.equalize=2"]
    run_chip(chip, tmp_path / "out", preset="stain", set=[*NETWORK, *model], tile=256)
    found = read_statistics(tmp_path / "out" / "statistics.json")["nuclei_network"].statistics
    stain = np.ascontiguousarray(image)
    assert (found["black"], found["white"]) == percentiles(equalize(stain, 2.0), 1.0, 99.8)
    session = small.session("stain", [*NETWORK, *model])
    session.load(small.records, StainFile(image))
    whole, tiled = session.get("cells"), labels_of(tmp_path / "out")
    plain = small.session("stain", [*NETWORK, *model[:2], "nuclei_network.equalize=0"]).get("cells")
    assert tiled.max() > 50
    assert same_partition(tiled, whole)
    assert np.mean((whole > 0) != (plain > 0)) > 1e-2


def test_a_window_is_equalised_by_its_place_on_the_chip(small):
    model = [f"nuclei_network.model={ENGINES / 'tiny'}", "nuclei_network.scale=1", "nuclei_network.equalize=2"]
    window = ChipWindow(Kept(small.chip), Session())
    window.session.use_preset("stain")
    window.session.set_many(patches_of(window.session, [*NETWORK, *model]))
    frame = window.frame
    window.open(type(frame)(frame.x0 + 256, frame.y0 + 256, 256, 256, frame.um_per_px))
    scores = window.session.get("network_scores")
    whole = small.session("stain", [*NETWORK, *model]).get("network_scores")[256:512, 256:512]
    inner = np.s_[96:, 96:]
    # a chip this small is its own small picture, and the percentiles are of places
    assert np.abs(scores[inner] - whole[inner]).mean() < 0.01


@pytest.mark.parametrize(
    "changes",
    [[], ["nuclei_network.equalize=2", "nuclei_network.normalizer=percentile"], ["nuclei_network.scale=1.3"]],
)
def test_a_network_in_onnx_gives_the_same_nuclei_in_tiles(section, tmp_path, changes):
    model = [f"nuclei_network.model={ENGINES / 'onnx' / 'any.onnx'}", "nuclei_network.engine=onnx"]
    model += ["nuclei_network.tilesize=96", "nuclei_network.context=8", "nuclei_network.threshold=0.85", *changes]
    run_chip(section.chip, tmp_path / "out", preset="stain", set=[*NETWORK, *model], tile=256)
    assert read_statistics(tmp_path / "out" / "statistics.json")["nuclei_network"].statistics["sigmoid"] is True
    whole, tiled = section.session("stain", [*NETWORK, *model]).get("cells"), labels_of(tmp_path / "out")
    assert tiled.max() > 50
    assert same_partition(tiled, whole)


def test_a_network_of_another_package_is_refused_with_what_to_do(small, tmp_path):
    for change, said in (
        (["nuclei_network.engine=cellpose"], "set nuclei_network.engine=stardist"),
        (["nuclei_network.model=2D_versatile_fluo"], "predictor=torch"),
    ):
        with pytest.raises(Unavailable, match=said):
            run_chip(small.chip, tmp_path / said[:9], preset="stain", set=[*NETWORK, *change], tile=256)
