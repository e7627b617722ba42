"""A tiny network of the bundled architecture that finds blobs, for tests: a minute on one core.

python tests/extras/make_tiny_network.py tests/core/engines/fixtures/tiny
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from stardist import edt_prob, star_dist

from segapp.core.engines.stardist.unet import build
from tests.extras.make_keras_fixtures import blobs

ARCHITECTURE = {"channels": [8, 12, 16], "n_rays": 16, "grid": 2, "features": 16}


def normalised(image):
    low, high = np.percentile(image, (1, 99.8))
    return (image - low) / (high - low)


def main(target):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pairs = [blobs(seed, size=112, n=30) for seed in range(60)]
    images = torch.tensor(np.stack([normalised(image) for image, _ in pairs]), dtype=torch.float32)[:, None]
    prob = torch.tensor(np.stack([edt_prob(labels)[::2, ::2] for _, labels in pairs]), dtype=torch.float32)
    dist = torch.tensor(np.stack([star_dist(labels, 16, grid=(2, 2)) for _, labels in pairs])).permute(0, 3, 1, 2)
    network = build(ARCHITECTURE)
    optimiser = torch.optim.AdamW(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=400)
    for step in range(400):
        some = torch.randint(len(pairs), (6,))
        odds, far = network.logits(images[some])
        weight = prob[some][:, None]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, prob[some])
        loss = loss + 0.3 * ((far - dist[some].clamp(min=1).log()).abs() * weight).sum() / weight.sum() / 16
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(step, float(loss.detach()))
    target = Path(target)
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in network.eval().state_dict().items()}
    save_file(weights, target / "weights.safetensors")
    config = {"architecture": ARCHITECTURE, "prob_thresh": 0.4, "nms_thresh": 0.3, "percentiles": [1.0, 99.8]}
    (target / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
