"""The stain: what a microscope sees of the nuclei on a chip."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from segapp.core.synthetic.anatomy import Anatomy
from segapp.core.synthetic.fields import quantise, smooth_field
from segapp.core.synthetic.settings import Settings


def draw_stain(rng: np.random.Generator, anatomy: Anatomy, settings: Settings) -> np.ndarray:
    """Draw the ssDNA image of a tissue, in the tissue's own frame.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws.
    anatomy : Anatomy
        Nuclei, cells and regions.
    settings : Settings
        Brightness, blur, background and noise.

    Returns
    -------
    stain : (H, W) uint8
        Nuclei with chromatin, blurred by the optics, over haze, glow of the cytoplasm, uneven background, debris and
        noise.
    """
    nuclei = anatomy.nuclei
    shape = nuclei.shape
    n = len(anatomy.types)
    areas = np.bincount(nuclei.ravel(), minlength=n + 1).clip(1)
    # all cells have the same DNA, so a small nucleus is brighter
    bright = settings.brightness * (200.0 / areas.clip(60, 400)) ** 0.5
    bright = bright * np.exp(settings.brightness_spread * rng.standard_normal(n + 1))
    bright[0] = 0.0
    chromatin = 1 + settings.chromatin * smooth_field(rng, shape, 3.0)
    # light comes from the whole height of a nucleus: it fades towards the rim
    height = settings.flatness + (1 - settings.flatness) * anatomy.thickness
    signal = quantise(bright, 64)[nuclei] * height * chromatin.clip(0.3, 2.0)
    signal += _debris(rng, anatomy.regions, settings)
    haze = ndimage.gaussian_filter(signal, 11.0, mode="reflect", truncate=3.0)
    optics = ndimage.gaussian_filter(signal, settings.blur, mode="reflect", truncate=4.0)
    uneven = np.exp(settings.background_spread * smooth_field(rng, shape, 220.0))
    glow = settings.cytoplasm_glow * ndimage.gaussian_filter((anatomy.cells > 0).astype(float), 2.5, mode="reflect")
    tissue = np.where(anatomy.regions > 0, 1.0, 0.6)
    tissue = ndimage.gaussian_filter(tissue, 6.0, mode="reflect")
    image = optics + settings.haze * haze + glow + settings.background * uneven * tissue
    noise = quantise(rng.standard_normal(shape), 256)
    image = image + np.sqrt(settings.shot_noise * image + settings.read_noise**2) * noise
    return np.rint(quantise(image, 64)).clip(0, 255).astype(np.uint8)


def _debris(rng: np.random.Generator, regions: np.ndarray, settings: Settings) -> np.ndarray:
    height, width = regions.shape
    n = round(settings.debris * height * width / 1e6)
    place = rng.uniform(0, 1, (n, 2)) * (height, width)
    size = rng.uniform(0.8, 2.4, n)
    light = settings.brightness * rng.uniform(0.15, 0.6, n)
    out = np.zeros(regions.shape)
    for (cy, cx), radius, value in zip(place, size, light, strict=True):
        rows = slice(max(int(cy) - 3, 0), int(cy) + 4)
        cols = slice(max(int(cx) - 3, 0), int(cx) + 4)
        y, x = np.ogrid[rows.start : min(rows.stop, height), cols.start : min(cols.stop, width)]
        out[rows, cols][quantise(np.hypot(y - cy, x - cx)) <= radius] += quantise(value, 64)
    return out
