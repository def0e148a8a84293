"""`jobsvc bulk`: does the same with all jobs of a filter, in the service."""

from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.bulk_options import BulkOptions
from jobsvc.cli.call_options import CallOptions, calls_server, takes
from jobsvc.cli.command_group import command_group, confirm
from jobsvc.cli.open_client import open_client
from jobsvc.cli.parse_text import parse_label, parse_time

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import BulkAction, Client, JobChanges

_Id = Annotated[str, typer.Argument(metavar="ID", help="The operation.")]
_Wait = Annotated[bool, typer.Option("--wait", help="Follow it until it ends.")]


@calls_server
@takes(BulkOptions)
def cancel(
    options: BulkOptions,
    server: CallOptions,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; the workers are told, and the jobs keep it.")
    ] = "",
) -> None:
    """Cancel jobs that wait or run."""
    with open_client(server) as client:
        from jobsvc.client import BulkCancel

        _start(client, BulkCancel(reason), options, server, "Cancel", destroys=True)


@calls_server
@takes(BulkOptions)
def retry(
    options: BulkOptions,
    server: CallOptions,
    attempts: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Attempts on top of those made.")
    ] = 1,
) -> None:
    """Queue jobs that FAILED or were CANCELLED again."""
    with open_client(server) as client:
        from jobsvc.client import BulkRetry

        _start(client, BulkRetry(attempts), options, server, "Retry")


@calls_server
@takes(BulkOptions)
def delete(options: BulkOptions, server: CallOptions) -> None:
    """Remove jobs that have ended, with their outputs and histories."""
    with open_client(server) as client:
        from jobsvc.client import BulkDelete

        _start(client, BulkDelete(), options, server, "Delete", destroys=True)


@calls_server
@takes(BulkOptions)
def update(
    options: BulkOptions,
    server: CallOptions,
    priority: Annotated[
        int | None,
        typer.Option(min=-100, max=100, metavar="N", help="Higher leaves the queue first."),
    ] = None,
    schedule_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start no earlier: ISO 8601, or now.")
    ] = None,
    expire_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Give up then: ISO 8601, or never.")
    ] = None,
    new_label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="These instead of all labels; '' for none."),
    ] = None,
) -> None:
    """Change jobs that wait."""
    changes: JobChanges = {}
    if priority is not None:
        changes["priority"] = priority
    if schedule_time is not None:
        changes["schedule_time"] = None if schedule_time == "now" else parse_time(schedule_time)
    if expire_time is not None:
        changes["expire_time"] = None if expire_time == "never" else parse_time(expire_time)
    if new_label is not None:
        changes["labels"] = dict(parse_label(item) for item in new_label if item)
    if not changes:
        raise typer.BadParameter("nothing to change: give an option")
    with open_client(server) as client:
        from jobsvc.client import BulkUpdate

        _start(client, BulkUpdate(changes), options, server, "Update")


@calls_server
def list_(server: CallOptions) -> None:
    """List operations, newest first."""
    with open_client(server) as client:
        from jobsvc.cli.bulk_text import bulk_json, table

        found = client.list_bulk_operations()
        for line in map(bulk_json, found) if server.as_json else table(found):
            typer.echo(line)


@calls_server
def show(server: CallOptions, operation_id: _Id, wait: _Wait = False) -> None:
    """Show an operation: what it does, and how far it is."""
    with open_client(server) as client:
        from jobsvc.cli.bulk_text import bulk_json, facts

        operation = client.get_bulk_operation(operation_id)
        if wait:
            _follow(client, operation_id, server.as_json)
            return
        if server.as_json:
            typer.echo(bulk_json(operation, indent=2))
        else:
            for line in facts(operation):
                typer.echo(line)


@calls_server
def stop(server: CallOptions, operation_id: _Id) -> None:
    """Stop an operation; what it has done stays so."""
    with open_client(server) as client:
        from jobsvc.cli.bulk_text import bulk_json, progress_line

        stopped = client.stop_bulk_operation(operation_id)
        typer.echo(bulk_json(stopped) if server.as_json else progress_line(stopped))


def _start(
    client: "Client",
    action: "BulkAction",
    options: BulkOptions,
    server: CallOptions,
    verb: str,
    destroys: bool = False,
) -> None:
    """Starts an operation, and asks before if it destroys something, or is about all jobs."""
    from jobsvc.cli.bulk_text import bulk_json, count_text, sample_lines

    wanted = options.filter()
    try:
        if options.validate_only:
            preview = client.preview_bulk(action, most=options.most, **wanted)
            if server.as_json:
                typer.echo(bulk_json(preview))
                return
            typer.echo(f"{count_text(preview)} would be touched")
            for line in sample_lines(preview):
                typer.echo(line)
            return
        if (destroys or not any(wanted.values())) and not options.yes:
            preview = client.preview_bulk(action, most=options.most, **wanted)
            confirm(f"{verb} {count_text(preview)}?", is_confirmed=False)
        operation = client.bulk(
            action,
            rate=options.rate,
            most=options.most,
            request_id=options.request_id,
            **wanted,
        )
    except ValueError as error:  # a state that does not exist
        raise typer.BadParameter(str(error)) from None
    if not server.as_json:
        typer.echo(operation.id)
    elif not options.wait:
        typer.echo(bulk_json(operation))
    if options.wait:
        _follow(client, operation.id, server.as_json)


def _follow(client: "Client", operation_id: str, as_json: bool) -> None:
    """Prints each step of an operation; exit code 1 if it is stopped before it is complete."""
    from jobsvc.cli.bulk_text import ProgressLines, bulk_json
    from jobsvc.client import BulkState

    lines = ProgressLines()
    for operation in client.watch_bulk_operation(operation_id):
        if as_json:
            typer.echo(bulk_json(operation))
        elif line := lines.next(operation):
            typer.echo(line)
    if operation.state is BulkState.STOPPED:
        raise typer.Exit(1)


app = command_group(
    "bulk",
    "Cancel, retry, delete or update all jobs of a filter.",
    (cancel, retry, delete, update, list_, show, stop),
)
