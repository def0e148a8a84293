"""The targets of the benchmarks."""

from bench.report.summary import summarise
from bench.report.target import targets
from tests.bench.support.samples import sample


def test_a_ratio_is_of_medians_of_the_same_run() -> None:
    lines = summarise([sample(v) for v in (9, 10, 99)] + [sample(20, scenario="drain-1m")])
    (goal,) = targets(lines)
    assert goal.found == 2.0
    assert goal.met


def test_what_was_not_measured_is_no_target() -> None:
    assert targets(summarise([sample(1, "echo", "create-32")])) == []


def test_a_bound_from_above_is_missed_above_it() -> None:
    lines = summarise(
        [
            sample(9.1, scenario="latency", unit="ms"),
            sample(1, scenario="create-64", commits=0.126),
            sample(301, scenario="cycles", unit="MB"),
        ]
    )
    commits, cycles, latency = targets(lines)
    assert not commits.met
    assert not cycles.met
    assert latency.met
