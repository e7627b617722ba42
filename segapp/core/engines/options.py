"""Options of each network, under the names that the field knows."""

from __future__ import annotations

from typing import Literal

from segapp.core.params import Params, Variants, knob

BUNDLED = "segapp-nuclei"
"""Name of the network that comes with segapp."""

FLOOR = 0.05
"""Least probability of an object that is kept with the network's answer: thresholds can be lowered to here."""

_EQUALIZE = (
    "Clip limit of the local contrast equalisation (CLAHE) before the network; 0 leaves the stain as it is. "
    "Higher: faint nuclei come up, noise too."
)


class NetworkParams(Params):
    """Find nuclei in the stain with a neural network."""

    engine: Literal["stardist", "cellpose", "deepcell", "onnx"] = knob("stardist", doc="Network that finds the nuclei.")
    equalize: float = knob(2.0, ge=0.0, le=100.0, soft=(0.0, 10.0), doc=_EQUALIZE)


class StardistParams(NetworkParams):
    """Find nuclei with StarDist: star-shaped polygons."""

    engine: Literal["stardist"] = knob("stardist", doc="Network that finds the nuclei.")
    model: str = knob(
        BUNDLED,
        doc="segapp-nuclei comes with segapp. Otherwise a folder that holds a StarDist model, or the name of a "
        "published one, which TensorFlow fetches.",
    )
    predictor: Literal["torch", "tensorflow"] = knob(
        "torch", doc="What runs a StarDist folder: torch, or the original package on TensorFlow where it is installed."
    )
    scale: float | Literal["auto"] = knob(
        "auto",
        ge=0.05,
        le=20.0,
        soft=(0.25, 4.0),
        step=1 / 16,
        doc="How much the stain is enlarged for the network: size of a pixel over that of the training images, in "
        "sixteenths. auto: so that nuclei have the size that the network knows. Higher: smaller nuclei are found.",
    )
    normalizer: Literal["percentile", "off"] = knob(
        "percentile", doc="How brightness is scaled before the network: between percentiles, or not at all."
    )
    pmin: float | Literal["auto"] = knob(
        "auto",
        unit="%",
        ge=0.0,
        le=50.0,
        soft=(0.0, 10.0),
        doc="Percentile of the stain that is black to the network; auto: as in training. Higher: darker background.",
    )
    pmax: float | Literal["auto"] = knob(
        "auto",
        unit="%",
        ge=50.0,
        le=100.0,
        soft=(90.0, 100.0),
        doc="Percentile of the stain that is white to the network; auto: as in training. Lower: brighter nuclei.",
    )
    tilesize: int = knob(
        2000,
        unit="px",
        ge=64,
        le=100_000,
        soft=(500, 8000),
        doc="Side of a tile as the network sees it. Larger: more memory. The result does not depend on it.",
    )
    min_overlap: int | Literal["auto"] = knob(
        "auto",
        unit="px",
        ge=0,
        le=10_000,
        soft=(0, 500),
        doc="Least overlap of tiles. auto: twice the context, which is enough, since polygons are joined over the "
        "whole image. Larger: slower.",
    )
    context: int | Literal["auto"] = knob(
        "auto",
        unit="px",
        ge=0,
        le=10_000,
        soft=(0, 500),
        doc="Rim of a tile that is seen but not used. auto: as far as the network looks, so that tiles leave no trace. "
        "Smaller: faster, seams may show.",
    )
    sanitize: bool = knob(True, doc="Keep the largest piece of a nucleus that others have cut into pieces.")
    prob_thresh: float | Literal["auto"] = knob(
        "auto",
        ge=FLOOR,
        le=1.0,
        soft=(FLOOR, 0.95),
        doc="Least probability of a nucleus; auto: the network's own. Higher: fewer, surer nuclei.",
    )
    nms_thresh: float | Literal["auto"] = knob(
        "auto",
        ge=0.0,
        le=1.0,
        soft=(0.0, 1.0),
        doc="Share of the smaller polygon from which two that overlap are one nucleus; auto: the network's own. "
        "Higher: more nuclei that overlap.",
    )


class CellposeParams(NetworkParams):
    """Find nuclei or cells with Cellpose: flows towards centres."""

    engine: Literal["cellpose"] = knob("cellpose", doc="Network that finds the nuclei.")
    model: str = knob(
        "nuclei",
        doc="Name of a published network (version 3: nuclei, cyto, cyto3; version 4: cpsam), or a file that holds one. "
        "Version 4 takes its own network for the names of version 3.",
    )
    diameter: int | Literal["auto"] = knob(
        "auto", unit="px", ge=1, le=10_000, soft=(5, 100), doc="Expected diameter. Larger: bigger objects are found."
    )
    normalize: bool = knob(True, doc="Scale brightness between percentiles before the network.")
    flow_threshold: float | Literal["auto"] = knob(
        "auto", ge=0.0, le=10.0, soft=(0.0, 3.0), doc="Largest error of the flow. Higher: more, odder shapes."
    )
    cellprob_threshold: float | Literal["auto"] = knob(
        "auto", ge=-20.0, le=20.0, soft=(-6.0, 6.0), doc="Least log-odds of a nucleus. Higher: fewer, smaller nuclei."
    )


class DeepcellParams(NetworkParams):
    """Find nuclei or cells with DeepCell."""

    engine: Literal["deepcell"] = knob("deepcell", doc="Network that finds the nuclei.")
    model: str = knob(
        "nuclear",
        doc="nuclear or mesmer, which the package fetches, or a folder that holds a saved model of one of them.",
    )
    um_per_px: float | Literal["auto"] = knob(
        "auto",
        unit="um",
        ge=0.01,
        le=10.0,
        soft=(0.1, 2.0),
        doc="Size of a pixel that the network is told. auto: 0.5. Larger: smaller nuclei are found.",
    )


class OnnxParams(NetworkParams):
    """Find nuclei with a network in ONNX that tells a probability for every pixel, and watershed."""

    engine: Literal["onnx"] = knob("onnx", doc="Network that finds the nuclei.")
    model: str = knob("", doc="File (.onnx) of a network: one channel in, the probability of a nucleus out.")
    normalizer: Literal["standard", "percentile", "off"] = knob(
        "standard",
        doc="How brightness is scaled before the network: standard = mean 0 and deviation 1, percentile = from 0 to 1 "
        "between the 1st and the 99.8th.",
    )
    activation: Literal["auto", "sigmoid", "off"] = knob(
        "auto", doc="What makes probabilities of the answer; auto: a sigmoid where it leaves 0 to 1."
    )
    scale: float = knob(
        1.0,
        ge=0.05,
        le=20.0,
        soft=(0.25, 4.0),
        step=1 / 16,
        doc="How much the stain is enlarged for the network, in sixteenths. Higher: smaller nuclei are found.",
    )
    tilesize: int = knob(
        512,
        unit="px",
        ge=64,
        le=100_000,
        soft=(256, 4096),
        doc="Side of a tile as the network sees it, where it does not prescribe one. Larger: more memory.",
    )
    context: int = knob(
        64,
        unit="px",
        ge=0,
        le=10_000,
        soft=(0, 256),
        doc="Rim of a tile that is seen but not used. Smaller: faster, seams may show.",
    )
    threshold: float = knob(
        0.5,
        ge=0.01,
        le=0.99,
        soft=(0.05, 0.95),
        doc="Least probability of a pixel in a nucleus. Higher: smaller nuclei.",
    )
    min_distance: int = knob(
        7,
        unit="px",
        ge=1,
        le=200,
        soft=(1, 30),
        doc="Smallest distance between the middles of two nuclei. Larger: fewer, bigger nuclei.",
    )


NETWORK = Variants("engine", (StardistParams, CellposeParams, DeepcellParams, OnnxParams), "stardist")
"""The networks, told apart by ``engine``."""

APPLY_ONLY = ("prob_thresh", "nms_thresh", "sanitize", "threshold", "min_distance")
"""Parameters that are looked at when the network has answered: changing them does not run it again."""
