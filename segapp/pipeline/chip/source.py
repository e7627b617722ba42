"""A chip as the stages see it: one frame, and what they take from outside for any window of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from segapp.core import bright_field, cautions, density, frame, rna
from segapp.core.align import Alignment
from segapp.core.params import Params
from segapp.core.tiling import Window
from segapp.core.types import Grid, InputError, StainFile, Transcripts, Unavailable
from segapp.io.chip import Chip
from segapp.pipeline.compute import Snapshot
from segapp.pipeline.presets import default_preset
from segapp.pipeline.stage import Choice
from segapp.pipeline.stages import PIPELINE

STAIN_TYPES = ("uint8", "uint16")


@dataclass(eq=False)
class Source:
    """Windows of counts, stain and density bins in one frame.

    Parameters
    ----------
    chip : Chip
        The converted chip.
    params : mapping of str to Params
        Parameters of every stage.
    statistics : mapping of str to Any
        What is frozen already: ``align`` (an `Alignment`), ``density`` (a mapping).
    moved : path of an array or None
        The aligned stain, where it does not lie as it was stored.
    """

    chip: Chip
    params: Mapping[str, Params]
    statistics: Mapping[str, Any] = field(default_factory=dict)
    moved: Any = None

    def __post_init__(self) -> None:
        self.light = light_transcripts(self.chip)
        choice: Any = self.params["rna"]
        um = rna.pixel_size(self.light, choice)
        self.nuclear_source = rna.nuclear_source(self.light, choice)
        self.has_nuclear = rna.marks_nuclei(self.light, choice)
        self.plane: int | None = None
        x0, y0, x1, y1 = self.chip.bbox
        self.frame = Grid(x0, y0, y1 - y0 + 1, x1 - x0 + 1, um)
        if self.chip.stain is not None:
            self.frame = self._stain_frame(um)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frame."""
        return self.frame.shape

    @property
    def choice(self) -> Choice:
        """What the needs of the stages depend on."""
        return snapshot_of(self.chip, self.params).choice

    def grid(self, window: Window) -> Grid:
        """Return where a window lies in input coordinates."""
        y, x = window.box[:2]
        height, width = window.size
        return Grid(self.frame.x0 + x, self.frame.y0 + y, height, width, self.frame.um_per_px)

    def total(self, window: Window, level: int = 0) -> np.ndarray:
        """Return all UMIs of a window; see `Chip.counts`."""
        return self.chip.counts("total", self.grid(window), level)

    def nuclear(self, window: Window) -> np.ndarray | None:
        """Return the UMIs that mark nuclei, or None where nothing does."""
        if not self.has_nuclear:
            return None
        if self.nuclear_source in self.chip.layers:
            return self.chip.counts(self.nuclear_source, self.grid(window))
        choice: Any = self.params["rna"]
        try:
            records = self.chip.transcripts(self.grid(window))
        except InputError:  # an empty window holds nothing
            return np.zeros(window.size, np.uint32)
        return rna.rasterize(records, self.grid(window), "total", choice.genes)

    def raw_stain(self, window: Window, level: int = 0) -> np.ndarray:
        """Return the chosen channel of the stain in a window, upright, as it lies."""
        choice: Any = self.params["stain"]
        swap, flip_y, flip_x = frame.ORIENTATIONS[choice.orientation]
        height, width = (-(-side // (1 << level)) for side in self.shape)
        top, left = (side >> level for side in window.box[:2])
        bottom, right = (-(-side // (1 << level)) for side in window.box[2:])
        rows = (height - bottom, height - top) if flip_y else (top, bottom)
        columns = (width - right, width - left) if flip_x else (left, right)
        if swap:
            rows, columns = columns, rows
        scale = 1 << level
        part = Grid(columns[0] * scale, rows[0] * scale, (rows[1] - rows[0]) * scale, (columns[1] - columns[0]) * scale)
        planes = self.chip.stain_image(part, level)
        if planes.ndim == 3:
            planes = planes[self.plane] if self.plane is not None else _grey(planes)
        if choice.invert == "on":
            planes = bright_field.inverted(planes, self._white())
        return frame.orient(planes, choice.orientation)

    def stain(self, window: Window) -> np.ndarray:
        """Return the aligned stain in a window."""
        alignment: Alignment | None = self.statistics.get("align")
        if self.moved is None or alignment is None or alignment.is_identity:
            return self.raw_stain(window)
        from segapp.io.chip.blocks import read_window

        return read_window(self.moved, window)

    def bins(self, window: Window) -> np.ndarray | None:
        """Return the density bins of a window; None where they are off."""
        found = self.statistics.get("density")
        if not found:
            return None
        return density.apply_density(found, window.size, window.box[:2])

    def given(self, window: Window, names: set[str]) -> dict[str, Any]:
        """Return the artefacts `names` that do not come from a stage on the window itself."""
        makers: dict[str, Any] = {
            "total": lambda: self.total(window),
            "nuclear": lambda: self.nuclear(window),
            "nuclear_source": lambda: self.nuclear_source,
            "frame": lambda: self.grid(window),
            "stain": lambda: self.stain(window),
            "alignment": lambda: self.statistics.get("align"),
            "bins": lambda: self.bins(window),
            "density_statistics": lambda: self.statistics.get("density", {}),
        }
        return {name: makers[name]() for name in names if name in makers}

    def notes(self) -> list[str]:
        """Return what the user should know of the stain, a sentence each."""
        if self.chip.stain is None:
            return []
        choice: Any = self.params["stain"]
        told = self.chip.stain.get("bright_field", [])  # chips of earlier versions do not know
        of_plane = told[-1 if self.plane is None else self.plane] if told else (False, False)
        bright = [cautions.BRIGHT[choice.invert]] if of_plane[choice.invert == "on"] else []
        return [*self.chip.notes, *bright]

    def _white(self) -> float:
        """What becomes 0 when the stain is turned over; see `segapp.core.bright_field.white_of`."""
        stain = self.chip.stain
        assert stain is not None
        dtype = np.dtype(stain["dtype"])
        if dtype == np.uint8:
            return 255.0
        highest = stain.get("highest", [np.iinfo(dtype).max])  # chips of earlier versions do not know
        return float(highest[self.plane] if self.plane is not None and len(highest) > 1 else max(highest[:3]))

    def _stain_frame(self, um: float) -> Grid:
        stain = self.chip.stain
        assert stain is not None
        choice: Any = self.params["stain"]
        if stain["dtype"] not in STAIN_TYPES:
            raise Unavailable(
                f"{stain['name']} holds {stain['dtype']} pixels, and a chip is run with 8 or 16 bits: convert it "
                "again, which stores them as 16 bits."
            )
        _check_size(stain, choice.um_per_px)
        shape, axes = stain["shape"], stain["axes"]
        if axes != "YX":
            channel = frame.channel_of(axes, choice)
            self.plane = _plane(shape[0], axes, tuple(stain["channels"]), stain["name"], channel)
        height, width = shape[-2:]
        if frame.ORIENTATIONS[choice.orientation][0]:
            height, width = width, height
        return frame.extent((height, width), stain["name"], self.light, um, choice)


def _check_size(stain: Mapping[str, Any], um: float | str) -> None:
    """A converted stain lies in the pixels of the counts already: another size is asked for when it is converted."""
    if um not in ("auto", stain.get("um_per_px", "auto")) and (um != "off" or stain.get("resampled")):
        raise InputError(
            f"stain.um_per_px={um} asks for other pixels than those that {stain['name']} was converted with; convert "
            f"the chip again with --stain-um-per-px {um}, and run it with stain.um_per_px=auto or the same number"
        )


def snapshot_of(chip: Chip, params: Mapping[str, Params]) -> Snapshot:
    """Return choices for a whole chip: what blocks a stage, and keys that name what its numbers depend on."""
    inputs: dict[str, Any] = {"transcripts": SimpleNamespace(digest=chip.digest)}
    if chip.stain is not None:
        inputs["stain_file"] = SimpleNamespace(digest=chip.stain["digest"])
    return Snapshot(PIPELINE, inputs, params)


def preset_of(chip: Chip) -> str:
    """Return the name of the preset that suits a chip."""
    return default_preset(chip.stain is not None, rna.marks_nuclei(light_transcripts(chip), rna.RnaParams()))


@lru_cache(maxsize=4)
def light_transcripts(chip: Chip) -> Transcripts:
    """What the choice of layers, genes and frame looks at, without the records: corners, layers, genes, header."""
    x0, y0, x1, y1 = chip.bbox
    corners = np.array([x0, x1], np.int32), np.array([y0, y1], np.int32)
    counts = {}
    for layer in chip.layers:
        there = bool(chip.counts(layer, chip.box, chip.level(f"counts/{layer}")).any())
        counts[layer] = np.full(2, 1 if there else 0, np.uint32)
    return Transcripts(*corners, np.zeros(2, np.int32), counts, chip.genes, chip.header, digest=chip.digest)


def _plane(n: int, axes: str, channels: tuple[str, ...], name: str, channel: str) -> int | None:
    """Which plane of a stain is chosen; None for the mean of the first three."""
    tiny = np.repeat((np.arange(n, dtype=np.uint16) ** 2 * 4)[:, None, None], 2, axis=2)
    tiny[..., 1] += 1
    image = np.moveaxis(tiny, 0, -1) if axes == "YXS" else tiny
    value = int(frame.choose_channel(StainFile(image, axes, channels, name), channel)[0, 0])
    found = {4 * i * i: i for i in range(n)}
    return found.get(value)


def _grey(planes: np.ndarray) -> np.ndarray:
    return np.rint(planes[:3].mean(axis=0, dtype=np.float32)).astype(planes.dtype)
