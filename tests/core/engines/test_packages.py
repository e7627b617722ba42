"""Cellpose, DeepCell and the original StarDist by how they are called; tests/extras runs the packages themselves."""

import sys
import types

import numpy as np
import pytest

from segapp.core.engines import ENGINES, NETWORK, Model
from segapp.core.engines.options import CellposeParams, DeepcellParams, StardistParams
from segapp.core.engines.prepare import equalize
from segapp.core.params import knobs
from segapp.core.types import InputError, Unavailable
from segapp.io.models import open_model

MASKS = np.zeros((300, 277), np.uint16)
MASKS[10:20, 10:20], MASKS[40:60, 40:50] = 1, 2
ODDS = np.where(MASKS > 0, 2.0, -3.0).astype(np.float32)
FLOWS = [np.zeros((300, 277, 3), np.uint8), np.zeros((2, 300, 277)), ODDS, np.zeros((2, 300, 277))]


def install(monkeypatch, name, **content):
    """A package under a name, as far as an engine looks at it."""
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    module = sys.modules[name]
    for key, value in content.items():
        setattr(module, key, value)
    return module


class Recorder:
    """Takes what a network is made and asked with, and answers as the packages are documented to."""

    def __init__(self, answer):
        self.answer, self.made, self.asked = answer, [], []

    def __call__(self, *words, **named):
        self.made.append((words, named))
        return types.SimpleNamespace(eval=self.ask, predict=self.ask)

    def ask(self, image, **named):
        self.asked.append((np.array(image), named))
        return self.answer


def test_every_engine_has_its_options_and_the_other_way_round():
    assert tuple(ENGINES) == NETWORK.names()
    for name in ENGINES:
        assert {"engine", "model", "equalize"} <= {item.name for item in knobs(NETWORK.option(name))}


@pytest.mark.parametrize("diameter", ["auto", 17])
def test_cellpose_3_gives_four_values_and_takes_channels(monkeypatch, stain, diameter):
    named = Recorder((MASKS, FLOWS, np.zeros(256), 17.5))
    from_file = Recorder((MASKS, FLOWS, np.zeros(256)))
    install(monkeypatch, "cellpose.models", Cellpose=named, CellposeModel=from_file)
    params = CellposeParams(diameter=diameter, flow_threshold=0.7)
    found = ENGINES["cellpose"].predict(stain, params, open_model(params))
    np.testing.assert_array_equal(found.labels, MASKS)
    assert found.labels.dtype == np.int32 and found.scores.dtype == np.float32
    np.testing.assert_allclose(found.probability, [0, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-2))], rtol=1e-5)
    assert named.made == [((), {"gpu": False, "model_type": "nuclei"})] and not from_file.made
    image, asked = named.asked[0]
    np.testing.assert_array_equal(image, equalize(stain, 2.0))
    assert asked == {
        "diameter": None if diameter == "auto" else 17, "normalize": True, "flow_threshold": 0.7, "channels": [0, 0],
    }  # fmt: skip
    assert ENGINES["cellpose"].fit(stain, params, open_model(params)).statistics["diameter"] == 17.5


def test_cellpose_3_takes_a_file(monkeypatch, stain, tmp_path):
    (tmp_path / "mine").write_bytes(b"weights")
    from_file = Recorder((MASKS, FLOWS, np.zeros(256)))
    install(monkeypatch, "cellpose.models", Cellpose=Recorder(()), CellposeModel=from_file)
    params = CellposeParams(model=str(tmp_path / "mine"))
    assert ENGINES["cellpose"].predict(stain, params, open_model(params)).labels.max() == 2
    assert from_file.made == [((), {"gpu": False, "pretrained_model": str(tmp_path / "mine")})]


@pytest.mark.parametrize(("name", "made"), [("nuclei", {}), ("cpsam", {"pretrained_model": "cpsam"})])
def test_cellpose_4_gives_three_values_and_takes_no_channels(monkeypatch, stain, name, made):
    only = Recorder((MASKS, FLOWS, np.zeros(256)))
    install(monkeypatch, "cellpose.models", CellposeModel=only)
    params = CellposeParams(model=name, diameter=30, cellprob_threshold=-1)
    found = ENGINES["cellpose"].predict(stain, params, open_model(params))
    np.testing.assert_array_equal(found.labels, MASKS)
    assert only.made == [((), {"gpu": False, **made})]
    assert only.asked[0][1] == {"diameter": 30, "normalize": True, "cellprob_threshold": -1}


def test_what_cellpose_refuses_is_one_sentence(monkeypatch, stain):
    def refuse(**named):
        raise FileNotFoundError("model file not found\nsee the log")

    install(monkeypatch, "cellpose.models", CellposeModel=refuse)
    with pytest.raises(InputError, match=r"^Cellpose cannot use the model nowhere .*\(model file not found\)\.$"):
        ENGINES["cellpose"].predict(stain, CellposeParams(model="nowhere"), Model("nowhere", "package"))


@pytest.mark.parametrize(("model", "channels"), [("nuclear", 1), ("mesmer", 2)])
def test_deepcell_is_given_a_batch_and_the_size_of_a_pixel(monkeypatch, stain, model, channels):
    applications = {
        name: Recorder(MASKS[None, :, :, None].astype(np.int64)) for name in ("NuclearSegmentation", "Mesmer")
    }
    install(monkeypatch, "deepcell.applications", **applications)
    params = DeepcellParams(model=model, um_per_px=0.65, equalize=0)
    found = ENGINES["deepcell"].predict(stain, params, open_model(params))
    np.testing.assert_array_equal(found.labels, MASKS)
    assert found.probability.tolist() == [0, 1, 1] and found.labels.dtype == np.int32
    used = applications["Mesmer" if model == "mesmer" else "NuclearSegmentation"]
    batch, asked = used.asked[0]
    assert batch.shape == (1, *stain.shape, channels) and asked["image_mpp"] == 0.65
    np.testing.assert_array_equal(batch[0, :, :, 0], stain)
    assert asked.get("compartment") == ("nuclear" if model == "mesmer" else None)


def test_deepcell_opens_a_saved_model(monkeypatch, stain, tmp_path):
    recorder = Recorder(MASKS[None, :, :, None])
    install(monkeypatch, "deepcell.applications", NuclearSegmentation=recorder)
    keras = types.SimpleNamespace(models=types.SimpleNamespace(load_model=lambda path: f"opened {path}"))
    install(monkeypatch, "tensorflow", keras=keras)
    params = DeepcellParams(model=str(tmp_path))
    ENGINES["deepcell"].predict(stain, params, open_model(params))
    assert recorder.made == [((), {"model": f"opened {tmp_path}"})]
    with pytest.raises(InputError, match="not known to DeepCell; choose one of nuclear, mesmer"):
        ENGINES["deepcell"].predict(stain, DeepcellParams(model="nowhere"), Model("nowhere", "package"))


@pytest.mark.parametrize("engine", ["cellpose", "deepcell", "onnx"])
def test_a_missing_package_is_one_sentence_with_the_command(monkeypatch, stain, engine):
    package = {"onnx": "onnxruntime"}.get(engine, engine)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        Unavailable, match=rf"engine={engine} needs the package {package}, .*`pip install \S+`"
    ) as caught:
        ENGINES[engine].predict(stain, NETWORK.option(engine)(), Model("any", "package"))
    assert "\n" not in str(caught.value)


def test_a_package_that_cannot_be_loaded_says_why(monkeypatch, stain):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "cellpose":
                raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(Unavailable, match=r"cannot be loaded here \(libcudart"):
        ENGINES["cellpose"].predict(stain, CellposeParams(), Model("nuclei", "package"))


def test_the_original_predictor_needs_tensorflow(monkeypatch, stain, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    params = StardistParams(model=str(tmp_path), predictor="tensorflow")
    with pytest.raises(Unavailable, match=r"needs the package tensorflow.*'segapp\[tensorflow\]'"):
        ENGINES["stardist"].predict(stain, params, open_model(params))
