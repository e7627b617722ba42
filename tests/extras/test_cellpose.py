"""Cellpose itself, version 3 or 4, with chance weights: what it finds means nothing, how it is called does."""

from importlib.metadata import version

import numpy as np
import pytest

from segapp.core.engines import ENGINES
from segapp.core.engines.options import CellposeParams
from segapp.io.models import open_model

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(1200)]
MAJOR = int(version("cellpose").split(".")[0])


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("cellpose") / "chance"
    if MAJOR == 3:
        from cellpose.resnet_torch import CPnet

        CPnet([2, 32, 64, 128, 256], 3, sz=3, mkldnn=False, max_pool=True, diam_mean=30.0).save_model(str(path))
    else:
        from cellpose.vit_sam import Transformer

        Transformer().save_model(str(path))
    return path


def test_a_model_file_is_run(model_file):
    from cellpose.models import CellposeModel

    rng = np.random.default_rng(0)
    stain = rng.integers(0, 255, (96, 80), dtype=np.uint8)
    params = CellposeParams(model=str(model_file), diameter=30, equalize=0, flow_threshold=0, cellprob_threshold=-6)
    found = ENGINES["cellpose"].predict(stain, params, open_model(params))
    channels = {"channels": [0, 0]} if MAJOR == 3 else {}
    masks, flows, _ = CellposeModel(gpu=False, pretrained_model=str(model_file)).eval(
        stain, diameter=30, flow_threshold=0, cellprob_threshold=-6, **channels
    )
    np.testing.assert_array_equal(found.labels, masks)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-flows[2].reshape(stain.shape))), atol=1e-4)
    assert found.labels.dtype == np.int32 and len(found.probability) == found.labels.max() + 1
