"""Zarr groups as other programs write them: opened to read, told apart, and described in one sentence when broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from segapp.core.types import InputError

Kind = Literal["anndata", "spatialdata", "points", "tables", "image", "shapes", "group", ""]

ELEMENTS = ("points", "tables", "images", "labels", "shapes")
"""Folders of a SpatialData store."""

_MARKS = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata")


@contextmanager
def open_zarr(path: Path, what: str) -> Iterator[Any]:
    """Open a zarr group to read; what is wrong with it becomes one sentence.

    Parameters
    ----------
    path : Path
        Folder of the group.
    what : str
        What it is, for the sentence, such as ``"an OME-Zarr image"``.

    Yields
    ------
    zarr.Group

    Raises
    ------
    InputError
        When the folder is missing, is no zarr group, is damaged, or lacks a part that is read.
    """
    import zarr

    if not path.is_dir():
        raise InputError(f"There is no folder {path}; check the name.")
    try:
        # consolidated metadata may be older than what it describes
        yield zarr.open_group(str(path), mode="r", use_consolidated=False)
    except InputError:
        raise
    except Exception as error:
        # stores and codecs raise errors of many kinds for a damaged file; the reason is kept in the sentence
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{path} cannot be read as {what} ({reason}); it is damaged, incomplete or of another kind: copy it again."
        ) from error


def is_zarr(path: str | Path) -> bool:
    """Whether a path is the folder of a zarr group of version 2 or 3.

    Examples
    --------
    >>> is_zarr(__file__)
    False
    """
    return any((Path(path) / name).is_file() for name in _MARKS)


def kind_of_zarr(path: Path) -> Kind:
    """Return what a group holds; empty where it is no group."""
    if not is_zarr(path):
        return ""
    if path.parent.name in ("points", "tables", "shapes") and is_zarr(path.parent.parent):
        return path.parent.name  # type: ignore[return-value]
    with open_zarr(path, "zarr") as group:
        attributes = dict(group.attrs)
        children = {name for name in ELEMENTS if (path / name).is_dir()}
        if attributes.get("encoding-type") == "anndata":
            return "anndata"
        if "spatialdata_attrs" in attributes and "encoding-type" not in attributes and not multiscales(attributes):
            return "spatialdata"
        if multiscales(attributes) or "bioformats2raw.layout" in ome(attributes):
            return "image"
        if children & {"points", "tables", "images"}:
            return "spatialdata"
    return "group"


def ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the OME part of the attributes of a group: under ``ome`` since version 0.5, beside the others before."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def multiscales(attributes: Mapping[str, Any]) -> list[Any]:
    """Return the pyramids that a group describes; empty where it is no image."""
    found = ome(attributes).get("multiscales")
    return found if isinstance(found, list) else []


def has_image(path: str | Path) -> bool:
    """Whether a path is a SpatialData store with one image, which `segapp.io.image.read_stain` reads.

    Examples
    --------
    >>> has_image(__file__)
    False
    """
    return is_zarr(path) and len(elements(Path(path), "images")) == 1


def element(path: Path, folder: str, what: str) -> Path:
    """Return the only element of one kind of a SpatialData store.

    Parameters
    ----------
    path : Path
        The store.
    folder : str
        One of `ELEMENTS`.
    what : str
        For the sentence, such as ``"images"``.

    Raises
    ------
    InputError
        When there is none, or several: the sentence says how to name one.
    """
    found = elements(path, folder)
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"{path} holds no {what}; it is a SpatialData store with {_inventory(path)}.")
    names = ", ".join(one.name for one in found[:8])
    raise InputError(f"{path} holds several {what} ({names}); name one of them by its folder, such as {found[0]}.")


def elements(path: Path, folder: str) -> list[Path]:
    """Return the elements of one kind of a SpatialData store, sorted by name."""
    above = path / folder
    return sorted(one for one in above.iterdir() if is_zarr(one)) if above.is_dir() else []


def _inventory(path: Path) -> str:
    found = [f"{folder}: {', '.join(one.name for one in elements(path, folder)[:4])}" for folder in ELEMENTS]
    return "; ".join(line for line in found if not line.endswith(": ")) or "nothing in it"
