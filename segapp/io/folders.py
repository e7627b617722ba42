"""Files that a page may name: inside one folder, with suffixes that are read, and uploads."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segapp.core.types import InputError
from segapp.io.state import state_folder
from segapp.io.zarr_groups import is_zarr

TEXTS = (".gem", ".gem.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".csv", ".csv.gz")
GEMS = (*TEXTS, ".gef", ".h5", ".h5ad", ".parquet", ".zarr")
"""Ends of names of transcripts; what a file is follows from its content when it is read."""

STAINS = (".tif", ".tiff", ".png", ".ome.zarr")
"""Ends of names of images; they are looked for first."""

LISTED = 200
KEPT_DAYS = 14
"""Uploads older than this are removed when another one comes."""


@dataclass(frozen=True)
class Folder:
    """What is in a folder: names of folders, and of files that can be read; the rest is not told."""

    path: Path
    folders: tuple[str, ...]
    files: tuple[str, ...]
    more: int = 0


def kind_of(name: str) -> str:
    """Return "gem", "stain" or "" by the end of a name.

    Examples
    --------
    >>> kind_of("a.GEM.gz"), kind_of("b.tiff"), kind_of("notes.md")
    ('gem', 'stain', '')
    """
    lower = name.lower()
    return "stain" if lower.endswith(STAINS) else "gem" if lower.endswith(GEMS) else ""


def inside(root: str | Path, path: str | Path) -> Path:
    """Return a path with every link followed, where it lies inside `root`.

    Raises
    ------
    InputError
        When it lies elsewhere, or does not exist; both in the same words, so that nobody learns which.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> inside(root, "../../etc/passwd")
    Traceback (most recent call last):
    segapp.core.types.InputError: ../../etc/passwd is not within reach: ...
    """
    base = Path(root).resolve()
    found = (base / path).resolve()
    if not found.is_relative_to(base) or not found.exists():
        raise InputError(f"{path} is not within reach: choose a file inside {base}, or start the app with --root")
    return found


def list_folder(root: str | Path, path: str | Path = ".", contains: str = "") -> Folder:
    """List a folder inside `root`; hidden files and links that lead outside are left out.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("a.gem", "b.ipynb", ".hidden.gem"):
    ...     _ = (root / name).write_text("")
    >>> list_folder(root).files
    ('a.gem',)
    """
    base = Path(root).resolve()
    here = inside(base, path)
    folders, files = [], []
    try:
        entries = sorted(os.scandir(here), key=lambda entry: entry.name.lower())
    except OSError as error:
        raise InputError(f"{here.name} cannot be read ({error.strerror}); choose another folder") from None
    for entry in entries:
        if entry.name.startswith(".") or contains.lower() not in entry.name.lower():
            continue
        if not Path(entry.path).resolve().is_relative_to(base):
            continue
        if entry.is_dir() and not (kind_of(entry.name) and is_zarr(entry.path)):
            folders.append(entry.name)
        elif kind_of(entry.name):
            files.append(entry.name)
    shown = folders[:LISTED], files[: max(LISTED - len(folders), 0)]
    return Folder(here, tuple(shown[0]), tuple(shown[1]), len(folders) + len(files) - len(shown[0]) - len(shown[1]))


class Upload:
    """One file that comes in parts.

    Parameters
    ----------
    name : str
        As the browser names it; only its last part is used.
    size, limit : int
        Bytes of it, and bytes that are allowed.

    Raises
    ------
    InputError
        When the name is of no kind that is read, or it is too large, or the disk is full.
    """

    def __init__(self, name: str, size: int, limit: int) -> None:
        clean = re.sub(r"[^\w.\- ]+", "_", Path(name.replace("\\", "/")).name).lstrip(".")[-120:]
        if not kind_of(clean):
            raise InputError(f"{name} is of no kind that is read here: {', '.join((*GEMS, *STAINS))}")
        if not 0 < size <= limit:
            raise InputError(
                f"{name} has {size / 1e6:,.0f} MB and uploads may have {limit / 1e6:,.0f} MB: put it into the folder "
                "of the app instead, or start the app with a larger --max-upload"
            )
        _forget_old(uploads_folder())
        folder = uploads_folder() / secrets.token_hex(8)
        folder.mkdir(parents=True)
        if shutil.disk_usage(folder).free < 2 * size:
            shutil.rmtree(folder)
            raise InputError(f"{name} has {size / 1e6:,.0f} MB, and the disk has no room for it")
        self.path, self.size, self.got = folder / clean, size, 0
        self._file = self.path.with_name(self.path.name + ".part").open("wb")

    def add(self, part: bytes | memoryview) -> bool:
        """Take the next part; return whether it was the last."""
        self.got += len(part)
        if self.got > self.size:
            self.drop()
            raise InputError(f"more of {self.path.name} came than was announced; upload it again")
        self._file.write(part)
        if self.got < self.size:
            return False
        self._file.close()
        os.replace(self._file.name, self.path)
        return True

    def drop(self) -> None:
        """Give up and remove what came."""
        self._file.close()
        shutil.rmtree(self.path.parent, ignore_errors=True)


def uploads_folder() -> Path:
    """Return where uploads lie."""
    return state_folder() / "uploads"


def allowed(path: str | Path, roots: Iterable[str | Path]) -> bool:
    """Whether a path lies inside one of the folders, or is one of them, links followed."""
    found = Path(path).resolve()
    return any(found.is_relative_to(Path(root).resolve()) for root in roots)


def _forget_old(folder: Path) -> None:
    before = time.time() - KEPT_DAYS * 86400
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.stat().st_mtime < before:
            shutil.rmtree(old, ignore_errors=True)
