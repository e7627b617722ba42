"""Write what the public implementation makes of two small samples, for the tests of `segapp.cs`.

    python benchmarks/make_cs_fixtures.py PYTHON_OF_THE_REFERENCE [--out tests/cs/fixtures]

Inputs and results go into one npz file a sample; the second Python is called with ``--reference`` by the first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
GEM = HERE.parent / "segapp" / "samples" / "stereoseq_small.gem.gz"
SIDE = 144


def write_inputs(folder: Path) -> None:
    from segapp.core.rna import rasterize
    from segapp.core.types import Grid
    from segapp.io.samples import load_sample

    tissue = load_sample("tissue", size=SIDE, seed=3)
    dx, dy = tissue.stain_shift or (0, 0)
    grid = Grid(0, 0, SIDE, SIDE)
    stain = np.roll(tissue.stain.image, (-dy, -dx), (0, 1))
    real = load_sample("stereoseq").transcripts
    x0, y0, _, _ = real.bbox
    window = Grid(x0 + 70, y0 + 60, SIDE, SIDE)
    # rows are x in a table of pixels
    np.savez_compressed(
        folder / "tissue_in.npz",
        stain=stain.T,
        nuclei=tissue.truth["nuclei"].T,
        cells=tissue.truth["cells"].T,
        total=rasterize(tissue.transcripts, grid, "total").T,
        unspliced=rasterize(tissue.transcripts, grid, "unspliced").T,
    )
    np.savez_compressed(folder / "stereoseq_in.npz", total=rasterize(real, window, "total").T)


def compute(folder: Path) -> None:
    """Run in the Python of the reference."""
    sys.path.insert(0, str(HERE))
    import pandas as pd
    import side_reference  # prepares the package
    from anndata import AnnData
    from spateo.configuration import SKM
    from spateo.io import bgi
    from spateo.segmentation import benchmark, density, icell, label, qc, utils

    run_em = side_reference.em.run_em

    def table(**layers: np.ndarray) -> AnnData:
        some = next(iter(layers.values()))
        adata = AnnData(X=layers.get("total", np.zeros(some.shape)).astype(np.uint32), layers=layers)
        SKM.init_adata_type(adata, SKM.ADATA_AGG_TYPE)
        SKM.init_uns_spatial_namespace(adata)
        return adata

    def scores(adata: AnnData, layer: str, found: dict, bins: np.ndarray | None = None) -> None:
        fitted: list = []

        def fit_once(*given: Any, **options: Any) -> Any:
            # EM and EM+BP fit the same mixture: once is slow enough
            if not fitted:
                fitted.append(run_em(*given, **options))
            return fitted[0]

        icell.em.run_em = fit_once
        fits = {"gauss": {}, "moran": {}, "EM": {"em_kwargs": {"downsample": 1.0, "seed": 0}}}
        fits["EM+BP"] = fits["EM"]
        for method, options in fits.items():
            name = method.replace("+", "_")
            icell.score_and_mask_pixels(adata, layer, 5, method, scores_layer="s", mask_layer="m", **options)
            found[f"scores_{name}"] = adata.layers["s"].astype(np.float32)
            found[f"mask_{name}"] = adata.layers["m"].astype(bool)
            del adata.layers["s"], adata.layers["m"]
        found["mixture"] = np.array(fitted[0], float)  # rows: proportions, r, theta

    given = dict(np.load(folder / "tissue_in.npz"))
    found: dict[str, np.ndarray] = {}
    adata = table(**given)
    icell.mask_cells_from_stain(adata, out_layer="cells_mask")
    icell.mask_nuclei_from_stain(adata)
    label.find_peaks_from_mask(adata, "stain", 7)
    label.watershed(adata)
    label.expand_labels(adata, "stain", distance=3, max_area=10_000)
    label.find_peaks(adata, "stain", 5, 5, out_layer="peaks")
    label.find_peaks_with_erosion(adata, "stain", out_layer="eroded")
    label.augment_labels(adata, "stain_labels", "nuclei")
    label.label_connected_components(adata, "stain", area_threshold=np.inf, out_layer="plain")
    label.label_connected_components(adata, "cells_mask", area_threshold=200, min_area=60, out_layer="split")
    for name in ("cells_mask", "stain_mask", "stain_distances", "stain_markers", "stain_labels", "peaks", "eroded"):
        found[name] = adata.layers[name]
    for name in ("stain_labels_expanded", "nuclei_augmented", "plain", "split"):
        found[name] = adata.layers[name]
    utils.get_cell_shape(adata, "cells", thickness=2)
    found["cells_boundary"] = adata.layers["cells_boundary"]
    adata.layers["kept"] = given["cells"].copy()
    utils.filter_cell_labels_by_area(adata, "kept", 120)
    found["kept"] = adata.layers["kept"]
    qc.generate_random_labels(adata, [40, 7, 300], seed=5)
    found["random"] = adata.layers["random_labels"]
    qc.generate_random_labels_like(adata, "cells", seed=6, out_layer="random_like")
    found["random_like"] = adata.layers["random_like"]
    qc.select_qc_regions(adata, n=3, size=30, seed=4)
    found["regions"] = adata.uns["spatial"]["qc"]
    compared = benchmark.compare(adata, "cells", "stain_labels", data_layer="total", seed=2)
    found["compared"] = compared.to_numpy(float)
    found["compared_rows"] = compared.index.to_numpy(str)
    density.segment_densities(adata, "total", binsize=8, k=3, dk=1, distance_threshold=1.0, background=False)
    found["bins"] = adata.layers["total_bins"]
    scores(adata, "unspliced", found)
    save(folder / "tissue.npz", given, found)

    given = dict(np.load(folder / "stereoseq_in.npz"))
    found = {}
    scores(table(**given), "total", found)
    whole = bgi.read_bgi_agg(str(GEM))
    found["agg_x"], found["agg_y"] = whole.X.sum(1).A1, whole.X.sum(0).A1
    found["agg_start"] = np.array([int(whole.obs_names[0]), int(whole.var_names[0])])
    binned = bgi.read_bgi_agg(str(GEM), binsize=7)
    found["agg7"] = binned.X.toarray()
    found["agg7_start"] = np.array([int(binned.obs_names[0]), int(binned.var_names[0])])
    bins = bgi.read_bgi(str(GEM), binsize=50, add_props=False)
    # its assignment of outlines to the table fails with pandas 3: they are taken one step before
    at = np.array([name.split("-") for name in bins.obs_names], int)
    props = bgi.get_bin_props(pd.DataFrame({"x": at[:, 0], "y": at[:, 1], "label": list(bins.obs_names)}), 50)
    found["bins_names"], found["bins_counts"] = bins.obs_names.to_numpy(str), bins.X.sum(1).A1
    found["bins_genes"] = (bins.X > 0).sum(1).A1
    found["bins_spatial"] = props[["centroid-0", "centroid-1"]].to_numpy(float)
    found["bins_contour"] = np.array(list(props["contour"]), str)
    save(folder / "stereoseq.npz", given, found)


def save(path: Path, given: dict, found: dict) -> None:
    arrays = {f"in_{name}": small(values) for name, values in given.items()}
    np.savez_compressed(path, **arrays, **{name: small(values) for name, values in found.items()})


def small(values: np.ndarray) -> np.ndarray:
    """The narrowest dtype that loses nothing that a test looks at."""
    if values.dtype.kind in "iu":
        return values.astype(np.min_scalar_type(values.max(initial=0)))
    # scores are compared to some parts in a thousand
    return values.astype(np.float16) if values.dtype == np.float32 else values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs="?", help="Python with spateo-release 1.1.1")
    parser.add_argument("--out", type=Path, default=HERE.parent / "tests" / "cs" / "fixtures")
    parser.add_argument("--reference", type=Path, help="(called by itself) folder with inputs")
    options = parser.parse_args()
    if options.reference:
        compute(options.reference)
        return
    if not options.python:
        parser.error("give the Python of the reference")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        subprocess.run([options.python, str(Path(__file__)), "--reference", name], check=True)
        options.out.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.npz")):
            if not path.stem.endswith("_in"):
                (options.out / path.name).write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
