"""What an engine takes and gives: an opened model, and nuclei with their probabilities."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from segapp.core.types import Unavailable


class Nuclei(NamedTuple):
    """Nuclei that a network found.

    Parameters
    ----------
    labels : (H, W) int32
        Nuclei from 1; 0 is background.
    scores : (H, W) float32
        How probable an object is at each pixel, 0 to 1.
    probability : (n + 1,) float32
        How probable each nucleus is, by its label; entry 0 is the background's and 0.
    """

    labels: np.ndarray
    scores: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, eq=False)
class Model:
    """A network as it was read: numbers and words, no files.

    Parameters
    ----------
    name : str
        What to call it in a message.
    kind : str
        ``"segapp"`` (the bundled one), ``"keras"`` (a StarDist folder), ``"onnx"``, or ``"package"``: the package of
        the engine opens it by its name or path.
    config : mapping
        What describes the network; of a package, ``path`` where the model is one.
    weights : mapping of str to array
        Weights by name.
    content : bytes
        The file, where the runtime of the network takes it whole.
    """

    name: str
    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    content: bytes = b""


@dataclass(frozen=True, eq=False)
class Found:
    """Nuclei of an engine that cannot be asked again for other thresholds without running the network.

    Parameters
    ----------
    nuclei : Nuclei
        What was found.
    statistics : mapping
        What was worked out on the way, as JSON values.
    """

    nuclei: Nuclei
    statistics: Mapping[str, Any]


def once_a_model(make: Callable[[Model], Any]) -> Callable[[Model], Any]:
    """Keep what a function makes of a model for as long as there is the model; threads wait for each other.

    Examples
    --------
    >>> asked = []
    >>> name_of = once_a_model(lambda model: asked.append(1) or model.name)
    >>> model = Model("any", "segapp")
    >>> name_of(model), name_of(model), len(asked)
    ('any', 'any', 1)
    """
    found: weakref.WeakKeyDictionary[Model, Any] = weakref.WeakKeyDictionary()
    lock = threading.Lock()

    @functools.wraps(make)
    def call(model: Model) -> Any:
        with lock:
            if model not in found:
                found[model] = make(model)
            return found[model]

    return call


def optional(package: str, extra: str, what: str) -> ModuleType:
    """Import a package that an extra brings.

    Parameters
    ----------
    package : str
        Name to import.
    extra : str
        The words after ``pip install`` that bring it.
    what : str
        Who needs it, for the message.

    Returns
    -------
    module

    Raises
    ------
    Unavailable
        When it is not installed, or it cannot be imported here: one sentence with the command that installs it.

    Examples
    --------
    >>> optional("no_such_package", "'segapp[nothing]'", "engine=nothing")
    Traceback (most recent call last):
    ...
    segapp.core.types.Unavailable: engine=nothing needs the package no_such_package, which is not installed: run \
`pip install 'segapp[nothing]'`, or set nuclei_network.engine=stardist, which needs nothing more.
    """
    import importlib

    way = f"run `pip install {extra}`, or set nuclei_network.engine=stardist, which needs nothing more."
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        missing = error.name or package
        raise Unavailable(f"{what} needs the package {missing.split('.')[0]}, which is not installed: {way}") from None
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Unavailable(
            f"{what} needs the package {package}, which cannot be loaded here ({reason}): {way}"
        ) from None


def mean_probability(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean score of each label, for networks that tell none of an object.

    Parameters
    ----------
    scores : (H, W) float32
        Probability of each pixel.
    labels : (H, W) int32
        Labels from 1.

    Returns
    -------
    (largest label + 1,) float32
        0 for the background and for ids that do not occur.

    Examples
    --------
    >>> mean_probability(np.array([[0.5, 1.0, 0.2]], np.float32), np.array([[1, 1, 0]], np.int32)).tolist()
    [0.0, 0.75]
    """
    flat = labels.ravel()
    counts = np.bincount(flat)
    sums = np.bincount(flat, weights=scores.ravel(), minlength=len(counts))
    means = np.divide(sums, counts, out=np.zeros(len(counts)), where=counts > 0).astype(np.float32)
    means[0] = 0
    return means
