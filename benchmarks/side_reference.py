"""The public implementation, spateo-release 1.1.1, called as its own pipeline calls it, with its own defaults."""

import importlib.util
import logging
import os
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

# its package start pulls in 3-D plotting; the segmentation needs none of it
_spec = importlib.util.find_spec("spateo")
if _spec is None or _spec.submodule_search_locations is None:
    sys.exit("spateo-release is not installed in this Python; see reference-requirements.txt.")
_package = types.ModuleType("spateo")
_package.__path__ = list(_spec.submodule_search_locations)
sys.modules["spateo"] = _package
os.environ.setdefault("TQDM_DISABLE", "1")
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import cv2
from anndata import AnnData
from spateo.configuration import SKM, config
from spateo.segmentation import align, benchmark, bp, density, em, icell, label, utils, vi

config.n_threads = 1  # its worker processes cannot be started otherwise

ROUNDS = 50
"""As on the other side."""

EPOCHS = 100
"""Epochs of its own default."""

Call = Callable[[], dict[str, Any]]


PACKAGES = ("spateo-release", "numpy", "scipy", "torch", "opencv-python-headless", "scikit-image", "numba")
"""Their versions are reported."""


def _counts(inputs: Any, name: str) -> np.ndarray:
    return inputs[name].astype(np.int64)


def _adata(shape: tuple[int, int], **layers: np.ndarray) -> AnnData:
    adata = AnnData(X=np.zeros(shape, np.uint16), layers=layers)
    SKM.init_adata_type(adata, SKM.ADATA_AGG_TYPE)
    return adata


def circle(inputs: Any) -> Call:
    counts = _counts(inputs, "total")
    return lambda: {"sums": utils.conv2d(counts, 5, mode="circle")}


def circle_by_bin(inputs: Any) -> Call:
    counts, bins = _counts(inputs, "total"), inputs["density"]
    return lambda: {"sums": utils.conv2d(counts, 5, mode="circle", bins=bins)}


def blur(inputs: Any) -> Call:
    counts = inputs["total"].astype(np.float64)
    return lambda: {"blurred": utils.conv2d(counts, 5, mode="gauss")}


def _mixture(sums: np.ndarray, share: float) -> dict[str, Any]:
    w, r, p = em.run_em(sums, downsample=share, params=icell._initial_nb_params(sums), seed=0)
    return {"w": w, "r": r, "theta": p}


def mixture_drawn(inputs: Any) -> Call:
    sums = _counts(inputs, "sums")
    return lambda: _mixture(sums, 0.001)


def mixture_rounds(inputs: Any) -> Call:
    sums, (w, mu, var) = _counts(inputs, "drawn").ravel(), inputs["start"]

    def call() -> dict[str, Any]:
        shares, r, p = em.nbn_em(sums, w=w, mu=mu, var=var, max_iter=ROUNDS, precision=0.0)
        return {"w": shares, "r": r, "theta": p}

    return call


def mixture_all(inputs: Any) -> Call:
    sums = _counts(inputs, "drawn")
    return lambda: _mixture(sums, 1.0)


def posterior(inputs: Any) -> Call:
    counts, fitted = _counts(inputs, "unspliced"), tuple(map(tuple, inputs["mixture"]))
    return lambda: {"scores": em.confidence(utils.conv2d(counts, 5, mode="circle"), em_results=fitted)}


def moran(inputs: Any) -> Call:
    counts = inputs["unspliced"].astype(np.float64)
    return lambda: {"scores": icell._score_pixels(counts, 5, "moran")}


def propagation(inputs: Any) -> Call:
    background, occupied = inputs["background"], inputs["occupied"]
    return lambda: {"scores": bp.run_bp(background, occupied)}


def em_bp(inputs: Any) -> Call:
    counts = _counts(inputs, "unspliced")
    return lambda: {"scores": icell._score_pixels(counts, 5, "EM+BP", em_kwargs={"seed": 0})}


def em_bp_by_bin(inputs: Any) -> Call:
    counts, bins, nuclei = _counts(inputs, "total"), inputs["density"], inputs["nuclei"] > 0
    # bins count from 1 in the reference where 0 is outside, as here
    return lambda: {
        "scores": icell._score_pixels(counts, 7, "EM+BP", em_kwargs={"seed": 0}, bins=bins, certain_mask=nuclei)
    }


def variational(inputs: Any) -> Call:
    sums = _counts(inputs, "sums")
    start = icell._initial_nb_params(sums)

    def call() -> dict[str, Any]:
        found = vi.run_vi(sums, params=start, seed=0)
        weights, logits = np.exp(found["w"] - found["w"].max()), found["logits"].astype(float)
        return {"w": weights / weights.sum(), "r": found["counts"], "theta": 1 / (1 + np.exp(logits))}

    return call


def nuclei_mask(inputs: Any) -> Call:
    stain = inputs["stain"]
    # the public function hands its offset on with the sign turned round
    return lambda: {"mask": icell._mask_nuclei_from_stain(stain, offset=-5)}


def cytoplasm(inputs: Any) -> Call:
    stain = inputs["stain"]
    return lambda: {"mask": icell._mask_cells_from_stain(stain)}


def peaks(inputs: Any) -> Call:
    mask = inputs["nuclei_mask"]

    def call() -> dict[str, Any]:
        distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
        return {"markers": label._find_peaks(distances, min_distance=7)}

    return call


def watershed(inputs: Any) -> Call:
    stain, mask, markers = inputs["stain"], inputs["nuclei_mask"], inputs["markers"]
    return lambda: {"labels": label._watershed(stain, mask, markers, 3)}


def components(inputs: Any) -> Call:
    mask = inputs["cell_mask"]
    return lambda: {"labels": label._label_connected_components(mask)}


def components_seeded(inputs: Any) -> Call:
    mask, seeds = inputs["cell_mask"], inputs["nuclei"]
    return lambda: {"labels": label._label_connected_components(mask, seed_labels=seeds)}


def expand(inputs: Any) -> Call:
    labels = inputs["nuclei"]
    return lambda: {"labels": label._expand_labels(labels, distance=5, max_area=400)}


def augment(inputs: Any) -> Call:
    source, target = inputs["watershed_labels"].astype(np.int64), inputs["network_labels"].astype(np.int64)
    return lambda: {"labels": label._augment_labels(source, target)}


def compare(inputs: Any) -> Call:
    truth, labels = inputs["cells"], inputs["cell_labels"]

    def call() -> dict[str, Any]:
        ious = benchmark.iou(truth, labels)
        return {"ap": [benchmark.average_precision(ious, tau) for tau in np.arange(0.5, 1, 0.05)]}

    return call


def _density(inputs: Any, binsize: int) -> Call:
    adata = _adata(inputs["total"].shape, total=inputs["total"].astype(np.int64))

    def call() -> dict[str, Any]:
        density.segment_densities(adata, "total", binsize=binsize, k=3, dk=3)
        return {"bins": adata.layers["total_bins"]}

    return call


def density_coarse(inputs: Any) -> Call:
    return _density(inputs, 20)


def density_fine(inputs: Any) -> Call:
    return _density(inputs, 4)


def affine(inputs: Any) -> Call:
    stain, rna = inputs["shifted"].astype(np.float64), inputs["unspliced"].astype(np.float64)
    adata = _adata(stain.shape, stain=stain, unspliced=rna)

    def call() -> dict[str, Any]:
        align.refine_alignment(adata)
        theta = np.asarray(adata.uns["spatial"]["alignment"]["theta"], dtype=float)
        # its coordinates run from -1 to 1 over the image, pixel borders included
        height, width = stain.shape
        to_unit = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
        matrix = np.linalg.inv(to_unit) @ np.vstack([theta, [0, 0, 1]]) @ to_unit
        return {"matrix": matrix[:2]}

    return call


def spline(inputs: Any) -> Call:
    rna = inputs["unspliced"].astype(np.float64)

    def call() -> dict[str, Any]:
        adata = _adata(rna.shape, stain=inputs["bent"].astype(np.float64), unspliced=rna)
        align.refine_alignment(adata, mode="non-rigid", n_epochs=EPOCHS, transform_layers="stain")
        return {"stain": adata.layers["stain"]}

    return call
