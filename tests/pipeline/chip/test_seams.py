"""Tiled is untiled: the same cells, whatever the method and wherever the borders of the tiles lie."""

import anndata
import numpy as np
import pytest

from tests.pipeline.chip.configurations import PRESETS
from tests.pipeline.chip.conftest import labels_of, same_partition


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_gives_the_same_cells_in_tiles(section, tmp_path, name):
    preset, changes = PRESETS[name]
    tiled, whole, session = section.compare(tmp_path / "out", preset, changes)
    assert tiled.max() > 200
    assert same_partition(tiled, whole)
    if session.get("nuclei") is not None:
        assert np.array_equal(labels_of(tmp_path / "out", "nuclei") > 0, session.get("nuclei") > 0)
    table, expected = anndata.read_h5ad(tmp_path / "out" / "cells.h5ad"), session.get("table")
    first = np.unique(whole, return_index=True)[1][1:]
    expected = expected[np.argsort(first)]
    assert list(table.obs.columns) == list(expected.obs.columns)
    assert (table.X != expected.X).nnz == 0
    assert all((table.layers[name] != expected.layers[name]).nnz == 0 for name in expected.layers)
    for name in table.obs.columns.drop("label"):
        if table.obs[name].dtype.kind in "iufb":
            np.testing.assert_allclose(table.obs[name], expected.obs[name].astype(float), rtol=1e-5, err_msg=name)
        else:
            assert (table.obs[name].astype(str).to_numpy() == expected.obs[name].astype(str).to_numpy()).all()
    np.testing.assert_allclose(table.obsm["spatial_input"], expected.obsm["spatial_input"])
    assert table.uns["segapp"]["umis_unassigned"] == expected.uns["segapp"]["umis_unassigned"]
