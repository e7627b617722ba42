"""What is looked at is what a run gives: pictures of the whole, and previews of windows."""

import time

import numpy as np
import pytest

from segapp.core.types import Unavailable
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.job import read_statistics
from segapp.pipeline.chip.run import gather_statistics, session_of
from segapp.pipeline.chip.view import ChipView
from tests.pipeline.chip.conftest import labels_of, same_partition

CHANGES = ["nuclei.source=watershed", "align.mode=off"]
BOXES = [(100, 120, 300, 330), (0, 0, 90, 512), (200, 250, 512, 512)]


@pytest.fixture(scope="module", params=["stain+rna", "stain", "rna-total"])
def seen(request, small, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    changes = CHANGES if request.param != "rna-total" else []
    run_chip(small.chip, out, preset=request.param, set=changes, tile=256)
    params = session_of(small.chip, request.param, None, changes).params
    return labels_of(out), ChipView(small.chip.path, params, read_statistics(out / "statistics.json"))


@pytest.mark.parametrize("box", BOXES)
def test_a_preview_is_the_crop_of_a_run(seen, box):
    labels, view = seen
    top, left, bottom, right = box
    assert same_partition(view.preview(box, ("cells",))["cells"], labels[top:bottom, left:right])


def test_an_overview_is_a_smaller_picture_of_all(small):
    began = time.process_time()
    view = ChipView(small.chip.path)
    stain, counts = view.overview("stain", 128), view.overview("total", 128)
    assert time.process_time() - began < 2
    assert stain.shape == (512, 512) or max(stain.shape) <= 512
    assert counts.sum() == pytest.approx(small.records.n_umis, rel=0.02)


def test_numbers_are_needed_and_can_be_estimated(small, tmp_path):
    params = session_of(small.chip, "stain+rna", None, CHANGES).params
    view = ChipView(small.chip.path, params)
    with pytest.raises(Unavailable, match="not known yet"):
        view.preview(BOXES[0])
    estimated = view.freeze(view.estimate())
    found = estimated.preview(BOXES[0], ("cells", "nuclei", "cell_scores"))
    assert found["cells"].max() > 20 and found["cell_scores"].dtype == np.float32
    whole = gather_statistics(small.chip, tmp_path / "work", preset="stain+rna", set=CHANGES, tile=256)
    assert not (tmp_path / "work").exists()
    cuts = [numbers["nuclei_mask"].statistics["cut"] for numbers in (whole, view.estimate())]
    assert abs(cuts[0] - cuts[1]) < 10
