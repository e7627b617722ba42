"""Stain images: TIFF, BigTIFF, OME-TIFF, PNG and OME-Zarr, as the file holds them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.types import InputError, StainFile
from segapp.io.atomic import atomic_file
from segapp.io.ngff import LENGTHS, read_ngff, zarr_size
from segapp.io.zarr_groups import is_zarr

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG = b"\x89PNG"
_SAMPLES = {1: (), 2: ("grey", "alpha"), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


def read_stain(path: str | Path) -> StainFile:
    """Read a stain image.

    Parameters
    ----------
    path : str or Path
        TIFF, OME-TIFF or PNG, recognised by its content, or the folder of an OME-Zarr image or of a SpatialData store
        with one image (of several, ``section.zarr/images/NAME``); of uint8, uint16 or float pixels. 1-bit images
        become uint8 (0 and 255), other integers become uint16 where their values fit.

    Returns
    -------
    StainFile
        Pixels as stored: ``(H, W)``, ``(H, W, C)`` with axes ``"YXS"`` for RGB, or ``(C, H, W)`` with axes
        ``"CYX"`` for several channels. Channels bear the names of the OME or ImageJ metadata; without any they are
        ``channel 1``, ``channel 2``, ...; RGB samples are ``red``, ``green``, ``blue``. Of a pyramid, the full
        resolution is read. Axes of length 1 are dropped; pages of a stack count as channels. The side of a pixel is
        that of the metadata of OME and ImageJ; resolutions of plain TIFF are those of printers, and left out.

    Raises
    ------
    InputError
        If the file is missing, a folder, not such an image, cut short, or has more than three dimensions.

    References
    ----------
    .. [1] The OME-TIFF specification, https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stain.tif"
    >>> write_image(path, np.zeros((4, 6), dtype=np.uint16))
    >>> stain = read_stain(path)
    >>> stain.image.shape, stain.image.dtype.name, stain.axes, stain.name
    ((4, 6), 'uint16', 'YX', 'stain.tif')
    """
    path = Path(path)
    image, axes, channels, um = _read(path)
    image = _as_stain_type(path, image)
    state = hashlib.blake2b(digest_size=16)
    state.update(repr((image.shape, image.dtype.str, axes, channels)).encode())
    state.update(image.data.cast("B"))
    image.flags.writeable = False
    return StainFile(image=image, axes=axes, channels=channels, name=path.name, digest=state.hexdigest(), um_per_px=um)


def image_size(path: str | Path) -> tuple[int, int, float | None]:
    """Return height times width, bytes, and the side of a pixel in um of an image, from its header alone.

    0, 0 and None where it is none that can be read; the side is None where the header does not tell.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stain.tif"
    >>> write_image(path, np.zeros((4, 6), dtype=np.uint16))
    >>> image_size(path)
    (24, 48, None)
    """
    import tifffile

    path = Path(path)
    if path.is_dir():
        return zarr_size(path)
    try:
        with path.open("rb") as file:
            head = file.read(26)
        if head[:4] == _PNG:
            pixels = int.from_bytes(head[16:20], "big") * int.from_bytes(head[20:24], "big")
            samples = {2: 3, 4: 2, 6: 4}.get(head[25], 1)
            return pixels, pixels * samples * max(head[24] // 8, 1), None
        with tifffile.TiffFile(path) as tiff:
            series, um = tiff.series[0], None
            if tiff.is_ome and tiff.ome_metadata:
                um = _ome_names(tiff.ome_metadata)[1]
            elif tiff.is_imagej and tiff.imagej_metadata:
                um = _imagej_pixel(tiff)
            sides = dict(zip(series.axes, series.shape, strict=True))
            return sides.get("Y", 0) * sides.get("X", 0), int(series.nbytes), um
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, KeyError):
        return 0, 0, None


def read_pixels(path: Path) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Pixels of any dtype, their axes (``YX``, ``YXS`` or ``CYX``) and the names of the channels."""
    return _read(path)[:3]


def _read(path: Path) -> tuple[np.ndarray, str, tuple[str, ...], float | None]:
    if path.is_dir():
        if not is_zarr(path):
            raise InputError(f"{path} is a folder, but an image file (TIFF or PNG) is needed; give the file inside it.")
        image, axes, names, um = read_ngff(path)
        return (*_tidy(path, image, axes, names), um)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the name and the folder.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the file.") from error
    if magic not in _TIFF and magic != _PNG:
        raise InputError(f"{path} is not an image that can be read; give a TIFF, OME-TIFF, PNG or OME-Zarr.")
    try:
        image, axes, names, um = _read_tiff(path) if magic in _TIFF else (*_read_png(path), None)
    except InputError:
        raise
    except Exception as error:
        # Decoders raise errors of many kinds for a damaged file; the reason is kept in the sentence.
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{path} is an image that is cut short or damaged ({reason}); copy it again.") from error
    return (*_tidy(path, image, axes, names), um)


def _read_tiff(path: Path) -> tuple[np.ndarray, str, tuple[str, ...], float | None]:
    import tifffile

    with _listen() as complaints, tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            raise InputError(f"{path} is a TIFF file without an image; check the file.")
        series = tiff.series[0]
        if complaints:
            # tifffile goes on without what it cannot find, and would give a part of the image
            raise ValueError(complaints[0])
        names: tuple[str, ...] = ()
        um = None
        if tiff.is_ome and tiff.ome_metadata:
            names, um = _ome_names(tiff.ome_metadata)
        elif tiff.is_imagej and tiff.imagej_metadata:
            labels = tiff.imagej_metadata.get("Labels")
            names = tuple(map(str, labels)) if labels else ()
            um = _imagej_pixel(tiff)
        image = series.asarray()
        if tiff.pages.first.photometric == tifffile.PHOTOMETRIC.MINISWHITE and image.dtype != bool:
            # Such files store black as the highest value; a stain must be bright where there is DNA.
            image = (np.iinfo(image.dtype).max - image) if image.dtype.kind == "u" else image
        return image, series.axes, names, um


@contextmanager
def _listen() -> Iterator[list[str]]:
    """Collect what tifffile logs about places outside the file."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if "invalid value offset" in text or "missing data offset" in text:
                found.append("a part of it is missing")

    logger, listener = logging.getLogger("tifffile"), Listener(logging.ERROR)
    logger.addHandler(listener)
    try:
        yield found
    finally:
        logger.removeHandler(listener)


def _imagej_pixel(tiff: Any) -> float | None:
    unit = str(tiff.imagej_metadata.get("unit", "")).replace("\\u00B5", "µ").lower()
    tag = tiff.pages.first.tags.get("XResolution")
    if unit not in LENGTHS or tag is None or not tag.value[0]:
        return None
    return LENGTHS[unit] * float(tag.value[1]) / float(tag.value[0])


def _ome_names(xml: str) -> tuple[tuple[str, ...], float | None]:
    """Names of the channels, and the side of a pixel in micrometres."""
    import tifffile

    images: Any = tifffile.xml2dict(xml).get("OME", {}).get("Image", {})
    image = images[0] if isinstance(images, list) else images
    pixels: Any = image.get("Pixels", {})
    channels: Any = pixels.get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    size, unit = pixels.get("PhysicalSizeX"), str(pixels.get("PhysicalSizeXUnit", "µm"))
    um = LENGTHS[unit] * float(size) if size and unit in LENGTHS and float(size) > 0 else None
    return tuple(str(c.get("Name") or f"channel {i}") for i, c in enumerate(channels, 1)), um


def _read_png(path: Path) -> tuple[np.ndarray, str, tuple[str, ...]]:
    import imagecodecs

    image = imagecodecs.png_decode(path.read_bytes())
    return image, "YX" if image.ndim == 2 else "YXS", ()


def _tidy(path: Path, image: np.ndarray, axes: str, names: tuple[str, ...]) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Drop axes of length 1, bring the rest to one of the three orders, and name the channels."""
    keep = [i for i, n in enumerate(image.shape) if n != 1 or axes[i] in "YX"]
    image = image.reshape([image.shape[i] for i in keep])
    axes = "".join(axes[i] for i in keep)
    if "Y" not in axes or "X" not in axes or image.ndim > 3 or 0 in image.shape:
        raise InputError(
            f"{path} has axes {axes or 'none'} of lengths {image.shape}; save one plane (rows, columns), or one plane "
            "per channel, as a file of its own."
        )
    if image.ndim == 2:
        image = image if axes == "YX" else image.T
        return np.ascontiguousarray(image), "YX", ()
    other = next(i for i, axis in enumerate(axes) if axis not in "YX")
    rgb = axes[other] == "S"
    image = np.transpose(image, (axes.index("Y"), axes.index("X"), other) if rgb else (other, *_yx(axes)))
    n = image.shape[2 if rgb else 0]
    if rgb:
        channels = _SAMPLES.get(n, tuple(f"channel {i}" for i in range(1, n + 1)))
    else:
        channels = names if len(names) == n else tuple(f"channel {i}" for i in range(1, n + 1))
    return np.ascontiguousarray(image), "YXS" if rgb else "CYX", _distinct(channels)


def _yx(axes: str) -> tuple[int, int]:
    return axes.index("Y"), axes.index("X")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Add the place to a name that occurs twice, so that each name picks one channel."""
    return tuple(f"{name} ({i})" if names.count(name) > 1 else name for i, name in enumerate(names, 1))


def _as_stain_type(path: Path, image: np.ndarray) -> np.ndarray:
    if image.dtype == bool:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind == "f":
        native = np.float32 if image.dtype.itemsize <= 4 else np.float64
        return np.ascontiguousarray(image, dtype=native)
    if image.dtype.kind in "ui":
        if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
            return np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
        if image.min() >= 0 and image.max() <= np.iinfo(np.uint16).max:
            return np.ascontiguousarray(image, dtype=np.uint16)
        raise InputError(
            f"{path} holds {image.dtype} values from {image.min()} to {image.max()}; save the stain as uint8, uint16 "
            "or float."
        )
    raise InputError(f"{path} holds {image.dtype} values; save the stain as uint8, uint16 or float.")


def write_image(path: str | Path, image: np.ndarray, channels: tuple[str, ...] = ()) -> None:
    """Write an image as TIFF (zlib), OME-TIFF (``.ome.tif``) or PNG, by the file's name; whole or not at all.

    Parameters
    ----------
    path : str or Path
        Name that ends in ``.tif``, ``.tiff`` or ``.png``.
    image : (H, W), (H, W, 3) or (C, H, W) array of uint8, uint16 or float
        (H, W, 3) and (H, W, 4) of uint8 are written as RGB; other three-dimensional arrays are channels.
    channels : tuple of str
        Names of the channels, kept in an OME-TIFF.

    Raises
    ------
    InputError
        If the name ends in something else, or the image is not of a kind that PNG holds.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "two.ome.tif"
    >>> write_image(path, np.zeros((2, 4, 6), dtype=np.uint8), channels=("DAPI", "membrane"))
    >>> read_stain(path).channels
    ('DAPI', 'membrane')
    """
    path = Path(path)
    image = np.asarray(image)
    rgb = image.ndim == 3 and image.shape[2] in (3, 4) and image.dtype == np.uint8
    suffix = path.suffix.lower()
    if suffix == ".png":
        import imagecodecs

        if image.dtype not in (np.uint8, np.uint16) or not (image.ndim == 2 or rgb):
            raise InputError(
                f"{path.name}: PNG holds (H, W) or RGB images of uint8 or uint16, not {image.dtype} of shape "
                f"{image.shape}; write a .tif file instead."
            )
        with atomic_file(path) as temporary:
            temporary.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image)))
        return
    if suffix not in (".tif", ".tiff"):
        raise InputError(f"{path.name}: an image is written as .tif, .tiff or .png; choose one of these endings.")
    import tifffile

    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    axes = "YX" if image.ndim == 2 else ("YXS" if rgb else "CYX")
    metadata: dict[str, Any] = {"axes": axes}
    if ome and channels:
        metadata["Channel"] = {"Name": list(channels)}
    with atomic_file(path) as temporary:
        tifffile.imwrite(
            temporary,
            image,
            photometric="rgb" if rgb else "minisblack",
            compression="zlib",
            ome=ome,
            metadata=metadata,
        )
