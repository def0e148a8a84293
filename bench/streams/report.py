"""The findings as tables, JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from bench.report.machine import machine
from bench.report.tables import table_text, targets_table
from bench.report.target import Target
from bench.streams.run import Finding, Plan

_STATUS_P99_MS = 100.0
_LAG_MS = 20.0


def text(findings: Sequence[Finding]) -> str:
    """All tables."""
    titled = (("Findings", _table(findings)), ("Targets", targets_table(targets(findings))))
    return "\n".join(f"## {title}\n\n{table_text(table)}" for title, table in titled)


def targets(findings: Sequence[Finding]) -> list[Target]:
    """The goals of the streams."""
    by_name = {finding.phase: finding for finding in findings}
    delivered = by_name["status changes, delivered"].numbers
    goals = [
        Target("status changes delivered, p99 ms", delivered["status p99"], _STATUS_P99_MS, False)
    ]
    goals += [
        Target(f"{f.phase}: loop late at most, ms", f.lag.max_ms, _LAG_MS, False) for f in findings
    ]
    return goals


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("phase")
    table.add_column("found")
    for name in ("loop late, max ms", "times > 20 ms", "of"):
        table.add_column(name, justify="right")
    for finding in findings:
        found = ", ".join(f"{name} {value:,.1f}" for name, value in finding.numbers.items())
        lag = finding.lag
        table.add_row(
            finding.phase, found, f"{lag.max_ms:.1f}", str(lag.over_20_ms), str(lag.probes)
        )
    return table


def write_json(plan: Plan, findings: Sequence[Finding], path: Path) -> None:
    """Writes everything to `path`."""
    document = {
        "machine": machine(),
        "settings": asdict(plan),
        "findings": [asdict(finding) for finding in findings],
        "targets": [{**asdict(goal), "met": goal.met} for goal in targets(findings)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def write_markdown(plan: Plan, findings: Sequence[Finding], path: Path) -> None:
    """Writes the tables to `path`, with what they were measured with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = [*machine().items(), *asdict(plan).items()]
    listed = ", ".join(f"{name} {value}" for name, value in facts)
    path.write_text(
        f"# Many streams\n\nWritten by `make bench-streams`: {listed}.\n\n{text(findings)}"
    )
