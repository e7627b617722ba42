import struct

import numpy as np
import pytest
import tifffile
from anndata import AnnData

from segapp import cs
from segapp.core.types import InputError
from segapp.io.gem import read_gem
from segapp.io.samples import load_sample, write_sample

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """A GEM of 40 x 70 px (x, y) at an odd corner, and its records."""
    folder = tmp_path_factory.mktemp("chip")
    n = 900
    x, y = RNG.integers(1003, 1043, n), RNG.integers(507, 577, n)
    gene, count = RNG.integers(0, 5, n), RNG.integers(1, 4, n)
    spliced = RNG.integers(0, count + 1)
    cell = np.where(RNG.random(n) < 0.7, x // 10, 0)
    lines = [
        f"g{g}\t{a}\t{b}\t{c}\t{s}\t{c - s}\t{i}"
        for g, a, b, c, s, i in zip(gene, x, y, count, spliced, cell, strict=True)
    ]
    head = "#FileFormat=GEMv0.1\n#OffsetX=900\n#OffsetY=500\ngeneID\tx\ty\tMIDCount\tEXONIC\tINTRONIC\tmyCell\n"
    (folder / "a.gem").write_text(head + "\n".join(lines) + "\n")
    return folder, {"x": x, "y": y, "gene": gene, "count": count, "spliced": spliced, "cell": cell}


def summed(records, weights, shape, x0, y0, binsize=1):
    image = np.zeros(shape, np.int64)
    np.add.at(image, (records["x"] // binsize - x0, records["y"] // binsize - y0), weights)
    return image


@pytest.mark.parametrize("binsize", [1, 3, 7, 50])
def test_pixels_keep_their_coordinates_at_any_binsize(chip, binsize):
    folder, records = chip
    adata = cs.read_bgi_agg(folder / "a.gem", binsize=binsize)
    x0, y0 = records["x"].min() // binsize, records["y"].min() // binsize
    assert adata.obs_names[0] == str(x0) and adata.var_names[0] == str(y0)
    assert adata.obs_names[-1] == str(records["x"].max() // binsize)
    assert np.array_equal(adata.X.toarray(), summed(records, records["count"], adata.shape, x0, y0, binsize))
    spliced = summed(records, records["spliced"], adata.shape, x0, y0, binsize)
    assert np.array_equal(adata.layers["spliced"].toarray(), spliced)
    assert np.array_equal((adata.X - adata.layers["unspliced"]).toarray(), spliced)
    assert adata.uns["__type"] == "AGG" and adata.uns["spatial"]["binsize"] == binsize
    assert adata.uns["spatial"]["header"]["OffsetX"] == "900" and adata.uns["spatial"]["scale"] == 0.5


def test_the_real_gem_keeps_every_umi(tmp_path):
    write_sample("stereoseq", tmp_path)
    adata = cs.read_bgi_agg(tmp_path / "stereoseq.gem.gz")
    rna = load_sample("stereoseq").transcripts
    x0, y0, x1, y1 = rna.bbox
    assert adata.shape == (x1 - x0 + 1, y1 - y0 + 1) and adata.obs_names[0] == str(x0)
    assert int(adata.X.sum()) == rna.n_umis and "stain" not in adata.layers
    binned = cs.read_bgi(tmp_path / "stereoseq.gem.gz", binsize=50)
    assert int(binned.X.sum()) == rna.n_umis and binned.n_vars == len(rna.genes)


def test_stain_lies_where_its_file_says(chip):
    folder, records = chip
    image = RNG.integers(0, 60000, (1050, 600)).astype(np.uint16)
    tifffile.imwrite(folder / "stain.tif", image)
    adata = cs.read_bgi_agg(folder / "a.gem", folder / "stain.tif")
    x0, y0 = records["x"].min(), records["y"].min()
    assert adata.shape == (1050 - x0, 600 - y0) and adata.layers["stain"].dtype == np.uint16
    assert np.array_equal(adata.layers["stain"], image[x0:, y0:])
    tifffile.imwrite(folder / "turned.tif", np.ascontiguousarray(image.T))
    turned = cs.read_bgi_agg(folder / "a.gem", folder / "turned.tif", orientation="transpose")
    assert np.array_equal(turned.layers["stain"], adata.layers["stain"])
    with pytest.warns(UserWarning, match="orientation='transpose'"):
        cs.read_bgi_agg(folder / "a.gem", folder / "turned.tif")


@pytest.mark.parametrize("binsize", [3, 7])
def test_bins_of_the_stain_are_means_of_their_own_pixels(chip, binsize):
    folder, _ = chip
    image = RNG.random((1050, 600)).astype(np.float32)
    tifffile.imwrite(folder / "float.tif", image)
    adata = cs.read_bgi_agg(folder / "a.gem", folder / "float.tif", binsize=binsize)
    for name in (adata.obs_names[0], adata.obs_names[5], adata.obs_names[-1]):
        i, j = int(name), int(adata.var_names[-1])
        block = image[i * binsize : (i + 1) * binsize, j * binsize : (j + 1) * binsize]
        found = adata.layers["stain"][i - int(adata.obs_names[0]), -1]
        assert found == pytest.approx(block.mean(), rel=1e-5)


@pytest.mark.parametrize("binsize", [1, 3])
def test_a_stain_that_begins_at_the_rna(chip, binsize):
    folder, records = chip
    x0, y0 = int(records["x"].min()), int(records["y"].min())
    image = RNG.integers(1, 255, (40, 70)).astype(np.uint8)
    tifffile.imwrite(folder / "small.tif", image)
    adata = cs.read_bgi_agg(folder / "a.gem", folder / "small.tif", binsize=binsize, prealigned=True)
    i, j = int(adata.obs_names[1]), int(adata.var_names[1])
    block = image[i * binsize - x0 : (i + 1) * binsize - x0, j * binsize - y0 : (j + 1) * binsize - y0]
    assert adata.layers["stain"][1, 1] == np.rint(block.mean())


def test_genes_and_labels_become_layers(chip):
    folder, records = chip
    adata = cs.read_bgi_agg(
        folder / "a.gem", gene_agg={"one": ["g1"], "odd": lambda name: name in ("g1", "g3")}, label_column="myCell"
    )
    counts = records["count"]
    assert adata.layers["one"].sum() == counts[records["gene"] == 1].sum()
    assert adata.layers["odd"].sum() == counts[np.isin(records["gene"], (1, 3))].sum()
    assert set(np.unique(adata.layers["labels"])) == set(np.unique(records["cell"]))
    with pytest.raises(InputError, match="no column other"):
        cs.read_bgi_agg(folder / "a.gem", label_column="other")


def polygons(text):
    """Rings of a hexadecimal polygon or multipolygon."""
    raw = bytes.fromhex(text)

    def one(at):
        n, at = struct.unpack_from("<I", raw, at + 5)[0], at + 9
        rings = []
        for _ in range(n):
            size = struct.unpack_from("<I", raw, at)[0]
            rings.append(np.frombuffer(raw, "<f8", 2 * size, at + 4).reshape(-1, 2))
            at += 4 + 16 * size
        return rings, at

    if struct.unpack_from("<I", raw, 1)[0] == 3:
        return [one(0)[0]]
    found, at = [], 9
    for _ in range(struct.unpack_from("<I", raw, 5)[0]):
        rings, at = one(at)
        found.append(rings)
    assert at == len(raw)
    return found


def area(ring):
    return 0.5 * float(np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]))


@pytest.mark.parametrize("binsize", [1, 3])
def test_cells_have_absolute_coordinates_and_count_every_umi_once(chip, binsize):
    folder, records = chip
    pixels = cs.read_bgi_agg(folder / "a.gem", binsize=binsize)
    labels = np.zeros(pixels.shape, np.uint16)
    labels[1:5, 2:9] = 300  # a ring with a hole, wider along y
    labels[2:3, 4:6] = 0
    labels[6, 1], labels[8, 3] = 7, 7  # two pieces
    labels[9:12, 9:12] = 12
    pixels.layers["x_labels"] = labels
    cells = cs.read_bgi(folder / "a.gem", segmentation_adata=pixels, labels_layer="x")
    assert cells.obs_names.tolist() == ["7", "12", "300"]
    at = labels[records["x"] // binsize - int(pixels.obs_names[0]), records["y"] // binsize - int(pixels.var_names[0])]
    for name in (7, 12, 300):
        for layer, weights in (("X", records["count"]), ("spliced", records["spliced"])):
            values = cells.X if layer == "X" else cells.layers[layer]
            row = values[cells.obs_names.get_loc(str(name))].toarray().ravel()
            wanted = np.bincount(records["gene"][at == name], weights[at == name], 5)
            assert np.array_equal(row, wanted)
    assert cells.X.sum() + cells.uns["segapp"]["umis_unassigned"] == cells.uns["segapp"]["umis_total"]
    x0, y0 = int(pixels.obs_names[0]) * binsize, int(pixels.var_names[0]) * binsize
    assert cells.obsm["bbox"][2].tolist() == [x0 + binsize, y0 + 2 * binsize, x0 + 5 * binsize, y0 + 9 * binsize]
    assert cells.obs["area"].tolist() == [2 * binsize**2, 9 * binsize**2, 26 * binsize**2]
    assert cells.obsm["spatial"][1].tolist() == [x0 + 10.5 * binsize, y0 + 10.5 * binsize]
    ring = polygons(cells.obsm["contour"][2, 0])
    assert len(ring) == 1 and len(ring[0]) == 2  # an outer ring and a hole
    outer = ring[0][0]
    assert outer.min(0).tolist() == cells.obsm["bbox"][2][:2].tolist()
    assert outer.max(0).tolist() == cells.obsm["bbox"][2][2:].tolist()
    pieces = polygons(cells.obsm["contour"][0, 0])
    assert len(pieces) == 2
    for i in range(3):
        parts = polygons(cells.obsm["contour"][i, 0])
        outline = sum(abs(area(rings[0])) - sum(abs(area(hole)) for hole in rings[1:]) for rings in parts)
        assert outline == pytest.approx(cells.obs["area"].iloc[i])


def test_cells_without_umis_are_kept_and_flagged(chip):
    folder, _ = chip
    labels = np.zeros((1100, 600), np.int32)
    labels[1005:1015, 510:530], labels[0:3, 0:3] = 4, 9
    cells = cs.read_bgi(folder / "a.gem", labels=labels)
    assert cells.obs_names.tolist() == ["4", "9"] and cells.obs["empty"].tolist() == [False, True]
    np.save(folder / "labels.npy", labels)
    assert cs.read_bgi(folder / "a.gem", labels=folder / "labels.npy").X.sum() == cells.X.sum()
    small = cs.read_bgi(folder / "a.gem", labels=labels[::5, ::5], seg_binsize=5, add_props=False)
    assert small.X.sum() == cells.X.sum() and "contour" not in small.obsm


def test_cells_of_a_column(chip):
    folder, records = chip
    cells = cs.read_bgi(folder / "a.gem", label_column="myCell")
    ids = np.unique(records["cell"][records["cell"] > 0])
    assert cells.obs_names.tolist() == [str(i) for i in ids]
    own = records["cell"] == ids[0]
    assert cells.X.sum() + cells.uns["segapp"]["umis_unassigned"] == records["count"].sum()
    box = cells.obsm["bbox"][0]
    assert box[0] == records["x"][own].min() and box[3] == records["y"][own].max() + 1
    assert cells.obs["area"].iloc[0] == pytest.approx(abs(area(polygons(cells.obsm["contour"][0, 0])[0][0])))


def test_one_way_at_a_time(chip):
    folder, _ = chip
    with pytest.raises(InputError, match="nothing was given"):
        cs.read_bgi(folder / "a.gem")
    with pytest.raises(InputError, match="binsize and labels was given"):
        cs.read_bgi(folder / "a.gem", binsize=5, labels=np.ones((3, 3), int))
    with pytest.raises(InputError, match="belong together"):
        cs.read_bgi(folder / "a.gem", labels_layer="labels", binsize=5)
    with pytest.raises(InputError, match="binsize=0"):
        cs.read_bgi(folder / "a.gem", binsize=0)


def test_tables_survive_a_file(chip, tmp_path):
    from anndata import read_h5ad

    folder, _ = chip
    pixels = cs.read_bgi_agg(folder / "a.gem", binsize=2, label_column="myCell")
    cs.label_connected_components(pixels, "labels", area_threshold=np.inf, out_layer="plain_labels")
    cs.augment_labels(pixels, "plain", "labels")
    pixels.write_h5ad(tmp_path / "pixels.h5ad")
    cells = cs.read_bgi(folder / "a.gem", segmentation_adata=pixels, labels_layer="plain")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    again = read_h5ad(tmp_path / "cells.h5ad")
    assert isinstance(again, AnnData) and np.array_equal(again.obsm["spatial"], cells.obsm["spatial"])
    assert again.obsm["contour"].tolist() == cells.obsm["contour"].tolist()
    assert np.array_equal(read_h5ad(tmp_path / "pixels.h5ad").layers["labels"], pixels.layers["labels"])


def test_the_reader_takes_a_column_by_name(chip):
    folder, records = chip
    assert read_gem(folder / "a.gem").cell_id is None
    assert read_gem(folder / "a.gem", cell_column="mycell").cell_id.max() == records["cell"].max()
