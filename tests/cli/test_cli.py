"""The command line end to end: files in, files out, one sentence and exit code 2 for what cannot be used."""

import gzip
import json
import os
import subprocess
import sys

import anndata
import numpy as np
import pytest
import tifffile

import segapp
from segapp.cli import main


def run(*words):
    """Call the command line as a process of its own would."""
    return main([str(word) for word in words])


def test_a_sample_has_its_truth_beside_it(tissue):
    names = {path.name for path in tissue.iterdir()}
    assert names == {"tissue.gem.gz", "stain.tif", "truth_nuclei.tif", "truth_cells.tif", "truth_density.tif"}
    assert tifffile.imread(tissue / "truth_cells.tif").shape == (256, 256)


def test_a_run_writes_cells_labels_nuclei_and_recipe(finished):
    assert {path.name for path in finished.iterdir()} == {"cells.h5ad", "labels.tif", "nuclei.tif", "recipe.json"}
    table = anndata.read_h5ad(finished / "cells.h5ad")
    labels = tifffile.imread(finished / "labels.tif")
    assert labels.dtype == np.uint32
    assert set(table.obs["label"]) == set(np.unique(labels)) - {0}


def test_every_umi_is_counted_once(tissue, finished):
    table = anndata.read_h5ad(finished / "cells.h5ad")
    total = segapp.read_gem(tissue / "tissue.gem.gz").n_umis
    assert int(table.X.sum()) + int(table.uns["segapp"]["umis_unassigned"]) == total


def test_a_cell_keeps_the_id_of_its_nucleus(finished):
    labels, nuclei = tifffile.imread(finished / "labels.tif"), tifffile.imread(finished / "nuclei.tif")
    inside = (nuclei > 0) & (labels > 0)
    assert inside.any()
    assert np.mean(nuclei[inside] == labels[inside]) > 0.99


def test_the_recipe_gives_bit_identical_labels(tissue, finished, tmp_path):
    out = tmp_path / "again"
    gem, stain = tissue / "tissue.gem.gz", tissue / "stain.tif"
    assert run("run", "--gem", gem, "--stain", stain, "--recipe", finished / "recipe.json", "--out", out) == 0
    for name in ("labels.tif", "nuclei.tif"):
        np.testing.assert_array_equal(tifffile.imread(out / name), tifffile.imread(finished / name))


def test_python_gives_what_the_command_line_gives(tissue, finished):
    result = segapp.run(tissue / "tissue.gem.gz", tissue / "stain.tif", recipe=finished / "recipe.json")
    np.testing.assert_array_equal(result.labels, tifffile.imread(finished / "labels.tif"))


def test_json_is_one_object_on_stdout(tissue, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("run", "--gem", tissue / "tissue.gem.gz", "--preset", "rna-total", "--out", out, "--json") == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert {"n_cells", "n_umis", "umis_assigned", "seconds", "peak_memory_mb"} <= set(summary)
    assert summary["n_cells"] == anndata.read_h5ad(out / "cells.h5ad").n_obs
    assert captured.err == ""


def test_set_changes_the_result_and_the_recipe(tissue, tmp_path):
    gem = tissue / "tissue.gem.gz"
    words = ["run", "--gem", gem, "--preset", "rna-total", "--set", "cell_score.method=gauss"]
    assert run(*words, "--set", "cell_score.k=9", "--set", "limits.min_area=50", "--out", tmp_path / "a") == 0
    params = json.loads((tmp_path / "a" / "recipe.json").read_text())["params"]
    assert params["cell_score"] == {"method": "gauss", "k": 9, "certain": "off"}
    assert (anndata.read_h5ad(tmp_path / "a" / "cells.h5ad").obs["area_px"] >= 50).all()


def test_a_run_and_a_finished_run_are_exported_alike(tissue, finished, tmp_path, capsys):
    gem, stain, out = tissue / "tissue.gem.gz", tissue / "stain.tif", tmp_path / "out"
    recipe = finished / "recipe.json"
    assert run("run", "--gem", gem, "--stain", stain, "--recipe", recipe, "--out", out, "--export", "geojson,gem") == 0
    names = {path.name for path in out.iterdir()}
    assert names == {"cells.h5ad", "labels.tif", "nuclei.tif", "recipe.json", "cells.geojson", "cells.gem.gz"}
    capsys.readouterr()
    later = tmp_path / "later"
    assert run("export", finished, "--gem", gem, "--to", "geojson,gem,csv,tif", "--out", later) == 0
    assert capsys.readouterr().out.split() == [
        str(later / f"cells{end}") for end in (".geojson", ".gem.gz", ".csv", ".tif")
    ]
    for name in ("cells.geojson", "cells.gem.gz"):
        assert (later / name).read_bytes() == (out / name).read_bytes()
    assert run("export", finished, "--to", "gem", "--out", later) == 2
    assert "needs the UMI records" in capsys.readouterr().err
    assert run("export", tissue, "--to", "csv") == 2 and "holds no cells.h5ad" in capsys.readouterr().err
    assert run("export", finished, "--to", "docx") == 2 and "no format docx" in capsys.readouterr().err


def test_nuclei_alone_are_the_counted_labels(tissue, tmp_path):
    assert run("run", "--gem", tissue / "tissue.gem.gz", "--preset", "rna-nuclear", "--out", tmp_path / "a") == 0
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"cells.h5ad", "labels.tif", "recipe.json"}


def test_the_frame_says_where_pixel_zero_is(tmp_path):
    assert run("sample", "stereoseq", "--out", tmp_path) == 0
    assert run("run", "--gem", tmp_path / "stereoseq.gem.gz", "--preset", "rna-total", "--out", tmp_path / "o") == 0
    frame = json.loads((tmp_path / "o" / "recipe.json").read_text())["frame"]
    assert (frame["x0"], frame["y0"], frame["um_per_px"]) == (9600, 12600, 0.5)
    table = anndata.read_h5ad(tmp_path / "o" / "cells.h5ad")
    np.testing.assert_allclose(table.obsm["spatial_input"] - table.obsm["spatial"], [[9600, 12600]] * table.n_obs)


def test_compare_prints_the_agreement(tissue, finished, capsys):
    assert run("compare", tissue / "truth_cells.tif", finished / "labels.tif", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {"ap", "f1", "precision", "recall", "mean_iou", "n_truth", "n_labels"} <= set(found)
    assert run("compare", tissue / "truth_cells.tif", tissue / "truth_cells.tif") == 0
    assert "1.000" in capsys.readouterr().out


def test_stages_lists_every_parameter_with_its_default(capsys):
    assert run("stages", "--json") == 0
    stages = {entry["stage"]: entry for entry in json.loads(capsys.readouterr().out)}
    names = {item["name"]: item for item in stages["nuclei_mask"]["parameters"]}
    assert names["mk"]["default"] == 5
    assert names["mk"]["odd"]
    assert run("stages") == 0
    assert "local_k = 55 px" in capsys.readouterr().out


def make_bad_files(folder, tissue):
    """Return the arguments of `segapp run` for each kind of input that cannot be used."""
    header = "geneID\tx\ty\tMIDCount\n"
    good = folder / "good.gem"
    good.write_text(header + "".join(f"Malat1\t{i % 40}\t{i // 40}\t{1 + i % 3}\n" for i in range(1600)))
    files = {
        "empty.gem": "",
        "no_x.gem": "geneID\tcolumn\ty\tMIDCount\nMalat1\t1\t1\t1\n",
        "text.gem": header + "Malat1\t1\t1\tmany\n",
        "negative.gem": header + "Malat1\t1\t1\t-3\n",
        "only_header.gem": header,
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    whole = gzip.compress(good.read_bytes())
    (folder / "cut.gem.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "file").write_text("not a folder")
    rng = np.random.default_rng(0)
    tifffile.imwrite(folder / "small.tif", rng.integers(0, 255, (20, 20), np.uint8))
    tifffile.imwrite(folder / "rgb.tif", rng.integers(0, 255, (40, 40, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(folder / "constant.tif", np.full((40, 40), 7, np.uint8))
    os.link(folder / "small.tif", folder / "stain.gem")
    return folder


BAD = {
    "missing file": ["--gem", "missing.gem"],
    "empty GEM": ["--gem", "empty.gem"],
    "GEM of a header alone": ["--gem", "only_header.gem"],
    "GEM without x": ["--gem", "no_x.gem"],
    "text in MIDCount": ["--gem", "text.gem"],
    "negative counts": ["--gem", "negative.gem"],
    "truncated gzip": ["--gem", "cut.gem.gz"],
    "stain that does not cover the RNA": ["--gem", "good.gem", "--stain", "small.tif"],
    "RGB without stain.channel": ["--gem", "good.gem", "--stain", "rgb.tif"],
    "constant stain": ["--gem", "good.gem", "--stain", "constant.tif"],
    "missing stain": ["--gem", "good.gem", "--stain", "none.tif"],
    "stain that is a GEM": ["--gem", "good.gem", "--stain", "good.gem"],
    "a directory": ["--gem", "."],
    "a stain file named .gem": ["--gem", "stain.gem"],
    "unknown stage in --set": ["--gem", "good.gem", "--set", "cellscore.k=9"],
    "unknown parameter in --set": ["--gem", "good.gem", "--set", "cell_score.kk=9"],
    "even k": ["--gem", "good.gem", "--set", "cell_score.k=8"],
    "out of range": ["--gem", "good.gem", "--set", "cell_score.k=100001"],
    "unknown preset": ["--gem", "good.gem", "--preset", "magic"],
    "preset that needs a stain": ["--gem", "good.gem", "--preset", "stain"],
    "recipe that is none": ["--gem", "good.gem", "--recipe", "good.gem"],
    "--set of another form": ["--gem", "good.gem", "--set", "k"],
    "--out below a regular file": ["--gem", "good.gem", "--out", "file/out"],
    "--out is a regular file": ["--gem", "good.gem", "--out", "file"],
    "network that is not there": [
        *("--gem", "good.gem", "--stain", "good.tif", "--set", "nuclei.source=network"),
        *("--set", "nuclei_network.model=nowhere"),
    ],
    "engine that is not installed": [
        *("--gem", "good.gem", "--stain", "good.tif", "--set", "nuclei.source=network"),
        *("--set", "nuclei_network.engine=deepcell"),
    ],
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_sentence_exit_code_2_and_no_file(words, tissue, tmp_path, monkeypatch, capsys):
    make_bad_files(tmp_path, tissue)
    tifffile.imwrite(tmp_path / "good.tif", np.random.default_rng(1).integers(0, 255, (40, 40), np.uint8))
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run("run", *words, *([] if "--out" in words else ["--out", "new/out"])) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("segapp: ")
    assert len(lines[0]) > 30
    assert "Traceback" not in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_rgb_lists_its_channels_and_works_with_one(tissue, tmp_path, capsys):
    stain = tifffile.imread(tissue / "stain.tif")
    tifffile.imwrite(tmp_path / "rgb.tif", np.stack([stain * 0, stain, stain // 2], -1), photometric="rgb")
    words = ["run", "--gem", tissue / "tissue.gem.gz", "--stain", tmp_path / "rgb.tif", "--preset", "stain"]
    assert run(*words, "--out", tmp_path / "o") == 2
    assert "green" in capsys.readouterr().err
    assert run(*words, "--set", "stain.channel=green", "--out", tmp_path / "o") == 0


def test_a_process_of_its_own_is_quiet_in_a_pipe(tissue, tmp_path):
    words = ["run", "--gem", tissue / "tissue.gem.gz", "--preset", "rna-total", "--out", tmp_path / "o", "--json"]
    done = subprocess.run([sys.executable, "-m", "segapp.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["nonsense"], ["run"], ["run", "--gem", "a", "--recipe", "b", "--preset", "c"]])
def test_wrong_words_are_one_sentence_and_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def fine_stain(tissue, path, **metadata):
    """The stain of the sample as a microscope of half the pixel size takes it."""
    fine = tifffile.imread(tissue / "stain.tif").repeat(2, axis=0).repeat(2, axis=1)
    tifffile.imwrite(path, fine, metadata={"axes": "YX", **metadata})
    return path


def test_a_stain_of_finer_pixels_gives_the_same_cells(tissue, finished, tmp_path, capsys):
    recipe, gem = finished / "recipe.json", tissue / "tissue.gem.gz"
    said = fine_stain(tissue, tmp_path / "said.ome.tif", PhysicalSizeX=0.25, PhysicalSizeXUnit="µm")
    assert run("run", "--gem", gem, "--stain", said, "--recipe", recipe, "--out", tmp_path / "a") == 0
    assert "said.ome.tif of 0.25 µm/px was averaged 2:1 onto pixels of 0.5 µm" in capsys.readouterr().out
    plain = fine_stain(tissue, tmp_path / "plain.tif")
    words = ["run", "--gem", gem, "--stain", plain, "--recipe", recipe]
    assert run(*words, "--out", tmp_path / "b") == 2
    assert "stain.um_per_px=0.25" in capsys.readouterr().err
    assert run(*words, "--set", "stain.um_per_px=0.25", "--out", tmp_path / "b") == 0
    again = ["run", "--gem", gem, "--stain", plain, "--recipe", tmp_path / "b" / "recipe.json"]
    assert run(*again, "--out", tmp_path / "c") == 0
    for folder in "abc":
        for name in ("labels.tif", "nuclei.tif"):
            np.testing.assert_array_equal(tifffile.imread(tmp_path / folder / name), tifffile.imread(finished / name))


def test_convert_brings_a_finer_stain_onto_the_counts(tissue, tmp_path, capsys):
    plain, gem = fine_stain(tissue, tmp_path / "plain.tif"), tissue / "tissue.gem.gz"
    words = ["convert", gem, "--stain", plain, "--stain-um-per-px"]
    assert run(*words, "wide", "--out", tmp_path / "chip") == 2
    assert "--stain-um-per-px is wide" in capsys.readouterr().err
    assert not (tmp_path / "chip").exists()
    assert run(*words, "0.25", "--out", tmp_path / "chip") == 0
    assert "plain.tif of 0.25 µm/px was averaged 2:1" in capsys.readouterr().err
    chip = segapp.io.chip.Chip.open(tmp_path / "chip")
    assert chip.stain["shape"] == [256, 256]
    # a recipe that was tuned with the number goes on with the chip; another number has to be converted for
    words = ["run", "--chip", tmp_path / "chip", "--preset", "stain+rna", "--out", tmp_path / "out"]
    assert run(*words, "--set", "stain.um_per_px=0.25", "--dry-run") == 0
    assert run(*words, "--set", "stain.um_per_px=0.3") == 2
    assert "convert the chip again with --stain-um-per-px 0.3" in capsys.readouterr().err
