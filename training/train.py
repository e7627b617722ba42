"""Train the network of segapp-nuclei.

    python -m training.train --data DIR --out RUN            # two CPU cores: an hour or two
    python -m training.train --data DIR --out RUN --resume   # goes on from the last checkpoint
    python -m training.train --data DIR --out RUN --device cuda

Every crop follows from the seed, the step and its place in the batch alone: a run that was resumed sees what one
without a break sees. The rate of learning is constant up to the last part of the run; so `--steps` may be changed
while it is constant.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from segapp.core.engines.stardist.unet import Network, build
from training.augment import crop
from training.data import DIAMETER, Picture, fingerprint, photographs, simulated

ARCHITECTURE = {"name": "unet", "channels": [24, 48, 96, 192], "features": 64, "n_rays": 32, "grid": 2}
SIMULATED_SHARE = 0.15
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Parameters
    ----------
    steps, batch, side : int
        Number of steps, crops a step, and px of their side.
    rate : float
        Rate of learning while it is constant.
    warm : int
        Steps over which the rate grows to it.
    decay : float
        Part of the run at its end over which the rate falls to nothing.
    keep : float
        Share of the averaged weights that stays at each step.
    seed : int
        Decides first weights and all crops.
    """

    steps: int = 6000
    batch: int = 8
    side: int = 192
    rate: float = 2e-3
    warm: int = 150
    decay: float = 0.45
    keep: float = 0.998
    seed: int = 0


def rate_at(step: int, plan: Plan) -> float:
    """Rate of learning at a step."""
    if step < plan.warm:
        return plan.rate * (step + 1) / plan.warm
    left = (plan.steps - step) / max(plan.decay * plan.steps, 1)
    return plan.rate if left >= 1 else plan.rate * 0.5 * (1 - math.cos(math.pi * max(left, 0.005)))


def batch_of(step: int, pictures: list[Picture], plan: Plan) -> list[torch.Tensor]:
    """Draw the crops of one step: images, and the targets prob, dist, valid."""
    weights = np.array([one.weight for one in pictures])
    chances = weights / weights.sum()
    crops = []
    for i in range(plan.batch):
        rng = np.random.default_rng([plan.seed, step, i])
        crops.append(crop(rng, pictures, chances, plan.side, ARCHITECTURE["n_rays"], ARCHITECTURE["grid"]))
    image, prob, dist, valid = (
        torch.from_numpy(np.ascontiguousarray(np.stack(part))) for part in zip(*crops, strict=True)
    )
    return [image[:, None], prob, dist, valid]


def ahead(make: Callable[[int], Any], start: int, stop: int, depth: int = 3) -> Iterator[tuple[int, Any]]:
    """Make items one thread ahead of their use."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(make, step) for step in range(start, min(start + depth, stop))]
        for step in range(start, stop):
            item = waiting.pop(0).result()
            if step + depth < stop:
                waiting.append(pool.submit(make, step + depth))
            yield step, item


def losses(
    logits: torch.Tensor, log_dist: torch.Tensor, prob: torch.Tensor, dist: torch.Tensor, valid: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """How wrong a prediction is.

    Parameters
    ----------
    logits, prob, valid : (N, h, w) float32
        Predicted log-odds, target, and where it counts.
    log_dist, dist : (N, rays, h, w) float32
        Predicted logarithms of distances, and target in px.

    Returns
    -------
    (scalar, scalar)
        Cross-entropy of the probability. Negative logarithm of the overlap of the polygons drawn from one middle,
        plus the relative error of single rays, both weighted by the target probability.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, prob, reduction="none")
    of_prob = (entropy * valid).sum() / valid.sum().clamp(min=1)
    at = torch.nonzero((prob * valid) > 0.02, as_tuple=True)
    weight = prob[at]
    told = log_dist.permute(0, 2, 3, 1)[at].clamp(-2, 6)
    true = dist.permute(0, 2, 3, 1)[at].clamp(min=0.5).log()
    smaller, larger = torch.minimum(told, true), torch.maximum(told, true)
    overlap = torch.logsumexp(2 * larger, 1) - torch.logsumexp(2 * smaller, 1)
    rays = (larger - smaller).mean(1)
    return of_prob, ((overlap + 0.3 * rays) * weight).sum() / weight.sum().clamp(min=1)


def average_into(averaged: Network, network: Network, keep: float) -> None:
    """Move the averaged weights, and what batch normalisation has counted, towards those of now."""
    with torch.no_grad():
        for mean, now in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)


def train(
    pictures: list[Picture],
    plan: Plan,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    until: int | None = None,
    checkpoint_seconds: float = 600.0,
    compiled: bool = False,
    say: Callable[[str], None] = print,
) -> Network:
    """Train, writing a checkpoint now and then and at the end; returns the averaged network.

    Parameters
    ----------
    pictures : list of Picture
        What crops are taken from.
    plan : Plan
        What to do.
    out : Path
        Folder of the checkpoint and the log.
    device : str
        ``cpu`` or ``cuda``.
    resume : bool
        Go on from the checkpoint in `out`.
    until : int, optional
        Stop before this step, as if interrupted.
    checkpoint_seconds : float
        Time between checkpoints.
    compiled : bool
        Let torch compile the network first: a minute that a long run gains back; needs a C++ compiler.
    say : callable
        Takes one line a hundred steps.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    network = build(ARCHITECTURE).to(device)
    averaged = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=1e-2)
    start = 0
    images = fingerprint(pictures)
    if resume and (out / CHECKPOINT).exists():
        # written by this script: tensors and numbers alone
        state = torch.load(out / CHECKPOINT, map_location=device, weights_only=True)
        if state["images"] != images or state["plan"]["seed"] != plan.seed:
            raise SystemExit(f"{out / CHECKPOINT} is of a run on other images or another seed; choose another --out")
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]

    def save(step: int) -> None:
        state = {
            "network": network.state_dict(),
            "averaged": averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "plan": asdict(plan),
            "architecture": ARCHITECTURE,
            "images": images,
        }
        torch.save(state, out / "checkpoint.part")
        (out / "checkpoint.part").replace(out / CHECKPOINT)

    logits = torch.compile(network.logits) if compiled else network.logits
    stop = min(plan.steps, until or plan.steps)
    saved = told = time.monotonic()
    sums = torch.zeros(2)
    for step, batch in ahead(lambda step: batch_of(step, pictures, plan), start, stop):
        image, prob, dist, valid = (part.to(device) for part in batch)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, plan)
        of_prob, of_dist = losses(*logits(image), prob, dist, valid)
        optimizer.zero_grad()
        (of_prob * 2 + of_dist).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimizer.step()
        # early on the average must not remember the first weights
        average_into(averaged, network, min(plan.keep, (step + 1) / (step + 10)))
        sums += torch.stack([of_prob.detach().cpu(), of_dist.detach().cpu()])
        if (step + 1) % 100 == 0:
            now = time.monotonic()
            line = {"step": step + 1, "prob": round(float(sums[0]) / 100, 4), "dist": round(float(sums[1]) / 100, 4)}
            line |= {"rate": round(rate_at(step, plan), 6), "seconds": round(now - told, 1)}
            with (out / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            say(json.dumps(line))
            sums, told = torch.zeros(2), now
        if time.monotonic() - saved > checkpoint_seconds:
            save(step + 1)
            saved = time.monotonic()
    save(stop)
    return averaged


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the images; training/README.md")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--decay", type=float, default=Plan.decay)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=2, help="of torch; 1 where others use the processors too")
    parser.add_argument("--compile", action="store_true", help="let torch compile the network: needs a C++ compiler")
    parser.add_argument("--tissues", type=int, default=24, help="pieces of simulated tissue")
    parser.add_argument("--checkpoint-seconds", type=float, default=600)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    plan = Plan(steps=given.steps, batch=given.batch, rate=given.rate, decay=given.decay, seed=given.seed)
    real = photographs(given.data)
    tissue = simulated(given.out / "simulated", given.tissues)
    total = sum(one.weight for one in real)
    share = SIMULATED_SHARE / (1 - SIMULATED_SHARE) * total / max(len(tissue), 1)
    tissue = [Picture(one.image, one.equalized, one.labels, share) for one in tissue]
    print(f"{len(real)} images, {len(tissue)} pieces of tissue, nuclei {DIAMETER:g} px wide", flush=True)
    train(
        real + tissue,
        plan,
        given.out,
        device=given.device,
        resume=given.resume,
        checkpoint_seconds=given.checkpoint_seconds,
        compiled=given.compile,
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    main()
