"""`jobsvc cancel | retry | update | delete`: controls a job from a shell."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.call_options import CallOptions, calls_server
from jobsvc.cli.open_client import open_client
from jobsvc.cli.parse_text import parse_label, parse_time, read_input

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Job, JobChanges

_JobId = Annotated[str, typer.Argument(metavar="ID", help="The job.")]
_Etag = Annotated[str, typer.Option(metavar="TEXT", help="Only if the job still has this etag.")]


@calls_server
def cancel(
    server: CallOptions,
    job_id: _JobId,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; its worker is told, and the job keeps it.")
    ] = "",
    etag: _Etag = "",
) -> None:
    """Cancel a job: at once if it waits, by way of its worker if it runs."""
    with open_client(server) as client:
        job = client.cancel(job_id, reason, etag=etag)
        _print(job, server.as_json, "" if job.ended else ", its worker is told to stop")


@calls_server
def retry(
    server: CallOptions,
    job_id: _JobId,
    attempts: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Attempts on top of those made.")
    ] = 1,
    etag: _Etag = "",
) -> None:
    """Queue a job that FAILED or was CANCELLED again."""
    with open_client(server) as client:
        _print(client.retry(job_id, attempts, etag=etag), server.as_json)


@calls_server
def update(
    server: CallOptions,
    job_id: _JobId,
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
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="These instead of all labels; '' for none."),
    ] = None,
    input: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON object, - for stdin, or @file.")
    ] = None,
    etag: _Etag = "",
) -> None:
    """Change a job that waits."""
    changes: JobChanges = {}
    if priority is not None:
        changes["priority"] = priority
    if schedule_time is not None:
        changes["schedule_time"] = None if schedule_time == "now" else parse_time(schedule_time)
    if expire_time is not None:
        changes["expire_time"] = None if expire_time == "never" else parse_time(expire_time)
    if label is not None:
        changes["labels"] = dict(parse_label(item) for item in label if item)
    if input is not None:
        changes["input"] = read_input(input)
    if not changes:
        raise typer.BadParameter("nothing to change: give an option")
    with open_client(server) as client:
        try:
            job = client.update(job_id, etag=etag, **changes)
        except ValueError as error:  # a value that no request can carry
            raise typer.BadParameter(str(error)) from None
        _print(job, server.as_json)


@calls_server
def delete(
    server: CallOptions,
    job_id: _JobId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    etag: _Etag = "",
) -> None:
    """Remove a job that has ended, with its output and its history."""
    if not yes:
        typer.confirm(f"Delete job {job_id} for good?", abort=True, err=True)
    with open_client(server) as client:
        client.delete(job_id, etag=etag)
        typer.echo(json.dumps({"id": job_id, "deleted": True}) if server.as_json else "deleted")


def _print(job: "Job", as_json: bool, more: str = "") -> None:
    from jobsvc.cli.job_text import job_json

    typer.echo(job_json(job) if as_json else f"{job.state}{more}")
