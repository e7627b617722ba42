"""Draw what comes out: tables, the presets side by side, and a comparison with the truth."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np

from segapp import PRESETS, Session, compare_labels
from segapp.core import qc
from segapp.core.convolve import gauss_blur

from .canvas import (
    CELLS_COLOUR,
    TRUTH_COLOUR,
    accuracy,
    bar,
    outline,
    panels,
    picture,
    sample,
    session,
    show,
    truth,
    view,
)


@picture
def table() -> plt.Figure:
    """Draw the table of cells x genes back onto the section."""
    s = session()
    found, labels = s.get("table"), s.get("cells")
    genes = np.asarray(found.X.sum(axis=0)).ravel()
    spread = np.asarray(found.X.power(2).sum(axis=0)).ravel() / np.maximum(genes, 1)
    varied = int(np.argmax(np.where(genes > 200, spread, 0)))
    figure, axes = panels(3, side=2.8)
    by_label = np.zeros(int(labels.max()) + 1)
    columns: Iterable[tuple[str, np.ndarray, str]] = (
        ("UMIs a cell", found.obs["n_counts"].to_numpy(), "viridis"),
        ("genes a cell", found.obs["n_genes"].to_numpy(), "cividis"),
        (f"UMIs of {found.var_names[varied]}", found.X[:, varied].toarray().ravel(), "magma"),
    )
    for axis, (name, values, colours) in zip(axes, columns, strict=True):
        by_label[found.obs["label"].to_numpy()] = values
        show(axis, np.where(labels > 0, by_label[labels], np.nan), name, colours)
        axis.set_facecolor("black")
    bar(axes[0], 50)
    return figure


@picture
def presets() -> plt.Figure:
    """Draw the labels of every preset."""
    figure, axes = panels(5)
    for axis, name in zip(axes, PRESETS, strict=True):
        s = Session(store=session().store)
        s.load(sample().transcripts, sample().stain if PRESETS[name].needs_stain else None)
        s.use_preset(name)
        labels = s.get("cells")
        kind = "nuclei" if name == "rna-nuclear" else "cells"
        show(axis, view(gauss_blur(s.get("total"), 5)), f"{name}\n{accuracy(kind, labels)} ({kind})", "magma")
        outline(axis, view(labels), CELLS_COLOUR)
    bar(axes[0])
    return figure


@picture
def compared() -> plt.Figure:
    """Draw found cells over true ones, and the average precision by the overlap that is asked for."""
    s = session()
    found = compare_labels(truth("cells"), s.get("cells"))
    figure, (a, b) = plt.subplots(1, 2, figsize=(6.4, 2.9), layout="constrained", width_ratios=(1, 1.2))
    show(a, view(s.get("stain")), "true cells in pink, found ones in yellow")
    outline(a, view(truth("cells")), TRUTH_COLOUR)
    outline(a, view(s.get("cells")), CELLS_COLOUR)
    a.set_xticks([])
    a.set_yticks([])
    b.plot(list(found.ap), list(found.ap.values()), "o-", color="#7a3db8", label="found cells")
    scattered = compare_labels(truth("cells"), qc.random_labels_like(s.get("cells"), seed=0))
    b.plot(
        list(scattered.ap), list(scattered.ap.values()), "o-", color="#9aa0aa", label="labels of these sizes anywhere"
    )
    b.legend(frameon=False)
    b.set(xlabel="IoU that counts as a match", ylabel="average precision", ylim=(0, 1))
    return figure
