"""The points as tables, which are Markdown too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from bench.flat.point import OPERATIONS, Point, by_series, ratio


def sections(points: Sequence[Point], titles: Mapping[str, str]) -> list[tuple[str, Table]]:
    """One or two tables for each series: times by size, and numbers read from the tables."""
    found = []
    for name, own in by_series(points).items():
        found.append((f"{titles[name].capitalize()}: median ms", times_table(own)))
        if any(point.state for point in own):
            found.append((f"{titles[name].capitalize()}: what is left behind", state_table(own)))
    return found


def times_table(points: Sequence[Point]) -> Table:
    """A row for each operation, a column for each size, and the ratio of largest to smallest."""
    table = _table(points)
    table.add_column("last / first", justify="right")
    for operation in OPERATIONS:
        cells = [f"{point.median(operation):.2f}" for point in points]
        table.add_row(operation, *cells, f"{ratio(points, operation):.2f}")
    return table


def state_table(points: Sequence[Point]) -> Table:
    """A row for each number that was read, a column for each size."""
    table = _table(points)
    for name in dict.fromkeys(name for point in points for name in point.state):
        cells = [_number(point.state.get(name)) for point in points]
        table.add_row(name, *cells)
    return table


def _table(points: Sequence[Point]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("")
    for point in points:
        table.add_column(f"{point.size:,}", justify="right")
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
