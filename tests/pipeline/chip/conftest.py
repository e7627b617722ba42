from pathlib import Path

import numpy as np
import pytest
import zarr

from segapp.io.chip import convert_chip
from segapp.io.gem import read_gem
from segapp.io.image import read_stain
from segapp.io.samples import write_sample
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.freeze import freeze
from segapp.pipeline.chip.numbers import read_statistics
from segapp.pipeline.job import patches_of
from segapp.pipeline.session import Session


class Section:
    """A simulated section as files, as arrays, and as a chip."""

    def __init__(self, folder: Path, size: int, seed: int) -> None:
        gem, stain, *_ = write_sample("tissue", folder / "files", size=size, seed=seed)
        self.gem, self.stain = gem, stain
        self.chip = convert_chip(gem, folder / "chip", stain=stain)
        self.records, self.image = read_gem(gem), read_stain(stain)

    def session(self, preset, changes, statistics=None):
        session = Session()
        session.use_preset(preset)
        session.set_many(patches_of(session, changes))
        session.load(self.records, self.image)
        if statistics is not None:
            freeze(session, statistics)
        return session

    def compare(self, out, preset, changes=(), tile=256, **options):
        """Run the chip in tiles, and the section as one with the same numbers; return both labels and the session."""
        run_chip(self.chip, out, preset=preset, set=changes, tile=tile, **options)
        session = self.session(preset, changes, read_statistics(out / "statistics.json"))
        return labels_of(out), session.get("cells"), session


def labels_of(out, name="labels"):
    return zarr.open_array(out / "labels.zarr", path=f"{name}/0")[:]


def same_partition(a, b):
    """Whether two label images are one up to the names of the labels."""
    pairs = np.unique(np.stack([a.ravel().astype(np.int64), b.ravel().astype(np.int64)]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.fixture(scope="package")
def section(tmp_path_factory):
    return Section(tmp_path_factory.mktemp("section"), 768, 11)


@pytest.fixture(scope="package")
def small(tmp_path_factory):
    return Section(tmp_path_factory.mktemp("small"), 512, 12)
