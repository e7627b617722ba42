"""What opening files will take, before they are read: from sizes, first records, and the header of the image."""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from segapp.core.types import InputError
from segapp.io.gef import header_of_gef
from segapp.io.image import image_size

LOOK = 1 << 20
"""Bytes of records that are looked at."""

BASE_BYTES, RECORD_BYTES, PIXEL_BYTES = 700 << 20, 40, 130
"""Memory of the program with everything loaded, of a record while it is read, and of a pixel with every stage's result:
measured on 2 and 6 million records, and on tissues of 1 and 4 million pixels."""

STAIN_SHARE = 1.6
"""Memory that reading an image takes, as a share of its own bytes: 1.54 measured on 16 million pixels of 16 bits. What
is computed afterwards is on the pixels of the counts, onto which a finer stain is averaged."""

PITCH_UM = 0.5
"""Side of a pixel of counts in um whose header does not tell another."""

PACKED = {b"\x89HDF": 5, b"PAR1": 12}
"""First bytes of HDF5 and Parquet, and the bytes that a packed record takes there, about."""

IN_FOLDER = 12
"""Bytes of a record in a folder of compressed chunks, about."""

RECORD_S, PIXEL_S = 2e-6, 3e-6
"""Seconds on one core of 2020 or later."""


@dataclass(frozen=True)
class Estimate:
    """About how much there is, and what it takes.

    Parameters
    ----------
    records, pixels : int
        UMI records, and pixels of the frame.
    memory : int
        Bytes at the peak of a full run.
    seconds : float
        From opening to cells.
    free : int or None
        Bytes of memory that are free now, where the system tells.
    """

    records: int
    pixels: int
    memory: int
    seconds: float
    free: int | None

    @property
    def fits(self) -> bool:
        """Whether the memory suffices, as far as is known."""
        return self.free is None or self.memory < self.free

    def text(self) -> str:
        """Return it in words.

        Examples
        --------
        >>> Estimate(3_000_000, 1_000_000, 2 << 30, 12.0, 8 << 30).text()
        'About 3.0 million records and 1.0 megapixels: 2.1 GB of memory (8.6 GB are free) and 12 s.'
        >>> Estimate(4_210, 16_384, 1 << 30, 2.0, None).text()
        'About 4,210 records and 16,384 pixels: 1.1 GB of memory and 2 s.'
        """
        free = "" if self.free is None else f" ({self.free / 1e9:.1f} GB are free)"
        took = f"{self.seconds:.0f} s" if self.seconds < 90 else f"{self.seconds / 60:.0f} min"
        records = f"{self.records / 1e6:.1f} million" if self.records >= 1e5 else f"{self.records:,}"
        pixels = f"{self.pixels / 1e6:.1f} megapixels" if self.pixels >= 1e5 else f"{self.pixels:,} pixels"
        seen = f"{records} records and {pixels}" if self.pixels else f"{records} records"
        text = f"About {seen}: {self.memory / 1e9:.1f} GB of memory{free} and {took}."
        if self.fits:
            return text
        return f"{text} That is more than is free: close other programs, or cut the section into parts."


def estimate(gem: str | Path, stain: str | Path | None = None) -> Estimate:
    r"""Estimate what a section takes; a few milliseconds whatever its size.

    Parameters
    ----------
    gem : path
        UMI records, plain or gzip.
    stain : path, optional
        What it covers is the frame, in pixels of the counts: one that tells a pixel size of its own is averaged onto
        them. Without one the frame is guessed from the first records, which in files sorted
        by gene span the section and in files sorted by place do not.

    Raises
    ------
    InputError
        When a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.gem"
    >>> _ = path.write_text("geneID\tx\ty\tMIDCount\n" + "Actb\t900\t0\t2\nMalat1\t0\t900\t3\n" * 50)
    >>> found = estimate(path)
    >>> found.records, found.pixels
    (100, 811801)
    """
    path = Path(gem)
    try:
        if path.is_dir():
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            return _told(_Counts(size // IN_FOLDER), stain)
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
        if magic in PACKED:
            found = _Counts() if magic == b"PAR1" else _look_packed(path)
            return _told(replace(found, records=found.records or size // PACKED[magic]), stain)
        if magic[:2] == b"\x1f\x8b":
            with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unpacked:
                first = unpacked.read(LOOK)
                share = 1.0 if len(first) < LOOK else size / max(raw.tell(), 1)
        else:
            with path.open("rb") as file:
                first = file.read(LOOK)
            share = max(size / max(len(first), 1), 1.0)
    except (OSError, EOFError) as error:
        raise InputError(f"{path.name} cannot be read ({error}); choose another file") from None
    found = _look(first)
    return _told(replace(found, records=round(found.records * share)), stain)


@dataclass(frozen=True)
class _Counts:
    """What a file tells: records, pixels that they span, the side of one in um, whether they are the frame."""

    records: int = 0
    pixels: int = 0
    um: float | None = None
    whole: bool = False


def _told(counts: _Counts, stain: str | Path | None) -> Estimate:
    pixels, held = counts.pixels, 0
    if stain is not None:
        own, held, um = image_size(stain)
        if um is not None and counts.um is not None:
            own = round(own * (um / counts.um) ** 2)
        if not (counts.whole and pixels):
            pixels = max(pixels, own)
    records = counts.records
    memory = BASE_BYTES + RECORD_BYTES * records + PIXEL_BYTES * pixels + round(STAIN_SHARE * held)
    return Estimate(records, pixels, memory, 1 + RECORD_S * records + PIXEL_S * pixels, free_memory())


def _look_packed(path: Path) -> _Counts:
    """Return what an HDF5 file tells: a GEF its pixel, a matrix of Visium HD its squares."""
    import h5py

    try:
        with h5py.File(path) as file:
            if "matrix/barcodes" in file:
                # the squares are the frame, whatever the size of the picture that they lie in
                table = next(iter(path.parent.glob("**/tissue_positions.parquet")), None)
                squares = len(file["matrix/barcodes"])
                return _Counts(len(file["matrix/data"]), max(squares, 0 if table is None else _rows(table)), whole=True)
            if "geneExp/bin1/expression" in file:
                expression = file["geneExp/bin1/expression"]
                um = header_of_gef(file, expression).get("MicronsPerPixel", PITCH_UM)
                return _Counts(len(expression), um=float(um))
    except (OSError, KeyError, ValueError):
        pass  # opening it will say what is wrong
    return _Counts()


def _rows(table: Path) -> int:
    import polars as pl

    try:
        return int(pl.scan_parquet(table).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):
        return 0


def free_memory() -> int | None:
    """Return the bytes of memory that this process may still take, or None where the system does not tell."""
    found = []
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            found += [int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable")]
        # a container may allow less than the machine has
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        if limit.isdigit():
            found.append(int(limit) - used)
    except (OSError, ValueError):
        if not found and hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found) if found else None


def _look(first: bytes) -> _Counts:
    """Return what the beginning of a table of records tells."""
    lines = first.split(b"\n")
    header = dict(line[1:].decode("utf-8", "replace").strip().partition("=")[::2] for line in lines if line[:1] == b"#")
    rows = [line for line in lines if line and not line.startswith(b"#")]
    if not rows:
        return _Counts()
    names = rows[0].decode("utf-8", "replace").strip().split("\t")
    columns = [names.index(name) for name in ("x", "y") if name in names]
    if len(columns) < 2:
        return _Counts(max(len(rows) - 1, 0))
    spans: list[list[int]] = [[], []]
    for row in rows[1:-1] if len(first) >= LOOK else rows[1:]:
        fields = row.split(b"\t")
        for span, column in zip(spans, columns, strict=True):
            if column < len(fields) and fields[column].strip().isdigit():
                span.append(int(fields[column]))
    pixels = 1
    for span in spans:
        pixels *= max(span) - min(span) + 1 if span else 0
    return _Counts(len(rows) - 1, pixels, _pitch(header))


def _pitch(header: Mapping[str, str]) -> float:
    """Return the side of a pixel that a header tells, as `segapp.core.rna.pixel_size` reads it."""
    for name, unit in (("MicronsPerPixel", 1.0), ("BinSize", PITCH_UM)):
        with contextlib.suppress(KeyError, ValueError):
            um = unit * float(header[name])
            if um > 0:
                return um
    return PITCH_UM
