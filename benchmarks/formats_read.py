"""Reads what segapp wrote with the libraries that its users have, and says where everything lies; knows no segapp.

    python formats_read.py FOLDER PATTERN.json      # prints one JSON object

PATTERN.json holds the frame (x0, y0, height, width, um_per_px), the centres of the cells in it, as (x, y) in px of the
frame, and which of them express the gene Stem. The cells form an F, which is another figure in every mirror image.
"""

from __future__ import annotations

import base64
import csv
import gzip
import importlib.metadata
import io
import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NEAR, FAR = 3.0, 10.0
"""Px: centres of cells lie nearer to those of the pattern, and those of every mirror image farther."""

READERS: dict[str, tuple[str, Callable[[Path, Pattern], str]]] = {}
"""Name -> the libraries that are used, and the function that reads; it raises where something is not in place."""


def main() -> None:
    folder, pattern = Path(sys.argv[1]), Pattern(json.loads(Path(sys.argv[2]).read_text()))
    found = {}
    warnings.simplefilter("ignore")
    for name, (libraries, read) in READERS.items():
        row: dict[str, Any] = {"versions": versions(libraries)}
        try:
            row["said"] = read(folder, pattern)
        except ModuleNotFoundError as error:
            row["missing"] = str(error)
        except Exception as error:  # whatever goes wrong is what the table is to show
            row["error"] = f"{type(error).__name__}: {error}"
        found[name] = row
    print(json.dumps(found))


def versions(libraries: str) -> str:
    said = []
    for name in libraries.split(", "):
        try:
            said.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            said.append(name if name == "csv" else f"{name} (not installed)")
    return ", ".join(said)


class Pattern:
    """Where cells are expected, and where they would lie if an axis were lost, swapped or turned."""

    def __init__(self, values: dict) -> None:
        self.x0, self.y0, self.um = values["x0"], values["y0"], values["um_per_px"]
        self.height, self.width = values["height"], values["width"]
        self.centres = np.array(values["centres"], float)
        self.stem = np.array(values["stem"], bool)

    def check(self, x: Any, y: Any, stem: Any = None) -> str:
        """Compare places in px of the frame with the pattern; return how near they are, or raise."""
        points = np.stack([np.asarray(x, float), np.asarray(y, float)], axis=1)
        assert len(points) == len(self.centres), f"{len(points)} cells instead of {len(self.centres)}"
        far = np.linalg.norm(points[:, None] - self.centres[None], axis=2)
        which, near = far.argmin(axis=1), far.min(axis=1)
        assert len(set(which)) == len(points), "two cells lie at one place of the pattern"
        assert near.max() < NEAR, f"a cell lies {near.max():.1f} px from its place"
        others = min(self._farthest(mirrored) for mirrored in self.mirrored(points))
        assert others > FAR, "a mirror image fits as well"
        if stem is not None:
            assert (np.asarray(stem, bool) == self.stem[which]).all(), "a gene is counted in another cell"
        genes = "" if stem is None else ", each with its genes"
        return f"{len(points)} cells within {near.max():.1f} px{genes}; the nearest mirror image {others:.0f} px off"

    def mirrored(self, points: np.ndarray) -> list[np.ndarray]:
        """The seven other ways to lay a picture."""
        ways = [([sx, sy], [w, h]) for sx, w in ((1, 0), (-1, self.width)) for sy, h in ((1, 0), (-1, self.height))]
        flips, turned = ([at * sign + move for sign, move in ways] for at in (points, points[:, ::-1]))
        return [*flips[1:], *turned]

    def _farthest(self, points: np.ndarray) -> float:
        return float(np.linalg.norm(points[:, None] - self.centres[None], axis=2).min(axis=1).max())

    def check_image(self, image: np.ndarray, step: float = 1.0) -> str:
        """An image of the stain is bright at the centres, and dark at those of every mirror image."""
        bright = self.sample(image, self.centres, step)
        dark = image[image > 0].mean() if image.any() else 0
        assert bright.min() > 1.5 * dark, "the picture is dark where cells are"
        for points in self.mirrored(self.centres):
            inside = (points >= 0).all(1) & (points < [self.width, self.height]).all(1)
            there = self.sample(image, points[inside], step)
            assert not inside.all() or there.min() < bright.min() / 2, "a mirror image is as bright"
        return "picture bright at every cell"

    @staticmethod
    def sample(image: np.ndarray, points: np.ndarray, step: float) -> np.ndarray:
        x, y = (points / step).astype(int).T
        return np.asarray(image, float)[np.minimum(y, image.shape[0] - 1), np.minimum(x, image.shape[1] - 1)]


def reader(name: str, libraries: str) -> Callable:
    def keep(function: Callable[[Path, Pattern], str]) -> Callable:
        READERS[name] = libraries, function
        return function

    return keep


def centres_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids of labels, and x and y of their centres as means of pixels."""
    ids = np.unique(labels[labels > 0])
    at = [np.argwhere(labels == one).mean(axis=0) for one in ids]
    y, x = np.array(at).T if len(at) else np.zeros((2, 0))
    return ids, x, y


def is_stem(table: Any) -> np.ndarray:
    counts = {gene: np.asarray(table[:, gene].X.todense()).ravel() for gene in ("Stem", "Arm")}
    return counts["Stem"] > counts["Arm"]


# --- tables ---------------------------------------------------------------------------------------------------------


@reader("h5ad", "anndata")
def read_h5ad(folder: Path, pattern: Pattern) -> str:
    import anndata

    table = anndata.read_h5ad(folder / "cells.h5ad")
    said = pattern.check(*table.obsm["spatial"].T, is_stem(table))
    x, y = table.obsm["spatial_input"].T
    pattern.check(x - pattern.x0, y - pattern.y0)
    picture = next(iter(table.uns["spatial"].values()))
    step = 1 / picture["scalefactors"]["tissue_hires_scalef"]
    pattern.check_image(picture["images"]["hires"][:, :, 0], step)
    labels = pattern.sample(picture["images"]["segmentation"], table.obsm["spatial"], step)
    assert (labels == table.obs["label"]).all(), "the segmentation in uns is another"
    return f"{said}; `hires` and `segmentation` lie under them"


@reader("h5ad, plotted by scanpy", "scanpy, anndata")
def plot_scanpy(folder: Path, pattern: Pattern) -> str:
    import anndata
    import scanpy as sc
    from formats_plots import drawn, matplotlib_pyplot, shows_gene, shows_picture

    table = anndata.read_h5ad(folder / "cells.h5ad")
    library = next(iter(table.uns["spatial"]))
    plt = matplotlib_pyplot()
    sc.pl.spatial(table, library_id=library, color=None, show=False)
    picture = drawn(plt, folder / "scanpy_picture.png", table, pattern)
    shows_picture(*picture)
    sc.pl.spatial(table, library_id=library, color="Stem", show=False)
    colours = drawn(plt, folder / "scanpy_gene.png", table, pattern)
    shows_gene(*colours, is_stem(table))
    counts = table.copy()
    sc.pp.normalize_total(counts)
    sc.pp.log1p(counts)
    sc.pp.pca(counts, n_comps=2)
    return "`sc.pl.spatial`: the F upright, picture under it, gene Stem on the stem alone; normalize, log1p, pca run"


@reader("h5ad, plotted by squidpy", "squidpy, anndata")
def plot_squidpy(folder: Path, pattern: Pattern) -> str:
    import anndata
    import squidpy as sq
    from formats_plots import drawn, matplotlib_pyplot, shows_gene, shows_picture

    table = anndata.read_h5ad(folder / "cells.h5ad")
    plt = matplotlib_pyplot()
    sq.pl.spatial_scatter(table, color=None)
    shows_picture(*drawn(plt, folder / "squidpy_picture.png", table, pattern))
    sq.pl.spatial_scatter(table, color="Stem")
    shows_gene(*drawn(plt, folder / "squidpy_gene.png", table, pattern), is_stem(table))
    sq.pl.spatial_segment(table, color="Stem", seg_cell_id="label", library_key="library")
    shows_gene(*drawn(plt, folder / "squidpy_segments.png", table, pattern), is_stem(table))
    sq.gr.spatial_neighbors(table, coord_type="generic", n_neighs=3)
    assert table.obsp["spatial_connectivities"].nnz >= 3 * table.n_obs
    return (
        "`spatial_scatter` and `spatial_segment`: the F upright, picture under it, gene Stem on the stem alone; "
        "spatial_neighbors runs"
    )


@reader("csv", "pandas, polars")
def read_csv(folder: Path, pattern: Pattern) -> str:
    import pandas as pd
    import polars as pl

    return _table(pd.read_csv(folder / "cells.csv"), pl.read_csv(folder / "cells.csv"), pattern)


@reader("parquet", "pandas, pyarrow, polars")
def read_parquet(folder: Path, pattern: Pattern) -> str:
    import pandas as pd
    import polars as pl

    return _table(pd.read_parquet(folder / "cells.parquet"), pl.read_parquet(folder / "cells.parquet"), pattern)


def _table(by_pandas: Any, by_polars: Any, pattern: Pattern) -> str:
    said = pattern.check(by_pandas["x"], by_pandas["y"])
    pattern.check(by_pandas["x_input"] - pattern.x0, by_pandas["y_input"] - pattern.y0)
    assert list(by_pandas.columns) == by_polars.columns
    for name in ("label", "area_px", "n_counts", "x"):
        # pandas reads the last bit of a decimal number its own way
        assert np.allclose(by_polars[name], by_pandas[name], rtol=1e-14, atol=0), f"column {name} differs"
    return f"{said}; both libraries read the same {len(by_polars.columns)} columns"


@reader("gem", "csv, anndata")
def read_gem_as_text(folder: Path, pattern: Pattern) -> str:
    import anndata

    with gzip.open(folder / "cells.gem.gz", "rt") as text:
        lines = csv.DictReader((line for line in text if not line.startswith("#")), delimiter="\t")
        records = [
            (line["geneID"], int(line["x"]), int(line["y"]), int(line["MIDCount"]), int(line["CellID"]))
            for line in lines
        ]
    table = anndata.read_h5ad(folder / "cells.h5ad")
    counts: dict[int, int] = {}
    places: dict[int, list[tuple[int, int]]] = {}
    for _, x, y, n, cell in records:
        counts[cell] = counts.get(cell, 0) + n
        if cell:
            places.setdefault(cell, []).append((x - pattern.x0, y - pattern.y0))
    expected = dict(zip(table.obs["label"].tolist(), table.obs["n_counts"].tolist(), strict=True))
    assert {cell: n for cell, n in counts.items() if cell} == expected, "sums of the text are not those of the table"
    assert sum(counts.values()) == table.uns["segapp"]["umis_total"], "a record is missing"
    x, y = np.array([np.mean(at, axis=0) for at in places.values()]).T
    return f"{pattern.check(x, y)}; the UMIs of every CellID sum to the table's, {len(records):,} records in all"


# --- outlines -------------------------------------------------------------------------------------------------------


@reader("geojson", "geopandas, shapely")
def read_geojson(folder: Path, pattern: Pattern) -> str:
    import geopandas
    from shapely.geometry import shape

    frame = geopandas.read_file(folder / "cells.geojson")
    assert frame.geometry.is_valid.all(), "an outline is not valid"
    features = json.loads((folder / "cells.geojson").read_text())["features"]
    cells = [shape(feature["geometry"]) for feature in features]
    x, y = np.array([(cell.centroid.x - pattern.x0, cell.centroid.y - pattern.y0) for cell in cells]).T
    said = pattern.check(x, y)
    assert np.allclose([cell.area for cell in cells], frame.geometry.area)
    nuclei = [shape(feature["nucleusGeometry"]) for feature in features if "nucleusGeometry" in feature]
    assert len(nuclei) == len(cells), "a nucleus is missing"
    assert all(cell.buffer(0.01).contains(one) for cell, one in zip(cells, nuclei, strict=True)), "a nucleus sticks out"
    areas = {f["properties"]["measurements"]["label"]: c.area for f, c in zip(features, cells, strict=True)}
    with (folder / "cells.csv").open() as text:
        told = {int(line["label"]): float(line["area_px"]) for line in csv.DictReader(text)}
    assert areas == told, "areas are others than those of the table"
    return f"{said}; valid, as large as in the table, each around its nucleus"


# --- images ---------------------------------------------------------------------------------------------------------


@reader("tif", "tifffile")
def read_tif(folder: Path, pattern: Pattern) -> str:
    import tifffile

    written = folder / "cells.tif"
    with tifffile.TiffFile(written if written.exists() else folder / "labels.tif") as tiff:  # a run has it anyway
        page = tiff.pages[0]
        assert len(tiff.pages) == 1 and page.dtype == np.uint32 and page.samplesperpixel == 1
        labels = page.asarray()
    assert labels.shape == (pattern.height, pattern.width)
    said = pattern.check(*centres_of(labels)[1:])
    for name in ("labels.tif", "nuclei.tif"):
        own = tifffile.imread(folder / name)
        pattern.check(*centres_of(own)[1:])
        assert name == "nuclei.tif" or np.array_equal(own, labels)
    return f"{said}; one page, uint32; labels.tif equal, nuclei.tif in place"


@reader("ome-zarr", "ome-zarr, zarr")
def read_ome_zarr(folder: Path, pattern: Pattern) -> str:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    path = folder / "cells.ome.zarr"
    picture = next(iter(Reader(parse_url(path))()))
    image = np.asarray(picture.data[0])
    pattern.check_image(image, pattern.width / image.shape[-1])
    said = ""
    for name in ("cells", "nuclei"):
        nodes = {node.zarr.basename(): node for node in Reader(parse_url(path / "labels" / name))()}
        said = pattern.check(*centres_of(np.asarray(nodes[name].data[0]))[1:])
        scale, move = nodes[name].metadata["coordinateTransformations"][0][:2]
        assert scale["scale"] == [pattern.um, pattern.um]
        assert move["translation"] == [pattern.y0 * pattern.um, pattern.x0 * pattern.um], "the corner lies elsewhere"
    return f"{said}; cells, nuclei and picture, corner and scale in micrometres"


@reader("spatialdata", "spatialdata, geopandas")
def read_spatialdata(folder: Path, pattern: Pattern) -> str:
    import spatialdata as sd
    from spatialdata.transformations import get_transformation

    store = sd.read_zarr(folder / "cells.spatialdata.zarr")
    labels = _level(store["cells"])
    said = pattern.check(*centres_of(labels)[1:])
    image = _level(store["picture"])[0]
    pattern.check_image(image, pattern.width / image.shape[-1])
    table = store["table"]
    assert set(table.obs["label"]) == set(np.unique(labels[labels > 0])) == set(store["outlines"].index)
    order = {one: i for i, one in enumerate(table.obs["label"])}
    ids, x, y = centres_of(labels)
    pattern.check(x, y, is_stem(table)[[order[one] for one in ids]])
    for system, side in (("global", 1.0), ("um", pattern.um)):
        to = get_transformation(store["cells"], to_coordinate_system=system).to_affine_matrix(("x", "y"), ("x", "y"))
        outlines = sd.transform(store["outlines"], to_coordinate_system=system).geometry.centroid
        px, py = outlines.x / side - pattern.x0, outlines.y / side - pattern.y0
        pattern.check(px, py)
        corner = (to @ [0, 0, 1])[:2]
        assert np.allclose(corner, [pattern.x0 * side, pattern.y0 * side]), f"labels lie elsewhere in {system}"
    return f"{said}; labels, outlines, picture and table agree, in `global` and in `um`"


def _level(element: Any) -> np.ndarray:
    """Pixels of an image at full resolution, with or without coarser ones."""
    if hasattr(element, "children"):
        element = next(iter(next(iter(element.children.values())).ds.data_vars.values()))
    return np.asarray(element.values)


@reader("html", "pillow")
def read_html(folder: Path, pattern: Pattern) -> str:
    from PIL import Image

    text = (folder / "cells.html").read_text(encoding="utf-8")
    outside = re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert not outside, f"the page needs {outside[0]}"
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", text)
    ]
    overview = np.asarray(pictures[0].convert("L"))
    pattern.check_image(overview, pattern.width / overview.shape[1])
    return f"{len(text) / 1e3:.0f} kB, needs nothing else; {len(pictures)} pictures, the F upright in the overview"


if __name__ == "__main__":
    main()
