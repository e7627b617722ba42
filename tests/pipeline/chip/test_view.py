"""What is looked at is what a run gives: pictures of the whole, and any window."""

import gc
import time
import warnings
import weakref

import pytest

from segapp.core.types import Cancelled, Unavailable
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.evaluate import evaluate
from segapp.pipeline.chip.kept import Kept
from segapp.pipeline.chip.numbers import read_statistics
from segapp.pipeline.chip.run import gather_statistics
from segapp.pipeline.chip.source import Source
from segapp.pipeline.chip.start import session_of
from segapp.pipeline.chip.view import overview
from tests.pipeline.chip.conftest import labels_of, same_partition

CHANGES = ["nuclei.source=watershed", "align.mode=off"]
BOXES = [(100, 120, 300, 330), (0, 0, 90, 512), (200, 250, 512, 512)]


@pytest.fixture(scope="module", params=["stain+rna", "stain", "rna-total"])
def seen(request, small, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    changes = CHANGES if request.param != "rna-total" else []
    run_chip(small.chip, out, preset=request.param, set=changes, tile=256)
    params = session_of(small.chip, request.param, None, changes).params
    return labels_of(out), Source(small.chip, params, read_statistics(out / "statistics.json"))


@pytest.mark.parametrize("box", BOXES)
def test_any_window_is_the_crop_of_a_run(seen, box):
    labels, source = seen
    top, left, bottom, right = box
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = evaluate(source, box, source.statistics, ("cells",))
    assert same_partition(found.core("cells"), labels[top:bottom, left:right])


def test_the_pixels_of_a_window_go_with_it(seen):
    _, source = seen
    gc.disable()  # a circle of references would wait for it, and a chip is hundreds of windows
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = evaluate(source, BOXES[0], source.statistics, ("cells",))
        pixels = weakref.ref(found.get("cells"))
        del found
        assert pixels() is None
    finally:
        gc.enable()


def test_an_overview_is_a_smaller_picture_of_all(small):
    began = time.process_time()
    source = Source(small.chip, session_of(small.chip, None, None, ()).params)
    stain, counts = overview(source, "stain", 128), overview(source, "total", 128)
    assert time.process_time() - began < 2
    assert stain.shape == (512, 512) or max(stain.shape) <= 512
    assert counts.sum() == pytest.approx(small.records.n_umis, rel=0.02)


def test_numbers_are_needed_and_can_be_estimated(small, tmp_path):
    params = session_of(small.chip, "stain+rna", None, CHANGES).params
    with pytest.raises(Unavailable, match="not known yet"):
        evaluate(Source(small.chip, params), BOXES[0], {}, ("cells",))
    whole = gather_statistics(small.chip, tmp_path / "work", preset="stain+rna", set=CHANGES, tile=256)
    assert not (tmp_path / "work").exists()
    estimated = Kept(small.chip).numbers(params, "nuclei_mask", lambda done, total: None)
    assert abs(whole["nuclei_mask"].statistics["cut"] - estimated.statistics["cut"]) < 10


def test_gathering_that_was_stopped_goes_on(small, tmp_path):
    told = []

    def stop(phase, done, total):
        if done == 3:
            raise Cancelled

    options = {"preset": "stain+rna", "set": CHANGES, "tile": 256}
    with pytest.raises(Cancelled):
        gather_statistics(small.chip, tmp_path / "work", tell=stop, **options)
    gather_statistics(small.chip, tmp_path / "work", tell=lambda *values: told.append(values), **options)
    assert told[0][1] >= 3 and not (tmp_path / "work").exists()
    again = []
    with pytest.raises(Cancelled):
        gather_statistics(small.chip, tmp_path / "work", tell=stop, **options)
    other = {**options, "set": [*CHANGES, "nuclei_mask.otsu_classes=4"]}
    gather_statistics(small.chip, tmp_path / "work", tell=lambda *values: again.append(values), **other)
    assert again[0][1] == 0
