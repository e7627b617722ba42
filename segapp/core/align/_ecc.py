"""The ECC algorithm: Gauss-Newton steps to the nearest maximum of the correlation of a frame and a moved stain."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

from segapp.core._bands import by_bands
from segapp.core.align._sample import span

SMOOTH = (5, 5)
"""Both images are blurred by a Gaussian of this many px first: gradients of single pixels are noise."""
MOST_STEPS = 50
STILL = 0.01
"""A step that moves no corner of the frame by so many px is the last: the next would be a hundred times shorter."""
MODELS = {6: slice(0, 6), 2: slice(4, 6)}
"""Which of the six numbers of an affine map are free: all, or the shift alone."""


class Ecc:
    """A frame and a stain that are compared under many affine maps.

    Parameters
    ----------
    fixed : (H, W) float32
        Image in the frame.
    moving : (h, w) float32
        Image of the stain.

    References
    ----------
    Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization", IEEE
    Transactions on Pattern Analysis and Machine Intelligence 30:1858-1865, 2008.
    """

    def __init__(self, fixed: np.ndarray, moving: np.ndarray) -> None:
        self.fixed = cv2.GaussianBlur(fixed, SMOOTH, 0)
        smooth = cv2.GaussianBlur(moving, SMOOTH, 0)
        slope = np.array([[-0.5, 0.0, 0.5]], np.float32)
        along_x, along_y = (cv2.filter2D(smooth, cv2.CV_32F, kernel) for kernel in (slope, slope.T))
        # OpenCV moves an image of four channels in less time than one of three, and than each of three by itself
        self.planes = cv2.merge([smooth, along_x, along_y, np.zeros_like(smooth)])
        self.shape = (moving.shape[0], moving.shape[1])

    def climb(self, matrix: np.ndarray, free: int, gain: float) -> np.ndarray | None:
        """Move to the nearest maximum.

        Parameters
        ----------
        matrix : (2, 3) array
            Frame position to stain position in px; the start.
        free : int
            Numbers to change: 6, or 2 for the shift alone.
        gain : float
            Ends when a step adds less than this to the correlation.

        Returns
        -------
        (2, 3) float64 or None
            None where the images do not correlate or no longer overlap.
        """
        height, width = self.fixed.shape
        chosen = MODELS[free]
        # positions are counted from the middle of the frame, which keeps the system well conditioned
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        at = np.array(matrix, np.float64)
        before = -np.inf
        for _ in range(MOST_STEPS):
            how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            moved = cv2.warpAffine(self.planes, at, (width, height), flags=how)
            step, rho = _step(self._sums(moved, at), middle[1], chosen)
            if step is None or not abs(rho) <= 1.0 + 1e-6:
                return None
            if abs(rho - before) < gain:
                return at
            before = rho
            change = np.zeros(6)
            change[chosen] = step
            linear = change[:4].reshape(2, 2).T
            at = at + np.column_stack([linear, change[4:] - linear @ middle])
            if (np.abs(linear) @ middle + np.abs(change[4:])).max() < STILL:
                return at
        return at

    def _sums(self, moved: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(moved), N_SUMS))

        def add(first: int, last: int) -> None:
            _row_sums(self.fixed[first:last], moved[first:last], sums[first:last], first, matrix, self.shape)

        by_bands(add, (len(moved), 4 * moved.shape[1]))  # a pixel is more work than most loops make of it
        return sums


N_SUMS = 27
"""Sums over a row, x counted from its middle: n, f, m, ff, mm, fm; from `_PLAIN` on gx, gy, gx x, gy x; from `_WITH_F`
and `_WITH_M` on the same times f and times m; from `_GRAM` on gx gx, gx gy and gy gy, each plain, times x, times xx."""
_PLAIN, _WITH_F, _WITH_M, _GRAM = 6, 10, 14, 18


def _step(sums: np.ndarray, middle: float, chosen: slice) -> tuple[np.ndarray | None, float]:
    """Return the step of the free numbers, None where there is none, and the correlation before it."""
    y = np.arange(len(sums)) - middle
    plain, by_y, by_yy = sums.sum(0), y @ sums, (y * y) @ sums
    n, f, m, ff, mm, fm = plain[:6]
    if n < 16:
        return None, 0.0
    mean_f, mean_m = f / n, m / n
    var_f, var_m, cov = ff - f * mean_f, mm - m * mean_m, fm - f * mean_m
    if var_f <= 0 or var_m <= 0:
        return None, 0.0
    # the derivative of the moved stain by the six numbers is (gx x, gy x, gx y, gy y, gx, gy)
    total, with_f, with_m = (
        np.array([plain[i + 2], plain[i + 3], by_y[i], by_y[i + 1], plain[i], plain[i + 1]])
        for i in (_PLAIN, _WITH_F, _WITH_M)
    )
    gram = np.empty((6, 6))
    for i, j, at in ((0, 0, _GRAM), (0, 1, _GRAM + 3), (1, 0, _GRAM + 3), (1, 1, _GRAM + 6)):
        one, x, xx = plain[at : at + 3]
        gram[i::2, j::2] = [[xx, by_y[at + 1], x], [by_y[at + 1], by_yy[at], by_y[at]], [x, by_y[at], one]]
    stain, frame = ((part - mean * total)[chosen] for part, mean in ((with_m, mean_m), (with_f, mean_f)))
    try:
        towards_stain, towards_frame = np.linalg.solve(gram[chosen, chosen], np.column_stack([stain, frame])).T
    except np.linalg.LinAlgError:
        return None, 0.0
    up, down = var_m - stain @ towards_stain, cov - frame @ towards_stain
    if down <= 0:  # the correlation would fall: the images do not match
        return None, 0.0
    step: np.ndarray = up / down * towards_frame - towards_stain
    return (step if np.isfinite(step).all() else None), float(cov / np.sqrt(var_f * var_m))


@njit(cache=True, nogil=True)
def _row_sums(
    fixed: np.ndarray, moved: np.ndarray, sums: np.ndarray, top: int, matrix: np.ndarray, shape: tuple[int, int]
) -> None:
    """Write the sums of some rows of the frame, the first of them row `top`; `moved` is the stain and its slopes."""
    height, width = fixed.shape
    x = (np.arange(width) - (width - 1) / 2).astype(np.float32)
    planes = np.empty((3, width), np.float32)
    for row in range(height):
        first, last = span(matrix, top + row, width, shape, 0.0)
        if first >= last:
            continue
        n = last - first
        m, gx, gy = planes[0, :n], planes[1, :n], planes[2, :n]
        for i in range(n):
            m[i], gx[i], gy[i] = moved[row, first + i, 0], moved[row, first + i, 1], moved[row, first + i, 2]
        f = fixed[row, first:last]
        _levels(f, m, sums[row])
        _slopes(f, m, gx, gy, x[first:last], sums[row])
        _products(gx, gy, x[first:last], sums[row])


# 32 bits a lane and sums in any order: a row is short, and rows are added in 64 bits
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _levels(f: np.ndarray, m: np.ndarray, sums: np.ndarray) -> None:
    a = b = aa = bb = ab = np.float32(0)
    for i in range(f.size):
        a += f[i]
        b += m[i]
        aa += f[i] * f[i]
        bb += m[i] * m[i]
        ab += f[i] * m[i]
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = f.size, a, b, aa, bb, ab


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _slopes(f: np.ndarray, m: np.ndarray, gx: np.ndarray, gy: np.ndarray, x: np.ndarray, sums: np.ndarray) -> None:
    a = b = ax = bx = af = bf = axf = bxf = am = bm = axm = bxm = np.float32(0)
    for i in range(f.size):
        a += gx[i]
        b += gy[i]
        ax += gx[i] * x[i]
        bx += gy[i] * x[i]
        af += gx[i] * f[i]
        bf += gy[i] * f[i]
        axf += gx[i] * f[i] * x[i]
        bxf += gy[i] * f[i] * x[i]
        am += gx[i] * m[i]
        bm += gy[i] * m[i]
        axm += gx[i] * m[i] * x[i]
        bxm += gy[i] * m[i] * x[i]
    sums[6], sums[7], sums[8], sums[9] = a, b, ax, bx
    sums[10], sums[11], sums[12], sums[13] = af, bf, axf, bxf
    sums[14], sums[15], sums[16], sums[17] = am, bm, axm, bxm


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _products(gx: np.ndarray, gy: np.ndarray, x: np.ndarray, sums: np.ndarray) -> None:
    a = ax = axx = b = bx = bxx = c = cx = cxx = np.float32(0)
    for i in range(x.size):
        p, q, r = gx[i] * gx[i], gx[i] * gy[i], gy[i] * gy[i]
        a += p
        ax += p * x[i]
        axx += p * x[i] * x[i]
        b += q
        bx += q * x[i]
        bxx += q * x[i] * x[i]
        c += r
        cx += r * x[i]
        cxx += r * x[i] * x[i]
    sums[18], sums[19], sums[20] = a, ax, axx
    sums[21], sums[22], sums[23] = b, bx, bxx
    sums[24], sums[25], sums[26] = c, cx, cxx


def warm() -> None:
    """Compile the kernels of this module."""
    image = np.random.default_rng(0).random((32, 32), np.float32)
    Ecc(image, image).climb(np.eye(2, 3), 6, 1e-3)
