"""This checkout beside another one."""

from bench.report.comparison import compare
from tests.bench.support.samples import sample

_OTHER = "jobsvc @ before"


def test_a_ratio_is_of_the_two_measurements_of_one_round() -> None:
    # The machine slows down to a half and to a quarter; the ratio of the medians would be 1.375.
    own = [sample(v) for v in (110, 55, 22)]
    other = [sample(v, _OTHER) for v in (100, 40, 20)]
    (found,) = compare([*own, *other], " @ before")
    assert (found.scenario, found.system, found.ratio) == ("drain", "jobsvc", 1.1)
    assert (found.lowest, found.highest) == (1.1, 1.375)
    assert found.cpu == {"postgres": 1, "server": 1}


def test_scenarios_come_in_the_order_of_the_report() -> None:
    samples = [
        sample(2, name, scenario)
        for scenario in ("latency", "create-1")
        for name in ("jobsvc", _OTHER)
    ]
    assert [c.scenario for c in compare(samples, " @ before")] == ["create-1", "latency"]


def test_a_scenario_that_only_one_side_has_is_left_out() -> None:
    samples = [sample(1), sample(1, _OTHER, "latency"), sample(1, "echo")]
    assert compare(samples, " @ before") == []


def test_one_checkout_alone_has_no_comparison() -> None:
    assert compare([sample(1)], "") == []
