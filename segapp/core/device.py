"""Where convolution, belief propagation and the bending of a stain are computed: on the processor or on a GPU.

The results are the same to rounding, so the device is no parameter of a recipe and takes no part in what is kept. It is
chosen by the environment variable ``SEGAPP_DEVICE``, or in Python by `Using`:

``auto``
    A GPU where there is one with CUDA, else the processor. The default.
``cpu``, ``cuda``
    That one; ``cuda`` without a GPU is an error.
"""

from __future__ import annotations

import functools
import os
import shutil
from contextvars import ContextVar, Token
from pathlib import Path

from segapp.core.types import InputError, Unavailable

VARIABLE = "SEGAPP_DEVICE"
WORDS = ("auto", "cpu", "cuda")

_chosen: ContextVar[str | None] = ContextVar("device", default=None)


class Using:
    """Compute on a device within a ``with`` block, whatever the environment says.

    Parameters
    ----------
    word : {"auto", "cpu", "cuda"}
        The device.

    Raises
    ------
    InputError
        When the word is no device.

    Examples
    --------
    >>> with Using("cpu"):
    ...     device()
    'cpu'
    """

    def __init__(self, word: str) -> None:
        self.word = _checked(word, "the device")
        self._token: Token[str | None] | None = None

    def __enter__(self) -> Using:
        self._token = _chosen.set(self.word)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _chosen.reset(self._token)


def device() -> str:
    """Return where to compute now.

    Returns
    -------
    "cpu" or "cuda"

    Raises
    ------
    InputError
        When ``SEGAPP_DEVICE`` is set to a word that is no device.
    Unavailable
        When ``cuda`` is asked for and torch finds no GPU.
    """
    word = _chosen.get() or _checked(os.environ.get(VARIABLE) or "auto", f"the environment variable {VARIABLE}")
    if word == "cpu" or (word == "auto" and not has_cuda()):
        return "cpu"
    if not has_cuda():
        raise Unavailable("the device cuda is asked for, but torch finds no GPU here; use auto or cpu")
    return "cuda"


@functools.cache
def has_cuda() -> bool:
    """Return whether torch can compute on a GPU; torch is imported only where a driver is."""
    if not (Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or shutil.which("nvidia-smi")):
        return False
    import torch

    return bool(torch.cuda.is_available())


def _checked(word: str, what: str) -> str:
    if word not in WORDS:
        raise InputError(f"{what} is {word!r}; use one of {', '.join(WORDS)}")
    return word
