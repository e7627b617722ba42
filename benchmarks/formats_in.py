"""Small files as their makers write them, whole, damaged and of another kind; and what segapp reads or says."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import tifffile
import zarr
from anndata import AnnData
from scipy import sparse

from segapp.cli import main as segapp
from segapp.io.image import read_stain, write_image
from segapp.io.transcripts import read_transcripts
from tests.io.bricks import CORNER, HEIGHT, WIDTH, bins, cell_bin_gef, is_the_l, picture, the_l
from tests.io.test_ngff import ome_zarr
from tests.io.test_spatialdata_in import store

GENES = ("Actb", "Malat1")
SIDE = 0.5


def records() -> list[tuple[str, int, int, int, int]]:
    """Gene, x, y, UMIs and unspliced UMIs of the L."""
    x, y = the_l()
    return [(GENES[i % 2], a, b, 2 + i, i % 2) for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True))]


# --- transcripts ----------------------------------------------------------------------------------------------------


def gem(path: Path, *more: tuple[str, int, int, int, int]) -> Path:
    head = "#FileFormat=GEMv0.1\n#BinSize=1\n#OffsetX=0\n#OffsetY=0\ngeneID\tx\ty\tMIDCount\tExonCount\n"
    text = head + "".join("\t".join(map(str, record)) + "\n" for record in (*records(), *more))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def gef(path: Path, bin_size: str = "bin1") -> Path:
    """As SAW writes it: records by gene, and a table of genes with where each begins."""
    rows = sorted(records(), key=lambda record: record[0])
    with h5py.File(path, "w") as file:
        file.attrs["version"], file.attrs["resolution"] = np.array([2], np.uint32), np.array([500], np.uint32)
        file.attrs["offsetX"], file.attrs["offsetY"] = np.array([0], np.int32), np.array([0], np.int32)
        group = file.create_group(f"geneExp/{bin_size}")
        kind = [("x", "<i4"), ("y", "<i4"), ("count", "<u2")]
        group["expression"] = np.array([row[1:4] for row in rows], kind)
        group["exon"] = np.array([row[4] for row in rows], np.uint16)
        first = sum(row[0] == GENES[0] for row in rows)
        genes = [(b"ENSMUSG1", b"Actb", 0, first), (b"ENSMUSG2", b"Malat1", first, len(rows) - first)]
        names = [("geneID", "S64"), ("geneName", "S64"), ("offset", "<u4"), ("count", "<u4")]
        group["gene"] = np.array(genes, names)
    return path


def visium(folder: Path) -> Path:
    """As Space Ranger writes binned_outputs/square_008um."""
    (folder / "spatial").mkdir(parents=True)
    rows = records()
    barcodes = [f"s_008um_{y:05d}_{x:05d}-1" for _, x, y, _, _ in rows]
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(barcodes, "S")
        matrix["data"] = np.array([row[3] for row in rows], np.int32)
        matrix["indices"] = np.array([GENES.index(row[0]) for row in rows], np.int64)
        matrix["indptr"] = np.arange(len(rows) + 1)
        matrix["shape"] = np.array([2, len(rows)], np.int32)
        features = matrix.create_group("features")
        features["id"], features["name"] = np.array(["ENSMUSG1", "ENSMUSG2"], "S"), np.array(GENES, "S")
        features["feature_type"] = np.array(["Gene Expression"] * 2, "S")
    places = {"barcode": barcodes, "in_tissue": 1, "array_row": [r[2] for r in rows], "array_col": [r[1] for r in rows]}
    pl.DataFrame(places).write_parquet(folder / "spatial" / "tissue_positions.parquet")
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps({"bin_size_um": 8.0}))
    return folder


def molecules(maker: str) -> pl.DataFrame:
    """One line a molecule, in the columns of each maker, with a control that is no gene."""
    rows = [row for row in records() for _ in range(row[3])]
    x, y = (np.array([(row[i] + 0.5) * SIDE for row in rows]) for i in (1, 2))
    genes, n = [row[0] for row in rows], len(rows)
    if maker == "Xenium":
        values = {"transcript_id": range(n + 1), "cell_id": ["UNASSIGNED"] * (n + 1), "overlaps_nucleus": [0] * (n + 1)}
        places = {"x_location": [*x, 0.1], "y_location": [*y, 0.1], "z_location": [1.0] * (n + 1)}
        return pl.DataFrame(values | {"feature_name": [*genes, "NegControlProbe_00042"]} | places | {"qv": 40.0})
    if maker == "MERSCOPE":
        values = {"": range(n + 1), "barcode_id": [5] * (n + 1), "global_x": [*x, 0.1], "global_y": [*y, 0.1]}
        return pl.DataFrame(values | {"global_z": 0.0, "x": 100.0, "y": 90.0, "fov": 0, "gene": [*genes, "Blank-12"]})
    px = {"x_global_px": [*x / 0.12028, 1.0], "y_global_px": [*y / 0.12028, 1.0]}
    values = {"fov": [1] * (n + 1), "cell_ID": [0] * (n + 1)}
    return pl.DataFrame(values | px | {"z": 0, "target": [*genes, "SystemControl7"], "CellComp": "None"})


def table(path: Path, maker: str) -> Path:
    frame = molecules(maker)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        text = frame.write_csv().encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def pixels(path: Path) -> Path:
    """Pixels as Spateo writes them: rows are x, columns are y."""
    x, y = the_l()
    counts = sparse.csr_matrix((np.arange(len(x)) + 1, (x, y)), (int(x.max()) + 1, int(y.max()) + 1))
    made = AnnData(counts.astype(np.float32))
    made.obs_names, made.var_names = ([str(i) for i in range(n)] for n in counts.shape)
    made.layers["unspliced"] = made.X.copy()
    made.uns["__type"] = "AGG"
    made.write_h5ad(path)
    return path


def anndata(path: Path, change: Callable[[AnnData], None] = lambda made: None) -> Path:
    made = bins()
    change(made)
    made.write_zarr(path) if path.suffix == ".zarr" else made.write_h5ad(path)
    return path


# --- stains ---------------------------------------------------------------------------------------------------------


def ome_tiff(path: Path, big: bool = False) -> Path:
    with tifffile.TiffWriter(path, bigtiff=big, ome=True) as out:
        options = {"photometric": "minisblack", "compression": "zlib", "tile": (16, 16)}
        about = {"axes": "CYX", "Channel": {"Name": ["DAPI", "frame"]}, "PhysicalSizeX": 0.2125}
        out.write(picture(), subifds=1, metadata={**about, "PhysicalSizeXUnit": "µm"}, **options)
        out.write(picture()[:, ::2, ::2], subfiletype=1, **options)
    return path


def plain(path: Path) -> Path:
    write_image(path, picture()[0])
    return path


def whole_files(folder: Path) -> list[dict]:
    """Read every format; return rows of the table."""
    folder = _empty(folder / "whole")
    rows = []
    transcripts: list[tuple[str, str, Callable[[], Path]]] = [
        ("GEM", "plain text", lambda: gem(folder / "a.gem")),
        ("GEM", "gzip", lambda: gem(folder / "a.gem.gz")),
        ("GEF", "bin 1, with exons", lambda: gef(folder / "a.gef")),
        ("Visium HD", "folder of one bin size", lambda: visium(folder / "square_008um")),
        ("Visium HD", "feature-barcode .h5", lambda: folder / "square_008um" / "filtered_feature_bc_matrix.h5"),
        *(
            (maker, f"{stem}{suffix}", partial(table, folder / f"{stem}{suffix}", maker))
            for maker, stem in (
                ("Xenium", "transcripts"),
                ("MERSCOPE", "detected_transcripts"),
                ("CosMx", "S0_tx_file"),
            )
            for suffix in (".csv", ".csv.gz", ".parquet")
        ),
        ("AnnData of bins", ".h5ad, obsm spatial", lambda: anndata(folder / "bins.h5ad")),
        ("AnnData of bins", "zarr folder", lambda: anndata(folder / "bins.zarr")),
        ("AnnData of pixels", ".h5ad as Spateo writes it", lambda: pixels(folder / "pixels.h5ad")),
        ("SpatialData", "points, with an image of their px", lambda: store(folder / "points.zarr")),
        (
            "SpatialData",
            "table of squares by name",
            lambda: store(folder / "squares.zarr", points=(), tables=("square_008um",)) / "tables" / "square_008um",
        ),
    ]
    for name, what, make in transcripts:
        found = _quiet(make, read_transcripts)
        good = is_the_l(found)
        layers = ", ".join(found.counts)
        said = f"the L in its place: {found.n_umis:,} UMIs of {len(found.genes)} genes, layers {layers}"
        rows.append({"format": name, "what": what, "said": said if good else "NOT the L", "good": good})
    cells = read_transcripts(cell_bin_gef(folder / "a.cellbin.gef"))
    good = cells.n_umis == 11 and sorted(set(cells.cell_id.tolist())) == [1, 2]
    rows.append(
        {"format": "GEF of cell bins", "what": "2 cells", "said": "11 UMIs of 2 cells at their centres", "good": good}
    )
    with as_file(files("segapp") / "samples" / "stereoseq_small.gem.gz") as path:
        real = read_transcripts(path)
    said = f"real: {real.n_umis:,} UMIs of {len(real.genes):,} genes, bounding box {real.bbox}"
    rows.append({"format": "GEM", "what": "Stereo-seq SS200000135TL_D1", "said": said, "good": real.n_umis > 100_000})
    return rows + _whole_stains(folder)


def _whole_stains(folder: Path) -> list[dict]:
    rows = []
    stains: list[tuple[str, Callable[[], Path]]] = [
        ("TIFF", lambda: plain(folder / "a.tif")),
        ("PNG, 16 bits", lambda: plain(folder / "a.png")),
        ("OME-TIFF, 2 channels, pyramid", lambda: ome_tiff(folder / "a.ome.tif")),
        ("BigTIFF, OME, 2 channels, pyramid", lambda: ome_tiff(folder / "big.ome.tif", big=True)),
        ("OME-Zarr 0.4", lambda: ome_zarr(folder / "old.ome.zarr", "0.4")),
        ("OME-Zarr 0.5", lambda: ome_zarr(folder / "new.ome.zarr", "0.5")),
        ("SpatialData image", lambda: folder / "points.zarr"),
    ]
    for what, make in stains:
        stain = _quiet(make, read_stain)
        image = stain.image if stain.image.ndim == 3 else stain.image[None]
        good = np.array_equal(image, picture()[: len(image)])
        x, y = CORNER
        assert image[0, y, x] == 900 and image[0, x, y] == 0
        size = "" if stain.um_per_px is None else f", {stain.um_per_px:g} um a px"
        said = f"the picture, pixel by pixel: {', '.join(stain.channels) or 'one channel'}{size}"
        rows.append({"format": "stain", "what": what, "said": said if good else "NOT the picture", "good": good})
    with as_file(files("segapp") / "samples" / "mosta_ssdna.tif") as path:
        real = read_stain(path)
    said = f"real: {real.image.shape[1]} x {real.image.shape[0]} px, {real.image.dtype}"
    rows.append({"format": "stain", "what": "TIFF of MOSTA (ssDNA)", "said": said, "good": real.image.ndim == 2})
    return rows


# --- wrong files ----------------------------------------------------------------------------------------------------


def cut(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def text(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def wrong_transcripts(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield format, what is wrong, and the file."""
    head = "geneID\tx\ty\tMIDCount"
    yield "GEM", "no such file", folder / "none.gem"
    yield "GEM", "gzip cut in half", cut(gem(folder / "a.gem.gz"))
    yield "GEM", "a last line that is cut", text(folder / "b.gem", head, "Actb\t1\t1\t1", "Actb\t2")
    yield "GEM", "no column x", text(folder / "c.gem", "geneID\ty\tMIDCount", "Actb\t1\t1")
    yield "GEM", "text in the counts", text(folder / "d.gem", head, "Actb\t1\t1\t1", "Actb\t1\t2\tmany")
    yield "GEM", "no record", text(folder / "e.gem", head)
    yield "GEM", "a TIFF of that name", shutil.copy(plain(folder / "f.tif"), folder / "f.gem")
    yield "GEF", "cut in half", cut(gef(folder / "a.gef"))
    yield "GEF", "without bin 1", gef(folder / "b.gef", "bin50")
    yield "GEF of cell bins", "cut", cut(cell_bin_gef(folder / "a.cellbin.gef"), 0.4)
    hd = visium(folder / "square_008um")
    yield "Visium HD", "an .h5 that is cut", cut(visium(folder / "cut_008um") / "filtered_feature_bc_matrix.h5")
    pl.DataFrame({"barcode": ["other"], "array_row": [0], "array_col": [0]}).write_parquet(
        hd / "spatial" / "tissue_positions.parquet"
    )
    yield "Visium HD", "positions of another section", hd
    (folder / "empty").mkdir()
    yield "Visium HD", "an empty folder", folder / "empty"
    for maker in ("Xenium", "MERSCOPE", "CosMx"):
        yield maker, "Parquet cut", cut(table(folder / f"{maker}.parquet", maker), 0.9)
        yield maker, "gzip cut", cut(table(folder / f"{maker}.csv.gz", maker), 0.6)
    yield "table of molecules", "columns of nobody", text(folder / "a.csv", "x,y,name", "1,2,Actb")
    yield "table of molecules", "a word for a place", text(folder / "b.csv", "global_x,global_y,gene", "1,none,Actb")
    yield "table of molecules", "controls alone", text(folder / "c.csv", "global_x,global_y,gene", "1,2,Blank-1")
    yield "AnnData of bins", "cut in half", cut(anndata(folder / "cut.h5ad"))
    yield "AnnData of bins", "normalised counts", anndata(folder / "log.h5ad", _log)
    yield "AnnData of bins", "cells, not bins", anndata(folder / "cells.h5ad", _scatter)
    broken = anndata(folder / "bins.zarr")
    for part in (broken / "X").rglob("zarr.json" if (broken / "zarr.json").exists() else ".z*"):
        part.unlink()
    yield "AnnData of bins", "zarr with parts missing", broken
    yield "AnnData of pixels", "cut in half", cut(pixels(folder / "pixels.h5ad"))
    yield "SpatialData", "two points, none named", store(folder / "two.zarr", points=("one", "two"), images=())
    damaged = store(folder / "damaged.zarr")
    cut(next((damaged / "points" / "transcripts" / "points.parquet").glob("*.parquet")), 0.2)
    yield "SpatialData", "points cut", damaged
    with h5py.File(folder / "w.h5", "w") as file:
        file.create_group("weights")
    yield "other", "HDF5 of something else", folder / "w.h5"
    (folder / "paper.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(200))
    yield "other", "a PDF", folder / "paper.pdf"
    (folder / "empty.gem").write_bytes(b"")
    yield "other", "an empty file", folder / "empty.gem"


def wrong_stains(folder: Path) -> Iterator[tuple[str, str, Path]]:
    yield "stain", "no such file", folder / "none.tif"
    yield "stain", "TIFF cut", cut(plain(folder / "a.tif"), 0.6)
    yield "stain", "PNG cut", cut(plain(folder / "a.png"), 0.6)
    yield "stain", "OME-TIFF cut", cut(ome_tiff(folder / "a.ome.tif"), 0.66)
    yield "stain", "BigTIFF cut", cut(ome_tiff(folder / "b.ome.tif", big=True), 0.66)
    yield "stain", "text of that name", text(folder / "c.tif", "geneID\tx\ty\tMIDCount")
    stack = np.zeros((2, 3, 24, 40), np.uint8)
    tifffile.imwrite(folder / "stack.tif", stack, imagej=True)
    yield "stain", "a stack of stacks", folder / "stack.tif"
    tifffile.imwrite(folder / "flat.tif", np.full((HEIGHT, WIDTH), 7, np.uint8), photometric="minisblack")
    yield "stain", "the same value everywhere", folder / "flat.tif"
    tifffile.imwrite(folder / "small.tif", picture()[0][:8, :8], photometric="minisblack")
    yield "stain", "of another section", folder / "small.tif"
    write_image(folder / "d.tif", picture())
    yield "stain", "two channels, none chosen", folder / "d.tif"
    damaged = ome_zarr(folder / "damaged.ome.zarr")
    level = damaged / "0" if (damaged / "0").is_dir() else damaged / "s0"
    chunk = next(file for file in level.rglob("*") if file.name == "0" and file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:10])
    yield "stain", "OME-Zarr with a damaged chunk", damaged
    zarr.open_group(str(folder / "g.zarr"), mode="w", zarr_format=3)
    yield "stain", "zarr without an image", folder / "g.zarr"


def _log(made: AnnData) -> None:
    made.X = np.log1p(made.X.toarray())


def _scatter(made: AnnData) -> None:
    made.obsm["spatial"] = np.random.default_rng(0).random((len(made), 2)) * 100


def wrong_files(folder: Path) -> list[dict]:
    """Give every wrong file to `segapp run`; return rows of the table."""
    folder = _empty(folder / "wrong")
    rows = []
    corners = [("Actb", 0, 0, 1, 0), ("Actb", WIDTH - 1, HEIGHT - 1, 1, 0)]  # where the stain ends
    good = gem(folder / "good.gem", *corners)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, what, path in (*wrong_transcripts(folder), *wrong_stains(folder)):
            out = folder / "out"
            files_given = ["--gem", str(good), "--stain", str(path)] if name == "stain" else ["--gem", str(path)]
            preset = ["--preset", "stain" if name == "stain" else "rna-total"]
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                code = segapp(["run", *files_given, *preset, "--out", str(out)])
            lines = [line for line in said.getvalue().splitlines() if line.startswith("segapp: ")]
            sentence = lines[-1].removeprefix("segapp: ") if lines else f"ended with {code}"
            # the folder of this machine is nobody's business
            sentence = sentence.replace(f"{folder}/", "").replace("|", "\\|")
            fine = code == 2 and len(lines) == 1 and not out.exists()
            rows.append({"format": name, "what": what, "said": sentence if fine else f"NOT REFUSED: {sentence}"})
            rows[-1]["good"] = fine
            shutil.rmtree(out, ignore_errors=True)
    return rows


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _quiet(make: Callable[[], Path], read: Callable[[Path], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what libraries will change
        return read(make())
