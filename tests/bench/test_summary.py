"""From samples to lines."""

from bench.report.summary import summarise
from tests.bench.support.samples import sample


def test_a_line_has_the_median_and_the_range() -> None:
    (line,) = summarise([sample(30), sample(10), sample(11)])
    assert (line.median, line.lowest, line.highest, line.rounds) == (11, 10, 30, 3)


def test_costs_are_medians_too() -> None:
    (line,) = summarise([sample(1, commits=c) for c in (0.5, 0.1, 0.3)])
    assert line.costs is not None
    assert line.costs.commits == 0.3
    assert line.costs.cpu_us == {"postgres": 30, "server": 60}


def test_scenarios_come_in_the_order_of_the_report_and_systems_as_they_came() -> None:
    lines = summarise(
        [
            sample(1, "echo", "drain"),
            sample(1, "jobsvc", "create-1"),
            sample(1, "jobsvc", "drain"),
            sample(1, "echo", "create-1"),
        ]
    )
    assert [(line.scenario, line.system) for line in lines] == [
        ("create-1", "echo"),
        ("create-1", "jobsvc"),
        ("drain", "echo"),
        ("drain", "jobsvc"),
    ]


def test_details_are_medians() -> None:
    (line,) = summarise([sample(5, detail={"p95": p}) for p in (9.0, 7.0, 8.0)])
    assert line.detail == {"p95": 8.0}
