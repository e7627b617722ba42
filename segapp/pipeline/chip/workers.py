"""Where tiles run: threads of this process, processes of a Dask cluster on this machine, or a cluster elsewhere."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, Protocol

from segapp.core.types import Unavailable

Task = Callable[..., Any]

RETRIES = 5
"""How often a tile is tried again elsewhere when its worker dies."""


class Workers(Protocol):
    """Runs one function over many tiles."""

    n: int

    def map(self, task: Task, items: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield results as they come; leaving the loop drops what has not begun."""

    def close(self) -> None:
        """Free what is held."""


class Threads:
    """Threads of this process: nothing is copied, and compiled code lets go of the interpreter.

    Parameters
    ----------
    n : int or None
        Threads; by default one for each processor that this process may use.
    """

    def __init__(self, n: int | None = None) -> None:
        self.n = n or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))

    def map(self, task: Task, items: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield results as they come; few tiles wait at a time, so that memory follows the threads."""
        waiting = iter(items)
        with ThreadPoolExecutor(self.n) as pool:
            running = {pool.submit(task, *item) for item in _some(waiting, self.n)}
            try:
                while running:
                    done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in done:
                        result = future.result()
                        running |= {pool.submit(task, *item) for item in _some(waiting, 1)}
                        yield result
                    if not done:
                        yield None  # lets the caller cancel meanwhile
            finally:
                for future in running:
                    future.cancel()

    def close(self) -> None:
        """Nothing is held."""


class Cluster:
    """Workers of Dask: processes of this machine, or a scheduler that runs already.

    Parameters
    ----------
    n : int
        Processes of one thread each, where no `address` is given.
    address : str, optional
        Of a scheduler, such as ``tcp://host:8786``; its workers need segapp and the same folders.
    """

    def __init__(self, n: int, address: str | None = None) -> None:
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise Unavailable(
                "several worker processes need Dask: pip install 'segapp[chip]', or leave --workers and --scheduler out"
            ) from None
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._cluster = None
        if address is None:
            self._cluster = LocalCluster(
                n_workers=n, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
            )
        try:
            self.client = Client(address or self._cluster, timeout=10)
        except OSError as error:
            raise Unavailable(f"no Dask scheduler answers at {address} ({error}); start one, or leave it out") from None
        self.n = max(len(self.client.scheduler_info()["workers"]), 1)

    def map(self, task: Task, items: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield results as they come; a tile whose worker died is run by another."""
        from distributed import as_completed

        waiting = iter(items)
        first = [self._submit(task, item) for item in _some(waiting, 2 * self.n)]
        if not first:
            return
        running = as_completed(first)
        try:
            for future in running:
                result = future.result()
                future.release()
                for item in _some(waiting, 1):
                    running.add(self._submit(task, item))
                yield result
        finally:
            for future in list(running.futures):
                future.cancel()

    def close(self) -> None:
        """Stop the workers that were started here."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.client.close()
            if self._cluster is not None:
                self._cluster.close()

    def _submit(self, task: Task, item: tuple[Any, ...]) -> Any:
        return self.client.submit(task, *item, pure=False, retries=RETRIES)


def _some(items: Iterator[tuple[Any, ...]], n: int) -> list[tuple[Any, ...]]:
    found = []
    for _ in range(n):
        item = next(items, None)
        if item is None:
            break
        found.append(item)
    return found


def open_workers(workers: int | None, scheduler: str | None) -> Workers:
    """Return threads by default, processes where their number is given, or the workers of a scheduler."""
    if scheduler is not None or workers is not None:
        return Cluster(workers or 1, scheduler)
    return Threads()
