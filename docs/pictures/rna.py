"""Draw what the scores and the density make of RNA."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from segapp.core import density, score
from segapp.core.convolve import circle_sum, gauss_blur
from segapp.core.score.model import Mixture, posterior_table
from segapp.core.score.nbinom import log_pmf

from .canvas import (
    CELLS_COLOUR,
    bar,
    outline,
    panels,
    picture,
    session,
    show,
    truth,
    view,
)


@picture
def scores() -> plt.Figure:
    """Draw the scores of every method on total RNA, with the truth."""
    total = session().get("total")
    occupied = truth("cells") > 0
    figure, axes = panels(8, columns=4)
    show(axes[0], view(gauss_blur(total, 5)), "all RNA, blurred; true cells", "magma")
    outline(axes[0], view(truth("cells")), "white", 0.5)
    for axis, name in zip(axes[1:], score.METHODS.names(), strict=True):
        params = score.CELL_SCORE.option(name)(certain="off")
        info = score.fit_score(total, None, params)
        found = score.apply_score(total, None, None, params, info)
        mask, _ = score.mask_scores(found, info, None, score.ScoreMaskParams())
        f1 = 2 * (mask & occupied).sum() / (mask.sum() + occupied.sum())
        show(axis, view(found), f"{name}: pixel F1 {f1:.2f}", "viridis", vmin=0)
        outline(axis, view(mask.astype(np.int32)), CELLS_COLOUR, 0.7)
    bar(axes[0])
    return figure


@picture
def mixture() -> plt.Figure:
    """Draw the two negative binomials of a fit, and the posterior by count."""
    total = session().get("total")
    params = score.CELL_SCORE.option("EM")()
    fit = Mixture.from_json(score.fit_score(total, None, params).statistics["mixtures"]["0"])
    sums = circle_sum(total, params.k)
    last = int(np.quantile(sums, 0.995))
    values = np.arange(last + 1, dtype=np.float64)
    figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
    axis.bar(values, np.bincount(sums.ravel(), minlength=last + 1)[: last + 1] / sums.size, color="#c8ccd4", width=1)
    shares = fit.w
    for state, (name, colour) in enumerate((("background", "#7a3db8"), ("occupied", "#e07b00"))):
        pmf = shares[state] * np.exp(log_pmf(values, fit.mu[state], fit.r[state], fit.z[state]))
        axis.plot(values, pmf, color=colour, label=name)
    axis.set(xlabel=f"UMIs in a circle of {params.k} px", ylabel="share of the pixels")
    twin = axis.twinx()
    twin.plot(values, posterior_table(fit, last + 1), "--", color="#1a7f37", label="score")
    twin.set(ylabel="score", ylim=(0, 1.03))
    lines = [*axis.get_lines(), *twin.get_lines()]
    axis.legend(lines, [str(line.get_label()) for line in lines], frameon=False, loc="center right")
    return figure


@picture
def certain() -> plt.Figure:
    """Draw what nuclei that are certain do to the score."""
    s = session()
    nuclei = s.get("selected_nuclei")
    total = s.get("total")
    params = score.CELL_SCORE.option("EM+BP")()
    info = score.fit_score(total, None, params)
    figure, axes = panels(2, side=2.8)
    for axis, mask, words in ((axes[0], None, "certain=off"), (axes[1], nuclei > 0, "certain=nuclei")):
        show(axis, view(score.apply_score(total, None, mask, params, info)), words, "viridis", vmin=0, vmax=1)
        outline(axis, view(nuclei), "white", 0.7)
    return figure


@picture
def density_bins() -> plt.Figure:
    """Draw the density bins of the whole sample beside the truth."""
    total = session().get("total")
    bins, statistics = density.segment_density(total, density.WardParams())
    figure, (a, b, c) = panels(3, side=2.8)
    show(a, gauss_blur(total, 41), "all RNA, blurred widely", "magma")
    colours = ListedColormap(["#111111", *[plt.get_cmap("viridis")(v) for v in np.linspace(0.15, 1, int(bins.max()))]])
    show(b, bins, f"{int(bins.max())} bins, cut at distance {statistics['distance_threshold']:.2f}", colours)
    show(c, truth("density"), "true regions", ListedColormap(["#111111", *plt.get_cmap("viridis")([0.15, 0.6, 1.0])]))
    bar(a, 50)
    return figure
