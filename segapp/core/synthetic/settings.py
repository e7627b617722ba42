"""Every number of the simulator in one place: set once against the public reference, then frozen by a digest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How hard the tissue is. Lengths are in px of 0.5 µm; rows of tables are regions (outside, sparse, medium, dense).

    The values make the public reference score as it does on comparable simulations; a change changes every figure that
    was ever measured on `tissue`, so a digest test guards them.
    """

    # regions
    layer_width: float = 320.0
    outside: float = 0.14
    # nuclei: throws per million px, chance that a throw is kept, neighbours that touch
    throws: float = 2600.0
    density: tuple[float, ...] = (0.0, 0.06, 0.38, 0.8)
    companions: int = 3
    company: float = 0.36
    closest: float = 0.945
    radius: tuple[float, ...] = (8.6, 8.2, 7.6, 7.2, 6.8)
    radius_spread: float = 0.09
    elongation: float = 0.10
    waviness: float = 0.025
    type_mix: tuple[tuple[float, ...], ...] = (
        (0.2, 0.2, 0.2, 0.2, 0.2),
        (0.22, 0.16, 0.27, 0.22, 0.13),
        (0.40, 0.16, 0.20, 0.16, 0.08),
        (0.78, 0.08, 0.06, 0.05, 0.03),
    )
    # cytoplasm
    cytoplasm: float = 5.2
    cytoplasm_spread: float = 0.36
    lopsided: float = 0.7
    rough_edge: float = 0.9
    # stain
    brightness: float = 118.0
    brightness_spread: float = 0.20
    flatness: float = 0.1
    chromatin: float = 0.10
    blur: float = 1.7
    haze: float = 0.22
    background: float = 11.0
    background_spread: float = 0.35
    cytoplasm_glow: float = 5.0
    debris: float = 60.0
    shot_noise: float = 0.55
    read_noise: float = 2.0
    # RNA: UMIs per px of cell, per region factor, ambient UMIs per px, mean nuclear and intronic shares
    rna: tuple[float, ...] = (0.46, 0.42, 0.34, 0.34, 0.30)
    rna_spread: float = 0.30
    region_rna: tuple[float, ...] = (0.0, 0.62, 0.9, 1.25)
    ambient: tuple[float, ...] = (0.012, 0.07, 0.135, 0.215)
    nuclear_share: float = 0.5
    intronic_share: float = 0.7
    cytoplasmic_intronic: float = 0.05
    diffusion: float = 1.75
    stray: float = 0.10
    stray_distance: float = 9.0
    track_spacing: float = 260.0
    track_width: int = 4
    track_capture: float = 0.25


FROZEN = Settings()
