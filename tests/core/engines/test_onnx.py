"""Networks in ONNX: tiny ones that blur, see tests/extras/make_onnx_fixtures.py."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from segapp.core.engines import ENGINES
from segapp.core.engines.clahe import find_contrast
from segapp.core.engines.model import Model
from segapp.core.engines.onnx import _spans, apply, brightness, fit, leaves, reach
from segapp.core.engines.options import OnnxParams
from segapp.core.engines.prepare import equalize
from segapp.core.types import Cancelled, InputError
from segapp.io.models import open_model

FOLDER = Path(__file__).parent / "fixtures" / "onnx"


def params(name="any", **more):
    return OnnxParams(model=str(FOLDER / f"{name}.onnx"), **{"equalize": 0, "context": 8, **more})


def chances(stain, **more):
    asked = params(**more)
    return fit(stain, asked, open_model(asked))


def test_the_answer_becomes_probabilities(stain):
    image = (stain - stain.mean()) / stain.std()
    line = np.exp(-(np.arange(-2, 3) ** 2) / 2)
    odds = ndimage.convolve(image, np.outer(line, line) / line.sum() ** 2 * 4, mode="constant")
    found = chances(stain, tilesize=512)
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(found.scores[inner], (1 / (1 + np.exp(-odds)))[inner], atol=1e-4)
    assert found.statistics["sigmoid"]
    plain = chances(stain, tilesize=512, activation="off")
    np.testing.assert_allclose(plain.scores[inner], np.clip(odds, 0, 1)[inner], atol=1e-4)


@pytest.mark.parametrize("more", [{"tilesize": 64}, {"tilesize": 100}, {"name": "fixed"}])
def test_tiles_leave_no_trace(stain, more):
    whole, cut = chances(stain, tilesize=512).scores, chances(stain, **more).scores
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(cut[inner], whole[inner], atol=1e-5)


def test_nuclei_are_cut_and_separated_without_asking_again(stain):
    found = chances(stain)
    few, many = (apply(found, params(threshold=value)) for value in (0.9, 0.5))
    assert few.labels.max() > 20 and (few.labels > 0).sum() < (many.labels > 0).sum()
    assert apply(found, params(min_distance=20)).labels.max() < apply(found, params(min_distance=3)).labels.max()
    sizes = np.bincount(few.labels.ravel())[1:]
    for label in (1, int(few.labels.max())):
        np.testing.assert_allclose(few.probability[label], few.scores[few.labels == label].mean(), rtol=1e-5)
    assert sizes.min() > 0 and len(few.probability) == few.labels.max() + 1
    assert apply(found, params(threshold=0.99)).labels.dtype == np.int32


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scaling_is_undone(stain, scale):
    found = chances(stain, scale=scale).scores
    assert found.shape == stain.shape
    assert np.corrcoef(found.ravel(), chances(stain).scores.ravel())[0, 1] > 0.9


def test_a_stain_smaller_than_the_tile_is_enough():
    found = ENGINES["onnx"].predict(
        np.arange(15, dtype=np.uint8).reshape(3, 5), params("fixed"), open_model(params("fixed"))
    )
    assert found.labels.shape == (3, 5)


@pytest.mark.parametrize("normalizer", ["percentile", "off"])
def test_brightness_can_be_scaled_otherwise(stain, normalizer):
    assert chances(stain / np.float32(255), normalizer=normalizer).scores.std() > 0.01


def test_what_is_no_such_network_is_one_sentence(stain):
    with pytest.raises(InputError, match=r"takes \[\[1, 3, .*one image of one channel"):
        chances(stain, name="colour")
    with pytest.raises(InputError, match="other cannot be read as an ONNX network"):
        fit(stain, OnnxParams(model="other"), Model("other", "onnx", content=b"nothing"))


def test_a_cancel_passes(stain):
    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        fit(stain, params(), open_model(params()), stop)


SIDES = [(10, 64, 8), (64, 64, 8), (65, 64, 8), (1000, 64, 31), (500, 128, 0)]


@pytest.mark.parametrize(("side", "size", "context"), SIDES)
def test_tiles_of_one_size_cover_a_side_once(side, size, context):
    spans = _spans(0, side, size, context)
    used = np.concatenate([np.arange(first, last) for _, first, last in spans])
    np.testing.assert_array_equal(used, np.arange(side))
    for start, first, last in spans:
        assert start >= 0 and start % (size - 2 * context) == 0
        assert first == 0 or first - start >= context
        assert last == side or start + size - last >= context


@pytest.mark.parametrize(("side", "size", "context"), SIDES)
def test_a_window_takes_the_tiles_of_the_whole(side, size, context):
    tile_of = {x: start for start, first, last in _spans(0, side, size, context) for x in range(first, last)}
    reach = size - context
    for begin in range(0, side, 37):
        for end in {min(begin + 3 * size, side), side}:
            for start, first, last in _spans(begin, end, size, context):
                for x in range(first, last):
                    sure = (begin == 0 or x - begin > reach) and (end == side or end - x > reach)
                    assert not sure or tile_of[x] == start


@pytest.mark.parametrize("normalizer", ["standard", "percentile", "off"])
def test_a_window_with_the_numbers_of_the_whole_is_part_of_it(stain, normalizer):
    asked = params(tilesize=64, normalizer=normalizer, equalize=2.0)
    model = open_model(asked)
    whole = fit(stain, asked, model)
    levels = equalize(stain, 2.0)
    black, gain = brightness(levels, asked)
    contrast = find_contrast(stain, 2.0).to_json()
    frozen = {"black": black, "gain": gain, "sigmoid": whole.statistics["sigmoid"], "contrast": contrast}
    rim = reach(asked, model)
    part = fit(np.ascontiguousarray(stain[90:290, 70:]), asked, model, frozen=frozen, at=(90, 70)).scores
    np.testing.assert_array_equal(part[rim:-rim, rim:], whole.scores[90 + rim : 290 - rim, 70 + rim :])
    assert leaves(levels, asked, model, (black, gain)) == whole.statistics["sigmoid"]


def test_brightness_of_a_histogram_is_that_of_the_pixels(stain):
    for normalizer in ("standard", "percentile", "off"):
        asked = params(normalizer=normalizer)
        found = brightness(stain, asked)
        np.testing.assert_allclose(found, brightness(stain.astype(np.float32), asked), rtol=1e-6)
