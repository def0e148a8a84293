"""`jobsvc watch`: follows jobs until they end, or those that match a filter without end."""

from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.call_options import CallOptions, calls_server
from jobsvc.cli.filter_options import (
    From,
    Labels,
    OwnSession,
    OwnUser,
    Queues,
    States,
    Until,
    read_filter,
)
from jobsvc.cli.open_client import open_client

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Client, JobFilter


@calls_server
def watch(
    server: CallOptions,
    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="The jobs, unless by a filter.")
    ] = None,
    queues: Queues = None,
    states: States = None,
    labels: Labels = None,
    own_session: OwnSession = False,
    own_user: OwnUser = False,
    create_time_from: From = None,
    create_time_until: Until = None,
    changes_only: Annotated[
        bool,
        typer.Option("--changes-only", help="Leave out the jobs that match as they are now."),
    ] = False,
) -> None:
    """Follow jobs by their ids until all have ended; exit code 0 when all of them COMPLETED.

    With a filter instead, print a line for each job that matches, and for each of its changes,
    until interrupted. Jobs that are created later count.
    """
    wanted = read_filter(
        queues,
        states,
        labels,
        own_session,
        own_user,
        create_time_from,
        create_time_until,
        datetime.now(UTC),
    )
    has_filter = any(wanted.values()) or changes_only
    if bool(job_ids) == has_filter:
        raise typer.BadParameter("name jobs, or select them by options, such as --queue")
    with open_client(server) as client:
        if job_ids:
            follow_jobs(client, job_ids, server.as_json)
        else:
            _watch(client, wanted, changes_only, server.as_json)


def follow_jobs(client: "Client", job_ids: Iterable[str], as_json: bool) -> None:
    """Shows jobs until all have ended; exit code 1 unless all of them COMPLETED."""
    from jobsvc.cli.console import new_console
    from jobsvc.cli.job_text import job_json
    from jobsvc.cli.status_display import StatusDisplay
    from jobsvc.cli.wait_reasons import WaitReasons

    all_succeeded = True
    # JSON lines and a table that repaints itself do not share a terminal.
    with (
        nullcontext() if as_json else StatusDisplay(new_console()) as display,
        nullcontext() if display is None else WaitReasons(client, display.explain) as reasons,
    ):
        for update in client.follow(job_ids):
            if display is None or reasons is None:
                typer.echo(job_json(update))
            else:
                display.show(update)
                reasons.note(update)
            if update.status.ended and not update.status.succeeded:
                all_succeeded = False
    if display is not None:
        display.tell_failures()
    if not all_succeeded:
        raise typer.Exit(1)


def _watch(client: "Client", wanted: "JobFilter", changes_only: bool, as_json: bool) -> None:
    from jobsvc.cli.job_text import job_json
    from jobsvc.cli.status_display import update_line

    try:
        for update in client.watch(changes_only=changes_only, **wanted):
            typer.echo(job_json(update) if as_json else update_line(update))
    except ValueError as error:  # a state that does not exist
        raise typer.BadParameter(str(error)) from None
