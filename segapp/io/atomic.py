"""Outputs appear whole or not at all: write beside the target under a temporary name, then rename."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segapp.core.types import InputError, SegappError

_STORE = ("zarr.json", ".zgroup")
"""Files that mark a folder as a zarr store."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_FULL_WORDS = re.compile(
    r"no space left on device|disk quota exceeded|file too large|os error (28|122|27)\b|errno = (28|122|27)\b"
    # what numpy says where fewer bytes were taken than it gave, and polars
    r"|requested and \d+ written|thrift: transport error",
    re.IGNORECASE,
)
"""What libraries in other languages say of a full disk, whose errors have no number."""


class DiskFull(InputError, OSError):
    """There is no room for an output; nothing of it is left."""


@contextmanager
def disk_full(path: str | Path) -> Iterator[None]:
    """Turn an error of a full disk, from whatever library, into one sentence that says what to do.

    Parameters
    ----------
    path : str or Path
        What is written.

    Raises
    ------
    DiskFull
        In the place of an error that says that there is no room.

    Examples
    --------
    >>> with disk_full("out/cells.csv"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    segapp.io.atomic.DiskFull: the disk of out is full, and cells.csv was not written; make room there or choose...
    """
    try:
        yield
    except SegappError:
        raise
    except Exception as error:
        if not is_disk_full(error):
            raise
        whole = Path(*(_TEMPORARY.sub("", part) for part in Path(path).parts))
        raise DiskFull(
            f"the disk of {whole.parent} is full, and {whole.name} was not written; make room there or choose another "
            "folder, and write it again."
        ) from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it comes from, says that a disk is full.

    Examples
    --------
    >>> is_disk_full(OSError(errno.ENOSPC, "?")), is_disk_full(RuntimeError("No space left on device (os error 28)"))
    (True, True)
    >>> is_disk_full(OSError("4096 requested and 0 written")), is_disk_full(OSError(errno.EACCES, "Permission denied"))
    (True, False)
    """
    return any(
        isinstance(one, DiskFull) or (isinstance(one, OSError) and one.errno in _FULL) or _FULL_WORDS.search(str(one))
        for one in _chain(error)
    )


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        The file to write. Its folder is created when missing. An existing file is replaced in one step.

    Yields
    ------
    Path
        A hidden sibling of `path` with the same suffixes. It is removed when the block fails.

    Raises
    ------
    InputError
        If `path` is a folder, or lies below a regular file, or its folder may not be written, or its disk is full.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_file(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [p.name for p in folder.iterdir()], (folder / "a.txt").read_text()
    (['a.txt'], 'whole')
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, so no file can be written under that name; give a file name.")
    made = _make_folders(path.parent)
    temporary = _beside(path)
    done = False
    try:
        with disk_full(path):
            yield temporary
            os.replace(temporary, path)
        done = True
    finally:
        if not done:
            temporary.unlink(missing_ok=True)
            _remove_folders(made)


@contextmanager
def atomic_dir(path: str | Path, *, owned: Iterable[str] = ()) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; its content becomes `path` when the block ends without an error.

    A folder that exists already keeps its other files: each new file replaces its namesake by one rename, after
    every file has been written whole.

    Parameters
    ----------
    path : str or Path
        The folder to fill.
    owned : iterable of str
        Names that an earlier run may have left in `path`; those not written this time are removed, so that the
        folder never mixes two runs.

    Yields
    ------
    Path
        An empty folder on the same file system. It is removed when the block fails.

    Raises
    ------
    InputError
        If `path` is a regular file, or lies below one, or may not be written, or its disk is full.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "out"
    >>> with atomic_dir(out) as temporary:
    ...     _ = (temporary / "a.txt").write_text("whole")
    >>> sorted(p.name for p in out.iterdir())
    ['a.txt']
    """
    path = Path(path)
    check_out_dir(path)
    made = _make_folders(path.parent)
    temporary = _beside(path)
    done = False
    try:
        try:
            with disk_full(path):
                temporary.mkdir()
        except DiskFull:
            raise
        except OSError as error:
            raise InputError(
                f"{path} cannot be made ({error.strerror}); choose an output folder you may write."
            ) from error
        with disk_full(path):
            yield temporary
        if path.is_dir():
            written = {p.name for p in temporary.iterdir()}
            folders = [name for name in sorted(written) if (path / name).is_dir()]
            clash = [name for name in folders if not ((temporary / name).is_dir() and _is_store(path / name))]
            if clash:
                raise InputError(f"{path / clash[0]} is a folder where a file has to be written; move it away.")
            for name in sorted(written):
                if (path / name).is_dir() or (temporary / name).is_dir():
                    _remove(path / name)
                os.replace(temporary / name, path / name)
            for name in set(owned) - written:
                _remove(path / name)
            temporary.rmdir()
        else:
            os.rename(temporary, path)
        done = True
    finally:
        if not done:
            shutil.rmtree(temporary, ignore_errors=True)
            _remove_folders(made)


@contextmanager
def atomic_tree(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the place of `path` when the block ends without an error.

    Unlike `atomic_dir`, nothing of an earlier folder stays: a zarr store is one thing.

    Parameters
    ----------
    path : str or Path
        The folder to write. One that is there already is replaced.

    Yields
    ------
    Path
        Name of a hidden sibling, which is not there yet; it is removed when the block fails.

    Raises
    ------
    InputError
        If `path` is a regular file, or a folder with something else than a zarr store, or may not be written, or its
        disk is full.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "a.zarr"
    >>> with atomic_tree(out) as temporary:
    ...     temporary.mkdir()
    ...     _ = (temporary / ".zgroup").write_text("{}")
    >>> [p.name for p in out.parent.iterdir()], [p.name for p in out.iterdir()]
    (['a.zarr'], ['.zgroup'])
    """
    path = Path(path)
    check_out_dir(path)
    if path.is_dir() and any(path.iterdir()) and not _is_store(path):
        raise InputError(f"{path} is a folder with other files in it; choose another name.")
    made = _make_folders(path.parent)
    temporary = _beside(path)
    old = temporary.with_name(f"{temporary.name[:_TOKEN]}.old.{path.name}")
    done = False
    try:
        with disk_full(path):
            yield temporary
        if path.is_dir():
            os.rename(path, old)
        os.rename(temporary, path)
        done = True
    finally:
        if not done:
            if old.is_dir() and not path.exists():
                os.rename(old, path)
            shutil.rmtree(temporary, ignore_errors=True)
            _remove_folders(made)
        shutil.rmtree(old, ignore_errors=True)


def check_out_dir(path: str | Path) -> None:
    """Raise `InputError` when `path` cannot be an output folder; nothing is created.

    Examples
    --------
    >>> check_out_dir(__file__)
    Traceback (most recent call last):
    segapp.core.types.InputError: ... is a regular file, so it cannot be the output folder; choose another name.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a regular file, so it cannot be the output folder; choose another name.")
    _check_parent(path)


def final_name(path: Path) -> str:
    """Return the name that a file or folder will have, which may be written under a temporary one.

    Examples
    --------
    >>> final_name(Path("a/.0123abcd.cells")), final_name(Path("a/cells"))
    ('cells', 'cells')
    """
    return _TEMPORARY.sub("", path.name)


_TEMPORARY, _TOKEN = re.compile(r"^\.[0-9a-f]{8}\."), 9
"""How temporary names begin, and how long that is without the last dot."""


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")


def _remove(path: Path) -> None:
    """Remove a file, or a zarr store; another folder of that name is not ours."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
    elif _is_store(path):
        shutil.rmtree(path, ignore_errors=True)


def _is_store(path: Path) -> bool:
    return any((path / name).exists() for name in _STORE)


def _check_parent(path: Path) -> None:
    """The first thing that exists above `path` must be a folder that may be written."""
    above = path
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise InputError(f"{above} is a regular file, so nothing can be written below it; choose another output.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{above} may not be written by this user; choose another output.")


def _make_folders(folder: Path) -> list[Path]:
    """Create `folder` and what is missing above it; return the new ones, deepest last."""
    _check_parent(folder)
    missing = [p for p in (folder, *folder.parents) if not p.exists()][::-1]
    with disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_folders(made: list[Path]) -> None:
    """Remove the folders that `_make_folders` created, as far as they are empty."""
    for folder in reversed(made):
        try:
            folder.rmdir()
        except OSError:
            return
