"""Whether two results of a stage are the same, and how far apart they are where they are not: one sentence each."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import digamma
from scipy.stats import nbinom

from segapp.core.comparison import segmentation_statistics
from segapp.core.quality import compare_labels

Results = dict[str, np.ndarray]


def numbers(name: str, tolerance: float = 0.0) -> Callable[[Any, Results, Results], str]:
    """Compare two images of numbers."""

    def compared(inputs: Any, ours: Results, reference: Results) -> str:
        a, b = ours[name].astype(np.float64), reference[name].astype(np.float64)
        apart = np.abs(a - b)
        if not np.isfinite(b).all():
            return f"{np.mean(~np.isfinite(b)):.2%} of the reference's pixels are not numbers"
        if (apart == 0).all():
            return "equal"
        largest = float(apart.max())
        if largest <= tolerance:
            return f"equal within {largest:.1e}"
        return f"{np.mean(apart > max(tolerance, 1e-9)):.2%} of pixels differ, by {largest:.3g} at most"

    return compared


def scores(inputs: Any, ours: Results, reference: Results) -> str:
    """Compare two score images: how far apart, and how alike the pixels that they call occupied."""
    a, b = ours["scores"].astype(np.float64), reference["scores"].astype(np.float64)
    if not np.isfinite(b).all():
        return f"{np.mean(~np.isfinite(b)):.2%} of the reference's pixels are not numbers"
    apart = np.abs(a - b)
    alike = _iou(a > 0.5, b > 0.5)
    return f"median difference {np.median(apart):.1e}, largest {apart.max():.2g}; IoU above 0.5: {alike:.3f}"


def masks(truth: str) -> Callable[[Any, Results, Results], str]:
    """Compare two masks, and each with the truth where they differ."""

    def compared(inputs: Any, ours: Results, reference: Results) -> str:
        a, b, wanted = ours["mask"].astype(bool), reference["mask"].astype(bool), inputs[truth] > 0
        if (a == b).all():
            return "equal"
        return f"IoU {_iou(a, b):.3f}; with the truth {_iou(a, wanted):.3f} and {_iou(b, wanted):.3f}"

    return compared


def positions(inputs: Any, ours: Results, reference: Results) -> str:
    """Compare two sets of markers; their numbering does not matter."""
    a, b = ours["markers"] > 0, reference["markers"] > 0
    if (a == b).all():
        return "equal"
    return f"{a.sum()} and {b.sum()} markers, {np.sum(a & b)} in the same place"


def partition(truth: str = "") -> Callable[[Any, Results, Results], str]:
    """Compare two label images as partitions, and each with the truth where there is one."""

    def compared(inputs: Any, ours: Results, reference: Results) -> str:
        a, b = ours["labels"], reference["labels"].astype(np.int64)
        if same_partition(a, b):
            text = "same partition"
        else:
            found = compare_labels(b, a)
            text = (
                f"{found.f1:.1%} of labels match (IoU > 0.5), AP@0.5 {found.ap[0.5]:.3f}, adjusted Rand index "
                f"{adjusted_rand(a, b):.3f}"
            )
        if truth:
            values = [compare_labels(inputs[truth], labels).ap[0.5] for labels in (a, b)]
            text += "; AP@0.5 to the truth {:.3f} and {:.3f}".format(*values)
        return text

    return compared


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two label images differ in numbering only; background is 0 in both."""
    if ((a > 0) != (b > 0)).any():
        return False
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def likelihood(pixels_of: str, *, weighted: bool = False) -> Callable[[Any, Results, Results], str]:
    """Compare two mixtures by the mean log likelihood of every pixel, which a fit is to make large."""

    def compared(inputs: Any, ours: Results, reference: Results) -> str:
        counts, pixels = np.unique(inputs[pixels_of], return_counts=True)
        weights = pixels * np.log(counts.astype(float) + 2) if weighted else pixels
        values = []
        for fitted in (ours, reference):
            w, r, theta = fitted["w"], fitted["r"], fitted["theta"]
            mixed = sum(w[state] * nbinom.pmf(counts, r[state], theta[state]) for state in (0, 1))
            values.append(float(np.sum(weights * np.log(np.maximum(mixed, 1e-300))) / weights.sum()))
        kind = "weighted log likelihood" if weighted else "log likelihood"
        return f"{kind} a pixel {values[0]:.5f} and {values[1]:.5f}"

    return compared


def precisions(inputs: Any, ours: Results, reference: Results) -> str:
    """Compare average precision at every threshold."""
    apart = np.abs(ours["ap"] - reference["ap"]).max()
    return "equal" if apart < 1e-12 else f"AP differs by {apart:.2g} at most"


def regions(inputs: Any, ours: Results, reference: Results) -> str:
    """Compare two images of density bins by how well each separates the true regions."""
    a, b, truth = ours["bins"], reference["bins"], inputs["density"]
    values = [adjusted_rand(truth, bins) for bins in (a, b)]
    text = "adjusted Rand index to the truth {:.3f} and {:.3f}".format(*values)
    return f"{text}; {len(np.unique(a))} and {len(np.unique(b))} bins"


def displacement(inputs: Any, ours: Results, reference: Results) -> str:
    """Compare two affine maps with the shift that is known, over the corners of the image."""
    height, width = inputs["shifted"].shape
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
    errors = []
    for result in (ours, reference):
        found = corners @ np.asarray(result["matrix"], float).T
        errors.append(np.linalg.norm(found - corners[:, :2] - inputs["stain_shift"], axis=1).mean())
    return "error {:.2f} px and {:.2f} px".format(*errors)


def straightened(inputs: Any, ours: Results, reference: Results) -> str:
    """Correlate each straightened stain with the stain before it was bent."""
    found = [float(np.corrcoef(inputs["stain"].ravel(), a["stain"].ravel())[0, 1]) for a in (ours, reference)]
    bent = float(np.corrcoef(inputs["stain"].ravel(), inputs["bent"].ravel())[0, 1])
    return f"correlation with the straight stain {found[0]:.3f} and {found[1]:.3f}, of the bent one {bent:.3f}"


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sum(a & b) / max(1, np.sum(a | b)))


def adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    """Agreement of two partitions of the same pixels, 0 by chance and 1 when they are the same."""
    # one more each: background is a part as any other
    return segmentation_statistics(a + 1, b + 1, counts=None, taus=())["Adjusted rand score"]


def parameters(inputs: Any, ours: Results, reference: Results) -> str:
    """Compare the parameters of two mixtures, and each with EM pixel by pixel, in logarithms, from the same start.

    The reference lifts what EM weighs a pixel by to `LIFTED_WEIGHT`: EM that does the same shows what is left.
    """
    names = ("w", "r", "theta")
    x, start = inputs["drawn"].ravel().astype(float), inputs["start"]
    exact, lifted = _em(x, *start), _em(x, *start, lowest=LIFTED_WEIGHT)
    apart = max(float(np.abs(ours[name] - reference[name]).max()) for name in names)
    errors = [max(float(np.abs(side[name] - exact[name]).max()) for name in names) for side in (ours, reference)]
    left = max(float(np.abs(reference[name] - lifted[name]).max()) for name in names)
    text = f"w, r and theta differ by {apart:.1e} at most"
    return (
        f"{text}; from EM in logarithms by {errors[0]:.1e} and {errors[1]:.1e}, the latter by {left:.1e} with weights "
        f"lifted to {LIFTED_WEIGHT:.0e} as in the reference"
    )


LIFTED_WEIGHT = 1e-10
"""The least that the reference lets a likelihood times the share of its state be."""


def _em(
    x: np.ndarray, w: np.ndarray, mu: np.ndarray, var: np.ndarray, rounds: int = 50, lowest: float = 0.0
) -> Results:
    w, theta = w / w.sum(), mu / var
    r = mu**2 / (var - mu)
    for _ in range(rounds):
        logs = np.log(w)[:, None] + nbinom.logpmf(x, r[:, None], theta[:, None])
        logs = np.maximum(logs, np.log(lowest)) if lowest else logs
        tau = np.exp(logs - np.logaddexp(*logs))
        beta = 1 - 1 / (1 - theta) - 1 / np.log(theta)
        rise = (tau * r[:, None] * (digamma(r[:, None] + x) - digamma(r)[:, None])).sum(1)
        share, mass = tau.sum(1), (tau * x).sum(1)
        w, theta = share / x.size, beta * rise / (mass - (1 - beta) * rise)
        r = -rise / share / np.log(theta)
    return {"w": w, "r": r, "theta": theta}


def marginals(inputs: Any, ours: Results, reference: Results) -> str:
    """Compare two images of beliefs, and each with the same messages in 64 bits under the same stop rule.

    The reference lifts each likelihood to `LIFTED_LIKELIHOOD`, which weakens what a sure pixel tells its neighbours:
    messages that start from the same evidence show what is left.
    """
    a, b = ours["scores"].astype(np.float64), reference["scores"].astype(np.float64)
    occupied, background = inputs["occupied"], inputs["background"]
    with np.errstate(divide="ignore"):
        exact = _beliefs(np.log(occupied) - np.log(background), 0.6, 0.4, 1e-6, 100)
    lifted = [np.log(np.maximum(likelihood, LIFTED_LIKELIHOOD)) for likelihood in (occupied, background)]
    left = np.abs(b - _beliefs(lifted[0] - lifted[1], 0.6, 0.4, 1e-6, 100)).max()
    errors = [float(np.abs(side - exact).max()) for side in (a, b)]
    share = np.mean(np.minimum(occupied, background) < LIFTED_LIKELIHOOD)
    return (
        f"differ by {np.abs(a - b).max():.1e} at most; from the same messages in 64 bits by {errors[0]:.1e} and "
        f"{errors[1]:.1e}, the latter by {left:.1e} with likelihoods lifted to {LIFTED_LIKELIHOOD:.0e} as in the "
        f"reference ({share:.1%} of pixels)"
    )


LIFTED_LIKELIHOOD = 1e-6
"""The least that the reference lets a likelihood be."""


def _beliefs(odds: np.ndarray, p: float, q: float, precision: float, most: int) -> np.ndarray:
    """Flooding on 4 neighbours until the mean squared change of the log messages falls below `precision`."""
    messages = {step: np.zeros(odds.shape) for step in ((0, 1), (0, -1), (1, 0), (-1, 0))}
    height, width = odds.shape
    for _ in range(most):
        total = odds + sum(messages.values())
        fresh, change, n = {}, 0.0, 0
        for (dy, dx), before in messages.items():
            # what arrives at a pixel from its neighbour at (dy, dx)
            to = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
            at = np.s_[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
            cavity = total[at] - messages[-dy, -dx][at]
            sent = np.logaddexp(np.log(p) + cavity, np.log(q)) - np.logaddexp(np.log(q) + cavity, np.log(p))
            fresh[dy, dx] = np.zeros(odds.shape)
            fresh[dy, dx][to] = sent
            change += float(((sent - before[to]) ** 2).sum())
            n += sent.size
        messages = fresh
        if n == 0 or change / n < precision:
            break
    return 1 / (1 + np.exp(-(odds + sum(messages.values()))))


AGREEMENT: dict[str, Callable[[Any, Results, Results], str]] = {
    "circle": numbers("sums"),
    "circle_by_bin": numbers("sums"),
    "blur": numbers("blurred", 1e-4),
    "mixture_drawn": likelihood("sums", weighted=True),
    "mixture_rounds": parameters,
    "mixture_all": likelihood("drawn"),
    "posterior": numbers("scores", 1e-6),
    "moran": numbers("scores", 1e-6),
    "propagation": marginals,
    "em_bp": scores,
    "em_bp_by_bin": scores,
    "variational": likelihood("sums"),
    "nuclei_mask": masks("nuclei"),
    "cytoplasm": masks("cells"),
    "peaks": positions,
    "watershed": partition("nuclei"),
    "components": partition("cells"),
    "components_seeded": partition("cells"),
    "expand": partition("cells"),
    "augment": partition(),
    "compare": precisions,
    "density_coarse": regions,
    "density_fine": regions,
    "affine": displacement,
    "spline": straightened,
}
"""Stages in the order of the table, with what makes two results agree."""

REAL = {
    stage: partition() if stage in ("components", "components_seeded", "expand") else agree
    for stage, agree in AGREEMENT.items()
    if stage
    not in ("nuclei_mask", "cytoplasm", "peaks", "watershed", "augment", "affine", "spline")  # these need a stain
    and not stage.startswith("density")  # these are compared by the truth
}
"""The same for real counts, which have neither stain nor truth."""
