"""Alignment of the stain with the RNA: by shift and shape (affine) or bent (thin-plate spline), judged by true NCC."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from segapp.core.align import _ecc
from segapp.core.align import ncc as _ncc
from segapp.core.align import transform as _transform
from segapp.core.align.affine import GAIN, align_affine
from segapp.core.align.by_hand import measure, shift_knob, shifted
from segapp.core.align.ncc import Judge, ncc, overlap_ncc
from segapp.core.align.progress import Progress
from segapp.core.align.rows import rows_needed, warp_rows
from segapp.core.align.tps import align_tps, auto_mesh, folds, landmark_affine
from segapp.core.align.transform import Alignment, as_matrix, matrix_to_theta, theta_to_matrix, warp
from segapp.core.checks import check_counts, check_image
from segapp.core.convolve import gauss_blur
from segapp.core.params import Params, Variants, knob
from segapp.core.types import InputError, Tick, Unavailable, no_tick

__all__ = [
    "ALIGN",
    "Alignment",
    "align_stain",
    "matrix_to_theta",
    "measure",
    "ncc",
    "rows_needed",
    "shifted",
    "theta_to_matrix",
    "warm",
    "warp",
    "warp_rows",
]


class NoAlignment(Params):
    """Use the stain as it lies."""

    mode: Literal["off"] = knob("off", doc="off uses the stain as it lies.")
    shift: tuple[float, float] = shift_knob()


class AffineParams(Params):
    """Shift, turn, scale and shear the stain so that it lies on the RNA."""

    mode: Literal["affine"] = knob("affine", doc="affine shifts, turns, scales and shears the stain.")
    k: int = knob(
        5,
        unit="px",
        odd=True,
        ge=1,
        le=99,
        soft=(1, 21),
        doc="Diameter of the Gaussian that blurs the RNA before it is compared. Larger: steadier, blunter.",
    )
    downscale: int = knob(
        1, ge=1, le=64, soft=(1, 8), doc="Average blocks of this many pixels a side first. Larger: faster, less exact."
    )
    n_epochs: int = knob(
        100,
        ge=0,
        le=10000,
        soft=(0, 500),
        doc="Most gradient steps, of bending and where the quick affine fit finds no maximum; they end early.",
    )
    orientation: Literal["keep", "search"] = knob(
        "keep", doc="search also tries the eight flips and transposes of the stain; keep takes it as it lies."
    )
    theta: tuple[float, ...] = knob(
        (),
        doc="Start near this affine transform instead of searching: six numbers, the rows of the 2 x 3 matrix that "
        "torch's affine_grid takes. Empty: search.",
    )
    accept: Literal["better", "any"] = knob(
        "better",
        doc="better leaves the stain as it lies where what was found matches less well by its NCC, also where "
        "landmarks ask for it; any takes it all the same.",
    )
    shift: tuple[float, float] = shift_knob()


class TpsParams(AffineParams):
    """Bend the stain by a thin-plate spline so that it lies on the RNA."""

    mode: Literal["tps"] = knob("tps", doc="tps bends the stain, from an affine start.")  # type: ignore[assignment]
    meshsize: int | Literal["auto"] = knob(
        "auto",
        unit="px",
        ge=16,
        le=100000,
        soft=(50, 2000),
        doc="Distance of the control points. Smaller: follows finer bends, needs more RNA. auto is 160 px, or what "
        "makes 6 to 12 of them along the shorter side.",
    )
    landmarks: tuple[tuple[float, float, float, float], ...] = knob(
        (),
        doc="Pairs (x_from, y_from, x_to, y_to) in px: what lies at (x_from, y_from) in the stain belongs at "
        "(x_to, y_to) in the frame.",
    )


ALIGN = Variants("mode", (NoAlignment, AffineParams, TpsParams), "off")

TURNS = ("keep", "rot90", "rot180", "rot270", "flip-x", "flip-y", "transpose", "anti-transpose")


def align_stain(
    stain: np.ndarray, nuclear: np.ndarray | None, params: Params, tick: Tick = no_tick
) -> tuple[np.ndarray, Alignment]:
    """Move the stain onto the RNA.

    The normalised cross-correlation of the stain and the blurred RNA is raised: a search over all shifts to 30 % of
    the side, turns to 12 degrees and scales to 6 % finds where to start, gradient steps do the rest. With
    ``accept="better"`` it never finds a lower NCC than that of the stain as it lies: where nothing better is found,
    the stain stays. `Alignment.note` says so, and says where a shift by hand lowers the NCC.

    Parameters
    ----------
    stain : (H, W) array of uint8, uint16 or float
        Stain in the frame, as it lies.
    nuclear : (H, W) counts or None
        RNA that marks nuclei, or all RNA; None is allowed with ``mode="off"`` only.
    params : NoAlignment, AffineParams or TpsParams
        One of `ALIGN`.
    tick : Tick
        Progress.

    Returns
    -------
    stain : (H, W) array
        Same dtype, bilinear; 0 where the moved stain has no pixel.
    alignment : Alignment
        The transform, its NCC before and after, and a note. `warp` moves other arrays by it.

    Raises
    ------
    InputError
        When shapes differ, an array cannot be used, or `theta`, `meshsize` or `landmarks` do not fit.
    Unavailable
        When alignment is asked for and there is no nuclear RNA.

    Notes
    -----
    A shift is preferred to a similarity, and that to a general affine map, unless the richer one fits better than
    chance would: needless freedom costs accuracy.

    References
    ----------
    Lewis, "Fast normalized cross-correlation", Vision Interface, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> rna = np.zeros((128, 128), np.uint32)
    >>> rna[tuple(rng.integers(8, 120, (2, 60)))] = 9
    >>> blurred = gauss_blur(rna, 9)
    >>> moved, alignment = align_stain(np.roll(blurred, (3, -2), (0, 1)), rna, AffineParams())
    >>> [round(v) for v in alignment.shift], alignment.ncc_after > alignment.ncc_before
    ([-2, 3], True)
    """
    image = check_image(stain, "stain")
    shape = (image.shape[0], image.shape[1])
    if isinstance(params, NoAlignment):
        moved = shifted(Alignment("off", shape), params.shift)
        return warp(image, moved, 1), moved
    if not isinstance(params, AffineParams):
        raise InputError(
            f"{type(params).__name__} are not parameters of alignment; use one of align.mode={ALIGN.names()}"
        )
    if nuclear is None:
        raise Unavailable(
            f"align.mode={params.mode} needs RNA that marks nuclei; set rna.nuclear=total to align to all RNA, "
            "or align.mode=off"
        )
    counts = check_counts(nuclear, "nuclear")
    if counts.shape != shape:
        raise InputError(f"the stain is {shape[0]} x {shape[1]} px but the RNA {counts.shape[0]} x {counts.shape[1]}")
    fixed, moving = gauss_blur(counts, params.k), image.astype(np.float32)
    start = _start(params, shape)
    judge = Judge(fixed, moving)
    before, _ = judge(np.eye(2, 3) if start is None or not params.theta else start)
    result = _align(judge, start, params, tick)
    after, _ = overlap_ncc(fixed, moving, result) if result.points else judge(np.array(result.matrix))
    given = np.eye(2, 3) if not params.theta else theta_to_matrix(np.reshape(params.theta, (2, 3)), shape)
    if after < before and params.accept == "better":
        note = "nothing better than the start was found, so it is kept"
        if isinstance(params, TpsParams) and params.landmarks:
            note = (
                f"the landmarks would lower the NCC from {before:.3f} to {after:.3f}, so the stain stays as it lies; "
                "align.accept=any follows them all the same"
            )
        result = replace(_affine(given, shape), note=note)
        after = before
    if any(params.shift):
        result, unshifted = shifted(result, params.shift), after
        after, _ = overlap_ncc(fixed, moving, result)
        if after < unshifted:
            note = f"the shift by hand lowers the NCC from {unshifted:.3f} to {after:.3f}"
            result = replace(result, note="; ".join(filter(None, (result.note, note))))
    result = replace(result, mode=params.mode, ncc_before=before, ncc_after=after)
    return warp(image, result, 1), result


def warm() -> None:
    """Compile the kernels of this package."""
    for module in (_transform, _ncc, _ecc):
        module.warm()


def _align(judge: Judge, start: np.ndarray | None, params: AffineParams, tick: Tick) -> Alignment:
    fixed, moving = judge.fixed, judge.moving
    shape = (fixed.shape[0], fixed.shape[1])
    block = min(params.downscale, *shape)
    progress = Progress(tick)
    straight = progress.part(0, 0.4 if isinstance(params, TpsParams) else 1)
    small_fixed, small_moving = (_average(image, block) for image in (fixed, moving))
    matrix, orientation, note = align_affine(
        small_fixed,
        small_moving,
        n_epochs=params.n_epochs,
        orientations=TURNS if params.orientation == "search" else TURNS[:1],
        start=None if start is None else _transform.rescale(start, 1 / block),
        tick=straight,
        judge=judge if block == 1 else None,
    )
    result = replace(_affine(_transform.rescale(matrix, block), shape), orientation=orientation, note=note)
    if not isinstance(params, TpsParams):
        return result
    meshsize = auto_mesh(shape) if params.meshsize == "auto" else float(params.meshsize)
    points = align_tps(
        small_fixed,
        small_moving,
        matrix,
        meshsize=meshsize / block,
        landmarks=_scaled(params.landmarks, 1 / block),
        n_epochs=params.n_epochs,
        tick=progress.part(0.4, 1),
    )
    bent = replace(result, mode="tps", points=_scaled(points, block), note=note)
    straight_ncc, _ = judge(np.array(result.matrix))
    bent_ncc, _ = overlap_ncc(fixed, moving, bent)
    if folds(bent):
        return replace(result, note="bending would fold the stain, so it is only shifted, turned and scaled")
    if bent_ncc <= straight_ncc + GAIN and not params.landmarks:
        return replace(
            result, note="bending did not improve the match, so the stain is only shifted, turned and scaled"
        )
    return bent


def _start(params: AffineParams, shape: tuple[int, int]) -> np.ndarray | None:
    if params.theta:
        if len(params.theta) != 6:
            raise InputError(f"align.theta has {len(params.theta)} numbers; it takes 6, the rows of a 2 x 3 matrix")
        matrix = theta_to_matrix(np.reshape(params.theta, (2, 3)), shape)
        if abs(np.linalg.det(matrix[:, :2])) < 1e-3:
            raise InputError("align.theta squeezes the image to a line; its left 2 x 2 numbers must be invertible")
        return matrix
    return landmark_affine(params.landmarks) if isinstance(params, TpsParams) else None


def _affine(matrix: np.ndarray | None, shape: tuple[int, int]) -> Alignment:
    return Alignment("affine", shape, as_matrix(np.eye(2, 3) if matrix is None else matrix))


def _scaled(
    points: tuple[tuple[float, float, float, float], ...], factor: float
) -> tuple[tuple[float, float, float, float], ...]:
    return tuple(tuple((value + 0.5) * factor - 0.5 for value in point) for point in points)  # type: ignore[misc]


def _average(image: np.ndarray, block: int) -> np.ndarray:
    if block <= 1:
        return image
    height, width = image.shape[0] // block, image.shape[1] // block
    return image[: height * block, : width * block].reshape(height, block, width, block).mean((1, 3), dtype=np.float32)
