"""`jobsvc create | get`: creates and shows jobs from a shell."""

from typing import Annotated

import typer

from jobsvc.cli.call_options import CallOptions, calls_server
from jobsvc.cli.open_client import open_client
from jobsvc.cli.parse_text import parse_duration, parse_label, read_input
from jobsvc.cli.watch import follow_jobs


@calls_server
def create(
    server: CallOptions,
    queue: Annotated[str, typer.Argument(help="Queue that the job goes to.")],
    input: Annotated[
        str | None,
        typer.Argument(metavar="JSON", help="Input: a JSON object, - for stdin, or @file."),
    ] = None,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, metavar="N", help="Higher leaves the queue first.")
    ] = 0,
    delay: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Start no earlier than after this: 90, 5m, 2h, 1d."),
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Give up if it has not ended after this.")
    ] = None,
    attempt_timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Longest run of a single attempt.")
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(min=1, max=100, metavar="N", help="Attempts in all; 1 means no retry."),
    ] = None,
    unique_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Return the job that holds this key, if one is under way."
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be given more than once.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(metavar="UUID", help="The same one never creates a second job.")
    ] = None,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check everything, create nothing.")
    ] = False,
    follow: Annotated[bool, typer.Option("--watch", help="Follow the job until it ends.")] = False,
) -> None:
    """Create a job and print its id."""
    text = read_input(input)
    labels = dict(parse_label(item) for item in label or ())
    delay_seconds = None if delay is None else parse_duration(delay)
    ttl_seconds = None if ttl is None else parse_duration(ttl)
    attempt_seconds = None if attempt_timeout is None else parse_duration(attempt_timeout)
    with open_client(server) as client:
        from jobsvc.cli.job_text import job_json
        from jobsvc.client import RetryPolicy

        try:
            created = client.create(
                queue,
                text,
                priority=priority,
                delay=delay_seconds,
                ttl=ttl_seconds,
                attempt_timeout=attempt_seconds,
                retry=RetryPolicy(max_attempts=max_attempts) if max_attempts else None,
                unique_key=unique_key,
                labels=labels,
                request_id=request_id,
                validate_only=validate_only,
            )
        except ValueError as error:  # an option that no request can carry
            raise typer.BadParameter(str(error)) from None
        if server.as_json:
            typer.echo(job_json(created))
        elif validate_only:
            typer.echo("valid; nothing was created")
        else:
            typer.echo(created.id)
        if follow and not validate_only:
            follow_jobs(client, [created.id], server.as_json)


@calls_server
def get(
    server: CallOptions,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job.")],
) -> None:
    """Show a job as it is now."""
    with open_client(server) as client:
        from jobsvc.cli.console import new_console
        from jobsvc.cli.job_text import job_json, print_job

        job = client.get(job_id)
        if server.as_json:
            typer.echo(job_json(job, indent=2))
        else:
            print_job(job, new_console())
