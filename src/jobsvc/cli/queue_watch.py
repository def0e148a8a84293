"""The table of queues, once or again and again."""

import time
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from jobsvc.cli.console import new_console
from jobsvc.cli.live_screen import Reading, run_screen
from jobsvc.cli.queue_text import print_queues, queue_table, value_json
from jobsvc.client import CallFailed, Client, QueueStats


def print_table(counts: Sequence[QueueStats], as_json: bool) -> None:
    """Prints queues: a table, or a JSON object a line."""
    if as_json:
        for queue in counts:
            typer.echo(value_json(queue))
    else:
        print_queues(counts, new_console())


def watch_queues(client: Client, interval_seconds: float, as_json: bool) -> None:
    """Shows the queues until somebody leaves: a table that repaints itself in a terminal, elsewhere
    one more whenever anything has changed."""
    console = new_console()
    counts: Sequence[QueueStats] = client.queue_stats()
    if console.is_terminal and not as_json:
        run_screen(console, Reading(counts, client.queue_stats, interval_seconds), table_lines)
        return
    try:
        shown: Sequence[QueueStats] | None = None
        while True:
            if counts != shown:
                if shown is not None and not as_json:
                    typer.echo()
                print_table(counts, as_json)
                shown = counts
            time.sleep(interval_seconds)
            counts = _read_again(client, counts)
    except KeyboardInterrupt:
        pass  # It is how one leaves.


def table_lines(
    counts: Sequence[QueueStats], trouble: str, width: int, height: int
) -> Sequence[Text]:
    """Returns the lines of a screen with the table, and what is wrong below it. Pure."""
    console = Console(width=width, height=height, highlight=False, force_terminal=False)
    rendered = console.render_lines(queue_table(counts, width), pad=False)
    lines = [Text("".join(part.text for part in line)) for line in rendered]
    room = height - 2
    if len(lines) > room:
        lines = [*lines[: room - 1], Text(f"… {len(lines) - room + 1:,} more queues", "dim")]
    return [*lines, Text(), Text(trouble, "bold red") if trouble else Text("q quits", "dim")]


def _read_again(client: Client, before: Sequence[QueueStats]) -> Sequence[QueueStats]:
    """The counts, or those of before while the server is away."""
    try:
        return client.queue_stats()
    except CallFailed as failure:
        if failure.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            raise
        return before
