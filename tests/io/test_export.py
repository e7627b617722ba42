import numpy as np
import pytest

from segapp.core.types import InputError
from segapp.io.export import EXPORTERS, find_exporters
from segapp.io.samples import load_sample
from segapp.pipeline.job import Result, run


@pytest.fixture(scope="module")
def result() -> Result:
    sample = load_sample("tissue", size=128, seed=11)
    return run(sample.transcripts, sample.stain)


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_writes_one_file_of_its_suffix(name, result, tmp_path):
    exporter = EXPORTERS[name]
    assert exporter.name == name and exporter.title and exporter.doc.endswith(".") and exporter.suffix.startswith(".")
    path = tmp_path / f"cells{exporter.suffix}"
    exporter.write(result, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.stat().st_size > 0


def test_labels_as_tiff_keep_their_numbers_and_their_place(result, tmp_path):
    import tifffile

    EXPORTERS["tif"].write(result, tmp_path / "a.tif")
    back = tifffile.imread(tmp_path / "a.tif")
    assert back.dtype == np.uint32 and np.array_equal(back, result.labels)


def test_names_of_formats_are_forgiving_and_unknown_ones_are_listed():
    assert [e.name for e in find_exporters(" H5AD,.tif,h5ad,")] == ["h5ad", "tif"]
    with pytest.raises(InputError, match="no format docx; choose among h5ad"):
        find_exporters(["docx"])


def test_a_result_knows_its_frame_and_recipe(result):
    assert result.grid.shape == result.labels.shape and '"cell_score"' in result.recipe
    assert result.transcripts.n_umis == result.summary["n_umis"]
