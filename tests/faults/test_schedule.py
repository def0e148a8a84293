"""A schedule of faults follows from its seed, and leaves nothing out."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.support.schedule import SECONDS, Kind, plan_faults

seeds = st.integers(0, 2**32)


@given(seeds)
def test_equal_seeds_have_equal_schedules(seed: int) -> None:
    assert plan_faults(seed, 60, 2, 6) == plan_faults(seed, 60, 2, 6)


def test_other_seeds_have_other_schedules() -> None:
    assert len({tuple(plan_faults(seed, 60, 2, 6)) for seed in range(50)}) == 50


@given(seeds, st.floats(6, 600))
def test_faults_are_within_the_run_and_hit_somebody_who_is_there(
    seed: int, run_seconds: float
) -> None:
    planned = plan_faults(seed, run_seconds, 2, 6)
    assert planned
    for fault in planned:
        assert 0 < fault.begin_seconds < run_seconds
        shortest, longest = SECONDS[fault.kind]
        assert shortest <= fault.seconds <= longest
        assert 0 <= fault.victim < 6
    assert all(0 < b.begin_seconds - a.begin_seconds <= 4.1 for a, b in pairwise(planned))


@given(seeds)
def test_every_kind_comes_before_any_comes_again(seed: int) -> None:
    kinds = [fault.kind for fault in plan_faults(seed, 60, 2, 6)]
    assert len(kinds) > len(Kind)
    assert Counter(kinds[: len(Kind)]) == Counter(Kind)


@given(seeds, st.sets(st.sampled_from(Kind), min_size=1))
def test_only_what_was_asked_for_happens(seed: int, kinds: set[Kind]) -> None:
    assert {fault.kind for fault in plan_faults(seed, 120, 2, 6, kinds)} == kinds


def test_no_server_and_no_worker_is_spared() -> None:
    planned = plan_faults(1, 3_600, 2, 6)
    assert {f.victim for f in planned if f.kind is Kind.KILL_SERVER} == {0, 1}
    assert {f.victim for f in planned if f.kind is Kind.KILL_WORKER} == set(range(6))
