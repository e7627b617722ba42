"""Official StarDist models: tiny ones by the original package, see tests/extras/make_keras_fixtures.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from segapp.core.engines import ENGINES
from segapp.core.engines.model import Model
from segapp.core.engines.options import StardistParams
from segapp.core.engines.stardist.predict import apply, fit, network, reach
from segapp.core.types import InputError
from segapp.io.models import open_model

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = ("grid1", "grid2_norm", "grid4")


def params(name, **more):
    return StardistParams(model=str(FIXTURES / name), equalize=0, normalizer="off", sanitize=False, scale=1.0, **more)


def answer(name):
    with np.load(FIXTURES / name / "answer.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_answers_as_in_keras(name):
    import torch

    expected = answer(name)
    module = network(open_model(params(name)))
    image = expected["image"]
    more = [(0, -side % module.multiple) for side in image.shape]
    with torch.inference_mode():
        prob, dist = module(torch.from_numpy(np.pad(image, more, mode="reflect"))[None, None])
    rows, columns = expected["prob"].shape
    np.testing.assert_allclose(prob[0].numpy()[:rows, :columns], expected["prob"], atol=2e-6)
    far = np.maximum(dist[0].numpy()[:, :rows, :columns].transpose(1, 2, 0), 1e-3)
    np.testing.assert_allclose(far, expected["dist"].astype(np.float32), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tilesize", [64, 2000])
def test_nuclei_are_those_of_the_original_package(name, tilesize):
    expected, asked = answer(name), params(name, tilesize=tilesize)
    found = ENGINES["stardist"].predict(expected["image"], asked, open_model(asked))
    assert expected["labels"].max() > 5
    np.testing.assert_array_equal(found.labels > 0, expected["labels"] > 0)
    pairs = np.unique(np.stack([found.labels.ravel(), expected["labels"].ravel()]), axis=1)
    assert len(pairs[0]) == len(np.unique(expected["labels"])), "the same partition"
    drawn = np.unique(expected["labels"])[1:] - 1
    np.testing.assert_allclose(found.probability[1:], expected["probability"][drawn], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_thresholds_of_the_folder_are_taken(name):
    thresholds = json.loads((FIXTURES / name / "thresholds.json").read_text())
    candidates = fit(answer(name)["image"], params(name), open_model(params(name)))
    assert (candidates.prob_thresh, candidates.nms_thresh) == (thresholds["prob"], thresholds["nms"])
    assert apply(candidates, params(name, prob_thresh=0.99)).labels.max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_network_looks_no_farther_than_its_reach(name):
    import torch

    module = network(open_model(params(name)))
    far, at = reach(module), 128
    image = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = [part[..., at // module.grid, at // module.grid].clone() for part in module(image)]
        outside = torch.ones(256, 256, dtype=bool)
        outside[at - far : at + far + 1, at - far : at + far + 1] = False
        image[..., outside] = 0
        after = [part[..., at // module.grid, at // module.grid] for part in module(image)]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"backbone": "resnet"}, "its backbone is resnet"),
        ({"n_channel_in": 3}, "it takes 3 channels"),
        ({"n_dim": 3}, "works in 3 dimensions"),
        ({"grid": [2, 4]}, r"its grid is \[2, 4\]"),
        ({"unet_activation": "swish"}, "uses the activation swish"),
        ({"unet_n_depth": 4}, "lack down_level_"),
        ({"unet_batch_norm": False, "unet_prefix": "b_"}, "lack b_down_level_0_no_0/kernel"),
    ],
)
def test_a_model_of_another_kind_is_one_sentence(change, reason):
    model = open_model(params("grid2_norm"))
    with pytest.raises(InputError, match=reason):
        network(Model("other", "keras", {**model.config, **change}, model.weights))


def test_a_folder_without_thresholds_or_with_the_last_weights_is_read(tmp_path):
    shutil.copy(FIXTURES / "grid4" / "config.json", tmp_path)
    shutil.copy(FIXTURES / "grid4" / "weights_best.h5", tmp_path / "weights_last.h5")
    asked = params("grid4").with_(model=str(tmp_path))
    candidates = fit(answer("grid4")["image"], asked, open_model(asked))
    assert (candidates.prob_thresh, candidates.nms_thresh) == (0.5, 0.4)
