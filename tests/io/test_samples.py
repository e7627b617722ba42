"""Samples: they load, their files read back as they were, and bad requests get one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segapp.core.types import InputError
from segapp.io.gem import read_gem
from segapp.io.image import read_stain
from segapp.io.masks import read_labels
from segapp.io.samples import SAMPLES, load_sample, write_sample


@pytest.mark.parametrize("name", ["tissue", "mosta"])
def test_files_hold_the_sample(name: str, tmp_path: Path) -> None:
    sample = load_sample(name, size=128, seed=4)
    paths = write_sample(name, tmp_path / "out", size=128, seed=4)
    assert sorted(p.name for p in paths) == sorted(p.name for p in (tmp_path / "out").iterdir())
    assert read_gem(paths[0]).digest == sample.transcripts.digest
    stain = read_stain(tmp_path / "out" / "stain.tif")
    assert sample.stain is not None
    assert (stain.digest, stain.name, stain.axes) == (sample.stain.digest, sample.stain.name, sample.stain.axes)
    np.testing.assert_array_equal(stain.image, sample.stain.image)
    for kind, labels in sample.truth.items():
        np.testing.assert_array_equal(read_labels(tmp_path / "out" / f"truth_{kind}.tif"), labels)


def test_stereoseq_is_the_real_gem(tmp_path: Path) -> None:
    sample = load_sample("stereoseq")
    assert sample.stain is None
    assert not sample.truth
    assert sample.transcripts.bbox == (9600, 12600, 9898, 12899)
    assert sample.transcripts.n_umis == 131002
    (path,) = write_sample("stereoseq", tmp_path)
    assert read_gem(path).digest == sample.transcripts.digest


def test_a_cut_of_stereoseq_keeps_its_coordinates() -> None:
    x0, y0, x1, y1 = load_sample("stereoseq", size=100).transcripts.bbox
    assert (x0 >= 9600, x1 <= 9898, y0 >= 12600, y1 <= 12899) == (True,) * 4
    assert max(x1 - x0, y1 - y0) < 100


def test_mosta_is_called_semi_synthetic_and_fits_together() -> None:
    sample = load_sample("mosta")
    assert "semi-synthetic" in sample.title
    assert "Semi-synthetic" in sample.note
    assert sample.stain is not None
    assert sample.stain.image.shape == (1200, 1200)
    nuclei, cells = sample.truth["nuclei"], sample.truth["cells"]
    assert nuclei.max() > 900
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    t = sample.transcripts
    unspliced = np.zeros(nuclei.shape)
    np.add.at(unspliced, (t.y, t.x), t.counts["unspliced"])
    assert unspliced[nuclei > 0].mean() > 3 * unspliced[cells == 0].mean()
    # the stain shows a nucleus near (x + 1, y - 9) of its place in the RNA: it is not transposed against it
    stain = sample.stain.image.astype(float)
    seen = np.corrcoef(stain[100:1000, 100:1000].ravel(), (nuclei > 0)[109:1009, 99:999].ravel())[0, 1]
    turned = np.corrcoef(stain.T[100:1000, 100:1000].ravel(), (nuclei > 0)[109:1009, 99:999].ravel())[0, 1]
    assert seen > 0.6
    assert turned < 0.2


def test_titles_and_notes() -> None:
    assert tuple(SAMPLES) == ("tissue", "stereoseq", "mosta")
    sample = load_sample("tissue", size=64)
    assert sample.title == SAMPLES["tissue"]
    assert "(+4, -6)" in sample.note
    assert sample.stain_shift == (4, -6)


def test_stain_is_read_only() -> None:
    sample = load_sample("tissue", size=64)
    assert sample.stain is not None
    with pytest.raises(ValueError, match="read-only"):
        sample.stain.image[0, 0] = 1


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("lung", {}, "tissue, stereoseq, mosta"),
        ("stereoseq", {"seed": 1}, "no seed"),
        ("stereoseq", {"size": 400}, "64 to 299"),
        ("mosta", {"size": 2000}, "64 to 1200"),
        ("tissue", {"size": 10}, "at least 64"),
    ],
)
def test_what_is_not_there_is_refused(name: str, arguments: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        load_sample(name, **arguments)


def test_nothing_is_written_when_the_sample_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_sample("stereoseq", tmp_path / "out", size=5000)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="regular file"):
        write_sample("tissue", tmp_path / "file", size=64)
