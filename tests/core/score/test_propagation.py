import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core.score.propagation import LOG_ODDS_LIMIT, neighbour_offsets, propagate
from segapp.core.types import Cancelled, InputError

DEFAULTS = {"k": 3, "square": False, "p": 0.6, "q": 0.4, "precision": 1e-6, "max_iter": 100}


def run(log_odds, **changes):
    return propagate(np.asarray(log_odds, np.float32), **DEFAULTS | changes)


def flooding(log_odds, *, k=3, square=False, p=0.6, q=0.4, precision=1e-6, max_iter=100):
    """Log messages in float64, pixel by pixel: slow and plain."""
    height, width = log_odds.shape
    offsets = [tuple(o) for o in neighbour_offsets(k, square)]
    nodes = list(itertools.product(range(height), range(width)))
    edges = [((y, x), (y + dy, x + dx)) for y, x in nodes for dy, dx in offsets]
    messages = {edge: 0.0 for edge in edges if 0 <= edge[1][0] < height and 0 <= edge[1][1] < width}
    coming = {node: [edge for edge in messages if edge[1] == node] for node in nodes}
    rounds = 0
    while rounds < max_iter and messages:
        rounds += 1
        total = {node: log_odds[node] + sum(messages[edge] for edge in coming[node]) for node in nodes}
        fresh = {}
        for start, end in messages:
            e = np.exp(total[start] - messages[end, start])
            fresh[start, end] = np.log((q + p * e) / (p + q * e))
        change = np.mean([(fresh[edge] - messages[edge]) ** 2 for edge in messages])
        messages = fresh
        if change < precision:
            break
    total = np.array([log_odds[node] + sum(messages[edge] for edge in coming[node]) for node in nodes])
    return (1 / (1 + np.exp(-total))).reshape(height, width), rounds


@pytest.mark.parametrize(
    "changes", [{}, {"p": 0.9, "q": 0.1}, {"p": 0.3, "q": 0.7}, {"square": True}, {"k": 5}, {"max_iter": 2}]
)
def test_marginals_and_rounds_are_those_of_plain_flooding(changes):
    log_odds = np.random.default_rng(0).normal(0, 3, (7, 9))
    expected, expected_rounds = flooding(log_odds, **changes)
    rounds = []
    found = run(log_odds, tick=lambda done, total: rounds.append(done), **changes)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(rounds) == expected_rounds


def test_a_chain_is_exact():
    log_odds = np.array([[2.0, -1.0, 0.5, -3.0, 1.0]])
    weight = np.zeros((2, 5))
    for states in itertools.product((0, 1), repeat=5):
        likelihood = np.exp(sum(log_odds[0, i] for i in range(5) if states[i]))
        for a, b in itertools.pairwise(states):
            likelihood *= 0.6 if a == b else 0.4
        for i, state in enumerate(states):
            weight[state, i] += likelihood
    np.testing.assert_allclose(run(log_odds, precision=0.0)[0], weight[1] / weight.sum(axis=0), atol=1e-6)


def test_equal_potentials_leave_every_pixel_alone():
    log_odds = np.random.default_rng(1).normal(0, 2, (6, 6))
    np.testing.assert_allclose(run(log_odds, p=0.5, q=0.5), 1 / (1 + np.exp(-log_odds)), atol=1e-6)


def test_infinite_odds_are_held():
    marginals = run([[np.inf, -np.inf], [0.0, 1e30]])
    assert np.isfinite(marginals).all()
    assert marginals[0, 0] > 0.999
    assert marginals[0, 1] < 0.001
    np.testing.assert_allclose(marginals, run([[LOG_ODDS_LIMIT, -LOG_ODDS_LIMIT], [0.0, LOG_ODDS_LIMIT]]))


def test_settled_messages_end_the_rounds():
    rounds = []
    run(np.zeros((20, 20)), tick=lambda done, total: rounds.append(done))
    assert rounds == [0]


def test_the_argument_stays_as_it_was():
    log_odds = np.random.default_rng(2).normal(0, 40, (5, 5)).astype(np.float32)
    before = log_odds.copy()
    run(log_odds)
    assert (log_odds == before).all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 99),
    st.sampled_from([3, 5, 7]),
    st.booleans(),
    st.sampled_from([(0.6, 0.4), (0.99, 0.01), (0.01, 0.99)]),
)
def test_any_shape_gives_probabilities_and_mirrors(height, width, seed, k, square, potentials):
    log_odds = np.random.default_rng(seed).normal(0, 8, (height, width))
    settings_ = {"k": k, "square": square, "p": potentials[0], "q": potentials[1], "max_iter": 5}
    marginals = run(log_odds, **settings_)
    assert marginals.shape == (height, width)
    assert ((marginals >= 0) & (marginals <= 1)).all()
    np.testing.assert_allclose(run(log_odds[::-1].T, **settings_), marginals[::-1].T, atol=2e-3)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="NaN"):
        run([[np.nan, 0.0]])
    with pytest.raises(InputError, match="2-D"):
        run([1.0, 2.0])
    with pytest.raises(InputError, match="odd"):
        run([[1.0]], k=4)
    with pytest.raises(InputError, match="above 0"):
        run([[1.0]], q=0.0)


def test_work_stops_on_request():
    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        run(np.zeros((4, 4)), tick=stop)
