"""A simulated chip of any size as files, written block by block: tissue that goes on across every block."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.synthetic import Tissue, tissue
from segapp.core.types import InputError
from segapp.io.atomic import atomic_file
from segapp.io.chip.blocks import create_image
from segapp.io.chip.convert import Tell

BLOCK = 2048
"""Side of the tissue that is simulated once; the chip mirrors it from block to block."""

UMIS_PER_RECORD = 2.0
"""Mean of the counts of a record: with it a whole chip holds 3 x 10^8 UMIs, as a good one does."""

SHIFT = (9, -13)
"""(dx, dy) in px: what lies at (x, y) in the RNA is seen at (x + dx, y + dy) in the stain."""

STRIP = 1024


def write_chip_sample(
    out: str | Path, size: int = 26_460, seed: int = 0, *, block: int = BLOCK, tell: Tell | None = None
) -> tuple[Path, ...]:
    """Write a simulated chip: records, a stain and the true labels.

    Parameters
    ----------
    out : str or Path
        Folder for ``chip.gem.gz``, ``stain.tif`` and ``truth.zarr``.
    size : int
        Height and width in px, at least 256; 26,460 is that of a Stereo-seq chip.
    seed : int
        Another seed is another tissue.
    block : int
        Side of the tissue that is simulated.
    tell : function, optional
        ``tell(phase, done, total)``; raises `Cancelled` to stop.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    InputError
        When `size` or `seed` cannot be used.

    Notes
    -----
    One piece of `segapp.core.synthetic.tissue` is simulated and mirrored at the sides of the blocks, so that cells go
    on across them; a cell at a side is one with its mirror image. Each block keeps other molecules, with other counts,
    from a stream of its own.

    Examples
    --------
    >>> import tempfile
    >>> [path.name for path in write_chip_sample(tempfile.mkdtemp(), size=300, block=128)]
    ['chip.gem.gz', 'stain.tif', 'truth.zarr']
    """
    if isinstance(size, bool) or int(size) != size or size < 256:
        raise InputError(f"size={size} cannot be used: a chip has at least 256 px a side")
    out = Path(out)
    tell = tell or (lambda phase, done, total: None)
    out.mkdir(parents=True, exist_ok=True)
    tell("simulate", 0, 1)
    piece = tissue(min(block, size), seed, shift=(0, 0))
    paths = out / "chip.gem.gz", out / "stain.tif", out / "truth.zarr"
    _write_records(paths[0], piece, size, seed, tell)
    _write_stain(paths[1], piece, size, tell)
    _write_truth(paths[2], piece, size, tell)
    return paths


def _mirrored(at: np.ndarray, side: int) -> np.ndarray:
    """Return the place in one block of places on the chip: forwards in even blocks, backwards in odd ones."""
    number, rest = np.divmod(at, side)
    return np.where(number % 2 == 0, rest, side - 1 - rest)


def _write_records(path: Path, piece: Tissue, size: int, seed: int, tell: Tell) -> None:
    side = piece.cells.shape[0]
    blocks = -(-size // side)
    places = [(row, column) for row in range(blocks) for column in range(blocks)]
    make = partial(_packed_block, piece, size, seed)
    with atomic_file(path) as temporary, temporary.open("wb") as file, ThreadPoolExecutor(2) as pool:
        file.write(_pack("".join(f"#{key}={value}\n" for key, value in piece.transcripts.header.items()).encode()))
        file.write(_pack(b"geneID\tx\ty\tMIDCount\tEXONIC\tINTRONIC\n"))
        # a few blocks ahead, so that memory holds no more
        for first in range(0, len(places), 4):
            for packed in pool.map(make, places[first : first + 4]):
                file.write(packed)
            tell("records", min(first + 4, len(places)), len(places))


def _packed_block(piece: Tissue, size: int, seed: int, place: tuple[int, int]) -> bytes:
    """Return the records of one block as a gzip member; members one after the other are one file."""
    import polars as pl

    row, column = place
    records, side = piece.transcripts, piece.cells.shape[0]
    rng = np.random.Generator(np.random.PCG64([seed, 7, row, column]))
    keep = rng.random(len(records), np.float32) < rng.uniform(0.88, 1.0)
    x, y = records.x[keep], records.y[keep]
    x = column * side + (x if column % 2 == 0 else side - 1 - x)
    y = row * side + (y if row % 2 == 0 else side - 1 - y)
    inside = (x < size) & (y < size)
    x, y = x[inside], y[inside]
    times = rng.geometric(1 / UMIS_PER_RECORD, len(x)).astype(np.uint32)
    spliced, unspliced = (records.counts[name][keep][inside] * times for name in ("spliced", "unspliced"))
    frame = pl.DataFrame(
        {
            "geneID": pl.Series(records.genes, dtype=pl.String).gather(records.gene[keep][inside]),
            "x": x,
            "y": y,
            "MIDCount": spliced + unspliced,
            "EXONIC": spliced,
            "INTRONIC": unspliced,
        }
    )
    return _pack(frame.write_csv(separator="\t", include_header=False, quote_style="never").encode())


def _pack(text: bytes) -> bytes:
    made = zlib.compressobj(1, zlib.DEFLATED, 31)
    return made.compress(text) + made.flush()


def _write_stain(path: Path, piece: Tissue, size: int, tell: Tell) -> None:
    import tifffile

    side = piece.cells.shape[0]
    dx, dy = SHIFT
    columns = _mirrored(np.arange(size) - dx, side)
    strip = min(STRIP, -(-size // 16) * 16)

    def tiles() -> Iterator[np.ndarray]:
        for top in range(0, size, strip):
            tell("stain", top, size)
            rows = _mirrored(np.arange(top, min(top + strip, size)) - dy, side)
            band = np.zeros((strip, -(-size // strip) * strip), np.uint8)
            band[: len(rows), :size] = piece.stain[rows][:, columns]
            for left in range(0, size, strip):
                yield np.ascontiguousarray(band[:, left : left + strip])

    with atomic_file(path) as temporary:
        tifffile.imwrite(
            temporary, tiles(), shape=(size, size), dtype=np.uint8, tile=(strip, strip), bigtiff=True, photometric=1
        )


def _write_truth(path: Path, piece: Tissue, size: int, tell: Tell) -> None:
    side = piece.cells.shape[0]
    blocks = -(-size // side)
    n = int(piece.cells.max()) + 1
    arrays: dict[str, Any] = {name: create_image(path, name, (size, size), np.uint32) for name in ("cells", "nuclei")}
    # the sides that a cell touches: it goes on in the block beyond
    touches = {}
    for name, line in (
        ("top", piece.cells[0]),
        ("bottom", piece.cells[-1]),
        ("left", piece.cells[:, 0]),
        ("right", piece.cells[:, -1]),
    ):
        touches[name] = np.zeros(n, bool)
        touches[name][line] = True
    for row in range(blocks):
        tell("truth", row, blocks)
        for column in range(blocks):
            up = touches["top" if row % 2 == 0 else "bottom"] & (row > 0)
            left = touches["left" if column % 2 == 0 else "right"] & (column > 0)
            number = (row - up.astype(np.int64)) * blocks + column - left
            ids = (number * n + np.arange(n)).astype(np.uint32)
            ids[0] = 0
            part = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
            for name, array in arrays.items():
                labels = getattr(piece, name)[:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]
                height, width = (min(side, size - start) for start in (row * side, column * side))
                array[part] = ids[labels[:height, :width]]
