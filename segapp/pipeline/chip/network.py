"""Numbers of a whole chip that a network needs: contrast, brightness, and the size of nuclei."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from segapp.core import tiling
from segapp.core.engines import clahe, onnx
from segapp.core.engines.prepare import percentiles_of
from segapp.core.engines.resample import to_sixteenth
from segapp.core.engines.stardist import predict as stardist
from segapp.core.stain import find_range_of, to_levels
from segapp.core.tiling import Box, Window
from segapp.core.types import Fitted, Unavailable
from segapp.io import models
from segapp.pipeline.chip.evaluate import Evaluation
from segapp.pipeline.chip.source import Source

SCALED = 5
"""Tiles on which the size of nuclei is measured for a network."""

SMALL = 4096
"""Side in px of the picture in which the contrast of a chip is estimated."""


class NetworkGather:
    """Brightness and contrast of the stain, in as many rounds as build on each other, then the size of nuclei.

    With local equalisation there are up to two rounds more: the range of the stain (of 16 bits), then the levels in
    each cell of the grid; black and white are those of the equalised stain. A network in ONNX has its size as a
    parameter, and is asked on the same few tiles whether its answers are probabilities.
    """

    stage = "nuclei_network"
    needs: tuple[str, ...] = ("stain",)

    def __init__(self, source: Source) -> None:
        params: Any = source.params["nuclei_network"]
        _check_can(params)
        assert source.chip.stain is not None
        self.shape, self.dtype = source.shape, np.dtype(source.chip.stain["dtype"])
        self.levels: tuple[float, float] | None = (0.0, 255.0) if self.dtype == np.uint8 else None
        # as JSON values, which are small enough to travel with every tile
        self.contrast: dict[str, Any] | None = None
        self.bounds: tuple[float, float] | None = None
        self.sampled: frozenset[Box] = frozenset()

    def choose(self, tiles: list[tuple[Box, int]]) -> None:
        """Choose a few tiles with much RNA, where there are nuclei."""
        self.sampled = tiling.spread_over(tiles, SCALED)

    def start_small(self, source: Source) -> None:
        """Take the contrast of a small picture of everything, where no more than a few places will be looked at."""
        params: Any = source.params[self.stage]
        if params.equalize:
            level = source.chip.level("stain", tiling.halvings(max(source.shape), SMALL))
            whole = Window((0, 0, *source.shape), (0, 0, *source.shape), source.shape)
            found = clahe.find_contrast(source.raw_stain(whole, level), params.equalize)
            self.contrast = replace(found, cell=clahe.cell_of(source.shape)).to_json()

    def wants(self, core: Box, records: int) -> bool:
        """All tiles at first, then the sampled ones."""
        return self.bounds is None or core in self.sampled

    def look(self, seen: Evaluation) -> Any:
        """Return the histogram of a tile, of its cells, or the scale that its nuclei ask for."""
        stain = seen.core("stain")
        params: Any = seen.source.params[self.stage]
        if params.equalize and self.contrast is None:
            if self.levels is None:
                return np.bincount(stain.ravel())
            return clahe.count(to_levels(stain, *self.levels), self.shape, seen.window.core[:2])
        flat = stain.min() == stain.max()
        if self.contrast is not None:
            stain = clahe.Contrast.from_json(self.contrast).apply(stain, seen.window.core[:2])
        if self.bounds is None:
            return np.bincount(stain.ravel())
        if flat:
            return None
        if params.engine == "onnx":
            return onnx.leaves(stain, params, models.open_model(params), self.bounds)
        return stardist.find_scale(stain, params, models.open_model(params), self.bounds)

    def settle(self, parts: Iterable[Any], params: Any) -> Any | None:
        """Freeze what the round found."""
        if params.equalize and self.contrast is None:
            if self.levels is None:
                self.levels = find_range_of(_added(parts), self.dtype)
            else:
                self.contrast = clahe.contrast_of(parts, self.shape, *self.levels, params.equalize).to_json()
            return None
        if params.engine == "onnx":
            return self._settle_onnx(parts, params)
        if self.bounds is None:
            shares = stardist.percents(params, models.open_model(params))
            whole = _added(parts)
            self.bounds = (0.0, 1.0) if shares is None else percentiles_of(whole, *shares)
            return None
        scales = [part for part in parts if part is not None] or [1.0]
        scale = to_sixteenth(float(np.median(scales)))
        return self._fitted({"scale": scale, "black": self.bounds[0], "white": self.bounds[1]})

    def _settle_onnx(self, parts: Iterable[Any], params: Any) -> Any | None:
        """Freeze brightness, and whether a sigmoid makes probabilities of the answers: told by those of a few tiles."""
        if self.bounds is None:
            self.bounds = onnx.brightness_of(_added(parts), params)
            if params.activation == "auto":
                return None
            sigmoid = params.activation == "sigmoid"
        else:
            sigmoid = any(part for part in parts)
        found = {"black": self.bounds[0], "gain": self.bounds[1], "sigmoid": sigmoid}
        return self._fitted({**found, "reach": onnx.reach(params, models.open_model(params))})

    def _fitted(self, found: dict[str, Any]) -> Fitted:
        return Fitted(found if self.contrast is None else {**found, "contrast": self.contrast})


def _check_can(params: Any) -> None:
    """Raise `Unavailable` for a network whose nuclei would depend on how a chip is cut into tiles."""
    if params.engine not in ("stardist", "onnx"):
        raise Unavailable(
            f"{params.engine} finds nuclei over an image at once, by steps of its own that leave seams between tiles, "
            "so that it is not run on a chip: set nuclei_network.engine=stardist, which takes StarDist models, or "
            "onnx, which takes a U-Net"
        )
    if params.engine == "stardist" and models.open_model(params).kind == "package":
        raise Unavailable(
            f"the StarDist model {params.model} is run by its own package, which is not run on a chip: give a folder "
            "that holds the model, with nuclei_network.predictor=torch"
        )


def _added(parts: Iterable[np.ndarray]) -> np.ndarray:
    whole = np.zeros(1 << 16, np.int64)
    for part in parts:
        whole[: len(part)] += part
    return whole
