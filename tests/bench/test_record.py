"""A run as it is kept."""

import json
from pathlib import Path

from bench.report.record import Record, write_json, write_markdown
from tests.bench.support.samples import sample

_RECORD = Record({"rounds": 1}, [sample(10), sample(9, scenario="drain-1m")], ["a job was lost"])


def test_the_json_has_everything_that_was_found(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    write_json(_RECORD, path)
    found = json.loads(path.read_text())
    assert [s["value"] for s in found["samples"]] == [10, 9]
    assert found["lines"][0]["costs"]["cpu_us"] == {"postgres": 30, "server": 60}
    assert found["targets"][0]["met"] is True
    assert found["wrong"] == ["a job was lost"]
    assert found["settings"] == {"rounds": 1}


def test_the_markdown_has_the_tables_under_their_titles(tmp_path: Path) -> None:
    path = tmp_path / "results.md"
    write_markdown(_RECORD, path)
    lines = path.read_text().splitlines()
    assert [line for line in lines if line.startswith("## ")] == [
        "## Medians over the rounds, and costs of a job",
        "## Targets, from medians of this run",
    ]
    row = next(line for line in lines if "backlog behind / without" in line)
    assert [cell.strip() for cell in row.split("|")[2:5]] == ["0.9", "≥ 0.9", "yes"]
    assert all(line.startswith(("#", "|", "Written")) for line in lines if line)


def test_nothing_measured_is_no_error(tmp_path: Path) -> None:
    write_markdown(Record({}, [], []), tmp_path / "results.md")
