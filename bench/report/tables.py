"""The findings as tables, which are Markdown too."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from bench.report.comparison import Comparison
from bench.report.summary import Line
from bench.report.target import Target
from bench.scenarios.catalog import SCENARIOS

PARTS = ("postgres", "server", "worker", "caller")
#: Characters, enough for the widest table.
_WIDTH = 250


def sections(
    lines: Sequence[Line],
    goals: Sequence[Target],
    comparisons: Sequence[Comparison],
    label: str = "",
) -> list[tuple[str, Table]]:
    """The tables of a report, each with its title; those that would be empty are left out. The
    comparisons are with systems whose names end with `label`."""
    latencies = [line for line in lines if line.unit == "ms" and line.detail]
    found = [("Medians over the rounds, and costs of a job", results_table(lines))]
    if latencies:
        found.append(("Latency on an idle system, median ms", steps_table(latencies)))
    if goals:
        found.append(("Targets, from medians of this run", targets_table(goals)))
    if comparisons:
        title = f"Ratios: NAME / NAME{label}, round by round (jobs/s: better above 1; else below)"
        found.append((title, comparisons_table(comparisons)))
    return found


def table_text(table: Table) -> str:
    """A table as text, for a terminal or a Markdown file."""
    console = Console(width=_WIDTH)
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{row.rstrip()}\n" for row in capture.get().splitlines() if row.strip())


def results_table(lines: Sequence[Line]) -> Table:
    """A row for each line: value and range, then what a job cost."""
    table = Table(box=box.MARKDOWN)
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
        f"{line.lowest:,.{digits}f}-{line.highest:,.{digits}f}",
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
    """The steps of a job on an idle system."""
    table = Table(box=box.MARKDOWN)
    table.add_column("system")
    names = list(dict.fromkeys(name for line in lines for name in line.detail))
    for name in ("in all", *names):
        table.add_column(name, justify="right")
    for line in lines:
        cells = [f"{line.detail[n]:.2f}" if n in line.detail else "" for n in names]
        table.add_row(line.system, f"{line.median:.2f}", *cells)
    return table


def targets_table(goals: Sequence[Target]) -> Table:
    """A row for each goal, and whether it is reached."""
    table = Table(box=box.MARKDOWN)
    table.add_column("target")
    for name in ("found", "wanted", "met"):
        table.add_column(name, justify="right")
    for goal in goals:
        sign = "≥" if goal.at_least else "≤"
        wanted = f"{sign} {goal.bound:.3g}"
        table.add_row(goal.text, f"{goal.found:.3g}", wanted, "yes" if goal.met else "no")
    return table


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """A row for each scenario of each system that both sides were measured in."""
    table = Table(box=box.MARKDOWN)
    table.add_column("scenario")
    table.add_column("system")
    table.add_column("unit")
    for name in ("ratio", "range", "CPU pg", "server", "worker", "caller"):
        table.add_column(name, justify="right")
    for row in comparisons:
        table.add_row(
            SCENARIOS[row.scenario].title,
            row.system,
            row.unit,
            f"{row.ratio:.3f}",
            f"{row.lowest:.3f}-{row.highest:.3f}",
            *(f"{row.cpu[part]:.3f}" if part in row.cpu else "" for part in PARTS),
        )
    return table
