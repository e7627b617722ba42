"""A recipe over a whole chip, in the memory of a few tiles; its result is that of the untiled run.

Pass 1 gathers the numbers of the whole (`statistics`): histograms of stain, counts and scores, the alignment, the
density bins. Each is settled by the function of the core that fits a whole image. Pass 2 evaluates the stages on one
window after the other with these numbers (`evaluate`), keeps what its core holds (`tile`), and joins (`joins`).

Seams cannot show, for three reasons:

* A window carries along which of its pixels the rest of the chip might change (`doubt`): what a filter reads across
  its rim, components cut by it, what grows from those. A core with doubt in it is evaluated again with twice as much
  around it. So components need no table of the chip: a window grows until it knows.
* A cell is named by its first pixel in reading order. The tile that holds this pixel owns it. Whoever else sees the
  cell knows it by the same name, so cells are joined without guessing, and ids do not depend on the tiles: they run in
  reading order of first pixels.
* Tiles that share a cell compare hashes of its pixels. Where one differs both are made again with more around them,
  and at last an error names the tile: nothing is silently lost, cut or doubled.

Every tile leaves files that appear whole or not at all: a killed run goes on with ``resume=True``.
"""

from segapp.pipeline.chip.run import ChipResult, run_chip

__all__ = ["ChipResult", "run_chip"]
