"""No NaN, no crash, no hang: 50 hostile inputs for every public function; `make fuzz` runs thousands."""

import itertools

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.cases import CASES
from tests.fuzz.harness import inputs, public_functions, run_example

FUNCTIONS = public_functions()

COMPILING = 10
"""Examples after which the kernels of a function are taken for compiled, also on a fresh copy."""


def test_every_public_function_has_a_case_and_every_case_a_function():
    assert sorted(set(FUNCTIONS) - set(CASES)) == [], "write a Case in tests/fuzz/cases_*.py for these functions"
    assert sorted(set(CASES) - set(FUNCTIONS)) == [], "these cases fuzz functions that are gone"


@pytest.mark.timeout(120, method="thread")  # a kernel that hangs holds no lock and hears no signal
@pytest.mark.parametrize("name", sorted(set(CASES) & set(FUNCTIONS)))
def test_hostile_inputs(name):
    done = itertools.count()

    @settings(
        max_examples=50,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),  # `python -m tests.fuzz NAME` looks for the smallest input that fails
    )
    @given(inputs(CASES[name], largest=32))
    def run(made):
        run_example(FUNCTIONS[name], CASES[name], made, timed=next(done) >= COMPILING)

    run()
