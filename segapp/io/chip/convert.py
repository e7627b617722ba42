"""From a file of any size to a chip: block by block, tile by tile, and on again where it was stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segapp.core.frame import StainParams, rasterize
from segapp.core.records import assemble
from segapp.core.types import Grid, InputError, StainFile, Tick, Transcripts
from segapp.io.atomic import DiskFull, atomic_file, disk_full
from segapp.io.chip.pyramid import build_levels, create_level
from segapp.io.chip.spool import Spool, Tile
from segapp.io.chip.stains import check_stain, write_stain
from segapp.io.chip.store import ABOUT, FORMAT, SIDE, Chip
from segapp.io.gem_text import open_gem

MARK_S = 20.0
"""Seconds between two marks of the spool: what a kill costs at most."""

Tell = Callable[[str, int, int], None]
"""``tell(phase, done, total)``: hears how far a conversion is."""

PHASES = ("read", "sort", "count", "pyramid", "stain")


def convert_chip(
    gem: str | Path,
    out: str | Path,
    *,
    stain: str | Path | StainFile | None = None,
    stain_um_per_px: float | Literal["auto", "off"] = "auto",
    tell: Tell | None = None,
) -> Chip:
    """Convert a GEM, and a stain where there is one, to a chip on the disk.

    Memory follows a tile and not the chip. A conversion that was stopped, by whatever, goes on where it was when it
    is called again with the same file; an ended one of the same file is opened as it is.

    Parameters
    ----------
    gem : str or Path
        UMI records, plain or gzip.
    out : str or Path
        Folder to write.
    stain : path or StainFile, optional
        Image of the same section, stored with all its channels.
    stain_um_per_px : float or word
        What ``stain.um_per_px`` of a run is: a stain of another pixel size is averaged onto the pixels of the counts
        here, and stored so. Pixels of floats, or of more than 16 bits, are stored as 16 bits; ``chip.stain["scaled"]``
        says how.
    tell : function, optional
        Called often with the phase (one of ``PHASES``) and how far it is; raises `Cancelled` to stop.

    Returns
    -------
    Chip

    Raises
    ------
    InputError
        When a file cannot be used, such as a stain with NaN, or the folder holds something else.

    Examples
    --------
    >>> import tempfile
    >>> from segapp.io.samples import write_sample
    >>> folder = Path(tempfile.mkdtemp())
    >>> gem, stain, *_ = write_sample("tissue", folder, size=128)
    >>> chip = convert_chip(gem, folder / "chip", stain=stain)
    >>> chip.layers, chip.box.shape, chip.stain["shape"]
    (('total', 'spliced', 'unspliced'), (1024, 1024), [128, 128])
    """
    gem, out = Path(gem), Path(out)
    tell = tell or (lambda phase, done, total: None)
    params = StainParams(um_per_px=stain_um_per_px)
    source = _source(gem, stain)
    if params.um_per_px != "auto":
        source.append(["stain.um_per_px", params.um_per_px])
    if (out / ABOUT).exists():
        if json.loads((out / ABOUT).read_text(encoding="utf-8")).get("source") != source:
            raise InputError(f"{out} holds the chip of another file; give another folder, or remove it first.")
        return Chip.open(out)
    new = not out.exists()
    progress = _Progress(out, source)
    try:
        with disk_full(out):
            if stain is not None and progress.get("sort") is None:
                check_stain(stain)
            about = _records(gem, out, progress, tell)
            _count(out, Grid(**about["box"]), about, progress, tell)
            about["stain"] = None if stain is None else _stain(out, stain, params, about, progress, tell)
    except DiskFull as error:
        raise InputError(
            f"the disk of {out} is full; what was done is kept there: make room and run the same command again, and it "
            "goes on where it stopped."
        ) from error
    except InputError:
        # what is wrong with the file will be wrong again: nothing stays behind; a kill or a full disk leaves the
        # folder, and the work goes on from there
        if new:
            shutil.rmtree(out, ignore_errors=True)
        raise
    about["source"] = source
    with atomic_file(out / ABOUT) as temporary:
        temporary.write_text(json.dumps(about), encoding="utf-8")
    progress.end()
    return Chip.open(out)


def _source(gem: Path, stain: str | Path | StainFile | None) -> list[Any]:
    """What a conversion must find unchanged to go on: names, sizes and times of the files."""
    found: list[Any] = []
    for item in (gem, stain):
        if isinstance(item, StainFile):
            found.append([item.name, item.digest])
        elif item is not None:
            path = Path(item)
            try:
                stat = path.stat()
            except OSError as error:
                raise InputError(f"There is no file {path}; check the name and the folder.") from error
            found.append([path.name, stat.st_size, stat.st_mtime_ns])
    return found


class _Progress:
    """What is done of a conversion, in a file, so that a later one goes on."""

    def __init__(self, out: Path, source: list[Any]) -> None:
        self.file = out / "spool" / "progress.json"
        if out.exists() and any(out.iterdir()) and not self.file.exists():
            raise InputError(f"{out} is not empty and holds no begun conversion; give another folder.")
        self.done: dict[str, Any] = {"source": source}
        if self.file.exists():
            found = json.loads(self.file.read_text(encoding="utf-8"))
            if found["source"] == source and found.get("format") == FORMAT:
                self.done = found
            else:
                raise InputError(
                    f"{out} holds the begun conversion of another file; give another folder, or remove it."
                )
        self.done["format"] = FORMAT
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._write()

    def get(self, phase: str) -> Any:
        return self.done.get(phase)

    def set(self, phase: str, value: Any) -> None:
        self.done[phase] = value
        self._write()

    def end(self) -> None:
        shutil.rmtree(self.file.parent, ignore_errors=True)

    def _write(self) -> None:
        with atomic_file(self.file) as temporary:
            temporary.write_text(json.dumps(self.done), encoding="utf-8")


def _records(gem: Path, out: Path, progress: _Progress, tell: Tell) -> dict[str, Any]:
    """Read all records into tiles, and write each tile sorted; return what is known of the chip."""
    ended = progress.get("sort")
    if ended is not None:
        return dict(ended)
    read = progress.get("read")
    if read is None:
        read = _read(gem, out, tell)
        progress.set("read", read)
    spool = Spool(out / "spool" / "records", tuple(read["layers"]), SIDE)
    about = _sort(out, spool, read, tell)
    progress.set("sort", about)
    shutil.rmtree(out / "spool" / "records")
    return about


def _read(gem: Path, out: Path, tell: Tell) -> dict[str, Any]:
    with open_gem(gem) as stream:
        spool = Spool(out / "spool" / "records", stream.layers, SIDE)
        skip = spool.state.get("blocks", 0)
        stream.genes.update({name: number for number, name in enumerate(spool.state.get("genes", ()))})
        marked = time.monotonic()
        for number, (block, at) in enumerate(stream.blocks, 1):
            tell("read", min(at, stream.size), stream.size)
            if number <= skip:
                continue
            spool.add(block)
            if time.monotonic() - marked > MARK_S:
                spool.mark({"blocks": number, "genes": list(stream.genes)})
                marked = time.monotonic()
        spool.mark({"blocks": number, "genes": list(stream.genes)})
        return {"layers": list(stream.layers), "header": stream.header, "genes": list(stream.genes)}


def _sort(out: Path, spool: Spool, read: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write the records of every tile sorted, with duplicates summed and genes numbered by name."""
    names = tuple(sorted(set(read["genes"])))
    rank = {name: number for number, name in enumerate(names)}
    folder = out / "transcripts"
    folder.mkdir(parents=True, exist_ok=True)
    layers = [name for name in read["layers"] if name != "cell_id"]
    digest = hashlib.blake2b(repr((names, sorted(read["header"].items()), layers)).encode(), digest_size=16)
    tiles, low, high, n_umis = [], [2**31, 2**31], [-(2**31), -(2**31)], 0
    most = dict.fromkeys(layers, 0)
    for done, tile in enumerate(sorted(spool.tiles)):
        tell("sort", done, len(spool.tiles))
        records = spool.read(tile)
        made = assemble({name: records[name].copy() for name in spool.names}, read["genes"], {})
        del records
        _write_tile(folder, tile, made, np.array([rank[name] for name in made.genes], np.int32))
        digest.update(f"{tile}{made.digest}".encode())
        tiles.append([*tile, len(made)])
        n_umis += made.n_umis
        x0, y0, x1, y1 = made.bbox
        low, high = [min(low[0], x0), min(low[1], y0)], [max(high[0], x1), max(high[1], y1)]
        for layer in layers:
            most[layer] = max(most[layer], _highest(made, layer))
    first, last = np.array(sorted(spool.tiles)).min(0), np.array(sorted(spool.tiles)).max(0)
    height, width = (int(size) * SIDE for size in last - first + 1)
    return {
        "format": FORMAT,
        "box": {"x0": int(first[1]) * SIDE, "y0": int(first[0]) * SIDE, "height": height, "width": width},
        "bbox": [*low, *high],
        "genes": list(names),
        "layers": layers,
        "most": most,
        "header": read["header"],
        "n_umis": n_umis,
        "n_records": sum(records for _, _, records in tiles),
        "tiles": tiles,
        "digest": digest.hexdigest(),
    }


def _highest(made: Transcripts, layer: str) -> int:
    """Return the most UMIs of a layer in one pixel of sorted records."""
    starts = np.flatnonzero(np.r_[True, (np.diff(made.x) != 0) | (np.diff(made.y) != 0)])
    return int(np.add.reduceat(made.counts[layer], starts, dtype=np.int64).max())


def _write_tile(folder: Path, tile: Tile, made: Transcripts, rank: np.ndarray) -> None:
    import polars as pl

    columns = {"x": made.x, "y": made.y, "gene": rank[made.gene], **made.counts}
    if made.cell_id is not None:
        columns["cell_id"] = made.cell_id
    with atomic_file(folder / f"{tile[0]}_{tile[1]}.parquet") as temporary:
        pl.DataFrame(columns).write_parquet(temporary, compression="zstd", compression_level=1, statistics=False)


def _count(out: Path, box: Grid, about: dict[str, Any], progress: _Progress, tell: Tell) -> None:
    """Write the counts of every layer as images, and their pyramids."""
    import zarr

    if progress.get("count"):
        return
    group = zarr.open_group(out / "arrays.zarr", mode="a")
    levels, full = {}, {}
    for layer in about["layers"]:
        levels[layer] = group.require_group(f"counts/{layer}")
        # a count that wraps is worse than a file twice as large
        dtype = np.uint16 if about["most"][layer] <= np.iinfo(np.uint16).max else np.uint32
        full[layer] = create_level(levels[layer], "0", box.shape, dtype, SIDE)
    chip = Chip(out, box, tuple(about["bbox"]), tuple(about["genes"]), tuple(about["layers"]), {}, 0, 0, {})
    for done, (row, column, _) in enumerate(about["tiles"]):
        tell("count", done, len(about["tiles"]))
        records = _read_tile(chip, (row, column))
        window = Grid(column * SIDE, row * SIDE, SIDE, SIDE)
        y, x = window.y0 - box.y0, window.x0 - box.x0
        for layer, array in full.items():
            array[y : y + SIDE, x : x + SIDE] = rasterize(records, window, layer)
    for number, layer_group in enumerate(levels.values()):
        build_levels(layer_group, "sum", SIDE, _within(tell, "pyramid", number, len(levels)))
    progress.set("count", True)


def _read_tile(chip: Chip, tile: Tile) -> Transcripts:
    import polars as pl

    rows = pl.read_parquet(chip.tile_path(tile), memory_map=False)
    columns = {name: rows[name].to_numpy() for name in rows.columns if name != "cell_id"}
    x, y, gene = (columns.pop(name) for name in ("x", "y", "gene"))
    return Transcripts(x, y, gene, columns, chip.genes)


def _stain(
    out: Path,
    stain: str | Path | StainFile,
    params: StainParams,
    about: dict[str, Any],
    progress: _Progress,
    tell: Tell,
) -> dict[str, Any]:
    ended = progress.get("stain")
    if ended is not None:
        return dict(ended)
    known = write_stain(out, stain, params, _light(about), tell, _within(tell, "stain", 0, 1))
    progress.set("stain", known)
    return known


def _light(about: dict[str, Any]) -> Transcripts:
    """The corners and the header of the records."""
    x0, y0, x1, y1 = about["bbox"]
    at = np.array([x0, x1], np.int32), np.array([y0, y1], np.int32)
    return Transcripts(*at, np.zeros(2, np.int32), {}, (), about["header"])


def _within(tell: Tell, phase: str, number: int, count: int) -> Tick:
    """Return a tick that reports the `number`-th of `count` equal parts of a phase."""

    def tick(done: int, total: int) -> None:
        tell(phase, number * total + done, count * total)

    return tick
