"""Processes of a local Dask cluster: the same cells, also when one of them is killed."""

import os
import signal

import cv2
import numpy as np
import psutil
import pytest

from segapp.core.types import Unavailable
from segapp.pipeline.chip import run_chip
from tests.pipeline.chip.conftest import labels_of

pytest.importorskip("distributed")
CHANGES = ["nuclei.source=watershed", "align.mode=off"]


def workers():
    return [child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


def test_a_killed_worker_does_not_stop_the_run(small, tmp_path):
    run_chip(small.chip, tmp_path / "whole", preset="stain+rna", set=CHANGES, tile=256)
    killed = []

    def tell(phase, done, total):
        if phase == "cells" and done >= 1 and not killed:
            killed.append(workers()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    run_chip(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, tile=256, workers=2, tell=tell)
    assert killed and not psutil.pid_exists(killed[0])
    assert np.array_equal(labels_of(tmp_path / "out"), labels_of(tmp_path / "whole"))


def test_a_scheduler_that_is_not_there_is_said(small, tmp_path):
    with pytest.raises(Unavailable, match="no Dask scheduler answers"):
        run_chip(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, tile=256, scheduler="tcp://127.0.0.1:9")


def test_opencv_has_its_threads_again_after_a_run_by_threads(small, tmp_path):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        inside = []
        run_chip(
            small.chip,
            tmp_path / "out",
            preset="stain+rna",
            set=CHANGES,
            tile=256,
            tell=lambda *_: inside.append(cv2.getNumThreads()),
        )
        assert 1 in inside
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
