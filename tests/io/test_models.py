import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from segapp.core.engines.options import CellposeParams, OnnxParams, StardistParams
from segapp.core.types import InputError
from segapp.io.models import open_model, outside_key, read_keras_weights

FIXTURES = Path(__file__).parent.parent / "core" / "engines" / "fixtures"


def test_a_folder_is_opened_once_until_its_files_change(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "tiny", folder)
    params = StardistParams(model=str(folder))
    first, key = open_model(params), outside_key(params)
    assert first.kind == "segapp" and first.config["prob_thresh"] == 0.4
    assert open_model(params) is first and outside_key(params) == key
    os.utime(folder / "config.json", ns=(1, 1))
    assert open_model(params) is not first and outside_key(params) != key


def test_the_weights_of_a_keras_folder_have_names_of_layers():
    model = open_model(StardistParams(model=str(FIXTURES / "grid2_norm")))
    assert model.kind == "keras" and model.config["nms_thresh"] == 0.3
    kernel = model.weights["down_level_0_no_0/kernel"]
    assert kernel.shape == (3, 3, 3, 3) and kernel.dtype == np.float32
    assert any(name.endswith("/moving_variance") for name in model.weights)


def test_a_whole_model_and_long_lists_of_names_are_read(tmp_path):
    weights = {name: np.full((2,), i, np.float32) for i, name in enumerate(("kernel", "bias"))}
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        root = file.create_group("model_weights")
        # Keras splits lists that are too long for an attribute
        root.attrs["layer_names0"], root.attrs["layer_names1"] = [b"a"], ["b"]
        for layer in "ab":
            group = root.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in weights]
            for name, value in weights.items():
                group[f"{layer}/{name}:0"] = value
    found = read_keras_weights(tmp_path / "whole.h5")
    assert sorted(found) == ["a/bias", "a/kernel", "b/bias", "b/kernel"]
    assert found["b/bias"].tolist() == [1, 1]


def damaged(folder, name, content):
    shutil.copytree(FIXTURES / "grid4", folder)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.json", None, r"config\.json cannot be read"),
        ("config.json", b"{", r"config\.json cannot be read"),
        ("config.json", b"[1]", "must hold an object"),
        ("thresholds.json", b"\xff", r"thresholds\.json cannot be read"),
        ("weights_best.h5", None, "holds no weights"),
        ("weights_best.h5", b"nothing", "cannot be read as weights of Keras"),
    ],
)
def test_a_damaged_folder_is_one_sentence(tmp_path, name, content, reason):
    with pytest.raises(InputError, match=reason) as caught:
        open_model(StardistParams(model=damaged(tmp_path / "model", name, content)))
    assert "\n" not in str(caught.value)


def test_another_hdf5_file_is_one_sentence(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="not in the HDF5 format that StarDist writes"):
        read_keras_weights(tmp_path / "other.h5")


def test_damaged_weights_are_one_sentence(tmp_path):
    shutil.copytree(FIXTURES / "tiny", tmp_path / "model")
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        open_model(StardistParams(model=str(tmp_path / "model")))


def test_an_unknown_model_names_those_that_are_known():
    with pytest.raises(InputError, match=r"no StarDist model nowhere: give segapp-nuclei, .*2D_versatile_fluo"):
        open_model(StardistParams(model="nowhere"))
    with pytest.raises(InputError, match="no network is given: set nuclei_network"):
        open_model(OnnxParams())
    with pytest.raises(InputError, match=r"there is no file nowhere\.onnx"):
        open_model(OnnxParams(model="nowhere.onnx"))


def test_a_package_gets_a_name_or_a_path(tmp_path):
    assert open_model(CellposeParams()).config == {}
    assert open_model(CellposeParams(model=str(tmp_path))).config == {"path": str(tmp_path)}
