"""`jobsvc create | get | watch`: what a caller does, from a shell."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Client

Target = Annotated[str, typer.Option(envvar="JOBSVC_TARGET", help="HOST:PORT of the server.")]
Session = Annotated[
    str | None, typer.Option("--session", envvar="JOBSVC_SESSION_ID", help="Act for this session.")
]
User = Annotated[
    str | None, typer.Option("--user", envvar="JOBSVC_USER_ID", help="Act for this user.")
]
Token = Annotated[
    str | None, typer.Option("--token", envvar="JOBSVC_TOKEN", help="Bearer token of the caller.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_TARGET = "127.0.0.1:50051"

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> float:
    """Seconds of a duration like `90`, `1.5s`, `5m`, `2h` or `1d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 90, 1.5s, 5m, 2h or 1d")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def parse_label(text: str) -> tuple[str, str]:
    """Key and value of `key=value`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is no key=value")
    return key, value


def read_input(text: str | None) -> str | None:
    """The JSON that an argument stands for: itself, `-` for stdin, `@file` for a file."""
    if text == "-":
        return sys.stdin.read()
    if text is not None and text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(str(error)) from None
    return text


def create(
    queue: Annotated[str, typer.Argument(help="Queue that the job goes to.")],
    input: Annotated[
        str | None,
        typer.Argument(metavar="[JSON]", help="Input: a JSON object, - for stdin, or @file."),
    ] = None,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, help="Higher leaves the queue first.")
    ] = 0,
    delay: Annotated[
        str | None, typer.Option(help="Start no earlier than after this: 90, 5m, 2h, 1d.")
    ] = None,
    ttl: Annotated[str | None, typer.Option(help="Give up if it has not ended after this.")] = None,
    attempt_timeout: Annotated[
        str | None, typer.Option(help="Longest run of a single attempt.")
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(min=1, max=100, help="Attempts in all; 1 means no retry.")
    ] = None,
    unique_key: Annotated[
        str | None, typer.Option(help="Return the job that holds this key, if one is under way.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be given more than once.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(help="UUID: the same one never creates a second job.")
    ] = None,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check everything, create nothing.")
    ] = False,
    follow: Annotated[bool, typer.Option("--watch", help="Follow the job until it ends.")] = False,
    target: Target = DEFAULT_TARGET,
    session: Session = None,
    user: User = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Create a job and print its id."""
    text = read_input(input)
    labels = dict(parse_label(item) for item in label or ())
    delay_seconds = None if delay is None else parse_duration(delay)
    ttl_seconds = None if ttl is None else parse_duration(ttl)
    attempt_seconds = None if attempt_timeout is None else parse_duration(attempt_timeout)
    with _connect(target, session, user, token) as client:
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
        except ValueError as error:  # what no request can hold
            raise typer.BadParameter(str(error)) from None
        if as_json:
            typer.echo(job_json(created))
        elif validate_only:
            typer.echo("valid; nothing was created")
        else:
            typer.echo(created.id)
        if follow and not validate_only:
            _watch(client, [created.id], as_json)


def get(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job.")],
    target: Target = DEFAULT_TARGET,
    session: Session = None,
    user: User = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show a job as it is now."""
    with _connect(target, session, user, token) as client:
        from jobsvc.cli.job_text import job_json, print_job
        from jobsvc.tracing.drawing import new_console

        job = client.get(job_id)
        if as_json:
            typer.echo(job_json(job, indent=2))
        else:
            print_job(job, new_console())


def watch(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The jobs.")],
    target: Target = DEFAULT_TARGET,
    session: Session = None,
    user: User = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Follow jobs until all have ended; exit code 0 when all of them COMPLETED."""
    with _connect(target, session, user, token) as client:
        _watch(client, job_ids, as_json)


def _watch(client: "Client", job_ids: Iterable[str], as_json: bool) -> None:
    from jobsvc.cli.display import StatusDisplay
    from jobsvc.cli.job_text import job_json
    from jobsvc.tracing.drawing import new_console

    all_succeeded = True
    # JSON lines and a table that repaints itself do not share a terminal.
    with nullcontext() if as_json else StatusDisplay(new_console()) as display:
        for update in client.follow(job_ids):
            if display is None:
                typer.echo(job_json(update))
            else:
                display.show(update)
            if update.status.ended and not update.status.succeeded:
                all_succeeded = False
    if not all_succeeded:
        raise typer.Exit(1)


@contextmanager
def _connect(
    target: str, session: str | None, user: str | None, token: str | None
) -> Iterator["Client"]:
    """A client for one command; a failed call becomes a line on stderr and exit code 1."""
    # gRPC's own log is no text for people; it must be told before it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from jobsvc.client import CallFailed, Client
    from jobsvc.tracing import start_tracing

    with start_tracing("jobsvc-cli", None):
        try:
            with Client(target, session_id=session, user_id=user, token=token) as client:
                yield client
        except CallFailed as failure:
            typer.echo(f"jobsvc: {failure}", err=True)
            # The message names the first defect already.
            for violation in failure.violations[1:]:
                typer.echo(f"  {violation.field}: {violation.description}", err=True)
            raise typer.Exit(1) from None
