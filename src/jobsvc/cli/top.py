"""`jobsvc top`: queues and workers, live."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.call_options import CallOptions, calls_server
from jobsvc.cli.open_client import open_client
from jobsvc.cli.parse_text import parse_duration

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.cli.top_view import TopState
    from jobsvc.client import Client

#: A shorter interval is no news: counts are taken anew, workers are saved every two seconds.
_MIN_SECONDS = 0.5

Interval = Annotated[
    str, typer.Option(metavar="DURATION", help="How often to look, at least 0.5s.")
]


@calls_server
def top(
    server: CallOptions,
    queues: Annotated[
        list[str] | None,
        typer.Option("--queue", metavar="QUEUE", help="Only this queue; may be repeated."),
    ] = None,
    interval: Interval = "2s",
) -> None:
    """Watch queues and workers: what waits and why, rates, how long jobs wait and run.

    In a terminal until q or Ctrl-C; elsewhere it prints one table. Rates a minute and times (half
    and 95 of 100 take no longer) are of the last five minutes that have ended.
    """
    seconds = read_interval(interval)
    with open_client(server) as client:
        from jobsvc.cli.console import new_console
        from jobsvc.cli.live_screen import Reading, run_screen
        from jobsvc.cli.queue_text import value_json
        from jobsvc.cli.top_view import render

        wanted = queues or []
        state = _read(client, server.target, wanted)
        console = new_console()
        if server.as_json:
            for queue in state.queues:
                typer.echo(value_json(queue))
            for worker in state.workers:
                typer.echo(value_json(worker))
        elif not console.is_terminal:
            for line in render(state, console.width, None):
                typer.echo(line.plain.rstrip())
        else:
            from dataclasses import replace

            run_screen(
                console,
                Reading(state, lambda: _read(client, server.target, wanted), seconds),
                lambda found, trouble, width, height: render(
                    replace(found, trouble=trouble, time=_now()), width, height
                ),
            )


def read_interval(text: str) -> float:
    """Returns the seconds of an interval."""
    seconds = parse_duration(text)
    if seconds < _MIN_SECONDS:
        raise typer.BadParameter(f"{text!r} is too short; 0.5s is the shortest interval")
    return seconds


def _read(client: "Client", target: str, queues: list[str]) -> "TopState":
    from jobsvc.cli.top_view import TopState

    counts = client.queue_stats(*queues, recent=True)
    workers = client.list_workers()
    if queues:
        workers = [worker for worker in workers if set(queues) & set(worker.queues)]
    return TopState(target, _now(), counts, workers)


def _now() -> datetime:
    return datetime.now(UTC).astimezone()
