"""Join two labelings of the same nuclei: what one misses, the other adds."""

from __future__ import annotations

import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core.checks import check_labels, check_same_shape, check_table_of_ids
from segapp.core.label._meeting import meet
from segapp.core.label.overlap import label_ids

SOURCES = ("", "watershed", "network", "rna", "drawn", "components")
"""Where a label came from, by provenance code; code 0 is the background."""


def augment(watershed: np.ndarray, network: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the network's labels that the watershed confirms, and add the watershed's that the network missed.

    Parameters
    ----------
    watershed : (H, W) integer array
        Labels of the watershed, 0 is background; any integer dtype.
    network : (H, W) integer array
        Labels of a deep network, likewise; the dtypes need not agree.

    Returns
    -------
    labels : (H, W) int32
        Network labels that share a pixel with some watershed label, numbered first in the order of their ids; then
        watershed labels that share no pixel with any network label.
    provenance : (number of labels + 1,) uint8
        Index into `SOURCES` for every id.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    References
    ----------
    Spateo, documentation of its cell segmentation: "augment labels".

    Examples
    --------
    >>> watershed = np.array([[5, 5, 0, 0, 0, 0, 8, 8]])
    >>> network = np.array([[0, 2, 2, 0, 3, 0, 0, 0]])
    >>> labels, provenance = augment(watershed, network)
    >>> labels.tolist(), [SOURCES[code] for code in provenance]
    ([[0, 1, 1, 0, 0, 0, 2, 2]], ['', 'network', 'watershed'])
    """
    return _join(watershed, network, confirmed=True)


def union(watershed: np.ndarray, network: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep all labels of the network, and add the watershed's that it missed.

    Parameters
    ----------
    watershed, network : (H, W) integer arrays
        As in `augment`.

    Returns
    -------
    labels : (H, W) int32
        All network labels, then the watershed labels that share no pixel with them.
    provenance : (number of labels + 1,) uint8
        Index into `SOURCES` for every id.

    Raises
    ------
    InputError
        When an array is not a label image or the shapes differ.

    Examples
    --------
    >>> union(np.array([[5, 5, 0, 0, 0, 0, 8, 8]]), np.array([[0, 2, 2, 0, 3, 0, 0, 0]]))[0].tolist()
    [[0, 1, 1, 0, 2, 0, 3, 3]]
    """
    return _join(watershed, network, confirmed=False)


def provenance_of(labels: np.ndarray, source: str) -> np.ndarray:
    """Return the provenance of labels that all came from one source.

    Parameters
    ----------
    labels : (H, W) integer array
        Labels, 0 is background.
    source : str
        One of `SOURCES`.

    Returns
    -------
    (largest id + 1,) uint8
        Index into `SOURCES` for every id; 0 for ids that do not occur.

    Raises
    ------
    InputError
        When `labels` is not a label image, or its ids are too high for a table.

    Examples
    --------
    >>> provenance_of(np.array([[0, 1, 3]]), "rna").tolist()
    [0, 3, 0, 3]
    """
    labels = check_labels(labels, "labels")
    codes = np.zeros(check_table_of_ids(labels, "labels"), np.uint8)
    codes[label_ids(labels)] = SOURCES.index(source)
    return codes


def _join(watershed: np.ndarray, network: np.ndarray, *, confirmed: bool) -> tuple[np.ndarray, np.ndarray]:
    watershed, network = check_labels(watershed, "watershed"), check_labels(network, "network")
    check_same_shape({"watershed": watershed, "network": network})
    met = meet(watershed, network)
    alone, confirms = np.ones(len(met.ids_a), bool), np.full(len(met.ids_b), not confirmed)
    alone[met.at_a], confirms[met.at_b] = False, True
    kept, added = met.ids_b[confirms], met.ids_a[alone]
    if max(watershed.max(), network.max()) > 4 * watershed.size + 1024:
        labels = _renumber(network, kept, 1) + _renumber(watershed, added, len(kept) + 1)
    else:
        labels = np.empty(network.shape, np.int32)
        tables = _table(met.ids_a, added, len(kept) + 1), _table(met.ids_b, kept, 1)
        by_bands(
            lambda first, last: _take_both(watershed[first:last], network[first:last], *tables, labels[first:last]),
            labels.shape,
        )
    codes = [0, *[SOURCES.index("network")] * len(kept), *[SOURCES.index("watershed")] * len(added)]
    return labels, np.array(codes, np.uint8)


def _renumber(labels: np.ndarray, ids: np.ndarray, first: int) -> np.ndarray:
    """Number `ids` from `first` on; all other labels become background."""
    if not len(ids):
        return np.zeros(labels.shape, np.int32)
    place = np.searchsorted(ids, labels).clip(max=len(ids) - 1)
    return np.where(ids[place] == labels, place + first, 0).astype(np.int32)


def _table(all_ids: np.ndarray, ids: np.ndarray, first: int) -> np.ndarray:
    table = np.zeros(int(all_ids[-1]) + 1 if len(all_ids) else 1, np.int32)
    table[ids] = np.arange(first, first + len(ids), dtype=np.int32)
    return table


@njit(cache=True, nogil=True)
def _take_both(
    watershed: np.ndarray, network: np.ndarray, of_watershed: np.ndarray, of_network: np.ndarray, labels: np.ndarray
) -> None:
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            # no pixel has both: a watershed label is added where it meets none of the network
            labels[y, x] = of_watershed[watershed[y, x]] + of_network[network[y, x]]


def warm() -> None:
    """Compile the kernel, or load it from the cache."""
    tiny = np.ones((2, 2), np.int32)
    augment(tiny, tiny)
