"""The scoring methods and their parameters: a method is one file with its `Params`, and its class in `METHODS`."""

from __future__ import annotations

from typing import Literal

from segapp.core.params import Variants, knob
from segapp.core.score._knobs import diameter
from segapp.core.score.gauss import GaussParams, ScoreParams
from segapp.core.score.mixture import MixtureKnobs
from segapp.core.score.moran import MoranParams
from segapp.core.score.propagation import PropagationKnobs
from segapp.core.score.support import SupportKnobs
from segapp.core.score.vi import VariationalKnobs


class EMParams(MixtureKnobs, SupportKnobs, ScoreParams):
    """Posterior of a negative binomial mixture fitted by EM."""

    method: Literal["EM"] = knob("EM", doc="How pixels are scored: mixture of background and occupied counts.")


class EMGaussParams(MixtureKnobs, SupportKnobs, ScoreParams):
    """Posterior of a negative binomial mixture, blurred."""

    method: Literal["EM+gauss"] = knob("EM+gauss", doc="How pixels are scored: mixture, then Gaussian blur.")


class EMBPParams(PropagationKnobs, MixtureKnobs, SupportKnobs, ScoreParams):
    """Negative binomial mixture, then belief propagation between neighbours."""

    method: Literal["EM+BP"] = knob("EM+BP", doc="How pixels are scored: mixture, then neighbours exchange beliefs.")


class VIGaussParams(VariationalKnobs, SupportKnobs, ScoreParams):
    """Negative binomial mixture by variational inference, blurred."""

    method: Literal["VI+gauss"] = knob(
        "VI+gauss", doc="How pixels are scored: variational mixture, then Gaussian blur."
    )


class VIBPParams(PropagationKnobs, VariationalKnobs, SupportKnobs, ScoreParams):
    """Negative binomial mixture by variational inference, then belief propagation."""

    method: Literal["VI+BP"] = knob("VI+BP", doc="How pixels are scored: variational mixture, then beliefs.")


METHODS = Variants(
    "method", (GaussParams, MoranParams, EMParams, EMGaussParams, EMBPParams, VIGaussParams, VIBPParams), "EM+BP"
)
"""Ways to score pixels."""

NUCLEI_SCORE = METHODS
"""Scores of nuclear RNA."""

CELL_SCORE = METHODS.extended(
    "Cell",
    k=(int, diameter(7)),
    certain=(
        Literal["nuclei", "off"],
        knob("nuclei", doc="Pixels that are occupied whatever their counts. nuclei: fuller cells around known nuclei."),
    ),
)
"""Scores of total RNA."""
