"""Draw the pictures with the names that are given, or all."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from . import cells, inputs, networks, nuclei, results, rna  # noqa: F401, they register their pictures
from .canvas import PICTURES

OUT = Path(__file__).parents[1] / "_build" / "pictures"


def main(names: Sequence[str]) -> int:
    """Draw the pictures with these names, or all."""
    unknown = set(names) - set(PICTURES)
    if unknown:
        print(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}", file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        figure = PICTURES[name]()
        figure.savefig(OUT / f"{name}.png", dpi=110, bbox_inches="tight")
        plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
