"""Every input format against a small file made as its maker writes it; wrong and truncated files get one sentence."""

import gzip
import json

import h5py
import numpy as np
import polars as pl
import pytest

from segapp.core.frame import StainParams, place_stain
from segapp.core.rna import RnaParams, pixel_size
from segapp.core.types import InputError
from segapp.io.gef import read_gef
from segapp.io.gem import read_gem
from segapp.io.image import read_stain, write_image
from segapp.io.tenx import read_visium_hd
from segapp.io.transcripts import read_transcripts
from segapp.io.transcripts_table import read_transcripts_table

GEM = "#FileFormat=GEMv0.1\n#OffsetX=0\n#OffsetY=0\ngeneID\tx\ty\tMIDCount\tExonCount\n"
RECORDS = [("Actb", 7, 9, 2, 1), ("Actb", 8, 30, 300, 4), ("Malat1", 7, 9, 5, 0)]


def gem_file(folder):
    path = folder / "a.gem"
    path.write_text(GEM + "".join("\t".join(map(str, record)) + "\n" for record in RECORDS))
    return path


def gef_file(folder, *, names=True, exon=True, bins=("bin1",)):
    """As SAW writes it: records by gene, a table of genes with where each begins."""
    path = folder / "a.gef"
    with h5py.File(path, "w") as file:
        file.attrs["version"] = np.array([2], np.uint32)
        file.attrs["resolution"] = np.array([500], np.uint32)
        file.attrs["offsetX"], file.attrs["offsetY"] = np.array([0], np.int32), np.array([0], np.int32)
        file.attrs["omics"] = np.bytes_("Transcriptomics")
        for name in bins:
            group = file.create_group(f"geneExp/{name}")
            kind = np.dtype([("x", "<i4"), ("y", "<i4"), ("count", "<u2")])
            group["expression"] = np.array([(x, y, n) for _, x, y, n, _ in RECORDS], kind)
            group["expression"].attrs["maxX"] = np.array([8], np.int32)
            if exon:
                group["exon"] = np.array([record[4] for record in RECORDS], np.uint16)
            fields = [("geneID", "S64"), *([("geneName", "S64")] if names else []), ("offset", "<u4"), ("count", "<u4")]
            rows = [(b"ENSMUSG1", b"Actb", 0, 2), (b"Malat1", b"", 2, 1)]
            group["gene"] = np.array([row if names else (row[1] or row[0], *row[2:]) for row in rows], np.dtype(fields))
    return path


def visium_folder(folder, *, positions=True):
    """As Space Ranger writes binned_outputs/square_008um: columns of the matrix are squares."""
    folder.mkdir(exist_ok=True)
    barcodes = [f"s_008um_{r:05d}_{c:05d}-1" for r, c in ((12, 345), (12, 346), (90, 2))]
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(barcodes, "S")
        matrix["data"] = np.array([4, 1, 7], np.int32)
        matrix["indices"] = np.array([0, 1, 1], np.int64)
        matrix["indptr"] = np.array([0, 2, 2, 3], np.int64)
        matrix["shape"] = np.array([2, 3], np.int32)
        features = matrix.create_group("features")
        features["id"] = np.array(["ENSMUSG1", "ENSMUSG2"], "S")
        features["name"] = np.array(["Actb", "Malat1"], "S")
        features["feature_type"] = np.array(["Gene Expression"] * 2, "S")
    if positions:
        (folder / "spatial").mkdir()
        pl.DataFrame(
            {
                "barcode": barcodes[::-1],
                "in_tissue": [1, 1, 1],
                "array_row": [90, 12, 12],
                "array_col": [2, 346, 345],
                "pxl_row_in_fullres": [1.5, 2.5, 3.5],
                "pxl_col_in_fullres": [1.5, 2.5, 3.5],
            }
        ).write_parquet(folder / "spatial" / "tissue_positions.parquet")
        (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps({"bin_size_um": 8.0}))
    return folder


TABLES = {
    "Xenium": {
        "transcript_id": [1, 2, 3, 4, 5],
        "cell_id": ["aaaabbbb-1", "UNASSIGNED", "aaaabbbb-1", "x", "y"],
        "overlaps_nucleus": [1, 0, 0, 0, 0],
        "feature_name": ["Actb", "Actb", "Malat1", "Actb", "NegControlProbe_00042"],
        "x_location": [10.2, 10.4, 3.0, 10.2, 1.0],
        "y_location": [4.9, 4.6, 0.2, 4.9, 1.0],
        "z_location": [1.0] * 5,
        "qv": [40.0, 20.0, 33.3, 7.9, 40.0],
    },
    "MERSCOPE": {
        "": [0, 1, 2, 3],
        "barcode_id": [5, 5, 6, 7],
        "global_x": [10.2, 10.4, 3.0, 9.0],
        "global_y": [4.9, 4.6, 0.2, 9.0],
        "global_z": [0.0] * 4,
        "x": [100.0] * 4,
        "y": [90.0] * 4,
        "fov": [0] * 4,
        "gene": ["Actb", "Actb", "Malat1", "Blank-12"],
    },
    "CosMx": {
        "fov": [1, 1, 1, 1],
        "cell_ID": [0, 4, 4, 5],
        "x_global_px": [value / 0.12028 for value in (10.2, 10.4, 3.0, 9.0)],
        "y_global_px": [value / 0.12028 for value in (4.9, 4.6, 0.2, 9.0)],
        "x_local_px": [1, 2, 3, 4],
        "y_local_px": [1, 2, 3, 4],
        "z": [0] * 4,
        "target": ["Actb", "Actb", "Malat1", "SystemControl7"],
        "CellComp": ["Nuclear", "None", "Cytoplasm", "None"],
    },
}


def told(reader, path) -> str:
    with pytest.raises(InputError) as caught:
        reader(path)
    sentence = str(caught.value)
    assert "\n" not in sentence and path.parent.name in sentence
    return sentence


def test_a_gef_gives_what_the_gem_of_the_chip_gives(tmp_path):
    gem, gef = read_gem(gem_file(tmp_path)), read_transcripts(gef_file(tmp_path))
    for name in ("x", "y", "gene"):
        assert np.array_equal(getattr(gem, name), getattr(gef, name))
    assert gem.genes == gef.genes == ("Actb", "Malat1") and gem.counts.keys() == gef.counts.keys()
    assert all(np.array_equal(gem.counts[name], gef.counts[name]) for name in gem.counts)
    assert gef.header["OffsetX"] == "0" and pixel_size(gef, RnaParams()) == 0.5


def test_a_gef_without_names_and_exons(tmp_path):
    found = read_gef(gef_file(tmp_path, names=False, exon=False))
    assert found.genes == ("Actb", "Malat1") and list(found.counts) == ["total"]


def test_a_gef_that_cannot_be_used_says_why(tmp_path):
    assert "holds bin100, bin50 but not bin1" in told(read_gef, gef_file(tmp_path, bins=("bin50", "bin100")))
    path = gef_file(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut short" in told(read_transcripts, path)
    with h5py.File(tmp_path / "c.gef", "w") as file:
        file.create_group("cellBin")
    assert "cell bins" in told(read_gef, tmp_path / "c.gef")
    with h5py.File(gef_file(tmp_path), "r+") as file:
        genes = file["geneExp/bin1/gene"]
        genes[1] = (b"Malat1", b"", 2, 9)
    assert "lists 11 records by gene but holds 3" in told(read_gef, tmp_path / "a.gef")


@pytest.mark.parametrize("positions", [True, False])
def test_visium_hd_squares_lie_where_the_positions_say(tmp_path, positions):
    folder = visium_folder(tmp_path / "square_008um", positions=positions)
    for path in (folder, folder / "filtered_feature_bc_matrix.h5"):
        found = read_transcripts(path)
        assert found.n_umis == 12 and found.genes == ("Actb", "Malat1")
        # x is the column and y the row of the array
        assert list(zip(found.x.tolist(), found.y.tolist(), strict=True)) == [(345, 12), (345, 12), (2, 90)]
        assert found.counts["total"].tolist() == [4, 1, 7] and pixel_size(found, RnaParams()) == 8.0


def test_visium_hd_that_cannot_be_used_says_why(tmp_path):
    folder = visium_folder(tmp_path / "square_008um")
    pl.DataFrame({"barcode": ["other"], "array_row": [0], "array_col": [0]}).write_parquet(
        folder / "spatial" / "tissue_positions.parquet"
    )
    assert "no place for 3 squares, such as s_008um_00012_00345-1" in told(read_visium_hd, folder)
    (folder / "spatial" / "tissue_positions.parquet").write_bytes(b"PAR1 and no more")
    assert "cannot be read as positions" in told(read_visium_hd, folder)
    (folder / "spatial" / "tissue_positions.parquet").unlink()
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "r+") as file:
        del file["matrix/indices"]
    assert "not a feature-barcode matrix as expected" in told(
        read_transcripts, folder / "filtered_feature_bc_matrix.h5"
    )
    (tmp_path / "empty").mkdir()
    assert "holds no filtered_feature_bc_matrix.h5" in told(read_transcripts, tmp_path / "empty")


@pytest.mark.parametrize("maker", TABLES)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_molecules_of_every_maker_are_counted_in_pixels(tmp_path, maker, suffix):
    path, frame = tmp_path / f"transcripts{suffix}", pl.DataFrame(TABLES[maker])
    if suffix == ".parquet":
        frame.write_parquet(path)
    else:
        text = frame.write_csv().encode()
        path.write_bytes(gzip.compress(text) if suffix == ".csv.gz" else text)
    found = read_transcripts(path)
    assert found.genes == ("Actb", "Malat1") and found.header["FileFormat"] == maker
    # two molecules at 10.2 and 10.4 µm share the pixel of 0.5 µm at 20; poor ones and controls are left out
    assert found.x.tolist() == [6, 20] and found.y.tolist() == [0, 9]
    assert found.counts["total"].tolist() == [1, 2] and pixel_size(found, RnaParams()) == 0.5
    wide = read_transcripts(path, um_per_px=2.0)
    assert wide.x.tolist() == [1, 5] and pixel_size(wide, RnaParams()) == 2.0


def test_tables_that_cannot_be_used_say_why(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y,name\n1,2,Actb\n")
    assert "has the columns x, y, name; a table of molecules has x_location" in told(read_transcripts, path)
    path.write_text("global_x,global_y,gene\n1,none,Actb\n")
    assert "cannot be read as a table" in told(read_transcripts, path)
    path.write_text("global_x,global_y,gene\n1,,Actb\n")
    assert "global_y is empty or no number in 1 lines" in told(read_transcripts, path)
    path.write_text("global_x,global_y,gene\n1,2,Blank-1\n")
    assert "no molecule of a gene" in told(read_transcripts, path)
    whole = tmp_path / "b.parquet"
    pl.DataFrame(TABLES["Xenium"]).write_parquet(whole)
    whole.write_bytes(whole.read_bytes()[:-30])
    assert "cannot be read as a table" in told(read_transcripts, whole)
    with pytest.raises(InputError, match="above 0"):
        read_transcripts_table(path, um_per_px=0.0)


def test_other_files_are_named_for_what_they_are(tmp_path):
    assert read_transcripts(gem_file(tmp_path)).n_umis == 307
    assert "There is no file" in told(read_transcripts, tmp_path / "none.gem")
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file.create_group("obs")
        file.create_group("var")
    assert "lacks X; give a whole AnnData" in told(read_transcripts, tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_group("weights")
    assert "HDF5 with weights" in told(read_transcripts, tmp_path / "b.h5")
    (tmp_path / "c.tif").write_bytes(b"II*\0" + b"\0" * 100)
    assert "TIFF" in told(read_transcripts, tmp_path / "c.tif")
    # bytes of an image that look like a line between commas
    (tmp_path / "e.gem").write_bytes(b"II*\0" + b",\0,\x07" * 30 + b"\n" + b"\0" * 100)
    assert "is a TIFF image, not a GEM" in told(read_transcripts, tmp_path / "e.gem")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(np.random.default_rng(0).bytes(5000))[:400])
    assert "cut short" in told(read_transcripts, tmp_path / "d.csv.gz")


@pytest.mark.parametrize("copy", ["morphology.tif", "tissue_hires_image.png"])
def test_the_image_of_visium_hd_is_brought_onto_its_squares(tmp_path, copy):
    """Squares of 2 µm over an image of 0.25 µm a px, mirrored as arrays are that count rows from below."""
    column, row = (values.ravel() for values in np.meshgrid(np.arange(300, 320), np.arange(40, 52)))
    barcodes = [f"s_002um_{r:05d}_{c:05d}-1" for r, c in zip(row, column, strict=True)]
    with h5py.File(tmp_path / "filtered_feature_bc_matrix.h5", "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(barcodes, "S")
        matrix["data"], matrix["indices"] = np.ones(240, np.int32), np.zeros(240, np.int64)
        matrix["indptr"] = np.arange(241)
        matrix["shape"] = np.array([1, 240], np.int32)
        matrix.create_group("features")["name"] = np.array(["Actb"], "S")
    (tmp_path / "spatial").mkdir()
    x, y = 63.5 + 8 * (column - 300), 147.5 - 8 * (row - 40)
    places = {"barcode": barcodes, "array_row": row, "array_col": column}
    places |= {"pxl_row_in_fullres": y, "pxl_col_in_fullres": x}
    pl.DataFrame(places).write_parquet(tmp_path / "spatial" / "tissue_positions.parquet")
    factors = {"bin_size_um": 2.0, "microns_per_pixel": 0.25, "tissue_hires_scalef": 0.5}
    (tmp_path / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    squares = np.zeros((12, 20), np.uint8)  # an L in the order of the array
    squares[2:9, 3], squares[8, 3:8] = 200, 200
    image = np.zeros((200, 260), np.uint8)
    image[56:152, 60:220] = np.kron(squares[::-1], np.ones((8, 8), np.uint8))
    write_image(tmp_path / copy, image[::2, ::2] if "hires" in copy else image)
    counts, stain = read_transcripts(tmp_path), read_stain(tmp_path / copy)
    placed, grid = place_stain(stain, counts, pixel_size(counts, RnaParams()), StainParams())
    assert (grid.x0, grid.y0, grid.um_per_px) == (300, 40, 2.0)
    np.testing.assert_array_equal(placed, squares)
