"""Tissue with known cells: the truth that tests and benchmarks compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segapp.core.checks import check_labels
from segapp.core.synthetic.anatomy import (
    Anatomy,
    draw_nuclei,
    draw_regions,
    grow_cells,
    main_pieces,
    place_nuclei,
)
from segapp.core.synthetic.fields import quantise
from segapp.core.synthetic.genes import TYPE_NAMES
from segapp.core.synthetic.rna import draw_rna
from segapp.core.synthetic.settings import FROZEN, Settings
from segapp.core.synthetic.ssdna import draw_stain
from segapp.core.types import InputError, Transcripts

__all__ = ["TYPE_NAMES", "Populated", "Tissue", "rna_over_nuclei", "tissue"]

_MARGIN = 24
"""Canvas beyond the frame, in px: cells at the border go on outside, and a shifted stain has something to show."""


@dataclass(frozen=True, eq=False)
class Tissue:
    """A simulated section and everything that is true about it.

    Parameters
    ----------
    transcripts : Transcripts
        UMIs with layers ``total``, ``spliced`` and ``unspliced``; x and y from 0 to size - 1.
    stain : (size, size) uint8
        ssDNA image, displaced by `stain_shift`.
    nuclei, cells : (size, size) int32
        True labels in the RNA frame, 0 = background; a cell has the id of its nucleus, and ids run from 1 to n. The
        nucleus of a cell at the border may lie outside, so `nuclei` may lack some ids.
    density : (size, size) int32
        True density regions: 0 beside the tissue, 1 sparse, 2 medium, 3 dense.
    stain_shift : (int, int)
        (dx, dy) in px: what lies at (x, y) in the RNA frame is seen at (x + dx, y + dy) in `stain`.
    types : (n,) int8
        Cell type of label i + 1, an index into `type_names`.
    type_names : tuple of str
        Names of the cell types.
    """

    transcripts: Transcripts
    stain: np.ndarray
    nuclei: np.ndarray
    cells: np.ndarray
    density: np.ndarray
    stain_shift: tuple[int, int]
    types: np.ndarray
    type_names: tuple[str, ...] = TYPE_NAMES


def tissue(size: int = 1024, seed: int = 0, *, shift: tuple[int, int] = (4, -6)) -> Tissue:
    """Simulate a Stereo-seq section at 0.5 µm/px whose nuclei, cells and regions are known.

    Parameters
    ----------
    size : int
        Height and width in px, at least 64.
    seed : int
        Another seed is another piece of tissue; the same seed gives the same arrays on every machine.
    shift : (int, int)
        (dx, dy) in px by which the stain is displaced: what lies at (x, y) in the RNA frame is seen at
        (x + dx, y + dy) in the stain. ``(0, 0)`` gives a stain that lies exactly on the RNA; nothing else changes.

    Returns
    -------
    Tissue
        Transcripts, displaced stain, and the truth in the RNA frame.

    Raises
    ------
    InputError
        When `size`, `seed` or `shift` cannot be used.

    Notes
    -----
    Layers of sparse, medium and dense tissue hold nuclei 7 to 9 µm across, alone and in touching clusters, of five
    cell types; cytoplasm grows around them, rough and lopsided, up to the neighbour. Each cell has its own amount of
    RNA, drawn from the profile of its type over more than 200 genes; nuclear genes (Malat1, Neat1, ...) and unspliced
    molecules lie mostly in the nucleus. Molecules diffuse, some stray far, and the chip's registration lines catch
    fewer of them. The difficulty was set once, so that a public implementation scores as it does on comparable
    simulations.

    Examples
    --------
    >>> sample = tissue(size=128, seed=1)
    >>> sample.stain.shape, sample.stain.dtype, sample.stain_shift
    ((128, 128), dtype('uint8'), (4, -6))
    >>> bool((sample.cells[sample.nuclei > 0] == sample.nuclei[sample.nuclei > 0]).all())
    True
    """
    return simulate(size, seed, shift, FROZEN)


def simulate(size: int, seed: int, shift: tuple[int, int], settings: Settings) -> Tissue:
    """Do the work of `tissue` with any settings; calibration uses it."""
    dx, dy = _check(size, seed, shift)
    margin = max(_MARGIN, abs(dx), abs(dy))
    shape = (size + 2 * margin, size + 2 * margin)
    # one stream a subject: a change in one leaves the others as they are
    layout, noise, molecules = (np.random.Generator(np.random.PCG64([seed, stream])) for stream in range(3))
    regions = draw_regions(layout, shape, settings)
    centres, radii, types = place_nuclei(layout, regions, settings)
    nuclei, thickness = draw_nuclei(layout, shape, centres, radii, settings)
    cells = grow_cells(layout, nuclei, settings)
    whole = Anatomy(regions, nuclei, cells, types, thickness)
    stain = draw_stain(noise, whole, settings)
    transcripts = draw_rna(molecules, whole, settings, window=(margin, margin, size, size))
    frame = np.s_[margin : margin + size, margin : margin + size]
    ids = np.unique(cells[frame])
    ids = ids[ids > 0]
    renumber = np.zeros(len(types) + 1, np.int32)
    renumber[ids] = np.arange(1, len(ids) + 1)
    return Tissue(
        transcripts=transcripts,
        stain=stain[margin - dy : margin - dy + size, margin - dx : margin - dx + size].copy(),
        nuclei=renumber[nuclei[frame]],
        cells=renumber[cells[frame]],
        density=regions[frame].copy(),
        stain_shift=(dx, dy),
        types=types[ids - 1],
    )


@dataclass(frozen=True, eq=False)
class Populated:
    """Real nuclei with simulated cells and RNA.

    Parameters
    ----------
    transcripts : Transcripts
        Simulated UMIs with layers ``total``, ``spliced`` and ``unspliced``.
    nuclei, cells : (H, W) int32
        The nuclei, one piece each, and the cells grown around them; a cell has the id of its nucleus.
    types : (n,) int8
        Cell type of label i + 1, an index into `TYPE_NAMES`.
    """

    transcripts: Transcripts
    nuclei: np.ndarray
    cells: np.ndarray
    types: np.ndarray


def rna_over_nuclei(nuclei: np.ndarray, seed: int = 0) -> Populated:
    """Simulate cells and their RNA over nuclei that were found in a real image.

    Parameters
    ----------
    nuclei : (H, W) int32
        Labels 1 to n; of a label in several pieces the largest stays.
    seed : int
        The same seed gives the same records on every machine.

    Returns
    -------
    Populated
        Records with x and y from 0, and the cells they came from.

    Raises
    ------
    InputError
        When there is no nucleus, or `seed` cannot be used.

    Notes
    -----
    Genes, diffusion and track lines are those of `tissue`. Where nuclei cover 35 % of the surroundings the tissue
    counts as dense, where they cover 12 % as medium: the mix of cell types and the amount of RNA follow from it.

    Examples
    --------
    >>> nuclei = np.zeros((64, 64), np.int32)
    >>> nuclei[20:36, 20:36] = 1
    >>> found = rna_over_nuclei(nuclei)
    >>> bool((found.cells == 1).sum() > 256), found.transcripts.n_umis > 100
    (True, True)
    """
    if isinstance(seed, bool) or int(seed) != seed or seed < 0:
        raise InputError(f"seed={seed} cannot be used: it must be a whole number, at least 0")
    nuclei = main_pieces(check_labels(nuclei, "nuclei"))
    n = int(nuclei.max())
    if n == 0:
        raise InputError("`nuclei` holds no label; pass at least one nucleus to put RNA in")
    settings = FROZEN
    layout, molecules = (np.random.Generator(np.random.PCG64([seed, stream])) for stream in (3, 4))
    cover = quantise(ndimage.gaussian_filter((nuclei > 0).astype(float), 25.0, mode="reflect"))
    regions = np.select([cover >= 0.35, cover >= 0.12], [3, 2], 1).astype(np.int32)
    area = np.bincount(nuclei.ravel(), minlength=n + 1).clip(1)
    around = np.rint(np.bincount(nuclei.ravel(), regions.ravel(), n + 1) / area).astype(int)[1:].clip(1)
    mixes = np.cumsum(settings.type_mix, axis=1)[around]
    types = (layout.uniform(0, 1, (n, 1)) >= mixes[:, :-1]).sum(axis=1).astype(np.int8)
    cells = grow_cells(layout, nuclei, settings)
    whole = Anatomy(regions, nuclei, cells, types, np.zeros(nuclei.shape))
    transcripts = draw_rna(molecules, whole, settings, window=(0, 0, *nuclei.shape))
    return Populated(transcripts, nuclei, cells, types)


def _check(size: int, seed: int, shift: tuple[int, int]) -> tuple[int, int]:
    if isinstance(size, bool) or int(size) != size or size < 64:
        raise InputError(f"size={size} cannot be used: it must be a whole number of px, at least 64")
    if isinstance(seed, bool) or int(seed) != seed or seed < 0:
        raise InputError(f"seed={seed} cannot be used: it must be a whole number, at least 0")
    if len(shift) != 2 or any(int(value) != value for value in shift) or max(map(abs, shift)) > size // 2:
        raise InputError(f"shift={shift} cannot be used: it must be (dx, dy) in whole px, at most half of the size")
    return int(shift[0]), int(shift[1])
