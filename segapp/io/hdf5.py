"""HDF5 files that may meet a full disk, which the library itself does not survive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def new_hdf5(path: Path) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Yield a new HDF5 file, and a function to call now and then: it raises where the disk is full.

    Parameters
    ----------
    path : Path
        The file to write.

    Yields
    ------
    file : h5py.File
    check : function

    Raises
    ------
    OSError
        When a write failed, at the latest when the file is closed.

    Notes
    -----
    Where a write fails, HDF5 cannot close what is open: it prints pages, and may end the process later. So it never
    hears of it: what follows is dropped, and the error is raised once the file is closed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.h5"
    >>> with new_hdf5(path) as (file, check):
    ...     file["a"] = [1, 2]
    ...     check()
    >>> import h5py
    >>> h5py.File(path)["a"][:].tolist()
    [1, 2]
    """
    import h5py

    with path.open("w+b", buffering=0) as raw:
        room = _Room(raw)
        try:
            with h5py.File(room, "w") as file:
                yield file, room.check
        except Exception:
            # what HDF5 did not find again is no news
            room.check()
            raise
        room.check()


class _Room:
    """A file whose writes never fail; `check` tells."""

    def __init__(self, raw: Any) -> None:
        self.raw, self.at, self.size = raw, 0, 0
        self.failed: OSError | None = None

    def check(self) -> None:
        """Raise the error of the first write that failed."""
        if self.failed is not None:
            raise self.failed

    def write(self, data: Any) -> int:
        """Write at the place that was looked for."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.failed is None and done < len(view):
                self.raw.seek(self.at + done)
                done += self.raw.write(view[done:])
        except OSError as error:
            self.failed = error
        self.at += len(view)
        self.size = max(self.size, self.at)
        return len(view)

    def readinto(self, data: Any) -> int:
        """Read; what was dropped is 0."""
        view = memoryview(data).cast("B")
        done = 0
        self.raw.seek(self.at)
        while done < len(view):
            n = self.raw.readinto(view[done:])
            if not n:
                break
            done += n
        view[done:] = bytes(len(view) - done)
        self.at += len(view)
        return len(view)

    def read(self, n: int) -> bytes:
        """Read; h5py asks whether there is such a method."""
        found = bytearray(n)
        self.readinto(found)
        return bytes(found)

    def seek(self, at: int, whence: int = 0) -> int:
        """Go to a place."""
        self.at = (0, self.at, self.size)[whence] + at
        return self.at

    def tell(self) -> int:
        """Return the place."""
        return self.at

    def truncate(self, size: int | None = None) -> int:
        """Cut, or lengthen."""
        self.size = self.at if size is None else size
        try:
            if self.failed is None:
                self.raw.truncate(self.size)
        except OSError as error:
            self.failed = error
        return self.size

    def flush(self) -> None:
        """Nothing is held back."""
