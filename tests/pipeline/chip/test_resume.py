"""A run that is stopped goes on, and its result is the same; what cannot be is said in one sentence."""

import os
import random
import resource
import signal
import subprocess
import sys
import time

import anndata
import numpy as np
import pytest

from segapp.core.types import Cancelled, InputError, Unavailable
from segapp.pipeline.chip import run_chip
from segapp.pipeline.chip.plan import check_fits, plan_run
from tests.pipeline.chip.conftest import labels_of

CHANGES = ["nuclei.source=watershed", "align.mode=off"]


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    run_chip(small.chip, out, preset="stain+rna", set=CHANGES, tile=256)
    return out


def assert_same(out, whole):
    assert np.array_equal(labels_of(out), labels_of(whole))
    a, b = (anndata.read_h5ad(folder / "cells.h5ad") for folder in (out, whole))
    assert a.obs.equals(b.obs)
    assert (a.X != b.X).nnz == 0
    assert not (out / "work").exists()


def begin(small, out, *extra):
    command = [
        *(
            sys.executable,
            "-m",
            "segapp.cli",
            "run",
            "--chip",
            str(small.chip.path),
            "--out",
            str(out),
            "--tile",
            "256",
        ),
        *("--preset", "stain+rna", *(word for change in CHANGES for word in ("--set", change)), *extra),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_killed_at_random_moments_and_resumed(small, whole, tmp_path):
    out, rng = tmp_path / "out", random.Random(5)
    for attempt in range(5):
        running = begin(small, out, *(["--resume"] if attempt else []))
        # at work, not still importing
        while running.poll() is None and not (out / "work" / "run.json").exists():
            time.sleep(0.05)
        time.sleep(rng.uniform(0.1, 1.5))
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        if (out / "summary.json").exists():
            break
    if not (out / "summary.json").exists():
        run_chip(small.chip, out, preset="stain+rna", set=CHANGES, tile=256, resume=True)
    assert_same(out, whole)


def test_cancelled_and_resumed(small, whole, tmp_path):
    def tell(phase, done, total):
        if phase == "cells" and done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_chip(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, tile=256, tell=tell)
    with pytest.raises(InputError, match="--resume"):
        run_chip(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, tile=256)
    with pytest.raises(InputError, match="another chip, recipe or tile"):
        run_chip(small.chip, tmp_path / "out", preset="stain", set=["nuclei.source=watershed"], tile=256, resume=True)
    run_chip(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, tile=256, resume=True)
    assert_same(tmp_path / "out", whole)


def test_ctrl_c_says_how_to_go_on(small, whole, tmp_path):
    out = tmp_path / "out"
    running = begin(small, out)
    while running.poll() is None and not (out / "work" / "run.json").exists():
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    # Python ends by the signal itself where it struck in code made from text, such as a dataclass of a late import;
    # shells say 130 for either
    assert running.returncode in (128 + signal.SIGINT, -signal.SIGINT), said
    last = said.strip().splitlines()[-1]
    assert last == f"segapp: stopped; what was done is kept in {out}; the same command with --resume goes on"
    run_chip(small.chip, out, preset="stain+rna", set=CHANGES, tile=256, resume=True)
    assert_same(out, whole)


def test_a_full_disk_is_said_and_gone_on_from(small, whole, tmp_path):
    """Files larger than a limit stand for a disk without room."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limit[1]))
        with pytest.raises(InputError, match=r"is full.*--resume"):
            run_chip(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, tile=256)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    run_chip(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, tile=256, resume=True)
    assert_same(tmp_path / "out", whole)


def test_a_plan_names_the_flag_that_makes_it_fit(small, tmp_path):
    plan = plan_run(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES)
    check_fits(plan)
    assert plan.tile == 2048 and plan.disk < 1e8
    tight = plan_run(small.chip, tmp_path / "out", preset="stain+rna", set=CHANGES, memory=plan.memory // 2)
    with pytest.raises(InputError, match="--memory"):
        check_fits(tight)


def test_what_the_chip_lacks_is_said_before_anything_is_done(small, tmp_path):
    with pytest.raises(InputError, match="multiple of 1024"):
        run_chip(small.chip, tmp_path / "out", preset="stain", tile=1500)
    with pytest.raises((InputError, Unavailable)):
        run_chip(small.chip, tmp_path / "out", preset="nothing")
    assert not (tmp_path / "out").exists()
