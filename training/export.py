"""Write the averaged weights of a run as a model that segapp opens: weights.safetensors and config.json.

python -m training.export --run RUN --to segapp/models/segapp-nuclei
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from training.data import DIAMETER
from training.train import CHECKPOINT

PERCENTILES = (1.0, 99.8)
THRESHOLDS = {"prob_thresh": 0.5, "nms_thresh": 0.4}


def export(checkpoint: Path, to: Path, thresholds: dict[str, float] | None = None) -> dict[str, Any]:
    """Write a model folder from a checkpoint.

    Parameters
    ----------
    checkpoint : Path
        File that `training.train` wrote.
    to : Path
        Folder; what is there is replaced.
    thresholds : dict of str to float, optional
        ``prob_thresh`` and ``nms_thresh``; those of the folder stay when not given.

    Returns
    -------
    dict
        What config.json holds.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    to.mkdir(parents=True, exist_ok=True)
    if thresholds is None:
        there = to / "config.json"
        known = json.loads(there.read_text()) if there.exists() else THRESHOLDS
        thresholds = {name: known[name] for name in THRESHOLDS}
    config = {
        "architecture": state["architecture"],
        "diameter": DIAMETER,
        "percentiles": list(PERCENTILES),
        **thresholds,
        "training": {
            "steps": state["step"],
            **{k: v for k, v in state["plan"].items() if k in ("batch", "side", "seed")},
        },
    }
    weights = {
        name: value.contiguous()
        for name, value in state["averaged"].items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(weights, to / "weights.safetensors")
    (to / "weights.safetensors").chmod(0o644)
    (to / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    return config


def main() -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder given to training.train as --out")
    parser.add_argument("--to", type=Path, required=True, help="folder of the model")
    given = parser.parse_args()
    print(json.dumps(export(given.run / CHECKPOINT, given.to), indent=1))


if __name__ == "__main__":
    main()
