"""The mixture by variational inference in Pyro, with zero inflation on request."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from segapp.core.params import knob
from segapp.core.score.mixture import histogram_weights, otsu_starts, polish, run_em
from segapp.core.score.model import Mixture, from_vector, limits, to_vector
from segapp.core.score.start import StartKnobs
from segapp.core.types import Tick, no_tick

_PYRO = threading.Lock()  # Pyro keeps its stack of handlers in one place for all threads


class VariationalKnobs(StartKnobs):
    """How variational inference fits the mixture."""

    vi_n_epochs: int = knob(
        500,
        ge=1,
        le=100_000,
        soft=(10, 1000),
        step=10,
        doc="Most steps of the optimiser. Higher: slower, rarely better.",
    )
    vi_zero_inflated: bool = knob(
        False, doc="Let both components have extra zeros: for very sparse counts, where most pixels are empty."
    )


def mixture_elbo(values: np.ndarray, weights: np.ndarray, coordinates: Any) -> Any:
    """Return minus the evidence lower bound, a pixel, of the mixture in Pyro.

    Parameters
    ----------
    values, weights : (U,) float64
        Counts that occur and their weights, summing to 1.
    coordinates : (5,) or (7,) torch float64 tensor
        logit w1, log means, log sizes and, zero-inflated, logit gates; gradients flow to it.

    Returns
    -------
    torch scalar

    Notes
    -----
    The states are summed out exactly and the parameters are points (a delta guide under flat
    priors), so the bound is tight: it equals the log likelihood.

    References
    ----------
    Bingham et al. (2019), Pyro: deep universal probabilistic programming, JMLR 20.
    """
    import pyro
    import pyro.distributions as dist
    import torch
    from pyro.infer import Trace_ELBO

    counts = torch.as_tensor(values)
    scale = torch.as_tensor(weights)

    def model(x: Any) -> None:
        states = dist.Categorical(logits=torch.cat([torch.zeros(1, dtype=x.dtype), x[:1]]), validate_args=False)
        size, logits = x[3:5].exp(), x[1:3] - x[3:5]  # the odds of one more UMI are mean / size
        if len(x) == 5:
            kinds = dist.NegativeBinomial(size, logits=logits, validate_args=False)
        else:
            kinds = dist.ZeroInflatedNegativeBinomial(size, logits=logits, gate_logits=x[5:7], validate_args=False)
        with pyro.plate("counts", len(counts)), pyro.poutine.scale(scale=scale):
            pyro.sample("count", dist.MixtureSameFamily(states, kinds, validate_args=False), obs=counts)

    def guide(x: Any) -> None:
        """Parameters are points and states are summed out: nothing is left to draw."""

    with _PYRO:
        return Trace_ELBO().differentiable_loss(model, guide, coordinates)


def fit_vi(
    histogram: np.ndarray,
    *,
    n_epochs: int,
    zero_inflated: bool,
    start: Mixture | None = None,
    tick: Tick = no_tick,
) -> Mixture | None:
    """Fit the mixture by maximising the evidence lower bound on the histogram of counts.

    Parameters
    ----------
    histogram : (N,) integers
        Number of pixels with count 0, 1, 2, ...
    n_epochs : int
        Most L-BFGS steps on Pyro's objective.
    zero_inflated : bool
        Let both components have extra zeros.
    start : Mixture, optional
        Where to start, instead of both sides of Otsu's threshold.
    tick : Tick
        Called once a step.

    Returns
    -------
    Mixture or None
        Background first; None where fewer than two different counts occur.

    Notes
    -----
    The optimum of this bound is a maximum of the likelihood, so a few EM rounds and Newton steps on the same
    objective come first; L-BFGS on Pyro's gradient then has little left to do. Nothing is drawn at random.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> counts = np.concatenate([rng.poisson(2, 8000), rng.negative_binomial(10, 1 / 3, 2000), np.zeros(3000, int)])
    >>> fit = fit_vi(np.bincount(counts), n_epochs=20, zero_inflated=True)
    >>> bool(abs(fit.mu[0] - 2) < 0.2), bool(fit.z[0] > 0.15)
    (True, True)
    """
    values, weights = histogram_weights(histogram, "none")
    if len(values) < 2:
        return None
    starts = otsu_starts(histogram, values, weights)
    if len(values) < 3:
        return starts[0].ordered()
    climbed: list[Mixture] = []
    for begin in starts if start is None else [start]:
        near, _ = run_em(values, weights, begin, max_iter=200, precision=1e-6, settle=1e-5)
        plain = polish(values, weights, near, zero_inflated=False)
        climbed.append(plain)
        if zero_inflated:
            climbed += [polish(values, weights, guess, zero_inflated=True) for guess in (near, plain)]
    best = max(climbed, key=lambda fit: fit.log_likelihood)
    return _finish(values, weights, best, n_epochs, zero_inflated, tick).ordered()


def _finish(
    values: np.ndarray, weights: np.ndarray, start: Mixture, n_epochs: int, zero_inflated: bool, tick: Tick
) -> Mixture:
    import torch

    bounds = limits(zero_inflated)
    low, high = (torch.as_tensor(bound) for bound in bounds)
    coordinates = torch.tensor(np.clip(to_vector(start, zero_inflated), *bounds), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [coordinates],
        max_iter=n_epochs,
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )
    best, best_loss, calls = coordinates.detach().clone(), np.inf, 0

    def closure() -> Any:
        nonlocal best, best_loss, calls
        tick(min(calls, n_epochs), n_epochs)
        calls += 1
        optimizer.zero_grad()
        loss = mixture_elbo(values, weights, coordinates)
        loss.backward()
        here, level = coordinates.detach().clone(), loss.item()
        if level < best_loss and bool(((here >= low) & (here <= high)).all()):
            best, best_loss = here, level
        return loss

    optimizer.step(closure)
    return from_vector(best.numpy(), -best_loss)
