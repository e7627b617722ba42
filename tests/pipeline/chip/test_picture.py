"""The picture in the table of a chip lies over its cells as that of a section does."""

import h5py
import numpy as np

from segapp.io import table
from segapp.pipeline.chip import outputs


def test_the_picture_of_a_chip_is_that_of_a_section(section, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "PICTURE", 400)
    monkeypatch.setattr(table, "MAX_SIDE", 400)
    moved = ["nuclei.source=watershed", "align.mode=off", "align.shift=[5.5,-7.25]"]
    _, _, session = section.compare(tmp_path / "out", "stain", moved, tile=512)
    whole = session.get("table").uns["spatial"]["segapp"]
    with h5py.File(tmp_path / "out" / "cells.h5ad") as file:
        found = file["uns/spatial/segapp"]
        picture, factor = found["images/hires"][:, :, 0], found["scalefactors/tissue_hires_scalef"][()]
    expected = whole["images"]["hires"][:, :, 0]
    assert factor == whole["scalefactors"]["tissue_hires_scalef"] == 0.5 and picture.shape == expected.shape

    def unlike(image):
        inner = np.s_[20:-20, 20:-20]
        return 1 - np.corrcoef(image[inner].ravel(), expected[inner].ravel())[0, 1]

    half = (picture.astype(float) + np.roll(picture, 1, axis=1)) / 2  # half a pixel to the right
    assert unlike(picture) < 2e-3 < unlike(half) / 2
