"""StarDist models read in torch against the original package on TensorFlow, which trains them here."""

import numpy as np
import pytest

from segapp.core.engines import ENGINES
from segapp.core.engines.options import StardistParams
from segapp.core.engines.stardist.predict import network
from segapp.core.types import Unavailable
from segapp.io.models import open_model
from tests.extras.make_keras_fixtures import MODELS, answer, blobs, make

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(1200)]


@pytest.fixture(scope="module", params=MODELS)
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    # enough for the weights of every layer, and what the normalisation has seen, to have moved from their start
    model = make(folder, request.param, epochs=2)
    image, _ = blobs(7, size=90)
    asked = StardistParams(model=str(folder / request.param), equalize=0, normalizer="off", sanitize=False, scale=1.0)
    return asked, image, answer(model, image)


def same_partition(a, b):
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]).astype(np.int64), axis=1)
    return len(pairs[0]) == len(np.unique(a)) == len(np.unique(b)) and np.array_equal(a == 0, b == 0)


def test_the_converted_network_answers_as_keras_does(trained):
    import torch

    asked, image, expected = trained
    module = network(open_model(asked))
    with torch.inference_mode():
        padded = np.pad(image, [(0, -side % module.multiple) for side in image.shape], mode="reflect")
        prob, dist = (part[0].numpy() for part in module(torch.from_numpy(padded)[None, None]))
    rows, columns = expected["prob"].shape
    np.testing.assert_allclose(prob[:rows, :columns], expected["prob"], atol=1e-5)
    far = np.maximum(dist[:, :rows, :columns].transpose(1, 2, 0), 1e-3)
    np.testing.assert_allclose(far, expected["dist"].astype(np.float32), rtol=2e-3, atol=4e-3)


def test_nuclei_are_those_of_the_original_package(trained):
    asked, image, expected = trained
    found = ENGINES["stardist"].predict(image, asked, open_model(asked))
    assert expected["labels"].max() > 0
    assert same_partition(found.labels, expected["labels"])


def test_the_original_predictor_finds_the_same(trained):
    asked, image, expected = trained
    original = asked.with_(predictor="tensorflow")
    found = ENGINES["stardist"].predict(image, original, open_model(original))
    assert same_partition(found.labels, expected["labels"])
    assert found.scores.shape == image.shape


def test_a_name_is_opened_by_the_original_package(trained, monkeypatch):
    from pathlib import Path

    from stardist.models import StarDist2D

    asked, image, expected = trained
    path, names = Path(asked.model), []

    def fetch(name):
        names.append(name)
        return StarDist2D(None, name=path.name, basedir=str(path.parent))

    monkeypatch.setattr(StarDist2D, "from_pretrained", fetch)
    named = asked.with_(model="2D_versatile_fluo")
    found = ENGINES["stardist"].predict(image, named, open_model(named))
    assert names == ["2D_versatile_fluo"] and same_partition(found.labels, expected["labels"])


def test_a_model_that_cannot_be_fetched_is_one_sentence(monkeypatch):
    from stardist.models import StarDist2D

    def offline(name):
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr(StarDist2D, "from_pretrained", offline)
    named = StardistParams(model="2D_versatile_fluo", scale=1.0)
    with pytest.raises(Unavailable, match=r"cannot be opened \(.*Name or service not known.*segapp-nuclei"):
        ENGINES["stardist"].predict(blobs(1)[0], named, open_model(named))
