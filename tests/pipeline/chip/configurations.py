"""Configurations of the base install that a run in tiles is compared with the whole for, here and in benchmarks."""

WATERSHED = "nuclei.source=watershed"

EXACT = {
    "markers peaks": ("stain", [WATERSHED, "nuclei_watershed.markers=peaks"]),
    "markers erosion": (
        "stain",
        [WATERSHED, "nuclei_watershed.markers=erosion", "nuclei_watershed.landscape=distance"],
    ),
    "cells watershed": ("stain", [WATERSHED, "cells.method=watershed"]),
    "cells both": ("stain+rna", [WATERSHED, "cells.region=both", "density.method=off"]),
    "nuclei alone": ("stain", [WATERSHED, "cells.method=nuclei"]),
    "limits": ("stain", [WATERSHED, "limits.min_area=150", "limits.max_area=600"]),
    "gauss": ("rna-total", ["cell_score.method=gauss", "density.method=off"]),
    "moran": ("rna-total", ["cell_score.method=moran", "density.method=off"]),
    "moran by bins": ("rna-total", ["cell_score.method=moran", "density.method=ward"]),
    "moran I of nuclei": ("rna-nuclear", ["nuclei_score.method=moran", "nuclei_score.moran_statistic=I"]),
    "EM": ("rna-total", ["cell_score.method=EM"]),
    "EM+gauss": ("rna-total", ["cell_score.method=EM+gauss", "density.method=ward"]),
    "VI+gauss": ("rna-total", ["cell_score.method=VI+gauss", "density.method=off"]),
    "VI+BP": ("rna-total", ["cell_score.method=VI+BP", "density.method=off"]),
    "rna peaks": ("rna-nuclear", []),
    "two passes": ("rna-two-pass", []),
    "rna components": ("rna-nuclear", ["nuclei_rna.method=components"]),
    "rna watershed": ("rna-nuclear", ["nuclei_rna.method=watershed"]),
    "rna landscape": ("rna-nuclear", ["nuclei_rna.method=watershed", "nuclei_rna.landscape=rna"]),
}
"""Name -> preset and changes; the stain lies as it is (``align.mode=off``)."""

PRESETS = {
    "stain+rna, watershed": ("stain+rna", [WATERSHED]),
    "stain, watershed": ("stain", [WATERSHED]),
    "rna-total": ("rna-total", []),
}
"""The same for whole presets, whose stain is aligned first."""

NETWORKS = {
    "network": ("stain", ["align.mode=off", "cells.method=nuclei"]),
    "stain+rna": ("stain+rna", []),
}
"""The same with the bundled network: the last bit of a convolution depends on the size of what it is given."""
