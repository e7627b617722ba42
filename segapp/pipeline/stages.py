"""The stages: the whole product at a glance. Names of stages and parameters are public; see `segapp stages`."""

from __future__ import annotations

from segapp.core import align, density, edits, engines, frame, rna, score, stain
from segapp.core.label import cells, nuclei_rna, select, watershed
from segapp.core.params import Params
from segapp.io import models
from segapp.pipeline import steps
from segapp.pipeline.stage import Choice, Pipeline, Stage
from segapp.pipeline.tabulate import make_table

NETWORK = ("network_nuclei", "network_scores", "network_probability")
NUCLEI_FROM = {
    "watershed": ("watershed_nuclei",),
    "network": NETWORK,
    "augment": ("watershed_nuclei", *NETWORK),
    "union": ("watershed_nuclei", *NETWORK),
    "rna": ("rna_nuclei",),
    "off": (),
}
REGION_FROM = {"rna": ("cell_mask",), "stain": ("cytoplasm_mask",), "both": ("cell_mask", "cytoplasm_mask")}


class NoParams(Params):
    """A stage without parameters."""


def _stain_needs(choice: Choice) -> tuple[str, ...]:
    return ("transcripts", "stain_file") if "stain_file" in choice.inputs else ("transcripts",)


def _align_needs(choice: Choice) -> tuple[str, ...]:
    return ("stain_raw",) if choice.value("align", "mode") == "off" else ("stain_raw", "nuclear", "total")


def _nuclei_needs(choice: Choice) -> tuple[str, ...]:
    return NUCLEI_FROM[choice.value("nuclei", "source")]


def _has_nuclei(choice: Choice) -> bool:
    return choice.value("nuclei", "source") != "off"


def _certain_needs(choice: Choice) -> tuple[str, ...]:
    certain = choice.value("cell_score", "certain") == "nuclei" and _has_nuclei(choice)
    return ("selected_nuclei",) if certain else ()


def _cells_needs(choice: Choice) -> tuple[str, ...]:
    region = REGION_FROM.get(choice.value("cells", "region") or "", ())
    return ("total", *(("selected_nuclei",) if _has_nuclei(choice) else ()), *region)


def _edits_needs(choice: Choice) -> tuple[str, ...]:
    return ("cell_labels", "selected_nuclei") if _has_nuclei(choice) else ("cell_labels",)


def _table_needs(choice: Choice) -> tuple[str, ...]:
    names = ["transcripts", "frame", "cells", "nuclei", "total", "nuclei_provenance"]
    if "stain_file" in choice.inputs:
        names.append("stain")
    if choice.value("cells", "region") in ("rna", "both"):
        names.append("cell_scores")
    if choice.value("nuclei", "source") == "rna":
        names.append("nuclei_scores")
    if choice.value("nuclei", "source") in ("network", "augment", "union"):
        names += ["nuclei_probability", "network_engine"]
    return tuple(names)


PIPELINE = Pipeline(
    Stage(
        "rna",
        "RNA",
        "Count transcripts in pixels: all of them, and those that mark nuclei.",
        rna.RnaParams,
        needs=("transcripts", "extent"),
        gives=("nuclear", "total", "nuclear_source", "frame"),
        run=steps.count_rna,
    ),
    Stage(
        "stain",
        "Stain",
        "Choose the channel of the stain and how it lies over the transcripts.",
        frame.StainParams,
        needs=_stain_needs,
        gives=("stain_raw", "extent"),
        run=steps.place_stain,
    ),
    Stage(
        "align",
        "Align",
        "Move the stain onto the RNA, by the highest normalised cross-correlation.",
        align.ALIGN,
        needs=_align_needs,
        gives=("stain", "alignment"),
        run=steps.align_stain,
        selectors=("mode",),
        version=2,
    ),
    Stage(
        "nuclei_mask",
        "Nuclei mask",
        "Threshold the stain, globally and locally.",
        stain.NucleiMaskParams,
        needs=("stain",),
        gives=("nuclei_mask",),
        run=steps.mask_nuclei,
        fit=steps.fit_cut,
        apply_only=("local_k", "offset", "mk"),
    ),
    Stage(
        "nuclei_watershed",
        "Nuclei by watershed",
        "Place one marker a nucleus and flood the mask from the markers.",
        watershed.NucleiWatershedParams,
        needs=("stain", "nuclei_mask"),
        gives=("watershed_nuclei",),
        run=steps.label_stain_nuclei,
    ),
    Stage(
        "nuclei_network",
        "Nuclei by network",
        "Find nuclei in the stain with a neural network.",
        engines.NETWORK,
        needs=("stain",),
        gives=(*NETWORK, "network_engine"),
        run=steps.predict_nuclei,
        fit=steps.fit_network,
        apply_only=engines.APPLY_ONLY,
        outside=models.outside_key,
        version=3,
    ),
    Stage(
        "density",
        "RNA density",
        "Divide the tissue into regions of similar RNA density, each scored on its own.",
        density.DENSITY,
        needs=("total",),
        gives=("bins", "density_statistics"),
        run=steps.bin_density,
        version=3,
    ),
    Stage(
        "nuclei_score",
        "Nuclear RNA score",
        "Score each pixel by the nuclear RNA around it.",
        score.NUCLEI_SCORE,
        needs=("nuclear", "nuclear_source"),
        gives=("nuclei_scores", "nuclei_score_info"),
        run=steps.score_nuclei,
        fit=steps.fit_nuclei_score,
        apply_only=("bp_",),
    ),
    Stage(
        "nuclei_rna_mask",
        "Nuclear RNA mask",
        "Threshold the nuclear RNA score and smooth the mask.",
        score.ScoreMaskParams,
        needs=("nuclei_scores", "nuclei_score_info"),
        gives=("rna_nuclei_mask", "rna_nuclei_threshold"),
        run=steps.mask_rna_nuclei,
        fit=steps.fit_nuclei_threshold,
        fit_needs=("nuclei_scores",),
        apply_only=("mk",),
    ),
    Stage(
        "nuclei_rna",
        "Nuclei from RNA",
        "Separate the nuclei in the nuclear RNA mask.",
        nuclei_rna.NUCLEI_RNA,
        needs=("nuclear", "total", "nuclei_scores", "rna_nuclei_mask"),
        gives=("rna_nuclei",),
        run=steps.label_rna_nuclei,
        fit=steps.fit_rna_nuclei,
        fit_needs=("nuclear", "total", "rna_nuclei_mask"),
        version=4,
    ),
    Stage(
        "nuclei",
        "Nuclei",
        "Choose where nuclei come from.",
        select.NucleiParams,
        needs=_nuclei_needs,
        gives=("selected_nuclei", "nuclei_provenance", "nuclei_probability"),
        run=steps.select_nuclei,
        selectors=("source",),
    ),
    Stage(
        "cell_score",
        "Cell score",
        "Score each pixel by the total RNA around it: how surely it lies in a cell.",
        score.CELL_SCORE,
        needs=lambda choice: ("total", "bins", *_certain_needs(choice)),
        gives=("cell_scores", "cell_score_info"),
        run=steps.score_cells,
        fit=steps.fit_cell_score,
        fit_needs=("total", "bins"),
        apply_only=("bp_", "certain"),
        selectors=("certain",),
    ),
    Stage(
        "cell_mask",
        "Cell mask",
        "Threshold the cell score and smooth the mask.",
        score.ScoreMaskParams,
        needs=lambda choice: ("cell_scores", "cell_score_info", *_certain_needs(choice)),
        gives=("cell_mask", "cell_threshold"),
        run=steps.mask_cell_scores,
        fit=steps.fit_cell_threshold,
        fit_needs=("cell_scores",),
        apply_only=("mk",),
    ),
    Stage(
        "cytoplasm",
        "Cytoplasm",
        "Threshold the stain leniently: nuclei with the cytoplasm around them.",
        stain.CytoplasmParams,
        needs=("stain",),
        gives=("cytoplasm_mask",),
        run=steps.mask_cytoplasm,
        fit=steps.fit_cut,
        apply_only=("mk",),
    ),
    Stage(
        "cells",
        "Cells",
        "Label cells in the mask, from nuclei where there are any.",
        cells.CELLS,
        needs=_cells_needs,
        gives=("cell_labels", "cells_unassigned"),
        run=steps.label_cells,
        selectors=("region",),
    ),
    Stage(
        "edits",
        "Edits",
        "Replay cells drawn, merged, split, deleted, included or excluded by hand.",
        edits.EditsParams,
        needs=_edits_needs,
        gives=("edited_nuclei", "edited_cells", "edit_report"),
        run=steps.apply_edits,
    ),
    Stage(
        "limits",
        "Area limits",
        "Keep cells between a smallest and a largest area; the others stay visible as ghosts.",
        edits.LimitsParams,
        needs=("edited_nuclei", "edited_cells"),
        gives=("nuclei", "cells", "ghosts"),
        run=steps.apply_limits,
    ),
    Stage(
        "table",
        "Cells x genes",
        "Count every gene in every cell.",
        NoParams,
        needs=_table_needs,
        gives=("table",),
        run=make_table,
    ),
    inputs={"transcripts": True, "stain_file": False},
    gated={
        "stain_raw": ("stain_file", "There is no stain: open a stain image, or choose a preset that needs none."),
    },
)
