"""The network of the bundled models: a U-Net that works on half the resolution and tells probability and distances."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from segapp.core.types import InputError

__all__ = ["Network", "build"]

_LOG_REACH = 6.0
"""Longest distance is exp of this, 403 px: a weight gone astray must not give an infinite polygon."""


class Network(nn.Module):
    """A star-convex object around every pixel: how probable it is, and how far its edge is along each ray.

    Pixels are folded into channels (``grid`` x ``grid`` of them) before the first convolution: nothing of the image is
    lost, and every convolution is spared the full resolution.

    Parameters
    ----------
    channels : list of int
        Width of each level; every level but the first works on half the resolution of the one above.
    n_rays : int
        Directions in which distances are told; ray 0 points along +x, the next ones turn towards +y.
    grid : int
        Pixels per side for which one object is told.
    features : int
        Width of the last shared layer.

    Attributes
    ----------
    multiple : int
        Height and width of the input must be multiples of it.

    References
    ----------
    .. [1] Schmidt et al., "Cell Detection with Star-Convex Polygons", MICCAI 2018.
    .. [2] Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015.
    """

    def __init__(self, channels: list[int], n_rays: int = 32, grid: int = 2, features: int = 96) -> None:
        super().__init__()
        self.grid = grid
        self.n_rays = n_rays
        self.multiple = grid * 2 ** (len(channels) - 1)
        widths = [grid * grid, *channels]
        self.down = nn.ModuleList(_two(wide, wider) for wide, wider in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            _two(low + high, high) for high, low in zip(channels[-2::-1], channels[:0:-1], strict=True)
        )
        self.features = _one(channels[0], features)
        self.prob = nn.Conv2d(features, 1, 1)
        self.dist = nn.Conv2d(features, n_rays, 1)

    def logits(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell log-odds of an object and logarithms of distances, which the losses of the training work on.

        Parameters
        ----------
        image : (N, 1, H, W) float32
            Normalised images; H and W are multiples of ``multiple``.

        Returns
        -------
        prob : (N, H / grid, W / grid) float32
            Log-odds.
        dist : (N, n_rays, H / grid, W / grid) float32
            Natural logarithms of distances in px of the input.
        """
        x = functional.pixel_unshuffle(image, self.grid)
        kept: list[torch.Tensor] = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for block in self.up:
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0), kept.pop()], dim=1))
        x = self.features(x)
        return self.prob(x)[:, 0], self.dist(x)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell probabilities and distances.

        Parameters
        ----------
        image : (N, 1, H, W) float32
            Normalised images; H and W are multiples of ``multiple``.

        Returns
        -------
        prob : (N, H / grid, W / grid) float32
            Probability of an object, 0 to 1: high at its middle.
        dist : (N, n_rays, H / grid, W / grid) float32
            Distances to its edge in px of the input.
        """
        prob, dist = self.logits(image)
        return torch.sigmoid(prob), torch.exp(dist.clamp(max=_LOG_REACH))


def build(config: Mapping[str, Any]) -> Network:
    """Make the network that a configuration describes, with fresh weights.

    Parameters
    ----------
    config : mapping
        ``channels``, and if wanted ``n_rays``, ``grid`` and ``features``; other entries are left alone.

    Returns
    -------
    Network
        In training mode.

    Raises
    ------
    InputError
        When channels are missing, or something is not a positive whole number.

    Examples
    --------
    >>> network = build({"channels": [8, 16], "n_rays": 32, "grid": 2})
    >>> network.multiple
    4
    >>> prob, dist = network(torch.zeros(1, 1, 16, 24))
    >>> tuple(prob.shape), tuple(dist.shape)
    ((1, 8, 12), (1, 32, 8, 12))
    """
    names = [name for name in ("n_rays", "grid", "features") if name in config]
    channels = list(config.get("channels", []))
    for value in [*channels, *(config[name] for name in names)]:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"a network is described by whole numbers from 1, not {value!r}")
    if len(channels) < 2:
        raise InputError(f"a network needs the channels of at least 2 levels; there are {len(channels)}")
    return Network(channels, **{name: config[name] for name in names})


def _one(wide: int, wider: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(wide, wider, 3, padding=1, bias=False), nn.BatchNorm2d(wider), nn.ReLU(inplace=True))


def _two(wide: int, wider: int) -> nn.Sequential:
    return nn.Sequential(*_one(wide, wider), *_one(wider, wider))
