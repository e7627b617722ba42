"""Pictures of the report: the whole with the areas that are shown, and these areas with their outlines."""

from __future__ import annotations

import numpy as np

from segapp.core.doubt import Window
from segapp.core.types import Grid
from segapp.io.report.charts import DOUBTFUL, NUCLEUS, SURE, cell_map, jpeg, outline_paths, scale_bar
from segapp.io.report.subject import Placed, Subject

OVERVIEW = 1100
"""Longest side of the overviews in px."""


def overview(subject: Subject, doubt: np.ndarray, good: tuple[Window, ...], bad: tuple[Window, ...]) -> str:
    """Return the whole twice: as it looks, and by how doubtful its cells are."""
    import cv2

    grid, noun = subject.grid, subject.noun
    whole = subject.pixels.overview()
    picture = whole.image
    shrink = max(1, -(-max(picture.shape) // OVERVIEW))
    size = (max(1, picture.shape[1] // shrink), max(1, picture.shape[0] // shrink))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if shrink > 1 else picture
    cells = subject.pixels.small_labels(OVERVIEW)
    coloured = cell_map(cells.image, subject.obs["label"].to_numpy(), doubt)
    boxes = "".join(
        _box(w, f"{k}{i}", c, grid)
        for k, c, ws in (("A", SURE, good), ("B", DOUBTFUL, bad))
        for i, w in enumerate(ws, 1)
    )
    view = f'viewBox="0 0 {grid.width} {grid.height}"'
    left = (
        f'<figure><svg {view} role="img" aria-label="The {noun} with the areas shown below">'
        f"{_image(small, whole)}{boxes}{scale_bar(grid.shape, grid.um_per_px)}</svg>"
        f"<figcaption>The {noun}. Frames: the areas shown below.</figcaption></figure>"
    )
    right = (
        f'<figure><svg {view} role="img" aria-label="Cells coloured by how doubtful they are">'
        f"{_image(coloured, cells)}</svg>"
        '<figcaption>Cells: <i class="key sure"></i> sure to <i class="key doubtful"></i> doubtful, compared with the '
        f"other cells of the {noun}.</figcaption></figure>"
    )
    return f'<section><h2>Overview</h2><div class="two">{left}{right}</div></section>'


def _image(image: np.ndarray, place: Placed, window: Window | None = None) -> str:
    """Return an image as large as the px of the frame that its pixels cover, in px of a window or of the frame."""
    height, width = (side * place.step for side in place.image.shape[:2])
    left, top = (0, 0) if window is None else (window.column, window.row)
    return (
        f'<image href="{jpeg(image)}" x="{place.x - left}" y="{place.y - top}" width="{width}" height="{height}" '
        'preserveAspectRatio="none"/>'
    )


def _box(window: Window, name: str, colour: str, grid: Grid) -> str:
    thick = max(grid.shape) / 300
    return (
        f'<rect x="{window.column}" y="{window.row}" width="{window.side}" height="{window.side}" fill="none" '
        f'stroke="{colour}" stroke-width="{thick:.1f}"/><text x="{window.column + 2 * thick:.0f}" '
        f'y="{window.row + 9 * thick:.0f}" paint-order="stroke" style="fill:#fff;stroke:#000;'
        f'stroke-width:{thick / 2:.1f}px;font-weight:700;font-size:{8.5 * thick:.0f}px">{name}</text>'
    )


def zooms(subject: Subject, title: str, windows: tuple[Window, ...], kind: str) -> str:
    """Return the section of the windows of one kind, ``"sure"`` or ``"doubtful"``."""
    if not windows:
        return ""
    grid = subject.grid
    letter, colour = ("A", SURE) if kind == "sure" else ("B", DOUBTFUL)
    figures, with_nuclei = [], False
    for i, window in enumerate(windows, 1):
        part, nuclei = subject.pixels.picture(window), subject.pixels.nuclei(window)
        lines = outline_paths(subject.pixels.labels(window), colour, window.side / 160)
        if nuclei is not None:
            with_nuclei = True
            lines += outline_paths(nuclei, NUCLEUS, window.side / 300)
        inside = subject.obs.iloc[list(window.cells)]
        said = [
            f"{len(inside)} cells",
            f"median {np.median(inside['n_counts']):,.0f} UMIs",
            f"{np.median(inside['area_um2']):,.0f} µm²",
        ]
        if "score" in inside:
            said.append(f"score {np.nanmean(inside['score']):.2f}")
        x, y = grid.x0 + window.column, grid.y0 + window.row
        at = f"x {x} to {x + window.side}, y {y} to {y + window.side}"
        figures.append(
            f'<figure><svg viewBox="0 0 {window.side} {window.side}" role="img" aria-label="{letter}{i}">'
            f"{_image(_bright(part.image), part, window)}"
            f"{lines}{scale_bar((window.side, window.side), grid.um_per_px)}</svg>"
            f'<figcaption><b class="{kind}">{letter}{i}</b> {", ".join(said)}<br><small>{at} px of the input</small>'
            "</figcaption></figure>"
        )
    key = "outlines of cells" + (", nuclei in yellow" if with_nuclei else "")
    why = (
        f"Cells of usual size, rich in RNA, with high scores ({key})."
        if kind == "sure"
        else f"Cells of unusual size, poor in RNA for their area, or with low scores ({key}). Are they real?"
    )
    behind = f" {subject.behind}" if subject.behind else ""
    return f'<section><h2>{title}</h2><p>{why}{behind}</p><div class="three">{"".join(figures)}</div></section>'


def _bright(part: np.ndarray) -> np.ndarray:
    """Stretch a window to its own range, so that dim areas can be seen."""
    low, high = np.quantile(part, [0.01, 0.995])
    scaled: np.ndarray = np.clip((part.astype(np.float32) - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    return scaled
