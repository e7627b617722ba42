"""Choose where nuclei come from: the stain, a network, both, the RNA, or nowhere."""

from __future__ import annotations

from typing import Literal

import numpy as np

from segapp.core.checks import check_labels
from segapp.core.label.augment import SOURCES, augment, provenance_of, union
from segapp.core.params import Params, knob
from segapp.core.types import Unavailable


class NucleiParams(Params):
    """Choose the nuclei that cells are built on."""

    source: Literal["watershed", "network", "augment", "union", "rna", "off"] = knob(
        "watershed",
        doc="watershed and network: from the stain. augment: the network's where the watershed confirms them, and what "
        "it missed. union: the network's, and what it missed. rna: from nuclear RNA. off: no nuclei.",
    )


def select_nuclei(
    watershed: np.ndarray | None,
    network: np.ndarray | None,
    rna: np.ndarray | None,
    params: NucleiParams,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chosen nuclei and where each came from.

    Parameters
    ----------
    watershed, network, rna : (H, W) integer arrays or None
        Labels of each source; only those that the choice needs have to be there.
    params : NucleiParams
        The choice.

    Returns
    -------
    labels : (H, W) int32
        Nuclei, 0 is background. One source alone keeps its ids.
    provenance : (largest id + 1,) uint8
        Index into `segapp.core.label.augment.SOURCES` for every id.

    Raises
    ------
    Unavailable
        When a source that the choice needs is not there, or nuclei are off.
    InputError
        When a source is not a label image, or shapes differ.

    Examples
    --------
    >>> labels, provenance = select_nuclei(None, None, np.array([[0, 2]]), NucleiParams(source="rna"))
    >>> labels.tolist(), provenance.tolist()
    ([[0, 2]], [0, 0, 3])
    """
    given = {"watershed": watershed, "network": network, "rna": rna}
    if params.source == "off":
        raise Unavailable(
            "nuclei are off; set nuclei.source to watershed, network, augment, union or rna to have some."
        )
    needed = ("watershed", "network") if params.source in ("augment", "union") else (params.source,)
    missing = [name for name in needed if given[name] is None]
    if missing:
        raise Unavailable(
            f"nuclei.source={params.source} needs the labels of {' and '.join(missing)}, which are not there; "
            "run that stage first or choose another source."
        )
    found = [check_labels(given[name], name) for name in needed]
    if params.source == "augment":
        return augment(found[0], found[1])
    if params.source == "union":
        return union(found[0], found[1])
    return found[0], provenance_of(found[0], params.source)


def nucleus_probability(
    labels: np.ndarray, provenance: np.ndarray, network: np.ndarray, scores: np.ndarray, probability: np.ndarray
) -> np.ndarray:
    """Return how probable a network finds each of the chosen nuclei.

    Parameters
    ----------
    labels : (H, W) int32
        Chosen nuclei.
    provenance : (largest id + 1,) uint8
        Where each came from, as `select_nuclei` gives it.
    network : (H, W) int32
        Labels of the network.
    scores : (H, W) float32
        Probability of an object at each pixel.
    probability : (largest network id + 1,) float32
        Probability of each label of the network.

    Returns
    -------
    (largest id + 1,) float32
        A nucleus of the network has the probability that the network gave it; another one the mean over its pixels.

    Examples
    --------
    >>> watershed, network = np.array([[5, 5, 0, 0, 8]]), np.array([[0, 2, 2, 0, 0]])
    >>> labels, provenance = augment(watershed, network)
    >>> scores = np.array([[0.5, 0.9, 0.9, 0.1, 0.25]], np.float32)
    >>> nucleus_probability(labels, provenance, network, scores, np.array([0, 0, 0.75], np.float32)).tolist()
    [0.0, 0.75, 0.25]
    """
    n = len(provenance)
    flat = labels.ravel()
    counts = np.bincount(flat, minlength=n)
    sums = np.bincount(flat, weights=scores.ravel(), minlength=n)
    found = np.divide(sums, counts, out=np.zeros(n), where=counts > 0)
    # every pixel of such a nucleus has the same label of the network: any of them tells it
    theirs = np.zeros(n, np.int64)
    theirs[flat] = network.ravel()
    own = provenance == SOURCES.index("network")
    found[own] = probability[theirs[own]]
    found[0] = 0
    return found.astype(np.float32)
