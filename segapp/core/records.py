"""UMI records in their canonical form: sorted by (y, x, gene), duplicates summed, hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from segapp.core.types import InputError, Transcripts

_DIGIT = 16
_UINT32_MAX = np.iinfo(np.uint32).max


def make_transcripts(
    x: np.ndarray,
    y: np.ndarray,
    gene: np.ndarray,
    counts: Mapping[str, np.ndarray],
    genes: Sequence[str],
    *,
    header: Mapping[str, str] | None = None,
    cell_id: np.ndarray | None = None,
) -> Transcripts:
    """Bring UMI records into the canonical form.

    Parameters
    ----------
    x, y : (N,) integer
        Input coordinates.
    gene : (N,) integer
        Index into `genes`.
    counts : mapping of str to (N,) integer
        UMIs by layer, not negative; ``"total"`` is needed.
    genes : sequence of str
        Gene names. Names that occur twice become one gene.
    header : mapping of str to str, optional
        The ``#`` lines.
    cell_id : (N,) integer, optional
        Cell ids that came with the records, 0 where there is none.

    Returns
    -------
    Transcripts
        One record a (gene, x, y), whatever the order and the duplication of the input. `genes` is sorted by name
        and holds those that occur.

    Raises
    ------
    InputError
        If there is no record, or a sum exceeds 4,294,967,295.

    Notes
    -----
    Records are sorted by (y, x, gene), because that is the order in which images are stored: rasterising writes
    and counting reads one row of pixels after the other (a gene-major order jumps over the whole chip for every
    gene, and misses the cache at every record), and the rows of a window are one slice, found by bisection.
    The sort is a radix sort by 16-bit digits, linear in the number of records.
    Where duplicated records disagree about the cell, the highest cell id is kept: a rule that does not depend on
    the order of the file.

    Examples
    --------
    >>> t = make_transcripts([5, 4, 5], [1, 1, 1], [1, 0, 1], {"total": [2, 3, 70000]}, ["b", "a"])
    >>> t.genes, t.x.tolist(), t.gene.tolist(), t.counts["total"].tolist()
    (('a', 'b'), [4, 5], [1, 0], [3, 70002])
    """
    if not len(x):
        raise InputError("There is no UMI record in this input; a segmentation needs at least one.")
    x, y, gene = (_as_type(v, np.int32, name) for name, v in (("x", x), ("y", y), ("gene", gene)))
    columns = {name: _as_type(v, np.uint32, name) for name, v in counts.items()}
    if cell_id is not None:
        cell_id = _as_type(cell_id, np.uint32, "cell_id")

    columns = {"x": x, "y": y, "gene": gene, **columns}
    if cell_id is not None:
        columns["cell_id"] = cell_id
    del x, y, gene, cell_id
    return assemble(columns, genes, dict(header or {}))


def assemble(columns: dict[str, np.ndarray], genes: Sequence[str], header: Mapping[str, str]) -> Transcripts:
    """Do the work of `make_transcripts`, and empty `columns` meanwhile: a reader of large files keeps no second copy.

    Parameters
    ----------
    columns : dict of str to (N,) array
        ``x``, ``y``, ``gene`` of int32, the layers of uint32, and ``cell_id`` of uint32 where known; N > 0.
    genes : sequence of str
        Gene names.
    header : mapping of str to str
        The ``#`` lines.

    Returns
    -------
    Transcripts

    Examples
    --------
    >>> columns = {name: np.array([3], dtype=np.int32) for name in ("x", "y", "gene")}
    >>> columns["total"] = np.array([5], dtype=np.uint32)
    >>> assemble(columns, ["a", "b", "c", "d"], {}).genes, columns
    (('d',), {})
    """
    names, rank = _rank_genes(columns["gene"], genes)
    columns["gene"] = rank[columns["gene"]]
    keys = columns["y"], columns["x"], columns["gene"]
    order = None if _is_sorted(*keys) else sort_order(*keys)
    n_runs = _count_runs(*keys, order)
    starts = None
    if n_runs < len(keys[0]):
        starts = np.empty(n_runs, dtype=_position_type(len(keys[0])))
        _run_starts(*keys, order, starts)
    del keys

    # One column at a time, and each old one is freed before the next: the peak stays near the size of the result.
    done: dict[str, np.ndarray] = {}
    for name in list(columns):
        column = columns.pop(name)
        if starts is not None:
            column = _merge(name, column, order, starts)
        elif order is not None:
            column = column[order]
        done[name] = _read_only(column)
    del order, starts
    x, y, gene = done.pop("x"), done.pop("y"), done.pop("gene")
    cell_id = done.pop("cell_id", None)
    digest = _digest(x, y, gene, done, names, header, cell_id)
    return Transcripts(x=x, y=y, gene=gene, counts=done, genes=names, header=header, cell_id=cell_id, digest=digest)


def _merge(name: str, column: np.ndarray, order: np.ndarray | None, starts: np.ndarray) -> np.ndarray:
    """One value for every run of equal (y, x, gene): a key as it is, the highest cell id, the sum of counts."""
    if name in ("x", "y", "gene"):
        return column[starts] if order is None else column[order[starts]]
    out: np.ndarray = np.empty(len(starts), dtype=np.uint32)
    largest = _reduce_runs(column, order, starts, name == "cell_id", out)
    if largest > _UINT32_MAX:
        raise InputError(
            f"One gene has {largest:,} UMIs ({name}) at one position, more than the {_UINT32_MAX:,} that a "
            "count can hold; check the count column of the input."
        )
    return out


def _as_type(values: np.ndarray, dtype: type, name: str) -> np.ndarray:
    """`values` as a contiguous array of `dtype`; refuse what does not fit, so that nothing wraps."""
    values = np.asarray(values)
    if values.dtype == dtype:
        return np.ascontiguousarray(values)
    low, high = values.min(), values.max()
    limits = np.iinfo(dtype)
    if not (low >= limits.min and high <= limits.max):
        raise InputError(
            f"`{name}` runs from {low} to {high}, but {limits.min:,} to {limits.max:,} is what can be held; "
            "check this column of the input."
        )
    result: np.ndarray = np.ascontiguousarray(values, dtype=dtype)
    if not np.issubdtype(values.dtype, np.integer) and not np.array_equal(result, values):
        raise InputError(f"`{name}` holds fractions, but whole numbers are needed; pass raw counts and positions.")
    return result


def _read_only(values: np.ndarray) -> np.ndarray:
    """A view that cannot be written; the array of the caller stays as it was."""
    view = values.view()
    view.flags.writeable = False
    return view


def _rank_genes(gene: np.ndarray, genes: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Sorted names of the genes that occur, and the table from the old codes to the new ones."""
    if gene.min() < 0 or gene.max() >= len(genes):
        raise InputError(f"A gene code lies outside 0 ... {len(genes) - 1}; codes index the {len(genes)} gene names.")
    used = np.flatnonzero(np.bincount(gene, minlength=len(genes))).tolist()
    names = sorted({genes[i] for i in used})
    place = {name: i for i, name in enumerate(names)}
    rank = np.zeros(len(genes), dtype=np.int32)
    rank[used] = [place[genes[i]] for i in used]
    return tuple(names), rank


def _digest(
    x: np.ndarray,
    y: np.ndarray,
    gene: np.ndarray,
    counts: Mapping[str, np.ndarray],
    genes: Sequence[str],
    header: Mapping[str, str],
    cell_id: np.ndarray | None,
) -> str:
    """blake2b of names, header and columns; little-endian, so that it is the same on every machine."""
    state = hashlib.blake2b(digest_size=16)
    state.update(repr((tuple(genes), sorted(header.items()), sorted(counts), cell_id is not None)).encode())
    columns = [x, y, gene, *(counts[name] for name in sorted(counts))]
    if cell_id is not None:
        columns.append(cell_id)
    for column in columns:
        state.update(column.astype(column.dtype.newbyteorder("<"), copy=False).data.cast("B"))
    return state.hexdigest()


def sort_order(*keys: np.ndarray) -> np.ndarray:
    """Permutation that sorts by several integer keys, the first one being the most significant.

    Parameters
    ----------
    *keys : (N,) integer arrays
        Keys of one length, at least one of them.

    Returns
    -------
    (N,) uint32 or int64
        Stable: equal keys keep their order.

    Examples
    --------
    >>> sort_order(np.array([1, 0, 1]), np.array([5, 7, -2])).tolist()
    [1, 2, 0]
    """
    n = len(keys[0])
    order: np.ndarray = np.arange(n, dtype=_position_type(n))
    if not n:
        return order
    spare = np.empty_like(order)
    for key in reversed(keys):
        low = int(key.min())
        span = int(key.max()) - low
        if key is keys[-1] and np.all(key[1:] >= key[:-1]):
            continue  # files are often sorted by gene already
        shift = 0
        while span >> shift:
            _radix_pass(key, low, shift, order, spare)
            order, spare = spare, order
            shift += _DIGIT
    return order


def _position_type(n: int) -> type[np.integer]:
    """32-bit positions halve the memory of the sort; a longer table needs 64 bits."""
    return np.uint32 if n <= _UINT32_MAX else np.int64


@njit(cache=True, nogil=True)
def _radix_pass(key: np.ndarray, low: int, shift: int, order: np.ndarray, out: np.ndarray) -> None:
    starts = np.zeros((1 << 16) + 1, dtype=np.int64)
    for i in range(key.shape[0]):
        starts[(((np.int64(key[i]) - low) >> shift) & 0xFFFF) + 1] += 1
    for d in range(1 << 16):
        starts[d + 1] += starts[d]
    for i in range(order.shape[0]):
        row = order[i]
        digit = ((np.int64(key[row]) - low) >> shift) & 0xFFFF
        out[starts[digit]] = row
        starts[digit] += 1


@njit(cache=True, nogil=True)
def _is_sorted(y: np.ndarray, x: np.ndarray, gene: np.ndarray) -> bool:
    for i in range(1, y.shape[0]):
        if y[i] != y[i - 1]:
            if y[i] < y[i - 1]:
                return False
        elif x[i] != x[i - 1]:
            if x[i] < x[i - 1]:
                return False
        elif gene[i] < gene[i - 1]:
            return False
    return True


@njit(cache=True, nogil=True)
def _count_runs(y: np.ndarray, x: np.ndarray, gene: np.ndarray, order: np.ndarray | None) -> int:
    """Number of runs of equal (y, x, gene) in the given order."""
    count = 1
    for i in range(1, y.shape[0]):
        a, b = (i - 1, i) if order is None else (order[i - 1], order[i])
        if y[a] != y[b] or x[a] != x[b] or gene[a] != gene[b]:
            count += 1
    return count


@njit(cache=True, nogil=True)
def _run_starts(y: np.ndarray, x: np.ndarray, gene: np.ndarray, order: np.ndarray | None, starts: np.ndarray) -> None:
    """Write the place in the order of the first record of every run of equal (y, x, gene)."""
    starts[0] = 0
    k = 1
    for i in range(1, y.shape[0]):
        a, b = (i - 1, i) if order is None else (order[i - 1], order[i])
        if y[a] != y[b] or x[a] != x[b] or gene[a] != gene[b]:
            starts[k] = i
            k += 1


@njit(cache=True, nogil=True)
def _reduce_runs(
    column: np.ndarray, order: np.ndarray | None, starts: np.ndarray, highest: bool, out: np.ndarray
) -> int:
    """Write the sum (or the highest value) of each run; return the largest, which may be more than `out` holds."""
    largest = np.int64(0)
    for k in range(starts.shape[0]):
        stop = starts[k + 1] if k + 1 < starts.shape[0] else column.shape[0]
        value = np.int64(0)
        for i in range(starts[k], stop):
            item = np.int64(column[i if order is None else order[i]])
            if not highest:
                value += item
            elif item > value:
                value = item
        if value > largest:
            largest = value
        out[k] = value
    return int(largest)


def warm() -> None:
    """Compile the kernels on tiny inputs: unsorted and sorted, with and without duplicates, read-only or not."""
    for x in ([1, 0], [1, 1], [1, 0, 1], [0, 1]):
        zeros = np.zeros(len(x), dtype=np.int32)
        made = make_transcripts(np.array(x), zeros, zeros, {"total": zeros}, ["a"])
        make_transcripts(made.x, made.y, made.gene, made.counts, ["a"])
    sort_order(made.x, made.gene)
