"""A chip of any size on the disk: counts as zarr, transcripts by tile, the stain, and pyramids of both.

`convert_chip` writes one from a GEM (and a stain) block by block; `Chip` reads windows of it.
"""

from segapp.io.chip.convert import convert_chip
from segapp.io.chip.store import Chip

__all__ = ["Chip", "convert_chip"]
