"""Rows of an image on several threads: the same bits as on one, wherever it runs."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from segapp.core import _bands, score
from segapp.core._bands import bands, by_bands, threads
from segapp.core.convolve import circle_sum, circle_sum_by_bin, gauss_blur_by_bin
from segapp.core.label import _tree
from segapp.core.label._meeting import meet
from segapp.core.label.augment import augment, union
from segapp.core.label.components import SplitParams, label_components
from segapp.core.quality import compare_labels
from segapp.core.score import lookup
from segapp.core.score.propagation import propagate
from segapp.core.tiling import one_thread

SHAPE = 350, 221
"""Several bands, the last of them lower than the others."""


@pytest.fixture
def use(monkeypatch):
    """Return a function that allows a number of threads."""
    monkeypatch.setattr(_bands, "_processors", lambda: 4)
    monkeypatch.setattr(_bands, "_here", threading.local())
    monkeypatch.setattr(_bands, "_ONE_BAND", 2**14)
    monkeypatch.setattr(_bands, "_BAND", 2**13)
    monkeypatch.setattr(_tree, "_TURN", 2**10)
    _bands._pool.cache_clear()

    def allow(n):
        monkeypatch.setenv("NUMBA_NUM_THREADS", str(n))
        monkeypatch.setenv("OMP_NUM_THREADS", str(n))

    yield allow
    _bands._pool.cache_clear()


def _counts():
    rng = np.random.default_rng(5)
    density = np.repeat(np.repeat(rng.gamma(0.3, 2, (SHAPE[0] // 10, SHAPE[1] // 13)), 10, 0), 13, 1)
    return rng.poisson(density).astype(np.uint32)


def _bins():
    y, x = np.indices(SHAPE)
    return ((y // 90 + x // 150) % 4 * 3).astype(np.int32)


def _labels(step, size):
    y, x = np.indices(SHAPE)
    inside = (y % step < size) & (x % step < size)
    return np.where(inside, y // step * 1000 + x // step + 1, 0).astype(np.int32)


def _scored(method, with_bins, **changes):
    counts, bins = _counts(), _bins() if with_bins else None
    params = score.METHODS.option(method)().with_(**changes)
    info = score.fit_score(counts, bins, params)
    return [score.apply_score(counts, bins, None, params, info), repr(info.statistics)]


def _beliefs(k, square):
    odds = np.random.default_rng(2).normal(0, 3, SHAPE).astype(np.float32)
    beliefs = propagate(odds, k=k, square=square, p=0.6, q=0.4, precision=1e-6, max_iter=9)
    return [beliefs]


def _components(seeded):
    seeds = _labels(60, 5) if seeded else None
    found = label_components(circle_sum(_counts(), 9) > 12, **SplitParams(area_threshold=200).options(), seeds=seeds)
    assert (found.labels > 0).any()
    return [found.labels, repr((found.unassigned_distance, found.unassigned_area))]


def _looked_up():
    counts, (ids, ranks) = _counts(), lookup.bin_ranks(_bins())
    table = np.linspace(0, 1, 9, dtype=np.float32)
    return [
        lookup.histogram(counts),
        lookup.histogram_by_bin(counts, ranks, len(ids)),
        lookup.look_up(table, counts),
        lookup.look_up_by_bin(np.stack([table] * len(ids)), counts, ranks, -1.0),
    ]


KERNELS = {
    "circle": lambda: [circle_sum(_counts(), k) for k in (3, 5, 31)],
    "circle in 64 bits": lambda: [circle_sum(np.where(_labels(40, 1) > 0, np.uint32(2**29), np.uint32(0)), 31)],
    "circle by bin": lambda: [circle_sum_by_bin(_counts(), _bins(), k) for k in (5, 11)],
    "blur by bin": lambda: [gauss_blur_by_bin(_counts(), _bins(), 7)],
    "look-up": _looked_up,
    "moran": lambda: [*_scored("moran", False, k=5), *_scored("moran", False, k=1, moran_statistic="I")],
    "moran by bin": lambda: _scored("moran", True),
    "beliefs": lambda: _beliefs(3, False),
    "beliefs of 24 neighbours": lambda: _beliefs(5, True),
    "EM+BP": lambda: _scored("EM+BP", True),
    "augment": lambda: [*augment(_labels(20, 11), _labels(33, 20)), *union(_labels(20, 11), _labels(33, 20))],
    "components": lambda: _components(False),
    "components with seeds": lambda: _components(True),
    "overlaps": lambda: list(vars(meet(_labels(20, 11), _labels(33, 20))).values()),
    "comparison": lambda: [repr(compare_labels(_labels(20, 11), _labels(22, 14)))],
}


def _same(a, b):
    return all(
        x == y if isinstance(x, str) else x.dtype == y.dtype and x.tobytes() == y.tobytes()
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("name", KERNELS)
def test_the_result_is_the_same_to_the_bit_on_any_number_of_threads(use, name):
    used = []
    for n in (1, 2, 3):
        use(n)
        assert threads() == n
        used.append(KERNELS[name]())
    assert _same(used[0], used[1])
    assert _same(used[0], used[2])


@pytest.mark.parametrize("name", KERNELS)
def test_bands_join_as_if_the_image_were_one(use, monkeypatch, name):
    use(2)
    in_bands = KERNELS[name]()
    monkeypatch.setattr(_bands, "_ONE_BAND", SHAPE[0] * SHAPE[1])
    whole = KERNELS[name]()
    for a, b in zip(in_bands, whole, strict=True):
        if not isinstance(a, str):  # sums of moments differ by the order of their terms, and nothing else
            assert a.tobytes() == b.tobytes() or np.abs(a.astype(float) - b.astype(float)).max() < 1e-7


def test_messages_pass_through_bands_of_a_single_row(use, monkeypatch):
    use(3)
    whole = _beliefs(7, True)
    monkeypatch.setattr(_bands, "_BAND", 1)
    assert len(bands(SHAPE)) == SHAPE[0]
    assert _same(_beliefs(7, True), whole)


def test_several_threads_do_take_part(use):
    use(3)
    met = threading.Barrier(3)
    seen = by_bands(lambda first, last: (met.wait(30), threading.get_ident())[1], (3 * 64, 128))
    assert len(set(seen)) == len(seen) == 3


def test_limits_of_the_environment_are_kept(use, monkeypatch):
    use(3)
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    assert threads() == 4


def test_a_small_image_is_one_band():
    assert bands((512, 512)) == [(0, 512)]
    assert bands((0, 512)) == []
    assert by_bands(lambda first, last: last, (0, 9)) == []


def test_an_error_in_a_band_reaches_the_caller(use):
    use(3)

    def work(first, last):
        if first > 0:
            raise IndexError(f"row {first}")
        return first

    with pytest.raises(IndexError, match="row"):
        by_bands(work, SHAPE)
    assert len(by_bands(lambda first, last: first, SHAPE)) == len(bands(SHAPE))


def test_callers_side_by_side_get_their_own_results(use):
    use(2)
    counts = [_counts() + np.uint32(i) for i in range(6)]
    alone = [circle_sum(image, 5) for image in counts]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(circle_sum, counts, [5] * 6))
    assert _same(alone, together)


def test_a_tile_works_alone(use):
    use(3)
    whole = KERNELS["circle"]()

    def tile():
        one_thread()
        seen = by_bands(lambda first, last: threading.get_ident(), SHAPE)
        return threads(), set(seen) == {threading.get_ident()}, KERNELS["circle"]()

    with ThreadPoolExecutor(1) as pool:
        n, alone, sums = pool.submit(tile).result()
    assert (n, alone) == (1, True)
    assert _same(sums, whole)
    assert threads() == 3  # what one tile was told counts for its thread


def _in_child(queue):
    queue.put([threads(), circle_sum(_counts(), 5)])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(use):
    use(2)
    here = circle_sum(_counts(), 5)  # the pool is at work before the fork
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    n, there = queue.get()
    child.join(60)
    assert child.exitcode == 0
    assert n == 2
    assert _same([here], [there])
