"""The negative binomial on a histogram: likelihood, gradient, EM rounds and a climb to the optimum."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

MOMENT_LIMITS = (1e-4, 1e9)
"""Range of the means, in UMI: a mean of 0 would be a point mass that no pixel next to it could share."""
SHAPE_LIMITS = (1e-4, 1e6)
"""Range of the sizes r; at 1e6 the distribution is a Poisson to six digits."""

_STEPS = 12  # up to this gap between neighbouring counts, stepping is cheaper than a special function


@njit(cache=True, nogil=True, error_model="numpy")
def digamma(x: float) -> float:
    """Return the derivative of log gamma at x > 0, to about 1e-14."""
    shift = 0.0
    while x < 8.0:
        shift -= 1.0 / x
        x += 1.0
    f = 1.0 / (x * x)
    series = f * (1 / 12 - f * (1 / 120 - f * (1 / 252 - f * (1 / 240 - f * (1 / 132 - f * (691 / 32760 - f / 12))))))
    return shift + math.log(x) - 0.5 / x - series


@njit(cache=True, nogil=True, error_model="numpy")
def log_factorials(values: np.ndarray) -> np.ndarray:
    """Return log(values!) for (U,) float64."""
    out = np.empty_like(values)
    for i in range(len(values)):
        out[i] = math.lgamma(values[i] + 1.0)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _rise(values: np.ndarray, r: float, log_gamma: np.ndarray, psi: np.ndarray) -> None:
    # log_gamma[i] = log gamma(r + x_i) - log gamma(r); psi[i] = digamma(r + x_i) - digamma(r)
    lg, ps, at = 0.0, 0.0, 0.0
    start_lg, start_ps = math.lgamma(r), digamma(r)
    for i in range(len(values)):
        x = values[i]
        if x - at <= _STEPS:
            while at < x:
                lg += math.log(r + at)
                ps += 1.0 / (r + at)
                at += 1.0
        else:
            lg = math.lgamma(r + x) - start_lg
            ps = digamma(r + x) - start_ps
            at = x
        log_gamma[i] = lg
        psi[i] = ps


@njit(cache=True, nogil=True, error_model="numpy")
def log_pmf(values: np.ndarray, mu: float, r: float, z: float) -> np.ndarray:
    """Return the log probability of counts under a (zero-inflated) negative binomial.

    Parameters
    ----------
    values : (U,) float64
        Counts, ascending.
    mu, r : float
        Mean and size: variance = mu + mu² / r.
    z : float
        Extra probability of 0.

    Returns
    -------
    (U,) float64

    Examples
    --------
    >>> from scipy.stats import nbinom
    >>> counts = np.array([0.0, 3.0, 400.0])
    >>> bool(np.allclose(log_pmf(counts, 5.0, 2.0, 0.0), nbinom.logpmf(counts, 2.0, 2 / 7)))
    True
    """
    out = np.empty_like(values)
    psi = np.empty_like(values)
    _rise(values, r, out, psi)
    log_theta, log_rest = -math.log1p(mu / r), -math.log1p(r / mu)
    for i in range(len(values)):
        out[i] += r * log_theta + values[i] * log_rest - math.lgamma(values[i] + 1.0)
        if z > 0.0:
            plain = out[i] + math.log1p(-z)
            out[i] = math.log(z + math.exp(plain)) if values[i] == 0.0 else plain
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def loss(values: np.ndarray, weights: np.ndarray, factorials: np.ndarray, x: np.ndarray) -> tuple[float, np.ndarray]:
    """Return minus the mean log likelihood and its gradient.

    Parameters
    ----------
    values, weights, factorials : (U,) float64
        Counts ascending, weights summing to 1, log of the factorials of the counts.
    x : (5,) or (7,) float64
        logit w1, log mu0, log mu1, log r0, log r1 and, zero-inflated, logit z0, logit z1.

    Returns
    -------
    float
    (5,) or (7,) float64
    """
    n, inflated = len(values), len(x) == 7
    gradient = np.zeros(len(x))
    # log w and log (1 - w) without overflow
    log_w = np.empty(2)
    log_w[1] = -math.log1p(math.exp(-x[0])) if x[0] > 0 else x[0] - math.log1p(math.exp(x[0]))
    log_w[0] = log_w[1] - x[0]
    logs, psi = np.empty((2, n)), np.empty((2, n))
    stay = np.zeros(2)  # share of a component's zeros that are not inflated
    z = np.zeros(2)
    for c in range(2):
        mu, r = math.exp(x[1 + c]), math.exp(x[3 + c])
        _rise(values, r, logs[c], psi[c])
        log_theta, log_rest = -math.log1p(mu / r), -math.log1p(r / mu)
        if inflated:
            z[c] = 1.0 / (1.0 + math.exp(-x[5 + c]))
        log_kept = math.log1p(-z[c])
        for i in range(n):
            logs[c, i] += r * log_theta + values[i] * log_rest - factorials[i] + log_kept
        stay[c] = 1.0
        if inflated and values[0] == 0.0:
            plain = logs[c, 0]
            logs[c, 0] = math.log(z[c] + math.exp(plain))
            stay[c] = math.exp(plain - logs[c, 0])
    total = 0.0
    for i in range(n):
        a, b = log_w[0] + logs[0, i], log_w[1] + logs[1, i]
        top = max(a, b)
        level = top + math.log(math.exp(a - top) + math.exp(b - top))
        total += weights[i] * level
        one = math.exp(b - level)
        gradient[0] += weights[i] * (one - math.exp(log_w[1]))
        for c in range(2):
            tau = weights[i] * (one if c == 1 else math.exp(a - level))
            kept = tau
            if inflated:
                if values[i] == 0.0:
                    kept = tau * stay[c]
                    gradient[5 + c] += (tau - kept) * (1.0 - z[c]) - kept * z[c]
                else:
                    gradient[5 + c] -= tau * z[c]
            mu, r = math.exp(x[1 + c]), math.exp(x[3 + c])
            share = r / (r + mu)
            gradient[1 + c] += kept * (values[i] - mu) * share
            gradient[3 + c] += kept * (r * (psi[c, i] - math.log1p(mu / r)) + (mu - values[i]) * share)
    for j in range(len(x)):
        gradient[j] = -gradient[j]
    return -total, gradient


@njit(cache=True, nogil=True, error_model="numpy")
def em_rounds(
    values: np.ndarray,
    weights: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    theta: np.ndarray,
    max_iter: int,
    precision: float,
    settle: float,
) -> tuple[int, float]:
    """Run EM rounds, updating `w`, `r` and `theta` (each (2,) float64) in place.

    A round that leaves the parameter space is undone and ends the run.

    Returns
    -------
    int
        Rounds done.
    float
        Mean log likelihood at the start of the last round.
    """
    n = len(values)
    factorials = log_factorials(values)
    logs, psi = np.empty((2, n)), np.empty((2, n))
    level, before = 0.0, -np.inf
    lam = np.empty(2)
    for c in range(2):
        lam[c] = -r[c] * math.log(theta[c])
    new_w, new_lam, new_theta = np.empty(2), np.empty(2), np.empty(2)
    for done in range(max_iter):
        for c in range(2):
            _rise(values, r[c], logs[c], psi[c])
            log_theta, log_rest = math.log(theta[c]), math.log1p(-theta[c])
            log_w = math.log(w[c])
            for i in range(n):
                logs[c, i] += r[c] * log_theta + values[i] * log_rest - factorials[i] + log_w
        level = 0.0
        for i in range(n):
            top = max(logs[0, i], logs[1, i])
            both = top + math.log(math.exp(logs[0, i] - top) + math.exp(logs[1, i] - top))
            level += weights[i] * both
            logs[0, i] = weights[i] * math.exp(logs[0, i] - both)
            logs[1, i] = weights[i] * math.exp(logs[1, i] - both)
        valid = True
        moved = 0.0
        for c in range(2):
            beta = 1.0 - 1.0 / (1.0 - theta[c]) - 1.0 / math.log(theta[c])
            share, rise, mass = 0.0, 0.0, 0.0
            for i in range(n):
                share += logs[c, i]
                rise += logs[c, i] * psi[c, i]
                mass += logs[c, i] * values[i]
            rise *= r[c]
            new_w[c] = share
            new_lam[c] = rise / share
            new_theta[c] = beta * rise / (mass - (1.0 - beta) * rise)
            size = -new_lam[c] / math.log(new_theta[c])
            if not (0.0 < new_theta[c] < 1.0 and size > 0.0 and np.isfinite(size) and 0.0 < share < 1.0):
                valid = False
        if not valid:
            return done, level
        for c in range(2):
            moved = max(
                moved,
                abs(new_w[c] - w[c]),
                abs(new_lam[c] - lam[c]),
                abs(new_theta[c] - theta[c]),
            )
            w[c], lam[c], theta[c] = new_w[c], new_lam[c], new_theta[c]
            r[c] = -lam[c] / math.log(theta[c])
        if moved < precision or level - before < settle:
            return done + 1, level
        before = level
    return max_iter, level


@njit(cache=True, nogil=True, error_model="numpy")
def climb(
    values: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    max_iter: int,
) -> tuple[np.ndarray, float, int]:
    """Walk downhill on `loss` from `start` to a minimum inside [low, high].

    Newton steps on a Hessian differenced from the exact gradient, each eigenvalue taken as positive (so that saddles
    repel) and damped until the step helps. Five to seven numbers, ten microseconds an evaluation: a quasi-Newton
    method would need hundreds of steps along the curved valley of a mixture.

    Parameters
    ----------
    values, weights : (U,) float64
        Counts ascending, weights summing to 1.
    start, low, high : (5,) or (7,) float64
        Coordinates as in `loss`; the result never leaves [low, high].
    max_iter : int
        Most Newton steps.

    Returns
    -------
    (5,) or (7,) float64
        Never a higher loss than that of `start`.
    float
        Loss there.
    int
        Steps taken.
    """
    factorials = log_factorials(values)
    n = len(start)
    x = np.minimum(np.maximum(start, low), high)
    best, gradient = loss(values, weights, factorials, x)
    hessian = np.empty((n, n))
    damping, h = 1e-3, 1e-5
    for done in range(max_iter):
        for j in range(n):
            at = x.copy()
            at[j] = x[j] + h
            _, up = loss(values, weights, factorials, at)
            at[j] = x[j] - h
            _, down = loss(values, weights, factorials, at)
            hessian[j] = (up - down) / (2 * h)
        free = np.ones(n)
        for j in range(n):  # a coordinate pressed against its bound stays there
            if (x[j] <= low[j] and gradient[j] > 0) or (x[j] >= high[j] and gradient[j] < 0):
                free[j] = 0.0
        active = gradient * free
        if np.abs(active).max() < 1e-10:
            return x, best, done
        sizes, axes = np.linalg.eigh((hessian + hessian.T) * 0.5 * np.outer(free, free))
        sizes = np.abs(sizes)
        along = axes.T @ active
        helped, gain = False, 0.0
        for _ in range(25):
            step = -(axes @ (along / (sizes + damping))) * free
            longest = np.abs(step).max()
            if longest > 2.0:
                step *= 2.0 / longest
            trial = np.minimum(np.maximum(x + step, low), high)
            value, slope = loss(values, weights, factorials, trial)
            if value < best:
                gain = best - value
                x, best, gradient = trial, value, slope
                helped, damping = True, max(damping * 0.1, 1e-12)
                break
            damping *= 8.0
        if not helped or gain < 1e-14:
            return x, best, done + 1
    return x, best, max_iter
