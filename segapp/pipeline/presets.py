"""Named starting points: which sources nuclei and cells come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segapp.core.params import Params
from segapp.core.types import InputError
from segapp.pipeline.recipe import replace_params
from segapp.pipeline.stage import Pipeline


@dataclass(frozen=True)
class Preset:
    """A named set of parameters over the defaults.

    Parameters
    ----------
    name, title, doc : str
        Public name, heading, what it does and when to choose it.
    needs_stain : bool
        Whether it works only with a stain.
    patches : mapping of str to mapping
        Stage name -> values that differ from the defaults.
    """

    name: str
    title: str
    doc: str
    needs_stain: bool
    patches: Mapping[str, Mapping[str, Any]]


MAX_CELL = 1200
"""Largest area that growth gives a cell, in px: 300 µm² at 0.5 µm/px. The functions' own default, 400 px, is smaller
than many a cell; users of Stereo-seq set 400 to 1,200."""

BELIEFS: dict[str, Any] = {"bp_evidence": 0.25, "bp_p": 0.75, "bp_q": 0.25}
"""Circles of neighbours share counts: the evidence of a pixel counts a quarter, and neighbours pull more instead.
Scores come closer to shares of occupied pixels, and masks have smoother borders."""

TOTAL_RNA: dict[str, dict[str, Any]] = {
    "density": {"method": "levels"},
    "cell_score": {"certain": "nuclei", "em_weighting": "log", **BELIEFS},
}
"""How presets score total RNA: by levels of density, and with the many pixels of few counts weighted down; see
benchmarks/ACCURACY.md for what it gives."""

STAIN_NUCLEI: dict[str, dict[str, Any]] = {
    # local equalisation in so many tiles makes specks of noise on all but the largest images
    "nuclei_network": {"equalize": 0},
    "nuclei": {"source": "augment"},
}
"""How presets find nuclei in a stain: by the bundled network where the watershed confirms them, and what it missed by
watershed; see benchmarks/NETWORK.md for what it gives."""

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "stain+rna",
            "Stain and RNA",
            "Nuclei from the stain, by network and watershed; cells from total RNA within density bins, each grown "
            "from its nucleus.",
            True,
            {
                "align": {"mode": "affine"},
                **TOTAL_RNA,
                **STAIN_NUCLEI,
                "cells": {"method": "components", "region": "rna", "max_area": MAX_CELL},
            },
        ),
        Preset(
            "stain",
            "Stain only",
            "Nuclei from the stain, by network and watershed; cells by expanding them within the stain's cytoplasm.",
            True,
            {
                "align": {"mode": "affine"},
                **STAIN_NUCLEI,
                # five classes put the lowest cut below faint cytoplasm; how far a cell grows is bounded all the same
                "cytoplasm": {"otsu_classes": 5},
                "cells": {"method": "expand", "region": "stain", "max_area": MAX_CELL},
            },
        ),
        Preset(
            "rna-nuclear",
            "Nuclear RNA",
            "Nuclei from unspliced RNA or nuclear genes; no cells beyond them. Works on sparse RNA, without a stain.",
            False,
            {"nuclei_score": BELIEFS, "nuclei": {"source": "rna"}, "cells": {"method": "nuclei"}},
        ),
        Preset(
            "rna-two-pass",
            "Nuclear RNA, then total RNA",
            "Nuclei from unspliced RNA or nuclear genes; cells from total RNA, each grown from its nucleus.",
            False,
            {
                **TOTAL_RNA,
                "nuclei_score": BELIEFS,
                "nuclei": {"source": "rna"},
                "cells": {"method": "components", "region": "rna", "max_area": MAX_CELL},
            },
        ),
        Preset(
            "rna-total",
            "Total RNA",
            "Cells from total RNA alone. Touching cells merge: total RNA shows where cells are, rarely where one ends.",
            False,
            {
                "density": TOTAL_RNA["density"],
                "nuclei": {"source": "off"},
                "cell_score": {**TOTAL_RNA["cell_score"], "certain": "off"},
                "cells": {"method": "components", "region": "rna", "max_area": MAX_CELL},
            },
        ),
    )
}


def preset_params(name: str, pipeline: Pipeline) -> dict[str, Params]:
    """Return the parameters of every stage under a preset.

    Raises
    ------
    InputError
        When there is no such preset; the sentence names those that exist.
    """
    if name not in PRESETS:
        raise InputError(f"there is no preset {name}; choose one of {', '.join(PRESETS)}")
    params = pipeline.defaults()
    for stage, values in PRESETS[name].patches.items():
        params[stage] = replace_params(pipeline[stage].declared, values)
    return params


def default_preset(has_stain: bool, has_nuclear_rna: bool) -> str:
    """Return the preset that suits what is loaded."""
    if has_stain:
        return "stain+rna"
    return "rna-two-pass" if has_nuclear_rna else "rna-total"
