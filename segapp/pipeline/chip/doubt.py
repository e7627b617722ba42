"""How far from the rim of a window each artefact is exact: one method a stage, as the stages are."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core import tiling
from segapp.core.label.components import limit
from segapp.core.score.mask import default_mk

if TYPE_CHECKING:
    from segapp.pipeline.chip.evaluate import Evaluation

NETWORK_REACH = 128
"""Pixels of its own that a network looks around, with the radius of a nucleus that it may find."""


class Doubt:
    """Masks of the pixels of a window that the rest of the frame might change.

    Parameters
    ----------
    evaluation : Evaluation
        The artefacts of the window.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        # the evaluation holds its doubt: a circle of the two would keep the pixels of a tile that is done
        self.of_window: Evaluation = weakref.proxy(evaluation)
        self.held: dict[str, np.ndarray] = {}

    def of(self, name: str) -> np.ndarray:
        """Return the doubtful pixels of one artefact: (h, w) bool."""
        if name not in self.held:
            if not any(self.of_window.window.open):
                self.held[name] = np.zeros(self.of_window.window.size, bool)
            else:
                self.held[name] = getattr(self, f"_{_SAME.get(name, name)}")()
        return self.held[name]

    def _params(self, stage: str) -> Any:
        return self.of_window.source.params[stage]

    def _rim(self, reach: int) -> np.ndarray:
        return tiling.rim(self.of_window.window, reach)

    def _get(self, name: str) -> Any:
        return self.of_window.get(name)

    def _bins(self) -> np.ndarray:
        return self._rim(0)

    # nuclei from the stain

    def _nuclei_mask(self) -> np.ndarray:
        params = self._params("nuclei_mask")
        return self._rim(params.local_k // 2 + _smoothing(params.mk) + 1)

    def _watershed_nuclei(self) -> np.ndarray:
        params = self._params("nuclei_watershed")
        reach = params.k // 2 + (params.min_distance if params.markers != "erosion" else 0)
        doubt = tiling.spread(self.of("nuclei_mask"), reach)
        return tiling.doubt_objects(doubt, tiling.components(self._get("nuclei_mask")))

    def _network_nuclei(self) -> np.ndarray:
        numbers, params = self.of_window.statistics["nuclei_network"].statistics, self._params("nuclei_network")
        if params.engine == "onnx":  # a map, cut and separated as a mask is
            doubt = tiling.spread(self._rim(numbers["reach"]), params.min_distance)
            return tiling.doubt_objects(doubt, tiling.components(self._get("network_scores") >= params.threshold))
        scale = numbers["scale"]
        # what a network sees, and polygons that push each other away
        reach = math.ceil(NETWORK_REACH / scale) + 64
        return tiling.doubt_objects(self._rim(reach), self._get("network_nuclei"))

    # nuclei from RNA

    def _nuclei_scores(self) -> np.ndarray:
        return self._rim(self._score_reach("nuclei_score"))

    def _rna_nuclei_mask(self) -> np.ndarray:
        mk = self._params("nuclei_rna_mask").mk
        mk = default_mk(self._get("nuclei_score_info")) if mk == "auto" else mk
        return tiling.spread(self.of("nuclei_scores"), _smoothing(mk))

    def _rna_nuclei(self) -> np.ndarray:
        params, labels = self._params("nuclei_rna"), self._get("rna_nuclei")
        if params.method == "peaks":
            # places settle within a few nuclei of what moves them
            doubt = self._rim(math.ceil(16 * params.sigma)) | self.of("rna_nuclei_mask")
            return tiling.doubt_objects(doubt, labels)
        mask = self._get("rna_nuclei_mask")
        if params.method == "components":
            return self._grown(self.of("rna_nuclei_mask"), mask, None, params, labels)
        reach = params.min_distance + (params.k // 2 if params.landscape == "rna" else 0)
        doubt = tiling.spread(self.of("rna_nuclei_mask"), reach)
        return tiling.doubt_objects(doubt, tiling.components(mask))

    def _selected_nuclei(self) -> np.ndarray:
        source = self._params("nuclei").source
        if source == "off":
            return self._rim(0)
        if source in ("watershed", "network", "rna"):
            return self.of(f"{source}_nuclei")
        doubt = self.of("watershed_nuclei") | self.of("network_nuclei")
        for _ in range(2):  # each keeps or drops the other's
            for name in ("network_nuclei", "watershed_nuclei"):
                doubt = tiling.doubt_objects(doubt, self._get(name))
        return doubt

    # cells

    def _cell_scores(self) -> np.ndarray:
        doubt = self._rim(self._score_reach("cell_score"))
        params = self._params("cell_score")
        if params.certain == "nuclei" and self._params("nuclei").source != "off":
            doubt = doubt | tiling.spread(self.of("selected_nuclei"), self._after_certain("cell_score"))
        return doubt

    def _cell_mask(self) -> np.ndarray:
        mk = self._params("cell_mask").mk
        mk = default_mk(self._get("cell_score_info")) if mk == "auto" else mk
        return tiling.spread(self.of("cell_scores"), _smoothing(mk))

    def _cytoplasm_mask(self) -> np.ndarray:
        return self._rim(_smoothing(self._params("cytoplasm").mk) + 1)

    def _cell_labels(self) -> np.ndarray:
        params, labels = self._params("cells"), self._get("cell_labels")
        nuclei = None if self._params("nuclei").source == "off" else self._get("selected_nuclei")
        doubt = self.of("selected_nuclei")
        if params.method == "nuclei":
            return doubt
        for name, used in (("cell_mask", ("rna", "both")), ("cytoplasm_mask", ("stain", "both"))):
            if params.region in used:
                doubt = doubt | self.of(name)
        if params.method == "watershed":
            doubt = tiling.spread(doubt, params.k // 2)
            for _ in range(2):  # floods meet the basins beside them, and those the next
                doubt = tiling.doubt_objects(doubt, labels)
            return doubt
        if params.method == "expand":
            return tiling.doubt_objects(tiling.spread(doubt, params.distance), labels)
        mask = np.zeros(labels.shape, bool) if nuclei is None else nuclei > 0
        for name, used in (("cell_mask", ("rna", "both")), ("cytoplasm_mask", ("stain", "both"))):
            if params.region in used:
                mask = mask | self._get(name)
        return self._grown(doubt, mask, nuclei, params, labels)

    def _edited_cells(self) -> np.ndarray:
        doubt = self.of("cell_labels")
        if not self._params("edits").log:
            return doubt
        for name in ("cell_labels", "edited_cells"):
            doubt = tiling.doubt_objects(doubt, self._get(name))
        return doubt

    def _cells(self) -> np.ndarray:
        doubt = tiling.doubt_objects(self.of("edited_cells"), self._get("edited_cells"))
        nuclei = self._get("edited_nuclei")
        return doubt if nuclei is None else tiling.doubt_objects(doubt, nuclei)

    def _grown(
        self, doubt: np.ndarray, mask: np.ndarray, seeds: np.ndarray | None, params: Any, labels: np.ndarray
    ) -> np.ndarray:
        """Components that are split and grow back, from seeds where they have some."""
        doubt = tiling.doubt_components(doubt, mask, seeds, limit(params.area_threshold))
        doubt = tiling.doubt_depth(doubt, mask, seeds, params.k // 2)
        return tiling.doubt_objects(tiling.spread(doubt, params.distance), labels)

    def _score_reach(self, stage: str) -> int:
        params = self._params(stage)
        reach = params.k // 2 + self._after_certain(stage)
        return int(reach + (params.moran_k // 2 if params.method == "moran" else 0))

    def _after_certain(self, stage: str) -> int:
        """How far a score is heard once each pixel has its evidence."""
        params = self._params(stage)
        if params.method.endswith("+BP"):
            rounds = self.of_window.statistics[stage].statistics.get("rounds", params.bp_max_iter)
            return int(rounds) * (params.bp_k // 2)
        return int(params.k // 2) if params.method.endswith("+gauss") else 0


_SAME = {"nuclei": "cells", "edited_nuclei": "edited_cells", "network_scores": "network_nuclei", "ghosts": "cells"}
"""Artefacts that are as doubtful as others."""


def _smoothing(mk: int) -> int:
    """How far closing and opening with a circle reach."""
    return 4 * (mk // 2)
