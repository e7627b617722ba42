"""Where the fit of a mixture starts, when the user knows better than Otsu's threshold."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator

from segapp.core.params import Params, knob
from segapp.core.score.model import Mixture
from segapp.core.score.nbinom import MOMENT_LIMITS, SHAPE_LIMITS

ANY_BIN = 0
Row = tuple[int, float, float, float, float, float, float]


class StartKnobs(Params):
    """Where the fit of the mixture starts."""

    start: tuple[Row, ...] = knob(
        (),
        doc="Start of the fit: rows (bin, w, w, mean, mean, variance, variance), background before occupied. Bin 0 "
        "is for every bin without a row, and for a field without bins. Empty: both sides of Otsu's threshold.",
    )

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        for row in self.start:
            shares, means, variances = row[1:3], row[3:5], row[5:7]
            if row[0] < 0 or not all(value > 0 and np.isfinite(value) for value in (*shares, *means, *variances)):
                raise ValueError(
                    f"the start {row} cannot be used; it is a bin from 0, then two shares, two means and two variances "
                    "above 0"
                )
        if len({row[0] for row in self.start}) < len(self.start):
            raise ValueError("two rows of `start` are for the same density bin; keep one")
        return self


def start_of(rows: tuple[Row, ...], bin_: int) -> Mixture | None:
    """Return the mixture at which the fit of a density bin starts.

    Parameters
    ----------
    rows : tuple of (bin, w, w, mean, mean, variance, variance)
        See `StartKnobs`.
    bin_ : int
        Density bin; 0 without bins.

    Returns
    -------
    Mixture or None
        None where no row is for the bin. Shares are scaled to add up to 1; a variance at or below its mean is taken as
        1.1 times the mean, for a negative binomial cannot have it.

    Examples
    --------
    >>> start_of(((0, 3.0, 1.0, 2.0, 10.0, 4.0, 60.0),), 7)
    Mixture(w=(0.75, 0.25), mu=(2.0, 10.0), r=(2.0, 2.0), z=(0.0, 0.0), log_likelihood=0.0)
    >>> start_of((), 7) is None
    True
    """
    by_bin = {row[0]: row for row in rows}
    row = by_bin.get(bin_, by_bin.get(ANY_BIN))
    if row is None:
        return None
    means = tuple(float(np.clip(mean, *MOMENT_LIMITS)) for mean in row[3:5])
    variances = [v if v > m else 1.1 * m for m, v in zip(means, row[5:], strict=True)]
    sizes = tuple(float(np.clip(m**2 / (v - m), *SHAPE_LIMITS)) for m, v in zip(means, variances, strict=True))
    whole = row[1] + row[2]
    return Mixture((row[1] / whole, row[2] / whole), (means[0], means[1]), (sizes[0], sizes[1]))
