"""An affine alignment found on a small picture, made exact by what a few places of the full picture say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from segapp.core.align.affine import align_affine
from segapp.core.align.ncc import ncc
from segapp.core.align.transform import Alignment, as_matrix
from segapp.core.convolve import gauss_blur
from segapp.core.types import no_tick

LEAST_UMIS = 2000
"""A place with fewer UMIs says nothing."""
FARTHEST = 12.0
"""A place that disagrees by more px than a small picture can be wrong by has matched something else."""


def refine(found: Alignment, places: Iterable[tuple[int, int, np.ndarray, np.ndarray]], k: int) -> Alignment:
    """Refine an affine alignment.

    Parameters
    ----------
    found : Alignment
        Affine, right within a few px.
    places : iterable of (top, left, counts, stain)
        Parts of the frame at full size: UMIs, and the stain moved by `found`.
    k : int
        Diameter of the blur of the counts.

    Returns
    -------
    Alignment
        The affine map through what the places say, a place counting as much as its stain and RNA agree; the one that
        was given where fewer than three say anything.
    """
    at, off, weight = [], [], []
    for top, left, counts, stain in places:
        if int(counts.sum(dtype=np.int64)) < LEAST_UMIS or stain.min() == stain.max():
            continue
        fixed, moving = gauss_blur(counts, k), stain.astype(np.float32)
        matrix, _, _ = align_affine(fixed, moving, n_epochs=0, orientations=("keep",), start=np.eye(2, 3), tick=no_tick)
        y, x = (counts.shape[0] - 1) / 2, (counts.shape[1] - 1) / 2
        shift = matrix @ np.array([x, y, 1.0]) - (x, y)
        agrees = ncc(fixed, moving)
        if np.abs(shift).max() <= FARTHEST and agrees > 0:
            at.append((left + x, top + y))
            off.append(shift)
            weight.append(agrees)
    if len(at) < 3:
        return found
    places_xy, shifts, weights = np.array(at), np.array(off), np.array(weight)
    centre = np.median(shifts, axis=0)
    near = np.abs(shifts - centre).max(axis=1) < FARTHEST / 2
    if near.sum() < 3:
        return found
    # frame -> frame as aligned so far -> stain
    ones = np.column_stack([places_xy[near], np.ones(int(near.sum()))])
    root = np.sqrt(weights[near])[:, None]
    spread = np.ptp(places_xy[near], axis=0).min()
    if near.sum() >= 6 and spread > 0:
        solved = np.linalg.lstsq(ones * root, shifts[near] * root, rcond=None)[0].T
    else:
        solved = np.column_stack([np.zeros((2, 2)), np.average(shifts[near], axis=0, weights=weights[near])])
    step = np.vstack([solved + np.eye(2, 3), [0, 0, 1]])
    whole = (np.vstack([np.array(found.matrix), [0, 0, 1]]) @ step)[:2]
    return replace(found, matrix=as_matrix(whole))
