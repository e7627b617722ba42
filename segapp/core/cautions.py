"""What the data say about a method before it disappoints: counts too dense to label, lines of the chip across cells."""

from __future__ import annotations

import numpy as np

from segapp.core.checks import check_counts, check_mask, check_same_shape

DENSE = 0.3
"""Share of the pixels of a mask that hold a UMI, above which counts are dense: unspliced RNA and nuclear genes leave
0.1 to 0.2, total RNA 0.4 and more, on simulated tissue and on a real section of Stereo-seq."""

BRIGHT = {
    "off": "The stain looks like bright-field, dark on a bright background, and nuclei are taken to be bright: set "
    "stain.invert=on.",
    "on": "Turned over, the stain looks dark on a bright background, and nuclei are taken to be bright: set "
    "stain.invert=off.",
}
"""What to say of a stain that looks like bright-field, by whether it was turned over."""

_SPAN, _DARK, _LEAST = 31, 0.55, 20.0


def counts_are_dense(counts: np.ndarray, mask: np.ndarray) -> bool:
    """Return whether counts are too dense for nuclei to stand apart in their mask.

    Parameters
    ----------
    counts : (H, W) counts
        UMIs a pixel, from which the mask was made.
    mask : (H, W) bool array
        Mask of nuclei.

    Returns
    -------
    bool
        Whether more than `DENSE` of the pixels of the mask hold a UMI; False for an empty mask.

    Raises
    ------
    InputError
        When an array cannot be used, or the shapes differ.

    Examples
    --------
    >>> counts = np.array([[0, 1, 0, 0], [3, 2, 1, 4]])
    >>> counts_are_dense(counts[:1], np.ones((1, 4), bool)), counts_are_dense(counts[1:], np.ones((1, 4), bool))
    (False, True)
    """
    counts, mask = check_counts(counts, "counts"), check_mask(mask, "mask")
    check_same_shape({"counts": counts, "mask": mask})
    inside = counts[mask]
    return bool(np.count_nonzero(inside) > DENSE * inside.size)


def track_lines(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the registration lines of a chip: rows and columns that catch far less RNA than those around them.

    Parameters
    ----------
    total : (H, W) counts
        UMIs a pixel.

    Returns
    -------
    rows, columns : (N,) and (M,) int64
        Rows and columns with less than 0.55 times the median of the 31 around them. Lines whose surroundings hold
        fewer than 20 UMIs are left out: there, chance makes lines. So is a line wider than 8 px, which is a gap in the
        tissue.

    Raises
    ------
    InputError
        When `total` are no counts.

    Examples
    --------
    >>> total = np.full((40, 50), 3)
    >>> total[:, 20:23] = 0
    >>> rows, columns = track_lines(total)
    >>> rows.tolist(), columns.tolist()
    ([], [20, 21, 22])
    """
    counts = check_counts(total, "total")
    return _dark_lines(counts.sum(axis=1, dtype=np.float64)), _dark_lines(counts.sum(axis=0, dtype=np.float64))


def _dark_lines(profile: np.ndarray) -> np.ndarray:
    from scipy.ndimage import median_filter  # late: the program starts sooner

    around = median_filter(profile, _SPAN, mode="nearest")
    dark = (profile < _DARK * around) & (around >= _LEAST)
    edges = np.flatnonzero(np.diff(dark, prepend=False, append=False))
    for begin, end in edges.reshape(-1, 2):
        if end - begin > 8:
            dark[begin:end] = False
    return np.flatnonzero(dark)
