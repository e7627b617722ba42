"""The RNA: molecules of known cells, spread by diffusion and caught by a chip with registration lines."""

from __future__ import annotations

import numpy as np

from segapp.core.records import make_transcripts
from segapp.core.synthetic.anatomy import Anatomy
from segapp.core.synthetic.fields import quantise
from segapp.core.synthetic.genes import Panel, gene_panel
from segapp.core.synthetic.settings import Settings
from segapp.core.types import Transcripts

HEADER = {
    "FileFormat": "GEMv0.1",
    "SortedBy": "None",
    "BinType": "Bin",
    "BinSize": "1",
    "Omics": "Transcriptomics",
    "Stereo-seqChip": "SIMULATED",
    "OffsetX": "0",
    "OffsetY": "0",
}


def draw_rna(
    rng: np.random.Generator,
    anatomy: Anatomy,
    settings: Settings,
    *,
    window: tuple[int, int, int, int],
) -> Transcripts:
    """Draw the UMIs of a tissue.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws.
    anatomy : Anatomy
        Nuclei, cells, regions and types, on a canvas that may be larger than the window.
    settings : Settings
        Amounts, shares, diffusion and track lines.
    window : (int, int, int, int)
        Top, left, height and width of the part that is kept; its corner becomes (0, 0).

    Returns
    -------
    Transcripts
        Layers ``total``, ``spliced`` and ``unspliced``; total = spliced + unspliced.
    """
    panel = gene_panel(settings.nuclear_share, settings.intronic_share)
    parts = (
        _molecules_of_cells(rng, anatomy, panel, settings),
        _ambient(rng, anatomy, panel, settings),
    )
    pixel, gene, unspliced = (np.concatenate(column) for column in zip(*parts, strict=True))
    width = anatomy.nuclei.shape[1]
    y, x = np.divmod(pixel, width)
    sigma = np.where(
        rng.uniform(0, 1, len(pixel)) < settings.stray,
        settings.stray_distance,
        settings.diffusion,
    )
    y = y + np.rint(quantise(sigma * rng.standard_normal(len(pixel)), 256) + _JITTER).astype(np.int64)
    x = x + np.rint(quantise(sigma * rng.standard_normal(len(pixel)), 256) + _JITTER).astype(np.int64)
    caught = rng.uniform(0, 1, len(pixel))
    top, left, height, width = window
    y, x = y - top, x - left
    keep = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    y, x, gene, unspliced, caught = (
        y[keep],
        x[keep],
        gene[keep],
        unspliced[keep],
        caught[keep],
    )
    rows, cols = track_lines(rng, height, settings), track_lines(rng, width, settings)
    keep = caught < np.minimum(rows[y], cols[x])
    nascent = unspliced[keep].astype(np.uint32)
    one = np.ones(len(nascent), np.uint32)
    layers = {"total": one, "spliced": one - nascent, "unspliced": nascent}
    return make_transcripts(x[keep], y[keep], gene[keep], layers, panel.names, header=HEADER)


# half a step of the quantised displacement: no displacement lies on the edge between two pixels
_JITTER = 1 / 512


def track_lines(rng: np.random.Generator, length: int, settings: Settings) -> np.ndarray:
    """Return the share of RNA that each row (or column) of the chip catches: 1, less on its registration lines."""
    capture = np.ones(length)
    at = rng.uniform(0.25, 0.75) * settings.track_spacing
    while at < length:
        start = int(at)
        capture[start : start + settings.track_width] = settings.track_capture
        at += settings.track_spacing * rng.uniform(0.75, 1.25)
    return capture


def _molecules_of_cells(
    rng: np.random.Generator, anatomy: Anatomy, panel: Panel, settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nuclei, cells, types = anatomy.nuclei.ravel(), anatomy.cells.ravel(), anatomy.types
    n = len(types)
    area = np.bincount(cells, minlength=n + 1)[1:]
    region = np.zeros(n + 1)
    # the region of a cell is that of most of its pixels, near enough: the mean
    region[1:] = np.bincount(cells, anatomy.regions.ravel(), n + 1)[1:] / area.clip(1)
    factor = np.interp(region[1:], np.arange(len(settings.region_rna)), settings.region_rna)
    amount = area * np.asarray(settings.rna)[types] * factor
    amount *= np.exp(settings.rna_spread * rng.standard_normal(n))
    counts = rng.poisson(quantise(amount, 64))
    cell = np.repeat(np.arange(1, n + 1), counts)
    gene = _draw_genes(rng, types[cell - 1], panel.profiles)
    in_nucleus = rng.uniform(0, 1, len(cell)) < panel.nuclear[gene]
    place = rng.uniform(0, 1, len(cell))
    inner, inner_start = _members(np.where(nuclei == cells, nuclei, 0), n)
    outer, outer_start = _members(np.where(nuclei > 0, 0, cells), n)
    n_inner, n_outer = np.diff(inner_start), np.diff(outer_start)
    # a nucleus without cytoplasm keeps all, a cell whose nucleus lies outside the frame has only cytoplasm
    in_nucleus = (in_nucleus & (n_inner[cell - 1] > 0)) | (n_outer[cell - 1] == 0)
    size = np.where(in_nucleus, n_inner[cell - 1], n_outer[cell - 1])
    nth = np.minimum((place * size).astype(np.int64), size - 1)
    pixel = np.empty(len(cell), np.int64)
    pixel[in_nucleus] = inner[inner_start[cell[in_nucleus] - 1] + nth[in_nucleus]]
    out = ~in_nucleus
    pixel[out] = outer[outer_start[cell[out] - 1] + nth[out]]
    chance = np.where(
        in_nucleus,
        panel.intronic[gene],
        settings.cytoplasmic_intronic * (panel.intronic[gene] > 0),
    )
    return pixel, gene, rng.uniform(0, 1, len(cell)) < chance


def _ambient(
    rng: np.random.Generator, anatomy: Anatomy, panel: Panel, settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rate = np.asarray(settings.ambient)[anatomy.regions.ravel()]
    pixel = np.repeat(np.arange(rate.size), rng.poisson(rate))
    profile = panel.profiles.mean(axis=0) * (1 - panel.nuclear)
    gene = _draw_genes(rng, np.zeros(len(pixel), np.int8), profile[None] / profile.sum())
    chance = settings.cytoplasmic_intronic * (panel.intronic[gene] > 0)
    return pixel, gene, rng.uniform(0, 1, len(pixel)) < chance


def _draw_genes(rng: np.random.Generator, types: np.ndarray, profiles: np.ndarray) -> np.ndarray:
    draw = rng.uniform(0, 1, len(types))
    gene = np.empty(len(types), np.int64)
    for type_, profile in enumerate(profiles):
        mine = types == type_
        gene[mine] = np.searchsorted(np.cumsum(profile), draw[mine], side="right")
    return np.minimum(gene, profiles.shape[1] - 1)


def _members(labels: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.flatnonzero(labels)
    pixels = pixels[np.argsort(labels[pixels], kind="stable")]
    counts = np.bincount(labels[pixels], minlength=n + 1)[1:]
    return pixels, np.concatenate([[0], np.cumsum(counts)])
