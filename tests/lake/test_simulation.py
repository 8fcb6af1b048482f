"""The commit code on a simulated store and clock: no schedule breaks a promise, each mutant is caught."""

from datetime import timedelta
from functools import partial

import pytest

from tests.lake.simulation import MUTANTS, SKEWS, Run, Violation, at_random, search


def test_two_writers_in_every_order() -> None:
    states, ends = search(lambda: Run(skews=(timedelta(), timedelta())), most_crashes=0)
    assert states > ends > 1


@pytest.mark.slow
@pytest.mark.parametrize("skew", SKEWS)
def test_two_writers_and_a_crash_in_every_order(skew: timedelta) -> None:
    states, ends = search(lambda: Run(skews=(timedelta(), skew)))
    assert states > ends > 1


@pytest.mark.slow
def test_two_writers_while_claims_are_pruned_in_every_order() -> None:
    states, ends = search(lambda: Run(skews=(timedelta(), timedelta()), pruning=True), most_crashes=0)
    assert states > ends > 1


@pytest.mark.parametrize("pruning", [False, True])
def test_five_writers_at_random(pruning: bool) -> None:  # noqa: FBT001 - a parameter of the test
    told = sum(at_random(seed, make=partial(Run, pruning=pruning)) for seed in range(300))
    assert told > 300


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant: str) -> None:
    def try_seeds() -> None:
        for seed in range(300):
            at_random(seed, make=MUTANTS[mutant])

    with pytest.raises(Violation):
        try_seeds()


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught_by_the_search(mutant: str) -> None:
    with pytest.raises(Violation):
        search(lambda: MUTANTS[mutant](skews=(timedelta(), timedelta())))
