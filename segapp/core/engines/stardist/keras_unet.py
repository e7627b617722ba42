"""The network of official StarDist models: their Keras layers as torch layers, with the same numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from segapp.core.types import InputError

_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "elu": functional.elu,
    "selu": functional.selu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "linear": lambda x: x,
}

_EPSILON = 1e-3
"""What Keras adds to a variance before it divides by its root."""


class KerasUnet(nn.Module):
    """A StarDist network as its package describes it: pooling to the grid, a U-Net, features, probability, distances.

    Parameters
    ----------
    config : mapping
        ``config.json`` of the model folder.
    weights : mapping of str to array
        ``"layer/kernel"``, ``"layer/bias"``, and of batch normalisation ``gamma``, ``beta``, ``moving_mean`` and
        ``moving_variance``.

    Attributes
    ----------
    n_rays, grid : int
        Rays, and pixels per side for which one object is told.
    multiple : int
        Height and width of the input must be multiples of it.
    reach : int
        How far from a pixel, in px, its answer may depend on the input.

    Raises
    ------
    InputError
        For a model that is not of this kind (other backbone, several channels, odd grids), or lacks weights.

    References
    ----------
    .. [1] Schmidt et al., "Cell Detection with Star-Convex Polygons", MICCAI 2018.
    .. [2] The reference manual of the package stardist, https://stardist.net
    """

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        _check(config)
        self.n_rays = int(config["n_rays"])
        self.grid = int(config["grid"][0])
        self.depth = int(config.get("unet_n_depth", 3))
        self.pool = tuple(int(side) for side in config.get("unet_pool", (2, 2)))
        self.per_level = int(config.get("unet_n_conv_per_depth", 2))
        self.act = _activation(config.get("unet_activation", "relu"))
        self.last_act = _activation(config.get("unet_last_activation", "relu"))
        prefix = str(config.get("unet_prefix", ""))
        half = max(int(side) for side in config.get("unet_kernel_size", (3, 3))) // 2

        layers = _Layers(weights, bool(config.get("unet_batch_norm", False)))
        unnamed = layers.numbered("conv2d")
        self.stem = nn.ModuleList()
        step, reach = 1, 0
        while step < self.grid:
            names = [next(unnamed) for _ in range(self.per_level)]
            self.stem.append(nn.ModuleList(layers.conv(name) for name in names))
            reach += self.per_level * half * step + step
            step *= 2
        steps = [step * max(self.pool) ** level for level in range(self.depth + 1)]
        self.down = nn.ModuleList()
        for level in range(self.depth):
            names = [f"{prefix}down_level_{level}_no_{i}" for i in range(self.per_level)]
            self.down.append(nn.ModuleList(layers.conv(name, normed=True) for name in names))
            reach += self.per_level * half * steps[level] + steps[level]
        last = [*range(self.per_level - 1), self.per_level]
        self.middle = nn.ModuleList(layers.conv(f"{prefix}middle_{i}", normed=True) for i in last)
        reach += self.per_level * half * steps[self.depth] + steps[self.depth]
        self.up = nn.ModuleList()
        for level in reversed(range(self.depth)):
            names = [f"{prefix}up_level_{level}_no_{i}" for i in last]
            self.up.append(nn.ModuleList(layers.conv(name, normed=True) for name in names))
            reach += self.per_level * half * steps[level] + steps[level]
        self.features = layers.conv("features") if int(config.get("net_conv_after_unet", 0)) > 0 else None
        reach += half * step
        self.prob, self.dist = layers.conv("prob"), layers.conv("dist")
        self.multiple = steps[self.depth]
        self.reach = reach

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell probabilities and distances.

        Parameters
        ----------
        image : (N, 1, H, W) float32
            Normalised images; H and W are multiples of ``multiple``.

        Returns
        -------
        prob : (N, H / grid, W / grid) float32
            Probability of an object.
        dist : (N, n_rays, H / grid, W / grid) float32
            Distances to its edge in px of the input.
        """
        x = image
        for block in self.stem:
            for conv in block:  # type: ignore[attr-defined]
                x = self.act(conv(x))
            x = functional.max_pool2d(x, 2)
        kept: list[torch.Tensor] = []
        for block in self.down:
            for conv in block:  # type: ignore[attr-defined]
                x = self.act(conv(x))
            kept.append(x)
            x = functional.max_pool2d(x, self.pool)
        for conv in self.middle:
            x = self.act(conv(x))
        for level, block in zip(reversed(range(self.depth)), self.up, strict=True):
            # the upsampled half comes first in the channels
            x = torch.cat([functional.interpolate(x, scale_factor=[float(side) for side in self.pool]), kept.pop()], 1)
            for i, conv in enumerate(block):  # type: ignore[arg-type]
                final = level == 0 and i == self.per_level - 1
                x = (self.last_act if final else self.act)(conv(x))
        if self.features is not None:
            x = self.act(self.features(x))
        return torch.sigmoid(self.prob(x))[:, 0], self.dist(x)


class _Layers:
    """Hands out layers by their Keras names, batch normalisation folded into the convolution before it."""

    def __init__(self, weights: Mapping[str, np.ndarray], batch_norm: bool) -> None:
        self.weights = weights
        self.norms = self.numbered("batch_normalization") if batch_norm else None

    def numbered(self, kind: str) -> Any:
        """Names that Keras gave by itself (conv2d, conv2d_1, ...) in the order in which the layers were made."""
        found = {name.rsplit("/", 1)[0] for name in self.weights}
        numbers = {name: re.fullmatch(rf"{kind}(?:_(\d+))?", name) for name in found}
        named = [(int(match[1] or 0), name) for name, match in numbers.items() if match]
        return iter([*(name for _, name in sorted(named)), *[f"{kind} beyond the last"] * 99])

    def conv(self, name: str, normed: bool = False) -> nn.Conv2d:
        kernel, bias = self._array(name, "kernel"), self._array(name, "bias")
        if normed and self.norms is not None:
            norm = next(self.norms)
            gain = self._array(norm, "gamma") / np.sqrt(self._array(norm, "moving_variance") + _EPSILON)
            kernel = kernel * gain
            bias = (bias - self._array(norm, "moving_mean")) * gain + self._array(norm, "beta")
        height, width, wide, wider = kernel.shape
        if height % 2 == 0 or width % 2 == 0:
            raise InputError(f"the StarDist model has kernels of {height} x {width}; only odd sides can be read.")
        made = nn.Conv2d(wide, wider, (height, width), padding=(height // 2, width // 2))
        with torch.no_grad():
            made.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32)))
            made.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias, np.float32)))  # type: ignore[union-attr]
        return made

    def _array(self, layer: str, part: str) -> np.ndarray:
        try:
            return np.asarray(self.weights[f"{layer}/{part}"], np.float64)
        except KeyError:
            raise InputError(
                f"the weights of the StarDist model lack {layer}/{part}, which its config.json asks for; "
                "give the folder as StarDist wrote it."
            ) from None


def _check(config: Mapping[str, Any]) -> None:
    problems = []
    if config.get("backbone", "unet") != "unet":
        problems.append(f"its backbone is {config['backbone']}")
    if config.get("n_dim", 2) != 2:
        problems.append(f"it works in {config['n_dim']} dimensions")
    if config.get("n_channel_in", 1) != 1:
        problems.append(f"it takes {config['n_channel_in']} channels")
    grid = tuple(config.get("grid", ()))
    if len(grid) != 2 or grid[0] != grid[1] or grid[0] not in (1, 2, 4, 8, 16):
        problems.append(f"its grid is {list(grid)}")
    if not isinstance(config.get("n_rays"), int) or config["n_rays"] < 3:
        problems.append(f"its number of rays is {config.get('n_rays')}")
    if problems:
        raise InputError(
            f"this StarDist model cannot be read: {' and '.join(problems)}; a U-Net for one channel in 2 dimensions, "
            "with a grid of 1, 2 or 4, is needed."
        )


def _activation(name: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    if name not in _ACTIVATIONS:
        raise InputError(f"the StarDist model uses the activation {name}; known are {', '.join(_ACTIVATIONS)}.")
    return _ACTIVATIONS[name]
