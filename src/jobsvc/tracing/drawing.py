"""Draws a trace as a waterfall: each span, its service, begin and duration."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from jobsvc.plain_text import one_line
from jobsvc.tracing.span import Span
from jobsvc.tracing.waterfall import Row, bar_cells, notes, rows, services

#: In a narrower terminal the begin of a span is shown by its bar alone,
_START_WIDTH = 130
#: and its service by its colour, for which the line above is the key.
_SERVICE_WIDTH = 100
_COLORS = ("cyan", "green", "magenta", "blue", "yellow")


def draw(spans: Sequence[Span], console: Console) -> None:
    """Prints the spans of one trace as a tree with bars, scaled to the console's width."""
    found = rows(spans)
    if not found:
        return
    colors = {
        service: _COLORS[index % len(_COLORS)]
        for index, service in enumerate(services([row.span for row in found]))
    }
    # ASCII where the terminal's encoding has no box characters.
    ascii_only = not console.encoding.lower().startswith("utf")
    with_start = console.width >= _START_WIDTH
    with_service = console.width >= _SERVICE_WIDTH
    # The bars get the width that the texts leave; in a narrow terminal the notes wrap.
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    table.add_column("span", no_wrap=True, max_width=max(24, console.width * 2 // 5))
    if with_service:
        table.add_column("service", no_wrap=True)
    table.add_column("", ratio=1, min_width=console.width // 5, no_wrap=True)
    if with_start:
        table.add_column("start", justify="right", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("", overflow="fold", max_width=console.width * 2 // 5)
    names = {row.span.span_id: row.span.name for row in found}
    for row in found:
        color = colors[row.span.service]
        failed = row.span.status == "ERROR"
        table.add_row(
            Text(_branches(row, ascii_only), "dim")
            + Text(one_line(row.span.name), "red" if failed else ""),
            *([Text(one_line(row.span.service), color)] if with_service else []),
            _Bar(row, "red" if failed else color, "#" if ascii_only else "█"),
            *([Text("+" + duration_text(row.offset_ns), "dim")] if with_start else []),
            duration_text(row.duration_ns),
            Text(one_line(" · ".join(notes(row.span, names))), "red" if failed else "dim"),
        )
    whole = max(row.offset_ns + row.duration_ns for row in found)
    head = Text(f"trace {found[0].span.trace_id}", "bold")
    head.append(f"  {len(found)} spans, ", "not bold")
    for service, color in colors.items():
        head.append(service, f"not bold {color}").append(", ", "not bold")
    console.print(head.append(duration_text(whole), "not bold"))
    console.print(table)


def duration_text(nanoseconds: int) -> str:
    """Returns a duration for people, to three digits: `0.08 ms`, `12.3 ms`, `1.52 s`."""
    millis = nanoseconds / 1e6
    if millis < 1:
        return f"{millis:.2f} ms"
    if millis < 999.5:
        return f"{millis:.1f} ms" if millis < 99.95 else f"{millis:.0f} ms"
    seconds = millis / 1e3
    return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"


def _branches(row: Row, ascii_only: bool) -> str:
    if not row.lasts:
        return ""
    bar, tee, corner = ("|  ", "|- ", "`- ") if ascii_only else ("│  ", "├─ ", "└─ ")
    above = "".join("   " if last else bar for last in row.lasts[:-1])
    return above + (corner if row.lasts[-1] else tee)


class _Bar:
    """The bar of a row, drawn to the width of its cell."""

    def __init__(self, row: Row, color: str, block: str) -> None:
        self._row = row
        self._style = Style(color=color)
        self._block = block

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        first, past = bar_cells(self._row, width)
        yield Segment(" " * first)
        yield Segment(self._block * (past - first), self._style)
        yield Segment(" " * (width - past))
