"""Results under keys made of their content's origin: what has been computed once is never computed again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DEFAULT_BYTES = 2 << 30


@dataclass(frozen=True)
class Entry:
    """What one stage made: its artefacts by name, the seconds it took, the bytes it holds, what it had to say."""

    values: Mapping[str, Any]
    seconds: float
    nbytes: int
    notes: tuple[str, ...] = ()


class Store:
    """A byte-bounded cache of results, least recently used out first; safe to use from several threads.

    Parameters
    ----------
    max_bytes : int
        Bytes that all results together may hold. The newest result is always kept, however large.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = 0

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: str) -> Entry | None:
        """Return the result under `key` and mark it as used, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: str, values: Mapping[str, Any], seconds: float, notes: tuple[str, ...] = ()) -> Entry:
        """Keep a result; its arrays become read-only, since everyone who asks gets the same ones."""
        for value in values.values():
            _freeze(value)
        entry = Entry(dict(values), seconds, sum(_nbytes(value) for value in values.values()), notes)
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes += entry.nbytes - (old.nbytes if old is not None else 0)
            self._entries[key] = entry
            while self._bytes > self.max_bytes and len(self._entries) > 1:
                _, gone = self._entries.popitem(last=False)
                self._bytes -= gone.nbytes
        return entry

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0


def key_of(stage: str, part: str, version: int, params: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return the key of a result: a hash of the stage, its version, its parameters and the keys of its inputs.

    Examples
    --------
    >>> first = key_of("nuclei_mask", "run", 1, {"mk": 5}, {"stain": "ab"})
    >>> first == key_of("nuclei_mask", "run", 1, {"mk": 5}, {"stain": "ab"})
    True
    >>> first == key_of("nuclei_mask", "run", 1, {"mk": 7}, {"stain": "ab"})
    False
    """
    text = json.dumps([stage, part, version, params, inputs], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _freeze(value: Any) -> None:
    for array in _arrays(value):
        array.flags.writeable = False


def _nbytes(value: Any) -> int:
    return sum(array.nbytes for array in _arrays(value)) + 256


def _arrays(value: Any) -> list[np.ndarray]:
    """Return the arrays inside a value: an array, a container or a dataclass of them, a table of cells."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, Mapping):
        return [array for item in value.values() for array in _arrays(item)]
    if isinstance(value, tuple | list):
        return [array for item in value for array in _arrays(item)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [array for item in dataclasses.fields(value) for array in _arrays(getattr(value, item.name))]
    if hasattr(value, "obsm"):
        return _arrays(value.X) + [array for layer in value.layers.values() for array in _arrays(layer)]
    if hasattr(value, "indptr") and hasattr(value, "data"):
        return [value.data, value.indices, value.indptr]
    return []
