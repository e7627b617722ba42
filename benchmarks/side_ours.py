"""segapp's own functions on the inputs of the benchmark, with its own defaults."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pyro  # noqa: F401 - loaded now, as the other side loads it: no stage is to pay for it
import torch  # noqa: F401
from scipy.stats import nbinom

from segapp.core import align, density, quality, score, stain, synthetic
from segapp.core.convolve import circle_sum, circle_sum_by_bin, gauss_blur
from segapp.core.label import augment as joins
from segapp.core.label import components as parts
from segapp.core.label import expand as growth
from segapp.core.label import markers as seeds
from segapp.core.label import watershed as basins
from segapp.core.rna import rasterize
from segapp.core.score import propagation as beliefs
from segapp.core.score.mixture import fit_mixture, histogram_weights, run_em
from segapp.core.score.start import start_of
from segapp.core.score.vi import fit_vi
from segapp.core.types import Grid
from segapp.io.samples import load_sample

ROUNDS = 50
"""EM rounds that both sides do from the same start."""

BEND = 8.0
"""Px that the stain of the spline alignment is moved."""

Call = Callable[[], dict[str, Any]]


PACKAGES = ("segapp", "numpy", "scipy", "torch", "opencv-python-headless", "scikit-image", "numba")
"""Their versions are reported."""


def prepare(inputs: Any, size: int) -> None:
    """Derive what the stages take, once, for both sides: from a simulated tissue, or real counts where `size` is 0."""
    (_prepare_tissue if size else _prepare_real)(inputs, size)


def _prepare_real(inputs: Any, _: int) -> None:
    """Take the bundled Stereo-seq section: real counts, no stain and no truth; nuclei and bins are what ours finds."""
    records = load_sample("stereoseq").transcripts
    x0, y0, x1, y1 = records.bbox
    grid = Grid(x0, y0, y1 - y0 + 1, x1 - x0 + 1)
    total = nuclear = rasterize(records, grid, "total")  # its file does not tell unspliced RNA from the rest
    bins = density.segment_density(total, density.DENSITY.option("levels")())[0]
    nuclei_method, cells_method = (methods.option("EM+BP")() for methods in (score.NUCLEI_SCORE, score.CELL_SCORE))
    found = score.fit_score(nuclear, None, nuclei_method)
    nuclei_mask, _ = score.mask_scores(
        score.apply_score(nuclear, None, None, nuclei_method, found), found, None, score.ScoreMaskParams()
    )
    nuclei = _components(nuclei_mask, None)
    found = score.fit_score(total, bins, cells_method)
    scores = score.apply_score(total, bins, nuclei > 0, cells_method, found)
    cell_mask, _ = score.mask_scores(scores, found, nuclei > 0, score.ScoreMaskParams())
    inputs.save(
        total=total,
        unspliced=nuclear,
        density=bins,
        nuclei=nuclei,
        cell_mask=cell_mask,
        cells=_components(cell_mask, None),
        cell_labels=_components(cell_mask, nuclei),
        **_mixture_inputs(nuclear),
    )


def _mixture_inputs(unspliced: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the stages around mixtures take: sums over circles, some of them drawn, a start, likelihoods."""
    sums = circle_sum(unspliced, 5)
    fitted = _fit(sums, "EM")
    pmf = [nbinom.pmf(np.arange(int(sums.max()) + 1), fitted["r"][state], fitted["theta"][state]) for state in (0, 1)]
    drawn = np.random.default_rng(0).choice(sums.ravel(), (50, 100), replace=False)
    cut = max(1, int(np.median(drawn)))
    sides = [drawn[drawn <= cut], drawn[drawn > cut]]
    start = [[side.size / drawn.size for side in sides], [side.mean() for side in sides]]
    start.append([max(float(side.var()), 1.1 * float(side.mean())) for side in sides])
    return {
        "sums": sums,
        "drawn": drawn,
        "start": np.array(start),
        "mixture": np.array([fitted["w"], fitted["r"], fitted["theta"]]),
        "background": pmf[0][sums],
        "occupied": pmf[1][sums],
    }


def _prepare_tissue(inputs: Any, size: int) -> None:
    straight, shifted = synthetic.tissue(size, seed=0, shift=(0, 0)), synthetic.tissue(size, seed=0)
    total, unspliced = (
        rasterize(straight.transcripts, Grid(0, 0, size, size), layer) for layer in ("total", "unspliced")
    )
    mask = stain.mask_nuclei(straight.stain, stain.NucleiMaskParams())
    markers = seeds.find_peaks_from_mask(mask, min_distance=7)
    labels = basins.watershed(-gauss_blur(straight.stain, 3), markers, mask)
    # what a network finds: most true nuclei, and a few where there are none
    network = np.where(straight.nuclei % 5 == 0, 0, straight.nuclei).astype(np.int32)
    network[np.roll(labels, (40, 40), (0, 1)) == 7] = network.max() + 1
    info = score.fit_score(total, straight.density, score.CELL_SCORE.option("EM+BP")())
    scores = score.apply_score(total, straight.density, straight.nuclei > 0, score.CELL_SCORE.option("EM+BP")(), info)
    cell_mask, _ = score.mask_scores(scores, info, straight.nuclei > 0, score.ScoreMaskParams())
    inputs.save(
        total=total,
        unspliced=unspliced,
        stain=straight.stain,
        shifted=shifted.stain,
        bent=_bent(straight.stain),
        stain_shift=np.array(shifted.stain_shift),
        nuclei=straight.nuclei,
        cells=straight.cells,
        density=straight.density,
        nuclei_mask=mask,
        markers=markers,
        watershed_labels=labels,
        network_labels=network,
        cell_mask=cell_mask,
        cell_labels=_components(cell_mask, straight.nuclei),
        **_mixture_inputs(unspliced),
    )


def _bent(image: np.ndarray) -> np.ndarray:
    """Move an image smoothly, by `BEND` px at most along either axis."""
    height, width = image.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    far = BEND * np.sin(3 * np.pi * y / height), BEND * np.cos(2 * np.pi * x / width)
    return cv2.remap(image, x + far[0], y + far[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _fit(sums: np.ndarray, method: str, **changes: Any) -> dict[str, Any]:
    """Fit the mixture to counts that are summed already."""
    params, histogram = score.METHODS.option(method)().with_(**changes), np.bincount(sums.ravel())
    if method.startswith("VI"):
        fitted = fit_vi(histogram, n_epochs=params.vi_n_epochs, zero_inflated=params.vi_zero_inflated)
    else:
        fitted = fit_mixture(
            histogram, max_iter=params.em_max_iter, precision=params.em_precision, weighting=params.em_weighting
        )
    return {"w": fitted.w, "r": fitted.r, "theta": fitted.theta}


def _components(mask: np.ndarray, seeds: np.ndarray | None) -> np.ndarray:
    return parts.label_components(mask, **parts.SplitParams().options(), seeds=seeds).labels


def circle(inputs: Any) -> Call:
    counts = inputs["total"]
    return lambda: {"sums": circle_sum(counts, 5)}


def circle_by_bin(inputs: Any) -> Call:
    counts, bins = inputs["total"], inputs["density"]
    return lambda: {"sums": circle_sum_by_bin(counts, bins, 5)}


def blur(inputs: Any) -> Call:
    counts = inputs["total"]
    return lambda: {"blurred": gauss_blur(counts, 5)}


def mixture_drawn(inputs: Any) -> Call:
    sums = inputs["sums"]
    return lambda: _fit(sums, "EM", em_weighting="log")


def mixture_rounds(inputs: Any) -> Call:
    sums = inputs["drawn"]
    values, weights = histogram_weights(np.bincount(sums.ravel()), "none")
    start = start_of(((0, *inputs["start"].ravel()),), 0)
    assert start is not None

    def call() -> dict[str, Any]:
        fitted, _ = run_em(values, weights, start, max_iter=ROUNDS, precision=0.0)
        return {"w": fitted.w, "r": fitted.r, "theta": fitted.theta}

    return call


def mixture_all(inputs: Any) -> Call:
    sums = inputs["drawn"]
    return lambda: _fit(sums, "EM")


def posterior(inputs: Any) -> Call:
    counts, params = inputs["unspliced"], score.METHODS.option("EM")()
    info = score.fit_score(counts, None, params)
    return lambda: {"scores": score.apply_score(counts, None, None, params, info)}


def _score(counts: np.ndarray, method: str, k: int, bins: Any = None, certain: Any = None) -> Call:
    params = score.METHODS.option(method)().with_(k=k)
    return lambda: {"scores": score.apply_score(counts, bins, certain, params, score.fit_score(counts, bins, params))}


def moran(inputs: Any) -> Call:
    return _score(inputs["unspliced"], "moran", 5)


def propagation(inputs: Any) -> Call:
    params = score.METHODS.option("EM+BP")()
    odds = (np.log(inputs["occupied"]) - np.log(inputs["background"])).astype(np.float32)
    return lambda: {
        "scores": beliefs.propagate(
            odds,
            k=params.bp_k,
            square=params.bp_square,
            p=params.bp_p,
            q=params.bp_q,
            precision=params.bp_precision,
            max_iter=params.bp_max_iter,
        )
    }


def em_bp(inputs: Any) -> Call:
    return _score(inputs["unspliced"], "EM+BP", 5)


def em_bp_by_bin(inputs: Any) -> Call:
    return _score(inputs["total"], "EM+BP", 7, inputs["density"], inputs["nuclei"] > 0)


def variational(inputs: Any) -> Call:
    sums = inputs["sums"]
    return lambda: _fit(sums, "VI+BP")


def nuclei_mask(inputs: Any) -> Call:
    image = inputs["stain"]
    return lambda: {"mask": stain.mask_nuclei(image, stain.NucleiMaskParams())}


def cytoplasm(inputs: Any) -> Call:
    image = inputs["stain"]
    return lambda: {"mask": stain.mask_cells(image, stain.CytoplasmParams())}


def peaks(inputs: Any) -> Call:
    mask = inputs["nuclei_mask"]
    return lambda: {"markers": seeds.find_peaks_from_mask(mask, min_distance=7)}


def watershed(inputs: Any) -> Call:
    image, mask, markers = inputs["stain"], inputs["nuclei_mask"], inputs["markers"]
    return lambda: {"labels": basins.watershed(-gauss_blur(image, 3), markers, mask)}


def components(inputs: Any) -> Call:
    mask = inputs["cell_mask"]
    return lambda: {"labels": _components(mask, None)}


def components_seeded(inputs: Any) -> Call:
    mask, nuclei = inputs["cell_mask"], inputs["nuclei"]
    return lambda: {"labels": _components(mask, nuclei)}


def expand(inputs: Any) -> Call:
    labels = inputs["nuclei"]
    return lambda: {"labels": growth.expand(labels, distance=5, max_area=400)}


def augment(inputs: Any) -> Call:
    watershed_labels, network = inputs["watershed_labels"], inputs["network_labels"]
    return lambda: {"labels": joins.augment(watershed_labels, network)[0]}


def compare(inputs: Any) -> Call:
    truth, labels = inputs["cells"], inputs["cell_labels"]
    return lambda: {"ap": list(quality.compare_labels(truth, labels).ap.values())}


def _density(inputs: Any, binsize: int) -> Call:
    total, params = inputs["total"], density.DENSITY.option("ward")().with_(binsize=binsize)
    return lambda: {"bins": density.segment_density(total, params)[0]}


def density_coarse(inputs: Any) -> Call:
    return _density(inputs, 20)


def density_fine(inputs: Any) -> Call:
    return _density(inputs, 4)


def affine(inputs: Any) -> Call:
    image, rna, params = inputs["shifted"], inputs["unspliced"], align.ALIGN.option("affine")()
    return lambda: {"matrix": align.align_stain(image, rna, params)[1].matrix}


def spline(inputs: Any) -> Call:
    image, rna, params = inputs["bent"], inputs["unspliced"], align.ALIGN.option("tps")()
    return lambda: {"stain": align.align_stain(image, rna, params)[0]}
