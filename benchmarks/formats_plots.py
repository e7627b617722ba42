"""Where the cells lie in a plot that a library drew: judged by the pixels that it saved; knows no segapp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def matplotlib_pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    return plt


def drawn(plt: Any, path: Path, table: Any, pattern: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Save what was drawn; return its pixels, and where in them the cells and their mirror images belong."""
    from PIL import Image

    figure = plt.gcf()
    figure.savefig(path, dpi=100)
    axes = figure.axes[0]
    scale = next(iter(table.uns["spatial"].values()))["scalefactors"]["tissue_hires_scalef"]
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)

    def pixels(points: np.ndarray) -> np.ndarray:
        at = axes.transData.transform(points * scale)
        return np.stack([at[:, 0], image.shape[0] - at[:, 1]], axis=1).round().astype(int)

    own = pixels(table.obsm["spatial"])
    # a plot shows x to the right and y downwards, as the section lies
    for axis in (0, 1):
        order = np.corrcoef(own[:, axis], table.obsm["spatial"][:, axis])[0, 1]
        assert order > 0.999, f"axis {'xy'[axis]} of the plot runs the other way"
    box = axes.get_window_extent()
    corner = np.array([box.x0, image.shape[0] - box.y1]), np.array([box.x1, image.shape[0] - box.y0])
    others = [pixels(points) for points in pattern.mirrored(table.obsm["spatial"])]
    plt.close("all")
    # around the axes a page is white, and a plot shows what it was given alone
    return image, own, np.array([np.where((at > corner[0]) & (at < corner[1]), at, -1) for at in others])


def _at(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    inside = (points >= 0).all(1) & (points < [image.shape[1], image.shape[0]]).all(1)
    x, y = points[inside].T
    return image[y, x]


def shows_picture(image: np.ndarray, own: np.ndarray, others: np.ndarray) -> None:
    """Pixels under the cells are bright and grey; under each mirror image, some are not."""
    bright = _at(image, own)
    assert len(bright) == len(own) and bright.mean(1).min() > 100, "the plotted picture is dark where cells are"
    assert np.ptp(bright, axis=1).max() < 30, "the picture is covered"
    for points in others:
        seen = _at(image, points)
        fits = len(seen) == len(own) and seen.mean(1).min() >= bright.mean(1).min() / 2
        assert not fits, "a mirror image fits the plot"


def shows_gene(image: np.ndarray, own: np.ndarray, others: np.ndarray, stem: np.ndarray) -> None:
    """Cells of the gene have one hue and the others another."""
    seen = _at(image, own)
    assert len(seen) == len(own)
    yellow = seen[:, :2].min(1) - seen[:, 2]  # viridis goes from violet to yellow
    assert yellow[stem].min() > yellow[~stem].max() + 20, "the gene is shown at other cells"
