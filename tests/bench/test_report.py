"""The findings as text and as JSON."""

import json
from pathlib import Path

from rich.console import Console

from bench.report import results_table, steps_table, write_json
from bench.summary import summarise
from bench.target import targets
from tests.bench.samples import sample


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


def test_the_json_has_everything_that_was_found(tmp_path: Path) -> None:
    samples = [sample(10), sample(9, scenario="drain-1m")]
    lines = summarise(samples)
    path = tmp_path / "new" / "results.json"
    write_json(path, {"rounds": 1}, samples, lines, targets(lines), ["a job was lost"])
    found = json.loads(path.read_text())
    assert [s["value"] for s in found["samples"]] == [10, 9]
    assert found["lines"][0]["costs"]["cpu_us"] == {"postgres": 30, "server": 60}
    assert found["targets"][0]["met"] is True
    assert found["wrong"] == ["a job was lost"]
    assert found["settings"] == {"rounds": 1}
