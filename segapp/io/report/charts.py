"""Pictures of the report: histograms and outlines as SVG, the section as JPEG inside the page."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import cv2
import numpy as np

from segapp.core.outline import polygons
from segapp.core.types import Grid

INK, SOFT, BAR, SURE, DOUBTFUL, NUCLEUS = "#1d2733", "#66727f", "#3f7cac", "#1b9e77", "#d95f02", "#ffd84d"
"""Colours; green and orange of a map that colour-blind readers tell apart."""

_SCALE = np.array([[27, 158, 119], [166, 206, 180], [245, 240, 225], [246, 178, 107], [217, 95, 2]], np.float64)


def histogram(title: str, values: np.ndarray, unit: str, *, log: bool = False) -> str:
    """Return a histogram as SVG, its median marked; an empty text where there is nothing to count.

    Parameters
    ----------
    title, unit : str
        What is counted, and in what.
    values : (N,) array
        NaN are left out.
    log : bool
        Bins of equal ratio, for values over several orders of magnitude.

    Examples
    --------
    >>> histogram("Area", np.array([1.0, 2.0, 2.0]), "µm²").startswith("<svg")
    True
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if log:
        values = values[values > 0]
    if not len(values):
        return ""
    shown = np.log10(values) if log else values
    low, high = np.quantile(shown, [0.002, 0.998])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(shown, low, high), bins=min(36, max(8, int(np.sqrt(len(values)) * 2))))
    width, height, left, bottom, top = 360, 200, 34, 30, 26
    step = (width - left - 8) / len(counts)
    tallest = max(int(counts.max()), 1)

    def at(value: float) -> float:
        return left + (value - edges[0]) / (edges[-1] - edges[0]) * (width - left - 8)

    bars = "".join(
        f'<rect x="{left + i * step:.1f}" y="{height - bottom - n / tallest * (height - bottom - top):.1f}" '
        f'width="{max(step - 1, 0.5):.1f}" height="{n / tallest * (height - bottom - top):.1f}"/>'
        for i, n in enumerate(counts.tolist())
    )
    median = float(np.median(values))
    middle = at(np.log10(median) if log else median)
    ticks = "".join(
        f'<text x="{at(np.log10(tick) if log else tick):.1f}" y="{height - bottom + 15}" text-anchor="middle">'
        f"{_plain(tick)}</text>"
        for tick in _ticks(edges[0], edges[-1], log)
    )
    name = html.escape(title)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}: median {_plain(median)} {unit}">'
        f'<text class="t" x="{left}" y="14">{name}</text>'
        f'<g fill="{BAR}">{bars}</g>'
        f'<line x1="{left}" x2="{width - 8}" y1="{height - bottom}" y2="{height - bottom}" stroke="{SOFT}"/>'
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{top - 4}" y2="{height - bottom}" stroke="{INK}" '
        f'stroke-dasharray="4 3"/>'
        f'<text x="{width - 8}" y="14" text-anchor="end">median {_plain(median)}</text>'
        f'<text x="{left - 4}" y="{top + 6}" text-anchor="end">{tallest:,}</text>'
        f'<text x="{left - 4}" y="{height - bottom}" text-anchor="end">0</text>'
        f'{ticks}<text x="{width - 8}" y="{height - 1}" text-anchor="end">{html.escape(unit)}</text></svg>'
    )


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if log:
        whole = [10.0**power for power in range(int(np.ceil(low)), int(np.floor(high)) + 1)]
        if len(whole) >= 2:
            return whole
        low, high = 10**low, 10**high
    raw = (high - low) / 4
    power = 10 ** np.floor(np.log10(raw))
    step = float(next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= raw * 0.999))
    first = np.ceil(low / step) * step
    return [float(value) for value in np.arange(first, high + step * 1e-6, step) if value > 0 or not log]


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


def jpeg(image: np.ndarray, quality: int = 84) -> str:
    """Return an image as the address that an ``img`` of a page takes.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) uint8
        Grey or RGB.
    quality : int
        0 to 100.
    """
    bgr = image if image.ndim == 2 else image[:, :, ::-1]
    _, packed = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(packed.tobytes()).decode("ascii")


def colours(values: np.ndarray) -> np.ndarray:
    """Return (N, 3) uint8 colours of values from 0 (green) to 1 (orange)."""
    at = np.linspace(0, 1, len(_SCALE))
    return np.stack([np.interp(values, at, _SCALE[:, i]) for i in range(3)], axis=-1).astype(np.uint8)


def cell_map(labels: np.ndarray, ids: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """Colour cells by their doubt.

    Parameters
    ----------
    labels : (H, W) integer array
        Cells.
    ids : (N,) array
        Labels of the cells in the order of `doubt`.
    doubt : (N,) array
        0 to 1.

    Returns
    -------
    (H, W, 3) uint8
    """
    # a picture of every n-th pixel need not show the cell with the highest label
    highest = max(int(labels.max(initial=0)), int(np.max(ids, initial=0)))
    paint = np.full((highest + 1, 3), (255, 255, 255), np.uint8)
    if len(ids):
        paint[np.asarray(ids)] = colours(_spread(doubt))
    image: np.ndarray = paint[labels]
    return image


def _spread(doubt: np.ndarray) -> np.ndarray:
    """Mean ranks crowd around the middle; the colours are spread over what occurs."""
    low, high = np.quantile(doubt, [0.02, 0.98])
    spread: np.ndarray = np.clip((doubt - low) / max(high - low, 1e-9), 0, 1)
    return spread


def outline_paths(labels: np.ndarray, colour: str, width: float) -> str:
    """Return the outlines of the labels of a window as one SVG path in px of the window."""
    parts = []
    for shapes in polygons(labels, Grid(0, 0, labels.shape[0], labels.shape[1])).values():
        for ring in (ring for shape in shapes for ring in shape):
            parts.append("M" + "L".join(f"{x} {y}" for x, y in ring[:-1].tolist()) + "Z")
    if not parts:
        return ""
    return f'<path d="{"".join(parts)}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def scale_bar(shape: Sequence[float], um_per_px: float) -> str:
    """Return a bar of a round length, about a fifth of the width, for an SVG in px of the frame."""
    height, width = shape
    wanted = width * um_per_px / 5
    power = 10 ** np.floor(np.log10(wanted))
    length = float(max(k * power for k in (1, 2, 5) if k * power <= wanted))
    px, thick = length / um_per_px, height * 0.012
    x, y = width * 0.03, height * 0.965
    text = f"{length:g} µm" if length < 1000 else f"{length / 1000:g} mm"
    return (
        f'<rect x="{x - thick}" y="{y - height * 0.055}" width="{px + 2 * thick}" height="{height * 0.08}" '
        f'fill="#000" opacity="0.55" rx="{thick}"/><rect x="{x}" y="{y}" width="{px}" height="{thick}" fill="#fff"/>'
        f'<text x="{x + px / 2}" y="{y - thick}" text-anchor="middle" style="fill:#fff;font-size:{height * 0.036}px">'
        f"{text}</text>"
    )
