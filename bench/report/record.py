"""A run as it is kept: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.measure.sample import Sample
from bench.report.comparison import compare
from bench.report.machine import machine
from bench.report.summary import summarise
from bench.report.tables import sections, table_text
from bench.report.target import targets


@dataclass(frozen=True, slots=True)
class Record:
    """The settings of a run, and its findings.

    `label` ends the names of the systems that run the code of another checkout.
    """

    settings: Mapping[str, int]
    samples: Sequence[Sample]
    wrong: Sequence[str]
    label: str = ""

    def text(self) -> str:
        """All tables, for a terminal or a Markdown file."""
        lines = summarise(self.samples)
        tables = sections(lines, targets(lines), compare(self.samples, self.label), self.label)
        return "\n".join(f"## {title}\n\n{table_text(table)}" for title, table in tables)


def write_json(record: Record, path: Path) -> None:
    """Writes everything to `path`."""
    lines = summarise(record.samples)
    goals = [{**asdict(goal), "met": goal.met} for goal in targets(lines)]
    document = {
        "machine": machine(),
        "settings": dict(record.settings),
        "lines": [asdict(line) for line in lines],
        "targets": goals,
        "comparisons": [asdict(c) for c in compare(record.samples, record.label)],
        "wrong": list(record.wrong),
        "samples": [asdict(sample) for sample in record.samples],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def write_markdown(record: Record, path: Path) -> None:
    """Writes the tables to `path`, with the settings of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = [*machine().items(), *record.settings.items()]
    listed = ", ".join(f"{name} {value}" for name, value in facts)
    path.write_text(f"# The last run\n\nWritten by `make bench`: {listed}.\n\n{record.text()}")
