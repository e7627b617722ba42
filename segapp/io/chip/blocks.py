"""What a run keeps on the disk between its steps: packed values of one tile each, and arrays read by windows."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.tiling import Window
from segapp.core.types import InputError, Tick
from segapp.io.atomic import DiskFull, atomic_file, disk_full

SIDE = 1024
"""Side of a chunk in px; tiles are multiples of it, so that no two of them write to one chunk."""

_PACKED = "packed"


def write_block(path: Path, values: dict[str, Any]) -> None:
    """Write values of a tile, arrays packed; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        File.
    values : dict
        Arrays, and small values that can be pickled.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.block"
    >>> write_block(path, {"labels": np.arange(4).reshape(2, 2), "n": 3})
    >>> read_block(path)["labels"].tolist()
    [[0, 1], [2, 3]]
    """
    from numcodecs import Blosc

    codec = Blosc(cname="lz4", clevel=4, shuffle=Blosc.BITSHUFFLE)
    packed = _walk(values, lambda value: _pack(value, codec))
    with atomic_file(path) as temporary:
        temporary.write_bytes(pickle.dumps(packed, protocol=5))


def read_block(path: Path) -> dict[str, Any]:
    """Read what `write_block` wrote. Read only files of your own runs: they are pickles."""
    from numcodecs import Blosc

    codec = Blosc()
    found: dict[str, Any] = _walk(pickle.loads(path.read_bytes()), lambda value: _unpack(value, codec))
    return found


def _walk(value: Any, change: Any) -> Any:
    """Return a value with `change` made to all that is in its mappings and lists."""
    if isinstance(value, dict):
        return {name: _walk(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, change) for item in value]
    if type(value) is tuple and not (value and isinstance(value[0], str) and value[0] == _PACKED):
        return tuple(_walk(item, change) for item in value)
    return change(value)


def _pack(value: Any, codec: Any) -> Any:
    if isinstance(value, np.ndarray) and value.nbytes > 1 << 12 and value.dtype.kind != "O":
        whole = np.ascontiguousarray(value)
        return (_PACKED, whole.dtype.str, whole.shape, codec.encode(whole))
    return value


def _unpack(value: Any, codec: Any) -> Any:
    if type(value) is tuple and value and isinstance(value[0], str) and value[0] == _PACKED:
        return np.frombuffer(codec.decode(value[3]), value[1]).reshape(value[2])
    return value


def create_image(path: Path, name: str, shape: tuple[int, int], dtype: Any, side: int = SIDE) -> Any:
    """Create an array of the size of the frame, in chunks of `side` px, in the zarr group at `path`."""
    import zarr

    from segapp.io.chip.pyramid import create_level

    group = zarr.open_group(path, mode="a")
    parent, _, leaf = name.rpartition("/")
    return create_level(group.require_group(parent) if parent else group, leaf, shape, dtype, side)


def build_pyramid(path: Path, name: str, tick: Tick) -> None:
    """Write the smaller levels of labels that `create_image` made as ``name/0``."""
    import zarr

    from segapp.io.chip.pyramid import build_levels

    build_levels(zarr.open_group(path, mode="a")[name], "nearest", SIDE, tick)


def open_image(path: Path, name: str) -> Any:
    """Open an array that `create_image` made, to write to it."""
    import zarr

    return zarr.open_array(path, path=name, mode="r+")


def read_window(where: tuple[Path, str], window: Window) -> np.ndarray:
    """Return a window of an array that `create_image` made."""
    import zarr

    top, left, bottom, right = window.box
    return np.asarray(zarr.open_array(where[0], path=where[1], mode="r")[top:bottom, left:right])


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn an error of a full disk into one sentence that says how to go on."""
    try:
        with disk_full(out):
            yield
    except DiskFull as error:
        raise InputError(
            f"the disk of {out} is full, and nothing there is damaged; make room and run the same command again "
            "with --resume"
        ) from error
