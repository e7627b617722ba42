"""Cells as a plain table, one line a cell: CSV or Parquet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from segapp.core.types import InputError
from segapp.io.atomic import atomic_file

if TYPE_CHECKING:
    from anndata import AnnData

_PLACES = {"spatial": ("x", "y"), "spatial_input": ("x_input", "y_input")}


def write_cell_table(path: str | Path, table: AnnData) -> None:
    """Write what is known of each cell; the file appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        Ends in ``.csv`` or ``.parquet``.
    table : AnnData
        Cells x genes, as `segapp.io.table.to_anndata` makes it. Its columns of ``obs`` are written, and the centroid in
        frame px (``x``, ``y``) and in the coordinates of the input (``x_input``, ``y_input``).

    Raises
    ------
    InputError
        When the name ends otherwise, or `path` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from segapp.core.records import make_transcripts
    >>> from segapp.core.types import Grid
    >>> from segapp.io.table import to_anndata
    >>> t = make_transcripts([10, 11], [5, 5], [0, 0], {"total": [1, 2]}, ["a"])
    >>> path = Path(tempfile.mkdtemp()) / "cells.csv"
    >>> write_cell_table(path, to_anndata(t, np.array([[7, 7]]), Grid(10, 5, height=1, width=2)))
    >>> path.read_text().splitlines()[0]
    'label,x,y,x_input,y_input,area_px,area_um2,n_counts,n_genes,touches_border,library'
    """
    import polars as pl

    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(f"{path.name} ends in {path.suffix or 'nothing'}, but a table of cells is .csv or .parquet.")
    columns = {"label": table.obs["label"].to_numpy()}
    for key, names in _PLACES.items():
        if key in table.obsm:
            columns |= {name: table.obsm[key][:, i] for i, name in enumerate(names)}
    for name in table.obs.columns:
        values = table.obs[name]
        columns[name] = (
            values.astype(str).to_list() if values.dtype.name in ("category", "object") else values.to_numpy()
        )
    frame = pl.DataFrame(columns)
    with atomic_file(path) as temporary:
        if path.suffix == ".csv":
            frame.write_csv(temporary)
        else:
            packed = io.BytesIO()  # polars does not say of a file that its disk is full
            frame.write_parquet(packed)
            temporary.write_bytes(packed.getbuffer())
