"""Open model files: the bundled network, folders that StarDist wrote, ONNX."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segapp.core.engines.model import Model
from segapp.core.engines.options import BUNDLED, NetworkParams
from segapp.core.types import InputError

FOLDER = Path(__file__).parent.parent / "models"
"""Where the networks that come with segapp lie, one folder each."""

PUBLISHED = ("2D_versatile_fluo", "2D_versatile_he", "2D_paper_dsb2018", "2D_demo")
"""StarDist models that its own package fetches by name."""


def open_model(params: NetworkParams) -> Model:
    """Open the network that the parameters of an engine name.

    Parameters
    ----------
    params : NetworkParams
        Engine and model; of StarDist also what runs it.

    Returns
    -------
    Model
        Opened once and kept while its files stay the same.

    Raises
    ------
    InputError
        When there is no such model, or its files cannot be read.

    Examples
    --------
    >>> from segapp.core.engines.options import StardistParams
    >>> open_model(StardistParams(model="2D_versatile_fluo")).kind
    'package'
    """
    name = str(getattr(params, "model", ""))
    path = Path(name).expanduser()
    if params.engine == "stardist":
        if name == BUNDLED:
            return _read_folder(str(FOLDER / BUNDLED), BUNDLED, "")
        if path.is_dir():
            if getattr(params, "predictor", "torch") == "tensorflow":
                return Model(name, "package", {"path": str(path.resolve())})
            return _read_folder(str(path), name, outside_key(params))
        if name in PUBLISHED:
            return Model(name, "package")
        raise InputError(
            f"there is no StarDist model {name}: give {BUNDLED}, a folder that holds a model, or one of "
            f"{', '.join(PUBLISHED)}."
        )
    if params.engine == "onnx":
        if not path.is_file():
            what = f"there is no file {name}" if name else "no network is given"
            raise InputError(f"{what}: set nuclei_network.model to a network in ONNX (a file .onnx).")
        return _read_onnx(str(path), path.name, outside_key(params))
    return Model(name, "package", {"path": str(path.resolve())} if path.exists() and name else {})


def outside_key(params: NetworkParams) -> str:
    """Return what tells one state of a model's files from another: a result depends on them as on the parameters.

    Parameters
    ----------
    params : NetworkParams
        Engine and model.

    Returns
    -------
    str
        Sizes and times of the files; empty where the model is no file of the user's.

    Examples
    --------
    >>> from segapp.core.engines.options import StardistParams
    >>> outside_key(StardistParams())
    ''
    """
    name = str(getattr(params, "model", ""))
    path = Path(name).expanduser()
    if not name or name == BUNDLED or not path.exists():
        return ""
    files = sorted(item for item in path.iterdir() if item.is_file()) if path.is_dir() else [path]
    return ";".join(f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files)


@functools.lru_cache(maxsize=4)
def _read_folder(folder: str, name: str, state: str) -> Model:
    path = Path(folder)
    config = _read_json(path / "config.json", name)
    if (path / "weights.safetensors").is_file():
        return Model(name, "segapp", config, _read_safetensors(path / "weights.safetensors"))
    thresholds = _read_json(path / "thresholds.json", name) if (path / "thresholds.json").is_file() else {}
    config = {**config, **{f"{key}_thresh": float(thresholds[key]) for key in ("prob", "nms") if key in thresholds}}
    for file in ("weights_best.h5", "weights_last.h5"):
        if (path / file).is_file():
            return Model(name, "keras", config, read_keras_weights(path / file))
    raise InputError(
        f"the folder {name} holds no weights: weights.safetensors, weights_best.h5 or weights_last.h5 is needed."
    )


@functools.lru_cache(maxsize=2)
def _read_onnx(path: str, name: str, state: str) -> Model:
    return Model(name, "onnx", content=Path(path).read_bytes())


def read_keras_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read the weights that Keras wrote in its HDF5 format, as StarDist does.

    Parameters
    ----------
    path : str or Path
        ``weights_best.h5`` and alike; a whole model in the same format is read too.

    Returns
    -------
    dict of str to array
        ``"layer/kernel"``, ``"layer/bias"`` and so on, arrays as stored.

    Raises
    ------
    InputError
        When the file is not of this kind.

    References
    ----------
    .. [1] Keras documentation, "Model saving and serialization", https://keras.io
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            layers = _names(root, "layer_names")
            if not layers:
                raise InputError(
                    f"{path} is not in the HDF5 format that StarDist writes (weights_best.h5): it names no layers."
                )
            found = {}
            for layer in layers:
                for weight in _names(root[layer], "weight_names"):
                    part = weight.rsplit("/", 1)[-1].split(":")[0]
                    found[f"{layer}/{part}"] = np.asarray(root[layer][weight])
            return found
    except (OSError, KeyError) as error:
        raise InputError(f"{path} cannot be read as weights of Keras ({error}).") from None


def _names(group: Any, attribute: str) -> list[str]:
    """Names in an attribute; long lists are split over several, numbered ones."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    values = [value for part in parts for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found: dict[str, np.ndarray] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}).") from None
    return found


def _read_json(path: Path, name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the model {name} cannot be opened: {path.name} cannot be read ({reason}).") from None
    if not isinstance(value, dict):
        raise InputError(f"the model {name} cannot be opened: {path.name} must hold an object of names and values.")
    return value
