"""Samples: simulated tissue, a real GEM, and a real stain with simulated RNA."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType

import numpy as np

from segapp.core.synthetic import rna_over_nuclei, tissue
from segapp.core.types import InputError, StainFile, Transcripts
from segapp.io.atomic import atomic_dir
from segapp.io.gem import read_gem, write_gem
from segapp.io.image import read_pixels, write_image
from segapp.io.masks import read_labels, write_labels

SAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "tissue": "Simulated tissue: stain, RNA and full truth",
        "stereoseq": "Stereo-seq chip SS200000135TL_D1, 150 x 150 µm of mouse tissue: real RNA, no stain",
        "mosta": "Mouse brain, semi-synthetic: real ssDNA stain (MOSTA), simulated RNA",
    }
)
"""Name -> title of every sample."""

_SMALLEST_NUCLEUS = 40
"""Bundled watershed labels below this area in px are splinters of a nucleus, not places for RNA."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Input ready to be loaded, and what is known about it.

    Parameters
    ----------
    name, title : str
        Key in `SAMPLES`, and what a menu shows.
    transcripts : Transcripts
        UMI records.
    stain : StainFile or None
        Stain image, row = y, column = x, pixel (0, 0) at input position (0, 0).
    truth : mapping of str to (H, W) int32
        ``"nuclei"``, ``"cells"``, ``"density"`` where known, in the frame of the RNA (pixel (0, 0) at input position
        (0, 0)), 0 = background.
    note : str
        What is real, what is simulated, and where it comes from.
    stain_shift : (int, int) or None
        (dx, dy) in px where known: what lies at (x, y) in the RNA is seen at (x + dx, y + dy) in the stain.
    """

    name: str
    title: str
    transcripts: Transcripts
    stain: StainFile | None
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)
    note: str = ""
    stain_shift: tuple[int, int] | None = None


def load_sample(name: str, size: int | None = None, seed: int | None = None) -> Sample:
    """Load a sample by name.

    Parameters
    ----------
    name : {"tissue", "stereoseq", "mosta"}
        Which one; `SAMPLES` lists them.
    size : int, optional
        Height and width in px. ``tissue`` is simulated at this size (default 1024); of the others the middle is cut
        (default: all of it, 299 x 300 and 1200 x 1200).
    seed : int, optional
        Seed of the simulation, default 0; ``stereoseq`` is real and has none.

    Returns
    -------
    Sample
        Transcripts, stain and truth where there are any, and a note on their origin.

    Raises
    ------
    InputError
        When there is no such sample, or it has no such size or seed.

    References
    ----------
    .. [1] Chen et al. 2022, Spatiotemporal transcriptomic atlas of mouse organogenesis using DNA nanoball-patterned
       arrays, Cell 185:1777-1792 (MOSTA, the stain of ``mosta``). Files and licences: ``segapp/samples/SOURCES.md``.

    Examples
    --------
    >>> sample = load_sample("tissue", size=128, seed=3)
    >>> sample.stain.image.shape, sorted(sample.truth)
    ((128, 128), ['cells', 'density', 'nuclei'])
    >>> load_sample("stereoseq").transcripts.bbox
    (9600, 12600, 9898, 12899)
    """
    if name not in _LOADERS:
        raise InputError(f"There is no sample {name!r}; choose one of {', '.join(SAMPLES)}.")
    return _LOADERS[name](size, seed)


def write_sample(name: str, out: str | Path, size: int | None = None, seed: int | None = None) -> tuple[Path, ...]:
    """Write a sample as files that `segapp run` and `segapp compare` read.

    Parameters
    ----------
    name : {"tissue", "stereoseq", "mosta"}
        Which one.
    out : str or Path
        Folder for NAME.gem.gz, stain.tif, truth_nuclei.tif, truth_cells.tif and truth_density.tif, as far as there is
        a stain and a truth; it appears whole or not at all.
    size, seed : int, optional
        As for `load_sample`.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        When there is no such sample, or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> [path.name for path in write_sample("tissue", tempfile.mkdtemp(), size=128)]
    ['tissue.gem.gz', 'stain.tif', 'truth_nuclei.tif', 'truth_cells.tif', 'truth_density.tif']
    """
    sample = load_sample(name, size, seed)
    written = [f"{name}.gem.gz"]
    owned = ["stain.tif", *(f"truth_{kind}.tif" for kind in ("nuclei", "cells", "density"))]
    with atomic_dir(out, owned=owned) as folder:
        write_gem(sample.transcripts, folder / written[0])
        if sample.stain is not None:
            written.append("stain.tif")
            write_image(folder / "stain.tif", sample.stain.image)
        for kind, labels in sample.truth.items():
            written.append(f"truth_{kind}.tif")
            write_labels(folder / written[-1], labels)
    return tuple(Path(out) / file for file in written)


def _tissue(size: int | None, seed: int | None) -> Sample:
    found = tissue(1024 if size is None else size, 0 if seed is None else seed)
    dx, dy = found.stain_shift
    return Sample(
        name="tissue",
        title=SAMPLES["tissue"],
        transcripts=found.transcripts,
        stain=_stain_file(found.stain),
        truth={"nuclei": found.nuclei, "cells": found.cells, "density": found.density},
        note=f"Simulated at 0.5 µm/px. The stain is displaced by ({dx:+d}, {dy:+d}) px (x, y) against the RNA; "
        "the truth lies in the frame of the RNA.",
        stain_shift=found.stain_shift,
    )


def _stereoseq(size: int | None, seed: int | None) -> Sample:
    if seed is not None:
        raise InputError(f"The sample stereoseq is real and has no seed, but seed={seed} was given; leave it out.")
    with as_file(_bundled("stereoseq_small.gem.gz")) as path:
        transcripts = read_gem(path)
    x0, y0, x1, y1 = transcripts.bbox
    if size is not None:
        top, left = _middle("stereoseq", size, (y1 - y0 + 1, x1 - x0 + 1))
        transcripts = _window(transcripts, x0 + left, y0 + top, size)
    return Sample(
        name="stereoseq",
        title=SAMPLES["stereoseq"],
        transcripts=transcripts,
        stain=None,
        note="Real Stereo-seq at 0.5 µm/px, without a stain and without truth. From the tests of spateo-release "
        "(BSD 2-Clause).",
    )


def _mosta(size: int | None, seed: int | None) -> Sample:
    # the files have the chip's x along axis 0
    with as_file(_bundled("mosta_ssdna.tif")) as path:
        stain = np.ascontiguousarray(read_pixels(path)[0].T)
    with as_file(_bundled("mosta_nuclei.tif")) as path:
        nuclei = np.ascontiguousarray(read_labels(path).T)
    areas = np.bincount(nuclei.ravel())
    large = np.flatnonzero(areas >= _SMALLEST_NUCLEUS)
    renumber = np.zeros(len(areas), np.int32)
    renumber[large[large > 0]] = np.arange(1, np.count_nonzero(large) + 1)
    found = rna_over_nuclei(renumber[nuclei], 0 if seed is None else seed)
    transcripts, truth = found.transcripts, {"nuclei": found.nuclei, "cells": found.cells}
    if size is not None:
        top, left = _middle("mosta", size, stain.shape)
        window = np.s_[top : top + size, left : left + size]
        stain = np.ascontiguousarray(stain[window])
        truth = {kind: np.ascontiguousarray(labels[window]) for kind, labels in truth.items()}
        transcripts = _window(transcripts, left, top, size, move=True)
    return Sample(
        name="mosta",
        title=SAMPLES["mosta"],
        transcripts=transcripts,
        stain=_stain_file(stain),
        truth=truth,
        note="Semi-synthetic: a real ssDNA stain of mouse brain (MOSTA, CNGB STDS0000058; Chen et al. 2022, Cell), "
        "with RNA simulated over nuclei that a watershed found in that stain after alignment (SCS, MIT licence), not "
        "drawn by hand. The truth is that of the simulation. The nuclei lie about (-1, +9) px (x, y) from where the "
        "stain shows them, not everywhere by the same displacement.",
    )


_LOADERS: Mapping[str, Callable[[int | None, int | None], Sample]] = {
    "tissue": _tissue,
    "stereoseq": _stereoseq,
    "mosta": _mosta,
}


def _bundled(name: str):  # type: ignore[no-untyped-def]
    # the type of a resource has moved between Python versions
    return files("segapp") / "samples" / name


def _stain_file(image: np.ndarray) -> StainFile:
    """The image as `read_stain` gives it from the file that `write_sample` writes, digest included."""
    state = hashlib.blake2b(digest_size=16)
    state.update(repr((image.shape, image.dtype.str, "YX", ())).encode())
    state.update(image.data.cast("B"))
    image.flags.writeable = False
    return StainFile(image=image, axes="YX", channels=(), name="stain.tif", digest=state.hexdigest())


def _middle(name: str, size: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Top and left of the square of `size` px in the middle."""
    if isinstance(size, bool) or int(size) != size or not 64 <= size <= min(shape):
        raise InputError(f"size={size} cannot be cut from the sample {name}; give 64 to {min(shape)} px.")
    return (shape[0] - size) // 2, (shape[1] - size) // 2


def _window(transcripts: Transcripts, left: int, top: int, size: int, move: bool = False) -> Transcripts:
    """Records of a square; `move` puts its corner at (0, 0)."""
    from segapp.core.records import make_transcripts

    x, y = transcripts.x - left, transcripts.y - top
    keep = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    if not move:
        x, y = transcripts.x, transcripts.y
    return make_transcripts(
        x[keep],
        y[keep],
        transcripts.gene[keep],
        {layer: counts[keep] for layer, counts in transcripts.counts.items()},
        transcripts.genes,
        header=transcripts.header,
        cell_id=None if transcripts.cell_id is None else transcripts.cell_id[keep],
    )
