"""Options of each network, under the names that the field knows."""

from __future__ import annotations

from typing import Literal

from segapp.core.engines import NetworkParams
from segapp.core.params import knob


class StardistParams(NetworkParams):
    """Find nuclei with StarDist: star-shaped polygons."""

    engine: Literal["stardist"] = knob("stardist", doc="Network that finds the nuclei.")
    model: str = knob("2D_versatile_fluo", doc="Which of the published networks, or a folder that holds one.")
    tilesize: int = knob(
        2000, unit="px", ge=64, le=100_000, soft=(500, 8000), doc="Side of a tile. Larger: more memory, fewer seams."
    )
    min_overlap: int | Literal["auto"] = knob(
        "auto", unit="px", ge=0, le=10_000, soft=(0, 500), doc="Least overlap of tiles: wider than the widest nucleus."
    )
    context: int | Literal["auto"] = knob(
        "auto", unit="px", ge=0, le=10_000, soft=(0, 500), doc="Rim of a tile that is seen but not used."
    )
    normalizer: Literal["percentile", "off"] = knob(
        "percentile", doc="How brightness is scaled before the network: between percentiles, or not at all."
    )
    sanitize: bool = knob(True, doc="Separate pieces of one label that do not touch.")
    prob_thresh: float | Literal["auto"] = knob(
        "auto", ge=0.0, le=1.0, soft=(0.0, 1.0), doc="Least probability of a nucleus. Higher: fewer, surer nuclei."
    )
    nms_thresh: float | Literal["auto"] = knob(
        "auto",
        ge=0.0,
        le=1.0,
        soft=(0.0, 1.0),
        doc="Overlap from which two are one. Higher: more overlap.",
    )


class CellposeParams(NetworkParams):
    """Find nuclei or cells with Cellpose: flows towards centres."""

    engine: Literal["cellpose"] = knob("cellpose", doc="Network that finds the nuclei.")
    model: str = knob("nuclei", doc="Which of the published networks: nuclei or cyto.")
    diameter: int | Literal["auto"] = knob(
        "auto", unit="px", ge=1, le=10_000, soft=(5, 100), doc="Expected diameter. Larger: bigger objects are found."
    )
    normalize: bool = knob(True, doc="Scale brightness between percentiles before the network.")
    flow_threshold: float | Literal["auto"] = knob(
        "auto", ge=0.0, le=10.0, soft=(0.0, 3.0), doc="Largest error of the flow. Higher: more, odder shapes."
    )


class DeepcellParams(NetworkParams):
    """Find nuclei or cells with DeepCell."""

    engine: Literal["deepcell"] = knob("deepcell", doc="Network that finds the nuclei.")
    model: str = knob("nuclear", doc="Which of the published networks.")
