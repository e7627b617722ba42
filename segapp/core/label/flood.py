"""Flood an image from markers, brightest pixels first."""

from __future__ import annotations

import numpy as np

from segapp.core.checks import check_image, check_labels, check_mask, check_same_shape
from segapp.core.convolve import gauss_blur
from segapp.core.label.markers import label_mask
from segapp.core.label.watershed import watershed
from segapp.core.types import Tick, no_tick


def flood_image(
    image: np.ndarray, markers: np.ndarray, mask: np.ndarray, *, k: int, tick: Tick = no_tick
) -> np.ndarray:
    """Label the basins of a blurred image: what each marker holds when the brightest pixels are flooded first.

    Parameters
    ----------
    image : (H, W) array of any integer or float dtype
        Brightness or counts.
    markers : (H, W) bool or integer array
        Where each basin starts; of a bool array each component (8 neighbours) is one marker.
    mask : (H, W) bool or integer array
        Where to flood. Markers are flooded too, wherever they are.
    k : int
        Odd diameter of the Gaussian blur in px; 1 for none.
    tick : Tick, optional
        Progress in px.

    Returns
    -------
    (H, W) int32 array
        The id of the marker of each pixel; 0 outside, and in components of the mask without a marker.

    Raises
    ------
    InputError
        When an argument is not what it should be or the shapes differ.

    Examples
    --------
    >>> image = np.array([[0, 5, 9, 4, 1, 6, 8, 0]])
    >>> flood_image(image, image > 7, image > 0, k=1)
    array([[0, 1, 1, 1, 2, 2, 2, 0]], dtype=int32)
    """
    image = check_image(image, "image")
    mask = check_mask(mask, "mask")
    is_mask = np.asarray(markers).dtype == np.bool_
    starts = label_mask(markers) if is_mask else check_labels(markers, "markers")
    check_same_shape({"image": image, "mask": mask, "markers": starts})
    return watershed(-gauss_blur(image, k), starts, mask | (starts > 0), tick)
