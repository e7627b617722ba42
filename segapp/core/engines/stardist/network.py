"""The torch module of a StarDist model, made once, and how far it looks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from segapp.core.engines.model import Model, once_a_model
from segapp.core.types import Cancelled, InputError, Tick

if TYPE_CHECKING:
    from torch import nn

_here = threading.local()


@once_a_model
def network(model: Model) -> nn.Module:
    """Return the torch module of a model, made once: weights loaded, batch normalisation folded in, not for training.

    Parameters
    ----------
    model : Model
        Of kind ``"segapp"`` or ``"keras"``.

    Returns
    -------
    torch.nn.Module
        With the attributes ``n_rays``, ``grid`` and ``multiple``.

    Raises
    ------
    InputError
        When description and weights do not fit each other.
    """
    import torch

    made: Any
    if model.kind == "keras":
        from segapp.core.engines.stardist.keras_unet import KerasUnet

        made = KerasUnet(model.config, model.weights).eval()
    else:
        from segapp.core.engines.stardist.unet import build

        if not isinstance(model.config.get("architecture"), Mapping):
            raise InputError(f"the model {model.name} cannot be opened: its config.json describes no network.")
        made = build(model.config["architecture"])
        weights = {name: torch.from_numpy(np.array(value)) for name, value in model.weights.items()}
        try:
            # how many batches the normalisation has seen matters to training alone, and may be left out
            missing, unknown = made.load_state_dict(weights, strict=False)
        except RuntimeError:
            missing, unknown = ["shapes"], []
        if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
            raise InputError(f"the weights of the model {model.name} do not fit its config.json.")
        made = _folded(made.eval())
    for part in convolutions(made):
        part.register_forward_pre_hook(_step)
    return made


def reach(module: Any) -> int:
    """Return how far from a pixel, in px, the answer of a network may depend on its input.

    Parameters
    ----------
    module : torch.nn.Module
        Of `network`.

    Returns
    -------
    int

    Examples
    --------
    >>> from segapp.core.engines.stardist.unet import build
    >>> reach(build({"channels": [8, 16], "grid": 2}))
    22
    """
    known = getattr(module, "reach", None)
    if known is not None:
        return int(known)
    # two convolutions a level on the way down and, but for the coarsest, on the way up; one for the features; and what
    # pooling and enlarging add: a pixel of the coarsest level stands for all of its square
    steps = [module.grid * 2**level for level in range(len(module.down))]
    return 2 * sum(steps) + 2 * sum(steps[:-1]) + steps[0] + 2 * steps[-1] // 2


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread for what this thread asks.

    The order in which a convolution adds up depends on the number of its threads; an answer would differ in the last
    bit from machine to machine, and between a window and the whole.
    """
    import torch

    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


class Progress:
    """Ticks at every convolution of a call: a tile takes seconds, and who cancels does not want to wait.

    Parameters
    ----------
    tick : Tick
        Called from this thread alone; where it raises, tiles on other threads end at their next convolution.
    total : int
        Convolutions of the whole call.
    """

    def __init__(self, tick: Tick, total: int) -> None:
        self.tick, self.total, self.done, self.ended = tick, total, 0, False
        self.mine, self.lock = threading.get_ident(), threading.Lock()

    @contextmanager
    def here(self) -> Iterator[None]:
        """Count what this thread asks networks for."""
        _here.progress = self
        try:
            yield
        finally:
            _here.progress = None

    def step(self) -> None:
        """Say that a convolution begins."""
        if self.ended:
            raise Cancelled
        with self.lock:
            done, self.done = self.done, self.done + 1
        if threading.get_ident() == self.mine:
            try:
                self.tick(min(done, self.total), self.total)
            except BaseException:
                self.ended = True
                raise


def convolutions(module: nn.Module) -> list[Any]:
    """Return the convolutions of a network, in order."""
    from torch import nn

    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


def _step(*_: Any) -> None:
    progress = getattr(_here, "progress", None)
    if progress is not None:
        progress.step()


def _folded(module: Any) -> Any:
    """Put batch normalisation into the convolution before it: the same numbers in less time."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for block in module.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for i in range(len(block) - 1):
            first, second = block[i], block[i + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                block[i], block[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return module
