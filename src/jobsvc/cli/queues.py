"""`jobsvc queues`: shows and steers queues from a shell."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsvc.cli.call_options import CallOptions, OptionsBeforeCommand, calls_server
from jobsvc.cli.command_group import command_group, confirm
from jobsvc.cli.open_client import open_client
from jobsvc.cli.parse_text import parse_duration
from jobsvc.cli.top import Interval, read_interval

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Client, QueueHistoryStep

_Name = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue.")]
_Etag = Annotated[
    str, typer.Option(metavar="TEXT", help="Do nothing if the queue has changed since this etag.")
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@calls_server
def list_(
    server: CallOptions,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Again and again; not in a terminal, whenever it has changed."
        ),
    ] = False,
    interval: Interval = "2s",
) -> None:
    """List all queues with what waits and runs in them; `jobsvc queues --watch` does so, too."""
    seconds = read_interval(interval)
    with open_client(server) as client:
        from jobsvc.cli.queue_watch import print_table, watch_queues

        if watch:
            watch_queues(client, seconds, server.as_json)
        else:
            print_table(client.queue_stats(), server.as_json)


@calls_server
def show(
    server: CallOptions,
    queue: _Name,
    window: Annotated[
        str, typer.Option(metavar="DURATION", help="How far its history goes back, at most 1d.")
    ] = "1h",
) -> None:
    """Show a queue: its state, its counts, its options, and what has become of its jobs."""
    window_duration = parse_duration(window)
    with open_client(server) as client:
        from jobsvc.cli.console import new_console
        from jobsvc.cli.queue_history_text import history_lines, window_and_step
        from jobsvc.cli.queue_text import print_queue, queue_json

        found = client.get_queue(queue)
        history = _history(client, queue, *window_and_step(window_duration))
        if server.as_json:
            typer.echo(queue_json(found, history))
            return
        (counts,) = client.queue_stats(queue)
        console = new_console()
        print_queue(found, counts, console)
        for line in history_lines(history, console.encoding):
            console.print(line, markup=False, soft_wrap=True)


@calls_server
def declare(
    server: CallOptions,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON: a queue, or a list.")],
) -> None:
    """Make queues, or change those that exist, as a file says."""
    from jobsvc.cli.queue_file import read_queue_file

    queues = read_queue_file(file)
    with open_client(server) as client:
        from jobsvc.cli.queue_text import value_json
        from jobsvc.plain_text import one_line

        for name, options in queues:
            try:
                declared = client.declare_queue(name, **options)
            except (TypeError, ValueError) as error:  # an option that no request can carry
                raise typer.BadParameter(f"{name}: {error}") from None
            typer.echo(value_json(declared) if server.as_json else declared.name)
            for warning in declared.warnings:
                typer.echo(f"jobsvc: {name}: {one_line(warning.message)}", err=True)


@calls_server
def pause(
    server: CallOptions,
    queue: _Name,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for whoever asks.")] = "",
    duration: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="Resume by itself after this: 90, 5m, 2h."),
    ] = None,
    etag: _Etag = "",
) -> None:
    """Stop the dispatch of a queue; running jobs go on."""
    seconds = None if duration is None else parse_duration(duration)
    with open_client(server) as client:
        from jobsvc.cli.job_text import time_text
        from jobsvc.cli.queue_text import value_json

        paused = client.pause_queue(queue, reason, duration=seconds, etag=etag)
        until = f" until {time_text(paused.pause_end_time)}" if paused.pause_end_time else ""
        typer.echo(value_json(paused) if server.as_json else f"{queue} is paused{until}")


@calls_server
def resume(server: CallOptions, queue: _Name, etag: _Etag = "") -> None:
    """Start the dispatch of a queue again."""
    with open_client(server) as client:
        from jobsvc.cli.queue_text import value_json

        resumed = client.resume_queue(queue, etag=etag)
        typer.echo(value_json(resumed) if server.as_json else f"{queue} is active")


@calls_server
def purge(
    server: CallOptions,
    queue: _Name,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Kept with the jobs.")] = "",
    etag: _Etag = "",
    yes: _Yes = False,
) -> None:
    """Cancel every waiting job of a queue."""
    confirm(f"Cancel every waiting job of {queue}?", yes)
    with open_client(server) as client:
        count = client.purge_queue(queue, reason, etag=etag)
        if server.as_json:
            typer.echo(f'{{"cancelled_count": {count}}}')
        else:
            typer.echo(f"{count:,} jobs were cancelled")


@calls_server
def delete(
    server: CallOptions,
    queue: _Name,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also if jobs have not ended; removes all its jobs, for good.",
        ),
    ] = False,
    etag: _Etag = "",
    yes: _Yes = False,
) -> None:
    """Remove a queue."""
    confirm(f"Remove {queue}{' and all its jobs' if force else ''}?", yes)
    with open_client(server) as client:
        client.delete_queue(queue, force=force, etag=etag)
        typer.echo("{}" if server.as_json else f"{queue} was removed")


def _history(
    client: "Client", queue: str, window_seconds: int, step_seconds: int
) -> "Sequence[QueueHistoryStep]":
    """The history of a queue; nothing of a server of before, which has none."""
    from jobsvc.client import CallFailed

    try:
        return client.queue_history(queue, window=window_seconds, step=step_seconds)
    except CallFailed as failure:
        if failure.code != "UNIMPLEMENTED":
            raise
        return ()


class ListsWhenWatching(OptionsBeforeCommand):
    """`jobsvc queues --watch` stands for `jobsvc queues list --watch`."""

    # Any: Typer does not export the types of Click that it contains.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if {"--watch", "-w"} & set(args) and not set(self.commands) & set(args):
            args = ["list", *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


app = command_group(
    "queues",
    "Show and steer queues.",
    (list_, show, declare, pause, resume, purge, delete),
    ListsWhenWatching,
)
