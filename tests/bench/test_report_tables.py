"""The findings as tables."""

from rich.console import Console

from bench.report.summary import summarise
from bench.report.tables import results_table, steps_table
from tests.bench.support.samples import sample


def _text(table: object) -> list[str]:
    console = Console(width=250)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def test_a_row_says_value_range_and_costs() -> None:
    lines = summarise([sample(21_000), sample(19_500), sample(22_000)])
    row = next(row for row in _text(results_table(lines)) if "drain, 1 worker" in row)
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[2:5] == ["jobsvc", "21,000 jobs/s", "19,500-22,000"]
    assert cells[5:12] == ["30", "60", "", "", "0.020", "0.010", "900"]
    assert cells[12:16] == ["", "64", "", ""]


def test_steps_of_systems_that_have_others_stay_empty() -> None:
    lines = summarise(
        [
            sample(5, scenario="latency", unit="ms", detail={"p95": 7.0, "create": 2.0}),
            sample(9, "other", "latency", "ms", detail={"p95": 10.0}),
        ]
    )
    rows = [[c.strip() for c in row.split("|")] for row in _text(steps_table(lines))]
    assert ["", "jobsvc", "5.00", "7.00", "2.00", ""] in rows
    assert ["", "other", "9.00", "10.00", "", ""] in rows
