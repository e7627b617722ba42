"""Cell segmentation of spatial transcriptomics."""
