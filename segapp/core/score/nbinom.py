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
def log_pmfs(values: np.ndarray, mu: float, sizes: np.ndarray) -> np.ndarray:
    """Return `log_pmf` without inflation for each of several sizes, (S, U) float64."""
    factorials = log_factorials(values)
    out = np.empty((len(sizes), len(values)))
    for s in range(len(sizes)):
        r = sizes[s]
        log_theta, log_rest, start = -math.log1p(mu / r), -math.log1p(r / mu), math.lgamma(r)
        rise, at = 0.0, 0.0
        for i in range(len(values)):
            x = values[i]
            if x - at <= _STEPS:
                while at < x:
                    rise += math.log(r + at)
                    at += 1.0
            else:
                rise, at = math.lgamma(r + x) - start, x
            out[s, i] = rise + (r * log_theta + values[i] * log_rest - factorials[i])
    return out


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
    n = len(values)
    rises, psi, logs = np.empty((2, n)), np.empty((2, n)), np.empty((2, n))
    stay = np.empty(2)
    for c in range(2):
        _rise(values, math.exp(x[3 + c]), rises[c], psi[c])
        stay[c] = _component(values, factorials, x, c, rises[c], logs[c])
    return _judge(values, weights, x, logs[0], logs[1], psi[0], psi[1], stay[0], stay[1])


@njit(cache=True, nogil=True, error_model="numpy")
def _component(
    values: np.ndarray, factorials: np.ndarray, x: np.ndarray, c: int, rise: np.ndarray, logs: np.ndarray
) -> float:
    """Write the log probabilities under a component, and return the share of its zeros that are not inflated."""
    mu, r = math.exp(x[1 + c]), math.exp(x[3 + c])
    log_theta, log_rest = -math.log1p(mu / r), -math.log1p(r / mu)
    inflated = len(x) == 7
    z = 1.0 / (1.0 + math.exp(-x[5 + c])) if inflated else 0.0
    log_kept = math.log1p(-z)
    for i in range(len(values)):
        logs[i] = rise[i] + (r * log_theta + values[i] * log_rest - factorials[i] + log_kept)
    if inflated and values[0] == 0.0:
        plain = logs[0]
        logs[0] = math.log(z + math.exp(plain))
        return math.exp(plain - logs[0])
    return 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _judge(
    values: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    logs0: np.ndarray,
    logs1: np.ndarray,
    psi0: np.ndarray,
    psi1: np.ndarray,
    stay0: float,
    stay1: float,
) -> tuple[float, np.ndarray]:
    """Return `loss`, from what `_rise` and `_component` wrote for both components."""
    n, inflated = len(values), len(x) == 7
    gradient = np.zeros(len(x))
    # log w and log (1 - w) without overflow
    log_w1 = -math.log1p(math.exp(-x[0])) if x[0] > 0 else x[0] - math.log1p(math.exp(x[0]))
    log_w0, w1 = log_w1 - x[0], math.exp(log_w1)
    shares = np.empty((2, n))
    total = 0.0
    for i in range(n):
        a, b = log_w0 + logs0[i], log_w1 + logs1[i]
        level = a + math.log(1.0 + math.exp(b - a)) if a > b else b + math.log(1.0 + math.exp(a - b))
        total += weights[i] * level
        one = math.exp(b - level)
        gradient[0] += weights[i] * (one - w1)
        shares[0, i], shares[1, i] = weights[i] * math.exp(a - level), weights[i] * one
    for c in range(2):
        tau, psi, stay = shares[c], psi0 if c == 0 else psi1, stay0 if c == 0 else stay1
        mu, r = math.exp(x[1 + c]), math.exp(x[3 + c])
        share, bend = r / (r + mu), math.log1p(mu / r)
        z = 1.0 / (1.0 + math.exp(-x[5 + c])) if inflated else 0.0
        by_mu, by_r, by_z = 0.0, 0.0, 0.0
        for i in range(n):
            kept = tau[i]
            if inflated:
                if values[i] == 0.0:
                    kept = tau[i] * stay
                    by_z += (tau[i] - kept) * (1.0 - z) - kept * z
                else:
                    by_z -= tau[i] * z
            by_mu += kept * (values[i] - mu) * share
            by_r += kept * (r * (psi[i] - bend) + (mu - values[i]) * share)
        gradient[1 + c], gradient[3 + c] = by_mu, by_r
        if inflated:
            gradient[5 + c] = by_z
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
            a, b = logs[0, i], logs[1, i]
            both = a + math.log(1.0 + math.exp(b - a)) if a > b else b + math.log(1.0 + math.exp(a - b))
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
    rises, psi, logs = np.empty((3, len(values))), np.empty((3, len(values))), np.empty((3, len(values)))
    stay = np.empty(3)
    damping, h = 1e-3, 1e-5
    for done in range(max_iter):
        for c in range(2):
            _rise(values, math.exp(x[3 + c]), rises[c], psi[c])
            stay[c] = _component(values, factorials, x, c, rises[c], logs[c])
        for j in range(n):
            up = _beside(values, weights, factorials, x, j, h, rises, psi, logs, stay)
            down = _beside(values, weights, factorials, x, j, -h, rises, psi, logs, stay)
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


@njit(cache=True, nogil=True, error_model="numpy")
def _beside(
    values: np.ndarray,
    weights: np.ndarray,
    factorials: np.ndarray,
    x: np.ndarray,
    j: int,
    step: float,
    rises: np.ndarray,
    psi: np.ndarray,
    logs: np.ndarray,
    stay: np.ndarray,
) -> np.ndarray:
    """Return the gradient of `loss` a step along coordinate `j`; only what depends on it is worked out again.

    The first two rows of `rises`, `psi` and `logs` are those of the components at `x`, and the third is room.
    """
    at = x.copy()
    at[j] = x[j] + step
    of_size = j == 3 or j == 4
    first, second = 0, 1
    if j > 0:
        c = (j - 1) % 2
        if of_size:  # nothing else is in what `_rise` writes
            _rise(values, math.exp(at[j]), rises[2], psi[2])
        stay[2] = _component(values, factorials, at, c, rises[2 if of_size else c], logs[2])
        if c == 0:
            first = 2
        else:
            second = 2
    psi0, psi1 = psi[2 if j == 3 else 0], psi[2 if j == 4 else 1]
    return _judge(values, weights, at, logs[first], logs[second], psi0, psi1, stay[first], stay[second])[1]
