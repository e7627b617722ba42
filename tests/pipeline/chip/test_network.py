"""The bundled network in tiles, and nuclei that it shares with the watershed."""

import numpy as np

from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.freeze import freeze
from segapp.pipeline.chip.numbers import read_statistics
from tests.pipeline.chip.conftest import labels_of, same_partition


def test_the_network_gives_the_same_nuclei_in_tiles(small, tmp_path):
    changes = ["align.mode=off", "cells.method=nuclei"]
    result = run_chip(small.chip, tmp_path / "out", preset="stain", set=changes, tile=256)
    numbers = read_statistics(tmp_path / "out" / "statistics.json")
    scale = numbers["nuclei_network"].statistics["scale"]
    session = small.session("stain", [*changes, f"nuclei_network.scale={scale}"])
    freeze(session, {name: value for name, value in numbers.items() if name != "nuclei_network"})
    whole, tiled = session.get("cells"), labels_of(tmp_path / "out")
    assert result.summary["n_cells"] > 100
    # the last bit of a convolution depends on the size of what it is given: an outline may move by a pixel
    assert len(np.unique(whole)) - 1 == tiled.max()
    assert np.mean((whole > 0) != (tiled > 0)) < 1e-4
    assert same_partition(tiled[30:-30, 30:-30], whole[30:-30, 30:-30]) or np.mean((whole > 0) != (tiled > 0)) > 0
