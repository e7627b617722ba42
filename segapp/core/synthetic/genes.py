"""The gene panel of the simulator: names, profiles per cell type, and where in the cell a transcript lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TYPE_NAMES = (
    "excitatory neuron",
    "inhibitory neuron",
    "astrocyte",
    "oligodendrocyte",
    "microglia",
)
"""The five cell types, in the order of their indices."""

NUCLEAR_GENES = (
    "Malat1",
    "Neat1",
    "Meg3",
    "Snhg11",
    "Xist",
    "Kcnq1ot1",
    "Mir99ahg",
    "Rian",
)
"""Genes whose RNA stays in the nucleus."""


def _names(text: str) -> list[str]:
    return text.split()


_SINGLE_EXON = ("Malat1", "Neat1")

_SHARED = _names("""
Actb Actg1 Tuba1a Tuba1b Tubb2a Tubb5 Eef1a1 Eef1b2 Eef2 Gapdh Aldoa Ldha Ldhb Eno1 Pkm Tpi1 Pgk1 Ubb Ubc Fth1 Ftl1
Tmsb4x Tmsb10 Cst3 Calm1 Calm2 Calm3 Hsp90aa1 Hsp90ab1 Hspa8 Hspa5 Ppia Rplp0 Rplp1 Rpl13 Rpl32 Rpl41 Rps12 Rps24
Rps29 Rpsa Cox4i1 Cox6c Cox8a Atp5e Atp5b Ndufa4 Uqcrh Ywhaz Ywhae Itm2b Itm2c Cd81 Cd63 Serinc1 Gnas Ppp2ca Sod1
Prdx1 Dynll1 Cfl1 Pfn1 Hnrnpa2b1 Hnrnpk Ddx5 Srsf5 Son Jarid2 Cdk8 Camk1d Gphn Lars2
""")

_MITOCHONDRIAL = _names("mt-Co1 mt-Co2 mt-Co3 mt-Atp6 mt-Cytb mt-Nd1 mt-Nd2 mt-Nd4")

MARKERS = (
    """Slc17a7 Slc17a6 Camk2a Nrgn Neurod6 Neurod2 Satb2 Tbr1 Cux2 Rorb Fezf2 Bcl11b Prox1 Dkk3 Chn1 Ptk2b Arpp21 Nptx1
    Egr1 Lmo4 Mef2c Hpca Ncdn Olfm1 Enc1 Ppp3ca Itpka Rasgrf1 Grin2a Cck""",
    """Gad1 Gad2 Slc32a1 Pvalb Sst Vip Npy Lamp5 Reln Calb1 Calb2 Cnr1 Dlx1 Dlx6os1 Erbb4 Kcnc1 Kcnc2 Lhx6 Adarb2 Crh
    Tac1 Penk Nxph1 Sox6 Synpr Rgs10 Slc6a1 Npas1 Maf Arx""",
    """Gfap Aqp4 Slc1a2 Slc1a3 Aldh1l1 Aldoc Apoe Clu Gja1 Glul Mt1 Mt2 S100b Sox9 Sparcl1 Plpp3 Ntsr2 Atp1a2 Atp1b2
    Bcan Cldn10 Cpe F3 Fgfr3 Htra1 Id4 Mlc1 Ndrg2 Slc4a4 Gpr37l1""",
    """Mbp Plp1 Mog Mag Mobp Cnp Cldn11 Olig1 Olig2 Sox10 Mal Opalin Ermn Fa2h Aspa Car2 Trf Qdpr Ugt8a Gjc3 Tspan2
    Stmn4 Enpp2 Bcas1 Cryab Apod Cd9 Gatm Gpr37 Evi2a""",
    """Cx3cr1 P2ry12 Tmem119 Aif1 Csf1r C1qa C1qb C1qc Trem2 Tyrobp Ctss Hexb Itgam Cd68 Ptprc Laptm5 Ly86 Fcer1g Fcgr3
    Lyz2 Cd53 Siglech Selplg Unc93b1 Olfml3 Gpr34 Sall1 Mertk Spi1 Irf8""",
)
"""Marker genes of each type, in the order of `TYPE_NAMES`."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Genes and what each does in each cell type.

    Parameters
    ----------
    names : tuple of str
        Gene names, sorted.
    profiles : (types, genes) float64
        Share of a cell's RNA that each gene has; rows sum to 1.
    nuclear : (genes,) float64
        Chance that a transcript of a cell lies in its nucleus.
    intronic : (genes,) float64
        Chance that a transcript in the nucleus is unspliced.
    """

    names: tuple[str, ...]
    profiles: np.ndarray
    nuclear: np.ndarray
    intronic: np.ndarray


def gene_panel(nuclear_share: float, intronic_share: float) -> Panel:
    """Return the panel; it is the same for every seed, as one species has one genome.

    Parameters
    ----------
    nuclear_share : float
        Mean chance that a transcript of an ordinary gene lies in the nucleus.
    intronic_share : float
        Mean chance that a nuclear transcript of an ordinary gene is unspliced.
    """
    markers = [text.split() for text in MARKERS]
    names = tuple(
        sorted(
            {
                *NUCLEAR_GENES,
                *_SHARED,
                *_MITOCHONDRIAL,
                *(name for row in markers for name in row),
            }
        )
    )
    index = {name: i for i, name in enumerate(names)}
    rng = np.random.Generator(np.random.PCG64(20220504))
    n = len(names)
    abundance = np.exp(rng.normal(0.0, 1.0, n))
    nuclear = np.clip(nuclear_share + rng.normal(0.0, 0.08, n), 0.05, 0.95)
    intronic = np.clip(intronic_share * np.exp(rng.normal(0.0, 0.5, n)), 0.01, 0.95)

    profiles = np.zeros((len(TYPE_NAMES), n))
    shared = np.array([index[name] for name in _SHARED])
    profiles[:, shared] = 0.45 * abundance[shared] / abundance[shared].sum()
    for row, genes in enumerate(markers):
        own = np.array([index[name] for name in genes])
        share = abundance[own] / abundance[own].sum()
        profiles[:, own] += 0.01 * share
        profiles[row, own] += 0.25 * share
    mitochondrial = np.array([index[name] for name in _MITOCHONDRIAL])
    profiles[:, mitochondrial] = 0.08 / len(mitochondrial)
    nuclear[mitochondrial] = 0.02
    intronic[mitochondrial] = 0.0
    for name, share in zip(
        NUCLEAR_GENES,
        (0.055, 0.006, 0.012, 0.006, 0.002, 0.002, 0.002, 0.003),
        strict=True,
    ):
        profiles[:, index[name]] = share
        nuclear[index[name]] = 0.93
    # Meg3 and Snhg11 mark neurons
    for name in ("Meg3", "Snhg11"):
        profiles[2:, index[name]] *= 0.2
    for name in _SINGLE_EXON:
        intronic[index[name]] = 0.02
    profiles /= profiles.sum(axis=1, keepdims=True)
    return Panel(names, profiles, nuclear, intronic)
