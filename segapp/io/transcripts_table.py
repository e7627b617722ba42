"""Tables with one line a molecule (Xenium, MERSCOPE, CosMx): binned into pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.records import make_transcripts
from segapp.core.types import InputError, Tick, Transcripts, no_tick

UM_PER_PX = 0.5
"""Side of a pixel in micrometres that molecules are binned to."""

CONTROLS = (
    "negcontrol",
    "negprb",
    "negative",
    "blank",
    "antisense",
    "unassigned",
    "deprecated",
    "systemcontrol",
    "falsecode",
)


@dataclass(frozen=True)
class Maker:
    """Columns of one maker's table.

    Parameters
    ----------
    name : str
        Instrument.
    x, y, gene : str
        Columns of the position and of the gene.
    um : float
        Micrometres in one unit of the positions.
    quality : str
        Column of the quality; empty where there is none.
    least : float
        Lowest quality that counts.
    """

    name: str
    x: str
    y: str
    gene: str
    um: float = 1.0
    quality: str = ""
    least: float = 0.0


MAKERS = (
    Maker("Xenium", "x_location", "y_location", "feature_name", quality="qv", least=20.0),
    Maker("MERSCOPE", "global_x", "global_y", "gene"),
    Maker("CosMx", "x_global_px", "y_global_px", "target", um=0.12028),
)
"""Tables that are recognised, by their columns."""


def find_maker(columns: Sequence[str]) -> Maker | None:
    """Return whose table has such columns, or None.

    Examples
    --------
    >>> find_maker(["fov", "x_global_px", "y_global_px", "target"]).name
    'CosMx'
    """
    return next((maker for maker in MAKERS if {maker.x, maker.y, maker.gene} <= set(columns)), None)


def read_transcripts_table(path: str | Path, tick: Tick = no_tick, *, um_per_px: float = UM_PER_PX) -> Transcripts:
    r"""Read a table of molecules and count them in pixels.

    Parameters
    ----------
    path : str or Path
        CSV (plain or gzip) or Parquet with the columns of one of `MAKERS`.
    tick : callable
        Called when the table has been read.
    um_per_px : float
        Side of a pixel in micrometres.

    Returns
    -------
    Transcripts
        x and y in pixels: input position x covers `um_per_px` from ``x * um_per_px`` on. Control probes are left out,
        and in tables of Xenium molecules with a quality below 20. The side of a pixel is in `header`.

    Raises
    ------
    InputError
        When the file is missing, damaged, has other columns, or holds a position that is no number.

    References
    ----------
    .. [1] 10x Genomics, "Xenium output files: transcripts"; Vizgen, "MERSCOPE: detected transcripts"; Bruker, "CosMx
       SMI: transcript file" (their positions are in px of 0.12028 µm).

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "detected_transcripts.csv"
    >>> _ = path.write_text("global_x,global_y,gene\n10.2,4.9,Actb\n10.4,4.6,Actb\n3,3,Blank-1\n")
    >>> t = read_transcripts_table(path, um_per_px=0.5)
    >>> t.genes, t.bbox, t.counts["total"].tolist()
    (('Actb',), (20, 9, 20, 9), [2])
    """
    import polars as pl

    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}; check the name and the folder.")
    if not um_per_px > 0:
        raise InputError(f"`um_per_px` is {um_per_px} but the side of a pixel is above 0, such as 0.5.")
    try:
        frame = _read(path)
    except (pl.exceptions.PolarsError, OSError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read as a table ({str(error).splitlines()[0][:120]}); it is damaged or cut short."
        ) from error
    tick(1, 2)
    maker = find_maker(frame.columns)
    assert maker is not None  # _read has seen to it
    if maker.quality in frame.columns:
        frame = frame.filter(pl.col(maker.quality) >= maker.least)
    if "is_gene" in frame.columns:
        frame = frame.filter(pl.col("is_gene").cast(pl.Boolean))
    name = pl.col(maker.gene)
    frame = frame.filter(~name.str.to_lowercase().str.contains(f"^({'|'.join(CONTROLS)})"))
    if not len(frame):
        raise InputError(f"{path} holds no molecule of a gene of sufficient quality; check the file.")
    places = []
    for column in (maker.x, maker.y):
        values = frame[column].cast(pl.Float64).to_numpy()
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {column} is empty or no number in {np.sum(~np.isfinite(values)):,} lines.")
        places.append(np.floor(values * (maker.um / um_per_px)).astype(np.int64))
    local = frame[maker.gene].unique(maintain_order=True)
    code = frame[maker.gene].cast(pl.Enum(local)).to_physical().to_numpy().astype(np.int32)
    header = {"FileFormat": maker.name, "MicronsPerPixel": f"{um_per_px:g}"}
    made = make_transcripts(
        places[0], places[1], code, {"total": np.ones(len(code), np.uint32)}, local.to_list(), header=header
    )
    tick(2, 2)
    return made


def _read(path: Path) -> Any:
    """Read the columns that matter, numbers as they are and genes as text."""
    import polars as pl

    with path.open("rb") as raw:
        parquet = raw.read(4) == b"PAR1"
    names = list(pl.read_parquet_schema(path)) if parquet else pl.read_csv(path, n_rows=0).columns
    maker = find_maker(names)
    if maker is None:
        known = "; ".join(f"{maker.x}, {maker.y}, {maker.gene} ({maker.name})" for maker in MAKERS)
        raise InputError(f"{path} has the columns {', '.join(names[:8])}; a table of molecules has {known}.")
    wanted = [maker.x, maker.y, maker.gene, *(name for name in (maker.quality, "is_gene") if name in names)]
    if parquet:
        frame = pl.read_parquet(path, columns=wanted)
        # older files hold names as bytes
        return frame.with_columns(pl.col(maker.gene).cast(pl.String))
    types = {maker.x: pl.Float64(), maker.y: pl.Float64(), maker.gene: pl.String()}
    return pl.read_csv(path, columns=wanted, schema_overrides=types)
