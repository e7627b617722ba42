"""Arrays in, arrays out: the numerics of segmentation, without files, tables or widgets."""
